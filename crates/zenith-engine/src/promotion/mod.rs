//! Values that move from the extra column into columns: which fields could have one, and the rows that are written again for
//! them.
//!
//! | module | role |
//! | --- | --- |
//! | `growth` | the columns of a table now, and with columns for what gathered in the extra column |
//! | `pager` | rows of a table page by page |
//! | `pieces` | single documents decoded to rows |
//! | `alter` | a table that gets the columns |
//! | `backfill` | the rows that are written again |

mod alter;
mod backfill;
mod growth;
mod pager;
mod pieces;

use std::future::Future;

use arrow_array::RecordBatch;
use zenith_transport::{Selection, Sink};

pub(crate) use alter::alter;
pub(crate) use backfill::Backfill;
pub(crate) use growth::{
    Counts, Growth, LateFields, add_extra, beyond, changed_columns, column_type_of, has_twin, is_of, key_of,
    later, with_keys, with_new_columns,
};
pub use growth::{PromotedField, Promotion};
pub(crate) use pager::Pager;
pub(crate) use pieces::{Decoding, Piece, blocking, decode, decode_first, rebuilt};

use crate::Result;
use crate::load::context::LoadContext;

/// Whom rows of a table are asked of.
pub(crate) trait Table: Sync {
    /// What is held while a batch is under way.
    type Room: Send;

    /// The rows of a selection.
    fn select(&self, selection: &Selection) -> impl Future<Output = Result<Option<Vec<RecordBatch>>>> + Send;

    /// Waits for the memory of a batch.
    fn room(&self) -> impl Future<Output = Self::Room> + Send;
}

/// A table that is being loaded, once all rows are in it.
pub(crate) struct Loaded<'a, K> {
    pub(crate) load: &'a LoadContext,
    pub(crate) sink: &'a K,
}

impl<K: Sink> Table for Loaded<'_, K> {
    /// Nobody else has the memory of the load.
    type Room = ();

    async fn select(&self, selection: &Selection) -> Result<Option<Vec<RecordBatch>>> {
        self.load.repeat(|| self.sink.admin().select(selection)).await
    }

    async fn room(&self) {}
}
