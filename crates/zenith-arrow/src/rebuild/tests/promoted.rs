//! Rows whose values move from the extra column into columns.

use arrow_array::cast::AsArray;

use super::*;
use crate::infer::{Promotable, Wanted};

/// The values of an array where its type has gained parts.
fn widened(array: &ArrayRef, wanted: &DataType) -> ArrayRef {
    match wanted {
        DataType::Struct(fields) => {
            let there = array.as_struct();
            let parts = fields.iter().map(|field| match there.column_by_name(field.name()) {
                Some(part) => widened(part, field.data_type()),
                None => new_null_array(field.data_type(), array.len()),
            });
            let parts: Vec<ArrayRef> = parts.collect();
            let fields = fields.iter().zip(&parts);
            let fields =
                fields.map(|(field, part)| ArrowField::new(field.name(), part.data_type().clone(), true));
            Arc::new(StructArray::new(fields.collect(), parts, there.nulls().cloned()))
        }
        DataType::List(item) => {
            let there = array.as_list::<i32>();
            let items = widened(there.values(), item.data_type());
            let item = Arc::new(ArrowField::new(item.name(), items.data_type().clone(), true));
            Arc::new(ListArray::new(item, there.offsets().clone(), items, there.nulls().cloned()))
        }
        _ => Arc::clone(array),
    }
}

fn extra(row: &RecordBatch) -> String {
    let extra = column::text(row.column_by_name(EXTRA_COLUMN).unwrap(), 0).ok().flatten();
    extra.unwrap_or_default().to_owned()
}

/// The schema with columns for what rows have in the extra column.
pub(super) fn grown(
    schema: &Schema,
    rows: impl Iterator<Item = RecordBatch>,
    options: &InferOptions,
) -> Schema {
    let mut found = Promotable::new(options.clone(), &[]);
    for extra in rows.map(|row| extra(&row)).filter(|extra| !extra.is_empty()) {
        found.add(schema, &extra).unwrap();
    }
    found.promote(schema, Wanted::All, 1_000).0
}

/// A row as a table shows it that has got the columns of a schema since.
pub(super) fn as_before(row: &RecordBatch, grown: &Schema) -> RecordBatch {
    let arrow = grown.to_arrow();
    let columns = arrow.fields().iter().map(|field| {
        let column = match row.column_by_name(field.name()) {
            Some(column) => widened(column, field.data_type()),
            None => new_null_array(field.data_type(), 1),
        };
        (field.name().clone(), column)
    });
    RecordBatch::try_from_iter(columns.collect::<Vec<_>>()).unwrap()
}

/// Rows of before columns were made of what the extra column has, before and after their values are moved there.
fn promoted_rows_stay(
    earlier: &[Vec<u8>],
    samples: usize,
    options: &InferOptions,
) -> Result<(), TestCaseError> {
    let schema = infer(earlier.iter().take(samples).map(Vec::as_slice), options).schema;
    let rows: Vec<RecordBatch> = earlier.iter().map(|document| decoded(&schema, document)).collect();
    let grown = grown(&schema, rows.iter().cloned(), options);
    for (document, row) in earlier.iter().zip(&rows) {
        let original = Document::from_reader(document.as_slice()).unwrap();
        let before = as_before(row, &grown);
        let moved = decoded(&grown, rebuild_raw(&schema, row, 0).unwrap().as_bytes());
        for (when, row) in [("before", &before), ("after", &moved)] {
            let rebuilt = rebuild(&grown, row, 0).unwrap();
            if let Err(difference) = equal(&original, &rebuilt, schema.keep_nulls) {
                let text = format!("{when}: {difference}\n{original:?}\n{rebuilt:?}\n{}", extra(row));
                return Err(TestCaseError::fail(format!("{text}\n{grown:?}\n{schema:?}")));
            }
        }
        // They may stand elsewhere now, as those of a column.
        let repeated = |row| duplicates(&extra(row)).unwrap().len();
        prop_assert_eq!(repeated(row), repeated(&moved));
    }
    Ok(())
}

#[test]
fn repeated_keys_are_promoted_with_their_earlier_values() {
    let known = doc! { "_id": 1, "d": { "x": 1 } }.to_vec().unwrap();
    let inside = |first: i32, last: i32| raw_document(&[("y", first.into()), ("y", last.into())]);
    let inside = Document::from_reader(inside(1, 2).as_slice()).unwrap();
    let documents = [
        known,
        raw_document(&[("a", true.into()), ("_id", 2.into()), ("a", 2.into())]),
        raw_document(&[("_id", 3.into()), ("d", inside.into()), ("d", doc! { "x": 1, "y": [1] }.into())]),
    ];
    promoted_rows_stay(&documents, 1, &InferOptions::default()).unwrap();
}

proptest! {
    #[test]
    fn rows_whose_values_are_promoted_stay_what_they_were(
        base in document(),
        others in prop::collection::vec((document(), prop::collection::vec(any::<u8>(), 40)), 1..6),
        more in prop::collection::vec(document(), 0..3),
        options in options(),
    ) {
        let alike = others.iter().map(|(other, dice)| varied(&base, &mut dice.iter().copied(), other));
        let documents: Vec<_> = std::iter::once(base.clone())
            .chain(alike)
            .chain(more)
            .enumerate()
            .map(|(index, mut document)| {
                document.insert("_id", i64::try_from(index).unwrap());
                document.to_vec().unwrap()
            })
            .collect();
        promoted_rows_stay(&documents, 1, &options)?;
    }
}
