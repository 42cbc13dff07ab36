//! Which source a pipeline has followed: a position in the changes of one deployment means nothing to another.

use bson::Timestamp;
use serde::{Deserialize, Serialize};
use zenith_extract::{ChangeSource, Source};
use zenith_state::{Identity, Snapshot, StateStore};
use zenith_transport::Sink;

use super::context::Context;
use super::position::Position;
use super::version::system_time;
use crate::layout::Layout;
use crate::settings::OnDrop;
use crate::{EngineError, Result};

/// Seconds by which members of one deployment may know the time differently.
const TIMES_APART: u32 = 10;

/// The source of a pipeline, as far as its user may know it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct SourceIdentity {
    deployment: Option<String>,
    collection: Option<String>,
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Context<S, K, T> {
    /// Refuses to go on at a position of another source, or in a table that was emptied. Writes nothing to either end.
    pub(super) async fn guard_ends(&self, position: &Position, rows: u64) -> Result<()> {
        let now = self.asking(|| self.source.now()).await?;
        if let Some(at) = position.token.cluster_time()
            && at.time > now.time.saturating_add(TIMES_APART)
        {
            return Err(self.other_source(format!(
                "its time is {}, and the changes up to {} are in the table; it was restored from an earlier backup, or is \
                 another deployment",
                shown(now),
                shown(at)
            )));
        }
        let here = self.source_identity().await?;
        match self.known_identity().await? {
            None => self.note_identity().await?,
            Some(known) => {
                if let (Some(known), Some(here)) = (&known.deployment, &here.deployment)
                    && known != here
                {
                    return Err(self.other_source(format!(
                        "it is the deployment {here}, and the table has the changes of the deployment {known}"
                    )));
                }
            }
        }
        self.guard_table(rows).await
    }

    async fn guard_table(&self, rows: u64) -> Result<()> {
        // A change log may be emptied by whoever keeps its size, and a table whose rows expire by itself.
        if rows == 0 || self.layout() != Layout::Current || self.settings.on_drop == OnDrop::Truncate {
            return Ok(());
        }
        let Some(table) = self.retrying(|| self.sink.describe(&self.table)).await? else { return Ok(()) };
        let may_expire = table.additions.as_ref().is_none_or(zenith_transport::ddl::Additions::has_ttl);
        if table.rows > 0 || may_expire || self.is_unloaded().await? {
            return Ok(());
        }
        Err(EngineError::TableEmptied { table: self.table.clone(), pipeline: self.name.clone(), rows })
    }

    /// Whether no part of the first load is done yet: all of it is still to come, and a change need not have made a row.
    async fn is_unloaded(&self) -> Result<bool> {
        let snapshot = self.state.snapshot(&self.name).await?;
        let is_unloaded = |snapshot: &Snapshot| {
            snapshot.consistent_after.is_none() && snapshot.partitions.iter().all(|part| !part.done)
        };
        Ok(snapshot.as_ref().is_some_and(is_unloaded))
    }

    /// Whether the collection is another one than the one that was followed, as far as that is known.
    pub(super) async fn is_other_collection(&self) -> Result<bool> {
        let known = self.known_identity().await?.and_then(|known| known.collection);
        let here = self.source_identity().await?.collection;
        Ok(known.is_some() && here.is_some() && known != here)
    }

    /// The error of a pipeline whose collection was made anew.
    pub(super) fn other_collection(&self) -> EngineError {
        self.other_source(format!("{} was dropped and made anew", self.namespace))
    }

    /// Notes that the table is that of this source.
    pub(super) async fn note_identity(&self) -> Result<()> {
        let source = serde_json::to_string(&self.source_identity().await?).unwrap_or_default();
        let identity = Identity { source, target: String::new() };
        Ok(self.state.set_identity(&self.name, &identity).await?)
    }

    async fn known_identity(&self) -> Result<Option<SourceIdentity>> {
        let known = self.state.identity(&self.name).await?;
        Ok(known.and_then(|known| serde_json::from_str(&known.source).ok()))
    }

    async fn source_identity(&self) -> Result<SourceIdentity> {
        let deployment = self.asking(|| self.source.deployment_id()).await?;
        // One that is not there, or may not be looked at, has no identity.
        let collection = self.unless_stopped(self.source.preflight(&self.namespace)).await?;
        let collection = collection.ok().and_then(|found| found.collection.uuid);
        Ok(SourceIdentity { deployment, collection: collection.map(|uuid| uuid.to_string()) })
    }

    fn other_source(&self, reason: String) -> EngineError {
        EngineError::OtherSource { pipeline: self.name.clone(), table: self.table.clone(), reason }
    }
}

/// A cluster time in UTC.
fn shown(time: Timestamp) -> String {
    humantime_serde::re::humantime::format_rfc3339_seconds(system_time(time)).to_string()
}
