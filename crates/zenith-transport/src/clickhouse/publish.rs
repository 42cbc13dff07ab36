//! A shadow table takes its final name.
//!
//! 1. `EXCHANGE TABLES` where the name is taken, `RENAME TABLE` where it is free.
//! 2. `DROP TABLE` of what then has the shadow's name: the replaced table.
//! 3. The loading mark is removed from the comment, and the settings of loading are reset, in one statement.
//!
//! The process may die between any two steps, and the whole is then run again. The mark in its comment
//! ([`LOADING_MARK`]) identifies the new table, never its name: exchanging twice would bring the old rows back.

use super::ClickHouseSink;
use super::catalog::comments;
use crate::ddl::{LOADING_MARK, LOADING_SETTINGS, literal};
use crate::sink::{Merging, Published, Sink};
use crate::{Result, TransportError};

pub(super) async fn publish(sink: &ClickHouseSink, shadow: &str, table: &str) -> Result<Published> {
    let is_new =
        |comment: &Option<String>| comment.as_ref().is_some_and(|comment| comment.ends_with(LOADING_MARK));
    let (shadow_comment, table_comment) = comments(sink, [shadow, table]).await?;
    let (shadow_name, table_name) = (sink.full_name(shadow), sink.full_name(table));
    let doing = format!("publishing {shadow_name} as {table_name}");

    let (published, marked) = if is_new(&shadow_comment) {
        let (verb, published) = match table_comment {
            Some(_) => (format!("EXCHANGE TABLES {shadow_name} AND {table_name}"), Published::Replaced),
            None => (format!("RENAME TABLE {shadow_name} TO {table_name}"), Published::Renamed),
        };
        sink.change(&*doing, &verb, &table_name).await?;
        (published, shadow_comment)
    } else if is_new(&table_comment) || shadow_comment.is_none() && table_comment.is_some() {
        (Published::Already, table_comment)
    } else if shadow_comment.is_some() {
        return Err(TransportError::Publish {
            shadow: shadow_name,
            table: table_name,
            reason: "it was not created as a shadow table, and publishing it would drop the other one".into(),
        });
    } else {
        return Err(TransportError::NoTable { table: shadow_name });
    };

    sink.drop_table(shadow).await?;
    let unmarked = marked.as_deref().and_then(|comment| comment.strip_suffix(LOADING_MARK));
    let comment = unmarked.map(|rest| format!("MODIFY COMMENT {}", literal(rest.trim_end())));
    let changes = match comment {
        // Settings are those of each server, and a comment that of the replicated table: the mark goes last.
        Some(comment) if sink.is_on_cluster() => vec![reset(), comment],
        Some(comment) => vec![format!("{comment}, {}", reset())],
        None => vec![reset()],
    };
    for change in changes {
        sink.change(&*doing, &format!("ALTER TABLE {table_name} {change}"), &table_name).await?;
    }
    Ok(published)
}

pub(super) async fn set_merging(sink: &ClickHouseSink, table: &str, merging: Merging) -> Result<()> {
    let name = sink.full_name(table);
    let change = match merging {
        Merging::Held => {
            let settings = LOADING_SETTINGS.map(|(name, value)| format!("{name} = {value}"));
            format!("MODIFY SETTING {}", settings.join(", "))
        }
        Merging::Running => reset(),
    };
    sink.change(format!("changing settings of {name}"), &format!("ALTER TABLE {name} {change}"), &name).await
}

fn reset() -> String {
    format!("RESET SETTING {}", LOADING_SETTINGS.map(|(name, _)| name).join(", "))
}
