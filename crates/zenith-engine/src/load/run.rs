//! One load: the workers between a source and a table, and how they end together.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow_array::RecordBatch;
use async_channel::{Receiver, Sender};
use futures_util::future::join_all;
use tokio::task::JoinSet;

use tracing::Instrument as _;
use zenith_arrow::{DecoderOptions, ExtraCounts, Schema};
use zenith_extract::{DocumentBatch, Partition, ReadConcern, ReadOptions, ReplyBudget, Source};
use zenith_transport::Sink;

use super::context::LoadContext;
use super::dead_letters::{self, RejectedDocument};
use super::decode::Decoding;
use super::findings::{Planned, Sample, Watch};
use super::insert::{Batches, Inserter};
use super::read;
use super::read::Queue;
use super::sizes::Sizes;
use crate::layout::LoadMetadata;
use crate::offload::{Lost, Worker};
use crate::{EngineError, ReloadOptions, Result};

/// How long readers and inserters may take to end once the load was stopped.
const TASKS_TIMEOUT: Duration = Duration::from_secs(3);
/// How long decoders may take after that.
const DECODERS_TIMEOUT: Duration = Duration::from_secs(1);

/// What a load is made of.
pub(crate) struct LoadSpec<'a, S, K> {
    pub(crate) source: &'a Arc<S>,
    pub(crate) sink: &'a Arc<K>,
    pub(crate) schema: &'a Schema,
    /// What the decoders learn from.
    pub(crate) sample: Arc<Sample>,
    pub(crate) partitions: Vec<Partition>,
    /// Documents there are thought to be in them.
    pub(crate) documents: Option<u64>,
    /// Partitions read side by side.
    pub(crate) readers: usize,
    pub(crate) options: &'a ReloadOptions,
    /// The table rows go to.
    pub(crate) table: &'a str,
    /// The metadata columns of every row.
    pub(crate) metadata: LoadMetadata,
    /// Which state of the data is read.
    pub(crate) read_concern: ReadConcern,
    /// What is held against the load, if it is to end where other columns would have been chosen.
    pub(crate) watched: Option<&'a Planned>,
}

/// The first failure of any worker.
#[derive(Default)]
struct FirstError(Mutex<Option<EngineError>>);

impl FirstError {
    /// Keeps the first error that is not a mere consequence, and stops everybody.
    fn note<T>(&self, load: &LoadContext, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                match &*first {
                    None | Some(EngineError::Stopped) => *first = Some(error),
                    Some(_) => {}
                }
                load.abort.stop();
                None
            }
        }
    }

    fn take(&self) -> Option<EngineError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Runs all workers to their end.
pub(crate) async fn load<S: Source, K: Sink + 'static>(
    load: Arc<LoadContext>,
    spec: LoadSpec<'_, S, K>,
) -> Result<ExtraCounts> {
    let options = spec.options;
    let (reply_sender, replies) = async_channel::bounded(options.decoders);
    // A rendezvous: a batch goes only to an inserter that waits for one, so that there are never more under way than
    // decoders and inserters. One that lay between them would take the memory of a batch and make nothing faster.
    let (batch_sender, batches) = flume::bounded(0);
    let (letter_sender, letters) = async_channel::bounded(64);
    let watch = spec
        .watched
        .map(|planned| Arc::new(Watch::new(planned.clone(), spec.schema, spec.documents, options.decoders)));
    let decoding = Decoding {
        load: Arc::clone(&load),
        replies,
        batches: batch_sender,
        sizes: Arc::new(Sizes::new(options.table.inserters, spec.documents)),
        letters: letter_sender.clone(),
        watch: watch.clone(),
    };
    let mut workers = Workers { load, first: Arc::default(), tasks: JoinSet::new(), threads: Vec::new() };
    workers.spawn_readers(&spec, &reply_sender);
    drop(reply_sender);
    workers.spawn_decoders(&spec, decoding)?;
    workers.spawn_inserters(&spec, &batches, &letter_sender);
    drop((batches, letter_sender));
    workers.spawn_letter_writer(&spec, letters);
    workers.end(watch.as_deref()).await
}

/// The workers of a load.
struct Workers {
    load: Arc<LoadContext>,
    first: Arc<FirstError>,
    tasks: JoinSet<()>,
    threads: Vec<Worker<Option<ExtraCounts>>>,
}

impl Workers {
    fn spawn_readers<S: Source, K>(&mut self, spec: &LoadSpec<'_, S, K>, replies: &Sender<DocumentBatch>) {
        let budget = ReplyBudget::with_share(self.load.pool.clone(), spec.options.replies_bytes());
        let mut options = ReadOptions::new(budget);
        options.batch_bytes = spec.options.reply_bytes(spec.readers);
        options.read_concern = spec.read_concern;
        options.projection =
            spec.options.table.projection_of_load(&spec.sample.left_out, spec.source.is_local());
        let queue = Arc::new(Queue::new(spec.partitions.clone()));
        for _ in 0..spec.readers {
            let (load, first, queue) = (Arc::clone(&self.load), Arc::clone(&self.first), Arc::clone(&queue));
            let (source, replies, options) = (Arc::clone(spec.source), replies.clone(), options.clone());
            let span = self.load.span();
            self.tasks.spawn(
                async move {
                    let result = read::read(&load, &*source, &queue, options, replies).await;
                    first.note(&load, result);
                }
                .instrument(span),
            );
        }
    }

    fn spawn_decoders<S, K>(&mut self, spec: &LoadSpec<'_, S, K>, decoding: Decoding) -> Result<()> {
        let options =
            DecoderOptions { rows_max: spec.options.table.batch_rows, bytes_max: spec.options.batch_bytes() };
        for index in 0..spec.options.decoders {
            let mut decoder = spec.options.table.decoder(spec.schema, &self.load.pool, options)?;
            if decoding.watch.is_some() {
                decoder.watch();
            }
            let learned = decoder.learn(&spec.sample.bytes, spec.sample.ranges.iter().cloned());
            let learned = learned.map_err(|source| EngineError::decoding(&self.load.namespace, source));
            if self.first.note(&self.load, learned).is_none() {
                break;
            }
            let (first, decoding) = (Arc::clone(&self.first), decoding.clone());
            let span = self.load.span();
            let work = async move { first.note(&decoding.load, decoding.run(decoder).await) };
            let thread = Worker::spawn(format!("zenith-decode-{index}"), work.instrument(span));
            self.threads.push(thread.map_err(|Lost| EngineError::Worker { worker: "decoder" })?);
        }
        Ok(())
    }

    fn spawn_inserters<S, K: Sink + 'static>(
        &mut self,
        spec: &LoadSpec<'_, S, K>,
        batches: &flume::Receiver<RecordBatch>,
        letters: &Sender<RejectedDocument>,
    ) {
        let sequence = Arc::new(AtomicU64::new(0));
        let schema = Arc::new(spec.schema.clone());
        let metadata = spec.metadata;
        for _ in 0..spec.options.table.inserters {
            let (load, first) = (Arc::clone(&self.load), Arc::clone(&self.first));
            let (sink, batches, letters) = (Arc::clone(spec.sink), batches.clone(), letters.clone());
            let (schema, sequence) = (Arc::clone(&schema), Arc::clone(&sequence));
            let table = spec.table.to_owned();
            let span = self.load.span();
            self.tasks.spawn(
                async move {
                    let (sink, table, layout) = (&*sink, &*table, metadata.layout());
                    let inserter = Inserter { load: &load, sink, table, schema: &schema, layout };
                    let from = Batches { batches, letters, metadata, sequence: &sequence };
                    let result = inserter.run(from).await;
                    first.note(&load, result);
                }
                .instrument(span),
            );
        }
    }

    /// The worker that writes dead letters.
    fn spawn_letter_writer<S, K: Sink + 'static>(
        &mut self,
        spec: &LoadSpec<'_, S, K>,
        letters: Receiver<RejectedDocument>,
    ) {
        let (load, first) = (Arc::clone(&self.load), Arc::clone(&self.first));
        let (sink, span) = (Arc::clone(spec.sink), self.load.span());
        self.tasks.spawn(
            async move {
                let result = dead_letters::write_all(&load, &*sink, letters).await;
                first.note(&load, result);
            }
            .instrument(span),
        );
    }

    /// Waits for all of them: the counts of the decoders, or the first failure.
    async fn end(mut self, watch: Option<&Watch>) -> Result<ExtraCounts> {
        self.end_tasks().await;
        let counts = self.end_threads().await;
        match self.first.take() {
            _ if self.load.stop.is_stopped() => Err(EngineError::Stopped),
            Some(error) => Err(error),
            None => match watch.and_then(Watch::verdict) {
                Some(surprise) => Err(surprise),
                None => Ok(counts),
            },
        }
    }

    async fn end_tasks(&mut self) {
        let load = Arc::clone(&self.load);
        let mut overdue = std::pin::pin!(load.abort.stopped_for(TASKS_TIMEOUT));
        let mut aborted = false;
        loop {
            tokio::select! {
                biased;
                ended = self.tasks.join_next() => match ended {
                    Some(Err(error)) if error.is_panic() => {
                        let error = EngineError::Worker { worker: "reader or inserter" };
                        self.first.note::<()>(&load, Err(error));
                    }
                    Some(_) => {}
                    None => break,
                },
                () = &mut overdue, if !aborted => {
                    aborted = true;
                    self.tasks.abort_all();
                }
            }
        }
    }

    async fn end_threads(&mut self) -> ExtraCounts {
        let joined = join_all(self.threads.drain(..).map(Worker::join));
        let joined = if self.load.is_stopped() {
            // A decoder may wait for memory that an insert given up has lent to a server that hangs.
            tokio::time::timeout(DECODERS_TIMEOUT, joined).await.unwrap_or_default()
        } else {
            joined.await
        };
        let mut counts = ExtraCounts::default();
        for ended in joined {
            match ended {
                Ok(Some(part)) => counts.merge(&part),
                Ok(None) => {}
                Err(_) => {
                    self.first.note::<()>(&self.load, Err(EngineError::Worker { worker: "decoder" }));
                }
            }
        }
        counts
    }
}
