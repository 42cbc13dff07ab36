//! A table tried before it is made: whether ClickHouse takes its definition, and a row of which only the key has a value.

use super::{ClickHouseSink, catalog};
use crate::ddl::{TableDefinition, identifier};
use crate::sink::{Sink, TableInfo};
use crate::{Result, TransportError};

/// Creates the table, looks at it, and drops it in any case.
pub(super) async fn try_table(
    sink: &ClickHouseSink,
    definition: &TableDefinition,
    filled: &str,
) -> Result<TableInfo> {
    let outcome = match sink.create(definition).await {
        Ok(()) => try_row(sink, definition, filled).await,
        Err(error) => Err(error),
    };
    // A failed statement may have had its effect all the same.
    let dropped = sink.drop_table(&definition.name).await;
    let table = outcome?;
    dropped.map(|()| table)
}

/// Expressions of keys, partitions and computed columns have to take a row without values: that of a deleted document, or of
/// one that lacks the fields.
async fn try_row(sink: &ClickHouseSink, definition: &TableDefinition, filled: &str) -> Result<TableInfo> {
    let name = sink.full_name(&definition.name);
    let missing = || TransportError::NoTable { table: name.clone() };
    let table = catalog::describe(sink, &definition.name).await?.ok_or_else(missing)?;
    let column = identifier(filled);
    // Of no rows `any` is the default of its type.
    let sql = format!("INSERT INTO {name} ({column}) SELECT any({column}) FROM {name}");
    sink.run("inserting a row without values, as of a document that has none of the fields", &sql).await?;
    Ok(table)
}
