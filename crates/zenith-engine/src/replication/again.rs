//! Batches decoded again by another schema, for rows that have been read and are not written yet.

use std::sync::Arc;

use arrow_array::RecordBatch;
use zenith_arrow::{ExtraCounts, Schema};
use zenith_extract::{ChangeSource, Source};
use zenith_state::StateStore;
use zenith_transport::{Selection, Sink};

use super::context::Context;
use super::memory_quota::Permit;
use crate::Result;
use crate::promotion::{Decoding, Table, blocking, decode_first, rebuilt};

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Context<S, K, T> {
    /// How documents become rows of the table.
    pub(super) fn decoding<'a>(&'a self, schema: &'a Schema) -> Decoding<'a> {
        Decoding {
            namespace: &self.namespace,
            schema,
            layout: self.layout(),
            pool: self.memory.pool(),
            bytes_max: self.memory.batch_bytes(),
            ignores: self.settings.options.ignores_new_fields(),
        }
    }
}

/// A batch of one schema decoded by another one, and what of it no column shows then; `None` if it is more than one batch.
pub(super) async fn decode_again<S, K, T>(
    context: &Arc<Context<S, K, T>>,
    [before, then]: [&Arc<Schema>; 2],
    batch: &RecordBatch,
    bytes_max: usize,
) -> Result<Option<(RecordBatch, ExtraCounts)>>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    let (context, before, then, batch) =
        (Arc::clone(context), Arc::clone(before), Arc::clone(then), batch.clone());
    let decode = move || {
        // What cannot be had again stays as it is.
        let Ok(pieces) = rebuilt(&before, std::slice::from_ref(&batch)) else { return Ok(None) };
        let decoding = Decoding { bytes_max, ..context.decoding(&then) };
        let (again, rows, extra) = decode_first(decoding, &pieces)?;
        Ok((rows == pieces.len()).then_some((again, extra)))
    };
    blocking(decode).await?
}

/// The memory of one batch is waited for like that of changes.
impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Table for Context<S, K, T> {
    type Room = Permit;

    async fn select(&self, selection: &Selection) -> Result<Option<Vec<RecordBatch>>> {
        self.retrying(|| self.sink.admin().select(selection)).await
    }

    async fn room(&self) -> Permit {
        self.memory.batch().await
    }
}
