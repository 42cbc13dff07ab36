//! One load: the workers between a source and a table, and how they end together.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use zenith_arrow::{Decoder, DecoderOptions, ExtraCounts, Schema};
use zenith_extract::{Partition, ReadConcern, ReadOptions, ReplyBudget, Source};
use zenith_transport::Sink;

use super::context::LoadContext;
use super::findings::{Planned, Sample, Watch};
use super::insert::Inserting;
use super::read::Queue;
use super::sizes::Sizes;
use super::{dead_letters, decode, read};
use crate::layout::LoadMetadata;
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
    /// What every row gets beside its document.
    pub(crate) stamp: LoadMetadata,
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
    parts: LoadSpec<'_, S, K>,
) -> Result<ExtraCounts> {
    let options = parts.options;
    let (reply_sender, replies) = async_channel::bounded(options.decoders);
    // A rendezvous: a batch goes only to an inserter that waits for one, so that there are never more under way than
    // decoders and inserters. One that lay between them would take the memory of a batch and make nothing faster.
    let (batch_sender, batches) = flume::bounded(0);
    let (letter_sender, letters) = async_channel::bounded(64);
    let first = Arc::new(FirstError::default());

    let mut read_options =
        ReadOptions::new(ReplyBudget::with_share(load.pool.clone(), options.landing_bytes()));
    read_options.batch_bytes = options.reply_bytes(parts.readers);
    read_options.read_concern = parts.read_concern;
    let queue = Arc::new(Queue::new(parts.partitions));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..parts.readers {
        let (load, first, queue) = (Arc::clone(&load), Arc::clone(&first), Arc::clone(&queue));
        let (source, sender, read_options) =
            (Arc::clone(parts.source), reply_sender.clone(), read_options.clone());
        tasks.spawn(async move {
            let result = read::read(&load, &*source, &queue, read_options, sender).await;
            first.note(&load, result);
        });
    }
    drop(reply_sender);

    let sizes = Arc::new(Sizes::new(options.inserters, parts.documents));
    let watch = parts.watched.map(|planned| {
        Arc::new(Watch::new(planned.clone(), parts.schema, parts.documents, options.decoders))
    });
    let mut threads = Vec::new();
    for index in 0..options.decoders {
        let decoder_options =
            DecoderOptions { rows_max: options.batch_rows, bytes_max: options.batch_bytes() };
        let mut decoder = Decoder::new(parts.schema, &load.pool, decoder_options);
        if watch.is_some() {
            decoder.watch();
        }
        let learned = decoder.learn(&parts.sample.bytes, parts.sample.ranges.iter().cloned());
        let learned = learned.map_err(|source| EngineError::decoding(&load.namespace, source));
        if first.note(&load, learned).is_none() {
            break;
        }
        let (load, first) = (Arc::clone(&load), Arc::clone(&first));
        let (replies, batches, letters) = (replies.clone(), batch_sender.clone(), letter_sender.clone());
        let sizes = Arc::clone(&sizes);
        let watch = watch.clone();
        let work = move || {
            let result =
                decode::decode(&load, decoder, &replies, &batches, &sizes, &letters, watch.as_deref());
            first.note(&load, result)
        };
        let thread = std::thread::Builder::new().name(format!("zenith-decode-{index}")).spawn(work);
        threads.push(thread.map_err(|_| EngineError::Worker { worker: "decoder" })?);
    }
    drop((replies, batch_sender));

    let sequence = Arc::new(AtomicU64::new(0));
    let schema = Arc::new(parts.schema.clone());
    let stamp = parts.stamp;
    for _ in 0..options.inserters {
        let (load, first, sequence) = (Arc::clone(&load), Arc::clone(&first), Arc::clone(&sequence));
        let (sink, batches, letters) = (Arc::clone(parts.sink), batches.clone(), letter_sender.clone());
        let (schema, table) = (Arc::clone(&schema), parts.table.to_owned());
        tasks.spawn(async move {
            let inserting = Inserting {
                load: &load,
                table: &table,
                schema: &schema,
                layout: stamp.layout(),
                stamp,
                sequence: &sequence,
            };
            let result = inserting.run(&*sink, batches, letters).await;
            first.note(&load, result);
        });
    }
    drop((batches, letter_sender));
    {
        let (load, first, sink) = (Arc::clone(&load), Arc::clone(&first), Arc::clone(parts.sink));
        tasks.spawn(async move {
            let result = dead_letters::keep(&load, &*sink, letters).await;
            first.note(&load, result);
        });
    }

    let mut overdue = std::pin::pin!(async {
        load.stopped().await;
        tokio::time::sleep(TASKS_TIMEOUT).await;
    });
    let mut aborted = false;
    loop {
        tokio::select! {
            ended = tasks.join_next() => match ended {
                Some(Err(error)) if error.is_panic() => {
                    first.note::<()>(&load, Err(EngineError::Worker { worker: "reader or inserter" }));
                }
                Some(_) => {}
                None => break,
            },
            () = &mut overdue, if !aborted => {
                aborted = true;
                tasks.abort_all();
            }
        }
    }
    let joined = tokio::task::spawn_blocking(move || {
        threads.into_iter().map(|thread| thread.join()).collect::<Vec<_>>()
    });
    let joined = if load.is_stopped() {
        // A decoder may wait for memory that an insert given up has lent to a server that hangs.
        tokio::time::timeout(DECODERS_TIMEOUT, joined).await.unwrap_or_else(|_| Ok(Vec::new()))
    } else {
        joined.await
    };
    let mut counts = ExtraCounts::default();
    for ended in joined.unwrap_or_default() {
        match ended {
            Ok(Some(part)) => counts.merge(&part),
            Ok(None) => {}
            Err(_) => {
                first.note::<()>(&load, Err(EngineError::Worker { worker: "decoder" }));
            }
        }
    }
    match first.take() {
        _ if load.stop.is_stopped() => Err(EngineError::Stopped),
        Some(error) => Err(error),
        None => match watch.and_then(|watch| watch.verdict()) {
            Some(surprise) => Err(surprise),
            None => Ok(counts),
        },
    }
}
