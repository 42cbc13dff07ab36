//! A table that gets the columns of another schema.

use zenith_arrow::Schema;
use zenith_transport::{Sink, TransportError};

use super::growth::changed_columns;

/// Gives a table the columns of `then`, new ones behind one of its columns or behind all of them, and gives back the statements
/// that did.
///
/// # Errors
/// Those of the sink.
pub(crate) async fn alter<K: Sink>(
    sink: &K,
    table: &str,
    now: &Schema,
    then: &Schema,
    after: Option<&str>,
) -> Result<String, TransportError> {
    let (added, grown) = changed_columns(now, then);
    let added = sink.admin().add_columns(table, &added, after).await?;
    let grown = sink.admin().modify_columns(table, &grown).await?;
    let statements = [added, grown];
    let statements = statements.iter().map(String::as_str).filter(|text| !text.is_empty());
    Ok(statements.collect::<Vec<_>>().join("; "))
}
