//! When the run of a pipeline ends, and how it did.

use zenith_state::Mismatches;

use crate::EngineError;

/// The end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Until it is stopped.
    Stopped,
    /// When everything that existed at the beginning is in the tables.
    CaughtUp,
}

/// How the run of one pipeline ended.
#[derive(Debug)]
pub struct Outcome {
    /// The pipeline.
    pub name: String,
    /// Rows written in this run.
    pub rows: u64,
    /// The mismatches of this run.
    pub mismatches: Mismatches,
    /// The error that ended it.
    pub error: Option<EngineError>,
}
