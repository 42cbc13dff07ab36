//! What goes from task to task of a pipeline, in the order of the stream.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::event::{Event, Gone};
use super::position::Position;

/// One step on the way of changes to the table; `B` is a batch as far as it is made.
///
/// A channel has room for 32 of them from the start, and each pipeline has two channels: so a step is small.
pub(super) enum Step<B> {
    /// Changes of documents.
    Batch(Box<B>),
    /// A position between changes.
    Milestone(Box<Milestone>),
}

/// What a position between changes means for the table.
#[derive(Debug)]
pub(super) struct Milestone {
    /// How the collection went here; `None` if nothing has happened to it.
    pub(super) gone: Option<Gone>,
    pub(super) to: Position,
    pub(super) source_time: Option<SystemTime>,
}

/// Changes to be written together.
pub(super) struct Work {
    pub(super) events: Arc<Vec<Event>>,
    pub(super) from: Position,
    /// The position after the last of them.
    pub(super) to: Position,
    pub(super) source_time: Option<SystemTime>,
    /// The token of the insert; that of an earlier run if this is its replay.
    pub(super) token: String,
    /// How many inserts this has become already, being more than one batch holds.
    pub(super) part: u32,
    pub(super) is_replay: bool,
}

/// A step is durable.
#[derive(Debug)]
pub(super) struct Done {
    /// How long to gather changes before the next insert.
    pub(super) pause: Duration,
}
