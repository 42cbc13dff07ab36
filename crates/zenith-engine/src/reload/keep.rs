//! What people have added to a table goes with it: to the table that takes its place.

use zenith_arrow::WHOLE_KEY;
use zenith_arrow::schema::EXTRA_COLUMN;
use zenith_extract::Namespace;
use zenith_transport::ddl::{
    Additions, ColumnAdditions, LOADING_MARK, LOADING_SETTINGS, TypeParts, identifier, literal, parts,
};
use zenith_transport::{ColumnInfo, TableInfo};

use super::columns::ColumnPlan;
use crate::layout::{
    DELETED_COLUMN, INDEX_COLUMN, Layout, MOVED_COLUMN, OPERATION_COLUMN, TIME_COLUMN, VERSION_COLUMN,
};
use crate::table_shape::is_same;
use crate::{EngineError, Pipeline, Result};

/// What the comments of tables begin with that Zenith makes.
const COMMENT: &str = "Copied by Zenith from ";
/// What its comment has before the name of the pipeline that it was made for.
const OWNER_MARK: &str = "[zenith: written by ";

/// What the new table gets of the old one.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Kept {
    pub(super) additions: Additions,
    /// A comment of the user's.
    pub(super) comment: Option<String>,
}

/// What a table that takes the place of `table` is to have of it.
///
/// # Errors
/// In a pipeline, for a table that Zenith did not make and for an addition that cannot be kept. In a copy the user
/// asked for the replacement, so a lost addition is a warning.
pub(super) fn keep<S, K>(
    pipeline: &Pipeline<S, K>,
    table: &TableInfo,
    columns: &[ColumnPlan],
) -> Result<Kept> {
    let name = &pipeline.table;
    let told = !pipeline.guarded && pipeline.options.replace;
    if stays(pipeline, table) {
        return Ok(Kept::default());
    }
    if pipeline.guarded && !is_ours(table, &pipeline.namespace) {
        return Err(EngineError::NameTaken {
            name: name.clone(),
            what: match source_of(table) {
                Some(other) => format!(
                    "the table that Zenith copied from {other} (if it is no longer wanted, DROP TABLE {} makes room)",
                    identifier(name)
                ),
                None => format!("a table ({}), which Zenith did not make", table.engine),
            },
            wanted: format!("the table of {}", pipeline.namespace),
            setting: "table = \"NAME\"",
        });
    }
    // What is to be replaced is not kept for its own sake.
    let is_used = is_of_user(table) && !pipeline.options.replace;
    let shape = &pipeline.options.shape;
    let said = Said { key: shape.says_key(pipeline.layout.rows()), engine: shape.engine.is_some() };
    let mut lost = lost(table, columns, &said);
    let mut kept = Kept::default();
    match &table.additions {
        Some(additions) => {
            kept.additions = kept_of(additions, columns);
            if is_used {
                kept.additions.columns.extend(of_user(table, columns));
            }
        }
        None => lost.push("its definition, which is written in a way that is not understood".to_owned()),
    }
    if !lost.is_empty() {
        if !told {
            return Err(EngineError::CannotKeep {
                table: name.clone(),
                what: lost.join(", "),
                reason: "the new table would be made without it".to_owned(),
            });
        }
        tracing::warn!(table = name, "the new table will not have {}", lost.join(", "));
    }
    tell_gone(pipeline, table, columns, &kept)?;
    let comment = table.comment.strip_suffix(LOADING_MARK).unwrap_or(&table.comment).trim_end();
    // A copy of a user's table is the user's.
    let is_kept = !comment.is_empty() || !pipeline.guarded && is_used;
    kept.comment = (is_kept && !comment.starts_with(COMMENT)).then(|| comment.to_owned());
    Ok(kept)
}

/// Whether the rows of a pipeline go to the table that its user made, and to no new one in its place.
pub(super) fn stays<S, K>(pipeline: &Pipeline<S, K>, table: &TableInfo) -> bool {
    let has_versions = pipeline.layout.has_versions() && table.rows > 0;
    pipeline.guarded && !pipeline.options.replace && !has_versions && is_of_user(table)
}

/// Whether a table's user has made it, or written the comment that it has.
pub(super) fn is_of_user(table: &TableInfo) -> bool {
    source_of(table).is_none()
}

/// Columns of a user's table that no field goes to, as the new one has them: with the default that they have anyway, which
/// tells them from those that a field went to.
fn of_user(table: &TableInfo, columns: &[ColumnPlan]) -> Vec<(String, ColumnAdditions)> {
    let plain = table.columns.iter().filter(|there| {
        there.default_kind.is_empty()
            && !there.name.starts_with("_zenith_")
            && columns.iter().all(|column| column.name != there.name)
    });
    let with_default = |there: &ColumnInfo| {
        let known =
            table.additions.as_ref().and_then(|all| all.columns.iter().find(|(name, _)| *name == there.name));
        let column = known.map(|(_, column)| column.clone()).unwrap_or_default();
        let default = Some(format!("DEFAULT defaultValueOfTypeName({})", literal(&there.data_type)));
        (there.name.clone(), ColumnAdditions { data_type: there.data_type.clone(), default, ..column })
    };
    plain.map(with_default).collect()
}

/// Tells of columns of the documents that the new table does not have. Those of a table that nobody says is Zenith's do not go.
fn tell_gone<S, K>(
    pipeline: &Pipeline<S, K>,
    table: &TableInfo,
    columns: &[ColumnPlan],
    kept: &Kept,
) -> Result<()> {
    let mut gone = gone(table, columns);
    gone.retain(|column| kept.additions.columns.iter().all(|(kept, _)| kept != column));
    if let Some(column) = gone.first().filter(|_| {
        pipeline.guarded && pipeline.options.replace && is_of_user(table) && owner_of(table).is_none()
    }) {
        return Err(EngineError::CannotKeep {
            table: pipeline.table.clone(),
            what: format!("its column {column}"),
            reason: "no field goes to it, and nothing says that Zenith made the table".to_owned(),
        });
    }
    for column in &gone {
        tracing::warn!(table = pipeline.table, column, "no field goes to it: the new table will not have it");
    }
    Ok(())
}

/// Columns of the documents, and parts of such, that the new table does not have.
fn gone(table: &TableInfo, columns: &[ColumnPlan]) -> Vec<String> {
    let mut gone = Vec::new();
    // Those that say of changes what they are have no fields, and are nobody's addition.
    let of_documents =
        table.columns.iter().filter(|there| there.default_kind.is_empty() && !is_of_changes(&there.name));
    for there in of_documents {
        match columns.iter().find(|column| column.name == there.name) {
            Some(column) => parts_gone(&there.data_type, &column.target_type, &there.name, &mut gone),
            None => gone.push(there.name.clone()),
        }
    }
    gone
}

fn is_of_changes(column: &str) -> bool {
    [VERSION_COLUMN, DELETED_COLUMN, MOVED_COLUMN, OPERATION_COLUMN, TIME_COLUMN, INDEX_COLUMN]
        .contains(&column)
}

/// Of a column at `path`, whose type is no longer that which is there.
fn parts_gone(there: &str, wanted: &str, path: &str, gone: &mut Vec<String>) {
    match (parts(there), parts(wanted)) {
        (TypeParts::Elements(there), TypeParts::Elements(wanted)) => parts_gone(there, wanted, path, gone),
        (TypeParts::Fields(there), TypeParts::Fields(wanted)) => {
            for (name, there) in there {
                let path = format!("{path}.{name}");
                match wanted.iter().find(|(wanted, _)| *wanted == name) {
                    Some((_, wanted)) => parts_gone(there, wanted, &path, gone),
                    None => gone.push(path),
                }
            }
        }
        _ => {}
    }
}

/// Whether Zenith made a table of a collection: by its comment or, where its user has written another one, by the column
/// that only its tables have.
pub(super) fn is_ours(table: &TableInfo, namespace: &Namespace) -> bool {
    match source_of(table) {
        Some(of) => of == namespace.to_string(),
        None => table.columns.iter().any(|column| column.name == EXTRA_COLUMN),
    }
}

/// Whether a table was made of the same documents by another `shape`: it has the whole document where it lacks these columns, or
/// parts of a document that one of them is for.
pub(super) fn is_of_other_shape<'n>(table: &TableInfo, columns: impl Iterator<Item = &'n str>) -> bool {
    let has = |name: &str| table.columns.iter().any(|there| there.name == name);
    let is_whole = |there: &ColumnInfo| there.name == WHOLE_KEY && there.data_type.starts_with("JSON");
    let missing: Vec<&str> = columns.filter(|name| !has(name)).collect();
    let is_part = |there: &ColumnInfo| {
        let rest = |name: &&str| there.name.strip_prefix(*name).is_some_and(|rest| !rest.is_empty());
        missing.iter().any(rest)
    };
    !missing.is_empty() && table.columns.iter().any(|there| is_whole(there) || is_part(there))
}

/// The comment of a table of a collection.
pub(super) fn comment_of(namespace: &Namespace, owner: Option<&str>) -> String {
    with_owner(&format!("{COMMENT}{namespace}. {EXTRA_COLUMN} holds what fits no column."), owner)
}

/// A comment that says for whom the table was made.
pub(super) fn with_owner(comment: &str, owner: Option<&str>) -> String {
    comment.to_owned() + &owner.map_or_else(String::new, |owner| format!(" {OWNER_MARK}{owner}]"))
}

/// For whom Zenith made a table, as its comment says.
pub(crate) fn owner_of(table: &TableInfo) -> Option<&str> {
    let (_, rest) = table.comment.rsplit_once(OWNER_MARK)?;
    rest.split_once(']').map(|(owner, _)| owner)
}

/// The collection that a table was copied from, as its comment says.
fn source_of(table: &TableInfo) -> Option<&str> {
    let rest = table.comment.strip_prefix(COMMENT)?;
    let end = format!(". {EXTRA_COLUMN}");
    Some(rest.rsplit_once(&end).map_or(rest, |(namespace, _)| namespace))
}

/// What is said of the new table, so that nothing of the old one is lost.
struct Said {
    key: bool,
    engine: bool,
}

/// What a new table cannot have, in words.
fn lost(table: &TableInfo, columns: &[ColumnPlan], said: &Said) -> Vec<String> {
    let mut lost = Vec::new();
    // Of whatever mode it was before: tables of another make are the user's.
    let layouts = [Layout::Rows, Layout::Current, Layout::Log];
    if !said.engine && layouts.iter().all(|layout| !is_same(&table.engine, layout.engine_name())) {
        lost.push(format!("its engine {}, as engine does not say it", table.engine));
    }
    if !said.key && layouts.iter().all(|layout| layout.sorting_key().join(", ") != table.sorting_key) {
        lost.push(format!("its sorting key ({}), as order_by does not say it", table.sorting_key));
    }
    for there in &table.columns {
        if is_computed(&there.default_kind) && columns.iter().any(|column| column.name == there.name) {
            lost.push(format!("the computed column {}, as documents have a field of that name", there.name));
        }
    }
    lost
}

/// Whether values of a column are computed, and none can be written.
pub(super) fn is_computed(default_kind: &str) -> bool {
    matches!(default_kind, "MATERIALIZED" | "ALIAS" | "EPHEMERAL")
}

fn kept_of(additions: &Additions, columns: &[ColumnPlan]) -> Additions {
    let mut kept = additions.clone();
    kept.columns.retain_mut(|(name, column)| {
        let is_planned = columns.iter().any(|planned| planned.name == *name);
        let kind =
            column.default.as_deref().and_then(|default| default.split(' ').next()).unwrap_or_default();
        if is_planned && is_computed(kind) {
            column.default = None;
        }
        // Any other column came of a field that the documents no longer have.
        is_planned || column.default.is_some()
    });
    // What an interrupted publication left is not the user's.
    kept.settings.retain(|name, value| !LOADING_SETTINGS.contains(&(name.as_str(), value.as_str())));
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(name: &str) -> ColumnPlan {
        ColumnPlan {
            name: name.to_owned(),
            bson_type: String::new(),
            target_type: "String".to_owned(),
            present: 1.0,
        }
    }

    #[test]
    fn a_table_is_that_of_the_collection_its_comment_names() {
        let table = |comment: &str, column: &str| TableInfo {
            columns: vec![zenith_transport::ColumnInfo {
                name: column.to_owned(),
                data_type: "String".to_owned(),
                default_kind: String::new(),
            }],
            engine: "MergeTree".to_owned(),
            sorting_key: String::new(),
            comment: comment.to_owned(),
            rows: 0,
            additions: None,
            hidden_by: None,
        };
        let [one, other] = ["shop.a. b", "shop.a"].map(|name| name.parse::<Namespace>().unwrap());
        let made = table(&format!("{} {LOADING_MARK}", comment_of(&one, None)), "_id");
        assert!(is_ours(&made, &one) && !is_ours(&made, &other));
        assert!(!is_ours(&table(&comment_of(&other, None), EXTRA_COLUMN), &one));
        assert_eq!(owner_of(&made), None);
        let marked = table(&format!("{} {LOADING_MARK}", comment_of(&one, Some("a-b"))), "_id");
        assert!(is_ours(&marked, &one) && !is_ours(&marked, &other));
        assert_eq!(owner_of(&marked), Some("a-b"));
        assert!(is_ours(&table("ask Ann", EXTRA_COLUMN), &one));
        assert!(!is_ours(&table("", "_id"), &one));
    }

    #[test]
    fn additions_to_columns_go_with_the_columns_and_loading_leaves_nothing() {
        let sql = "CREATE TABLE d.t (`_id` String COMMENT 'key', `gone` String CODEC(ZSTD(3)), `day` Date MATERIALIZED \
                   today(), `n` Int8 ALIAS 1, `r` String DEFAULT 'eu') ENGINE = MergeTree ORDER BY _id SETTINGS \
                   max_bytes_to_merge_at_max_space_in_pool = 1, min_rows_for_wide_part = 5";
        let kept = kept_of(&Additions::parse(sql).unwrap(), &[planned("_id"), planned("n")]);
        let names: Vec<&str> = kept.columns.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["_id", "day", "n", "r"]);
        assert_eq!(kept.columns[2].1.default, None);
        assert_eq!(kept.settings.keys().collect::<Vec<_>>(), ["min_rows_for_wide_part"]);
    }

    #[test]
    fn parts_that_are_gone_are_named_by_their_paths() {
        let mut gone = Vec::new();
        let there = "Array(Tuple(a Int8, b Tuple(c Int8, d Int8), e Array(Int8), f Tuple(g Int8)))";
        let wanted = "Array(Tuple(h Int8, b Tuple(d Int64), e Int8, f String))";
        parts_gone(there, wanted, "items", &mut gone);
        assert_eq!(gone, ["items.a", "items.b.c"]);
    }
}
