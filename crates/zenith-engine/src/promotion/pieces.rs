//! Single documents decoded to rows, each with the metadata columns of its own.

use arrow_array::RecordBatch;
use zenith_arrow::rebuild::rebuild_raw;
use zenith_arrow::{BadDocument, Decoder, DecoderOptions, ExtraCounts, Schema};
use zenith_extract::Namespace;
use zenith_memory::Pool;

use crate::layout::{Layout, MetadataColumns, RowMetadata};
use crate::table_options::TableOptions;
use crate::{EngineError, Result};

/// A document to be written.
pub(crate) struct Piece<X> {
    pub(crate) document: Vec<u8>,
    pub(crate) metadata: RowMetadata,
    /// What it is of.
    pub(crate) of: X,
}

/// How documents are decoded.
#[derive(Clone, Copy)]
pub(crate) struct Decoding<'a> {
    pub(crate) namespace: &'a Namespace,
    pub(crate) schema: &'a Schema,
    pub(crate) layout: Layout,
    pub(crate) pool: &'a Pool,
    /// The most bytes of the columns of one batch.
    pub(crate) bytes_max: usize,
    /// Whether keys that no column is for are left out.
    pub(crate) ignores: bool,
}

/// What came of documents.
pub(crate) struct Decoded<'a, X> {
    /// Rows, and the document of each. All rows of a document are in one batch.
    pub(crate) batches: Vec<(RecordBatch, Vec<&'a Piece<X>>)>,
    /// Those that are not valid, with the reason.
    pub(crate) bad: Vec<(&'a Piece<X>, String)>,
    /// Values that no column shows.
    pub(crate) extra: ExtraCounts,
}

/// Decodes documents of the source to rows, as `table` has them changed first. It waits for memory where others have it.
pub(crate) fn decode<'a, X>(
    decoding: Decoding<'_>,
    table: &TableOptions,
    pieces: &'a [Piece<X>],
) -> Result<Decoded<'a, X>> {
    let failed = |source| EngineError::decoding(decoding.namespace, source);
    let options = DecoderOptions { rows_max: pieces.len().max(1), bytes_max: decoding.bytes_max };
    let mut decoder = table.decoder(decoding.schema, decoding.pool, options)?;
    let mut decoded = Decoded { batches: Vec::new(), bad: Vec::new(), extra: ExtraCounts::default() };
    let mut pending: Vec<&Piece<X>> = Vec::new();
    let seal = |batch: RecordBatch, pending: &mut Vec<&'a Piece<X>>| {
        let of: Vec<&Piece<X>> = pending.drain(..batch.num_rows().min(pending.len())).collect();
        let mut columns = MetadataColumns::new(decoding.layout, of.len());
        of.iter().for_each(|piece| columns.push(piece.metadata));
        columns.append_to(&batch).map(|batch| (batch, of))
    };
    for piece in pieces {
        let mut ranges = std::iter::once(0..piece.document.len());
        let mut is_bad = None;
        while ranges.len() > 0 {
            let mut bad = |bad: BadDocument| is_bad = Some(bad.reason.to_string());
            let full = decoder.append(&piece.document, &mut ranges, &mut bad).map_err(failed)?;
            if is_bad.is_none() && ranges.len() == 0 {
                let rows = decoder.rows_of_documents().map_or(1, |rows| rows.iter().sum());
                pending.extend(std::iter::repeat_n(piece, rows));
            }
            if let Some(batch) = full {
                decoded.batches.push(seal(batch, &mut pending)?);
            }
        }
        if let Some(reason) = is_bad {
            decoded.bad.push((piece, reason));
        }
    }
    if let Some(batch) = decoder.finish().map_err(failed)? {
        decoded.batches.push(seal(batch, &mut pending)?);
    }
    decoded.extra = decoder.take_counts();
    Ok(decoded)
}

/// Decodes the first of some documents to one batch, and says how many they are: as many as it holds.
pub(crate) fn decode_first(
    decoding: Decoding<'_>,
    pieces: &[Piece<()>],
) -> Result<(RecordBatch, usize, ExtraCounts)> {
    let failed = |source| EngineError::decoding(decoding.namespace, source);
    let bad = |reason: String| EngineError::NotPossible {
        doing: format!("decoding a row of {} again", decoding.namespace),
        reason,
    };
    let options = DecoderOptions { rows_max: pieces.len().max(1), bytes_max: decoding.bytes_max };
    let mut decoder = Decoder::new(decoding.schema, decoding.pool, options).ignoring(decoding.ignores);
    let mut full = None;
    for piece in pieces {
        let mut ranges = std::iter::once(0..piece.document.len());
        let mut reason = None;
        let mut is_bad = |bad: BadDocument| reason = Some(bad.reason.to_string());
        full = decoder.append(&piece.document, &mut ranges, &mut is_bad).map_err(failed)?;
        if let Some(reason) = reason {
            return Err(bad(reason));
        }
        if full.is_some() {
            break;
        }
    }
    let extra = decoder.take_counts();
    let batch = match full {
        Some(batch) => batch,
        None => decoder.finish().map_err(failed)?.ok_or_else(|| bad("there is none".to_owned()))?,
    };
    let rows = batch.num_rows();
    let mut columns = MetadataColumns::new(decoding.layout, rows);
    pieces.iter().take(rows).for_each(|piece| columns.push(piece.metadata));
    Ok((columns.append_to(&batch)?, rows, extra))
}

/// The documents of rows, with their metadata columns; or why one of them cannot be had.
pub(crate) fn rebuilt(schema: &Schema, page: &[RecordBatch]) -> std::result::Result<Vec<Piece<()>>, String> {
    let mut pieces = Vec::new();
    for batch in page {
        for row in 0..batch.num_rows() {
            let document = rebuild_raw(schema, batch, row).map_err(|error| error.to_string())?;
            let metadata = RowMetadata::of(batch, row).ok_or("a row has no version that can be read")?;
            pieces.push(Piece { document: document.into_bytes(), metadata, of: () });
        }
    }
    Ok(pieces)
}

/// Does what may block where that does no harm.
pub(crate) async fn blocking<V: Send + 'static>(work: impl FnOnce() -> V + Send + 'static) -> Result<V> {
    crate::offload::run(work).await.map_err(|_| EngineError::Worker { worker: "decoding of rows again" })
}
