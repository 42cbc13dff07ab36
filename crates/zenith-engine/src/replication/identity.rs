//! Which source a pipeline has followed, and which table it has written: a position in the changes of one deployment means
//! nothing to another, and neither does it to another table.

use bson::{Timestamp, Uuid};
use serde::{Deserialize, Serialize};
use zenith_extract::{ChangeSource, Source};
use zenith_state::{Identity, Snapshot, StateStore};
use zenith_transport::Sink;

use super::context::Context;
use super::ownership::MARKS;
use super::position::Position;
use super::version::system_time;
use crate::layout::Layout;
use crate::policies::OnDrop;
use crate::reload::keep;
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

impl SourceIdentity {
    /// Whether what is known of both is enough to tell them apart, or to know that they are the same.
    fn tells(&self, other: &SourceIdentity) -> bool {
        let has_deployments = self.deployment.is_some() && other.deployment.is_some();
        has_deployments || (self.collection.is_some() && self.collection == other.collection)
    }
}

/// The table of a pipeline, as far as its user may know it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct TargetIdentity {
    /// By what marks name the pipeline of this state.
    owner: String,
    /// Whether the target has had such a mark.
    is_marked: bool,
    /// For whom the table was made, as its comment says; empty if it does not, `None` while that is not known.
    made_for: Option<String>,
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
            None => {
                self.guard_place(position).await?;
                self.note_identity().await?;
            }
            Some(known) => {
                if !known.tells(&here) {
                    self.guard_place(position).await?;
                }
                if let (Some(known), Some(here)) = (&known.deployment, &here.deployment)
                    && known != here
                {
                    return Err(self.other_source(format!(
                        "it is the deployment {here}, and the table has the changes of the deployment {known}"
                    )));
                }
            }
        }
        self.guard_target().await?;
        self.guard_table(rows).await
    }

    async fn guard_table(&self, rows: u64) -> Result<()> {
        // A change log may be emptied by whoever keeps its size, and a table whose rows expire by itself.
        if rows == 0 || !self.layout().has_versions() || self.settings.on_drop == OnDrop::Truncate {
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

    /// The error of a pipeline whose collection was created again.
    pub(super) fn other_collection(&self) -> EngineError {
        self.other_source(format!("{} was dropped and created again", self.namespace))
    }

    /// Refuses a table that is not the one that was written. Writes nothing.
    pub(super) async fn guard_target(&self) -> Result<()> {
        let known = self.known_target().await?;
        let Some(made_for) = &known.made_for else { return Ok(()) };
        let Some(table) = self.retrying(|| self.sink.describe(&self.table)).await? else { return Ok(()) };
        let there = keep::owner_of(&table).unwrap_or_default();
        if there == known.owner || (!there.is_empty() && there == made_for) {
            return Ok(());
        }
        if !there.is_empty() {
            return Err(self.other_target("its comment says that it was made for another pipeline"));
        }
        // Its comment may be its user's.
        let is_marked = match self.found_owners().await {
            Ok(found) => found.iter().any(|found| found.mark.owner == known.owner),
            Err(_) => true,
        };
        match known.is_marked && !is_marked {
            true => Err(self.other_target(&format!(
                "neither its comment nor the table {MARKS} beside it says that this pipeline has written it"
            ))),
            false => Ok(()),
        }
    }

    fn other_target(&self, reason: &str) -> EngineError {
        let (pipeline, table) = (self.name.clone(), self.table.clone());
        let remedy = match self.layout() {
            Layout::Log => format!("let zenith reset {pipeline} --from now have it go on in this one"),
            Layout::Current | Layout::Marked { .. } | Layout::Rows => {
                format!("let zenith reload {pipeline} load this one anew")
            }
        };
        EngineError::OtherTarget { pipeline, table, reason: reason.to_owned(), remedy }
    }

    /// By what marks name this pipeline; made up for a new one.
    pub(super) async fn owner_id(&self) -> Result<String> {
        let identity = self.state.identity(&self.name).await?;
        let mut known = target_of(identity.as_ref());
        if known.owner.is_empty() {
            known.owner = Uuid::new().to_string();
            let source = identity.map(|identity| identity.source).unwrap_or_default();
            self.set_identity(source, &known).await?;
        }
        Ok(known.owner)
    }

    /// The same without making one up.
    pub(super) async fn known_owner(&self) -> Result<String> {
        Ok(self.known_target().await?.owner)
    }

    /// Notes that the target has the mark of this pipeline.
    pub(super) async fn note_marked(&self) -> Result<()> {
        let Some(identity) = self.state.identity(&self.name).await? else { return Ok(()) };
        let known = target_of(Some(&identity));
        if known.is_marked {
            return Ok(());
        }
        self.set_identity(identity.source, &TargetIdentity { is_marked: true, ..known }).await
    }

    /// Notes that the table may be another one from now on.
    pub(super) async fn forget_target(&self) -> Result<()> {
        let Some(identity) = self.state.identity(&self.name).await? else { return Ok(()) };
        let known = target_of(Some(&identity));
        self.set_identity(
            identity.source,
            &TargetIdentity { owner: known.owner, ..TargetIdentity::default() },
        )
        .await
    }

    /// Notes that the table is that of this source, and that it is the one that is there.
    pub(super) async fn note_identity(&self) -> Result<()> {
        let source = serde_json::to_string(&self.source_identity().await?).unwrap_or_default();
        self.set_identity(source, &self.target_there().await?).await
    }

    /// Notes that the table is the one that is there.
    pub(super) async fn note_target(&self) -> Result<()> {
        let source =
            self.state.identity(&self.name).await?.map(|identity| identity.source).unwrap_or_default();
        self.set_identity(source, &self.target_there().await?).await
    }

    async fn target_there(&self) -> Result<TargetIdentity> {
        let known = self.known_target().await?;
        if self.ownership.owner().is_none() {
            return Ok(known);
        }
        let table = self.retrying(|| self.sink.describe(&self.table)).await?;
        let made_for = table.map(|table| keep::owner_of(&table).unwrap_or_default().to_owned());
        Ok(TargetIdentity { made_for, ..known })
    }

    async fn set_identity(&self, source: String, target: &TargetIdentity) -> Result<()> {
        let target = match *target == TargetIdentity::default() {
            true => String::new(),
            false => serde_json::to_string(target).unwrap_or_default(),
        };
        Ok(self.state.set_identity(&self.name, &Identity { source, target }).await?)
    }

    async fn known_target(&self) -> Result<TargetIdentity> {
        Ok(target_of(self.state.identity(&self.name).await?.as_ref()))
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

    pub(super) fn other_source(&self, reason: String) -> EngineError {
        EngineError::OtherSource { pipeline: self.name.clone(), table: self.table.clone(), reason }
    }
}

fn target_of(identity: Option<&Identity>) -> TargetIdentity {
    identity.and_then(|identity| serde_json::from_str(&identity.target).ok()).unwrap_or_default()
}

/// A cluster time in UTC.
fn shown(time: Timestamp) -> String {
    humantime_serde::re::humantime::format_rfc3339_seconds(system_time(time)).to_string()
}
