//! What a reload would do: both ends looked at, the columns inferred, nothing written.

use std::borrow::Cow;
use std::sync::Arc;

use crate::table_shape::TableShape;
use arrow_schema::{FieldRef, SchemaRef};
use zenith_arrow::infer::{IdTypes, InferOptions, Inference, flatten, infer};
use zenith_arrow::schema::{BSON_METADATA_KEY, EXTRA_COLUMN, ID_KEY, NOTES_COLUMN};
use zenith_arrow::{DateRange, Field, Kind, Schema, WHOLE_KEY};
use zenith_extract::Source;
use zenith_extract::source::SourceInfo;
use zenith_transport::ddl::{Dialect, column_type};
use zenith_transport::{PreflightRequest, ServerInfo, Sink, TableDefinition, TableInfo};

use super::columns::ColumnPlan;
use super::difference::{Wanted, beside_documents, difference, key_differences};
use super::given;
use super::keep::{self, Kept, keep};
use super::kept_columns::KeptColumns;
use super::shape::{self, Requirement};
use super::table_types::{TypeAdoption, adopt_table_types, confine};
use super::temporary::shadow_prefix;
use crate::layout::{Layout, VERSION_COLUMN};
use crate::load::findings::{Findings, Planned, Sample};
use crate::policies::OnNewField;
use crate::row_shape::{self, Shape};
use crate::table_shape::missing_windows;
use crate::transforms::TransformedSample;
use crate::{EngineError, Pipeline, ReloadOptions, Result, Strategy, names};

/// Leaf columns from which on parts are kept in one file each.
const LEAVES_FOR_COMPACT_PARTS: usize = 500;
/// The size from which on even those parts get a file a column.
const COMPACT_PART_BYTES: &str = "1073741824";
/// Bytes of sample documents that are kept for the load: all that a sample holds.
pub(crate) const SAMPLE_BYTES: usize = 16 * 1024 * 1024;

/// What a reload would do.
#[derive(Clone, Debug)]
pub struct ReloadPlan {
    /// What is at the source.
    pub source: SourceInfo,
    /// What is at the target.
    pub target: ServerInfo,
    /// The columns, in order, the extra column last.
    pub columns: Vec<ColumnPlan>,
    /// The table as it would be created.
    pub definition: TableDefinition,
    /// The table that is there now.
    pub existing: Option<TableInfo>,
    /// How the sorting key and the partitions of that table differ from those it is to have, in words.
    pub differences: Vec<String>,
    /// Tables an interrupted reload of this table seems to have left behind.
    pub leftovers: Vec<String>,
    /// How the rows take the place of the old ones.
    pub strategy: Strategy,
    /// Documents looked at.
    pub sampled: usize,
    /// Scans side by side.
    pub readers: usize,
    /// Which columns the fields go to.
    pub schema: Schema,
    pub(crate) sample: Arc<Sample>,
    pub(crate) infer: InferOptions,
    /// Paths of fields whose columns have types that the sample does not choose.
    pub(crate) given: Vec<String>,
}

impl ReloadPlan {
    /// The statement that would create the table, for targets that speak SQL.
    ///
    /// # Errors
    /// For columns the target cannot have.
    pub fn create_statement(&self) -> Result<String> {
        Ok(self.definition.to_sql(&self.target.database, Dialect::of_version(self.target.version_number))?)
    }
}

impl ReloadPlan {
    /// Gives a table that its user made what it lacks: the columns for what fits no other, and the memory of inserts.
    ///
    /// # Errors
    /// When the sink refuses it.
    pub(crate) async fn complete_table<K: Sink>(&self, sink: &K, name: &str) -> zenith_transport::Result<()> {
        let missing = self.missing_columns();
        if !missing.is_empty() {
            sink.admin().add_columns(name, &missing, None).await?;
        }
        let windows = self.existing.as_ref().map(missing_windows).unwrap_or_default();
        if windows.is_empty() {
            return Ok(());
        }
        sink.admin().set_settings(name, &windows).await
    }

    fn missing_columns(&self) -> Vec<FieldRef> {
        let Some(table) = &self.existing else { return Vec::new() };
        let has = |name: &str| table.columns.iter().any(|column| column.name == name);
        let beside = self.definition.schema.fields().iter().filter(|field| beside_documents(field.name()));
        beside.filter(|field| !has(field.name())).cloned().collect()
    }

    /// Whether the table that is there now is kept in step by a pipeline, which could not go on with another one in its
    /// place.
    #[must_use]
    pub fn is_followed(&self) -> bool {
        let existing = self.existing.as_ref();
        existing.is_some_and(|table| table.columns.iter().any(|column| column.name == VERSION_COLUMN))
    }

    /// The columns, of which those are never NULL that are not in the table that is there.
    pub(crate) fn schema_of_table(&self) -> Schema {
        let mut schema = self.schema.clone();
        if let Some(table) = &self.existing {
            shape::require_as(&mut schema, table);
        }
        schema
    }

    /// What a load by this plan is held against.
    pub(crate) fn held_against(&self) -> Planned {
        Planned {
            sample: Arc::clone(&self.sample),
            infer: self.infer.clone(),
            given: self.given.clone(),
            is_of_table: true,
        }
    }
}

/// Looks at both ends and says what a load would do.
pub(crate) async fn plan<S: Source, K: Sink + 'static>(
    pipeline: &Pipeline<S, K>,
    findings: &Findings,
) -> Result<ReloadPlan> {
    let options = &pipeline.options;
    shape::check(pipeline)?;
    // Both ends are looked at side by side: answers are quick, but there are many.
    let ((source, TransformedSample { documents, left_out, .. }, ids), (target, existing, leftovers)) =
        tokio::try_join!(look_at_source(pipeline), look_at_target(pipeline))?;
    let dialect = Dialect::of_version(target.version_number);
    let infer = infer_options(options, ids, findings, &target);
    let sampled: Vec<&[u8]> = documents.iter().map(|document| document.as_bytes()).collect();
    let sample = findings.with(&sampled);
    // What a load has found counts for more than the table of before.
    let exact = !findings.may_surprise();
    let choice = Choice { existing: existing.as_ref(), dialect, sample: &sample, infer: &infer, exact };
    let (mut schema, inference) = choice.schema(pipeline)?;
    refuse_equal_names(pipeline, &schema)?;
    let tried = shape::try_table(pipeline, &target, &definition(pipeline, &schema, Kept::default())?).await?;
    if let Some(tried) = &tried {
        given::spell(&mut schema, tried);
    }
    let arrow = pipeline.added.schema(pipeline.layout.schema(&schema.to_arrow()))?;
    let columns = columns(&arrow, &schema, &inference, dialect)?;
    let differences = key_differences(pipeline, existing.as_ref(), tried.as_ref());
    check_target(
        pipeline,
        &target,
        existing.as_ref(),
        &Wanted {
            columns: &columns,
            differences: &differences,
            may_add: may_add(pipeline, existing.as_ref()),
            engine: engine_of(pipeline, existing.as_ref()),
            adds: existing.as_ref().is_some_and(keep::is_of_user),
        },
    )?;
    let kept = match existing.as_ref().filter(|_| options.table.strategy == Strategy::Swap) {
        Some(table) => keep(pipeline, table, &columns)?,
        None => Kept::default(),
    };
    let definition = definition(pipeline, &schema, kept)?;
    shape::check_partitions(&definition, pipeline.layout.rows())?;
    let size = source.collection.size;
    let readers = options.readers_of(size.and_then(|size| size.document_bytes_average()));
    Ok(ReloadPlan {
        source,
        target,
        columns,
        definition,
        existing,
        differences,
        leftovers,
        strategy: options.table.strategy,
        sampled: documents.len(),
        readers,
        given: given::paths(&options.shape, &schema, options.table.shape),
        schema,
        sample: Arc::new(Sample::of(sampled, SAMPLE_BYTES).without(left_out)),
        infer,
    })
}

/// What the columns are chosen by.
struct Choice<'a> {
    existing: Option<&'a TableInfo>,
    dialect: Dialect,
    sample: &'a [&'a [u8]],
    infer: &'a InferOptions,
    /// Columns of the table keep their types only where they hold everything.
    exact: bool,
}

impl Choice<'_> {
    /// The columns: as the sample has them, the table that is there, and the settings, each of which counts for more.
    fn schema<S, K>(&self, pipeline: &Pipeline<S, K>) -> Result<(Schema, Inference)> {
        let Choice { existing, dialect, sample, infer, exact } = *self;
        let options = &pipeline.options;
        let (mut schema, inference) = inferred(pipeline, sample, infer);
        let adopted = existing.filter(|_| options.keep_types);
        if let Some(table) = adopted.map(shape::nullable) {
            let replace = options.replace && options.table.strategy == Strategy::Swap;
            let adoption = TypeAdoption { table: &table, dialect, sample, options: infer, replace, exact };
            adopt_table_types(&mut schema, &adoption);
            // An empty collection asks for no columns, which is no reason to empty the table.
            let has_documents = !sample.is_empty() || options.replace;
            if has_documents
                && options.table.shape == Shape::Columns
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
        if let Some(table) = of_user {
            leave_out_missing(&mut schema, table);
        }
        shape::check_columns(wanted, &schema, &pipeline.namespace)?;
        shape::check_places(wanted, &schema, pipeline.layout.rows())?;
        Requirement { shape: wanted, inference: &inference, kept, adopted, of_user }.apply(&mut schema);
        Ok((schema, inference))
    }
}

impl Choice<'_> {
    /// Keeps the columns of fields that the sample does not have.
    fn keep_columns<S, K>(
        &self,
        schema: &mut Schema,
        table: &TableInfo,
        pipeline: &Pipeline<S, K>,
    ) -> Result<()> {
        let options = &pipeline.options.table;
        let transform = options.transform(schema)?;
        let is_left_out =
            |name: &str| transform.as_ref().is_some_and(|transform| transform.drops(name.as_bytes()));
        let kept = KeptColumns {
            table,
            dialect: self.dialect,
            renamed: &self.infer.columns,
            is_left_out: &is_left_out,
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
                "with shape = \"document\" the columns are _id and doc: compute another one, as in {name} = \"Int64 \
                 MATERIALIZED doc.{name}.:Int64\""
            ),
        }),
    }
}

/// The engine that the table is to have.
fn engine_of<'a, S, K>(pipeline: &'a Pipeline<S, K>, existing: Option<&'a TableInfo>) -> &'a str {
    match existing {
        Some(table) if !pipeline.layout.has_versions() && keep::stays(pipeline, table) => &table.engine,
        _ => pipeline.options.shape.engine.as_deref().unwrap_or(pipeline.layout.engine_name()),
    }
}

/// Leaves fields out that a user's table has no column for: their values go to the extra column. A table that has no column
/// of any is of something else, which its differences tell.
fn leave_out_missing(schema: &mut Schema, table: &TableInfo) {
    let has = |name: &str| table.columns.iter().any(|column| column.name == name);
    if !schema.fields.iter().any(|field| field.name != ID_KEY && has(field.column_name())) {
        return;
    }
    schema.fields.retain(|field| field.name == ID_KEY || has(field.column_name()));
    for field in &mut schema.fields {
        field.twin = field.twin.take().filter(|twin| has(&twin.name));
    }
}

/// Whether a table of the pipeline's continues with the columns it has: a change log, whose rows no load can make again; and
/// an empty table that rows are appended to, which may be that of a run that ended before it noted the columns.
fn keeps_columns<S, K>(pipeline: &Pipeline<S, K>, table: &TableInfo) -> bool {
    let keeps = match pipeline.layout {
        Layout::Log => !pipeline.options.replace,
        Layout::Rows => table.rows == 0 && !pipeline.options.replace,
        Layout::Current | Layout::Marked { .. } => false,
    };
    keeps && pipeline.guarded && keep::is_ours(table, &pipeline.namespace)
}

/// How columns are chosen.
fn infer_options(
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
fn refuse_equal_names<S, K>(pipeline: &Pipeline<S, K>, schema: &Schema) -> Result<()> {
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

fn columns(
    arrow: &SchemaRef,
    schema: &Schema,
    inference: &Inference,
    dialect: Dialect,
) -> Result<Vec<ColumnPlan>> {
    let column = |field: &FieldRef| {
        let kind = field.metadata().get(BSON_METADATA_KEY).cloned();
        Ok(ColumnPlan {
            name: field.name().clone(),
            bson_type: kind.unwrap_or_else(|| beside(field.name()).to_owned()),
            target_type: column_type(field, dialect)?,
            present: presence(inference, &sampled_as(schema, field.name())),
        })
    };
    arrow.fields().iter().map(column).collect()
}

/// Whether new fields may have columns in the place of a table that lacks them: that of a copy, which makes a new one each time.
fn may_add<S, K>(pipeline: &Pipeline<S, K>, existing: Option<&TableInfo>) -> bool {
    let options = &pipeline.options.table;
    !pipeline.guarded
        && options.strategy == Strategy::Swap
        && options.on_new_field == OnNewField::Add
        && existing.is_some_and(|table| keep::is_ours(table, &pipeline.namespace))
}

/// The path that figures of the sample are kept under for a column.
fn sampled_as(schema: &Schema, column: &str) -> String {
    if let Some(keys) = schema.keys_of(column) {
        return keys.join(".");
    }
    let is_twin = |field: &&Field| field.twin.as_ref().is_some_and(|twin| twin.name == column);
    let of = schema.columns().find(is_twin);
    let keys = of.and_then(|of| schema.keys_of(of.column_name())).unwrap_or_default();
    match (of, keys.as_slice()) {
        (Some(of), [parents @ .., last]) if !parents.is_empty() => {
            let behind = column.strip_prefix(of.column_name()).unwrap_or_default();
            format!("{}.{last}{behind}", parents.join("."))
        }
        _ => column.to_owned(),
    }
}

/// Whether the strategy works in the target's database, and the table that is there may take the rows or be replaced.
fn check_target<S, K>(
    pipeline: &Pipeline<S, K>,
    target: &ServerInfo,
    existing: Option<&TableInfo>,
    wanted: &Wanted<'_>,
) -> Result<()> {
    let options = &pipeline.options;
    if options.table.strategy == Strategy::Swap && !target.exchanges_atomically {
        return Err(EngineError::Setting {
            setting: "the strategy",
            value: "swap".to_owned(),
            reason: format!(
                "the database {} cannot exchange tables; use one with the engine Atomic, or the strategy truncate",
                target.database
            ),
        });
    }
    let Some(table) = existing else { return Ok(()) };
    if !table.engine.ends_with("MergeTree") && table.engine != "Memory" {
        return Err(EngineError::NotATable { table: pipeline.table.clone(), engine: table.engine.clone() });
    }
    if options.replace && options.table.strategy == Strategy::Swap {
        return Ok(());
    }
    let is_written_by_us = table.columns.iter().any(|column| column.name == EXTRA_COLUMN);
    if !pipeline.guarded
        && options.table.strategy == Strategy::Swap
        && keep::is_of_user(table)
        && !is_written_by_us
        && table.rows > 0
    {
        return Err(EngineError::NameTaken {
            name: pipeline.table.clone(),
            what: format!("a table with {} rows that Zenith did not write", table.rows),
            wanted: format!("the rows of {}", pipeline.namespace),
            setting: "--table NAME, or have its rows replaced with --replace",
        });
    }
    let mut compared = Cow::Borrowed(table);
    if keeps_columns(pipeline, table) || keep::is_of_user(table) {
        compared
            .to_mut()
            .columns
            .retain(|there| wanted.columns.iter().any(|column| column.name == there.name));
    }
    match difference(wanted, &compared, options.table.strategy, pipeline.layout) {
        None => Ok(()),
        Some(difference) => Err(EngineError::TableDiffers {
            table: pipeline.table.clone(),
            namespace: pipeline.namespace.to_string(),
            difference,
            is_ours: keep::is_ours(table, &pipeline.namespace),
            advice: "Name another table, or allow the table to be replaced".to_owned(),
        }),
    }
}

/// The table of these columns.
fn definition<S, K>(pipeline: &Pipeline<S, K>, schema: &Schema, kept: Kept) -> Result<TableDefinition> {
    let (shape, owner) = (&pipeline.options.shape, pipeline.owner.as_deref());
    let said = shape.comment.as_ref().map(|comment| keep::with_owner(comment, owner));
    let comment = said.or(kept.comment).unwrap_or_else(|| keep::comment_of(&pipeline.namespace, owner));
    let columns = pipeline.added.schema(pipeline.layout.schema(&schema.to_arrow()))?;
    let mut definition = TableDefinition::new(&pipeline.table, columns)
        .engine(pipeline.layout.engine())
        .order_by(pipeline.layout.sorting_key().iter().copied())
        .fsync(pipeline.options.table.fsync)
        .comment(comment);
    definition.additions = shape.over(kept.additions, pipeline.layout.rows());
    // What is said of a part of a document is of its column, where it has one.
    for (name, _) in &mut definition.additions.columns {
        if let Some((field, path)) = schema.column_at(name)
            && path == name.as_str()
        {
            *name = field.column_name().to_owned();
        }
    }
    definition.additions.engine = shape.engine_with(pipeline.layout.versions());
    // What is said of a column that there is none of has no effect.
    let is_there = |name: &str| definition.schema.column_with_name(name).is_some();
    definition.additions.columns.retain(|(name, column)| is_there(name) || column.default.is_some());
    let leaves: usize = schema.fields.iter().map(Field::leaves).sum();
    if leaves > LEAVES_FOR_COMPACT_PARTS {
        // A part of many columns would otherwise be thousands of files, all of them open while it is written.
        definition.settings.insert("min_bytes_for_wide_part".to_owned(), COMPACT_PART_BYTES.to_owned());
    }
    Ok(definition)
}

type AtSource = (SourceInfo, TransformedSample, Option<zenith_extract::IdTypes>);
type AtTarget = (ServerInfo, Option<TableInfo>, Vec<String>);

async fn look_at_source<S: Source, K>(pipeline: &Pipeline<S, K>) -> Result<AtSource> {
    let (source, namespace) = (&pipeline.source, &pipeline.namespace);
    let found = source.preflight(namespace).await?;
    let sample = source.sample(namespace, pipeline.options.table.sample);
    let (documents, ids) = tokio::try_join!(sample, source.id_types(namespace))?;
    let sample = pipeline.options.table.transform_sample(documents)?;
    for path in &sample.without {
        tracing::warn!(%namespace, "no document of the sample has anything at {path}, of which a setting is");
    }
    Ok((found, sample, ids))
}

async fn look_at_target<S, K: Sink>(pipeline: &Pipeline<S, K>) -> Result<AtTarget> {
    // The database is created last, so that nothing is created for a run that cannot succeed.
    let look = PreflightRequest {
        create_database: false,
        missing_database: pipeline.options.create_database,
        versions: pipeline.layout.has_versions(),
    };
    let target = pipeline.sink.preflight(&look).await?;
    if !target.database_exists {
        return Ok((target, None, Vec::new()));
    }
    if !pipeline.guarded {
        let name = &pipeline.options.table.dead_letters;
        names::letters_fit(pipeline.sink.object(name).await?.as_ref(), name, "--dead-letters NAME")?;
    }
    let prefix = shadow_prefix(&pipeline.table);
    let (existing, leftovers) =
        tokio::try_join!(pipeline.sink.describe(&pipeline.table), pipeline.sink.tables(&prefix))?;
    Ok((target, existing, leftovers))
}

/// What a column is for that no field of the documents goes to.
fn beside(column: &str) -> &'static str {
    match column {
        EXTRA_COLUMN => "what fits no column",
        NOTES_COLUMN => "what is missing, null or empty",
        _ => "of the change",
    }
}

/// The share of the sample that has a field; for documents and arrays that of their most frequent part.
fn presence(inference: &Inference, name: &str) -> f64 {
    let of_field = |path: &str| {
        path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    let memory =
        inference.fields.iter().filter(|part| of_field(&part.path)).map(|part| part.values_per_document);
    memory.fold(0.0, f64::max).min(1.0)
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
