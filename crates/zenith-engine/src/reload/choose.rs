//! The columns of a load: as its sample has them, the table that is there, and the settings.

use zenith_arrow::infer::{IdTypes, InferOptions, Inference, flatten, infer};
use zenith_arrow::schema::ID_KEY;
use zenith_arrow::{DateRange, Field, Kind, Schema, WHOLE_KEY};
use zenith_transport::ddl::{Dialect, names_in};
use zenith_transport::{ServerInfo, TableInfo};

use super::confine::confine;
use super::given;
use super::keep;
use super::kept_columns::KeptColumns;
use super::shape::{self, Requirement};
use super::table_types::{TypeAdoption, adopt_table_types};
use crate::layout::Layout;
use crate::load::findings::Findings;
use crate::row_shape::{self, Shape};
use crate::table_shape::TableShape;
use crate::{EngineError, Pipeline, ReloadOptions, Result, Strategy};

/// What the columns are chosen by.
pub(super) struct Choice<'a> {
    pub(super) existing: Option<&'a TableInfo>,
    pub(super) dialect: Dialect,
    pub(super) sample: &'a [&'a [u8]],
    pub(super) infer: &'a InferOptions,
    /// Columns of the table keep their types only where they hold everything.
    pub(super) exact: bool,
    /// Whether the sample is the whole collection.
    pub(super) is_whole: bool,
}

impl Choice<'_> {
    /// The columns: as the sample has them, the table that is there, and the settings, each of which counts for more.
    pub(super) fn schema<S, K>(&self, pipeline: &Pipeline<S, K>) -> Result<(Schema, Inference)> {
        let Choice { existing, dialect, sample, infer, exact, is_whole } = *self;
        let options = &pipeline.options;
        let (mut schema, inference) = inferred(pipeline, sample, infer);
        let adopted = existing.filter(|_| options.keep_types);
        if let Some(table) = adopted.map(shape::nullable) {
            let replace = options.replace && options.table.strategy == Strategy::Swap;
            let adoption =
                TypeAdoption { table: &table, dialect, sample, options: infer, replace, exact, is_whole };
            adopt_table_types(&mut schema, &adoption);
            // An empty collection asks for no columns, which is no reason to empty the table.
            let has_documents = !sample.is_empty() || options.replace;
            if has_documents
                && options.table.shape == Shape::Columns
                && !keep::is_of_other_shape(&table, schema.columns().map(Field::column_name))
                && (!options.replace || pipeline.guarded)
                && keep::is_ours(&table, &pipeline.namespace)
            {
                self.keep_columns(&mut schema, &table, pipeline)?;
            }
        }
        let wanted = &pipeline.options.shape;
        if options.table.shape == Shape::Document {
            row_shape::whole(&mut schema);
        }
        check_documents(options, wanted)?;
        given::give_types(wanted, &mut schema)?;
        flatten(&mut schema, infer);
        let kept = existing.filter(|table| keeps_columns(pipeline, table));
        if let Some(table) = kept {
            confine(&mut schema, &shape::nullable(table), dialect);
            if schema.whole && schema.column(WHOLE_KEY).is_none() {
                return Err(EngineError::Setting {
                    setting: "shape",
                    value: "document".to_owned(),
                    reason: format!(
                        "the table {} has columns of fields, and goes on with them: name another table",
                        pipeline.table
                    ),
                });
            }
        }
        let of_user = existing.filter(|table| !options.replace && keep::is_of_user(table));
        if let Some(table) = of_user
            && leave_out_missing(&mut schema, table)
            && options.table.shape == Shape::Columns
        {
            let transform = options.table.transform(&schema)?;
            let is_left_out = |name: &str| {
                let is_of_other = infer.columns.iter().any(|(field, column)| field == name || column == name);
                is_of_other || transform.as_ref().is_some_and(|transform| transform.drops(name.as_bytes()))
            };
            given::add_columns_of(table, &mut schema, &is_left_out);
        }
        shape::check_columns(wanted, &schema, &pipeline.namespace)?;
        shape::check_places(wanted, &schema, pipeline.layout.rows())?;
        Requirement { shape: wanted, inference: &inference, kept, adopted, of_user }.apply(&mut schema);
        Ok((schema, inference))
    }

    /// Keeps the columns of fields that the sample does not have.
    fn keep_columns<S, K>(
        &self,
        schema: &mut Schema,
        table: &TableInfo,
        pipeline: &Pipeline<S, K>,
    ) -> Result<()> {
        let options = &pipeline.options.table;
        let transform = options.transform(schema)?;
        let sampled: Vec<String> = schema.fields.iter().map(|field| field.name.clone()).collect();
        let rows = pipeline.layout.schema(&schema.to_arrow());
        // The number of an element of an array that is not unwound any more, as any other column that only the key was for.
        let (key, wanted) = (names_in(&table.sorting_key), pipeline.options.shape.required());
        let is_of_key_before = |name: &str| key.contains(name) && !wanted.contains(name);
        let is_left_out = |name: &str| {
            is_of_key_before(name)
                || transform.as_ref().is_some_and(|transform| transform.drops(name.as_bytes()))
                || pipeline.added.has(&rows, name)
        };
        let kept = KeptColumns {
            table,
            dialect: self.dialect,
            renamed: &self.infer.columns,
            is_left_out: &is_left_out,
            is_sampled: &|name| sampled.iter().any(|known| known == name),
            with_parts: transform.is_none(),
        };
        kept.add_to(schema);
        Ok(())
    }
}

/// Refuses types of columns that there are none of where the whole document is one.
fn check_documents(options: &ReloadOptions, shape: &TableShape) -> Result<()> {
    let is_one = |name: &str| name == WHOLE_KEY || name == ID_KEY;
    let other = shape.columns.iter().find(|(name, column)| !column.is_computed() && !is_one(name));
    match other.filter(|_| options.table.shape == Shape::Document) {
        None => Ok(()),
        Some((name, _)) => Err(EngineError::Setting {
            setting: "columns",
            value: name.clone(),
            reason: format!(
                "with shape = \"document\" the columns are _id and doc: compute another one, as in {name} = \"Nullable(Int64) \
                 ALIAS doc.{name}.:Int64\""
            ),
        }),
    }
}

/// Leaves fields out that a user's table has no column for: their values go to the extra column. A table that has no column
/// of any is of something else, which its differences tell: `false` then.
fn leave_out_missing(schema: &mut Schema, table: &TableInfo) -> bool {
    let has = |name: &str| table.columns.iter().any(|column| column.name == name);
    if !schema.columns().any(|field| field.name != ID_KEY && has(field.column_name())) {
        return false;
    }
    schema.retain_columns(|field| {
        field.twin.take_if(|twin| !has(&twin.name));
        field.name == ID_KEY || has(field.column_name())
    });
    true
}

/// Whether a table of the pipeline's continues with the columns it has: a change log, whose rows no load can make again; and
/// an empty table that rows are appended to, which may be that of a run that ended before it noted the columns.
pub(super) fn keeps_columns<S, K>(pipeline: &Pipeline<S, K>, table: &TableInfo) -> bool {
    let keeps = match pipeline.layout {
        Layout::Log => !pipeline.options.replace,
        Layout::Rows => table.rows == 0 && !pipeline.options.replace,
        Layout::Current | Layout::Marked { .. } => false,
    };
    keeps && pipeline.guarded && keep::is_ours(table, &pipeline.namespace)
}

/// How columns are chosen.
pub(super) fn infer_options(
    options: &ReloadOptions,
    ids: Option<zenith_extract::IdTypes>,
    findings: &Findings,
    target: &ServerInfo,
) -> InferOptions {
    let dates = DateRange { first_ms: target.date_range_ms.0, last_ms: target.date_range_ms.1 };
    InferOptions {
        id: match ids {
            Some(ids) if ids.single().is_some() => IdTypes::One,
            Some(ids) if !ids.one_class() => IdTypes::Several,
            // Numbers mix in one order: the sample decides.
            Some(_) | None => IdTypes::Unknown,
        },
        key: findings.key(),
        ..options.table.infer_options(dates)
    }
}

/// The columns that a sample asks for.
fn inferred<S, K>(
    pipeline: &Pipeline<S, K>,
    sample: &[&[u8]],
    options: &InferOptions,
) -> (Schema, Inference) {
    let inference = infer(sample.iter().copied(), options);
    let mut schema = inference.schema.clone();
    if schema.fields.iter().all(|field| field.name != "_id") {
        // An empty collection, or documents whose `_id` fits no column of its own.
        schema.fields.insert(0, Field::new("_id", Kind::MixedId));
    }
    if let Some(name) = pipeline.options.table.index_field() {
        // Also of an empty collection, and where documents have a field of that name.
        let column = options.columns.get(&name).cloned();
        let index = Field { column, ..Field::new(name, Kind::Int64) };
        match schema.fields.iter_mut().find(|field| field.name == index.name) {
            Some(field) => *field = index,
            None => schema.fields.push(index),
        }
    }
    let namespace = &pipeline.namespace;
    for path in without_column(&inference, options.mixed_fields.keys()) {
        tracing::warn!(%namespace, "no column comes of a field {path}, for which the setting of mixed types is");
    }
    for key in without_column(&inference, options.columns.keys()) {
        tracing::warn!(%namespace, "no column comes of a field {key}, which is to be renamed");
    }
    (schema, inference)
}

/// Refuses two columns of one name, which a field and one that is called like it would be.
pub(super) fn refuse_equal_names<S, K>(pipeline: &Pipeline<S, K>, schema: &Schema) -> Result<()> {
    if schema.has_flat()
        && let Some((one, other, column)) = row_shape::equal_names(schema)
    {
        return Err(EngineError::Setting {
            setting: "flat_separator",
            value: format!("{:?}", pipeline.options.table.flat_separator),
            reason: format!(
                "of {} {one} and {other} would both have the column {column}: call one of them otherwise with rename, \
                 exclude it, or take another separator",
                pipeline.namespace
            ),
        });
    }
    let twins = schema.fields.iter().filter_map(|field| field.twin.as_ref());
    let twins: Vec<&str> = twins.map(|twin| twin.name.as_str()).collect();
    for field in &schema.fields {
        let Some(column) = &field.column else { continue };
        let is_other = |other: &Field| other.name != field.name && other.column_name() == column;
        if schema.fields.iter().any(is_other) || twins.contains(&column.as_str()) {
            return Err(EngineError::Setting {
                setting: "rename",
                value: format!("{}={column}", field.name),
                reason: format!(
                    "{} has a field {column} as well, and two columns cannot have one name: call one of them otherwise, or \
                     exclude it",
                    pipeline.namespace
                ),
            });
        }
    }
    Ok(())
}

/// The paths that no column of the sample comes of: misspelled, or of fields that the sample does not have.
fn without_column<'a>(
    inference: &'a Inference,
    paths: impl Iterator<Item = &'a String>,
) -> impl Iterator<Item = &'a String> {
    let is_of = |column: &str, path: &str| {
        column.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    paths.filter(move |path| {
        !inference.fields.iter().any(|column| is_of(&column.path.replace("[]", ""), path))
    })
}
