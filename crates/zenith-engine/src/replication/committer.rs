//! Makes steps durable, one after the other: intent, insert, checkpoint.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use arrow_array::RecordBatch;
use tokio::sync::mpsc::{Receiver, Sender};
use tracing::Instrument as _;
use zenith_arrow::Schema;
use zenith_extract::{ChangeSource, Source};
use zenith_state::{Intent, Mismatches, Since, StateStore};
use zenith_transport::Sink;

use super::assembler::Batch;
use super::context::Context;
use super::event::Gone;
use super::pace::Pace;
use super::position::Position;
use super::rows::Decoded;
use super::start::Follower;
use super::steps::{Done, Milestone, Step};
use super::write::{Token, Unwritten, Written, write};
use crate::layout::Layout;
use crate::load::left::{apart, of_others};
use crate::places::Places;
use crate::policies::OnDrop;
use crate::progress::to_u64;
use crate::simulation::{self, DeliberateBug};
use crate::timings::Stage;
use crate::{EngineError, Result};

/// The state of a committer.
pub(super) struct Committer<S, K, T> {
    context: Arc<Context<S, K, T>>,
    pace: Pace,
    /// Up to where everything is in the table.
    position: Position,
    /// Changes that are in the table, of all runs since the pipeline was set up.
    rows: u64,
    /// Where rows of documents stand, if that is not said by `_id` alone.
    places: Option<Arc<Places>>,
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Committer<S, K, T> {
    pub(super) fn new(context: Arc<Context<S, K, T>>, follower: &Follower) -> Committer<S, K, T> {
        Committer {
            pace: Pace::new(context.settings.flush_interval),
            position: follower.position.clone(),
            rows: follower.rows,
            places: follower.places.clone(),
            context,
        }
    }

    pub(super) fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Commits steps until no more come, or the pipeline is stopped: what is being written comes to its end first.
    pub(super) async fn run(
        mut self,
        mut steps: Receiver<Step<Batch>>,
        done: Sender<Done>,
    ) -> Result<Committer<S, K, T>> {
        while let Some(step) = steps.recv().await {
            if self.context.stop.is_stopped() {
                break;
            }
            let is_whole = match step {
                Step::Batch(batch) => {
                    let begun = Instant::now();
                    let span = self.context.insert_span(&batch.token);
                    let is_whole = Box::pin(self.commit(*batch)).instrument(span).await?;
                    self.context.live.counters.spent(Stage::Flush, begun);
                    is_whole
                }
                Step::Milestone(milestone) => {
                    self.pass(*milestone).await?;
                    true
                }
            };
            // A batcher that has failed listens no more.
            if is_whole && done.send(Done { pause: self.pace.pause() }).await.is_err() {
                break;
            }
        }
        Ok(self)
    }

    /// Intent, insert, checkpoint: the batch is durable afterwards, and the position behind it saved. Says whether all of
    /// its changes are.
    async fn commit(&mut self, batch: Batch) -> Result<bool> {
        let context = &*self.context;
        let Batch {
            token,
            from,
            to,
            source_time,
            changes,
            decoded,
            is_replay,
            is_part,
            permit: _permit,
            schema,
            in_flight: _in_flight,
        } = batch;
        tracing::debug!(pipeline = context.name, token, changes, "writing");
        let Decoded { batch, letters, documents, extra, .. } = decoded;
        let batch = match (&self.places, batch) {
            (Some(places), Some(batch)) => Some(context.settle(places, &schema, batch).await?),
            (_, batch) => batch,
        };
        if !is_replay {
            let intent = Intent {
                pipeline: context.name.clone(),
                token: token.clone(),
                from: from.encode()?,
                to: to.encode()?,
                rows: to_u64(batch.as_ref().map_or(0, RecordBatch::num_rows)),
                created: SystemTime::now(),
            };
            context.state.begin_intent(&intent).instrument(tracing::info_span!("intent")).await?;
        }
        if simulation::has(DeliberateBug::CheckpointBeforeInsert) {
            let checkpoint = to.checkpoint(self.rows + to_u64(changes), source_time)?;
            context.state.advance(&context.name, &checkpoint).await?;
        }
        let token = Token { name: &token, is_replay };
        let unwritten = Unwritten { batch, letters, documents, places: self.places.clone() };
        let writing = self.write(&schema, token, unwritten);
        let documents = writing.instrument(tracing::info_span!("send")).await?;
        let rejected: u64 = documents.values().sum();
        let rows = (self.rows + to_u64(changes)).saturating_sub(rejected);
        let mismatches = Mismatches { values: extra, documents };
        let checkpoint = to.checkpoint(rows, source_time)?;
        if simulation::has(DeliberateBug::IntentClosedEarly) {
            context.state.abandon_intent(&context.name, token.name).await?;
            context.state.advance(&context.name, &checkpoint).await?;
        } else {
            let committing = context.state.commit_intent(&context.name, token.name, &checkpoint, &mismatches);
            committing.instrument(tracing::info_span!("checkpoint")).await?;
        }
        context.counted(&mismatches, false);
        context.live.applied_to(source_time);
        (self.position, self.rows) = (to, rows);
        self.pace.adapt(&*context.sink, &context.table, &context.live).await;
        Ok(!is_part)
    }

    /// Makes rows durable. Where an insert may land in part, and rows of deleted documents stay, those that only say what is left
    /// follow in one of their own.
    async fn write(
        &self,
        schema: &Schema,
        token: Token<'_>,
        mut unwritten: Unwritten,
    ) -> Result<BTreeMap<String, u64>> {
        let is_divided = self.places.as_ref().is_some_and(|places| places.in_parts());
        let mut left = None;
        if let (Some(batch), Layout::Marked { moves: true }, true) =
            (&unwritten.batch, self.context.layout(), is_divided)
        {
            (unwritten.batch, left) = apart(batch)?;
        }
        let Written { documents, refused } = write(&self.context, schema, token, unwritten).await?;
        let left = left.map_or(Ok(Vec::new()), |left| of_others(&left, &refused))?;
        for (number, left) in left.into_iter().enumerate() {
            let name = if refused.is_empty() { "left".to_owned() } else { format!("left{number}") };
            let token = Token { name: &format!("{}.{name}", token.name), ..token };
            let unwritten = Unwritten {
                batch: Some(left),
                letters: Vec::new(),
                documents: 0,
                places: self.places.clone(),
            };
            write(&self.context, schema, token, unwritten).await?;
        }
        Ok(documents)
    }

    /// Moves the checkpoint to a position between changes, once the table shows what has happened there.
    pub(super) async fn pass(&mut self, milestone: Milestone) -> Result<()> {
        if let Some(gone) = milestone.gone {
            self.gone(gone).await?;
        }
        let checkpoint = milestone.to.checkpoint(self.rows, milestone.source_time)?;
        self.context.state.advance(&self.context.name, &checkpoint).await?;
        self.position = milestone.to;
        Ok(())
    }

    /// The collection is gone.
    async fn gone(&self, gone: Gone) -> Result<()> {
        let context = &self.context;
        match context.settings.on_drop {
            OnDrop::Ignore => {
                let reason = format!("{} {}", context.namespace, gone.words());
                tracing::warn!(pipeline = context.name, "{reason}: its table no longer follows it");
                context.detach(Some(Since { reason, since: context.clock.now() })).await?;
            }
            OnDrop::Reload if context.layout() == Layout::Log => {
                let collection = &context.namespace;
                let what = gone.words();
                tracing::warn!(
                    pipeline = context.name,
                    "{collection} {what}: the log continues with its changes"
                );
            }
            OnDrop::Truncate if gone != Gone::Replaced && !context.is_being_read().await? => {
                if context.layout().has_versions() {
                    tracing::warn!(
                        pipeline = context.name,
                        "{} {}: its table is emptied",
                        context.namespace,
                        gone.words()
                    );
                    context.retrying(|| context.sink.truncate(&context.table)).await?;
                }
            }
            // The checkpoint stays before this until the table is loaded again, also by a later run.
            OnDrop::Stop | OnDrop::Truncate | OnDrop::Reload => {
                let name = &context.name;
                return Err(EngineError::SourceGone {
                    remedy: match context.layout() {
                        Layout::Log => {
                            format!("zenith reset {name} --from now continues with the changes of that name")
                        }
                        _ => format!("zenith reload {name} continues with the collection of that name"),
                    },
                    namespace: context.namespace.to_string(),
                    what: gone.words(),
                    table: context.table.clone(),
                });
            }
        }
        Ok(())
    }
}
