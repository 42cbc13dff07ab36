//! How far a pipeline has come.

use crate::{Checkpoint, Intent, Result, Snapshot, StateError};

#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) checkpoint: Option<Checkpoint>,
    /// Oldest first.
    pub(super) intents: Vec<Intent>,
    pub(super) snapshot: Option<Snapshot>,
}

impl Progress {
    pub(super) fn check_forward(&self, pipeline: &str, to: &Checkpoint) -> Result<()> {
        match &self.checkpoint {
            Some(now) if to.order < now.order => Err(StateError::Backwards { pipeline: pipeline.to_owned() }),
            _ => Ok(()),
        }
    }

    pub(super) fn intent(&self, pipeline: &str, token: &str) -> Result<usize> {
        self.intents.iter().position(|intent| intent.token == token).ok_or_else(|| {
            StateError::UnknownIntent { pipeline: pipeline.to_owned(), token: token.to_owned() }
        })
    }
}
