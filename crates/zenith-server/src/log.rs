//! What happened in the last hour: log lines of all pipelines, kept in memory for those who look.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use tokio::sync::broadcast;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;
use utoipa::ToSchema;
use zenith_control::failure::Code;
use zenith_control::time;

/// Older entries are forgotten.
const KEPT_FOR: Duration = Duration::from_secs(3600);
/// More are not kept.
const KEPT_MAX: usize = 5_000;
/// Entries that one who listens may be behind.
const BEHIND_MAX: usize = 256;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It is as it should be.
    Info,
    /// Somebody should know.
    Warn,
    /// Something failed.
    Error,
}

/// One line.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LogEntry {
    /// Its number; later ones have larger ones.
    pub id: u64,
    /// When, in RFC 3339.
    pub at: String,
    /// How bad it is.
    pub level: Severity,
    /// What it is about, if that is a pipeline.
    pub pipeline: Option<String>,
    /// The code of its error, where it has one.
    pub code: Option<String>,
    /// In a sentence.
    pub message: String,
}

/// The lines of the last hour. Clones share them.
#[derive(Clone)]
pub struct Log(Arc<Shared>);

struct Shared {
    kept: Mutex<Kept>,
    fresh: broadcast::Sender<LogEntry>,
}

#[derive(Default)]
struct Kept {
    next: u64,
    entries: VecDeque<(SystemTime, LogEntry)>,
}

impl Default for Log {
    fn default() -> Log {
        let kept = Mutex::new(Kept { next: 1, ..Kept::default() });
        Log(Arc::new(Shared { kept, fresh: broadcast::Sender::new(BEHIND_MAX) }))
    }
}

impl Log {
    /// Adds a line.
    pub fn add(&self, level: Severity, pipeline: Option<&str>, message: &str) {
        let at = SystemTime::now();
        let (message, code) = Code::behind(message);
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = LogEntry {
            id: kept.next,
            at: time::rfc3339(at),
            level,
            pipeline: pipeline.map(str::to_owned),
            code: code.map(|code| code.to_string()),
            message: message.to_owned(),
        };
        kept.next += 1;
        kept.entries.push_back((at, entry.clone()));
        let is_old = |(then, _): &(SystemTime, LogEntry)| time::ago(*then, at) > KEPT_FOR;
        while kept.entries.len() > KEPT_MAX || kept.entries.front().is_some_and(is_old) {
            kept.entries.pop_front();
        }
        // Nobody may be listening.
        let _ = self.0.fresh.send(entry);
    }

    /// The newest lines that `wanted` takes, oldest first, `limit` at most.
    pub fn last(&self, limit: usize, wanted: impl Fn(&LogEntry) -> bool) -> Vec<LogEntry> {
        let kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = kept.entries.iter().rev().map(|(_, entry)| entry).filter(|entry| wanted(entry));
        let mut entries: Vec<LogEntry> = newest.take(limit).cloned().collect();
        entries.reverse();
        entries
    }

    /// Lines from now on.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<LogEntry> {
        self.0.fresh.subscribe()
    }
}

/// The pipeline that a span names.
struct Named(String);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Log {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut found = Found::default();
        attributes.record(&mut found);
        if let (Some(pipeline), Some(span)) = (found.pipeline, context.span(id)) {
            span.extensions_mut().insert(Named(pipeline));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let level = match *event.metadata().level() {
            Level::ERROR => Severity::Error,
            Level::WARN => Severity::Warn,
            _ => Severity::Info,
        };
        let mut found = Found::default();
        event.record(&mut found);
        let message = if found.others.is_empty() {
            found.message
        } else {
            format!("{} ({})", found.message, found.others.trim_end_matches(", "))
        };
        // What the line itself is about counts more than what it was written in.
        let pipeline = found.pipeline.or_else(|| {
            let mut spans = context.event_scope(event)?;
            spans.find_map(|span| span.extensions().get::<Named>().map(|named| named.0.clone()))
        });
        self.add(level, pipeline.as_deref(), &message);
    }
}

/// The fields of an event.
#[derive(Default)]
struct Found {
    message: String,
    pipeline: Option<String>,
    others: String,
}

impl Found {
    fn take(&mut self, field: &Field, value: String) {
        match field.name() {
            "message" => self.message = value,
            "pipeline" => self.pipeline = Some(value),
            name => {
                let _ = write!(self.others, "{name}: {value}, ");
            }
        }
    }
}

impl Visit for Found {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.take(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn events_become_lines_with_their_pipeline() {
        let log = Log::default();
        let mut listening = log.listen();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(log.clone()), || {
            tracing::warn!(pipeline = "orders", rows = 3, "trying again");
            tracing::info!("started");
            tracing::error_span!("pipeline", pipeline = "users").in_scope(|| {
                tracing::error_span!("insert", token = "t").in_scope(|| tracing::warn!("slow"));
            });
        });
        let lines = log.last(10, |_| true);
        assert_eq!(
            lines
                .iter()
                .map(|line| (line.level, line.pipeline.as_deref(), line.message.as_str()))
                .collect::<Vec<_>>(),
            [
                (Severity::Warn, Some("orders"), "trying again (rows: 3)"),
                (Severity::Info, None, "started"),
                (Severity::Warn, Some("users"), "slow"),
            ]
        );
        assert_eq!(listening.try_recv().unwrap().id, lines[0].id);
        assert_eq!(log.last(1, |_| true)[0].message, "slow");
        assert_eq!(log.last(9, |line| line.level >= Severity::Warn).len(), 2);
    }

    #[test]
    fn no_more_than_so_many_are_kept() {
        let log = Log::default();
        (0..KEPT_MAX + 7).for_each(|number| log.add(Severity::Info, None, &number.to_string()));
        let kept = log.last(usize::MAX, |_| true);
        assert_eq!((kept.len(), kept[0].message.as_str()), (KEPT_MAX, "7"));
    }
}
