//! What a reload would do: both ends looked at, the columns inferred, nothing written.

use std::sync::Arc;

use arrow_schema::{FieldRef, SchemaRef};
use zenith_arrow::infer::{InferOptions, Inference};
use zenith_arrow::schema::{BSON_METADATA_KEY, EXTRA_COLUMN, NOTES_COLUMN};
use zenith_arrow::{Field, Schema};
use zenith_extract::Source;
use zenith_extract::source::SourceInfo;
use zenith_transport::ddl::{Dialect, column_type};
use zenith_transport::{PreflightRequest, ServerInfo, Sink, TableDefinition, TableInfo};

use super::choose::{Choice, infer_options, refuse_equal_names};
use super::columns::ColumnPlan;
use super::difference::{beside_documents, key_differences};
use super::given;
use super::keep::{self, Kept, keep};
use super::shape;
use super::target::check_target;
use super::temporary::shadow_prefix;
use crate::layout::VERSION_COLUMN;
use crate::load::findings::{Findings, Planned, Sample};
use crate::table_shape::missing_windows;
use crate::transforms::TransformedSample;
use crate::{Pipeline, Result, Strategy, names};

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
        let windows = self
            .existing
            .as_ref()
            .filter(|table| keep::is_of_user(table))
            .map(missing_windows)
            .unwrap_or_default();
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
    let size = source.collection.size.map(|size| size.documents);
    let is_whole = size.is_none_or(|documents| crate::progress::to_u64(sampled.len()) >= documents);
    let choice =
        Choice { existing: existing.as_ref(), dialect, sample: &sample, infer: &infer, exact, is_whole };
    let (mut schema, inference) = choice.schema(pipeline)?;
    refuse_equal_names(pipeline, &schema)?;
    let tried = shape::try_table(pipeline, &target, &definition(pipeline, &schema, Kept::default())?).await?;
    if let Some(tried) = &tried {
        given::spell(&mut schema, tried);
    }
    let arrow = pipeline.added.schema(pipeline.layout.schema(&schema.to_arrow()))?;
    let columns = columns(&arrow, &schema, &inference, dialect)?;
    let differences = key_differences(pipeline, existing.as_ref(), tried.as_ref());
    check_target(pipeline, &target, existing.as_ref(), &columns, &differences)?;
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
