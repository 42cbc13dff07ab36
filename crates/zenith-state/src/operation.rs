//! What a run reports about its pipelines, what commands ask of it, and which databases it knows.

use std::time::{Duration, SystemTime};

use crate::Outcome;

/// The condition of a pipeline, as the process that runs it reports it.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// What it waits for, if it cannot continue at the moment.
    pub waiting: Option<Since>,
    /// Why its table no longer follows the collection, if it does not.
    pub detached: Option<Since>,
    /// The source's clock minus this machine's, in nanoseconds.
    pub source_ahead: i64,
    /// The time of the oldest change that the source still knows, if it forgets any.
    pub oplog_from: Option<SystemTime>,
    /// Active parts of the table, if it has such.
    pub parts: Option<u64>,
    /// The source's time up to which the table is complete, as the run knows it before it saves it.
    pub applied_to: Option<SystemTime>,
    /// When this was noted.
    pub noted: SystemTime,
}

impl Condition {
    /// A pipeline of which nothing is known.
    #[must_use]
    pub fn new(noted: SystemTime) -> Condition {
        Condition {
            waiting: None,
            detached: None,
            source_ahead: 0,
            oplog_from: None,
            parts: None,
            applied_to: None,
            noted,
        }
    }

    /// The time at the source when it is `now` here.
    #[must_use]
    pub fn source_time(&self, now: SystemTime) -> SystemTime {
        ahead(now, self.source_ahead)
    }
}

/// What a clock shows that is so many nanoseconds ahead of `time`; less than none is behind.
#[must_use]
pub fn ahead(time: SystemTime, nanoseconds: i64) -> SystemTime {
    let difference = Duration::from_nanos(nanoseconds.unsigned_abs());
    let shown = if nanoseconds < 0 { time.checked_sub(difference) } else { time.checked_add(difference) };
    shown.unwrap_or(time)
}

/// Something that has lasted for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Since {
    /// What, in a sentence.
    pub reason: String,
    /// When it began.
    pub since: SystemTime,
}

/// What a command asks of the run under way.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Its number; later requests have larger ones.
    pub id: i64,
    /// The pipeline it is about.
    pub pipeline: String,
    /// What is to be done, as in `reload`.
    pub action: String,
    /// How, opaque.
    pub arguments: String,
    /// When it was asked.
    pub requested: SystemTime,
    /// When the run took it; `None` while nobody has.
    pub taken: Option<SystemTime>,
    /// Whether it was cancelled.
    pub cancelled: bool,
    /// Its progress, opaque.
    pub progress: String,
    /// How it ended; `None` while it has not.
    pub end: Option<RequestEnd>,
}

/// The end of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestEnd {
    /// When it ended.
    pub ended: SystemTime,
    /// How it ended.
    pub outcome: Outcome,
    /// The result or the error, opaque.
    pub result: String,
}

/// Which databases the ends of a pipeline were when it began, opaque.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The source and the collection.
    pub source: String,
    /// The target and the table.
    pub target: String,
}
