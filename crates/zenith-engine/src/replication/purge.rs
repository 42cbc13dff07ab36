//! Rows of documents that have been gone for long leave the table for good.
//!
//! What is removed is older than the checkpoint, so that no insert still has a row of that time: neither one under way, nor one
//! that a crash interrupted, nor a change that waits. While the collection is being read nothing is removed: its rows are older
//! than all changes. After a reset to an earlier place the checkpoint is old again, and a change that is applied a second time
//! comes with its deletion.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use zenith_extract::{ChangeSource, Source};
use zenith_state::StateStore;
use zenith_transport::{Purge, Purging, Sink, TransportError};

use super::context::Context;
use super::position::Position;
use super::version::version_of;
use crate::Result;
use crate::error::sentence;
use crate::layout::{DELETED_COLUMN, KEY, VERSION_COLUMN};
use crate::places::Places;
use crate::simulation::{DeliberateBug, has};

/// The least and the most time between two looks at the table.
const LOOK_EVERY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(24 * 3600));
/// The most time between two looks while rows are being removed.
const UNDER_WAY: Duration = Duration::from_secs(60);

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Context<S, K, T> {
    /// Has rows removed now and then; ends where there is nothing of that kind to do.
    pub(super) async fn purge(&self, places: Option<&Arc<Places>>) {
        let Some(after) = self.settings.purge_deleted else { return };
        let pause = (after / 30).clamp(LOOK_EVERY.0, LOOK_EVERY.1);
        let mut told = None;
        loop {
            let mut next = pause;
            match self.purge_once(after, places).await {
                Ok(Some(Purging::Done) | None) => told = None,
                Ok(Some(Purging::Failing { mutation, reason })) => {
                    next = pause.min(UNDER_WAY);
                    // What it fails with may say something else each time.
                    if told.as_ref() != Some(&mutation) {
                        self.tell_mutation(&mutation, &reason);
                        told = Some(mutation);
                    }
                }
                Ok(Some(step)) => {
                    told = None;
                    next = pause.min(UNDER_WAY);
                    tracing::debug!(pipeline = self.name, table = self.table, ?step, "removing rows");
                }
                Err(error) if error.is_passing() => {}
                Err(error) => {
                    let why = sentence(&error);
                    if told.as_ref() != Some(&why) {
                        self.tell_not_purged(&why);
                        told = Some(why);
                    }
                }
            }
            tokio::time::sleep(next).await;
        }
    }

    /// Takes one step, where a run ends that has caught up.
    pub(super) async fn purge_at_end(&self, places: Option<&Arc<Places>>) {
        let Some(after) = self.settings.purge_deleted else { return };
        match self.purge_once(after, places).await {
            Ok(Some(Purging::Failing { mutation, reason })) => self.tell_mutation(&mutation, &reason),
            Ok(_) => {}
            Err(error) => self.tell_not_purged(&sentence(&error)),
        }
    }

    fn tell_mutation(&self, mutation: &str, reason: &str) {
        self.tell_not_purged(&format!(
            "the mutation {mutation} of the table has to be done before, and {reason}; mend what it fails for, or end it with KILL \
             MUTATION WHERE table = '{}' AND mutation_id = '{mutation}'",
            self.table
        ));
    }

    fn tell_not_purged(&self, why: &str) {
        tracing::warn!(
            pipeline = self.name,
            "rows of documents that are gone stay in {}, although purge_deleted is set: {why}",
            self.table
        );
    }

    /// Takes one step, if anything is old enough.
    pub(super) async fn purge_once(
        &self,
        after: Duration,
        places: Option<&Arc<Places>>,
    ) -> Result<Option<Purging>> {
        let Some(up_to) = self.purged_up_to(after).await? else { return Ok(None) };
        self.own().await?;
        let columns = places.map_or(&[][..], |places| places.columns());
        let purge = Purge {
            table: self.table.clone(),
            key: std::iter::once(KEY.to_owned()).chain(columns.iter().cloned()).collect(),
            version: VERSION_COLUMN.to_owned(),
            deleted: DELETED_COLUMN.to_owned(),
            up_to,
        };
        match self.sink.admin().purge(&purge).await {
            Ok(step) => Ok(Some(step)),
            Err(TransportError::Unsupported { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The version up to which deletions are to leave the table, and no row is still to come.
    async fn purged_up_to(&self, after: Duration) -> Result<Option<u64>> {
        if self.is_being_read().await? && !has(DeliberateBug::PurgedWhileRead) {
            return Ok(None);
        }
        let Some(checkpoint) = self.state.checkpoint(&self.name).await? else { return Ok(None) };
        let mut reached = before(&Position::decode(&checkpoint.position)?);
        for intent in self.state.open_intents(&self.name).await? {
            reached = reached.min(before(&Position::decode(&intent.from)?));
        }
        let now = self.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let old = now.saturating_sub(after).as_secs() << 32;
        Ok(Some(reached.min(old)).filter(|up_to| *up_to > 0))
    }
}

/// The last version of which no change comes after a position.
fn before(position: &Position) -> u64 {
    let place = position.token.cluster_time().map_or(0, version_of);
    place.max(position.version).saturating_sub(1)
}
