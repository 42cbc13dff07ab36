//! Inserters: record batches in, acknowledgements out.
//!
//! A batch, and with it its memory of the pool, is held until it is acknowledged, so that a repeat sends
//! the very same bytes with the very same token.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::RecordBatch;
use async_channel::Sender;
use zenith_arrow::Schema;
use zenith_transport::{Insert, Merging, Sink, TransportError};

use super::dead_letters::{Letter, id_text};
use super::handover::Taker;
use super::load::Load;
use crate::layout::Stamp;
use crate::retry::{AfterInsert, after_insert};
use crate::{EngineError, OnBadDocument, Result};

/// Inserts after which background merges run again, well before ClickHouse refuses more parts (3,000).
const PARTS_BEFORE_MERGES: u64 = 1000;

/// What all inserters of a load share.
pub(crate) struct Inserting<'a> {
    pub(crate) load: &'a Load,
    pub(crate) table: &'a str,
    pub(crate) schema: &'a Schema,
    pub(crate) stamp: Stamp,
    pub(crate) sequence: &'a AtomicU64,
    pub(crate) letters: Sender<Letter>,
}

impl Inserting<'_> {
    /// Inserts batches until there are no more.
    pub(super) async fn run<K: Sink>(self, sink: &K, batches: Taker) -> Result<()> {
        while let Some(batch) = batches.take().await {
            let number = self.sequence.fetch_add(1, Ordering::Relaxed);
            if number == PARTS_BEFORE_MERGES {
                // A failure here would show again as "too many parts", which is repeated.
                let _ = sink.set_merging(self.table, Merging::Running).await;
            }
            let token = format!("{}-{}", self.load.run, number);
            self.insert(sink, self.stamp.apply(batch)?, token).await?;
            self.load.progress.memory(self.load.pool.stats().in_use);
        }
        Ok(())
    }

    /// Inserts one batch; rows that are refused end as dead letters, the others are inserted.
    pub(crate) async fn insert<K: Sink>(&self, sink: &K, batch: RecordBatch, token: String) -> Result<()> {
        let mut left = vec![(batch, token)];
        while let Some((batch, token)) = left.pop() {
            let insert = Insert { table: self.table.to_owned(), batch: batch.clone(), token: token.clone() };
            match repeat(self.load, || sink.write(insert.clone())).await {
                Ok(durable) => self.load.progress.written(durable.rows, durable.bytes),
                Err(EngineError::Sink(error)) if after_insert(&error, 1) == AfterInsert::Halve => {
                    let rows = batch.num_rows();
                    if rows > 1 {
                        let half = rows / 2;
                        left.push((batch.slice(half, rows - half), format!("{token}b")));
                        left.push((batch.slice(0, half), format!("{token}a")));
                    } else {
                        self.bury(&batch, &error).await?;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn bury(&self, batch: &RecordBatch, error: &TransportError) -> Result<()> {
        let unreadable = |_| EngineError::Worker { worker: "inserter, while rebuilding a refused row" };
        let document = zenith_arrow::rebuild(self.schema, batch, 0).map_err(unreadable)?;
        let document = document.to_vec().map_err(|_| EngineError::Worker { worker: "inserter" })?;
        let id = id_text(&document);
        if self.load.on_bad_document == OnBadDocument::Fail {
            let namespace = self.load.namespace.to_string();
            return Err(EngineError::BadDocument { namespace, id, reason: error.to_string() });
        }
        let letter = Letter { id, reason: error.to_string(), document };
        self.load.unless_stopped(self.letters.send(letter)).await?.map_err(|_| EngineError::Stopped)
    }
}

/// Does something with the sink, again and again while its failures are transient.
pub(crate) async fn repeat<T, F>(load: &Load, mut action: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = std::result::Result<T, TransportError>>,
{
    let mut tries = 0;
    loop {
        let error = match load.unless_stopped(action()).await? {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        tries += 1;
        let AfterInsert::Repeat(pause) = after_insert(&error, tries) else { return Err(error.into()) };
        tracing::warn!(run = load.run, tries, ?pause, %error, "repeating an insert");
        load.progress.repeated();
        load.unless_stopped(tokio::time::sleep(pause)).await?;
    }
}
