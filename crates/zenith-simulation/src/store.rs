//! The state: a store in memory whose calls may fail, and after which the process may die.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use zenith_engine::state::{
    AuditEntry, Checkpoint, Condition, Connector, Figures, Identity, Intent, MemoryStore, Mismatches,
    PipelineRecord, Request, RequestEnd, Result, Run, RunEnd, RunStart, SchemaChange, SchemaVersion,
    Snapshot, StateError, StateStore,
};

use crate::calls::Call;
use crate::world::World;

/// The state of a world.
#[derive(Debug)]
pub(crate) struct SimulatedStore {
    world: Arc<World>,
    pub(crate) memory: MemoryStore,
    /// The order of the first checkpoint: changes from here on are the pipeline's.
    began: Mutex<Option<Vec<u8>>>,
}

fn failure(_: bool) -> StateError {
    StateError::Busy { action: "do what was asked", path: PathBuf::from("memory") }
}

impl SimulatedStore {
    pub(crate) fn new(world: Arc<World>, memory: MemoryStore) -> SimulatedStore {
        SimulatedStore { world, memory, began: Mutex::default() }
    }

    /// The order of the first checkpoint.
    pub(crate) fn began(&self) -> Option<Vec<u8>> {
        self.began.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn place(world: &World, checkpoint: &Checkpoint) -> String {
        let order = String::from_utf8_lossy(&checkpoint.order);
        // Of a token the increment of its time.
        let increment = order.get(10..18).and_then(|hex| u32::from_str_radix(hex, 16).ok());
        let tail = order.get(18..).filter(|tail| !tail.is_empty()).map_or("", |_| ", in it");
        let _ = world;
        match increment {
            Some(increment) => format!("to version {increment}{tail}, {} rows", checkpoint.rows),
            None => format!("to {} rows", checkpoint.rows),
        }
    }
}

/// Methods that only have their fate.
macro_rules! methods {
    ($($call:ident: $name:ident($($argument:ident: $type:ty),*) -> $output:ty;)*) => {
        $(async fn $name(&self, $($argument: $type),*) -> Result<$output> {
            let effect = StateStore::$name(&self.memory, $($argument),*);
            self.world.call(Call::$call, |_| String::new(), effect, failure).await
        })*
    };
}

impl StateStore for SimulatedStore {
    methods! {
        Look: connectors() -> Vec<Connector>;
        Note: put_connector(connector: &Connector) -> ();
        Note: remove_connector(name: &str) -> bool;
        Look: pipelines() -> Vec<PipelineRecord>;
        Note: put_pipeline(pipeline: &PipelineRecord) -> ();
        Note: set_paused(pipeline: &str, paused: bool) -> bool;
        Note: remove_pipeline(pipeline: &str) -> bool;
        Note: add_schema(pipeline: &str, change: &SchemaChange) -> u32;
        Look: schemas(pipeline: &str) -> Vec<SchemaVersion>;
        Look: checkpoint(pipeline: &str) -> Option<Checkpoint>;
        Look: open_intents(pipeline: &str) -> Vec<Intent>;
        Reset: reset(pipeline: &str, checkpoint: Option<&Checkpoint>) -> ();
        Look: epoch(pipeline: &str) -> u64;
        Look: snapshot(pipeline: &str) -> Option<Snapshot>;
        BeginSnapshot: begin_snapshot(pipeline: &str, snapshot: &Snapshot) -> ();
        FinishPartitions: finish_partitions(pipeline: &str, parts: &[(u32, u64)], mismatches: &Mismatches) -> ();
        FinishSnapshot: finish_snapshot(pipeline: &str, consistent_after: &[u8]) -> ();
        Look: mismatches(pipeline: &str, after: Option<SystemTime>) -> Mismatches;
        Look: mismatch_slots(pipeline: &str) -> Vec<(SystemTime, Mismatches)>;
        Note: set_mismatches(pipeline: &str, mismatches: &Mismatches) -> ();
        Note: settle_letters(pipeline: &str, letters: &BTreeMap<String, u64>) -> ();
        Note: recount_values(pipeline: &str, fields: &[String], reason: &str, instead: &Mismatches) -> ();
        Note: start_run(run: &RunStart) -> i64;
        Note: finish_run(id: i64, end: &RunEnd) -> ();
        Note: touch_run(id: i64, figures: Figures) -> ();
        Note: note_conditions(conditions: &[(String, Condition)]) -> ();
        Look: conditions() -> Vec<(String, Condition)>;
        Note: add_request(pipeline: &str, action: &str, arguments: &str) -> i64;
        Look: open_requests() -> Vec<Request>;
        Look: request(id: i64) -> Option<Request>;
        Note: take_request(id: i64) -> bool;
        Note: note_request(id: i64, progress: &str) -> ();
        Note: cancel_request(id: i64) -> ();
        Note: end_request(id: i64, end: &RequestEnd) -> ();
        Look: identity(pipeline: &str) -> Option<Identity>;
        Note: set_identity(pipeline: &str, identity: &Identity) -> ();
        Note: note_audit(entry: &AuditEntry) -> ();
        Look: audit(limit: u32) -> Vec<(i64, AuditEntry)>;
        Look: runs(pipeline: Option<&str>, limit: u32) -> Vec<Run>;
        Look: alerts() -> String;
        Note: set_alerts(told: &str) -> ();
    }

    async fn advance(&self, pipeline: &str, checkpoint: &Checkpoint) -> Result<()> {
        let effect = async {
            let is_first = self.memory.checkpoint(pipeline).await?.is_none();
            self.memory.advance(pipeline, checkpoint).await?;
            if is_first {
                let mut began = self.began.lock().unwrap_or_else(PoisonError::into_inner);
                began.get_or_insert_with(|| checkpoint.order.clone());
            }
            Ok(())
        };
        let detail = |world: &World| SimulatedStore::place(world, checkpoint);
        self.world.call(Call::Advance, detail, effect, failure).await
    }

    async fn begin_intent(&self, intent: &Intent) -> Result<()> {
        let detail = |world: &World| format!("{} of {} rows", world.name_of(&intent.token), intent.rows);
        self.world.call(Call::BeginIntent, detail, self.memory.begin_intent(intent), failure).await
    }

    async fn commit_intent(
        &self,
        pipeline: &str,
        token: &str,
        checkpoint: &Checkpoint,
        mismatches: &Mismatches,
    ) -> Result<()> {
        let effect = self.memory.commit_intent(pipeline, token, checkpoint, mismatches);
        let detail =
            |world: &World| format!("{} {}", world.name_of(token), SimulatedStore::place(world, checkpoint));
        self.world.call(Call::CommitIntent, detail, effect, failure).await
    }

    async fn abandon_intent(&self, pipeline: &str, token: &str) -> Result<()> {
        let effect = self.memory.abandon_intent(pipeline, token);
        self.world.call(Call::AbandonIntent, |world| world.name_of(token), effect, failure).await
    }
}
