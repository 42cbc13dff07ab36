//! Who changed what.

use super::Sql;
use super::statement::query;
use super::values::{moment, nanoseconds};
use crate::{AUDIT_MAX, AuditEntry, Result};

pub(crate) async fn note(store: &Sql, entry: &AuditEntry) -> Result<()> {
    let mut session = store.write("note a change").await?;
    let put = query(
        "INSERT INTO audit (at_nanoseconds, who, address, action, subject, details) VALUES (?, ?, ?, ?, ?, ?)",
    );
    let put = put.bind(nanoseconds(entry.at)).bind(&entry.who).bind(&entry.address).bind(&entry.action);
    session.execute(put.bind(&entry.subject).bind(&entry.details)).await?;
    let forget = query("DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - ?");
    session.execute(forget.bind(AUDIT_MAX)).await?;
    session.commit().await
}

pub(crate) async fn newest(store: &Sql, limit: u32) -> Result<Vec<(i64, AuditEntry)>> {
    let mut session = store.read("read the changes").await?;
    let entries = query(
        "SELECT id, at_nanoseconds, who, address, action, subject, details FROM audit ORDER BY id DESC LIMIT ?",
    );
    let rows = session.rows(entries.bind(limit)).await?;
    let mut entries = Vec::with_capacity(rows.len());
    for row in rows {
        let text = |column| row.try_get::<String>(column).map_err(|error| session.fault(error));
        let number = |column| row.try_get::<i64>(column).map_err(|error| session.fault(error));
        let entry = AuditEntry {
            at: moment(number(1)?),
            who: text(2)?,
            address: text(3)?,
            action: text(4)?,
            subject: text(5)?,
            details: text(6)?,
        };
        entries.push((number(0)?, entry));
    }
    session.commit().await?;
    Ok(entries)
}
