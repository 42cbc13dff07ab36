//! Rows of a table, page by page in the order of their keys, all rows of one key on one page.

use arrow_array::RecordBatch;
use zenith_extract::{ChangeSource, Source};
use zenith_state::StateStore;
use zenith_transport::{Filter, RowSet, Scalar, Selection, Sink};

use super::context::Context;
use crate::Result;
use crate::layout::KEY;
use crate::load::key::{is_one_of, key};
use crate::progress::to_u64;

/// Rows of one page, if no key has more.
const ROWS: u64 = 2_000;

/// What is left of the selected rows.
pub(super) struct Pager {
    selection: Selection,
    rows: u64,
    last: Option<Scalar>,
    is_done: bool,
}

impl Pager {
    /// The rows of a selection, whose columns the key is added to.
    pub(super) fn new(selection: Selection) -> Pager {
        let mut columns = selection.columns;
        if !columns.iter().any(|column| column == KEY) {
            columns.push(KEY.to_owned());
        }
        let selection = Selection { columns, order_by: vec![KEY.to_owned()], ..selection };
        Pager { selection, rows: ROWS, last: None, is_done: false }
    }

    /// The next page, in order; `None` once there are no more. A page may be empty.
    ///
    /// # Errors
    /// When the sink cannot be asked.
    pub(super) async fn next<S, K, T>(
        &mut self,
        context: &Context<S, K, T>,
    ) -> Result<Option<Vec<RecordBatch>>>
    where
        S: Source + ChangeSource,
        K: Sink + 'static,
        T: StateStore,
    {
        if self.selection.rows == RowSet::All {
            return self.rows(context, &self.selection.columns.clone()).await;
        }
        // Which row of a key counts is expensive to know of all keys: first those are found that may have one.
        let Some(page) = self.rows(context, &[KEY.to_owned()]).await? else { return Ok(None) };
        let mut keys = Vec::new();
        for batch in &page {
            for row in 0..batch.num_rows() {
                keys.push(key(batch, row)?);
            }
        }
        keys.dedup();
        let filter = Filter::All(vec![is_one_of(keys), self.selection.filter.clone()]);
        let selection = Selection { filter, ..self.selection.clone() };
        let page = context.retrying(|| context.sink.admin().select(&selection)).await?;
        Ok(Some(page.unwrap_or_default()))
    }

    /// These columns of the next rows, whether or not they are those of their keys that count.
    async fn rows<S, K, T>(
        &mut self,
        context: &Context<S, K, T>,
        columns: &[String],
    ) -> Result<Option<Vec<RecordBatch>>>
    where
        S: Source + ChangeSource,
        K: Sink + 'static,
        T: StateStore,
    {
        while !self.is_done {
            let mut conditions = vec![self.selection.filter.clone()];
            conditions.extend(self.last.clone().map(|last| Filter::After(KEY.to_owned(), last)));
            let selection = Selection {
                columns: columns.to_vec(),
                rows: RowSet::All,
                filter: Filter::All(conditions),
                limit: Some(self.rows),
                ..self.selection.clone()
            };
            let page = context.retrying(|| context.sink.admin().select(&selection)).await?;
            let mut page = page.unwrap_or_default();
            page.retain(|batch| batch.num_rows() > 0);
            if page.iter().map(|batch| to_u64(batch.num_rows())).sum::<u64>() < self.rows {
                self.is_done = true;
                return Ok(Some(page));
            }
            // There may be more rows of the last key.
            let Some(cut) = last_key(&page)? else { continue };
            without(&mut page, &cut)?;
            match last_key(&page)? {
                Some(last) => {
                    self.last = Some(last);
                    return Ok(Some(page));
                }
                None => self.rows = self.rows.saturating_mul(2),
            }
        }
        Ok(None)
    }
}

fn last_key(page: &[RecordBatch]) -> Result<Option<Scalar>> {
    page.last().map(|batch| key(batch, batch.num_rows() - 1)).transpose()
}

/// Takes the rows of a key off the end.
fn without(page: &mut Vec<RecordBatch>, cut: &Scalar) -> Result<()> {
    while let Some(batch) = page.pop() {
        let mut left = batch.num_rows();
        while left > 0 && key(&batch, left - 1)? == *cut {
            left -= 1;
        }
        if left > 0 {
            page.push(batch.slice(0, left));
            break;
        }
    }
    Ok(())
}
