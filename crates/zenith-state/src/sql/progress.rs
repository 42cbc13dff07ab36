//! Checkpoints, intents and epochs: how far a pipeline has come.
//!
//! SQL enforces twice that a checkpoint only moves forward: by the condition of the
//! statement that moves it, whose effect is checked, and by a trigger for every other statement.

use std::collections::BTreeMap;

use super::Sql;
use super::applied::{begin_epoch, expect_pipeline};
use super::mismatches;
use super::session::Session;
use super::statement::{Row, query};
use super::values::{moment, nanoseconds};
use crate::{Checkpoint, Intent, Mismatches, Result, StateError};

pub(crate) async fn checkpoint(store: &Sql, pipeline: &str) -> Result<Option<Checkpoint>> {
    let mut session = store.read("read a checkpoint").await?;
    let found = query(
        "SELECT position, sort_key, source_nanoseconds, row_count, saved_nanoseconds \
         FROM checkpoints WHERE pipeline = ?",
    );
    let found = session.row(found.bind(pipeline)).await?;
    let checkpoint = found.map(|row| read_checkpoint(&row)).transpose();
    let checkpoint = checkpoint.map_err(|error| session.fault(error))?;
    session.commit().await?;
    Ok(checkpoint)
}

fn read_checkpoint(row: &Row) -> sqlx::Result<Checkpoint> {
    Ok(Checkpoint {
        position: row.try_get(0)?,
        order: row.try_get(1)?,
        source_time: row.try_get::<Option<i64>>(2)?.map(moment),
        rows: row.try_get::<i64>(3)?.cast_unsigned(),
        saved: moment(row.try_get(4)?),
    })
}

pub(crate) async fn advance(store: &Sql, pipeline: &str, checkpoint: &Checkpoint) -> Result<()> {
    let mut session = store.write_of("save a checkpoint", pipeline).await?;
    expect_pipeline(&mut session, pipeline).await?;
    move_forward(&mut session, pipeline, checkpoint).await?;
    session.commit().await
}

/// Saves a checkpoint unless it lies before the one there is.
async fn move_forward(session: &mut Session<'_>, pipeline: &str, checkpoint: &Checkpoint) -> Result<()> {
    let put = query(
        "INSERT INTO checkpoints \
             (pipeline, position, sort_key, source_nanoseconds, row_count, saved_nanoseconds) \
         VALUES (?, ?, ?, ?, ?, ?) \
         ON CONFLICT (pipeline) DO UPDATE \
         SET position = excluded.position, sort_key = excluded.sort_key, \
             source_nanoseconds = excluded.source_nanoseconds, row_count = excluded.row_count, \
             saved_nanoseconds = excluded.saved_nanoseconds \
         WHERE excluded.sort_key >= checkpoints.sort_key",
    );
    let put = put.bind(pipeline).bind(&checkpoint.position[..]).bind(&checkpoint.order[..]);
    let put = put.bind(checkpoint.source_time.map(nanoseconds)).bind(checkpoint.rows.cast_signed());
    match session.execute(put.bind(nanoseconds(checkpoint.saved))).await? {
        0 => Err(StateError::Backwards { pipeline: pipeline.to_owned() }),
        _ => Ok(()),
    }
}

pub(crate) async fn begin_intent(store: &Sql, intent: &Intent) -> Result<()> {
    let mut session = store.write_of("note an insert", &intent.pipeline).await?;
    expect_pipeline(&mut session, &intent.pipeline).await?;
    let put = query(
        "INSERT INTO intents \
             (pipeline, token, from_position, to_position, row_count, created_nanoseconds) \
         VALUES (?, ?, ?, ?, ?, ?) \
         ON CONFLICT (pipeline, token) DO NOTHING",
    );
    let put = put.bind(&intent.pipeline).bind(&intent.token).bind(&intent.from[..]).bind(&intent.to[..]);
    let put = put.bind(intent.rows.cast_signed()).bind(nanoseconds(intent.created));
    if session.execute(put).await? == 0 {
        let (pipeline, token) = (intent.pipeline.clone(), intent.token.clone());
        return Err(StateError::IntentExists { pipeline, token });
    }
    session.commit().await
}

pub(crate) async fn commit_intent(
    store: &Sql,
    pipeline: &str,
    token: &str,
    checkpoint: &Checkpoint,
    mismatches: &Mismatches,
) -> Result<()> {
    let mut session = store.write_of("commit an insert", pipeline).await?;
    close_intent(&mut session, pipeline, token).await?;
    move_forward(&mut session, pipeline, checkpoint).await?;
    mismatches::count(&mut session, pipeline, mismatches, checkpoint.saved).await?;
    session.commit().await
}

pub(crate) async fn abandon_intent(store: &Sql, pipeline: &str, token: &str) -> Result<()> {
    let mut session = store.write_of("abandon an insert", pipeline).await?;
    close_intent(&mut session, pipeline, token).await?;
    session.commit().await
}

async fn close_intent(session: &mut Session<'_>, pipeline: &str, token: &str) -> Result<()> {
    let close = query("DELETE FROM intents WHERE pipeline = ? AND token = ?").bind(pipeline).bind(token);
    if session.execute(close).await? > 0 {
        return Ok(());
    }
    expect_pipeline(session, pipeline).await?;
    Err(StateError::UnknownIntent { pipeline: pipeline.to_owned(), token: token.to_owned() })
}

pub(crate) async fn open_intents(store: &Sql, pipeline: &str) -> Result<Vec<Intent>> {
    let mut session = store.read("read the open inserts").await?;
    let open = query(
        "SELECT token, from_position, to_position, row_count, created_nanoseconds \
         FROM intents WHERE pipeline = ? ORDER BY number",
    );
    let rows = session.rows(open.bind(pipeline)).await?;
    let intents = rows.iter().map(|row| read_intent(pipeline, row)).collect::<sqlx::Result<_>>();
    let intents = intents.map_err(|error| session.fault(error))?;
    session.commit().await?;
    Ok(intents)
}

fn read_intent(pipeline: &str, row: &Row) -> sqlx::Result<Intent> {
    Ok(Intent {
        pipeline: pipeline.to_owned(),
        token: row.try_get(0)?,
        from: row.try_get(1)?,
        to: row.try_get(2)?,
        rows: row.try_get::<i64>(3)?.cast_unsigned(),
        created: moment(row.try_get(4)?),
    })
}

pub(crate) async fn reset(store: &Sql, pipeline: &str, checkpoint: Option<&Checkpoint>) -> Result<()> {
    let mut session = store.write("reset a pipeline").await?;
    expect_pipeline(&mut session, pipeline).await?;
    for forget in [
        "DELETE FROM checkpoints WHERE pipeline = ?",
        "DELETE FROM intents WHERE pipeline = ?",
        "DELETE FROM snapshots WHERE pipeline = ?",
        "UPDATE conditions SET applied_nanoseconds = NULL WHERE pipeline = ?",
    ] {
        session.execute(query(forget).bind(pipeline)).await?;
    }
    if let Some(checkpoint) = checkpoint {
        move_forward(&mut session, pipeline, checkpoint).await?;
    }
    begin_epoch(&mut session, pipeline).await?;
    session.commit().await
}

pub(crate) async fn epochs(store: &Sql) -> Result<BTreeMap<String, u64>> {
    let mut session = store.read("read the epochs").await?;
    let all = "SELECT name, coalesce(epoch, 0) FROM pipelines LEFT JOIN epochs ON pipeline = name";
    let rows = session.rows(query(all)).await?;
    let mut epochs = BTreeMap::new();
    for row in rows {
        let name = row.try_get(0).map_err(|error| session.fault(error))?;
        let epoch: i64 = row.try_get(1).map_err(|error| session.fault(error))?;
        epochs.insert(name, epoch.cast_unsigned());
    }
    session.commit().await?;
    Ok(epochs)
}

pub(crate) async fn epoch(store: &Sql, pipeline: &str) -> Result<u64> {
    let mut session = store.read("read an epoch").await?;
    let found = session.row(query("SELECT epoch FROM epochs WHERE pipeline = ?").bind(pipeline)).await?;
    let epoch = found.map_or(Ok(0), |row| row.try_get::<i64>(0)).map_err(|error| session.fault(error))?;
    session.commit().await?;
    Ok(epoch.cast_unsigned())
}
