//! Conditions, requests and identities.

use std::time::{Duration, SystemTime};

use super::Sql;
use super::applied::expect_pipeline;
use super::session::Session;
use super::statement::{Row, query};
use super::values::{moment, nanoseconds};
use crate::{Condition, Identity, Outcome, Request, RequestEnd, Result, Since, StateError};

/// How long ended requests are kept.
const KEPT: Duration = Duration::from_secs(24 * 3600);
const COLUMNS: &str = "id, pipeline, action, arguments, requested_nanoseconds, taken_nanoseconds, is_cancelled, \
                       progress, ended_nanoseconds, outcome, result";

pub(crate) async fn note_conditions(store: &Sql, conditions: &[(String, Condition)]) -> Result<()> {
    let mut session = store.write("note how pipelines stand").await?;
    for (pipeline, condition) in conditions {
        // One that was removed meanwhile stands nowhere.
        let put = query(
            "INSERT INTO conditions \
                 (pipeline, waiting_for, waiting_nanoseconds, detached_by, detached_nanoseconds, \
                  source_ahead_nanoseconds, oplog_nanoseconds, part_count, noted_nanoseconds, applied_nanoseconds) \
             SELECT name, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM pipelines WHERE name = ? \
             ON CONFLICT (pipeline) DO UPDATE \
             SET waiting_for = excluded.waiting_for, waiting_nanoseconds = excluded.waiting_nanoseconds, \
                 detached_by = excluded.detached_by, detached_nanoseconds = excluded.detached_nanoseconds, \
                 source_ahead_nanoseconds = excluded.source_ahead_nanoseconds, \
                 oplog_nanoseconds = excluded.oplog_nanoseconds, part_count = excluded.part_count, \
                 noted_nanoseconds = excluded.noted_nanoseconds, \
                 applied_nanoseconds = excluded.applied_nanoseconds",
        );
        let reason = |since: &'_ Option<Since>| since.as_ref().map(|since| since.reason.clone());
        let begun = |since: &Option<Since>| since.as_ref().map(|since| nanoseconds(since.since));
        let put = put.bind(reason(&condition.waiting)).bind(begun(&condition.waiting));
        let put = put.bind(reason(&condition.detached)).bind(begun(&condition.detached));
        let put = put.bind(condition.source_ahead).bind(condition.oplog_from.map(nanoseconds));
        let put = put.bind(condition.parts.map(u64::cast_signed)).bind(nanoseconds(condition.noted));
        let put = put.bind(condition.applied_to.map(nanoseconds));
        session.execute(put.bind(pipeline)).await?;
    }
    session.commit().await
}

pub(crate) async fn conditions(store: &Sql) -> Result<Vec<(String, Condition)>> {
    let mut session = store.read("read how pipelines stand").await?;
    let all = query(
        "SELECT pipeline, waiting_for, waiting_nanoseconds, detached_by, detached_nanoseconds, \
                source_ahead_nanoseconds, oplog_nanoseconds, part_count, noted_nanoseconds, \
                applied_nanoseconds \
         FROM conditions ORDER BY pipeline",
    );
    let rows = session.rows(all).await?;
    let conditions = rows.iter().map(read_condition).collect::<sqlx::Result<_>>();
    let conditions = conditions.map_err(|error| session.fault(error))?;
    session.commit().await?;
    Ok(conditions)
}

fn read_condition(row: &Row) -> sqlx::Result<(String, Condition)> {
    let since = |column: usize| {
        let reason: Option<String> = row.try_get(column)?;
        let since: Option<i64> = row.try_get(column + 1)?;
        Ok::<_, sqlx::Error>(reason.zip(since).map(|(reason, since)| Since { reason, since: moment(since) }))
    };
    let condition = Condition {
        waiting: since(1)?,
        detached: since(3)?,
        source_ahead: row.try_get(5)?,
        oplog_from: row.try_get::<Option<i64>>(6)?.map(moment),
        parts: row.try_get::<Option<i64>>(7)?.map(i64::cast_unsigned),
        applied_to: row.try_get::<Option<i64>>(9)?.map(moment),
        noted: moment(row.try_get(8)?),
    };
    Ok((row.try_get(0)?, condition))
}

pub(crate) async fn add_request(store: &Sql, pipeline: &str, action: &str, arguments: &str) -> Result<i64> {
    let now = SystemTime::now();
    let mut session = store.write("ask something of the run").await?;
    let old = now.checked_sub(KEPT).unwrap_or(SystemTime::UNIX_EPOCH);
    session.execute(query("DELETE FROM requests WHERE ended_nanoseconds < ?").bind(nanoseconds(old))).await?;
    let put = query(
        "INSERT INTO requests (pipeline, action, arguments, requested_nanoseconds) VALUES (?, ?, ?, ?) RETURNING id",
    );
    let put = put.bind(pipeline).bind(action).bind(arguments).bind(nanoseconds(now));
    let row = session.row(put).await?.ok_or_else(|| session.damaged("a request got no number"))?;
    let id = row.try_get(0).map_err(|error| session.fault(error))?;
    session.commit().await?;
    Ok(id)
}

pub(crate) async fn open_requests(store: &Sql) -> Result<Vec<Request>> {
    let statement = format!("SELECT {COLUMNS} FROM requests WHERE outcome IS NULL ORDER BY id");
    let mut session = store.read("read what is asked of the run").await?;
    let rows = session.rows(query(statement)).await?;
    let requests = rows.iter().map(|row| read_request(&session, row)).collect::<Result<_>>()?;
    session.commit().await?;
    Ok(requests)
}

pub(crate) async fn request(store: &Sql, id: i64) -> Result<Option<Request>> {
    let statement = format!("SELECT {COLUMNS} FROM requests WHERE id = ?");
    let mut session = store.read("read a request").await?;
    let row = session.row(query(statement).bind(id)).await?;
    let request = row.map(|row| read_request(&session, &row)).transpose()?;
    session.commit().await?;
    Ok(request)
}

fn read_request(session: &Session<'_>, row: &Row) -> Result<Request> {
    let failed = |error| session.fault(error);
    let outcome = match row.try_get::<Option<String>>(9).map_err(failed)?.as_deref() {
        None => None,
        Some("done") => Some(Outcome::Done),
        Some("stopped") => Some(Outcome::Stopped),
        Some("failed") => Some(Outcome::Failed),
        Some(other) => return Err(session.damaged(format!("a request has the outcome {other:?}"))),
    };
    let ended = row.try_get::<Option<i64>>(8).map_err(failed)?;
    let end = match ended.zip(outcome) {
        Some((ended, outcome)) => {
            let result = row.try_get(10).map_err(failed)?;
            Some(RequestEnd { ended: moment(ended), outcome, result })
        }
        None => None,
    };
    Ok(Request {
        id: row.try_get(0).map_err(failed)?,
        pipeline: row.try_get(1).map_err(failed)?,
        action: row.try_get(2).map_err(failed)?,
        arguments: row.try_get(3).map_err(failed)?,
        requested: moment(row.try_get(4).map_err(failed)?),
        taken: row.try_get::<Option<i64>>(5).map_err(failed)?.map(moment),
        cancelled: row.try_get::<i64>(6).map_err(failed)? != 0,
        progress: row.try_get(7).map_err(failed)?,
        end,
    })
}

pub(crate) async fn take_request(store: &Sql, id: i64) -> Result<bool> {
    let take = query(
        "UPDATE requests SET taken_nanoseconds = ? \
         WHERE id = ? AND taken_nanoseconds IS NULL AND outcome IS NULL AND is_cancelled = 0",
    );
    let mut session = store.write("take a request").await?;
    let taken = session.execute(take.bind(nanoseconds(SystemTime::now())).bind(id)).await? > 0;
    session.commit().await?;
    Ok(taken)
}

pub(crate) async fn note_request(store: &Sql, id: i64, progress: &str) -> Result<()> {
    let put = query("UPDATE requests SET progress = ? WHERE id = ? AND outcome IS NULL");
    let mut session = store.write("note how far a request is").await?;
    session.execute(put.bind(progress).bind(id)).await?;
    session.commit().await
}

pub(crate) async fn cancel_request(store: &Sql, id: i64) -> Result<()> {
    let mut session = store.write("take a request back").await?;
    session.execute(query("UPDATE requests SET is_cancelled = 1 WHERE id = ?").bind(id)).await?;
    session.commit().await
}

pub(crate) async fn end_request(store: &Sql, id: i64, end: &RequestEnd) -> Result<()> {
    let put = query("UPDATE requests SET ended_nanoseconds = ?, outcome = ?, result = ? WHERE id = ?");
    let put = put.bind(nanoseconds(end.ended)).bind(end.outcome.as_str()).bind(&end.result).bind(id);
    let mut session = store.write("end a request").await?;
    if session.execute(put).await? == 0 {
        return Err(StateError::Missing { what: "request", name: id.to_string() });
    }
    session.commit().await
}

pub(crate) async fn identity(store: &Sql, pipeline: &str) -> Result<Option<Identity>> {
    let mut session = store.read("read which databases a pipeline knows").await?;
    let found = query("SELECT source, target FROM identities WHERE pipeline = ?").bind(pipeline);
    let row = session.row(found).await?;
    let read = |row: Row| Ok::<_, sqlx::Error>(Identity { source: row.try_get(0)?, target: row.try_get(1)? });
    let identity = row.map(read).transpose().map_err(|error| session.fault(error))?;
    session.commit().await?;
    Ok(identity)
}

pub(crate) async fn set_identity(store: &Sql, pipeline: &str, identity: &Identity) -> Result<()> {
    let mut session = store.write("note which databases a pipeline knows").await?;
    expect_pipeline(&mut session, pipeline).await?;
    let put = query(
        "INSERT INTO identities (pipeline, source, target) VALUES (?, ?, ?) \
         ON CONFLICT (pipeline) DO UPDATE SET source = excluded.source, target = excluded.target",
    );
    session.execute(put.bind(pipeline).bind(&identity.source).bind(&identity.target)).await?;
    session.commit().await
}
