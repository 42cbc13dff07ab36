//! Readers: partitions in, replies out.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use async_channel::Sender;
use zenith_extract::{DocumentBatch, DocumentReader, Partition, ReadOptions, Source};

use super::context::LoadContext;
use crate::timings::Stage;
use crate::{EngineError, Result};

/// The partitions that no reader has begun.
pub(super) struct Queue {
    partitions: Mutex<VecDeque<Partition>>,
}

impl Queue {
    pub(super) fn new(partitions: Vec<Partition>) -> Queue {
        Queue { partitions: Mutex::new(partitions.into()) }
    }

    fn next(&self) -> Option<Partition> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

/// Reads partitions until none is left or the load stops.
pub(super) async fn read<S: Source>(
    load: &LoadContext,
    source: &S,
    queue: &Queue,
    options: ReadOptions,
    replies: Sender<DocumentBatch>,
) -> Result<()> {
    while let Some(partition) = queue.next() {
        let mut reader = load.unless_stopped(source.open(&partition, options.clone())).await??;
        loop {
            let begun = Instant::now();
            let next = load.unless_stopped(reader.next()).await??;
            load.progress.spent(Stage::Read, begun);
            let Some(batch) = next else { break };
            load.progress.read(batch.len(), batch.byte_len());
            load.progress.memory(load.pool.stats().in_use);
            // The decoders are gone only if the load is being stopped for another reason.
            load.unless_stopped(replies.send(batch)).await?.map_err(|_| EngineError::Stopped)?;
        }
    }
    Ok(())
}
