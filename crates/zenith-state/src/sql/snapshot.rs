//! The snapshot under way and its partitions.

use std::collections::HashSet;
use std::time::SystemTime;

use super::Sql;
use super::applied::expect_pipeline;
use super::mismatches;
use super::session::Session;
use super::statement::{Row, query};
use super::values::{moment, nanoseconds, small};
use crate::{Mismatches, Result, Snapshot, SnapshotPartition, StateError};

pub(crate) async fn snapshot(store: &Sql, pipeline: &str) -> Result<Option<Snapshot>> {
    let mut session = store.read("read a snapshot").await?;
    let found = query(
        "SELECT started_nanoseconds, version, read_from, consistent_after FROM snapshots WHERE pipeline = ?",
    );
    let Some(row) = session.row(found.bind(pipeline)).await? else {
        session.commit().await?;
        return Ok(None);
    };
    let partitions = read_partitions(&mut session, pipeline).await?;
    let snapshot = read_snapshot(&row, partitions).map_err(|error| session.fault(error))?;
    session.commit().await?;
    Ok(Some(snapshot))
}

fn read_snapshot(row: &Row, partitions: Vec<SnapshotPartition>) -> sqlx::Result<Snapshot> {
    Ok(Snapshot {
        started: moment(row.try_get(0)?),
        version: row.try_get::<i64>(1)?.cast_unsigned(),
        read_from: row.try_get(2)?,
        partitions,
        consistent_after: row.try_get(3)?,
    })
}

async fn read_partitions(session: &mut Session<'_>, pipeline: &str) -> Result<Vec<SnapshotPartition>> {
    let all = query(
        "SELECT number, partition, done, row_count FROM snapshot_partitions WHERE pipeline = ? ORDER BY number",
    );
    let rows = session.rows(all.bind(pipeline)).await?;
    let mut partitions = Vec::with_capacity(rows.len());
    for row in rows {
        let get = |column| row.try_get::<i64>(column).map_err(|error| session.fault(error));
        partitions.push(SnapshotPartition {
            index: small(session.path(), get(0)?)?,
            partition: row.try_get(1).map_err(|error| session.fault(error))?,
            done: get(2)? != 0,
            rows: get(3)?.cast_unsigned(),
        });
    }
    Ok(partitions)
}

pub(crate) async fn begin(store: &Sql, pipeline: &str, snapshot: &Snapshot) -> Result<()> {
    let mut seen = HashSet::with_capacity(snapshot.partitions.len());
    if let Some(repeated) = snapshot.partitions.iter().find(|partition| !seen.insert(partition.index)) {
        return Err(StateError::RepeatedPartition { pipeline: pipeline.to_owned(), index: repeated.index });
    }
    let mut session = store.write_of("begin a snapshot", pipeline).await?;
    expect_pipeline(&mut session, pipeline).await?;
    session.execute(query("DELETE FROM snapshots WHERE pipeline = ?").bind(pipeline)).await?;
    let put = query(
        "INSERT INTO snapshots (pipeline, started_nanoseconds, version, read_from, consistent_after) \
         VALUES (?, ?, ?, ?, ?)",
    );
    let put = put.bind(pipeline).bind(nanoseconds(snapshot.started)).bind(snapshot.version.cast_signed());
    let put = put.bind(&snapshot.read_from[..]).bind(snapshot.consistent_after.as_deref());
    session.execute(put).await?;
    for partition in &snapshot.partitions {
        let put = query(
            "INSERT INTO snapshot_partitions (pipeline, number, partition, done, row_count) \
             VALUES (?, ?, ?, ?, ?)",
        );
        let put = put.bind(pipeline).bind(partition.index).bind(&partition.partition[..]);
        session.execute(put.bind(partition.done).bind(partition.rows.cast_signed())).await?;
    }
    session.commit().await
}

pub(crate) async fn finish_partitions(
    store: &Sql,
    pipeline: &str,
    parts: &[(u32, u64)],
    mismatches: &Mismatches,
) -> Result<()> {
    let mut session = store.write_of("finish partitions", pipeline).await?;
    expect_snapshot(&mut session, pipeline).await?;
    let mut is_new = false;
    for (index, rows) in parts {
        let before = query("SELECT done FROM snapshot_partitions WHERE pipeline = ? AND number = ?");
        let Some(before) = session.row(before.bind(pipeline).bind(index)).await? else {
            return Err(StateError::Missing { what: "partition of the snapshot", name: index.to_string() });
        };
        is_new |= before.try_get::<i64>(0).map_err(|error| session.fault(error))? == 0;
        let done =
            query("UPDATE snapshot_partitions SET done = 1, row_count = ? WHERE pipeline = ? AND number = ?");
        session.execute(done.bind(rows.cast_signed()).bind(pipeline).bind(index)).await?;
    }
    if is_new {
        mismatches::count(&mut session, pipeline, mismatches, SystemTime::now()).await?;
    }
    session.commit().await
}

pub(crate) async fn finish(store: &Sql, pipeline: &str, consistent_after: &[u8]) -> Result<()> {
    let mut session = store.write_of("finish a snapshot", pipeline).await?;
    expect_snapshot(&mut session, pipeline).await?;
    let count = query("SELECT count(*) FROM snapshot_partitions WHERE pipeline = ? AND done = 0");
    let count = session.row(count.bind(pipeline)).await?;
    let unfinished = count.map_or(Ok(0), |row| row.try_get::<i64>(0));
    let unfinished = unfinished.map_err(|error| session.fault(error))?.cast_unsigned();
    if unfinished > 0 {
        return Err(StateError::Unfinished { pipeline: pipeline.to_owned(), partitions: unfinished });
    }
    let finish = query("UPDATE snapshots SET consistent_after = ? WHERE pipeline = ?");
    session.execute(finish.bind(consistent_after).bind(pipeline)).await?;
    session.commit().await
}

async fn expect_snapshot(session: &mut Session<'_>, pipeline: &str) -> Result<()> {
    expect_pipeline(session, pipeline).await?;
    let found = session.row(query("SELECT 1 FROM snapshots WHERE pipeline = ?").bind(pipeline)).await?;
    found
        .map(|_| ())
        .ok_or_else(|| StateError::Missing { what: "snapshot of the pipeline", name: pipeline.to_owned() })
}
