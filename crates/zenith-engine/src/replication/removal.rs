//! Rows that a table of current documents refuses: the rows they would have replaced are removed in any case.
//!
//! An older row that stays would pass for the document as it is. So a row of the same version marks it as deleted, and
//! where the table refuses that one too, as constraints do, a `DELETE` removes the older rows, which passes them. Neither
//! touches rows of later versions.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, RecordBatch, StringArray, StructArray, UInt8Array, make_array, new_null_array,
};
use arrow_schema::{DataType, Field};
use zenith_arrow::{Kind, Schema};
use zenith_extract::{ChangeSource, Source};
use zenith_state::StateStore;
use zenith_transport::{Filter, Scalar, Selection, Sink};

use super::context::Context;
use crate::layout::{DELETED_COLUMN, KEY, Layout, VERSION_COLUMN};
use crate::load::insert::Inserter;
use crate::load::key::{is_one_of, key};
use crate::load::refusal::Refused;
use crate::places::Places;
use crate::{EngineError, Result};

/// Documents of one statement.
const TOGETHER: usize = 200;

/// Removes the rows that these rows would have replaced.
pub(super) async fn remove_older<S, K, T>(
    context: &Context<S, K, T>,
    inserter: &Inserter<'_, K>,
    refused: &[Refused],
    places: Option<&Places>,
) -> Result<()>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    for together in refused.chunks(TOGETHER) {
        let snapshot = context.state.snapshot(&context.name).await?;
        let is_read = snapshot.is_none_or(|snapshot| snapshot.consistent_after.is_some());
        let there = up_to(together, inserter.layout, places)?;
        if is_read && !is_any_there(context, there).await? {
            continue;
        }
        let mut left = Vec::new();
        for row in together {
            if row.is_deletion()
                || row.is_tombstone(inserter.layout)
                || !mark_as_deleted(context, inserter, row, places).await?
            {
                left.push(row);
            }
        }
        let Some(first) = left.first() else { continue };
        if !is_read {
            // Rows of the snapshot that were read before the deletion may be still to come.
            return Err(EngineError::StillRead {
                pipeline: context.name.clone(),
                table: context.table.clone(),
                id: key(&first.row, 0)?.to_string(),
            });
        }
        delete(context, up_to(left, inserter.layout, places)?).await?;
    }
    Ok(())
}

/// The rows of these documents, at the places of the refused ones, up to the versions that were refused. Where the rows of
/// documents that are gone stay, a refused row leaves that of its document where it is, at whatever place.
fn up_to<'a>(
    rows: impl IntoIterator<Item = &'a Refused>,
    layout: Layout,
    places: Option<&Places>,
) -> Result<Filter> {
    let each = rows.into_iter().map(|refused| {
        let is_anywhere = matches!(layout, Layout::Marked { .. }) && !refused.is_tombstone(layout);
        let places = places.filter(|_| !is_anywhere);
        let older = Filter::AtMost(VERSION_COLUMN.to_owned(), refused.version());
        let mut all = vec![is_one_of(vec![key(&refused.row, 0)?]), older];
        for column in places.map_or(&[][..], Places::columns) {
            let value = refused.row.column_by_name(column).and_then(|value| Scalar::of(&**value, 0));
            all.extend(value.map(|value| Filter::In(column.clone(), vec![value])));
        }
        Ok(Filter::All(all))
    });
    Ok(Filter::Any(each.collect::<Result<_>>()?))
}

async fn is_any_there<S, K, T>(context: &Context<S, K, T>, filter: Filter) -> Result<bool>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    let one = Selection {
        table: context.table.clone(),
        columns: vec![KEY.to_owned()],
        filter,
        limit: Some(1),
        ..Selection::default()
    };
    let found = context.retrying(|| context.sink.admin().select(&one)).await?;
    Ok(found.unwrap_or_default().iter().any(|batch| batch.num_rows() > 0))
}

/// Writes a row of the refused row's key and version that stands for a deletion; gives back whether the table takes it.
async fn mark_as_deleted<S, K, T>(
    context: &Context<S, K, T>,
    inserter: &Inserter<'_, K>,
    refused: &Refused,
    places: Option<&Places>,
) -> Result<bool>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    let row = match inserter.layout {
        Layout::Marked { .. } => match context.marked(inserter.schema, refused).await? {
            Some(row) => row,
            None => return Ok(true),
        },
        _ => deletion_of(&refused.row, inserter.schema, places.map_or(&[], Places::columns))?,
    };
    let again = inserter.insert(row, format!("{}.gone", refused.token), true).await?;
    Ok(again.is_empty())
}

/// A row of the same key and version with nothing else in it, marked as deleted. `key` are the columns of its sorting key
/// beside `_id`.
fn deletion_of(row: &RecordBatch, schema: &Schema, key: &[String]) -> Result<RecordBatch> {
    let columns = row.schema_ref().fields().iter().zip(row.columns()).map(|(field, column)| {
        match field.name().as_str() {
            KEY | VERSION_COLUMN => Arc::clone(column),
            name if key.iter().any(|part| part == name) => Arc::clone(column),
            DELETED_COLUMN => Arc::new(UInt8Array::from_value(1, row.num_rows())),
            _ => blank(field, schema, row.num_rows()),
        }
    });
    let columns: Vec<ArrayRef> = columns.collect();
    RecordBatch::try_new(row.schema(), columns)
        .map_err(|_| EngineError::Worker { worker: "a row for a deletion" })
}

/// A column of a table with nothing in it.
pub(super) fn blank(field: &Field, schema: &Schema, rows: usize) -> ArrayRef {
    nothing(field, schema.column(field.name()), rows)
}

/// Nothing: NULL where the column has it, an empty value where it has not. `of` is the field of documents that goes there.
fn nothing(field: &Field, of: Option<&zenith_arrow::Field>, rows: usize) -> ArrayRef {
    if let Some(limit) = of.and_then(|of| of.limit()).filter(|limit| limit.is_of_texts()) {
        // A text that is no value of the column would be refused, also under a NULL.
        let texts = StringArray::from_iter_values(std::iter::repeat_n(limit.blank(), rows)).to_data();
        let null = new_null_array(field.data_type(), rows).to_data();
        let nulls = null.nulls().filter(|_| field.is_nullable()).cloned();
        return make_array(texts.clone().into_builder().nulls(nulls).build().unwrap_or(texts));
    }
    match field.data_type() {
        DataType::Struct(fields) if !field.is_nullable() => {
            let parts = match of.map(|of| &of.kind) {
                Some(Kind::Document(parts)) => parts.as_slice(),
                _ => &[],
            };
            let part = |field: &Field| parts.iter().find(|part| part.column_name() == field.name());
            let columns = fields.iter().map(|field| nothing(field, part(field), rows)).collect();
            Arc::new(StructArray::new(fields.clone(), columns, None))
        }
        data_type if field.is_nullable() => new_null_array(data_type, rows),
        data_type => {
            let nulls = new_null_array(data_type, rows).to_data();
            let empty = nulls.clone().into_builder().nulls(None).build();
            make_array(empty.unwrap_or(nulls))
        }
    }
}

async fn delete<S, K, T>(context: &Context<S, K, T>, filter: Filter) -> Result<()>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    tracing::info!(
        pipeline = context.name,
        "removing rows that the table does not allow to be marked as deleted"
    );
    let older = Selection { table: context.table.clone(), filter, ..Selection::default() };
    context.retrying(|| context.sink.admin().delete(&older)).await
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::{Array, Int64Array, UInt64Array};
    use arrow_schema::{Fields, Schema as ArrowSchema};
    use zenith_arrow::schema::{GivenType, Limit};
    use zenith_arrow::{Field as ZenithField, Kind};

    use super::*;

    #[test]
    fn a_deletion_has_the_key_and_the_version_and_nothing_else() {
        let inner: Fields = vec![Field::new("x", DataType::Int64, true)].into();
        let item = Arc::new(Field::new("item", DataType::Utf8, true));
        let schema = ArrowSchema::new(vec![
            Field::new(KEY, DataType::Int64, false),
            Field::new("n", DataType::Int64, true),
            Field::new("tags", DataType::List(item.clone()), false),
            Field::new("sub", DataType::Struct(inner.clone()), false),
            Field::new("extra", DataType::Utf8, false),
            Field::new(VERSION_COLUMN, DataType::UInt64, false),
            Field::new(DELETED_COLUMN, DataType::UInt8, false),
        ]);
        let sub = StructArray::new(inner, vec![Arc::new(Int64Array::from(vec![5]))], None);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![7])),
            Arc::new(Int64Array::from(vec![3])),
            new_list(&item),
            Arc::new(sub),
            Arc::new(arrow_array::StringArray::from(vec!["{}"])),
            Arc::new(UInt64Array::from(vec![9])),
            Arc::new(UInt8Array::from(vec![0])),
        ];
        let row = RecordBatch::try_new(Arc::new(schema), columns).unwrap();
        let gone = deletion_of(&row, &Schema::new(Vec::new()), &[]).unwrap();
        let refused = Refused { row: gone.clone(), token: String::new(), reason: String::new() };
        assert!(refused.is_deletion());
        assert_eq!(refused.version(), 9);
        assert_eq!(key(&gone, 0).unwrap(), Scalar::Int64(7));
        assert!(gone.column(1).is_null(0) && gone.column(3).as_struct().column(0).is_null(0));
        assert_eq!(gone.column(2).as_list::<i32>().value_length(0), 0);
        assert_eq!(gone.column(4).as_string::<i32>().value(0), "");
        let gone = deletion_of(&row, &Schema::new(Vec::new()), &["n".to_owned()]).unwrap();
        assert_eq!(gone.column(1).as_ref(), row.column(1).as_ref());
    }

    #[test]
    fn columns_of_given_types_have_a_text_that_they_take() {
        let limit = Some(Limit::OneOf(vec!["new".to_owned(), "paid".to_owned()]));
        let given = Some(GivenType { name: "Enum8('new', 'paid')".to_owned(), limit });
        let schema = Schema::new(vec![ZenithField { given, ..ZenithField::new("state", Kind::String) }]);
        for is_nullable in [false, true] {
            let state = blank(&Field::new("state", DataType::Utf8, is_nullable), &schema, 2);
            assert_eq!(state.as_string::<i32>().value(1), "new");
            assert_eq!((state.len(), state.is_null(0)), (2, is_nullable));
        }
    }

    fn new_list(item: &Arc<Field>) -> ArrayRef {
        let mut builder = arrow_array::builder::ListBuilder::new(arrow_array::builder::StringBuilder::new())
            .with_field(Arc::clone(item));
        builder.append_value([Some("a"), Some("b")]);
        Arc::new(builder.finish())
    }
}
