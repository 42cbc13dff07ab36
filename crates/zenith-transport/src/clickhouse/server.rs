//! What kind of server this is: asked once, then known.

use std::collections::HashSet;

use serde::Deserialize;

use super::session::Session;
use crate::ddl::Dialect;
use crate::statement::Statement;
use crate::{Result, TransportError};

/// Settings that only some versions have; a server refuses a request that names one it does not know.
pub(super) const OPTIONAL_SETTINGS: [&str; 12] = [
    "input_format_arrow_use_native_reader",
    "input_format_json_infer_array_of_dynamic_from_array_of_different_types",
    "input_format_json_read_arrays_as_strings",
    "input_format_json_read_bools_as_numbers",
    "input_format_json_read_bools_as_strings",
    "input_format_json_read_numbers_as_strings",
    "input_format_json_try_infer_numbers_from_strings",
    "input_format_try_infer_dates",
    "input_format_try_infer_datetimes",
    "json_type_escape_dots_in_keys",
    "output_format_native_write_json_as_string",
    "type_json_skip_duplicated_paths",
];

/// What a server told of itself.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) version: String,
    pub(super) version_number: (u32, u32),
    pub(super) user: String,
    settings: HashSet<String>,
}

impl Server {
    pub(super) async fn ask(session: &Session) -> Result<Server> {
        #[derive(Deserialize)]
        struct Row {
            version: String,
            user: String,
            settings: HashSet<String>,
        }
        let names: Vec<String> = OPTIONAL_SETTINGS.iter().map(|name| format!("'{name}'")).collect();
        let sql = format!(
            "SELECT version() AS version, currentUser() AS user, groupArray(name) AS settings \
             FROM system.settings WHERE name IN ({})",
            names.join(", ")
        );
        let doing = "asking for its version";
        let rows: Vec<Row> = session.rows(Statement::new(doing, sql)).await?;
        let unexpected = |reason: &str| TransportError::Answer {
            doing: doing.into(),
            address: session.target().address(),
            protocol: session.target().protocol,
            reason: reason.into(),
        };
        let Row { version, user, settings } = rows.into_iter().next().ok_or_else(|| unexpected("no row"))?;
        let mut numbers = version.split('.').map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => {
                Ok(Server { version_number: (major, minor), version, user, settings })
            }
            _ => Err(unexpected("no version number")),
        }
    }

    pub(super) fn dialect(&self) -> Dialect {
        Dialect::of_version(self.version_number)
    }

    /// Adds a setting to a statement, unless it is one the server does not have.
    pub(super) fn set(&self, statement: Statement, name: &str, value: &str) -> Statement {
        if OPTIONAL_SETTINGS.contains(&name) && !self.settings.contains(name) {
            return statement;
        }
        statement.set(name, value)
    }
}
