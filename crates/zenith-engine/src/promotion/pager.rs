//! Rows of a table, page by page in the order of their keys, each page of about so many bytes.

use std::collections::VecDeque;

use arrow_array::RecordBatch;
use zenith_transport::{Filter, RowSet, Scalar, Selection};

use super::Table;
use crate::Result;
use crate::layout::{INDEX_COLUMN, KEY, Layout, RowMetadata, VERSION_COLUMN};
use crate::load::key::{is_one_of, key};
use crate::progress::to_u64;

/// The bytes of one page, about.
const BYTES: usize = 4 * 1024 * 1024;
/// The most rows of one page, and of the first one, of which nothing is known yet.
const ROWS_MAX: u64 = 2_000;
const ROWS_FIRST: u64 = 16;

/// What is left of the selected rows.
pub(crate) struct Pager {
    selection: Selection,
    layout: Layout,
    /// The rows of the next page.
    rows: u64,
    last: Option<(Scalar, RowMetadata)>,
    /// Rows that a key has, as the last page had them: more than one where an array is unwound.
    per_key: u64,
    /// Keys of rows that may count, which are still to be read.
    keys: VecDeque<Scalar>,
    is_done: bool,
}

impl Pager {
    /// The rows of a table of this layout; with their columns come those that they are ordered by.
    pub(crate) fn new(selection: Selection, layout: Layout) -> Pager {
        let order: &[&str] = match layout {
            Layout::Rows | Layout::Current | Layout::Marked { .. } => &[KEY],
            Layout::Log => &[KEY, VERSION_COLUMN, INDEX_COLUMN],
        };
        let mut columns = selection.columns;
        for name in order {
            if !columns.iter().any(|column| column == name) {
                columns.push((*name).to_owned());
            }
        }
        let order_by = order.iter().map(|name| (*name).to_owned()).collect();
        let selection = Selection { columns, order_by, ..selection };
        Pager {
            selection,
            layout,
            rows: ROWS_FIRST,
            per_key: 1,
            last: None,
            keys: VecDeque::new(),
            is_done: false,
        }
    }

    /// The next page, in order; `None` once there are no more. A page may be empty.
    ///
    /// # Errors
    /// When the sink cannot be asked.
    pub(crate) async fn next<T: Table>(&mut self, table: &T) -> Result<Option<Vec<RecordBatch>>> {
        let page = match self.layout {
            Layout::Rows | Layout::Log => {
                let columns = self.selection.columns.clone();
                self.page(table, columns, self.rows).await?
            }
            Layout::Current | Layout::Marked { .. } => self.current(table).await?,
        };
        if let Some(page) = &page {
            let rows: usize = page.iter().map(RecordBatch::num_rows).sum();
            let bytes: usize = page.iter().map(RecordBatch::get_array_memory_size).sum();
            let fit = to_u64(BYTES / (bytes / rows.max(1)).max(1));
            // What comes next may be larger.
            self.rows = fit.clamp(1, ROWS_MAX.min(self.rows.saturating_mul(4)));
        }
        Ok(page)
    }

    /// The rows that count of the next keys. Which of them do is expensive to know of all keys, so that first those are found
    /// that may have one.
    async fn current<T: Table>(&mut self, table: &T) -> Result<Option<Vec<RecordBatch>>> {
        if self.keys.is_empty() {
            let Some(page) = self.page(table, vec![KEY.to_owned()], ROWS_MAX).await? else {
                return Ok(None);
            };
            for batch in &page {
                for row in 0..batch.num_rows() {
                    let key = key(batch, row)?;
                    if self.keys.back() != Some(&key) {
                        self.keys.push_back(key);
                    }
                }
            }
        }
        let together = usize::try_from(self.rows / self.per_key).unwrap_or(1).max(1).min(self.keys.len());
        let filter = Filter::All(vec![
            is_one_of(self.keys.drain(..together).collect()),
            self.selection.filter.clone(),
        ]);
        let selection = Selection { filter, ..self.selection.clone() };
        let page = table.select(&selection).await?.unwrap_or_default();
        let rows: usize = page.iter().map(RecordBatch::num_rows).sum();
        self.per_key = to_u64(rows.div_ceil(together.max(1))).max(1);
        Ok(Some(page))
    }

    /// These columns of the next rows, whether or not they are those of their keys that count.
    async fn page<T: Table>(
        &mut self,
        table: &T,
        columns: Vec<String>,
        mut limit: u64,
    ) -> Result<Option<Vec<RecordBatch>>> {
        while !self.is_done {
            let mut conditions = vec![self.selection.filter.clone()];
            conditions.extend(self.last.as_ref().map(|(key, metadata)| after(self.layout, key, *metadata)));
            let selection = Selection {
                columns: columns.clone(),
                rows: RowSet::All,
                filter: Filter::All(conditions),
                limit: Some(limit),
                ..self.selection.clone()
            };
            let page = table.select(&selection).await?;
            let mut page = page.unwrap_or_default();
            page.retain(|batch| batch.num_rows() > 0);
            if page.iter().map(|batch| to_u64(batch.num_rows())).sum::<u64>() < limit {
                self.is_done = true;
                return Ok(Some(page));
            }
            if self.layout != Layout::Log
                && let Some((cut, _)) = last(&page)?
            {
                // There may be more rows of the last key, which nothing tells apart.
                without(&mut page, &cut)?;
            }
            match last(&page)? {
                None => limit = limit.saturating_mul(2),
                last => {
                    self.last = last;
                    return Ok(Some(page));
                }
            }
        }
        Ok(None)
    }
}

/// What comes after a row.
fn after(layout: Layout, key: &Scalar, metadata: RowMetadata) -> Filter {
    let behind = Filter::After(KEY.to_owned(), key.clone());
    if layout != Layout::Log {
        return behind;
    }
    let RowMetadata { version, index, .. } = metadata;
    let same_key = || is_one_of(vec![key.clone()]);
    let at_least = |column: &str, number: u64| Filter::AtLeast(column.to_owned(), number);
    let same_version = || Filter::In(VERSION_COLUMN.to_owned(), vec![Scalar::UInt64(version)]);
    Filter::Any(vec![
        behind,
        Filter::All(vec![same_key(), at_least(VERSION_COLUMN, version.saturating_add(1))]),
        Filter::All(vec![same_key(), same_version(), at_least(INDEX_COLUMN, u64::from(index) + 1)]),
    ])
}

/// What orders the last row.
fn last(page: &[RecordBatch]) -> Result<Option<(Scalar, RowMetadata)>> {
    let of = |batch: &RecordBatch| {
        let row = batch.num_rows() - 1;
        let none = RowMetadata { operation: "insert", version: 0, index: 0, deleted: false };
        Ok((key(batch, row)?, RowMetadata::of(batch, row).unwrap_or(none)))
    };
    page.last().map(of).transpose()
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
