//! A store that forgets everything with the process, for tests and examples.
//!
//! It keeps the promises of [`StateStore`] apart from outliving the process. Clones are the same store.

mod operation;
mod progress;
mod slots;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use self::operation::Operation;
use self::progress::Progress;
use crate::{
    AuditEntry, Checkpoint, Condition, Connector, Figures, Identity, Intent, Mismatches, PipelineRecord,
    RUNS_MAX, Request, RequestEnd, Result, Role, Run, RunEnd, RunStart, SchemaChange, SchemaVersion,
    Snapshot, StateError, StateStore, mismatches, secret,
};

/// Records in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    connectors: BTreeMap<String, Connector>,
    pipelines: BTreeMap<String, Pipeline>,
    /// They outlive the pipelines.
    epochs: HashMap<String, u64>,
    /// In order of their numbers.
    runs: Vec<Run>,
    operation: Operation,
}

#[derive(Debug)]
struct Pipeline {
    record: PipelineRecord,
    progress: Progress,
    schemas: Vec<SchemaVersion>,
    /// By slot.
    mismatches: BTreeMap<i64, Mismatches>,
}

impl MemoryStore {
    /// A store with nothing in it.
    #[must_use]
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is made in one go after its checks, so a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn missing(what: &'static str, name: impl ToString) -> StateError {
    StateError::Missing { what, name: name.to_string() }
}

impl State {
    fn pipeline(&mut self, name: &str) -> Result<&mut Pipeline> {
        self.pipelines.get_mut(name).ok_or_else(|| missing("pipeline", name))
    }

    fn progress(&mut self, name: &str) -> Result<&mut Progress> {
        self.pipeline(name).map(|pipeline| &mut pipeline.progress)
    }

    fn snapshot(&mut self, name: &str) -> Result<&mut Snapshot> {
        self.progress(name)?.snapshot.as_mut().ok_or_else(|| missing("snapshot of the pipeline", name))
    }

    /// A pipeline that uses the connector, as the given end or as either.
    fn user_of(&self, connector: &str, role: Option<Role>) -> Option<&PipelineRecord> {
        self.pipelines.values().map(|pipeline| &pipeline.record).find(|record| {
            (role != Some(Role::Target) && record.source == connector)
                || (role != Some(Role::Source) && record.target == connector)
        })
    }

    fn expect_connector(&self, name: &str, role: Role) -> Result<()> {
        match self.connectors.get(name) {
            Some(connector) if connector.role == role => Ok(()),
            _ => Err(missing(role.as_str(), name)),
        }
    }

    fn run(&mut self, id: i64) -> Result<&mut Run> {
        self.runs.iter_mut().find(|run| run.id == id).ok_or_else(|| missing("run", id))
    }
}

impl Pipeline {
    fn count(&mut self, mismatches: &Mismatches, at: SystemTime) {
        if mismatches.is_empty() {
            return;
        }
        let added = self.mismatches.entry(mismatches::ALL).or_default().add_bounded(mismatches);
        self.mismatches.entry(mismatches::slot(at)).or_default().add(&added);
        let first = mismatches::first_kept(at);
        self.mismatches.retain(|slot, _| *slot == mismatches::ALL || *slot >= first);
    }
}

impl StateStore for MemoryStore {
    async fn connectors(&self) -> Result<Vec<Connector>> {
        Ok(self.state().connectors.values().cloned().collect())
    }

    async fn put_connector(&self, connector: &Connector) -> Result<()> {
        if secret::is_literal(&connector.uri) {
            return Err(StateError::Secret { connector: connector.name.clone() });
        }
        let mut state = self.state();
        let other = match connector.role {
            Role::Source => Role::Target,
            Role::Target => Role::Source,
        };
        if let Some(user) = state.user_of(&connector.name, Some(other)) {
            return Err(StateError::InUse { connector: connector.name.clone(), pipeline: user.name.clone() });
        }
        state.connectors.insert(connector.name.clone(), connector.clone());
        Ok(())
    }

    async fn remove_connector(&self, name: &str) -> Result<bool> {
        let mut state = self.state();
        if let Some(user) = state.user_of(name, None) {
            return Err(StateError::InUse { connector: name.to_owned(), pipeline: user.name.clone() });
        }
        Ok(state.connectors.remove(name).is_some())
    }

    async fn pipelines(&self) -> Result<Vec<PipelineRecord>> {
        Ok(self.state().pipelines.values().map(|pipeline| pipeline.record.clone()).collect())
    }

    async fn put_pipeline(&self, pipeline: &PipelineRecord) -> Result<()> {
        let mut state = self.state();
        state.expect_connector(&pipeline.source, Role::Source)?;
        state.expect_connector(&pipeline.target, Role::Target)?;
        let record = pipeline.clone();
        match state.pipelines.get_mut(&pipeline.name) {
            Some(found) => found.record = record,
            None => {
                let new = Pipeline {
                    record,
                    progress: Progress::default(),
                    schemas: Vec::new(),
                    mismatches: BTreeMap::new(),
                };
                state.pipelines.insert(pipeline.name.clone(), new);
            }
        }
        Ok(())
    }

    async fn set_paused(&self, pipeline: &str, paused: bool) -> Result<bool> {
        let mut state = self.state();
        let found = state.pipelines.get_mut(pipeline);
        Ok(found.map(|pipeline| pipeline.record.paused = paused).is_some())
    }

    async fn remove_pipeline(&self, pipeline: &str) -> Result<bool> {
        let mut state = self.state();
        let removed = state.pipelines.remove(pipeline).is_some();
        if removed {
            *state.epochs.entry(pipeline.to_owned()).or_default() += 1;
            state.operation.forget(pipeline);
        }
        Ok(removed)
    }

    async fn add_schema(&self, pipeline: &str, change: &SchemaChange) -> Result<u32> {
        let mut state = self.state();
        let schemas = &mut state.pipeline(pipeline)?.schemas;
        let newest = schemas.last().map_or(0, |newest| newest.version);
        let is_same = |newest: &SchemaChange| newest.schema == change.schema && newest.cause == change.cause;
        if let Some(same) = schemas.last_mut().filter(|newest| is_same(&newest.change)) {
            if same.change.statement.is_empty() {
                same.change.statement.clone_from(&change.statement);
            }
            return Ok(newest);
        }
        let version = newest + 1;
        schemas.push(SchemaVersion { version, created: SystemTime::now(), change: change.clone() });
        Ok(version)
    }

    async fn schemas(&self, pipeline: &str) -> Result<Vec<SchemaVersion>> {
        let state = self.state();
        Ok(state.pipelines.get(pipeline).map(|pipeline| pipeline.schemas.clone()).unwrap_or_default())
    }

    async fn checkpoint(&self, pipeline: &str) -> Result<Option<Checkpoint>> {
        let state = self.state();
        Ok(state.pipelines.get(pipeline).and_then(|pipeline| pipeline.progress.checkpoint.clone()))
    }

    async fn advance(&self, pipeline: &str, checkpoint: &Checkpoint) -> Result<()> {
        let mut state = self.state();
        let progress = state.progress(pipeline)?;
        progress.check_forward(pipeline, checkpoint)?;
        progress.checkpoint = Some(checkpoint.clone());
        Ok(())
    }

    async fn begin_intent(&self, intent: &Intent) -> Result<()> {
        let mut state = self.state();
        let progress = state.progress(&intent.pipeline)?;
        if progress.intents.iter().any(|open| open.token == intent.token) {
            return Err(StateError::IntentExists {
                pipeline: intent.pipeline.clone(),
                token: intent.token.clone(),
            });
        }
        progress.intents.push(intent.clone());
        Ok(())
    }

    async fn commit_intent(
        &self,
        pipeline: &str,
        token: &str,
        checkpoint: &Checkpoint,
        mismatches: &Mismatches,
    ) -> Result<()> {
        let mut state = self.state();
        let found = state.pipeline(pipeline)?;
        let progress = &mut found.progress;
        let index = progress.intent(pipeline, token)?;
        progress.check_forward(pipeline, checkpoint)?;
        progress.checkpoint = Some(checkpoint.clone());
        progress.intents.remove(index);
        found.count(mismatches, checkpoint.saved);
        Ok(())
    }

    async fn abandon_intent(&self, pipeline: &str, token: &str) -> Result<()> {
        let mut state = self.state();
        let progress = state.progress(pipeline)?;
        let index = progress.intent(pipeline, token)?;
        progress.intents.remove(index);
        Ok(())
    }

    async fn open_intents(&self, pipeline: &str) -> Result<Vec<Intent>> {
        let state = self.state();
        Ok(state.pipelines.get(pipeline).map(|found| found.progress.intents.clone()).unwrap_or_default())
    }

    async fn reset(&self, pipeline: &str, checkpoint: Option<&Checkpoint>) -> Result<()> {
        let mut state = self.state();
        *state.progress(pipeline)? = Progress { checkpoint: checkpoint.cloned(), ..Progress::default() };
        *state.epochs.entry(pipeline.to_owned()).or_default() += 1;
        state.operation.forget_progress(pipeline);
        Ok(())
    }

    async fn epoch(&self, pipeline: &str) -> Result<u64> {
        Ok(self.state().epochs.get(pipeline).copied().unwrap_or_default())
    }

    async fn snapshot(&self, pipeline: &str) -> Result<Option<Snapshot>> {
        let state = self.state();
        Ok(state.pipelines.get(pipeline).and_then(|pipeline| pipeline.progress.snapshot.clone()))
    }

    async fn begin_snapshot(&self, pipeline: &str, snapshot: &Snapshot) -> Result<()> {
        let mut state = self.state();
        let progress = state.progress(pipeline)?;
        let mut snapshot = snapshot.clone();
        snapshot.partitions.sort_by_key(|partition| partition.index);
        if let Some(pair) = snapshot.partitions.windows(2).find(|pair| pair[0].index == pair[1].index) {
            return Err(StateError::RepeatedPartition {
                pipeline: pipeline.to_owned(),
                index: pair[0].index,
            });
        }
        progress.snapshot = Some(snapshot);
        Ok(())
    }

    async fn finish_partitions(
        &self,
        pipeline: &str,
        parts: &[(u32, u64)],
        mismatches: &Mismatches,
    ) -> Result<()> {
        let mut state = self.state();
        let partitions = &mut state.snapshot(pipeline)?.partitions;
        let find = |index: &u32| partitions.binary_search_by_key(index, |partition| partition.index).ok();
        if let Some((unknown, _)) = parts.iter().find(|(index, _)| find(index).is_none()) {
            return Err(missing("partition of the snapshot", unknown));
        }
        let mut is_new = false;
        for (index, rows) in parts {
            for partition in partitions.iter_mut().filter(|partition| partition.index == *index) {
                is_new |= !std::mem::replace(&mut partition.done, true);
                partition.rows = *rows;
            }
        }
        if is_new {
            state.pipeline(pipeline)?.count(mismatches, SystemTime::now());
        }
        Ok(())
    }

    async fn finish_snapshot(&self, pipeline: &str, consistent_after: &[u8]) -> Result<()> {
        let mut state = self.state();
        let snapshot = state.snapshot(pipeline)?;
        let unfinished = snapshot.partitions.iter().filter(|partition| !partition.done).count();
        if unfinished > 0 {
            return Err(StateError::Unfinished {
                pipeline: pipeline.to_owned(),
                partitions: u64::try_from(unfinished).unwrap_or(u64::MAX),
            });
        }
        snapshot.consistent_after = Some(consistent_after.to_vec());
        Ok(())
    }

    async fn mismatches(&self, pipeline: &str, after: Option<SystemTime>) -> Result<Mismatches> {
        let all = mismatches::ALL..=mismatches::ALL;
        let slots = after.map_or(all, |after| mismatches::slot(after)..=i64::MAX);
        let mut sum = Mismatches::default();
        self.slots(pipeline, slots).iter().for_each(|(_, mismatches)| sum.add(mismatches));
        Ok(sum)
    }

    async fn mismatch_slots(&self, pipeline: &str) -> Result<Vec<(SystemTime, Mismatches)>> {
        Ok(self.slots(pipeline, mismatches::first_kept(SystemTime::now())..=i64::MAX))
    }

    async fn set_mismatches(&self, pipeline: &str, mismatches: &Mismatches) -> Result<()> {
        let mut state = self.state();
        let found = state.pipeline(pipeline)?;
        found.mismatches.clear();
        found.count(mismatches, SystemTime::now());
        Ok(())
    }

    async fn recount_values(
        &self,
        pipeline: &str,
        fields: &[String],
        reason: &str,
        instead: &Mismatches,
    ) -> Result<()> {
        let mut state = self.state();
        let found = state.pipeline(pipeline)?;
        let is_part = |path: &str, of: &str| path.strip_prefix(of).is_some_and(|rest| rest.starts_with('.'));
        for of in found.mismatches.values_mut() {
            of.values.retain(|path, reasons| {
                if fields.iter().any(|field| field == path || is_part(path, field)) {
                    reasons.remove(reason);
                }
                !reasons.is_empty()
            });
        }
        found.count(instead, SystemTime::now());
        Ok(())
    }

    async fn settle_letters(&self, pipeline: &str, letters: &BTreeMap<String, u64>) -> Result<()> {
        let mut state = self.state();
        let Some(found) = state.pipelines.get_mut(pipeline) else { return Ok(()) };
        for (reason, settled) in letters {
            let counted = found.mismatches.iter().rev();
            let counted = counted.filter_map(|(slot, of)| Some((*slot, *of.documents.get(reason)?)));
            for (slot, left) in mismatches::left(counted.collect(), *settled) {
                let Some(of) = found.mismatches.get_mut(&slot) else { continue };
                of.documents.insert(reason.clone(), left);
                of.documents.retain(|_, count| *count > 0);
            }
        }
        Ok(())
    }

    async fn start_run(&self, run: &RunStart) -> Result<i64> {
        let mut state = self.state();
        let id = state.runs.last().map_or(0, |run| run.id) + 1;
        state.runs.push(Run {
            id,
            pipeline: run.pipeline.clone(),
            mode: run.mode.clone(),
            version: run.version.clone(),
            started: run.started,
            ended: None,
            outcome: None,
            figures: Figures::default(),
            error: None,
        });
        let of_pipeline = |other: &&Run| other.pipeline == run.pipeline;
        let kept = state.runs.iter().rev().filter(of_pipeline).nth(RUNS_MAX as usize).map(|run| run.id);
        if let Some(oldest) = kept {
            state.runs.retain(|other| other.pipeline != run.pipeline || other.id > oldest);
        }
        Ok(id)
    }

    async fn finish_run(&self, id: i64, end: &RunEnd) -> Result<()> {
        let mut state = self.state();
        let run = state.run(id)?;
        (run.ended, run.outcome) = (Some(end.ended), Some(end.outcome));
        run.figures = end.figures;
        run.error.clone_from(&end.error);
        Ok(())
    }

    async fn touch_run(&self, id: i64, figures: Figures) -> Result<()> {
        let mut state = self.state();
        let run = state.run(id)?;
        if run.ended.is_none() {
            run.figures = figures;
        }
        Ok(())
    }

    async fn runs(&self, pipeline: Option<&str>, limit: u32) -> Result<Vec<Run>> {
        let state = self.state();
        let wanted = |run: &&Run| pipeline.is_none_or(|pipeline| run.pipeline == pipeline);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(state.runs.iter().rev().filter(wanted).take(limit).cloned().collect())
    }

    async fn note_conditions(&self, conditions: &[(String, Condition)]) -> Result<()> {
        let State { pipelines, operation, .. } = &mut *self.state();
        let there = conditions.iter().filter(|(pipeline, _)| pipelines.contains_key(pipeline));
        operation.conditions.extend(there.cloned());
        Ok(())
    }

    async fn conditions(&self) -> Result<Vec<(String, Condition)>> {
        Ok(self.state().operation.conditions.clone().into_iter().collect())
    }

    async fn add_request(&self, pipeline: &str, action: &str, arguments: &str) -> Result<i64> {
        Ok(self.state().operation.add(pipeline, action, arguments))
    }

    async fn open_requests(&self) -> Result<Vec<Request>> {
        Ok(self.state().operation.open())
    }

    async fn request(&self, id: i64) -> Result<Option<Request>> {
        Ok(self.state().operation.request(id).cloned())
    }

    async fn take_request(&self, id: i64) -> Result<bool> {
        Ok(self.state().operation.take(id))
    }

    async fn note_request(&self, id: i64, progress: &str) -> Result<()> {
        self.state().operation.note(id, progress);
        Ok(())
    }

    async fn cancel_request(&self, id: i64) -> Result<()> {
        self.state().operation.cancel(id);
        Ok(())
    }

    async fn end_request(&self, id: i64, end: &RequestEnd) -> Result<()> {
        self.state().operation.end(id, end)
    }

    async fn note_audit(&self, entry: &AuditEntry) -> Result<()> {
        self.state().operation.note_audit(entry);
        Ok(())
    }

    async fn audit(&self, limit: u32) -> Result<Vec<(i64, AuditEntry)>> {
        Ok(self.state().operation.audit.iter().rev().take(limit as usize).cloned().collect())
    }

    async fn identity(&self, pipeline: &str) -> Result<Option<Identity>> {
        Ok(self.state().operation.identities.get(pipeline).cloned())
    }

    async fn set_identity(&self, pipeline: &str, identity: &Identity) -> Result<()> {
        let mut state = self.state();
        state.pipeline(pipeline)?;
        state.operation.identities.insert(pipeline.to_owned(), identity.clone());
        Ok(())
    }

    async fn alerts(&self) -> Result<String> {
        Ok(self.state().operation.alerts.clone())
    }

    async fn set_alerts(&self, told: &str) -> Result<()> {
        told.clone_into(&mut self.state().operation.alerts);
        Ok(())
    }
}
