//! What `zenith-simulation` changes in the engine: all work on one thread, and deliberate bugs for it to find.
//!
//! Without the feature `simulation`, which no program of this workspace has, nothing is ever changed.

#[cfg(feature = "simulation")]
use std::cell::Cell;

/// A bug at one place of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliberateBug {
    /// The checkpoint of a batch is saved before its insert is sent.
    CheckpointBeforeInsert,
    /// A repeated insert has another token than the first one.
    TokenNotRepeated,
    /// A batch ends after so many changes, also inside a cluster time.
    BatchEndsInsideClusterTime,
    /// An intent is closed before the checkpoint is saved, and not in the same step.
    IntentClosedEarly,
    /// Dead letters are written again without a look at those that are there.
    LettersNotLookedUp,
    /// Rows of documents whose key has changed stay where they are.
    OldPlacesLeft,
    /// Deletions leave the table for good while the collection is being read, whose rows may be older.
    PurgedWhileRead,
}

/// What is changed in the runs of a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Simulation {
    /// Whether work that may block is done by the task that needs it. The memory has to suffice for everything then.
    pub inline: bool,
    /// The bug.
    pub bug: Option<DeliberateBug>,
}

#[cfg(feature = "simulation")]
thread_local! {
    static CURRENT: Cell<Simulation> = const { Cell::new(Simulation { inline: false, bug: None }) };
}

/// Changes the runs of this thread from now on.
#[cfg(feature = "simulation")]
pub fn simulate(simulation: Simulation) {
    CURRENT.set(simulation);
}

#[cfg(feature = "simulation")]
fn current() -> Simulation {
    CURRENT.get()
}

#[cfg(not(feature = "simulation"))]
fn current() -> Simulation {
    Simulation::default()
}

/// Whether the task does itself what may block.
pub(crate) fn is_inline() -> bool {
    current().inline
}

/// Whether the engine is to have this bug.
pub(crate) fn has(bug: DeliberateBug) -> bool {
    current().bug == Some(bug)
}
