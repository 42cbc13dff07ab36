//! The table its user wants: which columns are never NULL, and the whole of it tried before anything is made or replaced.

use std::borrow::Cow;

use zenith_arrow::Schema;
use zenith_arrow::infer::Inference;
use zenith_arrow::schema::ID_KEY;
use zenith_extract::{Namespace, Source};
use zenith_transport::ddl::{Additions, names_in};
use zenith_transport::{ServerInfo, Sink, TableDefinition, TableInfo, TransportError};

use super::temporary::{run_name, shadow_prefix};
use super::typed_place;
use crate::error::sentence;
use crate::places::{self, Places};
use crate::table_shape::{Nullable, Rows, TableShape};
use crate::{EngineError, Pipeline, Result, suggest};

/// What types begin with that have no `Nullable` around them.
const NEVER_NULLABLE: [&str; 9] = [
    "Nullable(",
    "LowCardinality(Nullable(",
    "Array(",
    "Tuple(",
    "Map(",
    "JSON",
    "Variant(",
    "Dynamic",
    "Nested(",
];

/// The setting that cannot be used, as an error.
pub(super) fn check<S, K>(pipeline: &Pipeline<S, K>) -> Result<()> {
    let options = &pipeline.options;
    let number = options.table.index_field().into_iter().chain(options.table.index_column());
    for name in number {
        let said = options.shape.columns.iter().find(|(column, _)| *column == name);
        if said.is_some_and(|(_, column)| !column.is_computed()) {
            return Err(EngineError::Setting {
                setting: "columns",
                value: name,
                reason: "it is the number of the element that unwind gives each row, and a part of the key"
                    .to_owned(),
            });
        }
    }
    let in_place = options.table.strategy == crate::Strategy::Truncate;
    let refusal = options.shape.refusal(pipeline.layout.rows().have_versions, in_place);
    match refusal.or_else(|| options.shape.refused_cluster()) {
        Some(refusal) => Err(EngineError::Setting {
            setting: refusal.setting,
            value: refusal.value,
            reason: refusal.reason,
        }),
        None => Ok(()),
    }
}

/// Refuses computed columns of which documents have a field, and warns of columns that there are none of.
pub(super) fn check_columns(shape: &TableShape, schema: &Schema, namespace: &Namespace) -> Result<()> {
    for (name, column) in &shape.columns {
        let is_field = typed_place::find(schema, name).is_some();
        if is_field && column.is_computed() {
            return Err(EngineError::Setting {
                setting: "columns",
                value: name.clone(),
                reason: "ClickHouse would compute it, and documents have a field of that name: give the computed column \
                         another one"
                    .to_owned(),
            });
        }
        if !is_field && !column.is_computed() {
            tracing::warn!(%namespace, "no column comes of a field {name}, for which there is a setting of columns");
        }
    }
    Ok(())
}

/// Refuses a key of fields by whose values a row of a document cannot be found again, where it has to be.
pub(super) fn check_places(shape: &TableShape, schema: &Schema, rows: Rows) -> Result<()> {
    for (setting, sql) in shape.keys().filter(|_| rows.have_versions) {
        for name in places::others(sql) {
            let field = schema.column(&name);
            if field.is_some_and(|field| field.kind.is_never_null()) {
                return Err(EngineError::Setting {
                    setting,
                    value: sql.clone(),
                    reason: format!(
                        "in the mode changes a row is found again by the values of its key, and {name} holds documents or \
                         arrays: take fields of single values"
                    ),
                });
            }
        }
    }
    Ok(())
}

/// Refuses partitions that a table keeps of the one before it, where its key says less than they do.
pub(super) fn check_partitions(definition: &TableDefinition, rows: Rows) -> Result<()> {
    let Additions { order_by: Some(key), partition_by, .. } = &definition.additions else { return Ok(()) };
    match Places::of(key, partition_by.as_deref()) {
        Err(column) if rows.have_versions => Err(EngineError::Setting {
            setting: "order_by",
            value: key.clone(),
            reason: format!(
                "the table is divided by {}, and in the mode changes {column} has to be a part of the key then: say \
                 partition_by as well",
                partition_by.as_deref().unwrap_or_default()
            ),
        }),
        _ => Ok(()),
    }
}

/// A table as it would be with columns that may be NULL, which is what types are compared by.
pub(super) fn nullable(table: &TableInfo) -> Cow<'_, TableInfo> {
    let is_plain = |name: &str, data_type: &str| name != ID_KEY && is_required(data_type);
    if !table.columns.iter().any(|column| is_plain(&column.name, &column.data_type)) {
        return Cow::Borrowed(table);
    }
    let mut table = table.clone();
    for column in &mut table.columns {
        if is_plain(&column.name, &column.data_type) {
            column.data_type = match column.data_type.strip_prefix("LowCardinality(") {
                Some(inside) => format!("LowCardinality(Nullable({inside})"),
                None => format!("Nullable({})", column.data_type),
            };
        }
    }
    Cow::Owned(table)
}

/// Whether a column of this type could be NULL, and is not.
fn is_required(data_type: &str) -> bool {
    !NEVER_NULLABLE.iter().any(|beginning| data_type.starts_with(beginning))
}

/// Which of the columns are never NULL.
pub(super) struct Requirement<'a> {
    pub(super) shape: &'a TableShape,
    pub(super) inference: &'a Inference,
    /// The table whose columns stay, if there is one.
    pub(super) kept: Option<&'a TableInfo>,
    /// The table whose columns count for more than the sample.
    pub(super) adopted: Option<&'a TableInfo>,
    /// The table that its user made, and that takes the rows.
    pub(super) of_user: Option<&'a TableInfo>,
}

impl Requirement<'_> {
    pub(super) fn apply(&self, schema: &mut Schema) {
        let required = self.shape.required();
        let fields = schema.clone();
        schema.retain_columns(|field| {
            let column = field.column_name();
            let path = || fields.keys_of(column).unwrap_or_default().join(".");
            let is_required =
                match (self.kept, required.iter().any(|name| *name == column || *name == path())) {
                    _ if column == ID_KEY => false,
                    (Some(kept), true) => there(kept, column) == Some(true),
                    (_, true) => true,
                    _ if self.of_user.is_some_and(|table| there(table, column) == Some(true)) => true,
                    (None, false) => self.is_always_there(column, path),
                    (Some(_), false) => false,
                };
            if is_required {
                require(field);
            }
            true
        });
    }

    /// Whether every document of the sample has a value for it, where that is asked.
    fn is_always_there(&self, name: &str, path: impl Fn() -> String) -> bool {
        let said = self.shape.columns.iter().find(|(column, _)| column == name);
        if self.shape.nullable == Nullable::Always || said.is_some_and(|(_, column)| column.may_be_null()) {
            return false;
        }
        let by_sample = || {
            let path = path();
            let of_field = self.inference.fields.iter().find(|field| field.path == path);
            of_field.is_some_and(|field| field.values_per_document >= 1.0)
        };
        self.adopted.and_then(|table| there(table, name)).unwrap_or_else(by_sample)
    }
}

/// Has columns be NULL or not as those of a table are.
pub(super) fn require_as(schema: &mut Schema, table: &TableInfo) {
    schema.retain_columns(|field| {
        match there(table, field.column_name()) {
            _ if field.column_name() == ID_KEY => {}
            Some(true) if !field.required => require(field),
            Some(false) => field.required = false,
            Some(true) | None => {}
        }
        true
    });
}

fn require(field: &mut zenith_arrow::Field) {
    let plain = zenith_arrow::Field::new(String::new(), field.kind.clone());
    *field = std::mem::replace(field, plain).required();
}

/// Whether the column of this name is never NULL; `None` if there is none.
fn there(table: &TableInfo, name: &str) -> Option<bool> {
    table.columns.iter().find(|column| column.name == name).map(|column| is_required(&column.data_type))
}

/// Tries the table under another name, and gives it back as the sink spells it; `None` if nothing is asked of it, or the sink
/// cannot try it.
///
/// # Errors
/// The setting that is in the way.
pub(super) async fn try_table<S: Source, K: Sink>(
    pipeline: &Pipeline<S, K>,
    target: &ServerInfo,
    definition: &TableDefinition,
) -> Result<Option<TableInfo>> {
    let shape = &pipeline.options.shape;
    if shape.is_empty() || !target.database_exists || !pipeline.options.try_table {
        return Ok(None);
    }
    let mut trial = definition.clone().if_not_exists();
    trial.name = format!("{}try_{}", shadow_prefix(&pipeline.table), run_name());
    let error = match pipeline.sink.admin().try_table(&trial, ID_KEY).await {
        Ok(table) => return Ok(Some(table)),
        Err(TransportError::Unsupported { .. }) => return Ok(None),
        Err(error) if error.is_transient() && !error.is_without_keeper() => return Err(error.into()),
        Err(error) => error,
    };
    // Without any of it first: what is wrong may be something else.
    let none = [(String::new(), Additions::default())];
    for (step, additions) in none.into_iter().chain(trial.additions.steps()) {
        let attempt = TableDefinition { additions, ..trial.clone() };
        match pipeline.sink.admin().try_table(&attempt, ID_KEY).await {
            Ok(_) => {}
            Err(_) if step.is_empty() => break,
            Err(reason) => {
                let wrong = unknown_column(shape, &step, &trial).or_else(|| wrong(shape, &step, &reason));
                return Err(wrong.unwrap_or_else(|| error.into()));
            }
        }
    }
    Err(error.into())
}

/// The error of a step that ClickHouse refuses and that names a column which the table does not have.
fn unknown_column(shape: &TableShape, step: &str, trial: &TableDefinition) -> Option<EngineError> {
    let setting = shape.setting_of(step)?;
    let clauses = ["ORDER BY ", "PARTITION BY ", "PRIMARY KEY ", "TTL "];
    let expression = clauses.into_iter().find_map(|clause| step.strip_prefix(clause))?;
    let of_documents = trial.schema.fields().iter().map(|field| field.name().as_str());
    let known: Vec<&str> =
        of_documents.chain(trial.additions.columns.iter().map(|(name, _)| name.as_str())).collect();
    let unknown = names_in(expression).into_iter().find(|name| !known.contains(&name.as_str()))?;
    let meant = known.into_iter().filter(|name| !name.starts_with("_zenith_"));
    Some(EngineError::Setting {
        setting,
        reason: format!("the table has no column {unknown}{}", suggest::hint(&unknown, meant)),
        value: step.to_owned(),
    })
}

/// The error of a setting that a step comes of.
pub(super) fn wrong(shape: &TableShape, step: &str, reason: &dyn std::error::Error) -> Option<EngineError> {
    let setting = shape.setting_of(step)?;
    let value = step.strip_prefix("the ").unwrap_or(step).to_owned();
    Some(EngineError::Setting { setting, value, reason: sentence(reason) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_compared_as_if_they_could_be_null() {
        let column = |data_type: &str| zenith_transport::ColumnInfo {
            name: "x".to_owned(),
            data_type: data_type.to_owned(),
            default_kind: String::new(),
        };
        let types = ["Int64", "LowCardinality(String)", "Nullable(Int8)", "Array(Int8)", "Decimal(9, 2)"];
        let table = TableInfo {
            columns: types.map(column).into(),
            engine: String::new(),
            sorting_key: String::new(),
            comment: String::new(),
            rows: 0,
            additions: None,
            hidden_by: None,
        };
        let seen: Vec<String> =
            nullable(&table).columns.iter().map(|column| column.data_type.clone()).collect();
        assert_eq!(
            seen,
            [
                "Nullable(Int64)",
                "LowCardinality(Nullable(String))",
                "Nullable(Int8)",
                "Array(Int8)",
                "Nullable(Decimal(9, 2))"
            ]
        );
    }
}
