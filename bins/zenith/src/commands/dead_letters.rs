//! `zenith dead-letters`: documents that have no row.

use std::process::ExitCode;
use std::sync::Arc;

use indicatif::{HumanBytes, HumanCount};
use serde_json::{Value, json};
use zenith_engine::state::StateStore as _;
use zenith_engine::transport::ClickHouseSink;
use zenith_engine::{DeadLetterRetry, DeadLetters, LetterFilter, StoredLetter, letter_json};

use super::something_applied;
use crate::args::{
    DeadLetterCommand, DeadLetters as Arguments, ListLetters, PurgeLetters, RetryLetters, ShowLetter,
};
use crate::exit::{Ending, Failure};
use crate::terminal::{print, print_json};
use zenith_control::config::Config;
use zenith_control::databases::Databases;
use zenith_control::state::Places;
use zenith_control::text::table;
use zenith_control::{connect, time};

/// The code for "some letters stay".
const LEFT: u8 = 1;
/// Letters that stay, as shown to people.
const FAILED_SHOWN: usize = 20;

pub async fn run(arguments: &Arguments) -> Ending {
    match &arguments.command {
        DeadLetterCommand::List(arguments) => list(arguments).await,
        DeadLetterCommand::Show(arguments) => show(arguments).await,
        DeadLetterCommand::Retry(arguments) => retry(arguments).await,
        DeadLetterCommand::Purge(arguments) => purge(arguments).await,
    }
}

/// A table of dead letters, and where it is.
struct Kept {
    sink: Arc<ClickHouseSink>,
    database: String,
    table: String,
}

impl Kept {
    fn letters(&self) -> DeadLetters<'_, ClickHouseSink> {
        DeadLetters::new(&*self.sink, &self.table)
    }
}

async fn applied(places: &Places) -> Result<Config, Failure> {
    something_applied(&places.look().await?).await?.config().map_err(Failure::Input)
}

/// The tables of all pipelines, each once by whatever addresses; letters of pipelines that were removed are in them as
/// well.
async fn tables(config: &Config, places: &Places) -> Result<Vec<Kept>, Failure> {
    let mut tables: Vec<Kept> = Vec::new();
    let pool = connect::pool(None, places)?;
    let databases = Databases::of(&config.targets, &pool).await;
    for pipeline in config.pipelines.values() {
        let (target, table) = (&pipeline.target, &pipeline.settings.options.dead_letters);
        let Some(connector) = config.targets.get(target) else { continue };
        let database = databases.database(target, connector);
        if tables.iter().any(|kept| kept.database == database && kept.table == *table) {
            continue;
        }
        let sink = Arc::new(connect::sink(target, connector, &pool)?);
        tables.push(Kept { sink, database, table: table.clone() });
    }
    Ok(tables)
}

/// A name that neither a pipeline nor a letter has is a mistake.
fn known(config: &Config, name: Option<&String>, found: usize) -> Result<(), Failure> {
    match name {
        Some(name) if found == 0 => connect::pipeline(config, name).map(|_| ()),
        _ => Ok(()),
    }
}

fn no_letter(id: &str) -> Failure {
    Failure::Input(format!("there is no dead letter {id:?}: zenith dead-letters list shows what there is"))
}

async fn list(arguments: &ListLetters) -> Ending {
    let places = Places::find(&arguments.place)?;
    let config = applied(&places).await?;
    let filter = LetterFilter { pipeline: arguments.name.clone(), ..LetterFilter::default() };
    let (mut found, mut all) = (Vec::new(), 0);
    for kept in tables(&config, &places).await? {
        found.extend(kept.letters().list(&filter, Some(arguments.limit), false).await?);
        all += kept.letters().count(&filter).await?;
    }
    known(&config, arguments.name.as_ref(), found.len())?;
    found.sort_by_key(|letter| std::cmp::Reverse(letter.at));
    found.truncate(usize::try_from(arguments.limit).unwrap_or(usize::MAX));
    if arguments.json {
        print_json(&found.iter().map(shown).collect::<Vec<_>>());
    } else if all == 0 {
        print("there are no dead letters\n");
    } else {
        print(&listed(&found));
        let more = all.saturating_sub(u64::try_from(found.len()).unwrap_or(u64::MAX));
        if more > 0 {
            print(&format!("and {} more (--limit)\n", HumanCount(more)));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn listed(letters: &[StoredLetter]) -> String {
    let rows: Vec<Vec<String>> = letters
        .iter()
        .map(|letter| {
            vec![
                letter.name.clone(),
                time::shown(letter.at),
                letter.pipeline.clone(),
                letter.namespace.clone(),
                letter.id.clone(),
                HumanBytes(letter.size).to_string(),
                letter.reason.replace('\n', " "),
            ]
        })
        .collect();
    table(&["letter", "at (UTC)", "pipeline or run", "collection", "_id", "size", "reason"], &rows)
}

fn shown(letter: &StoredLetter) -> Value {
    json!({
        "id": letter.name,
        "at": time::rfc3339(letter.at),
        "pipeline": letter.pipeline,
        "collection": letter.namespace,
        "_id": letter.id,
        "bytes": letter.size,
        "reason": letter.reason,
        "operation": (!letter.operation.is_empty()).then_some(&letter.operation),
        "version": (letter.version > 0).then_some(letter.version),
    })
}

async fn show(arguments: &ShowLetter) -> Ending {
    let places = Places::find(&arguments.place)?;
    let config = applied(&places).await?;
    let filter = LetterFilter { names: Some(vec![arguments.id.clone()]), ..LetterFilter::default() };
    for kept in tables(&config, &places).await? {
        let Some(letter) = kept.letters().list(&filter, Some(1), true).await?.into_iter().next() else {
            continue;
        };
        let document = letter_json(&letter);
        if arguments.json {
            let mut object = shown(&letter);
            match document.and_then(|text| serde_json::from_str::<Value>(&text).ok()) {
                Some(document) => object["document"] = document,
                None => object["document_hex"] = Value::String(hex(&letter.document)),
            }
            print_json(&object);
            return Ok(ExitCode::SUCCESS);
        }
        let mut text = String::new();
        let size = HumanBytes(letter.size).to_string();
        let at = format!("{} (UTC)", time::shown(letter.at));
        for (name, value) in [
            ("letter", &letter.name),
            ("at", &at),
            ("pipeline or run", &letter.pipeline),
            ("collection", &letter.namespace),
            ("_id", &letter.id),
            ("change", &letter.operation),
            ("size", &size),
            ("reason", &letter.reason),
        ] {
            if !value.is_empty() {
                text.push_str(&format!("{name:16} {value}\n"));
            }
        }
        match document {
            Some(document) => text.push_str(&format!("\n{document}\n")),
            None => text.push_str(&format!("\nits bytes, escaped:\n{}\n", letter.document.escape_ascii())),
        }
        print(&text);
        return Ok(ExitCode::SUCCESS);
    }
    Err(no_letter(&arguments.id))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn retry(arguments: &RetryLetters) -> Ending {
    let places = Places::find(&arguments.place)?;
    let config = applied(&places).await?;
    let names: Vec<String> = match &arguments.name {
        Some(name) => {
            connect::pipeline(&config, name)?;
            vec![name.clone()]
        }
        None => config.pipelines.keys().cloned().collect(),
    };
    let pool = connect::loading_pool(None, &places, &config.targets).await?;
    let ids = (!arguments.ids.is_empty()).then(|| arguments.ids.clone());
    let mut all: Vec<(String, DeadLetterRetry)> = Vec::new();
    for name in names {
        let store = if arguments.dry_run { places.look().await? } else { places.change().await? };
        let single = connect::single(&config, &name, store, &pool).await?;
        let replay = single.keeper.retry_letters(&name, ids.clone(), arguments.dry_run).await?;
        if replay.letters > 0 || arguments.name.is_some() {
            all.push((name, replay));
        }
    }
    if let Some(id) = arguments.ids.first()
        && all.iter().all(|(_, replay)| replay.letters == 0)
    {
        return Err(no_letter(id));
    }
    if arguments.json {
        let pipelines: Vec<Value> = all.iter().map(|(name, replay)| replay_json(name, replay)).collect();
        print_json(&json!({ "dry_run": arguments.dry_run, "pipelines": pipelines }));
    } else if all.iter().all(|(_, replay)| replay.letters == 0) {
        print("there are no dead letters of these pipelines\n");
    } else {
        for (name, replay) in &all {
            print(&replay_text(name, replay, arguments.dry_run));
        }
        if arguments.dry_run {
            print("nothing was changed (--dry-run)\n");
        }
    }
    let left = all.iter().any(|(_, replay)| replay.left > 0);
    Ok(if left && !arguments.dry_run { ExitCode::from(LEFT) } else { ExitCode::SUCCESS })
}

fn replay_json(name: &str, replay: &DeadLetterRetry) -> Value {
    let failed = replay
        .failed
        .iter()
        .map(|(letter, reason)| json!({ "id": letter.name, "_id": letter.id, "reason": reason }));
    json!({
        "pipeline": name,
        "letters": replay.letters,
        "written": replay.written,
        "gone": replay.gone,
        "there": replay.there,
        "left": replay.left,
        "failed": failed.collect::<Vec<_>>(),
    })
}

fn replay_text(name: &str, replay: &DeadLetterRetry, dry_run: bool) -> String {
    let verb = if dry_run { "would be written" } else { "written" };
    let mut text = format!(
        "{name}: of {} dead letters {} {verb}, {} of documents that are gone, {} of documents that have a row, {} left\n",
        HumanCount(replay.letters),
        HumanCount(replay.written),
        HumanCount(replay.gone),
        HumanCount(replay.there),
        HumanCount(replay.left),
    );
    for (letter, reason) in replay.failed.iter().take(FAILED_SHOWN) {
        text.push_str(&format!("  {} {}: {}\n", letter.name, letter.id, reason.replace('\n', " ")));
    }
    let more = replay.left.saturating_sub(FAILED_SHOWN as u64);
    if more > 0 {
        text.push_str(&format!("  and {} more\n", HumanCount(more)));
    }
    text
}

async fn purge(arguments: &PurgeLetters) -> Ending {
    let places = Places::find(&arguments.place)?;
    let config = applied(&places).await?;
    let filter = LetterFilter {
        pipeline: arguments.name.clone(),
        names: (!arguments.ids.is_empty()).then(|| arguments.ids.clone()),
        before: arguments.before,
        ..LetterFilter::default()
    };
    let (mut count, mut found) = (0, Vec::new());
    let tables = tables(&config, &places).await?;
    for kept in &tables {
        count += kept.letters().count(&filter).await?;
        found.extend(kept.letters().list(&filter, Some(20), false).await?);
    }
    known(&config, arguments.name.as_ref(), found.len())?;
    if let Some(id) = arguments.ids.first().filter(|_| count == 0) {
        return Err(no_letter(id));
    }
    if arguments.yes {
        let store = places.change().await?;
        let pipelines: Vec<String> = config.pipelines.keys().cloned().collect();
        for kept in &tables {
            let reasons = kept.letters().reasons(&filter, &pipelines).await?;
            kept.letters().remove(&filter).await?;
            for (pipeline, reasons) in &reasons {
                store.settle_letters(pipeline, reasons).await?;
            }
        }
    }
    if arguments.json {
        print_json(&json!({ "letters": count, "removed": arguments.yes }));
    } else if count == 0 {
        print("there are no such dead letters\n");
    } else if arguments.yes {
        print(&format!("removed {}\n", counted(count)));
    } else {
        found.sort_by_key(|letter| std::cmp::Reverse(letter.at));
        found.truncate(FAILED_SHOWN);
        print(&listed(&found));
        print(&format!("would remove {}; nothing was changed: say --yes\n", counted(count)));
    }
    Ok(ExitCode::SUCCESS)
}

fn counted(letters: u64) -> String {
    format!("{} dead letter{}", HumanCount(letters), if letters == 1 { "" } else { "s" })
}
