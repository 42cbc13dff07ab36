//! Pipelines that failed, tried again: each after its pause, and those of one source together, so that they have one stream.

use std::collections::{BTreeMap, HashSet};
use std::time::Instant;

use zenith_engine::Phase;

use super::super::desired::{Desired, Group, Member};
use super::super::shared::Ended;
use super::Supervisor;
use crate::failure::Failure;

impl Supervisor {
    /// Tries pipelines that failed again, each after its pause.
    pub(super) async fn try_again(&mut self, desired: &Desired) {
        let now = Instant::now();
        let progress = self.views.progress();
        let has_failed = |name: &str| {
            let shown = progress.iter().find(|shown| shown.name == name);
            let stands = shown.is_some_and(|shown| shown.phase == Phase::Failed);
            self.failures.contains_key(name) || (stands && !self.loaded.contains(name))
        };
        self.restarts.forget_recovered(now, has_failed);
        let mut due: BTreeMap<&String, Vec<&Member>> = BTreeMap::new();
        for (source, group) in &desired.groups {
            if !self.takes_more(source) {
                continue;
            }
            for member in &group.members {
                let name = member.pipeline.name.as_str();
                if has_failed(name) && !self.requests.is_outside(name) && self.restarts.is_due(name, now) {
                    tracing::info!(pipeline = name, "trying again");
                    due.entry(source).or_default().push(member);
                }
            }
        }
        for (source, members) in due {
            self.start_again(source, &members).await;
        }
    }

    /// Whether pipelines of a source can be started: not while it is being connected.
    fn takes_more(&self, source: &str) -> bool {
        self.groups.get(source).is_none_or(|running| running.ended || running.view.replicator().is_some())
    }

    /// Starts pipelines beside those of their source that run; where none does, with the source itself.
    async fn start_again(&mut self, source: &str, members: &[&Member]) {
        let Some(running) = self.groups.get(source).filter(|running| !running.ended) else {
            self.groups.remove(source);
            self.begin_anew(members);
            return;
        };
        let Some(replicator) = running.view.replicator() else { return };
        let (known, new): (Vec<&Member>, Vec<&Member>) =
            members.iter().partition(|member| replicator.has(&member.pipeline.name));
        let names: Vec<&str> = known.iter().map(|member| member.pipeline.name.as_str()).collect();
        let mut failed = Vec::new();
        if !names.is_empty()
            && let Err(error) = replicator.start_all_again(&names).await
        {
            let failure = Failure::from(error);
            failed.extend(names.iter().map(|name| Ended::failed(name, failure.clone())));
        }
        if !new.is_empty() {
            match running.view.join(&new, &self.shared).await {
                Some(not_begun) => failed.extend(not_begun),
                // They can only begin with the others.
                None => {
                    if let Some(running) = self.groups.get_mut(source) {
                        running.begins_again = true;
                    }
                    self.let_go(source);
                }
            }
        }
        self.begin_anew(members);
        for Ended { name, failure, .. } in failed {
            let Some(failure) = failure else { continue };
            self.note_failure(name, failure);
        }
    }

    fn begin_anew(&mut self, members: &[&Member]) {
        for member in members {
            self.forget_failure(&member.pipeline.name);
            self.loaded.remove(&member.pipeline.name);
        }
    }

    /// Pipelines of a group that have failed and wait for their time, as far as they are what they were then.
    pub(super) fn waiting(&self, source: &str, group: &Group) -> HashSet<String> {
        let before = self.groups.get(source).map(|running| &running.group);
        let waits = |member: &&Member| {
            self.shared.stays
                && self.failures.contains_key(&member.pipeline.name)
                && before
                    .is_none_or(|before| before.source == group.source && before.members.contains(member))
        };
        group.members.iter().filter(waits).map(|member| member.pipeline.name.clone()).collect()
    }
}
