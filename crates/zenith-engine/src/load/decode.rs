//! Decoders: replies in, record batches out, each on a thread of its own, where it may block.

use std::sync::Arc;

use arrow_array::RecordBatch;
use async_channel::{Receiver, Sender};
use zenith_arrow::extended_json::id_text;
use zenith_arrow::{BadDocument, Decoder, ExtraCounts};
use zenith_extract::DocumentBatch;

use super::context::LoadContext;
use super::dead_letters::RejectedDocument;
use super::findings::Watch;
use super::sizes::Sizes;
use crate::{EngineError, OnBadDocument, Result};

/// What all decoders of a load share.
#[derive(Clone)]
pub(super) struct Decoding {
    pub(super) load: Arc<LoadContext>,
    pub(super) replies: Receiver<DocumentBatch>,
    pub(super) batches: flume::Sender<RecordBatch>,
    pub(super) sizes: Arc<Sizes>,
    pub(super) letters: Sender<RejectedDocument>,
    pub(super) watch: Option<Arc<Watch>>,
}

impl Decoding {
    /// Decodes replies until there are no more, then hands over what is left.
    pub(super) async fn run(&self, mut decoder: Decoder) -> Result<ExtraCounts> {
        let failed = |source| EngineError::decoding(&self.load.namespace, source);
        let is_in_vain = || self.watch.as_deref().is_some_and(Watch::is_in_vain);
        // Rows the batch at hand is to have.
        let mut planned = None;
        while let Ok(reply) = self.replies.recv().await {
            if self.load.is_stopped() {
                return Err(EngineError::Stopped);
            }
            let bytes = reply.documents_bytes();
            let mut documents = reply.ranges();
            loop {
                let rows = *planned.get_or_insert_with(|| self.sizes.begin(decoder.rows_of_a_batch()));
                decoder.limit(rows);
                let mut bad = Vec::new();
                let append = || decoder.append(bytes, &mut documents, &mut |document| bad.push(document));
                let full = self.load.progress.decoding(append).map_err(failed)?;
                self.load.progress.unwound(decoder.rows_unwound());
                for document in bad {
                    reject(&self.load, bytes, &document, &self.letters).await?;
                }
                match full {
                    Some(batch) => {
                        planned = None;
                        self.sizes.sealed(rows, batch.num_rows());
                        if !is_in_vain() {
                            self.batches.send_async(batch).await.map_err(|_| EngineError::Stopped)?;
                        }
                    }
                    None => break,
                }
            }
            if let Some(watch) = self.watch.as_deref() {
                watch.look(&mut decoder, reply.len());
            }
        }
        if let Some(batch) = decoder.finish().map_err(failed)?
            && !is_in_vain()
        {
            self.batches.send_async(batch).await.map_err(|_| EngineError::Stopped)?;
        }
        if let Some(watch) = self.watch.as_deref() {
            watch.ended(&mut decoder);
        }
        let counts = decoder.take_counts();
        if !is_in_vain() {
            self.load.progress.tell_ignored(&self.load.pipeline, &decoder.take_ignored());
        }
        Ok(counts)
    }
}

async fn reject(
    load: &LoadContext,
    bytes: &[u8],
    bad: &BadDocument,
    letters: &Sender<RejectedDocument>,
) -> Result<()> {
    let document = &bytes[bad.range.clone()];
    match load.on_bad_document {
        OnBadDocument::Fail => Err(EngineError::BadDocument {
            namespace: load.namespace.to_string(),
            id: id_text(document),
            reason: bad.reason.to_string(),
        }),
        OnBadDocument::Keep => {
            let letter = RejectedDocument::new(document, bad.reason.to_string());
            letters.send(letter).await.map_err(|_| EngineError::Stopped)
        }
    }
}
