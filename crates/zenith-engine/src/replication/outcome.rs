//! When the run of a pipeline ends, and how it did.

use zenith_state::Mismatches;

use crate::EngineError;

/// The end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// The run continues until it is stopped.
    Stopped,
    /// When everything that was there at the beginning is in the tables.
    CaughtUp,
}

/// How the run of one pipeline ended.
#[derive(Debug)]
pub struct Outcome {
    /// The pipeline.
    pub name: String,
    /// Rows written in this run.
    pub rows: u64,
    /// What of the documents of this run did not fit.
    pub mismatches: Mismatches,
    /// Why it could not go on.
    pub error: Option<EngineError>,
}
