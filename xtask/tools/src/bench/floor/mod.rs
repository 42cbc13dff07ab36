//! The least that any copy costs the two databases: MongoDB handing out the documents to somebody who does not look at
//! them, and ClickHouse taking the finished columns in one insert.
//!
//! Whoever copies causes both; what is more than them is the copier's own.

mod clickhouse;
mod mongodb;

use std::path::Path;

use serde::{Deserialize, Serialize};
use zenith_testkit::{Error, Result};

use super::servers::{Cost, DATABASE, Servers};

/// MongoDB's part: the whole collection in the order of storage.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct DrainRun {
    #[serde(flatten)]
    pub(super) cost: Cost,
    /// Processor time of the reader, most of it the kernel's copying out of the socket.
    pub(super) reader_cpu_seconds: f64,
    pub(super) replies: u64,
}

/// ClickHouse's part: the same table from a ready Arrow stream.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct InsertRun {
    #[serde(flatten)]
    pub(super) cost: Cost,
    /// Size of the Arrow stream.
    pub(super) bytes: u64,
    /// What ClickHouse did afterwards, until it had nothing to merge any more.
    pub(super) settling_clickhouse_cpu_seconds: f64,
}

/// Reads a collection whose documents have so many bytes in all, and does nothing with them.
pub(super) async fn drain(
    servers: &Servers,
    collection: &str,
    documents: u64,
    bytes: u64,
) -> Result<DrainRun> {
    let port = servers.mongodb_port();
    let name = collection.to_owned();
    let meter = servers.meter()?;
    let drained = blocking(move || mongodb::drain(port, DATABASE, &name, bytes / documents.max(1))).await?;
    let cost = meter.read(servers)?;
    if drained.bytes < bytes {
        let read = drained.bytes;
        return Err(Error::Server(format!("the bare reader got {read} of {bytes} bytes of {collection}")));
    }
    Ok(DrainRun { cost, reader_cpu_seconds: drained.reader_cpu_seconds, replies: drained.replies })
}

/// Reads the changes of a collection after `token` until one holds `marker`.
pub(super) async fn drain_changes(
    servers: &Servers,
    collection: &str,
    token: bson::Document,
    marker: String,
) -> Result<DrainRun> {
    let (port, name) = (servers.mongodb_port(), collection.to_owned());
    let meter = servers.meter()?;
    let drained = blocking(move || mongodb::drain_changes(port, DATABASE, &name, &token, &marker)).await?;
    let cost = meter.read(servers)?;
    Ok(DrainRun { cost, reader_cpu_seconds: drained.reader_cpu_seconds, replies: drained.replies })
}

/// Fetches a table as the Arrow stream that [`insert`] will send.
pub(super) async fn fetch(servers: &Servers, table: &str, file: &Path) -> Result<()> {
    let (host, port) = (servers.target.host().to_owned(), servers.target.port());
    let (table, file) = (table.to_owned(), file.to_owned());
    blocking(move || clickhouse::fetch(&host, port, DATABASE, &table, &file)).await
}

/// Inserts the stream into a new table with the columns and the key of `like`, and drops that table again.
pub(super) async fn insert(servers: &Servers, like: &str, rows: u64, file: &Path) -> Result<InsertRun> {
    let table = format!("{like}_floor");
    servers.drop_table(&table).await?;
    servers.target.query(&format!("CREATE TABLE `{table}` AS `{like}`")).await?;
    let (host, port) = (servers.target.host().to_owned(), servers.target.port());
    let (name, path) = (table.clone(), file.to_owned());
    let meter = servers.meter()?;
    let bytes = blocking(move || clickhouse::insert(&host, port, DATABASE, &name, &path)).await?;
    let cost = meter.read(servers)?;
    let settling = servers.meter()?;
    servers.settle().await?;
    let settling_clickhouse_cpu_seconds = settling.read(servers)?.clickhouse_cpu_seconds;
    let arrived = servers.rows_of(&table).await?;
    servers.drop_table(&table).await?;
    if arrived != rows {
        return Err(Error::Server(format!("the bare insert brought {arrived} of {rows} rows")));
    }
    Ok(InsertRun { cost, bytes, settling_clickhouse_cpu_seconds })
}

/// Runs blocking code on a thread of its own, whose processor time is then its own as well.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::Server(format!("a thread of the benchmark panicked: {error}")))?
}
