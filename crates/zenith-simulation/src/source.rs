//! The source: the collection by keys as it is at the moment of each reply, and its log as a change stream.

use std::sync::Arc;

use bson::{RawBson, RawDocument, RawDocumentBuf, Timestamp};
use zenith_engine::Namespace;
use zenith_engine::extract::source::{
    ChangePreflight, ChangeReader, ChangeSource, DocumentReader, ReadOptions, Source, SourceInfo,
    WatchOptions,
};
use zenith_engine::extract::{
    ChangeBatch, DocumentBatch, ExtractError, FailureKind, IdBound, IdRange, IdTypes, MemoryChanges,
    MemorySource, Partition, PartitionBounds, PartitionStrategy, ReplyBudget, ResumeToken,
};

use crate::calls::Call;
use crate::world::World;

type Result<T> = std::result::Result<T, ExtractError>;

/// The collection of a world.
#[derive(Clone, Debug)]
pub(crate) struct SimulatedSource {
    world: Arc<World>,
    memory: MemorySource,
    /// Whether there are only the documents that match.
    filtered: bool,
}

impl SimulatedSource {
    pub(crate) fn new(world: Arc<World>) -> SimulatedSource {
        SimulatedSource { memory: world.memory.clone(), world, filtered: false }
    }

    async fn call<T>(&self, call: Call, effect: impl Future<Output = Result<T>>) -> Result<T> {
        self.world.call(call, |_| String::new(), effect, failure).await
    }
}

fn failure(is_done: bool) -> ExtractError {
    let message = if is_done { "the answer was lost" } else { "the source did not answer" };
    ExtractError::other(FailureKind::Transient, message)
}

impl Source for SimulatedSource {
    type Reader = SimulatedReader;

    fn filtered(&self, query: &RawDocument) -> Result<SimulatedSource> {
        Ok(SimulatedSource {
            memory: self.memory.filtered(query)?,
            world: Arc::clone(&self.world),
            filtered: true,
        })
    }

    async fn preflight(&self, namespace: &Namespace) -> Result<SourceInfo> {
        self.call(Call::Preflight, self.memory.preflight(namespace)).await
    }

    async fn sample(&self, namespace: &Namespace, documents: usize) -> Result<Vec<RawDocumentBuf>> {
        self.call(Call::Sample, self.memory.sample(namespace, documents)).await
    }

    async fn id_types(&self, namespace: &Namespace) -> Result<Option<IdTypes>> {
        self.call(Call::Sample, self.memory.id_types(namespace)).await
    }

    async fn max_id(&self, _: &Namespace) -> Result<Option<RawBson>> {
        let newest = || {
            self.world.with_history(|history| {
                let mut there = history.documents.iter().filter(|(_, found)| !self.filtered || found.matches);
                there.next_back().map(|(id, _)| RawBson::Int64(*id))
            })
        };
        self.call(Call::MaxId, async { Ok(newest()) }).await
    }

    /// As many as the scenario has, however many are asked for: a collection of few documents is to have several.
    async fn partitions(
        &self,
        namespace: &Namespace,
        _: usize,
        strategy: PartitionStrategy,
    ) -> Result<Vec<Partition>> {
        let partition = |bounds| Partition { namespace: namespace.clone(), bounds };
        let divide = async {
            if strategy == PartitionStrategy::Natural {
                return Ok(vec![partition(PartitionBounds::Natural)]);
            }
            let newest = self.world.with_history(|history| history.documents.keys().next_back().copied());
            let (newest, parts) = (newest.unwrap_or(0), i64::from(self.world.scenario.partitions));
            let bounds = (1..parts).map(|part| newest * part / parts).filter(|bound| *bound > 0);
            let mut bounds: Vec<i64> = bounds.collect();
            bounds.dedup();
            let ranges = IdRange::split_at(bounds.into_iter().map(RawBson::Int64).collect());
            Ok(ranges.into_iter().map(PartitionBounds::IdRange).map(partition).collect())
        };
        self.call(Call::Partitions, divide).await
    }

    async fn open(&self, partition: &Partition, options: ReadOptions) -> Result<SimulatedReader> {
        let open = async {
            let (after, to) = match &partition.bounds {
                PartitionBounds::IdRange(range) => (lower(&range.lower), upper(&range.upper)),
                _ => (i64::MIN, i64::MAX),
            };
            Ok(SimulatedReader { source: self.clone(), after, to, options })
        };
        self.call(Call::Open, open).await
    }
}

fn number(value: &RawBson) -> i64 {
    value.as_i64().unwrap_or_default()
}

/// The key that the first one is greater than.
fn lower(bound: &IdBound) -> i64 {
    match bound {
        IdBound::Unbounded => i64::MIN,
        IdBound::Included(value) => number(value) - 1,
        IdBound::Excluded(value) => number(value),
    }
}

/// The last key.
fn upper(bound: &IdBound) -> i64 {
    match bound {
        IdBound::Unbounded => i64::MAX,
        IdBound::Included(value) => number(value),
        IdBound::Excluded(value) => number(value) - 1,
    }
}

/// Reads a range of keys, a few documents at a time, each as it is then.
#[derive(Debug)]
pub(crate) struct SimulatedReader {
    source: SimulatedSource,
    after: i64,
    to: i64,
    options: ReadOptions,
}

impl DocumentReader for SimulatedReader {
    async fn next(&mut self) -> Result<Option<DocumentBatch>> {
        let source = self.source.clone();
        let read = async {
            let world = &source.world;
            let (between, most) = ((self.after, self.to), world.scenario.reply_documents);
            let found = world.documents(between, source.filtered, most);
            let Some((last, _)) = found.last() else { return Ok(None) };
            self.after = *last;
            let all: Vec<u8> = found.iter().flat_map(|(_, raw)| raw.as_bytes()).copied().collect();
            let mut permit = self.options.reply_budget.reserve(all.len()).await?;
            let mut bytes = permit.allocate(all.len())?;
            bytes[..all.len()].copy_from_slice(&all);
            DocumentBatch::of_documents(bytes, all.len(), permit).map(Some)
        };
        source.call(Call::Read, read).await
    }
}

impl ChangeSource for SimulatedSource {
    type Changes = SimulatedChanges;

    async fn change_preflight(&self, namespaces: &[Namespace]) -> Result<ChangePreflight> {
        self.call(Call::Preflight, self.memory.change_preflight(namespaces)).await
    }

    async fn watch(&self, mut options: WatchOptions) -> Result<SimulatedChanges> {
        if self.world.scenario.single_events {
            options.batch_bytes = 1;
        }
        let inner = self.call(Call::Watch, self.memory.watch(options)).await?;
        Ok(SimulatedChanges { source: self.clone(), inner })
    }

    async fn lookup(
        &self,
        namespace: &Namespace,
        ids: &[RawBson],
        after: Option<Timestamp>,
        reply_budget: &ReplyBudget,
    ) -> Result<Vec<DocumentBatch>> {
        self.call(Call::LookUp, self.memory.lookup(namespace, ids, after, reply_budget)).await
    }

    async fn now(&self) -> Result<Timestamp> {
        self.call(Call::Now, self.memory.now()).await
    }
}

/// The log as a stream.
#[derive(Debug)]
pub(crate) struct SimulatedChanges {
    source: SimulatedSource,
    inner: MemoryChanges,
}

impl ChangeReader for SimulatedChanges {
    fn opened(&self) -> (ResumeToken, Timestamp) {
        self.inner.opened()
    }

    async fn next(&mut self) -> Result<ChangeBatch> {
        let source = self.source.clone();
        source.call(Call::NextChanges, self.inner.next()).await
    }
}
