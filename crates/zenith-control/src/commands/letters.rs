//! Documents that have no row.

use indicatif::{HumanBytes, HumanCount};
use zenith_engine::{DeadLetterRetry, StoredLetter, letter_json};

use super::command::{Purge, Retry, View};
use super::desk::Desk;
use super::output::Output;
use crate::failure::Failure;
use crate::operations::letters::{self, LetterJson, Meant, PurgedJson};
use crate::text::table;
use crate::time;

/// The code for "some letters stay".
const LEFT: u8 = 1;
/// Letters that stay, as shown to people.
const FAILED_SHOWN: usize = 20;

pub async fn list(desk: &Desk, name: Option<&str>, limit: u64, view: View) -> Result<Output, Failure> {
    let (found, all) = letters::list(&desk.config().await?, &desk.places, name, desk.at_most(limit)).await?;
    if view.json {
        return Ok(Output::json(&found.iter().map(LetterJson::of).collect::<Vec<_>>()));
    }
    if all == 0 {
        return Ok(Output::text("there are no dead letters\n"));
    }
    let mut text = listed(&found);
    let more = all.saturating_sub(u64::try_from(found.len()).unwrap_or(u64::MAX));
    if more > 0 {
        text.push_str(&format!("and {} more (--limit)\n", HumanCount(more)));
    }
    Ok(Output::text(text))
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

pub async fn show(desk: &Desk, id: &str, view: View) -> Result<Output, Failure> {
    let letter = letters::show(&desk.config().await?, &desk.places, id).await?;
    if view.json {
        return Ok(Output::json(&LetterJson::whole(&letter)));
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
    Ok(Output::text(text))
}

pub async fn retry(desk: &Desk, wanted: &Retry, view: View) -> Result<Output, Failure> {
    let config = desk.config().await?;
    let dry_run = wanted.dry_run;
    let store = if dry_run { desk.look().await? } else { desk.change().await? };
    let meant = Meant { name: wanted.name.clone(), ids: wanted.ids.clone(), ..Meant::default() };
    let retried = letters::retry(&config, &store, &meant, dry_run, &desk.memory(&config).await?).await?;
    let all = &retried.pipelines;
    let output = if view.json {
        Output::json(&retried.json())
    } else if all.iter().all(|(_, replay)| replay.letters == 0) {
        Output::text("there are no dead letters of these pipelines\n")
    } else {
        let mut text: String = all.iter().map(|(name, replay)| replay_text(name, replay, dry_run)).collect();
        if dry_run {
            text.push_str("nothing was changed (--dry-run)\n");
        }
        Output::text(text)
    };
    let left = all.iter().any(|(_, replay)| replay.left > 0);
    Ok(output.code(if left && !dry_run { LEFT } else { 0 }))
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

pub async fn purge(desk: &Desk, wanted: &Purge, view: View) -> Result<Output, Failure> {
    let config = desk.config().await?;
    let meant = Meant { name: wanted.name.clone(), ids: wanted.ids.clone(), before: wanted.before };
    let purgeable = letters::purgeable(&config, &desk.places, &meant).await?;
    let count = purgeable.count;
    if wanted.yes {
        purgeable.purge(&desk.change().await?).await?;
    }
    if view.json {
        return Ok(Output::json(&PurgedJson { letters: count, removed: wanted.yes }));
    }
    Ok(Output::text(match (count, wanted.yes) {
        (0, _) => "there are no such dead letters\n".to_owned(),
        (_, true) => format!("removed {}\n", counted(count)),
        (_, false) => format!(
            "{}would remove {}; nothing was changed: say --yes\n",
            listed(&purgeable.newest),
            counted(count)
        ),
    }))
}

fn counted(letters: u64) -> String {
    format!("{} dead letter{}", HumanCount(letters), if letters == 1 { "" } else { "s" })
}
