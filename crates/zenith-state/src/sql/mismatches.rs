//! What of documents did not fit, by slots of time. The table is called `misfits`, as in the first states that had it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use super::Sql;
use super::applied::expect_pipeline;
use super::session::Session;
use super::statement::{Row, query};
use crate::mismatches::{ALL, first_kept, left, moment, slot};
use crate::{Mismatches, Result};

const VALUE: &str = "value";
const DOCUMENT: &str = "document";

pub(crate) async fn read(store: &Sql, pipeline: &str, after: Option<SystemTime>) -> Result<Mismatches> {
    let (first, last) = after.map_or((ALL, ALL), |after| (slot(after), i64::MAX));
    let mut sum = Mismatches::default();
    for (_, mismatches) in between(store, pipeline, first, last).await? {
        sum.add(&mismatches);
    }
    Ok(sum)
}

pub(crate) async fn slots(store: &Sql, pipeline: &str) -> Result<Vec<(SystemTime, Mismatches)>> {
    let found = between(store, pipeline, first_kept(SystemTime::now()), i64::MAX).await?;
    Ok(found.into_iter().map(|(slot, mismatches)| (moment(slot), mismatches)).collect())
}

/// What did not fit in slots from `first` to `last`.
async fn between(store: &Sql, pipeline: &str, first: i64, last: i64) -> Result<BTreeMap<i64, Mismatches>> {
    let mut session = store.read("read what did not fit").await?;
    let counted = query(
        "SELECT kind, field, reason, amount, slot FROM misfits WHERE pipeline = ? AND slot BETWEEN ? AND ?",
    );
    let mut slots: BTreeMap<i64, Mismatches> = BTreeMap::new();
    for row in session.rows(counted.bind(pipeline).bind(first).bind(last)).await? {
        let text = |column| row.try_get::<String>(column).map_err(|error| session.fault(error));
        let number = |column| row.try_get::<i64>(column).map_err(|error| session.fault(error));
        let (kind, field, reason) = (text(0)?, text(1)?, text(2)?);
        let mismatches = slots.entry(number(4)?).or_default();
        let reasons = match kind.as_str() {
            VALUE => mismatches.values.entry(field).or_default(),
            DOCUMENT => &mut mismatches.documents,
            other => return Err(session.damaged(format!("something of the kind {other:?} did not fit"))),
        };
        reasons.insert(reason, number(3)?.cast_unsigned());
    }
    session.commit().await?;
    Ok(slots)
}

pub(crate) async fn set(store: &Sql, pipeline: &str, mismatches: &Mismatches) -> Result<()> {
    let mut session = store.write("set what did not fit").await?;
    expect_pipeline(&mut session, pipeline).await?;
    session.execute(query("DELETE FROM misfits WHERE pipeline = ?").bind(pipeline)).await?;
    count(&mut session, pipeline, mismatches, SystemTime::now()).await?;
    session.commit().await
}

pub(crate) async fn settle(store: &Sql, pipeline: &str, letters: &BTreeMap<String, u64>) -> Result<()> {
    let mut session = store.write("take settled dead letters off").await?;
    for (reason, settled) in letters {
        let counted = query(
            "SELECT slot, amount FROM misfits WHERE pipeline = ? AND kind = ? AND reason = ? ORDER BY slot DESC",
        );
        let rows = session.rows(counted.bind(pipeline).bind(DOCUMENT).bind(reason)).await?;
        let number = |row: &Row, column| row.try_get::<i64>(column);
        let counted: sqlx::Result<Vec<(i64, u64)>> =
            rows.iter().map(|row| Ok((number(row, 0)?, number(row, 1)?.cast_unsigned()))).collect();
        for (slot, amount) in left(counted.map_err(|error| session.fault(error))?, *settled) {
            let change = match amount {
                0 => query("DELETE FROM misfits WHERE pipeline = ? AND kind = ? AND reason = ? AND slot = ?"),
                _ => query(
                    "UPDATE misfits SET amount = ?5 WHERE pipeline = ?1 AND kind = ?2 AND reason = ?3 AND slot = ?4",
                ),
            };
            let change = change.bind(pipeline).bind(DOCUMENT).bind(reason).bind(slot);
            let change = if amount == 0 { change } else { change.bind(amount.cast_signed()) };
            session.execute(change).await?;
        }
    }
    session.commit().await
}

pub(crate) async fn recount(
    store: &Sql,
    pipeline: &str,
    fields: &[String],
    reason: &str,
    instead: &Mismatches,
) -> Result<()> {
    let mut session = store.write("count values again").await?;
    expect_pipeline(&mut session, pipeline).await?;
    for field in fields {
        let parts = format!("{field}.");
        let forget = query(
            "DELETE FROM misfits WHERE pipeline = ?1 AND kind = ?2 AND reason = ?3 \
             AND (field = ?4 OR substr(field, 1, length(?5)) = ?5)",
        );
        let forget = forget.bind(pipeline).bind(VALUE).bind(reason);
        session.execute(forget.bind(field).bind(parts)).await?;
    }
    count(&mut session, pipeline, instead, SystemTime::now()).await?;
    session.commit().await
}

/// Adds to what was counted, within a transaction that also says of which rows they are.
pub(crate) async fn count(
    session: &mut Session<'_>,
    pipeline: &str,
    mismatches: &Mismatches,
    at: SystemTime,
) -> Result<()> {
    if mismatches.is_empty() {
        return Ok(());
    }
    let fields = "SELECT DISTINCT field FROM misfits WHERE pipeline = ? AND slot = ? AND kind = ?";
    let fields = known(session, fields, pipeline, VALUE).await?;
    let reasons = "SELECT reason FROM misfits WHERE pipeline = ? AND slot = ? AND kind = ?";
    let reasons = known(session, reasons, pipeline, DOCUMENT).await?;
    let mismatches = mismatches.bounded(fields, reasons);
    for slot in [ALL, slot(at)] {
        for (field, reasons) in &mismatches.values {
            for (reason, amount) in reasons {
                add(session, pipeline, slot, [VALUE, field, reason], *amount).await?;
            }
        }
        for (reason, amount) in &mismatches.documents {
            add(session, pipeline, slot, [DOCUMENT, "", reason], *amount).await?;
        }
    }
    let forget = query("DELETE FROM misfits WHERE pipeline = ? AND slot > ? AND slot < ?");
    session.execute(forget.bind(pipeline).bind(ALL).bind(first_kept(at))).await?;
    Ok(())
}

async fn add(
    session: &mut Session<'_>,
    pipeline: &str,
    slot: i64,
    [kind, field, reason]: [&str; 3],
    amount: u64,
) -> Result<()> {
    let add = query(
        "INSERT INTO misfits (pipeline, slot, kind, field, reason, amount) VALUES (?, ?, ?, ?, ?, ?) \
         ON CONFLICT (pipeline, slot, kind, field, reason) DO UPDATE SET amount = misfits.amount + excluded.amount",
    );
    let add = add.bind(pipeline).bind(slot).bind(kind).bind(field).bind(reason);
    session.execute(add.bind(amount.cast_signed())).await?;
    Ok(())
}

/// The names under which something is counted already.
async fn known(
    session: &mut Session<'_>,
    names: &'static str,
    pipeline: &str,
    kind: &str,
) -> Result<BTreeSet<String>> {
    let rows = session.rows(query(names).bind(pipeline).bind(ALL).bind(kind)).await?;
    rows.iter().map(|row| row.try_get(0).map_err(|error| session.fault(error))).collect()
}
