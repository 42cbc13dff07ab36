//! Marks of those who write a table: a small table of versions, with the times of the server.

use std::time::Duration;

use serde::Deserialize;

use super::ClickHouseSink;
use crate::Result;
use crate::ddl::{identifier, literal};
use crate::sink::{FoundOwner, OwnerMark};
use crate::statement::Statement;

/// Columns of the marks that are written as they are given.
const GIVEN: [&str; 6] = ["table", "owner", "life", "pipeline", "host", "process"];

/// Marks in one statement, which a server takes up to 256 KiB of.
const TOGETHER: usize = 200;

#[derive(Deserialize)]
struct Row {
    table: String,
    owner: String,
    life: String,
    pipeline: String,
    host: String,
    process: u32,
    taken_us: i64,
    is_released: u8,
    silent_ms: u64,
}

pub(super) async fn find(sink: &ClickHouseSink, marks: &str, tables: &[String]) -> Result<Vec<FoundOwner>> {
    let mut found = Vec::new();
    for together in tables.chunks(TOGETHER) {
        found.extend(find_together(sink, marks, together).await?);
    }
    Ok(found)
}

async fn find_together(sink: &ClickHouseSink, marks: &str, tables: &[String]) -> Result<Vec<FoundOwner>> {
    let name = sink.full_name(marks);
    let wanted: Vec<String> = tables.iter().map(|table| literal(table)).collect();
    // A server that was down has kept everybody from renewing a mark.
    let sql = format!(
        "SELECT {}, toUnixTimestamp64Micro(taken) AS taken_us, is_released, \
         toUInt64(greatest(0, least(dateDiff('millisecond', renewed, now64(6)), toInt64(uptime()) * 1000))) AS silent_ms \
         FROM {name} FINAL WHERE `table` IN ({})",
        GIVEN.map(identifier).join(", "),
        wanted.join(", ")
    );
    let statement = Statement::new(format!("looking into {name} for others who write the table"), sql);
    match sink.session.rows::<Row>(statement).await {
        Ok(rows) => Ok(rows.into_iter().map(found).collect()),
        Err(error) if error.is_unknown_table() || error.is_unknown_database() => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn found(row: Row) -> FoundOwner {
    FoundOwner {
        mark: OwnerMark {
            table: row.table,
            owner: row.owner,
            life: row.life,
            pipeline: row.pipeline,
            host: row.host,
            process: row.process,
            taken: Some(row.taken_us),
            is_released: row.is_released != 0,
        },
        silent_for: Duration::from_millis(row.silent_ms),
    }
}

pub(super) async fn mark(sink: &ClickHouseSink, marks: &str, owners: &[OwnerMark]) -> Result<()> {
    for together in owners.chunks(TOGETHER) {
        match insert(sink, marks, together).await {
            Err(error) if error.is_unknown_table() => {
                create(sink, marks).await?;
                insert(sink, marks, together).await?;
            }
            marked => marked?,
        }
    }
    Ok(())
}

async fn create(sink: &ClickHouseSink, marks: &str) -> Result<()> {
    let name = sink.full_name(marks);
    let sql = format!(
        "CREATE TABLE IF NOT EXISTS {name} (`table` String, `owner` String, `life` String, `pipeline` String, \
         `host` String, `process` UInt32, `taken` DateTime64(6, 'UTC'), `renewed` DateTime64(6, 'UTC'), \
         `is_released` UInt8) ENGINE = ReplacingMergeTree(`renewed`) ORDER BY (`table`, `owner`) COMMENT {}",
        literal("Who writes the tables of Zenith, so that two who write one see each other.")
    );
    sink.run(format!("creating the table {name}"), &sql).await
}

async fn insert(sink: &ClickHouseSink, marks: &str, owners: &[OwnerMark]) -> Result<()> {
    let name = sink.full_name(marks);
    // The values of an INSERT are the client's in the native protocol, and functions that make tables need a privilege.
    let rows: Vec<String> = owners.iter().map(row).collect();
    let given: Vec<String> =
        GIVEN.iter().enumerate().map(|(place, _)| format!("row.{}", place + 1)).collect();
    let sql = format!(
        "INSERT INTO {name} ({}, `taken`, `renewed`, `is_released`) \
         SELECT {}, if(row.7 = 0, now64(6), fromUnixTimestamp64Micro(row.7)), now64(6), row.8 \
         FROM (SELECT arrayJoin([{}]) AS row)",
        GIVEN.map(identifier).join(", "),
        given.join(", "),
        rows.join(", ")
    );
    sink.run(format!("marking tables as written in {name}"), &sql).await
}

fn row(mark: &OwnerMark) -> String {
    format!(
        "({}, {}, {}, {}, {}, toUInt32({}), toInt64({}), toUInt8({}))",
        literal(&mark.table),
        literal(&mark.owner),
        literal(&mark.life),
        literal(&mark.pipeline),
        literal(&mark.host),
        mark.process,
        mark.taken.unwrap_or(0),
        u8::from(mark.is_released)
    )
}
