//! Whether a source knows the last change of a pipeline: what is left to users who may read nothing that names the source.
//!
//! Places between changes are known to every source of that time; that of a change only to the one that it is of.

use std::time::Duration;

use tokio::time::timeout;
use zenith_extract::{ChangeReader as _, ChangeSource, ResumeToken, Source, StartAt, WatchOptions};
use zenith_state::StateStore;
use zenith_transport::Sink;

use super::context::Context;
use super::position::Position;
use crate::{EngineError, Result};

/// How long to look for the place of a change, and how long for changes behind it.
const PLACE_TIMEOUT: Duration = Duration::from_secs(10);
const PLACE_IDLE: Duration = Duration::from_millis(100);

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Context<S, K, T> {
    /// Refuses a source that does not know the last change that is in the table, although it remembers earlier ones.
    pub(super) async fn guard_place(&self, position: &Position) -> Result<()> {
        let Some(last) = &position.last else { return Ok(()) };
        match self.knows(last).await? {
            Some(false) => Err(self.other_place()),
            Some(true) | None => Ok(()),
        }
    }

    /// Whether the source knows the place of a change; `None` where that cannot be told, as it remembers later ones alone.
    pub(super) async fn knows(&self, place: &ResumeToken) -> Result<Option<bool>> {
        let namespaces = vec![self.namespace.clone()];
        let look = async {
            let found = self.source.change_preflight(&namespaces).await?;
            let mut options =
                WatchOptions::new(found.scope, namespaces.clone(), self.memory.lookups().clone());
            options.from = StartAt::Token(place.clone());
            options.idle = PLACE_IDLE;
            self.source.watch(options).await?.next().await
        };
        Ok(match self.unless_stopped(timeout(PLACE_TIMEOUT, look)).await? {
            Ok(Ok(_)) => Some(true),
            Ok(Err(error)) if error.is_place_unknown() => Some(false),
            Ok(Err(_)) | Err(_) => None,
        })
    }

    /// The error of a source that does not know the place of the last change.
    pub(super) fn other_place(&self) -> EngineError {
        self.other_source(
            "the last change that is in the table is not among its changes, although these reach back further; it is another \
             deployment, or was restored from an earlier backup"
                .to_owned(),
        )
    }
}
