//! Rows whose values move from the extra column into columns: read, decoded with the new columns, and written again.

use std::sync::Arc;

use arrow_array::RecordBatch;
use zenith_arrow::ExtraCounts;
use zenith_extract::{ChangeSource, Source};
use zenith_state::StateStore;
use zenith_transport::{Selection, Sink};

use super::context::Context;
use super::growth::{Counts, Growth, with_keys};
use super::pager::Pager;
use super::pieces::{self, Decoding, blocking};
use crate::load::context::LoadContext;
use crate::load::insert::Inserter;
use crate::{EngineError, Result};

type Piece = pieces::Piece<()>;

/// The rows of a table that are written again, into itself or a clone of it.
pub(super) struct Backfill<'a, S, K, T> {
    pub(super) context: &'a Arc<Context<S, K, T>>,
    pub(super) growth: &'a Growth,
    pub(super) load: &'a LoadContext,
    /// The table that is written.
    pub(super) table: &'a str,
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Backfill<'_, S, K, T> {
    /// Writes all of them, and says which of their values do not fit.
    pub(super) async fn run(self) -> Result<Counts> {
        let context = self.context;
        let (now, then) = (Arc::new(self.growth.now.clone()), Arc::new(self.growth.then.clone()));
        let columns = context.layout().schema(&now.to_arrow());
        let mut pager = Pager::new(Selection {
            columns: columns.fields().iter().map(|field| field.name().clone()).collect(),
            ..with_keys(&context.table, context.layout(), &self.growth.keys())
        });
        let inserter = Inserter {
            load: self.load,
            sink: &*context.sink,
            table: self.table,
            schema: &then,
            layout: context.layout(),
        };
        let (mut extra, mut number) = (ExtraCounts::default(), 0);
        while let Some(page) = context.unless_stopped(pager.next(context)).await?? {
            let failed = |reason: String| EngineError::NotPossible {
                doing: format!("moving values of {} into columns", context.table),
                reason,
            };
            let schema = Arc::clone(&now);
            let rebuilt = move || pieces::rebuilt(&schema, &page);
            let pieces = blocking(rebuilt).await?.map_err(failed)?;
            for part in parts(pieces, context.memory.batch_bytes() / 4) {
                // The memory of one batch is waited for like that of changes.
                let _permit = context.unless_stopped(context.memory.batch()).await?;
                let (batches, counts) = self.decode(Arc::clone(&then), part).await?;
                extra.merge(&counts);
                for batch in batches {
                    let token = format!("{}/{number}", self.load.run);
                    number += 1;
                    if let Some(refused) = inserter.insert(batch, token, false).await?.first() {
                        return Err(failed(format!("a row was refused: {}", refused.reason)));
                    }
                }
            }
        }
        Ok(extra.by_field())
    }

    async fn decode(
        &self,
        schema: Arc<zenith_arrow::Schema>,
        part: Vec<Piece>,
    ) -> Result<(Vec<RecordBatch>, ExtraCounts)> {
        let context = Arc::clone(self.context);
        let decode = move || {
            let decoding = Decoding::of(&context, &schema);
            let decoded = pieces::decode(decoding, &part)?;
            Ok((decoded.batches.into_iter().map(|(batch, _)| batch).collect(), decoded.extra))
        };
        blocking(decode).await?
    }
}

/// Documents in parts of about so many bytes.
fn parts(pieces: Vec<Piece>, bytes_max: usize) -> Vec<Vec<Piece>> {
    let mut parts: Vec<Vec<Piece>> = Vec::new();
    let mut room = 0;
    for piece in pieces {
        let bytes = piece.document.len();
        match parts.last_mut() {
            Some(part) if bytes <= room => part.push(piece),
            _ => {
                parts.push(vec![piece]);
                room = bytes_max;
            }
        }
        room = room.saturating_sub(bytes);
    }
    parts
}
