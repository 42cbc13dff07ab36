//! Which pipelines there should be, by the source they read.

use std::collections::BTreeMap;

use zenith_engine::Pool;
use zenith_engine::state::{self, PipelineRecord, Role, StateStore};

use crate::config::applied::{self, Applied};
use crate::config::names;
use crate::databases::Databases;

/// One pipeline, with all that a change of it may be a change of.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// As it was applied.
    pub pipeline: PipelineRecord,
    /// The connector it writes.
    pub target: Option<state::Connector>,
    /// It grows when the pipeline is reset or removed, so that one that was removed and added again is another one.
    pub epoch: u64,
}

/// The pipelines of one source.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The connector it reads.
    pub source: Option<state::Connector>,
    /// How many groups share the memory: when that changes, all of them begin again with another share.
    pub sharing: usize,
    /// Its pipelines.
    pub members: Vec<Member>,
}

impl Group {
    /// The group without some of its pipelines.
    pub fn without(&self, leaves: impl Fn(&Member) -> bool) -> Group {
        let mut group = self.clone();
        group.members.retain(|member| !leaves(member));
        group
    }

    /// The pipelines that another one has beside those of this group, if that is all it has otherwise.
    pub fn joining<'g>(&self, other: &'g Group) -> Vec<&'g Member> {
        let is_known = |member: &Member| self.members.contains(member);
        let new: Vec<&Member> = other.members.iter().filter(|member| !is_known(member)).collect();
        let is_more = self.source == other.source
            && self.sharing == other.sharing
            && self.members.len() + new.len() == other.members.len();
        let is_new =
            |new: &&Member| self.members.iter().all(|known| known.pipeline.name != new.pipeline.name);
        if is_more && new.iter().all(is_new) { new } else { Vec::new() }
    }
}

/// What there should be: groups by the name of their source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Desired {
    /// Groups by the name of their source.
    pub groups: BTreeMap<String, Group>,
    /// Pipelines that are paused.
    pub paused: Vec<String>,
    /// Pipelines that cannot be run beside others, with the reason.
    pub refused: BTreeMap<String, String>,
}

impl Desired {
    /// Without pipelines that have to stand still for a moment: the share of memory of the others stays as it is.
    pub fn leave_out(&mut self, names: &[&str]) {
        for group in self.groups.values_mut() {
            group.members.retain(|member| !names.contains(&member.pipeline.name.as_str()));
        }
        self.groups.retain(|_, group| !group.members.is_empty());
    }
}

/// Reads it; `only` leaves out all others, unless it is empty. `databases` are asked for what they have not said.
pub async fn read(
    store: &impl StateStore,
    only: &[String],
    databases: &mut Databases,
    pool: &Pool,
) -> state::Result<Desired> {
    let applied = Applied::read(store).await?;
    databases.ask(&names::targets(&applied), pool).await;
    let epochs = store.epochs().await?;
    let mut desired = Desired::default();
    let is_meant = |record: &PipelineRecord| only.is_empty() || is_named(only, record);
    for collision in names::of_applied(&applied, |name, connector| databases.database(name, connector)) {
        for name in collision.pipelines {
            if applied.pipeline(&name).is_some_and(is_meant) {
                desired.refused.entry(name).or_insert_with(|| collision.sentence.clone());
            }
        }
    }
    for pipeline in &applied.pipelines {
        if !is_meant(pipeline) {
            continue;
        }
        if desired.refused.contains_key(&pipeline.name) {
            continue;
        }
        if pipeline.paused {
            desired.paused.push(pipeline.name.clone());
            continue;
        }
        let epoch = epochs.get(&pipeline.name).copied().unwrap_or_default();
        let target = applied.connector(&pipeline.target, Role::Target).cloned();
        let group = desired.groups.entry(pipeline.source.clone()).or_insert_with(|| Group {
            source: applied.connector(&pipeline.source, Role::Source).cloned(),
            sharing: 1,
            members: Vec::new(),
        });
        group.members.push(Member { pipeline: pipeline.clone(), target, epoch });
    }
    let sharing = desired.groups.len();
    desired.groups.values_mut().for_each(|group| group.sharing = sharing);
    Ok(desired)
}

/// Whether a pipeline is named, or the one of several collections that it is of.
pub fn is_named(names: &[String], record: &PipelineRecord) -> bool {
    names.contains(&record.name) || names.contains(&applied::member_of(record))
}

#[cfg(test)]
mod tests {
    use zenith_engine::state::MemoryStore;

    use super::*;

    async fn store() -> MemoryStore {
        let store = MemoryStore::new();
        for (name, role) in [("shop", Role::Source), ("crm", Role::Source), ("warehouse", Role::Target)] {
            let connector = state::Connector {
                name: name.to_owned(),
                role,
                uri: "${URI}".to_owned(),
                options: String::new(),
            };
            store.put_connector(&connector).await.unwrap();
        }
        for (name, source, paused) in [("a", "shop", false), ("b", "crm", false), ("c", "shop", true)] {
            let pipeline = PipelineRecord {
                name: name.to_owned(),
                source: source.to_owned(),
                target: "warehouse".to_owned(),
                settings: "{}".to_owned(),
                paused,
            };
            store.put_pipeline(&pipeline).await.unwrap();
        }
        store
    }

    async fn desired(store: &MemoryStore, only: &[String]) -> Desired {
        let pool = Pool::new(1 << 20).unwrap();
        read(store, only, &mut Databases::default(), &pool).await.unwrap()
    }

    #[tokio::test]
    async fn groups_are_those_of_sources_and_leave_out_what_is_paused_or_not_named() {
        let store = store().await;
        let now = desired(&store, &[]).await;
        let shape = |desired: &Desired| -> Vec<(String, usize)> {
            desired.groups.iter().map(|(name, group)| (name.clone(), group.members.len())).collect()
        };
        assert_eq!(shape(&now), [("crm".to_owned(), 1), ("shop".to_owned(), 1)]);
        assert_eq!(now.paused, ["c"]);
        assert_eq!(shape(&desired(&store, &["b".to_owned()]).await), [("crm".to_owned(), 1)]);
        store.set_paused("c", false).await.unwrap();
        let later = desired(&store, &[]).await;
        let joining = now.groups["shop"].joining(&later.groups["shop"]);
        assert_eq!(joining.iter().map(|member| &*member.pipeline.name).collect::<Vec<_>>(), ["c"]);
        assert!(later.groups["shop"].joining(&now.groups["shop"]).is_empty(), "one has gone");
        let mut other = later.clone();
        other.groups.get_mut("shop").unwrap().members[0].epoch += 1;
        assert!(now.groups["shop"].joining(&other.groups["shop"]).is_empty(), "one is another");
    }

    #[tokio::test]
    async fn pipelines_that_would_take_each_others_names_are_refused_and_the_others_are_not() {
        let store = store().await;
        for (name, settings) in [("a", "{\"collection\":\"d.t\"}"), ("b", "{\"collection\":\"d.t_current\"}")]
        {
            let mut record = store.pipelines().await.unwrap().into_iter().find(|it| it.name == name).unwrap();
            record.settings = settings.to_owned();
            store.put_pipeline(&record).await.unwrap();
        }
        store.set_paused("c", false).await.unwrap();
        let now = desired(&store, &[]).await;
        assert_eq!(now.refused.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert!(now.refused["a"].contains("view = \"NAME\" in a"), "{now:?}");
        assert_eq!(now.groups["shop"].members.len(), 1);
    }

    #[tokio::test]
    async fn a_pipeline_that_was_removed_and_added_again_is_another_one() {
        let store = store().await;
        let before = desired(&store, &[]).await;
        let record = before.groups["shop"].members[0].pipeline.clone();
        store.put_pipeline(&record).await.unwrap();
        assert_eq!(desired(&store, &[]).await, before);
        store.remove_pipeline("a").await.unwrap();
        store.put_pipeline(&record).await.unwrap();
        let after = desired(&store, &[]).await;
        assert_ne!(after.groups["shop"], before.groups["shop"]);
        assert_eq!(after.groups["crm"], before.groups["crm"]);
    }
}
