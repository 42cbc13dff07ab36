//! Rows of documents that have been gone for long leave their table: first those that deletions hide, and when no part has one
//! any more, the deletions.
//!
//! A deletion that leaves first, as by a `TTL`, lets the rows come back that it hides. Which keys are dead is asked again by each
//! mutation, for each part that it rewrites: a document that was made again meanwhile has a row of a higher version.

use serde::Deserialize;

use super::{ClickHouseSink, read};
use crate::Result;
use crate::ddl::identifier;
use crate::sink::{Purge, Purging};
use crate::statement::Statement;

/// Takes the next step.
pub(super) async fn step(sink: &ClickHouseSink, purge: &Purge) -> Result<Purging> {
    if let Some(open) = open_mutation(sink, &purge.table).await? {
        return Ok(match open.reason.as_str() {
            "" => Purging::UnderWay,
            reason => Purging::Failing {
                reason: format!("{} fails with {}", open.command, reason),
                mutation: open.mutation,
            },
        });
    }
    let conditions = Conditions::of(&sink.full_name(&purge.table), purge);
    for (condition, what) in [
        (conditions.hidden, Purging::Hidden as fn(u64) -> Purging),
        (conditions.deletions, Purging::Deletions as fn(u64) -> Purging),
    ] {
        let rows = remove(sink, purge, &condition).await?;
        if rows > 0 {
            return Ok(what(rows));
        }
    }
    Ok(Purging::Done)
}

/// A mutation that is not done.
#[derive(Deserialize)]
struct OpenMutation {
    mutation: String,
    command: String,
    reason: String,
}

/// One that is under way, if there is any; one that fails before others.
async fn open_mutation(sink: &ClickHouseSink, table: &str) -> Result<Option<OpenMutation>> {
    let open = "SELECT mutation_id AS mutation, command, latest_fail_reason AS reason FROM system.mutations WHERE database = \
                {database:String} AND table = {table:String} AND NOT is_done AND NOT is_killed ORDER BY reason = '' LIMIT 1";
    let doing = format!("looking for mutations of {}", sink.full_name(table));
    let open = Statement::new(doing, open).parameter("database", sink.database()).parameter("table", table);
    Ok(sink.session.rows::<OpenMutation>(open).await?.into_iter().next())
}

/// Which rows are removed.
struct Conditions {
    hidden: String,
    deletions: String,
}

impl Conditions {
    fn of(name: &str, purge: &Purge) -> Conditions {
        let key: Vec<String> = purge.key.iter().map(|column| identifier(column)).collect();
        let key = key.join(", ");
        let (version, deleted, up_to) = (identifier(&purge.version), identifier(&purge.deleted), purge.up_to);
        let old = format!("{deleted} != 0 AND {version} <= {up_to}");
        // Of few keys: those that have a deletion.
        let keys = format!(
            "SELECT {key} FROM {name} WHERE ({key}) IN (SELECT {key} FROM {name} WHERE {old}) GROUP BY {key} HAVING \
             max({version}) <= {up_to} AND"
        );
        Conditions {
            // Where a row and a deletion have one version, which of them counts is not known.
            hidden: format!(
                "{deleted} = 0 AND {version} <= {up_to} AND ({key}) IN ({keys} maxIf({version}, {deleted} != 0) > \
                 maxIf({version}, {deleted} = 0))"
            ),
            deletions: format!("{old} AND ({key}) IN ({keys} countIf({deleted} = 0) = 0)"),
        }
    }
}

/// Has the rows removed that meet a condition, and says how many there are.
async fn remove(sink: &ClickHouseSink, purge: &Purge, condition: &str) -> Result<u64> {
    let name = sink.full_name(&purge.table);
    let doing = || format!("removing rows of {name} whose documents have been gone for long");
    let counted = format!("SELECT count() AS rows FROM {name} WHERE {condition}");
    // Else `maxIf` of no rows could be NULL.
    let counted = Statement::new(doing(), counted).set("aggregate_functions_null_for_empty", "0");
    let rows = count(sink, counted).await?;
    if rows > 0 {
        let sql = format!("ALTER TABLE {name} DELETE WHERE {condition} SETTINGS mutations_sync = 0");
        sink.session.execute(read::long(Statement::new(doing(), sql))).await?;
    }
    Ok(rows)
}

async fn count(sink: &ClickHouseSink, statement: Statement) -> Result<u64> {
    #[derive(Deserialize)]
    struct Count {
        rows: u64,
    }
    Ok(sink.session.rows::<Count>(statement).await?.first().map_or(0, |count| count.rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deletions_go_when_they_hide_nothing() {
        let purge = Purge {
            table: "t".into(),
            key: vec!["_id".into(), "k".into()],
            version: "v".into(),
            deleted: "d".into(),
            up_to: 7,
        };
        let Conditions { hidden, deletions } = Conditions::of("`db`.`t`", &purge);
        let keys = "SELECT `_id`, `k` FROM `db`.`t` WHERE (`_id`, `k`) IN (SELECT `_id`, `k` FROM `db`.`t` WHERE `d` != 0 AND \
                    `v` <= 7) GROUP BY `_id`, `k` HAVING max(`v`) <= 7 AND";
        assert_eq!(
            hidden,
            format!(
                "`d` = 0 AND `v` <= 7 AND (`_id`, `k`) IN ({keys} maxIf(`v`, `d` != 0) > maxIf(`v`, `d` = 0))"
            )
        );
        assert_eq!(
            deletions,
            format!("`d` != 0 AND `v` <= 7 AND (`_id`, `k`) IN ({keys} countIf(`d` = 0) = 0)")
        );
    }
}
