//! The groups of a run while they run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use zenith_engine::PipelineProgress;

use super::desired::Group;
use super::group::View;

/// A group that was started.
pub struct Running {
    /// As it was when it was started, without the pipelines that were worked at beside it.
    pub group: Group,
    /// Becomes true when it is to stop.
    pub stop: watch::Sender<bool>,
    /// What it is doing.
    pub view: View,
    /// Whether it has ended.
    pub ended: bool,
    /// Whether it is to begin again once it has ended.
    pub begins_again: bool,
    /// How often others have joined it, each time with a stream of their own.
    pub joins: u32,
}

/// The groups that run, for displays.
#[derive(Clone, Default)]
pub struct Views(Arc<Mutex<BTreeMap<String, View>>>);

impl Views {
    /// What all pipelines are doing, by name.
    pub fn progress(&self) -> Vec<PipelineProgress> {
        let views: Vec<View> = self.with(|views| views.values().cloned().collect());
        let mut all: Vec<PipelineProgress> = views.iter().flat_map(View::progress).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    pub(super) fn with<T>(&self, change: impl FnOnce(&mut BTreeMap<String, View>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
