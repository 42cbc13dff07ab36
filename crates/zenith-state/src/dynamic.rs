//! The object-safe twin of [`StateStore`], for stores chosen at run time.
//!
//! There is nothing to implement here: every `StateStore` fits into a [`DynStateStore`], which is a
//! `StateStore` again, and so is an `Arc` of either.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use crate::{
    AuditEntry, Checkpoint, Condition, Connector, Figures, Identity, Intent, Mismatches, PipelineRecord,
    Request, RequestEnd, Result, Run, RunEnd, RunStart, SchemaChange, SchemaVersion, Snapshot, StateStore,
};

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Any [`StateStore`]. Clones are the same store.
#[derive(Clone)]
pub struct DynStateStore(Arc<dyn Erased>);

impl DynStateStore {
    /// Puts a store behind a pointer.
    #[must_use]
    pub fn new(store: impl StateStore) -> DynStateStore {
        DynStateStore(Arc::new(store))
    }
}

impl fmt::Debug for DynStateStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("DynStateStore").finish_non_exhaustive()
    }
}

/// Writes what there is to write about every method: boxed, as a store gives it, and as its users call it.
macro_rules! methods {
    // The type of an argument, its references living as long as is said.
    (@type $life:lifetime & $($referent:tt)+) => { & $life $($referent)+ };
    (@type $life:lifetime Option<& $referent:ty>) => { Option<& $life $referent> };
    (@type $life:lifetime $value:ty) => { $value };

    ($($name:ident($($argument:ident: [$($type:tt)+]),*) -> $output:ty;)*) => {
        /// [`StateStore`] with boxed futures.
        trait Erased: Send + Sync {
            $(fn $name<'a>(
                &'a self,
                $($argument: methods!(@type 'a $($type)+)),*
            ) -> Boxed<'a, $output>;)*
        }

        impl<S: StateStore> Erased for S {
            $(fn $name<'a>(
                &'a self,
                $($argument: methods!(@type 'a $($type)+)),*
            ) -> Boxed<'a, $output> {
                Box::pin(StateStore::$name(self, $($argument),*))
            })*
        }

        impl StateStore for DynStateStore {
            $(async fn $name(&self, $($argument: methods!(@type '_ $($type)+)),*) -> Result<$output> {
                Erased::$name(&*self.0, $($argument),*).await
            })*
        }

        impl<S: StateStore> StateStore for Arc<S> {
            $(async fn $name(&self, $($argument: methods!(@type '_ $($type)+)),*) -> Result<$output> {
                StateStore::$name(&**self, $($argument),*).await
            })*
        }
    };
}

methods! {
    connectors() -> Vec<Connector>;
    put_connector(connector: [&Connector]) -> ();
    remove_connector(name: [&str]) -> bool;
    pipelines() -> Vec<PipelineRecord>;
    put_pipeline(pipeline: [&PipelineRecord]) -> ();
    set_paused(pipeline: [&str], paused: [bool]) -> bool;
    remove_pipeline(pipeline: [&str]) -> bool;
    add_schema(pipeline: [&str], change: [&SchemaChange]) -> u32;
    schemas(pipeline: [&str]) -> Vec<SchemaVersion>;
    checkpoint(pipeline: [&str]) -> Option<Checkpoint>;
    advance(pipeline: [&str], checkpoint: [&Checkpoint]) -> ();
    begin_intent(intent: [&Intent]) -> ();
    commit_intent(pipeline: [&str], token: [&str], checkpoint: [&Checkpoint], mismatches: [&Mismatches]) -> ();
    abandon_intent(pipeline: [&str], token: [&str]) -> ();
    open_intents(pipeline: [&str]) -> Vec<Intent>;
    reset(pipeline: [&str], checkpoint: [Option<&Checkpoint>]) -> ();
    epoch(pipeline: [&str]) -> u64;
    epochs() -> BTreeMap<String, u64>;
    schema_versions() -> BTreeMap<String, u32>;
    snapshot(pipeline: [&str]) -> Option<Snapshot>;
    begin_snapshot(pipeline: [&str], snapshot: [&Snapshot]) -> ();
    finish_partitions(pipeline: [&str], parts: [&[(u32, u64)]], mismatches: [&Mismatches]) -> ();
    finish_snapshot(pipeline: [&str], consistent_after: [&[u8]]) -> ();
    mismatches(pipeline: [&str], after: [Option<SystemTime>]) -> Mismatches;
    mismatch_slots(pipeline: [&str]) -> Vec<(SystemTime, Mismatches)>;
    set_mismatches(pipeline: [&str], mismatches: [&Mismatches]) -> ();
    settle_letters(pipeline: [&str], letters: [&BTreeMap<String, u64>]) -> ();
    recount_values(pipeline: [&str], fields: [&[String]], reason: [&str], instead: [&Mismatches]) -> ();
    start_run(run: [&RunStart]) -> i64;
    finish_run(id: [i64], end: [&RunEnd]) -> ();
    touch_run(id: [i64], figures: [Figures]) -> ();
    runs(pipeline: [Option<&str>], limit: [u32]) -> Vec<Run>;
    note_conditions(conditions: [&[(String, Condition)]]) -> ();
    conditions() -> Vec<(String, Condition)>;
    add_request(pipeline: [&str], action: [&str], arguments: [&str]) -> i64;
    open_requests() -> Vec<Request>;
    request(id: [i64]) -> Option<Request>;
    take_request(id: [i64]) -> bool;
    note_request(id: [i64], progress: [&str]) -> ();
    cancel_request(id: [i64]) -> ();
    end_request(id: [i64], end: [&RequestEnd]) -> ();
    note_audit(entry: [&AuditEntry]) -> ();
    audit(limit: [u32]) -> Vec<(i64, AuditEntry)>;
    identity(pipeline: [&str]) -> Option<Identity>;
    set_identity(pipeline: [&str], identity: [&Identity]) -> ();
    alerts() -> String;
    set_alerts(told: [&str]) -> ();
}
