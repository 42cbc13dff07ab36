//! Whether something is wrong with a pipeline.

use std::time::{Duration, SystemTime};

use zenith_engine::state::Mismatches;

use crate::config::alerts::{AlertKind, Limits};
use crate::mismatches;
use crate::status::condition::Left;
use crate::status::{Pipeline, State};
use crate::time::{ago, duration};

/// How long a run catches up before its lag counts.
const SETTLED: Duration = Duration::from_secs(10);
/// Reasons that a sentence names.
const REASONS_NAMED: usize = 3;

/// How a pipeline stands in one respect.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// Something is wrong: in a sentence, and since when, if that is known.
    Wrong(String, Option<SystemTime>),
    /// Nothing is: in a sentence.
    Right(String),
    /// It cannot be told, or is between the two; what was told before still holds.
    Unclear,
}

/// How a pipeline stands.
pub fn standing(pipeline: &Pipeline, kind: AlertKind, limits: &Limits, now: SystemTime) -> Standing {
    match kind {
        AlertKind::Failed => failed(pipeline, now),
        AlertKind::Lagging => lagging(pipeline, limits.lag, now),
        AlertKind::OplogHeadroom => headroom(pipeline, limits.oplog_headroom),
        AlertKind::ExtraValues => extra_values(&pipeline.name, &pipeline.mismatches.last_hour),
        AlertKind::DeadLetters => dead_letters(pipeline),
    }
}

fn failed(pipeline: &Pipeline, now: SystemTime) -> Standing {
    let name = &pipeline.name;
    let has_settled = pipeline.begun.is_some_and(|begun| ago(begun, now) >= pipeline.recovers_in);
    match pipeline.state {
        State::Failed => {
            let why = pipeline.last_error.as_ref().map_or("", |error| error.message.as_str());
            Standing::Wrong(format!("{name} failed: {why}"), pipeline.failing_since)
        }
        State::Following if has_settled => Standing::Right(format!("{name} runs again")),
        State::Done => Standing::Right(format!("{name} has done what it was to do")),
        State::Paused => Standing::Right(format!("{name} was paused")),
        _ => Standing::Unclear,
    }
}

fn lagging(pipeline: &Pipeline, most: Duration, now: SystemTime) -> Standing {
    let name = &pipeline.name;
    if pipeline.paused || pipeline.state == State::Done {
        return Standing::Right(format!("{name} is not to be in step at the moment"));
    }
    if let Some(waiting) = &pipeline.waiting
        && ago(waiting.since, now) > most
    {
        let lasts = duration(ago(waiting.since, now));
        return Standing::Wrong(
            format!("{name} has been waiting for {lasts}: {}", waiting.reason),
            Some(waiting.since),
        );
    }
    // A run that has just begun catches up first.
    let has_settled = pipeline.begun.is_some_and(|begun| ago(begun, now) >= SETTLED);
    match pipeline.lag {
        Some(lag) if lag > most && has_settled => {
            let (lag, most) = (duration(lag), duration(most));
            Standing::Wrong(
                format!("{name} is {lag} behind its collection, and {most} are allowed"),
                pipeline.complete_to,
            )
        }
        // Not at the limit itself, where it would come and go.
        Some(lag) if lag <= most / 2 => {
            Standing::Right(format!("{name} is {} behind its collection", duration(lag)))
        }
        _ => Standing::Unclear,
    }
}

fn headroom(pipeline: &Pipeline, least: Duration) -> Standing {
    let name = &pipeline.name;
    match pipeline.headroom.map(|headroom| headroom.left) {
        Some(Left::Lost) => {
            Standing::Wrong(format!("{name}: MongoDB has forgotten the changes since its checkpoint"), None)
        }
        Some(Left::For(left)) if left < least => Standing::Wrong(
            format!("{name}: MongoDB forgets the changes since its checkpoint in about {}", duration(left)),
            None,
        ),
        Some(Left::For(left)) if left < least + least / 4 => Standing::Unclear,
        Some(Left::For(left)) => Standing::Right(format!(
            "{name}: MongoDB keeps the changes since its checkpoint for about {}",
            duration(left)
        )),
        None => Standing::Right(format!("{name} has nothing that MongoDB could forget")),
    }
}

fn extra_values(name: &str, last_hour: &Mismatches) -> Standing {
    let count = last_hour.values_total();
    if count == 0 {
        return Standing::Right(format!("no value of {name} has gone to _zenith_extra for an hour"));
    }
    let mut fields: Vec<(u64, String)> = Vec::new();
    for (field, reasons) in &last_hour.values {
        let shown = reasons.iter().filter(|(reason, _)| !zenith_engine::state::is_shown(reason));
        fields.extend(shown.map(|(reason, count)| (*count, format!("{field} {reason}"))));
    }
    Standing::Wrong(
        format!(
            "values of {name} do not fit their columns and went to _zenith_extra: {} in the last hour ({})",
            mismatches::counted(count, "value"),
            most_frequent(fields)
        ),
        None,
    )
}

fn dead_letters(pipeline: &Pipeline) -> Standing {
    let (name, last_hour) = (&pipeline.name, &pipeline.mismatches.last_hour);
    let count = last_hour.documents_total();
    if count == 0 {
        let kept = pipeline.mismatches.all.documents_total();
        let kept = if kept == 0 { "none is left".to_owned() } else { format!("{kept} are kept") };
        return Standing::Right(format!("{name} has no new dead letters; {kept}"));
    }
    let reasons = last_hour.documents.iter().map(|(reason, count)| (*count, reason.clone())).collect();
    Standing::Wrong(
        format!(
            "documents of {name} have no row: {} in the last hour ({})",
            mismatches::counted(count, "dead letter"),
            most_frequent(reasons)
        ),
        None,
    )
}

fn most_frequent(mut reasons: Vec<(u64, String)>) -> String {
    reasons.sort_by(|one, other| other.cmp(one));
    let more = reasons.len().saturating_sub(REASONS_NAMED);
    let named = reasons.into_iter().take(REASONS_NAMED).map(|(count, reason)| format!("{count}: {reason}"));
    let named = named.collect::<Vec<_>>().join("; ");
    if more == 0 { named } else { format!("{named}; and {more} more reasons") }
}

/// What to do about it.
#[must_use]
pub fn remedy(kind: AlertKind, name: &str) -> String {
    match kind {
        AlertKind::Failed => format!(
            "`zenith status {name}` has the whole error. Correct what it names; zenith serve tries again by itself, zenith \
             run has to be started again"
        ),
        AlertKind::Lagging => format!(
            "`zenith status {name}` says what it waits for. Look at the load of both servers, and whether the oplog is long \
             enough meanwhile"
        ),
        AlertKind::OplogHeadroom => format!(
            "`zenith pipeline resume {name}` if it is paused, a larger oplog of MongoDB (replSetResizeOplog), or, if the \
             changes are lost, `zenith reload {name}`"
        ),
        AlertKind::ExtraValues => format!(
            "Nothing is lost. `zenith status {name}` lists the fields and reasons; `zenith schema promote {name}` or \
             `zenith reload {name}` gives them columns"
        ),
        AlertKind::DeadLetters => format!(
            "`zenith dead-letters list {name}` shows them. `zenith dead-letters retry {name}` writes their rows once the \
             cause is corrected; `zenith dead-letters purge {name}` removes them"
        ),
    }
}
