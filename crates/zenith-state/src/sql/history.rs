//! The history of runs.

use std::time::SystemTime;

use super::Sql;
use super::session::Session;
use super::statement::{Row, Statement, query};
use super::values::{moment, nanoseconds};
use crate::{Figures, INTERRUPTED, Outcome, RUNS_MAX, Result, Run, RunEnd, RunStart, StateError};

pub(crate) async fn start(store: &Sql, run: &RunStart) -> Result<i64> {
    let mut session = store.write("begin a run").await?;
    let put = query(
        "INSERT INTO runs (pipeline, mode, zenith_version, started_nanoseconds, row_count, byte_count) \
         VALUES (?, ?, ?, ?, 0, 0) RETURNING id",
    );
    let put = put.bind(&run.pipeline).bind(&run.mode).bind(&run.version).bind(nanoseconds(run.started));
    let row = session.row(put).await?.ok_or_else(|| session.damaged("a run got no number"))?;
    let id = row.try_get(0).map_err(|error| session.fault(error))?;
    let forget = query(
        "DELETE FROM runs WHERE pipeline = ?1 AND id <= \
         (SELECT id FROM runs WHERE pipeline = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
    );
    session.execute(forget.bind(&run.pipeline).bind(RUNS_MAX)).await?;
    session.commit().await?;
    Ok(id)
}

pub(crate) async fn finish(store: &Sql, id: i64, end: &RunEnd) -> Result<()> {
    let mut session = store.write("end a run").await?;
    let put = query(
        "UPDATE runs \
         SET ended_nanoseconds = ?, outcome = ?, error = ?, \
             row_count = ?, byte_count = ?, extra_count = ?, letter_count = ? WHERE id = ?",
    );
    let put = put.bind(nanoseconds(end.ended)).bind(end.outcome.as_str()).bind(end.error.as_deref());
    let put = bind_figures(put, end.figures).bind(id);
    if session.execute(put).await? == 0 {
        return Err(missing(id));
    }
    session.commit().await
}

fn bind_figures(statement: Statement, figures: Figures) -> Statement {
    let Figures { rows, bytes, extra_values, dead_letters } = figures;
    [rows, bytes, extra_values, dead_letters]
        .into_iter()
        .fold(statement, |statement, figure| statement.bind(figure.cast_signed()))
}

pub(crate) async fn touch(store: &Sql, id: i64, figures: Figures) -> Result<()> {
    let mut session = store.write("note the figures of a run").await?;
    let put = query(
        "UPDATE runs SET row_count = ?, byte_count = ?, extra_count = ?, letter_count = ? \
         WHERE id = ? AND outcome IS NULL",
    );
    let changed = session.execute(bind_figures(put, figures).bind(id)).await?;
    if changed == 0 && session.row(query("SELECT 1 FROM runs WHERE id = ?").bind(id)).await?.is_none() {
        return Err(missing(id));
    }
    session.commit().await
}

/// Ends the runs of processes that did not come to it. The caller has the lock.
pub(crate) async fn mark_interrupted(store: &Sql, now: SystemTime) -> Result<()> {
    let mut session = store.write("end the runs of a crash").await?;
    let put = query("UPDATE runs SET ended_nanoseconds = ?, outcome = ?, error = ? WHERE outcome IS NULL");
    let put = put.bind(nanoseconds(now)).bind(Outcome::Failed.as_str()).bind(INTERRUPTED);
    session.execute(put).await?;
    session.commit().await
}

pub(crate) async fn runs(store: &Sql, pipeline: Option<&str>, limit: u32) -> Result<Vec<Run>> {
    let mut session = store.read("read the history").await?;
    let newest = match pipeline {
        Some(pipeline) => query(
            "SELECT id, pipeline, mode, zenith_version, started_nanoseconds, ended_nanoseconds, outcome, \
                    row_count, byte_count, extra_count, letter_count, error \
             FROM runs WHERE pipeline = ? ORDER BY id DESC LIMIT ?",
        )
        .bind(pipeline),
        None => query(
            "SELECT id, pipeline, mode, zenith_version, started_nanoseconds, ended_nanoseconds, outcome, \
                    row_count, byte_count, extra_count, letter_count, error \
             FROM runs ORDER BY id DESC LIMIT ?",
        ),
    };
    let rows = session.rows(newest.bind(limit)).await?;
    let runs = rows.iter().map(|row| read_run(&session, row)).collect::<Result<_>>()?;
    session.commit().await?;
    Ok(runs)
}

fn read_run(session: &Session<'_>, row: &Row) -> Result<Run> {
    let failed = |error| session.fault(error);
    let outcome = match row.try_get::<Option<String>>(6).map_err(failed)?.as_deref() {
        None => None,
        Some("done") => Some(Outcome::Done),
        Some("stopped") => Some(Outcome::Stopped),
        Some("failed") => Some(Outcome::Failed),
        Some(other) => return Err(session.damaged(format!("a run has the outcome {other:?}"))),
    };
    let number = |column| row.try_get::<i64>(column).map_err(failed);
    Ok(Run {
        id: number(0)?,
        pipeline: row.try_get(1).map_err(failed)?,
        mode: row.try_get(2).map_err(failed)?,
        version: row.try_get(3).map_err(failed)?,
        started: moment(number(4)?),
        ended: row.try_get::<Option<i64>>(5).map_err(failed)?.map(moment),
        outcome,
        figures: Figures {
            rows: number(7)?.cast_unsigned(),
            bytes: number(8)?.cast_unsigned(),
            extra_values: number(9)?.cast_unsigned(),
            dead_letters: number(10)?.cast_unsigned(),
        },
        error: row.try_get(11).map_err(failed)?,
    })
}

fn missing(id: i64) -> StateError {
    StateError::Missing { what: "run", name: id.to_string() }
}
