//! `zenith reload`: a collection read anew, and its table replaced in one step.

use std::process::ExitCode;
use std::sync::Arc;

use zenith_engine::{Deletes, EngineError, Mode, Pool, Sink as _, Source as _, Strategy, hides_deletions};

use super::delegate::{self, Held};
use super::something_applied;
use crate::args::Reload;
use crate::display::Display;
use crate::exit::{self, Ending, Failure};
use crate::progress::say;
use crate::signals::Signals;
use crate::terminal::{print, print_json};
use zenith_control::connect::{self, Single};
use zenith_control::mismatches::counted;
use zenith_control::requests::{Answer, Asked};
use zenith_control::state::Places;
use zenith_control::summary;

pub async fn run(arguments: &Reload) -> Ending {
    let places = Places::find(&arguments.place)?;
    let config = something_applied(&places.look().await?).await?.config().map_err(Failure::Input)?;
    let name = &arguments.name;
    let target = &connect::pipeline(&config, name)?.target;
    let targets = config.targets.get_key_value(target);
    let pool = async || connect::loading_pool(arguments.memory, &places, targets).await;
    if arguments.dry_run {
        let single = connect::single(&config, name, places.look().await?, &pool().await?).await?;
        return announce(arguments, &single).await;
    }
    let answer = match Held::open(&places).await? {
        Held::Alone(store) => {
            let pool = pool().await?;
            let signals = Signals::catch()
                .map_err(|error| Failure::Failed(format!("cannot catch signals: {error}")))?;
            let single = connect::single(&config, name, store, &pool).await?;
            signals.stop(single.keeper.stop_handle());
            reload(&single, name, &pool, arguments.quiet).await?
        }
        Held::ByRun(store) => delegate::ask(&places, &store, name, &Asked::Reload, arguments.quiet).await?,
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(code) => return Ok(code),
    };
    if arguments.json {
        print(&format!("{}\n", answer.json));
    } else if !arguments.quiet {
        print(&answer.text);
    }
    Ok(exit::within(&arguments.allowed.exceeded(name, answer.extra_values, answer.dead_letters)))
}

/// Does it, or says that it was stopped and gives the code for that.
async fn reload(
    single: &Single,
    name: &str,
    pool: &Pool,
    quiet: bool,
) -> Result<Result<Answer, ExitCode>, Failure> {
    let rest = Arc::new(single.keeper.rest(name).await?);
    let display = (!quiet).then(|| {
        let shown = Arc::clone(&rest);
        Display::start(Some(pool.clone()), move || vec![shown.progress()])
    });
    let reloaded = rest.reload().await;
    drop(display);
    match reloaded {
        Ok(summary) => {
            let sent = single.sink.send_report();
            let (text, json) = (summary::summary_text(&summary, sent), summary::summary_json(&summary, sent));
            Ok(Ok(Answer::of(&summary, text, json)))
        }
        Err(error @ (EngineError::Stopped | EngineError::StoppedLeaving { .. })) => {
            say(&format!("zenith: {error}"));
            Ok(Err(ExitCode::from(exit::STOPPED)))
        }
        Err(error) => Err(error.into()),
    }
}

/// What would be done, as far as looking can tell.
async fn announce(arguments: &Reload, single: &Single) -> Ending {
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
    if arguments.json {
        print_json(&serde_json::json!({
            "dry_run": true,
            "collection": single.namespace.to_string(),
            "documents": documents,
            "table": single.table,
            "table_rows": existing.as_ref().map(|table| table.rows),
        }));
        return Ok(ExitCode::SUCCESS);
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
    print(&format!(
        "would read {documents} of {}, and {then}{after}\nnothing was changed (--dry-run)\n",
        single.namespace
    ));
    Ok(ExitCode::SUCCESS)
}
