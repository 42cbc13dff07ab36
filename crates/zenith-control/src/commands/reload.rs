//! What reading a collection again means.

use zenith_engine::{Deletes, EngineError, Mode, Sink as _, Source as _, Strategy, hides_deletions};

use super::command::View;
use super::desk::Desk;
use super::output::Output;
use crate::connect::{self, Single};
use crate::failure::Failure;
use crate::mismatches::counted;

pub async fn plan(desk: &Desk, name: &str, view: View) -> Result<Output, Failure> {
    let config = desk.config().await?;
    connect::pipeline(&config, name)?;
    let pool = connect::pool(None, &desk.places)?;
    let single = connect::single(&config, name, desk.look().await?, &pool).await?;
    announce(&single, view).await
}

/// What would be done, as far as looking can tell.
async fn announce(single: &Single, view: View) -> Result<Output, Failure> {
    let filtered = single.pipeline.settings.options.filtered(&single.source)?;
    let source = filtered.as_ref().unwrap_or(&single.source);
    let source = source.preflight(&single.namespace).await.map_err(EngineError::Source)?;
    let existing = match single.sink.describe(&single.table).await {
        Ok(existing) => existing,
        // A database that is not there yet has no table.
        Err(error) if error.is_unknown_database() => None,
        Err(error) => return Err(EngineError::Sink(error).into()),
    };
    let settings = &single.pipeline.settings;
    let is_kept = settings.deletes != Deletes::Mark || !hides_deletions(existing.as_ref());
    if let Some(reason) = settings.refused_load().filter(|_| is_kept) {
        return Err(Failure::Input(format!(
            "loading the table {} again is not possible: {reason}",
            single.table
        )));
    }
    let documents = source.collection.size.map(|size| size.documents);
    if view.json {
        return Ok(Output::json(&serde_json::json!({
            "dry_run": true,
            "collection": single.namespace.to_string(),
            "documents": documents,
            "table": single.table,
            "table_rows": existing.as_ref().map(|table| table.rows),
        })));
    }
    let documents = documents.map_or_else(
        || "all documents".to_owned(),
        |documents| format!("about {}", counted(documents, "document")),
    );
    let table = &single.table;
    let settings = &single.pipeline.settings;
    // A table of versions is always replaced in one step: its changes go on meanwhile.
    let strategy = if settings.mode == Mode::Changes { Strategy::Swap } else { settings.options.strategy };
    let then = match (&existing, strategy) {
        (Some(existing), _) if settings.mode == Mode::IdCursor => {
            format!(
                "replace the table {table} with its {} by an empty one; the next run fills it",
                counted(existing.rows, "row")
            )
        }
        (None, _) => format!("create the table {table}"),
        (Some(existing), Strategy::Swap) => {
            format!("replace the table {table} in one step, and drop its {}", counted(existing.rows, "row"))
        }
        (Some(existing), Strategy::Truncate) => {
            format!("empty the table {table} of its {}, and load it in place", counted(existing.rows, "row"))
        }
    };
    let mode = single.pipeline.settings.mode;
    let after = if mode.follows_changes() { "; changes are followed from now on" } else { "" };
    Ok(Output::text(format!(
        "would read {documents} of {}, and {then}{after}\nnothing was changed (--dry-run)\n",
        single.namespace
    )))
}
