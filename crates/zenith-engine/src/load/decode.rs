//! Decoders: replies in, record batches out, each on a thread of its own.

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

/// Decodes replies until there are no more, then hands over what is left.
pub(super) fn decode(
    load: &LoadContext,
    mut decoder: Decoder,
    replies: &Receiver<DocumentBatch>,
    batches: &flume::Sender<RecordBatch>,
    sizes: &Sizes,
    letters: &Sender<RejectedDocument>,
    watch: Option<&Watch>,
) -> Result<ExtraCounts> {
    let failed = |source| EngineError::decoding(&load.namespace, source);
    let is_in_vain = || watch.is_some_and(Watch::is_in_vain);
    // Rows the batch at hand is to have.
    let mut planned = None;
    while let Ok(reply) = replies.recv_blocking() {
        if load.is_stopped() {
            return Err(EngineError::Stopped);
        }
        let bytes = reply.documents_bytes();
        let mut documents = reply.ranges();
        loop {
            let rows = *planned.get_or_insert_with(|| sizes.begin(decoder.rows_of_a_batch()));
            decoder.limit(rows);
            let mut bad = Vec::new();
            let full =
                decoder.append(bytes, &mut documents, &mut |document| bad.push(document)).map_err(failed)?;
            for document in bad {
                reject(load, bytes, &document, letters)?;
            }
            match full {
                Some(batch) => {
                    planned = None;
                    sizes.sealed(rows, batch.num_rows());
                    if !is_in_vain() {
                        batches.send(batch).map_err(|_| EngineError::Stopped)?;
                    }
                }
                None => break,
            }
        }
        if let Some(watch) = watch {
            watch.look(&mut decoder, reply.len());
        }
    }
    if let Some(batch) = decoder.finish().map_err(failed)?
        && !is_in_vain()
    {
        batches.send(batch).map_err(|_| EngineError::Stopped)?;
    }
    if let Some(watch) = watch {
        watch.ended(&mut decoder);
    }
    Ok(decoder.take_counts())
}

fn reject(
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
            letters.send_blocking(letter).map_err(|_| EngineError::Stopped)
        }
    }
}
