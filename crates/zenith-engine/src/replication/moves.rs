//! Rows of documents that stand elsewhere than their newest ones, where the sorting key has more than `_id`.
//!
//! ```text
//! batch ─▶ where do the rows of its documents stand? ─▶ batch, with a deletion for each place that is left
//! ```
//!
//! It is asked right before an insert, when every batch before it is durable. A deletion carries the version of the change that
//! takes its row away, and of the row the columns of its key. A change that only deletes has no row of its own: nothing says
//! where it would stand. Where an array is unwound, a document has several rows, each at a place of its own.
//!
//! **Repeated inserts.** Only rows up to the version of a change count, and none that stands where the row of the change
//! goes. What of an insert has landed is then either that row, or a deletion, after which its place is no longer asked for.
//! So the answer to a repeated question is short of nothing but what is done.
//!
//! **Newer rows.** A row with a higher version is that of a later change, which has been applied before: of a load, or of a
//! dead letter. The change has no part in the table then.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{UInt8Type, UInt64Type};
use arrow_array::{Array, ArrayRef, RecordBatch, UInt8Array, make_array};
use arrow_data::ArrayData;
use arrow_data::transform::MutableArrayData;
use arrow_schema::Field;
use zenith_arrow::Schema;
use zenith_extract::{ChangeSource, Source};
use zenith_state::StateStore;
use zenith_transport::{LiveRows, Scalar, Selection, Sink};

use super::context::Context;
use super::removal::blank;
use super::values::{array_of, as_type, equal};
use super::write::until_taken;
use crate::layout::{KEY, Layout, VERSION_COLUMN};
use crate::load::key::{is_one_of, key};
use crate::places::Places;
use crate::policies::Deletes;
use crate::simulation::{self, DeliberateBug};
use crate::{EngineError, Result};

/// Documents of one question, and about how many bytes their `_id`s take in it.
const IDS_MAX: usize = 65_536;
const ID_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Where a row stands: the values of the columns that say it.
type Place = Vec<Scalar>;

/// A row that is to be taken away.
struct Left {
    /// The row of the batch whose change does it.
    by: usize,
    place: Place,
}

/// What becomes of a batch.
#[derive(Default)]
struct Verdict {
    left: Vec<Left>,
    /// Rows of changes that a later one has been applied before.
    outdated: HashSet<usize>,
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Context<S, K, T> {
    /// Where rows of documents stand in the table that is there; `None` if that is said by `_id` alone.
    ///
    /// # Errors
    /// [`EngineError::NotPossible`] for a key that says less than the partitions.
    pub(super) async fn places(&self) -> Result<Option<Arc<Places>>> {
        if !self.layout().has_versions() {
            return Ok(None);
        }
        let Some(table) = self.retrying(|| self.sink.describe(&self.table)).await? else { return Ok(None) };
        let partition_by = table.additions.as_ref().and_then(|additions| additions.partition_by.as_deref());
        let places = Places::of(&table.sorting_key, partition_by).map_err(|column| EngineError::NotPossible {
            doing: format!("keeping {} in step", self.table),
            reason: format!(
                "its sorting key ({}) has not the column {column} itself, of which a part of the key or its partition is made, \
                 so that rows of one document could not be told apart: say order_by or partition_by, and {}",
                table.sorting_key,
                match self.settings.refused_load() {
                    Some(_) => "name another table (table = \"…\")".to_owned(),
                    None => format!("zenith reload {}", self.name),
                }
            ),
        })?;
        if places.is_some() && self.layout().tombstones().is_none() {
            return Err(EngineError::NotPossible {
                doing: format!("keeping {} in step", self.table),
                reason: format!(
                    "its sorting key ({}) has more than _id, which order_by does not say, so that rows that documents leave \
                     would stay: say it in order_by, or let another table (table = \"…\") be made",
                    table.sorting_key
                ),
            });
        }
        Ok(places.map(Arc::new))
    }

    /// The same for letters that are tried again, which a run may not be beside then: question and insert of either could go
    /// on between those of the other.
    pub(super) async fn places_of_letters(&self, dry_run: bool) -> Result<Option<Arc<Places>>> {
        let places = self.places().await?;
        if places.is_some() && !dry_run && self.is_followed().await? {
            return Err(EngineError::NotPossible {
                doing: format!("retrying dead letters of the pipeline {}", self.name),
                reason: format!(
                    "the sorting key of {} has more than _id, and a run that follows it at the same time could leave two rows of \
                     a document: stop zenith run first",
                    self.table
                ),
            });
        }
        Ok(places)
    }

    /// Whether the pipeline has to be loaded before its first change is applied: where a change finds no row of its document,
    /// the one that is read later would stay for good; and in a log no row takes the place of another that is read again.
    pub(super) async fn begins_with_load(&self) -> Result<bool> {
        let has_places = self.settings.shape.has_places(self.layout().rows());
        let has_snapshot = self.settings.snapshot && self.layout() == Layout::Log;
        let needs_rows = has_places || has_snapshot || self.settings.deletes == Deletes::Mark;
        Ok(needs_rows && self.state.checkpoint(&self.name).await?.is_none())
    }

    /// The rows of a batch of changes as they are to be inserted: one for each document that there is, and one for each place
    /// that a row of these documents is to leave.
    ///
    /// # Errors
    /// When the sink cannot be asked, and that does not pass.
    pub(super) async fn settle(
        &self,
        places: &Places,
        schema: &Schema,
        batch: RecordBatch,
    ) -> Result<RecordBatch> {
        if batch.num_rows() == 0 || simulation::has(DeliberateBug::OldPlacesLeft) {
            return Ok(batch);
        }
        let Some(tombstones) = self.layout().tombstones() else { return Ok(batch) };
        let changes = Changes::of(&batch, places, tombstones)?;
        let texts = schema.texts_in_other_forms();
        let mut verdict = Verdict::default();
        let mut ids = changes.last.iter();
        loop {
            let mut asked = HashMap::new();
            let mut bytes = 0;
            while asked.len() < IDS_MAX
                && bytes < ID_BYTES_MAX
                && let Some((id, rows)) = ids.next()
            {
                bytes += id.size();
                asked.insert(id.clone(), rows.as_slice());
            }
            if asked.is_empty() {
                break;
            }
            let question = LiveRows {
                selection: Selection {
                    table: self.table.clone(),
                    columns: std::iter::once(KEY.to_owned())
                        .chain(places.columns().iter().cloned())
                        .collect(),
                    texts: texts.clone(),
                    filter: is_one_of(asked.keys().cloned().collect()),
                    ..Selection::default()
                },
                version: VERSION_COLUMN.to_owned(),
                deleted: tombstones.to_owned(),
            };
            let question = &question;
            let found = until_taken(self, |_| async move {
                self.sink.admin().select_live(question).await.map_err(EngineError::Sink)
            });
            changes.judge(&asked, &found.await?, &mut verdict)?;
        }
        changes.with(&verdict, schema)
    }
}

/// A batch of changes, and what there is to know about its rows.
struct Changes<'a> {
    batch: &'a RecordBatch,
    places: &'a Places,
    versions: &'a [u64],
    /// The column that is 1 in rows that only take others away.
    tombstones: &'a str,
    deleted: &'a [u8],
    /// The rows of the last change of each `_id`, of which there are several where an array is unwound. Numbers of several types
    /// may be one `_id`, and several changes of it be in a batch then; all but the last of them are deletions.
    last: HashMap<Scalar, Vec<usize>>,
}

impl<'a> Changes<'a> {
    fn of(batch: &'a RecordBatch, places: &'a Places, tombstones: &'a str) -> Result<Changes<'a>> {
        let column = |name: &str| batch.column_by_name(name).ok_or_else(wrong_batch);
        let versions: &[u64] = column(VERSION_COLUMN)?.as_primitive::<UInt64Type>().values();
        let deleted: &[u8] = column(tombstones)?.as_primitive::<UInt8Type>().values();
        let is_deletion = |row: usize| deleted.get(row) != Some(&0);
        let mut last: HashMap<Scalar, Vec<usize>> = HashMap::with_capacity(batch.num_rows());
        for (row, version) in versions.iter().enumerate() {
            let of_id = last.entry(key(batch, row)?).or_default();
            match of_id.first().map(|known| (*known, versions.get(*known))) {
                Some((_, Some(known))) if known > version => {}
                Some((known, Some(same))) if same == version && !is_deletion(known) && !is_deletion(row) => {
                    of_id.push(row);
                }
                _ => *of_id = vec![row],
            }
        }
        Ok(Changes { batch, places, versions, tombstones, deleted, last })
    }

    /// Looks at where rows of some documents stand. `asked` are the rows of the batch by `_id`.
    fn judge(
        &self,
        asked: &HashMap<Scalar, &[usize]>,
        found: &[RecordBatch],
        verdict: &mut Verdict,
    ) -> Result<()> {
        let mut standing: BTreeMap<&[usize], Vec<(Place, u64)>> = BTreeMap::new();
        for batch in found {
            let version = batch.column_by_name(VERSION_COLUMN).ok_or_else(wrong_batch)?;
            for row in 0..batch.num_rows() {
                let id = self.value(KEY, batch, row)?;
                let (Some(by), Some(Scalar::UInt64(version))) = (asked.get(&id), Scalar::of(&**version, row))
                else {
                    continue;
                };
                standing.entry(*by).or_default().push((self.place(batch, row)?, version));
            }
        }
        for (of_document, rows) in standing {
            let Some(by) = of_document.first().copied() else { continue };
            let version = self.versions.get(by).copied().unwrap_or_default();
            let mut stays: HashSet<Place> = HashSet::new();
            if rows.iter().any(|(_, other)| *other > version) {
                verdict.outdated.extend(of_document);
            } else {
                for row in of_document.iter().filter(|row| self.deleted.get(**row) == Some(&0)) {
                    stays.insert(self.place(self.batch, *row)?.into_iter().map(equal).collect());
                }
            }
            for (place, _) in rows.into_iter().filter(|(_, other)| *other <= version) {
                if stays.is_empty() || !stays.contains(&place.iter().cloned().map(equal).collect::<Place>()) {
                    verdict.left.push(Left { by, place });
                }
            }
        }
        Ok(())
    }

    fn place(&self, batch: &RecordBatch, row: usize) -> Result<Place> {
        self.places.columns().iter().map(|column| self.value(column, batch, row)).collect()
    }

    /// A value as a column of the batch of changes has it.
    fn value(&self, column: &str, batch: &RecordBatch, row: usize) -> Result<Scalar> {
        let value = batch.column_by_name(column).and_then(|array| Scalar::of(&**array, row));
        let wanted = self.batch.schema_ref().field_with_name(column).ok();
        let value = value.zip(wanted).and_then(|(value, field)| as_type(value, field.data_type()));
        value.ok_or_else(|| EngineError::Setting {
            setting: "order_by",
            value: column.to_owned(),
            reason: format!(
                "a row of the table cannot be found again by this column ({}): leave it out, and load the table again",
                wanted.map_or_else(|| "it is not there".to_owned(), |field| field.data_type().to_string())
            ),
        })
    }

    /// The rows to be inserted: deletions first, so that of two rows of one place the other one counts.
    fn with(&self, verdict: &Verdict, schema: &Schema) -> Result<RecordBatch> {
        let mut kept: Vec<usize> = self.last.values().flatten().copied().collect();
        kept.retain(|row| self.deleted.get(*row) == Some(&0) && !verdict.outdated.contains(row));
        kept.sort_unstable();
        if verdict.left.is_empty() && kept.len() == self.batch.num_rows() {
            return Ok(self.batch.clone());
        }
        let fields = self.batch.schema_ref().fields();
        let columns = fields.iter().zip(self.batch.columns()).map(|(field, column)| {
            let column = column.to_data();
            let left = self.deletions(field, &column, &verdict.left, schema)?.to_data();
            let mut out = MutableArrayData::new(vec![&left, &column], false, verdict.left.len() + kept.len());
            out.try_extend(0, 0, verdict.left.len()).map_err(|_| wrong_batch())?;
            for run in kept.chunk_by(|row, next| row + 1 == *next) {
                if let (Some(first), Some(last)) = (run.first(), run.last()) {
                    out.try_extend(1, *first, last + 1).map_err(|_| wrong_batch())?;
                }
            }
            Ok(make_array(out.freeze()))
        });
        let columns: Vec<ArrayRef> = columns.collect::<Result<_>>()?;
        RecordBatch::try_new(self.batch.schema(), columns).map_err(|_| wrong_batch())
    }

    /// A column of the rows that take others away.
    fn deletions(
        &self,
        field: &Field,
        column: &ArrayData,
        left: &[Left],
        schema: &Schema,
    ) -> Result<ArrayRef> {
        let name = field.name();
        if name == KEY || name == VERSION_COLUMN {
            let mut out = MutableArrayData::new(vec![column], false, left.len());
            for left in left {
                out.try_extend(0, left.by, left.by + 1).map_err(|_| wrong_batch())?;
            }
            return Ok(make_array(out.freeze()));
        }
        if name == self.tombstones {
            return Ok(Arc::new(UInt8Array::from_value(1, left.len())));
        }
        let Some(part) = self.places.columns().iter().position(|column| column == name) else {
            return Ok(blank(field, schema, left.len()));
        };
        let values: Option<Vec<&Scalar>> = left.iter().map(|left| left.place.get(part)).collect();
        values.and_then(|values| array_of(field.data_type(), &values)).ok_or_else(wrong_batch)
    }
}

fn wrong_batch() -> EngineError {
    EngineError::Worker { worker: "a batch of changes, while old rows of its documents were looked up" }
}

#[cfg(test)]
mod tests {
    use crate::layout::DELETED_COLUMN;
    use arrow_array::{Float64Array, Int64Array, StringArray, UInt64Array};
    use arrow_schema::{DataType, Schema as ArrowSchema};

    use super::*;

    /// Rows of `_id`, key, note, version and deletion.
    fn batch(rows: &[(i64, f64, u64, u8)]) -> RecordBatch {
        let schema = ArrowSchema::new(vec![
            Field::new(KEY, DataType::Int64, false),
            Field::new("k", DataType::Float64, false),
            Field::new("note", DataType::Utf8, true),
            Field::new(VERSION_COLUMN, DataType::UInt64, false),
            Field::new(DELETED_COLUMN, DataType::UInt8, false),
        ]);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0))),
            Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.1))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| format!("note of {}", row.0)))),
            Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.2))),
            Arc::new(UInt8Array::from_iter_values(rows.iter().map(|row| row.3))),
        ];
        RecordBatch::try_new(Arc::new(schema), columns).unwrap()
    }

    /// The rows that are inserted for these changes, if these rows are there; each with whether it has a note.
    fn settled(
        changes: &[(i64, f64, u64, u8)],
        there: &[(i64, f64, u64, u8)],
    ) -> Vec<(i64, f64, u64, u8, bool)> {
        let changed = batch(changes);
        let places = Places::of("k, _id", None).unwrap().unwrap();
        let changes = Changes::of(&changed, &places, DELETED_COLUMN).unwrap();
        let mut verdict = Verdict::default();
        let asked = changes.last.iter().map(|(id, rows)| (id.clone(), rows.as_slice())).collect();
        changes.judge(&asked, &[batch(there)], &mut verdict).unwrap();
        let rows = changes.with(&verdict, &Schema::new(Vec::new())).unwrap();
        let row = |row: usize| {
            let number = |name: &str| Scalar::of(&**rows.column_by_name(name).unwrap(), row).unwrap();
            match (number(KEY), number("k"), number(VERSION_COLUMN), number(DELETED_COLUMN)) {
                (Scalar::Int64(id), Scalar::Float64(k), Scalar::UInt64(version), Scalar::UInt64(deleted)) => {
                    let has_note = rows.column_by_name("note").unwrap().is_valid(row);
                    (id, f64::from_bits(k), version, u8::try_from(deleted).unwrap(), has_note)
                }
                other => panic!("{other:?}"),
            }
        };
        (0..rows.num_rows()).map(row).collect()
    }

    #[test]
    fn rows_that_stand_elsewhere_are_taken_away() {
        // Nothing there; there at the same place; elsewhere, twice.
        assert_eq!(settled(&[(1, 5.0, 9, 0)], &[]), [(1, 5.0, 9, 0, true)]);
        assert_eq!(settled(&[(1, 5.0, 9, 0)], &[(1, 5.0, 8, 0)]), [(1, 5.0, 9, 0, true)]);
        assert_eq!(settled(&[(1, -0.0, 9, 0)], &[(1, 0.0, 8, 0)]), [(1, -0.0, 9, 0, true)]);
        assert_eq!(
            settled(&[(1, 5.0, 9, 0), (2, 5.0, 9, 0)], &[(1, 6.0, 8, 0), (2, 5.0, 8, 0), (1, 7.0, 9, 0)]),
            [(1, 6.0, 9, 1, false), (1, 7.0, 9, 1, false), (1, 5.0, 9, 0, true), (2, 5.0, 9, 0, true)]
        );
        // A deletion is where the row is, and nowhere if there is none.
        assert_eq!(
            settled(&[(1, 0.0, 9, 1), (2, 0.0, 9, 1), (3, 1.0, 9, 0)], &[(2, 4.0, 8, 0)]),
            [(2, 4.0, 9, 1, false), (3, 1.0, 9, 0, true)]
        );
        assert_eq!(settled(&[(1, 0.0, 9, 1)], &[(1, 0.0, 8, 0)]), [(1, 0.0, 9, 1, false)]);
    }

    #[test]
    fn rows_of_one_document_take_those_away_that_it_has_no_more() {
        // It grows, shrinks, and goes.
        let three = [(1, 1.0, 9, 0), (1, 2.0, 9, 0), (1, 3.0, 9, 0)];
        let rows = three.map(|(id, k, version, deleted)| (id, k, version, deleted, true));
        assert_eq!(settled(&three, &[(1, 1.0, 8, 0)]), rows);
        assert_eq!(settled(&three, &[]), rows);
        let four = [(1, 1.0, 8, 0), (1, 2.0, 8, 0), (1, 3.0, 8, 0), (1, 4.0, 8, 0)];
        let with_deletion: Vec<_> = [(1, 4.0, 9, 1, false)].into_iter().chain(rows).collect();
        assert_eq!(settled(&three, &four), with_deletion);
        let gone: Vec<_> = four.iter().map(|row| (row.0, row.1, 9, 1, false)).collect();
        assert_eq!(settled(&[(1, 0.0, 9, 1)], &four), gone);
        // A later change has been applied before; all rows are void.
        assert_eq!(settled(&three, &[(1, 7.0, 10, 0)]), []);
        // Of several changes in a batch the last counts, whole.
        let both: Vec<_> = four.into_iter().chain(three).collect();
        assert_eq!(settled(&both, &[]), rows);
        let deleted_first: Vec<_> = [(1, 0.0, 9, 1)].into_iter().chain(three).collect();
        assert_eq!(settled(&deleted_first, &[]), rows);
    }

    #[test]
    fn changes_that_later_ones_have_come_before_are_void() {
        assert_eq!(settled(&[(1, 5.0, 9, 0)], &[(1, 6.0, 10, 0)]), []);
        assert_eq!(settled(&[(1, 5.0, 9, 1)], &[(1, 5.0, 10, 0)]), []);
        assert_eq!(settled(&[(1, 5.0, 9, 0)], &[(1, 6.0, 10, 0), (1, 5.0, 8, 0)]), [(1, 5.0, 9, 1, false)]);
        // Of one `_id` in a batch the last change counts.
        assert_eq!(settled(&[(1, 5.0, 8, 0), (1, 6.0, 9, 0)], &[]), [(1, 6.0, 9, 0, true)]);
        assert_eq!(settled(&[(1, 5.0, 9, 0), (1, 6.0, 9, 1)], &[(1, 4.0, 3, 0)]), [(1, 4.0, 9, 1, false)]);
    }
}
