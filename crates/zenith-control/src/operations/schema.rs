//! The columns of tables: those that are there with the fields they come from, and those that a pipeline would get.

use serde::Serialize;
use utoipa::ToSchema;
use zenith_engine::state::{MemoryStore, SchemaVersion, StateStore};
use zenith_engine::transport::TableInfo;
use zenith_engine::{EngineError, KeyPart, Pipeline, Pool, ReloadOptions, ReloadPlan, Sink as _};

use crate::config::Config;
use crate::connect;
use crate::failure::Failure;
use crate::mismatches::counted;
use crate::time;

/// The columns of a table for machines.
#[derive(Debug, Serialize, ToSchema)]
pub struct SchemaJson {
    /// The collection.
    pub collection: String,
    /// The table.
    pub table: String,
    /// Whether it is there.
    pub table_exists: bool,
    /// Its columns, then those that a sample of the collection has beyond them.
    pub columns: Vec<ColumnJson>,
    /// What the pipeline has made of it, oldest first.
    pub versions: Vec<VersionJson>,
}

/// A column.
#[derive(Debug, Serialize, ToSchema)]
pub struct ColumnJson {
    /// Its name.
    pub name: String,
    /// What the field is in a sample of the collection; nothing for columns of ours.
    pub bson_type: Option<String>,
    /// The share of the sample that has the field.
    pub present: Option<f64>,
    /// The type in the table, or nothing if the table has no such column.
    pub clickhouse_type: Option<String>,
    /// The type that the sample asks for.
    pub inferred_type: Option<String>,
}

/// A version of the columns.
#[derive(Debug, Serialize, ToSchema)]
pub struct VersionJson {
    version: u32,
    created: String,
    /// Why it took the place of the one before it.
    cause: String,
    /// What changed the table, if it was there before.
    statement: String,
}

impl From<&SchemaVersion> for VersionJson {
    fn from(version: &SchemaVersion) -> VersionJson {
        VersionJson {
            version: version.version,
            created: time::rfc3339(version.created),
            cause: version.change.cause.clone(),
            statement: version.change.statement.clone(),
        }
    }
}

/// The columns of a pipeline.
pub struct Schema {
    /// Its collection.
    pub collection: String,
    /// Its table.
    pub table: String,
    /// The table as it is, if it is there.
    pub existing: Option<TableInfo>,
    /// Its columns, then those that a sample of the collection has beyond them.
    pub columns: Vec<ColumnJson>,
    /// What the pipeline has made of it, oldest first.
    pub versions: Vec<SchemaVersion>,
}

impl Schema {
    /// For machines.
    pub fn json(self) -> SchemaJson {
        SchemaJson {
            collection: self.collection,
            table: self.table,
            table_exists: self.existing.is_some(),
            columns: self.columns,
            versions: self.versions.iter().map(VersionJson::from).collect(),
        }
    }
}

/// Looks at the table of a pipeline that was applied, and at a sample of its collection.
///
/// # Errors
/// If there is no such pipeline, or an end cannot be asked.
pub async fn of(config: &Config, store: impl StateStore, name: &str, pool: &Pool) -> Result<Schema, Failure> {
    connect::pipeline(config, name)?;
    let versions = store.schemas(name).await?;
    let single = connect::single(config, name, store, pool).await?;
    let existing = match single.sink.describe(&single.table).await {
        Ok(existing) => existing,
        Err(error) if error.is_unknown_database() => None,
        Err(error) => return Err(EngineError::Sink(error).into()),
    };
    // A plan that may replace the table never finds fault with it.
    let mut options = ReloadOptions {
        replace: true,
        create_database: true,
        try_table: false,
        ..single.pipeline.settings.reload_options(pool.budget())
    };
    options.table.strategy = zenith_engine::Strategy::Swap;
    let plan = Pipeline::builder()
        .source(single.source.clone())
        .sink(single.sink.clone())
        .pool(pool.clone())
        .namespace(single.namespace.clone())
        .table(&single.table)
        .options(options)
        .build()?;
    let plan = Box::pin(plan.plan()).await?;
    let columns = columns(&plan, existing.as_ref());
    Ok(Schema { collection: single.namespace.to_string(), table: single.table, existing, columns, versions })
}

/// The columns of the table, then those that the sample has beyond them.
fn columns(plan: &ReloadPlan, existing: Option<&TableInfo>) -> Vec<ColumnJson> {
    let inferred = |name: &str| plan.columns.iter().find(|column| column.name == name);
    let there: Vec<&str> = existing
        .map_or_else(Vec::new, |table| table.columns.iter().map(|column| column.name.as_str()).collect());
    let of_table = existing.into_iter().flat_map(|table| &table.columns).map(|column| {
        let field = inferred(&column.name);
        ColumnJson {
            name: column.name.clone(),
            bson_type: field.map(|field| field.bson_type.clone()),
            present: field.map(|field| field.present),
            clickhouse_type: Some(column.data_type.clone()),
            inferred_type: field.map(|field| field.target_type.clone()),
        }
    });
    let beyond = plan.columns.iter().filter(|column| !there.contains(&column.name.as_str())).map(|column| {
        ColumnJson {
            name: column.name.clone(),
            bson_type: Some(column.bson_type.clone()),
            present: Some(column.present),
            clickhouse_type: None,
            inferred_type: Some(column.target_type.clone()),
        }
    });
    of_table.chain(beyond).collect()
}

/// What a pipeline that has not begun would make.
#[derive(Debug, Serialize, ToSchema)]
pub struct Inferred {
    /// The pipeline.
    pub name: String,
    /// Its table.
    pub table: String,
    /// The statement that creates the table.
    pub ddl: String,
    /// About how many documents the collection has.
    pub documents: Option<u64>,
    /// The columns, in their order.
    pub columns: Vec<InferredColumn>,
    /// A sorting key that a sample of the documents suggests, if it suggests one.
    pub suggested_key: Option<SuggestedKey>,
}

/// A sorting key to begin with.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SuggestedKey {
    /// Its columns, for `order_by`; the `_id` comes last by itself.
    pub columns: Vec<String>,
    /// What speaks for it, and what it costs.
    pub reason: String,
}

impl SuggestedKey {
    fn of(parts: &[KeyPart], sampled: usize) -> Option<SuggestedKey> {
        if parts.is_empty() {
            return None;
        }
        let part = |part: &KeyPart| match part.is_date {
            true => format!("{} is a date", part.column),
            false => format!("{} has {}", part.column, counted(to_u64(part.values), "value")),
        };
        let parts_in_words: Vec<String> = parts.iter().map(part).collect();
        let columns: Vec<String> = parts.iter().map(|part| part.column.clone()).collect();
        let reason = format!(
            "In a sample of {} {}: questions for some of them read less. Where such a value of a document changes, its \
             row moves, which costs a second row until the next merge.",
            counted(to_u64(sampled), "document"),
            parts_in_words.join(", ")
        );
        Some(SuggestedKey { columns, reason })
    }
}

fn to_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// A column of a table that would be made.
#[derive(Debug, Serialize, ToSchema)]
pub struct InferredColumn {
    /// Its name.
    pub name: String,
    /// Its type in ClickHouse.
    #[serde(rename = "type")]
    pub column_type: String,
    /// The types that the field has in a sample of the collection, in words.
    pub field: String,
    /// The share of the sample that has the field.
    pub present: f64,
    /// What there is to know about a column of ours.
    pub note: Option<&'static str>,
}

/// Looks at both ends of a pipeline that has not begun, which need not be applied. Writes nothing.
///
/// # Errors
/// If there is no such pipeline, an end cannot be asked, or what is there already stands in its way.
pub async fn inferred(config: &Config, name: &str, pool: &Pool) -> Result<Inferred, Failure> {
    let single = connect::single(config, name, MemoryStore::new(), pool).await?;
    let plan = Box::pin(single.keeper.plan(name)).await?;
    let column = |column: &zenith_engine::ColumnPlan| InferredColumn {
        note: match column.name.as_str() {
            "_zenith_extra" => Some("values that fit no column, as Extended JSON"),
            "_zenith_notes" => Some("values that a column shows in another form"),
            "_zenith_version" => Some("the time of the change that wrote the row"),
            "_zenith_deleted" => Some("1 for documents that were deleted"),
            _ => None,
        },
        name: column.name.clone(),
        column_type: column.target_type.clone(),
        field: column.bson_type.clone(),
        present: column.present,
    };
    Ok(Inferred {
        name: name.to_owned(),
        table: single.table,
        ddl: plan.create_statement()?,
        documents: plan.source.collection.size.map(|size| size.documents),
        columns: plan.columns.iter().map(column).collect(),
        suggested_key: SuggestedKey::of(&plan.suggested_key(), plan.sampled),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_suggested_with_what_speaks_for_it() {
        let part = |column: &str, is_date, values| KeyPart { column: column.to_owned(), is_date, values };
        let key = SuggestedKey::of(&[part("state", false, 4), part("at", true, 990)], 1000).unwrap();
        assert_eq!(key.columns, ["state", "at"]);
        assert!(key.reason.starts_with("In a sample of 1,000 documents state has 4 values, at is a date: "));
        assert_eq!(SuggestedKey::of(&[], 1000), None);
    }
}
