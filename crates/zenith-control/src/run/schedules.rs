//! Begins pipelines again whose schedule says so: as a request of the run to itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use zenith_engine::state::{self, Outcome, StateStore};

use super::desired::{Desired, Member};
use crate::config::applied;
use crate::requests::{Asked, encode};
use crate::schedule;

/// The pipelines of a run that begin again by themselves.
#[derive(Default)]
pub struct Schedules {
    /// When each was asked to begin last.
    asked: BTreeMap<String, SystemTime>,
    /// All of them, and as what they wait for their time: those that an earlier run has done.
    seen: BTreeMap<String, Option<Member>>,
}

impl Schedules {
    /// Whether a pipeline waits for its time, so that it does not begin with the run. One that has become another does.
    pub fn rests(&self, member: &Member) -> bool {
        self.seen.get(&member.pipeline.name).is_some_and(|resting| resting.as_ref() == Some(member))
    }

    /// Whether a pipeline begins again by itself.
    pub fn has(&self, pipeline: &str) -> bool {
        self.seen.contains_key(pipeline)
    }

    /// Whether there are none, for which a run goes on.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// Asks for what is due of the pipelines that have begun once. Those that are `busy` are left alone.
    ///
    /// # Errors
    /// If the state cannot be read or written.
    pub async fn look(
        &mut self,
        store: &impl StateStore,
        desired: &Desired,
        busy: impl Fn(&str) -> bool,
    ) -> state::Result<()> {
        let now = SystemTime::now();
        let mut known = BTreeSet::new();
        for member in desired.groups.values().flat_map(|group| &group.members) {
            let name = &member.pipeline.name;
            let Ok(pipeline) = applied::pipeline(&member.pipeline) else { continue };
            if !schedule::has(&pipeline.settings) {
                continue;
            }
            known.insert(name.clone());
            let last = store.runs(Some(name), 1).await?.into_iter().next();
            let is_done = last.as_ref().is_some_and(|run| run.outcome == Some(Outcome::Done));
            self.seen.entry(name.clone()).or_insert_with(|| is_done.then(|| member.clone()));
            // The first time it begins with the run.
            let begun = last.map(|run| run.started).max(self.asked.get(name).copied());
            let next = begun.and_then(|begun| schedule::next(&pipeline.settings, Some(begun), now));
            if next.is_some_and(|next| next <= now) && !busy(name) {
                tracing::info!(pipeline = name, "its time has come");
                store.add_request(name, Asked::Reload.action(), &encode(&Asked::Reload)).await?;
                self.asked.insert(name.clone(), now);
            }
        }
        self.seen.retain(|name, _| known.contains(name));
        self.asked.retain(|name, _| known.contains(name));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use zenith_engine::Pool;
    use zenith_engine::state::{Connector, MemoryStore, PipelineRecord, Role, RunEnd, RunStart};

    use super::*;
    use crate::databases::Databases;
    use crate::run::desired;

    #[tokio::test]
    async fn one_that_is_due_is_asked_for_once() {
        let store = MemoryStore::new();
        for (name, role) in [("s", Role::Source), ("t", Role::Target)] {
            let (name, uri) = (name.to_owned(), "${URI}".to_owned());
            store.put_connector(&Connector { name, role, uri, options: String::new() }).await.unwrap();
        }
        for (name, every) in [("often", "1s"), ("seldom", "1h")] {
            let settings = format!("{{\"collection\":\"d.{name}\",\"mode\":\"full\",\"every\":\"{every}\"}}");
            let (name, source, target) = (name.to_owned(), "s".to_owned(), "t".to_owned());
            store
                .put_pipeline(&PipelineRecord { name, source, target, settings, paused: false })
                .await
                .unwrap();
        }
        let pool = Pool::new(1 << 20).unwrap();
        let desired = desired::read(&store, &[], &mut Databases::default(), &pool).await.unwrap();
        let mut schedules = Schedules::default();
        schedules.look(&store, &desired, |_| false).await.unwrap();
        let members = desired.groups["s"].members.clone();
        assert!(
            !schedules.is_empty() && !members.iter().any(|member| schedules.rests(member)),
            "they begin now"
        );
        for name in ["often", "seldom"] {
            let begun = RunStart {
                pipeline: name.to_owned(),
                mode: "full".to_owned(),
                version: "0".to_owned(),
                started: SystemTime::now() - std::time::Duration::from_secs(5),
            };
            let run = store.start_run(&begun).await.unwrap();
            let (ended, outcome) = (SystemTime::now(), Outcome::Done);
            let end = RunEnd { ended, outcome, figures: state::Figures::default(), error: None };
            store.finish_run(run, &end).await.unwrap();
        }
        schedules.look(&store, &desired, |_| true).await.unwrap();
        assert!(store.open_requests().await.unwrap().is_empty(), "they are busy");
        for _ in 0..2 {
            schedules.look(&store, &desired, |_| false).await.unwrap();
        }
        let asked = store.open_requests().await.unwrap();
        assert_eq!(
            asked.iter().map(|it| (&*it.pipeline, &*it.action)).collect::<Vec<_>>(),
            [("often", "reload")]
        );
        // A run that begins later leaves them to their time, unless they have become others.
        let mut later = Schedules::default();
        later.look(&store, &desired, |_| true).await.unwrap();
        let other = Member { epoch: 7, ..members[1].clone() };
        assert!(members.iter().all(|member| later.rests(member)) && !later.rests(&other));
    }
}
