//! The tests every store runs, so that a third party can prove its own.
//!
//! ```ignore
//! zenith_state::state_test_suite!(my_store, MyPlace::new());
//! ```
//!
//! makes a module of `#[tokio::test]`s, one for each function here, each with a [`StoreLocation`] of its own from the
//! given expression. What it opens first must be empty. The crate that uses it needs tokio with `macros`,
//! `rt-multi-thread` and `time`.

mod applied;
mod history;
mod mismatches;
mod operation;
mod progress;
mod reopen;
mod snapshot;

use std::future::Future;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use applied::*;
pub use history::*;
pub use mismatches::*;
pub use operation::*;
pub use progress::*;
pub use reopen::*;
pub use snapshot::*;

use crate::{Checkpoint, Connector, Intent, MemoryStore, PipelineRecord, Role, SchemaChange, StateStore};

/// Where a store is, so that a test can leave it and come back.
pub trait StoreLocation: Sync {
    /// The store.
    type Store: StateStore;

    /// Opens the store with what the one opened before has acknowledged. That one has been dropped.
    fn open(&self) -> impl Future<Output = Self::Store> + Send;
}

impl StoreLocation for MemoryStore {
    type Store = MemoryStore;

    async fn open(&self) -> MemoryStore {
        self.clone()
    }
}

/// Makes a test module that runs the suite against stores in the places made by an expression.
#[macro_export]
macro_rules! state_test_suite {
    ($module:ident, $place:expr) => {
        $crate::state_test_suite!(@each $module, $place,
            connectors_come_back_by_name,
            a_password_in_an_address_is_refused,
            a_connector_in_use_stays,
            pipelines_come_back_by_name,
            a_pipeline_needs_its_ends,
            a_pipeline_applied_again_keeps_its_progress,
            a_pipeline_is_paused,
            a_removed_pipeline_leaves_history_and_epoch,
            schemas_are_numbered,
            every_value_of_a_checkpoint_comes_back,
            a_checkpoint_only_moves_forward,
            orders_compare_bytewise,
            intents_come_back_in_order,
            a_token_is_open_once,
            a_commit_saves_and_closes,
            a_refused_commit_changes_nothing,
            an_abandoned_intent_is_closed,
            a_reset_goes_back,
            epochs_grow,
            an_unknown_pipeline_has_nothing,
            an_unknown_pipeline_takes_nothing,
            a_snapshot_comes_back,
            a_snapshot_replaces_another,
            partitions_are_finished,
            an_unfinished_snapshot_stays_so,
            indexes_are_unique,
            mismatches_are_counted_with_their_rows,
            mismatches_of_parts_are_counted_once,
            mismatches_of_a_loaded_table_replace_earlier_ones,
            settled_letters_are_not_counted_any_more,
            values_are_counted_again,
            fields_and_reasons_are_bounded,
            a_run_is_told,
            changes_are_audited,
            what_alerts_told_replaces_earlier_ones,
            old_runs_are_forgotten,
            figures_of_a_run_are_noted,
            the_newest_runs_come_first,
            an_unknown_run_is_missing,
            conditions_replace_earlier_ones,
            a_request_is_carried_out_once,
            a_request_is_taken_back,
            identities_live_as_long_as_their_pipelines,
            everything_survives_reopening,
            tasks_commit_side_by_side,
            a_call_given_up_has_all_of_its_effect_or_none,
            the_boxed_twin_is_the_same_store,
        );
    };
    (@each $module:ident, $place:expr, $($test:ident,)*) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let place = $place;
                    $crate::test_suite::$test(&place).await;
                }
            )*
        }
    };
}

/// A moment with nanoseconds, `seconds` after another one.
fn moment(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::new(1_700_000_000 + seconds, 123_456_789)
}

fn connector(name: &str, role: Role) -> Connector {
    let uri = format!("mongodb://app:${{PASSWORD}}@{name}/shop");
    Connector { name: name.into(), role, uri, options: "tls = true\n".into() }
}

fn record(name: &str) -> PipelineRecord {
    PipelineRecord {
        name: name.into(),
        source: "mongo".into(),
        target: "click".into(),
        settings: "mode = \"full\"".into(),
        paused: false,
    }
}

/// A checkpoint at the `order`th place.
fn schema(bytes: &[u8]) -> SchemaChange {
    SchemaChange { schema: bytes.to_vec(), cause: "it's new".to_owned(), statement: "ALTER".to_owned() }
}

fn checkpoint(order: u8) -> Checkpoint {
    Checkpoint {
        position: format!("position {order}").into(),
        order: vec![order],
        source_time: Some(moment(u64::from(order))),
        rows: u64::from(order) * 10,
        saved: moment(1000 + u64::from(order)),
    }
}

fn intent(pipeline: &str, token: &str) -> Intent {
    Intent {
        pipeline: pipeline.into(),
        token: token.into(),
        from: vec![0, 1],
        to: vec![0xff],
        rows: 3,
        created: moment(7),
    }
}

/// Puts two connectors and a pipeline `p` between them.
async fn apply(store: &impl StateStore) {
    store.put_connector(&connector("mongo", Role::Source)).await.expect("saved");
    store.put_connector(&connector("click", Role::Target)).await.expect("saved");
    store.put_pipeline(&record("p")).await.expect("saved");
}

/// A store with a pipeline `p`.
async fn applied<P: StoreLocation>(place: &P) -> P::Store {
    let store = place.open().await;
    apply(&store).await;
    store
}
