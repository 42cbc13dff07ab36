//! Names in the target that follow from the name of a table: its view, and the table of dead letters.
//!
//! Tables, views and dictionaries share one space of names, so a derived name may belong to another object. Zenith
//! replaces only objects with its mark: the comment of a view or, for views older than this mark, their text.

use zenith_transport::ddl::{AtView, CurrentView, Dialect, LogColumns, column_type, same_values};
use zenith_transport::{ObjectInfo, Sink, dead_letter};

use crate::layout::{
    DELETED_COLUMN, DELETION, INDEX_COLUMN, KEY, MOVED_COLUMN, OPERATION_COLUMN, TIME_COLUMN, VERSION_COLUMN,
};
use crate::settings::PipelineSettings;
use crate::{EngineError, Result};

/// Engines of what takes no rows, or hands them on.
const NOT_TABLES: [&str; 5] = ["View", "MaterializedView", "LiveView", "WindowView", "Dictionary"];
/// What the comment of a view has before the name of its table.
const MARK: &str = "[zenith: view of ";

/// What has to be done about a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ViewState {
    /// The name is free.
    Missing,
    /// It is Zenith's, and shows other columns than the table has.
    Stale,
    /// It is as it should be.
    Fits,
}

/// Checks that only objects of Zenith have the derived names of a pipeline. Writes nothing.
///
/// # Errors
/// [`EngineError::NameTaken`] with the name and the setting that changes it; whatever the sink fails with.
pub async fn names_are_free<K: Sink>(sink: &K, table: &str, settings: &PipelineSettings) -> Result<()> {
    if let Some(object) =
        sink.object(table).await?.filter(|object| NOT_TABLES.contains(&object.engine.as_str()))
    {
        return Err(EngineError::NameTaken {
            name: table.to_owned(),
            what: kind(&object),
            wanted: "the table of the pipeline".to_owned(),
            setting: "table = \"NAME\"",
        });
    }
    if let Some(view) = settings.view_of(table) {
        view_state(sink.object(&view).await?.as_ref(), &view, table, None)?;
    }
    let found = sink.object(&settings.options.dead_letters).await?;
    letters_fit(found.as_ref(), &settings.options.dead_letters, "dead_letters = \"NAME\"")
}

/// What is to be done about the view of a table; `object` is what has its name, and `shown` are the columns it has to
/// show, if these are known.
pub(crate) fn view_state(
    object: Option<&ObjectInfo>,
    view: &str,
    table: &str,
    shown: Option<&ObjectInfo>,
) -> Result<ViewState> {
    let Some(object) = object else { return Ok(ViewState::Missing) };
    refuse_others(object, view, table)?;
    let Some(table) = shown else { return Ok(ViewState::Fits) };
    let wanted = table.columns.iter().filter(|column| {
        !matches!(column.default_kind.as_str(), "MATERIALIZED" | "ALIAS" | "EPHEMERAL")
            && ![VERSION_COLUMN, DELETED_COLUMN, MOVED_COLUMN].contains(&column.name.as_str())
    });
    let columns = |column: &zenith_transport::ColumnInfo| (column.name.clone(), column.data_type.clone());
    let same = wanted.map(columns).eq(object.columns.iter().map(columns));
    // One without a comment was made before views had the mark.
    Ok(if same && !object.comment.is_empty() { ViewState::Fits } else { ViewState::Stale })
}

/// What is to be done about the view of a log: it has no columns of its own, and shows those that the table has.
pub(crate) fn log_view_state(object: Option<&ObjectInfo>, view: &AtView) -> Result<ViewState> {
    let Some(object) = object else { return Ok(ViewState::Missing) };
    refuse_others(object, &view.name, &view.table)?;
    Ok(if view.begins_elsewhere(object) { ViewState::Stale } else { ViewState::Fits })
}

/// Refuses what has the name of the view of a table, and is none of Zenith's.
fn refuse_others(object: &ObjectInfo, view: &str, table: &str) -> Result<()> {
    let of = marked(object);
    if of != Some(table) && !(of.is_none() && current_view(view, table, false).is_query_of(object)) {
        return Err(EngineError::NameTaken {
            name: view.to_owned(),
            what: match of {
                Some(other) => format!("Zenith's view of the table {other}"),
                None => format!("{}, which Zenith did not make", kind(object)),
            },
            wanted: format!("the view of {table}"),
            setting: "view = \"NAME\"",
        });
    }
    Ok(())
}

/// Whether dead letters can go to what has this name.
pub(crate) fn letters_fit(object: Option<&ObjectInfo>, name: &str, setting: &'static str) -> Result<()> {
    let Some(object) = object else { return Ok(()) };
    // Those that a table of version 0.1 lacks are added when it is written to.
    let later = dead_letter::later_columns();
    let has = |field: &arrow_schema::FieldRef| {
        let there = object.columns.iter().find(|there| there.name == *field.name());
        there.map_or_else(
            || later.contains(field),
            |there| {
                let wanted = column_type(field, Dialect::default());
                wanted.is_ok_and(|wanted| same_values(&there.data_type, &wanted))
            },
        )
    };
    let takes_rows = !NOT_TABLES.contains(&object.engine.as_str());
    if takes_rows && dead_letter::schema().fields().iter().all(has) {
        return Ok(());
    }
    Err(EngineError::NameTaken {
        name: name.to_owned(),
        what: format!("{} without the columns of dead letters", kind(object)),
        wanted: "the table of documents that cannot be loaded".to_owned(),
        setting,
    })
}

/// The view of a table of versions; `has_moves` is whether it has [`MOVED_COLUMN`].
pub(crate) fn current_view(view: &str, table: &str, has_moves: bool) -> CurrentView {
    CurrentView {
        name: view.to_owned(),
        table: table.to_owned(),
        version: VERSION_COLUMN.to_owned(),
        deleted: DELETED_COLUMN.to_owned(),
        hidden: if has_moves { vec![MOVED_COLUMN.to_owned()] } else { Vec::new() },
        comment: format!("{MARK}{table}]"),
    }
}

/// The view of a log that begins with a snapshot, which was complete at the version `since`.
pub(crate) fn log_view(view: &str, table: &str, since: u64) -> AtView {
    let second = std::time::Duration::from_secs(since >> 32);
    let words = humantime_serde::re::humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + second);
    AtView {
        name: view.to_owned(),
        table: table.to_owned(),
        key: KEY.to_owned(),
        columns: LogColumns {
            operation: OPERATION_COLUMN.to_owned(),
            time: TIME_COLUMN.to_owned(),
            version: VERSION_COLUMN.to_owned(),
            index: INDEX_COLUMN.to_owned(),
        },
        deletion: DELETION.to_owned(),
        since: (since, words.to_string()),
        comment: format!("{MARK}{table}]"),
    }
}

/// The table whose view this is, by its comment.
fn marked(object: &ObjectInfo) -> Option<&str> {
    let (_, rest) = object.comment.split_once(MARK).filter(|_| object.engine == "View")?;
    rest.rsplit_once(']').map(|(table, _)| table)
}

/// What it is, in words.
fn kind(object: &ObjectInfo) -> String {
    match object.engine.as_str() {
        "View" => "a view".to_owned(),
        "MaterializedView" => "a materialized view".to_owned(),
        "Dictionary" => "a dictionary".to_owned(),
        engine => format!("a table ({engine})"),
    }
}

#[cfg(test)]
mod tests {
    use zenith_transport::ColumnInfo;

    use super::*;

    fn object(engine: &str, comment: &str, query: &str) -> ObjectInfo {
        ObjectInfo {
            database: "shop".to_owned(),
            engine: engine.to_owned(),
            comment: comment.to_owned(),
            query: query.to_owned(),
            columns: Vec::new(),
        }
    }

    fn column(name: &str, data_type: &str, kind: &str) -> ColumnInfo {
        ColumnInfo { name: name.to_owned(), data_type: data_type.to_owned(), default_kind: kind.to_owned() }
    }

    const TEXT: &str =
        "SELECT * EXCEPT (_zenith_version, _zenith_deleted) FROM shop.`a.b` FINAL WHERE _zenith_deleted = 0";

    #[test]
    fn views_are_known_by_mark_or_text_and_nothing_else_is() {
        let state = |object: &ObjectInfo, table: &str| view_state(Some(object), "v", table, None);
        let marked = object("View", "ours [zenith: view of a.b]", "SELECT 1");
        assert_eq!(state(&marked, "a.b").unwrap(), ViewState::Fits);
        assert!(state(&marked, "b").unwrap_err().to_string().contains("Zenith's view of the table a.b"));
        assert_eq!(state(&object("View", "", TEXT), "a.b").unwrap(), ViewState::Fits);
        let others = [
            object("View", "", "SELECT * FROM shop.`a.b`"),
            object("View", "", &TEXT.replace("a.b", "a.c")),
            object("View", "", &TEXT.replace("shop.", "shop2.")),
            object("View", "", &TEXT.replace("shop.", "other.shop.")),
            object("View", "", &format!("{TEXT} AND n > 1")),
            object("MaterializedView", "[zenith: view of a.b]", TEXT),
            object("MergeTree", "[zenith: view of a.b]", ""),
            object("Dictionary", "", ""),
        ];
        for other in &others {
            let error = state(other, "a.b").unwrap_err().to_string();
            assert!(error.contains("view = \"NAME\"") && error.contains("the view of a.b"), "{error}");
        }
        assert_eq!(view_state(None, "v", "a.b", None).unwrap(), ViewState::Missing);
    }

    #[test]
    fn a_view_is_stale_when_it_shows_other_columns_or_has_no_mark() {
        let mut table = object("ReplacingMergeTree", "", "");
        table.columns = vec![
            column("_id", "String", ""),
            column("day", "Date", "MATERIALIZED"),
            column(VERSION_COLUMN, "UInt64", ""),
            column(DELETED_COLUMN, "UInt8", ""),
        ];
        let mut view = object("View", "[zenith: view of t]", "");
        view.columns = vec![column("_id", "String", "")];
        let state = |view: &ObjectInfo| view_state(Some(view), "v", "t", Some(&table)).unwrap();
        assert_eq!(state(&view), ViewState::Fits);
        view.columns.push(column("gone", "String", ""));
        assert_eq!(state(&view), ViewState::Stale);
        let mut old = object("View", "", &TEXT.replace("`a.b`", "t"));
        old.columns = vec![column("_id", "String", "")];
        assert_eq!(state(&old), ViewState::Stale);
    }

    #[test]
    fn dead_letters_go_to_a_table_with_their_columns_only() {
        let columns = dead_letter::schema()
            .fields()
            .iter()
            .map(|field| ColumnInfo {
                name: field.name().clone(),
                data_type: column_type(field, Dialect::default()).unwrap(),
                default_kind: String::new(),
            })
            .collect();
        let mut there = object("MergeTree", "", "");
        assert!(letters_fit(Some(&there), "d", "--dead-letters NAME").is_err());
        there.columns = columns;
        assert!(letters_fit(Some(&there), "d", "--dead-letters NAME").is_ok());
        // As version 0.1 made it; what it had, it has to have.
        let all = there.columns.clone();
        there
            .columns
            .retain(|column| !["run", "version", "operation", "index"].contains(&column.name.as_str()));
        assert_eq!(there.columns.len(), 7);
        assert!(letters_fit(Some(&there), "d", "--dead-letters NAME").is_ok());
        there.columns.push(column("version", "String", ""));
        assert!(letters_fit(Some(&there), "d", "--dead-letters NAME").is_err());
        there.columns = all.iter().filter(|column| column.name != "document").cloned().collect();
        assert!(letters_fit(Some(&there), "d", "--dead-letters NAME").is_err());
        there.columns = all;
        there.engine = "View".to_owned();
        let error = letters_fit(Some(&there), "d", "--dead-letters NAME").unwrap_err().to_string();
        assert!(error.contains("d is a view") && error.contains("--dead-letters NAME"), "{error}");
    }
}
