//! What the parts of a run share, and how one of its pipelines ended.

use zenith_engine::state::{DynStateStore, Mismatches};
use zenith_engine::{Pool, Until};

use crate::failure::Failure;
use crate::memory::Memory;
use crate::notices::Notices;

/// How one pipeline ended.
#[derive(Debug)]
pub struct Ended {
    /// The pipeline.
    pub name: String,
    /// Rows it wrote.
    pub rows: u64,
    /// What did not fit.
    pub mismatches: Mismatches,
    /// Why it could not go on; `None` if it was stopped or is done.
    pub failure: Option<Failure>,
    /// Whether it has done what it was to do, and was not stopped before.
    pub done: bool,
}

impl Ended {
    /// One that has not begun.
    pub fn failed(name: &str, failure: Failure) -> Ended {
        Ended {
            name: name.to_owned(),
            rows: 0,
            mismatches: Mismatches::default(),
            failure: Some(failure),
            done: false,
        }
    }
}

/// What all groups share.
#[derive(Clone)]
pub struct Shared {
    /// The state.
    pub store: DynStateStore,
    /// Memory for data on its way.
    pub pool: Pool,
    /// How it is divided.
    pub memory: Memory,
    /// When the run ends.
    pub until: Until,
    /// Whether the run goes on where nothing is left to be done, and tries pipelines that failed again.
    pub stays: bool,
    /// Told what everybody should know.
    pub notices: Notices,
}
