//! Rows whose values move from the extra column into columns: read, decoded with the new columns, and written again.

use std::sync::Arc;

use arrow_array::RecordBatch;
use zenith_arrow::{ExtraCounts, Schema};
use zenith_transport::{Selection, Sink};

use super::Table;
use super::growth::{Counts, Growth, rows_with_keys, with_keys};
use super::pager::Pager;
use super::pieces::{self, Decoding, Piece, blocking};
use crate::layout::Layout;
use crate::load::context::LoadContext;
use crate::load::insert::Inserter;
use crate::progress::to_u64;
use crate::{EngineError, Result};

/// The rows of a table that are written again, into itself or a clone of it.
pub(crate) struct Backfill<'a, T, K> {
    /// Where rows are read.
    pub(crate) from: &'a T,
    /// The table that is read.
    pub(crate) name: &'a str,
    pub(crate) growth: &'a Growth,
    pub(crate) load: &'a LoadContext,
    pub(crate) sink: &'a K,
    /// The table that is written.
    pub(crate) table: &'a str,
    pub(crate) layout: Layout,
    /// The most bytes of the columns of one batch.
    pub(crate) bytes_max: usize,
}

/// What was written.
#[derive(Default)]
pub(crate) struct Backfilled {
    pub(crate) rows: u64,
    /// Rows that still have a value under one of the keys in the extra column, as no column holds it.
    pub(crate) left: u64,
    /// Values that do not fit.
    pub(crate) extra: Counts,
}

impl<T: Table, K: Sink + 'static> Backfill<'_, T, K> {
    /// Writes all of them.
    pub(crate) async fn run(self) -> Result<Backfilled> {
        let (now, then) = (Arc::new(self.growth.now.clone()), Arc::new(self.growth.then.clone()));
        let (layout, keys) = (self.layout, self.growth.keys());
        let columns = layout.schema(&now.to_arrow());
        let selection = Selection {
            columns: columns.fields().iter().map(|field| field.name().clone()).collect(),
            texts: now.texts_in_other_forms(),
            ..with_keys(self.name, layout, &keys)
        };
        let mut pager = Pager::new(selection, layout);
        let inserter =
            Inserter { load: self.load, sink: self.sink, table: self.table, schema: &then, layout };
        let (mut done, mut extra, mut number) = (Backfilled::default(), ExtraCounts::default(), 0);
        while let Some(page) = self.load.unless_stopped(pager.next(self.from)).await?? {
            let schema = Arc::clone(&now);
            let rebuilt = blocking(move || pieces::rebuilt(&schema, &page)).await?;
            let pieces = Arc::new(rebuilt.map_err(|reason| self.failed(reason))?);
            let mut at = 0;
            while at < pieces.len() {
                // The memory of one batch is waited for like that of changes.
                let _permit = self.load.unless_stopped(self.from.room()).await?;
                let (batch, rows, counts) = self.decode(&then, &pieces, at).await?;
                at += rows;
                extra.merge(&counts);
                done.rows += to_u64(rows);
                done.left += rows_with_keys(&batch, &keys);
                let token = format!("{}/{number}", self.load.run);
                number += 1;
                if let Some(refused) = inserter.insert(batch, token, false).await?.first() {
                    return Err(self.failed(format!("a row was refused: {}", refused.reason)));
                }
            }
        }
        done.extra = extra.by_field();
        Ok(done)
    }

    fn failed(&self, reason: String) -> EngineError {
        EngineError::NotPossible { doing: format!("moving values of {} into columns", self.name), reason }
    }

    /// A batch of the documents from one on.
    async fn decode(
        &self,
        schema: &Arc<Schema>,
        pieces: &Arc<Vec<Piece<()>>>,
        at: usize,
    ) -> Result<(RecordBatch, usize, ExtraCounts)> {
        let (schema, pieces) = (Arc::clone(schema), Arc::clone(pieces));
        let (namespace, pool) = (self.load.namespace.clone(), self.load.pool.clone());
        let (layout, bytes_max) = (self.layout, self.bytes_max);
        let decode = move || {
            // What a row has of fields without a column stays in it.
            let ignores = false;
            let decoding =
                Decoding { namespace: &namespace, schema: &schema, layout, pool: &pool, bytes_max, ignores };
            pieces::decode_first(decoding, pieces.get(at..).unwrap_or_default())
        };
        blocking(decode).await?
    }
}
