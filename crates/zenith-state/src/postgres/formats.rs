//! Which format a database has, and bringing it up to date.
//!
//! A format is a file in `migrations-postgres/`, and its number is that of the file. Files that have been released do not
//! change. The table `formats` says which ones a database has had.

use sqlx::{PgConnection, Row as _};

use super::address::PostgresAddress;
use super::connect::{connect, lock_class, run};
use crate::{Result, StateError};

/// The formats, oldest first.
const FORMATS: [(i64, &str); 1] = [(1, include_str!("../../migrations-postgres/0001_state.sql"))];
/// The newest format.
pub(super) const KNOWN: i64 = FORMATS[FORMATS.len() - 1].0;
const LOOK: &str = "look for the format";

/// What a database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Nothing yet.
    Empty,
    /// A state of an earlier version.
    Older(i64),
    /// A state as this version writes it.
    Current,
}

/// Finds out what a database is.
///
/// # Errors
/// For tables of others and states of later versions.
pub(super) async fn format(connection: &mut PgConnection, address: &PostgresAddress) -> Result<Format> {
    let schema = &address.schema;
    let tables = format!(
        "SELECT relname FROM pg_catalog.pg_class WHERE relkind = 'r' \
         AND relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = '{schema}')"
    );
    let tables = run(connection, address, LOOK, &tables).await?;
    let is_ours = |row: &sqlx::postgres::PgRow| {
        row.try_get_unchecked::<String, _>(0).is_ok_and(|name| name == "formats")
    };
    if tables.is_empty() {
        return Ok(Format::Empty);
    }
    if !tables.iter().any(is_ours) {
        return Err(StateError::Foreign { path: address.path() });
    }
    let newest =
        run(connection, address, LOOK, "SELECT coalesce(max(version), 0)::text FROM formats").await?;
    let newest = newest.first().and_then(|row| row.try_get_unchecked::<String, _>(0).ok());
    match newest.and_then(|newest| newest.parse::<i64>().ok()).unwrap_or(0) {
        KNOWN => Ok(Format::Current),
        found if found > KNOWN => Err(StateError::Newer { path: address.path(), found, known: KNOWN }),
        found => Ok(Format::Older(found)),
    }
}

/// Brings a database to the newest format, all or nothing. Who comes at the same time waits, and finds it done.
pub(super) async fn migrate(connection: &mut PgConnection, address: &PostgresAddress) -> Result<()> {
    const ACTION: &str = "bring the tables up to date";
    let schema = &address.schema;
    let lock = format!("SELECT pg_advisory_xact_lock({}, 0)", lock_class(schema));
    let exists = format!(
        "{lock}; DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = '{schema}') \
         THEN CREATE SCHEMA {schema}; END IF; END $$"
    );
    run(connection, address, ACTION, &exists).await?;
    loop {
        let found = match format(connection, address).await? {
            Format::Current => return Ok(()),
            Format::Empty => 0,
            Format::Older(found) => found,
        };
        let Some((version, text)) = FORMATS.iter().find(|(version, _)| *version > found) else {
            return Ok(());
        };
        // Whoever was faster has made its row already.
        let step = format!("{lock}; {text}; INSERT INTO formats (version) VALUES ({version})");
        match run(connection, address, ACTION, &step).await {
            Err(error @ StateError::Postgres { .. }) => {
                *connection = connect(address, ACTION).await?;
                let now = format(connection, address).await?;
                let is_further = match now {
                    Format::Current => true,
                    Format::Older(now) => now > found,
                    Format::Empty => false,
                };
                if !is_further {
                    return Err(error);
                }
            }
            done => drop(done?),
        }
    }
}
