//! Connections, and what each transaction on them begins with.

use std::path::Path;

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection};
use tokio::time::timeout;

use super::address::PostgresAddress;
use super::fault::{fault, silent};
use crate::Result;

/// A transaction that waits, works or idles for longer is ended by the server: a process that stands still in the middle of
/// one must not keep others from its lease.
pub(super) const LIMITS: &str = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '15s'; \
                      SET LOCAL idle_in_transaction_session_timeout = '3s'";
/// "ZNTH": our advisory locks.
const LOCKS: u32 = 0x5A4E_5448;

/// A connection of its own.
pub(super) async fn connect(address: &PostgresAddress, action: &'static str) -> Result<PgConnection> {
    let path = address.path();
    match timeout(PostgresAddress::TIMEOUT, address.options.connect()).await {
        Ok(connection) => connection.map_err(|error| fault(action, &path, error)),
        Err(_) => Err(silent(action, &path)),
    }
}

/// The class of the advisory locks of a schema.
pub(super) fn lock_class(schema: &str) -> i32 {
    (LOCKS ^ hash(schema)).cast_signed()
}

/// FNV-1a: the same in every version.
pub(super) fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811C_9DC5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// Runs statements in a transaction that has its schema and its limits, on a connection of its own.
pub(super) async fn run(
    connection: &mut PgConnection,
    address: &PostgresAddress,
    action: &'static str,
    statements: &str,
) -> Result<Vec<PgRow>> {
    let schema = &address.schema;
    let text = format!("BEGIN; SET LOCAL search_path = {schema}; {LIMITS}; {statements}; COMMIT");
    let rows =
        timeout(PostgresAddress::TIMEOUT * 4, sqlx::raw_sql(AssertSqlSafe(text)).fetch_all(connection)).await;
    let path: &Path = &address.path();
    rows.map_err(|_| silent(action, path))?.map_err(|error| fault(action, path, error))
}
