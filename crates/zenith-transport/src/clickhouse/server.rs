//! What kind of server this is: asked once, then known.

use std::collections::HashSet;

use serde::Deserialize;

use super::session::Session;
use crate::ddl::Dialect;
use crate::statement::Statement;
use crate::{Result, TransportError};

/// Settings that only some versions have; a server refuses a request that names one it does not know.
pub(super) const OPTIONAL_SETTINGS: [&str; 13] = [
    "input_format_arrow_use_native_reader",
    "input_format_json_infer_array_of_dynamic_from_array_of_different_types",
    "input_format_json_read_arrays_as_strings",
    "input_format_json_read_bools_as_numbers",
    "input_format_json_read_bools_as_strings",
    "input_format_json_read_numbers_as_strings",
    "input_format_json_try_infer_numbers_from_strings",
    "input_format_try_infer_dates",
    "lightweight_deletes_sync",
    "input_format_try_infer_datetimes",
    "json_type_escape_dots_in_keys",
    "output_format_native_write_json_as_string",
    "type_json_skip_duplicated_paths",
];

/// The years that ISO 8601 writes with four digits, in milliseconds: 0001-01-01T00:00:00.000Z to 9999-12-31T23:59:59.999Z.
const DATES_OF_FOUR_DIGITS: (i64, i64) = (-62_135_596_800_000, 253_402_300_799_999);
/// What every server holds: 1900-01-01T00:00:00.000Z to 2299-12-31T23:59:59.999Z.
const DATES_OF_ALL_SERVERS: (i64, i64) = (-2_208_988_800_000, 10_413_791_999_999);

/// What a server reports about itself.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) version: String,
    pub(super) version_number: (u32, u32),
    pub(super) user: String,
    pub(super) date_range_ms: (i64, i64),
    settings: HashSet<String>,
}

impl Server {
    pub(super) async fn ask(session: &Session) -> Result<Server> {
        #[derive(Deserialize)]
        struct Row {
            version: String,
            user: String,
            four_digits: u8,
            settings: HashSet<String>,
        }
        let names: Vec<String> = OPTIONAL_SETTINGS.iter().map(|name| format!("'{name}'")).collect();
        let sql = format!(
            "SELECT version() AS version, currentUser() AS user, {} AND {} AS four_digits, \
             groupArray(name) AS settings FROM system.settings WHERE name IN ({})",
            is_the_same_date(DATES_OF_FOUR_DIGITS.0, "0001-01-01 00:00:00.000"),
            is_the_same_date(DATES_OF_FOUR_DIGITS.1, "9999-12-31 23:59:59.999"),
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
        let Row { version, user, four_digits, settings } =
            rows.into_iter().next().ok_or_else(|| unexpected("no row"))?;
        let date_range_ms = if four_digits == 1 { DATES_OF_FOUR_DIGITS } else { DATES_OF_ALL_SERVERS };
        let mut numbers = version.split('.').map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => {
                Ok(Server { version_number: (major, minor), version, user, date_range_ms, settings })
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

/// An expression: whether the server reads and writes a date as it should. All servers keep the 64 bits of any date; one
/// beyond their range is written and compared as if it were another.
fn is_the_same_date(millis: i64, text: &str) -> String {
    let date = format!("fromUnixTimestamp64Milli(toInt64({millis}), 'UTC')");
    format!("(toString({date}) = '{text}' AND ifNull(toDateTime64OrNull('{text}', 3, 'UTC') = {date}, 0))")
}
