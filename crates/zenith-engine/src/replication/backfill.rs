//! Rows whose values move from the extra column into columns: read, decoded with the new columns, and written again.

use std::sync::Arc;

use arrow_array::RecordBatch;
use zenith_arrow::{ExtraCounts, Schema};
use zenith_extract::{ChangeSource, Source};
use zenith_state::StateStore;
use zenith_transport::{Selection, Sink};

use super::context::Context;
use super::growth::{Counts, Growth, rows_with_keys, with_keys};
use super::pager::Pager;
use super::pieces::{self, Decoding, Piece, blocking};
use crate::load::context::LoadContext;
use crate::load::insert::Inserter;
use crate::progress::to_u64;
use crate::{EngineError, Result};

/// The rows of a table that are written again, into itself or a clone of it.
pub(super) struct Backfill<'a, S, K, T> {
    pub(super) context: &'a Arc<Context<S, K, T>>,
    pub(super) growth: &'a Growth,
    pub(super) load: &'a LoadContext,
    /// The table that is written.
    pub(super) table: &'a str,
}

/// What was written.
#[derive(Default)]
pub(super) struct Backfilled {
    pub(super) rows: u64,
    /// Rows that still have a value under one of the keys in the extra column, as no column holds it.
    pub(super) left: u64,
    /// Values that do not fit.
    pub(super) extra: Counts,
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Backfill<'_, S, K, T> {
    /// Writes all of them.
    pub(super) async fn run(self) -> Result<Backfilled> {
        let context = self.context;
        let (now, then) = (Arc::new(self.growth.now.clone()), Arc::new(self.growth.then.clone()));
        let (layout, keys) = (context.layout(), self.growth.keys());
        let columns = layout.schema(&now.to_arrow());
        let selection = Selection {
            columns: columns.fields().iter().map(|field| field.name().clone()).collect(),
            texts: now.texts_in_other_forms(),
            ..with_keys(&context.table, layout, &keys)
        };
        let mut pager = Pager::new(selection, layout);
        let inserter =
            Inserter { load: self.load, sink: &*context.sink, table: self.table, schema: &then, layout };
        let (mut done, mut extra, mut number) = (Backfilled::default(), ExtraCounts::default(), 0);
        while let Some(page) = context.unless_stopped(pager.next(context)).await?? {
            let schema = Arc::clone(&now);
            let rebuilt = blocking(move || pieces::rebuilt(&schema, &page)).await?;
            let pieces = Arc::new(rebuilt.map_err(|reason| self.failed(reason))?);
            let mut at = 0;
            while at < pieces.len() {
                // The memory of one batch is waited for like that of changes.
                let _permit = context.unless_stopped(context.memory.batch()).await?;
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
        EngineError::NotPossible {
            doing: format!("moving values of {} into columns", self.context.table),
            reason,
        }
    }

    /// A batch of the documents from one on.
    async fn decode(
        &self,
        schema: &Arc<Schema>,
        pieces: &Arc<Vec<Piece<()>>>,
        at: usize,
    ) -> Result<(RecordBatch, usize, ExtraCounts)> {
        let (context, schema, pieces) = (Arc::clone(self.context), Arc::clone(schema), Arc::clone(pieces));
        let decode = move || {
            pieces::decode_first(Decoding::of(&context, &schema), pieces.get(at..).unwrap_or_default())
        };
        blocking(decode).await?
    }
}
