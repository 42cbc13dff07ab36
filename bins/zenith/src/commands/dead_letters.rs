//! `zenith dead-letters`: documents that have no row.

use std::process::ExitCode;

use indicatif::{HumanBytes, HumanCount};
use zenith_engine::state::DynStateStore;
use zenith_engine::{DeadLetterRetry, StoredLetter, letter_json};

use super::something_applied;
use crate::args::{
    DeadLetterCommand, DeadLetters as Arguments, ListLetters, PurgeLetters, RetryLetters, ShowLetter,
};
use crate::exit::{Ending, Failure};
use crate::terminal::{print, print_json};
use zenith_control::config::Config;
use zenith_control::connect;
use zenith_control::memory::Memory;
use zenith_control::operations::letters::{self, LetterJson, Meant, PurgedJson};
use zenith_control::state::Places;
use zenith_control::text::table;
use zenith_control::time;

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

async fn applied(places: &Places) -> Result<Config, Failure> {
    something_applied(&places.look().await?).await?.config().map_err(Failure::Input)
}

async fn list(arguments: &ListLetters) -> Ending {
    let places = Places::find(&arguments.place)?;
    let config = applied(&places).await?;
    let (found, all) = letters::list(&config, &places, arguments.name.as_deref(), arguments.limit).await?;
    if arguments.json {
        print_json(&found.iter().map(LetterJson::of).collect::<Vec<_>>());
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

async fn show(arguments: &ShowLetter) -> Ending {
    let places = Places::find(&arguments.place)?;
    let config = applied(&places).await?;
    let letter = letters::show(&config, &places, &arguments.id).await?;
    if arguments.json {
        print_json(&LetterJson::whole(&letter));
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
    match letter_json(&letter) {
        Some(document) => text.push_str(&format!("\n{document}\n")),
        None => text.push_str(&format!("\nits bytes, escaped:\n{}\n", letter.document.escape_ascii())),
    }
    print(&text);
    Ok(ExitCode::SUCCESS)
}

async fn retry(arguments: &RetryLetters) -> Ending {
    let places = Places::find(&arguments.place)?;
    let config = applied(&places).await?;
    let store = if arguments.dry_run { places.look().await? } else { places.change().await? };
    let meant = Meant { name: arguments.name.clone(), ids: arguments.ids.clone(), ..Meant::default() };
    let store = DynStateStore::new(store);
    let memory = Memory::new(connect::loading_pool(None, &places, &config.targets).await?);
    let retried = letters::retry(&config, &store, &meant, arguments.dry_run, &memory).await?;
    let all = &retried.pipelines;
    if arguments.json {
        print_json(&retried.json());
    } else if all.iter().all(|(_, replay)| replay.letters == 0) {
        print("there are no dead letters of these pipelines\n");
    } else {
        for (name, replay) in all {
            print(&replay_text(name, replay, arguments.dry_run));
        }
        if arguments.dry_run {
            print("nothing was changed (--dry-run)\n");
        }
    }
    let left = all.iter().any(|(_, replay)| replay.left > 0);
    Ok(if left && !arguments.dry_run { ExitCode::from(LEFT) } else { ExitCode::SUCCESS })
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
    let meant = Meant { name: arguments.name.clone(), ids: arguments.ids.clone(), before: arguments.before };
    let purgeable = letters::purgeable(&config, &places, &meant).await?;
    let count = purgeable.count;
    if arguments.yes {
        purgeable.purge(&places.change().await?).await?;
    }
    if arguments.json {
        print_json(&PurgedJson { letters: count, removed: arguments.yes });
    } else if count == 0 {
        print("there are no such dead letters\n");
    } else if arguments.yes {
        print(&format!("removed {}\n", counted(count)));
    } else {
        print(&listed(&purgeable.newest));
        print(&format!("would remove {}; nothing was changed: say --yes\n", counted(count)));
    }
    Ok(ExitCode::SUCCESS)
}

fn counted(letters: u64) -> String {
    format!("{} dead letter{}", HumanCount(letters), if letters == 1 { "" } else { "s" })
}
