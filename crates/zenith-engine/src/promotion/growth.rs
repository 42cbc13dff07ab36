//! The columns of a table now, and with columns for what gathered in the extra column.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use arrow_array::RecordBatch;
use arrow_schema::FieldRef;
use zenith_arrow::extended_json::{Container, Json};
use zenith_arrow::infer::{Promotable, Promoted};
use zenith_arrow::schema::{EXTRA_COLUMN, NOTES_COLUMN};
use zenith_arrow::{Field, Kind, Schema};
use zenith_transport::ddl::{Dialect, column_type};
use zenith_transport::{Filter, Scalar, Selection};

use crate::Result;
use crate::layout::Layout;
use crate::progress::to_u64;

/// A field that can have a column, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromotedField {
    /// Its keys with dots between them; positions in arrays are left out.
    pub path: String,
    /// The type of its column, as ClickHouse writes it.
    pub column_type: String,
    /// The column beside it that shows values of other types as text.
    pub twin: Option<String>,
    /// How many values of it the extra column has.
    pub values: u64,
}

/// What is, or would be, moved from the extra column into columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Promotion {
    /// Fields that get a column.
    pub fields: Vec<PromotedField>,
    /// Fields that got theirs while the table was followed, and have values in the extra column of earlier rows.
    pub late: Vec<String>,
    /// Paths with values in the extra column that are left there, and how many values.
    pub left_out: BTreeMap<String, u64>,
    /// Rows with values of fields that get a column or have got one late.
    pub rows: u64,
    /// The statement that changed the table; empty before it is changed.
    pub statement: String,
    /// Values of the fields that do not fit the columns, by field and reason; known once it is done.
    pub mismatches: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Promotion {
    /// Whether there is nothing to be done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.rows == 0
    }
}

/// The columns of a table now and afterwards.
pub(crate) struct Growth {
    pub(crate) now: Schema,
    pub(crate) then: Schema,
    pub(crate) promoted: Vec<Promoted>,
    /// Fields that got their columns while the table was followed, and have values in the extra column of earlier rows.
    pub(crate) late: Vec<String>,
    /// Those of them whose columns were there before, and hold more now.
    pub(crate) widened: Vec<String>,
    /// Paths with values that are left where they are, and how many.
    pub(crate) left_out: BTreeMap<String, u64>,
    /// Whether afterwards no row has values elsewhere of fields that got their columns, or wider ones, late.
    pub(crate) is_complete: bool,
}

impl Growth {
    /// Keys of the top level whose values move.
    pub(crate) fn keys(&self) -> Vec<String> {
        let paths =
            self.promoted.iter().map(|field| field.path.as_str()).chain(self.late.iter().map(String::as_str));
        let keys: BTreeSet<&str> = paths.filter_map(|path| key_of(&self.then, path)).collect();
        keys.into_iter().map(str::to_owned).collect()
    }

    /// The type of the column of a field; of a flat document its columns with their types.
    fn column_type(&self, field: &Promoted) -> Result<String> {
        let dialect = Dialect { json: true };
        if let Some(document) = at(&self.then.fields, &field.path).filter(|field| field.flat.is_some()) {
            let columns = columns_of(&self.then, document);
            let typed =
                columns.map(|column| Ok(format!("{} {}", column.name(), column_type(&column, dialect)?)));
            return Ok(typed.collect::<Result<Vec<String>>>()?.join(", "));
        }
        let leaf = Field::new("value", field.kind.clone());
        Ok(match columns_of(&self.then, &leaf).next() {
            Some(column) => column_type(&column, dialect)?,
            None => String::new(),
        })
    }

    /// It, of a table with so many rows that have values which move.
    pub(crate) fn promotion(&self, rows: u64) -> Result<Promotion> {
        let typed = |field: &Promoted| {
            let column_type = self.column_type(field)?;
            let Promoted { path, twin, values, .. } = field.clone();
            Ok(PromotedField { path, column_type, twin, values })
        };
        Ok(Promotion {
            fields: self.promoted.iter().map(typed).collect::<Result<_>>()?,
            late: self.late.clone(),
            left_out: self.left_out.clone(),
            rows,
            ..Promotion::default()
        })
    }
}

/// Whether a field of this path, or one that it is in, has a twin: rows may show values there that its column now holds.
pub(crate) fn has_twin(fields: &[Field], path: &str) -> bool {
    fields.iter().filter(|field| is_of(path, &field.name)).any(|field| {
        let rest = path.get(field.name.len() + 1..).unwrap_or_default();
        field.twin.is_some() || has_twin(field.kind.parts(), rest)
    })
}

/// The key of the top level that a path begins with.
pub(crate) fn key_of<'s>(schema: &'s Schema, path: &str) -> Option<&'s str> {
    schema.fields.iter().map(|field| field.name.as_str()).find(|name| is_of(path, name))
}

/// The field of a path.
fn at<'s>(fields: &'s [Field], path: &str) -> Option<&'s Field> {
    fields.iter().filter(|field| is_of(path, &field.name)).find_map(|field| {
        match path.get(field.name.len() + 1..) {
            Some(rest) => at(field.kind.parts(), rest),
            None => Some(field),
        }
    })
}

/// The columns that are new, and those that are to have another type.
pub(crate) fn changed_columns(now: &Schema, then: &Schema) -> (Vec<FieldRef>, Vec<FieldRef>) {
    let mut changed = Changed { now, then, added: Vec::new(), grown: Vec::new() };
    changed.fields(&now.fields, &then.fields);
    (changed.added, changed.grown)
}

/// The schema with the new columns of `then`, and those that are there as they are.
pub(crate) fn with_new_columns(now: &Schema, then: &Schema) -> Schema {
    let mut schema = then.clone();
    keep_known(&mut schema.fields, &now.fields);
    schema
}

fn keep_known(fields: &mut [Field], known: &[Field]) {
    for field in fields {
        let Some(known) = known.iter().find(|known| known.name == field.name) else { continue };
        match field.flat_parts_mut() {
            Some(parts) => keep_known(parts, known.flat_parts().unwrap_or_default()),
            None => field.clone_from(known),
        }
    }
}

struct Changed<'s> {
    now: &'s Schema,
    then: &'s Schema,
    added: Vec<FieldRef>,
    grown: Vec<FieldRef>,
}

impl Changed<'_> {
    fn fields(&mut self, now: &[Field], then: &[Field]) {
        for field in then {
            let known = now.iter().find(|known| known.name == field.name);
            match (known, field.flat_parts()) {
                (None, _) => self.added.extend(columns_of(self.then, field)),
                (Some(known), Some(parts)) => self.fields(known.flat_parts().unwrap_or_default(), parts),
                (Some(known), None)
                    if column_type_of(self.now, known) != column_type_of(self.then, field) =>
                {
                    self.grown.extend(columns_of(self.then, field).take(1));
                }
                (Some(_), None) => {}
            }
        }
    }
}

/// Paths of the fields of a schema that another one lacks; not those inside of fields that it lacks.
pub(crate) fn beyond(schema: &Schema, other: &Schema) -> HashSet<String> {
    let mut paths = HashSet::new();
    beyond_fields(&schema.fields, &other.fields, "", &mut paths);
    paths
}

fn beyond_fields(fields: &[Field], others: &[Field], parent: &str, paths: &mut HashSet<String>) {
    for field in fields {
        let path = if parent.is_empty() { field.name.clone() } else { format!("{parent}.{}", field.name) };
        match others.iter().find(|other| other.name == field.name) {
            Some(other) => beyond_kind(&field.kind, &other.kind, &path, paths),
            None => drop(paths.insert(path)),
        }
    }
}

fn beyond_kind(kind: &Kind, other: &Kind, path: &str, paths: &mut HashSet<String>) {
    match (kind, other) {
        (Kind::Document(fields), Kind::Document(others)) => beyond_fields(fields, others, path, paths),
        (Kind::Array(element), Kind::Array(other)) => beyond_kind(element, other, path, paths),
        _ => {}
    }
}

/// Fields whose columns show something that they did not with another schema, by their paths: how they came to that.
pub(crate) fn later(schema: &Schema, other: &Schema) -> LateFields {
    let new = beyond(schema, other).into_iter().map(|path| (path, None));
    let mut late: LateFields = new.collect();
    widened_fields(&schema.fields, &other.fields, "", &mut late);
    late
}

/// Fields whose columns came or were widened while the table was followed, by their paths: what the columns held before, if
/// they were there.
pub(crate) type LateFields = HashMap<String, Option<Kind>>;

fn widened_fields(fields: &[Field], others: &[Field], parent: &str, late: &mut LateFields) {
    for field in fields {
        let path = if parent.is_empty() { field.name.clone() } else { format!("{parent}.{}", field.name) };
        if let Some(other) = others.iter().find(|other| other.name == field.name) {
            widened_kind(&field.kind, &other.kind, path, late);
        }
    }
}

fn widened_kind(kind: &Kind, other: &Kind, path: String, late: &mut LateFields) {
    match (kind, other) {
        (Kind::Document(fields), Kind::Document(others)) => widened_fields(fields, others, &path, late),
        (Kind::Array(element), Kind::Array(other)) => widened_kind(element, other, path, late),
        (kind, other) if kind != other => drop(late.insert(path, Some(other.clone()))),
        _ => {}
    }
}

/// The type of the column of a field, as ClickHouse has it; that of dictionaries is one with that of their values.
pub(crate) fn column_type_of(schema: &Schema, field: &Field) -> Option<String> {
    let field = match field.kind {
        Kind::Category => Field { kind: Kind::String, ..field.clone() },
        _ => field.clone(),
    };
    let column = columns_of(schema, &field).next()?;
    column_type(&column, Dialect { json: true }).ok()
}

/// The column of a field, and its twin's.
fn columns_of(schema: &Schema, field: &Field) -> impl Iterator<Item = FieldRef> + use<> {
    let arrow = Schema { fields: vec![field.clone()], ..schema.clone() }.to_arrow();
    let is_of_fields = |field: &&FieldRef| field.name() != EXTRA_COLUMN && field.name() != NOTES_COLUMN;
    arrow.fields().iter().filter(is_of_fields).cloned().collect::<Vec<_>>().into_iter()
}

/// Counts what the extra column of some rows has that no column is for.
pub(crate) fn add_extra(
    found: &mut Promotable,
    schema: &Schema,
    batch: &RecordBatch,
) -> std::result::Result<(), NotOurs> {
    let column = batch.column_by_name(EXTRA_COLUMN).ok_or(NotOurs)?;
    for row in 0..batch.num_rows() {
        let Some(Scalar::Bytes(text)) = Scalar::of(column, row) else { return Err(NotOurs) };
        if !text.is_empty() {
            let text = std::str::from_utf8(&text).map_err(|_| NotOurs)?;
            found.add(schema, text).map_err(|_| NotOurs)?;
        }
    }
    Ok(())
}

/// How many rows of a batch have one of these keys in the extra column.
pub(crate) fn rows_with_keys(batch: &RecordBatch, keys: &[String]) -> u64 {
    let Some(column) = batch.column_by_name(EXTRA_COLUMN) else { return 0 };
    let has_key = |row: &usize| match Scalar::of(column, *row) {
        Some(Scalar::Bytes(text)) if !text.is_empty() => {
            let text = String::from_utf8_lossy(&text);
            let json = Json::parse(&text).ok();
            let found = json.as_ref().and_then(|json| Container::of(json).ok().flatten());
            found.is_some_and(|found| found.pairs().any(|(key, _)| keys.iter().any(|wanted| wanted == key)))
        }
        _ => false,
    };
    to_u64((0..batch.num_rows()).filter(has_key).count())
}

/// The extra column has a text that Zenith did not write.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("{EXTRA_COLUMN} has a text that Zenith did not write")]
pub(crate) struct NotOurs;

/// Whether a path is that of a field, or of a part of it.
pub(crate) fn is_of(path: &str, field: &str) -> bool {
    path.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Values that do not fit, by field and reason.
pub(crate) type Counts = BTreeMap<String, BTreeMap<String, u64>>;

/// The rows of a table that have one of these keys in the extra column.
pub(crate) fn with_keys(table: &str, layout: Layout, keys: &[String]) -> Selection {
    Selection {
        table: table.to_owned(),
        rows: layout.with_values(),
        filter: Filter::HasKey(EXTRA_COLUMN.to_owned(), keys.to_vec()),
        ..Selection::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_columns_come_before_others_grow() {
        let document = |keys: &[&str]| {
            Kind::Document(keys.iter().map(|key| Field::new(*key, Kind::Int64)).collect::<Vec<_>>())
        };
        let id = Field::new("_id", Kind::Int64);
        let now =
            Schema::new(vec![id.clone(), Field::new("d", document(&["x"])), Field::new("n", Kind::Int32)]);
        let new = Field::new("new", document(&["a"]));
        let then = Schema::new(vec![
            id.clone(),
            Field::new("d", document(&["x", "y"])),
            Field::new("n", Kind::Int64),
            new.clone(),
        ]);
        let between = with_new_columns(&now, &then);
        assert_eq!(between.fields, [&now.fields[..], &[new]].concat());
        let (added, grown) = changed_columns(&now, &between);
        assert_eq!((added.len(), grown.len()), (1, 0));
        let (added, grown) = changed_columns(&between, &then);
        assert_eq!((added.len(), grown.len()), (0, 2));
    }
}
