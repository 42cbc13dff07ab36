//! The collections of a database that can be kept in step.

use zenith_engine::extract::{CollectionKind, ExtractError};
use zenith_engine::{EngineError, MongoSource, Namespace, Source as _};

use crate::exit::Failure;

/// No collection has this name, so that looking for it tells which there are.
const NONE: &str = "zenith: which collections are there?";

/// Names of what is in a database, in order: collections and views, none of the system's.
pub async fn names(source: &MongoSource, database: &str) -> Result<Vec<String>, Failure> {
    let mut names = match source.preflight(&Namespace::new(database, NONE)).await {
        Err(ExtractError::NoSuchCollection { known, .. }) => known,
        // A database comes into being with its first collection.
        Ok(_) | Err(ExtractError::NoSuchDatabase { .. }) => Vec::new(),
        Err(error) => return Err(EngineError::Source(error).into()),
    };
    names.retain(|name| !name.starts_with("system."));
    Ok(names)
}

/// Whether what has this name tells of its changes: views and time series do not. `None` if it is gone.
pub async fn tells_changes(
    source: &MongoSource,
    database: &str,
    name: &str,
) -> Result<Option<bool>, Failure> {
    match source.preflight(&Namespace::new(database, name)).await {
        Ok(found) => {
            Ok(Some(!matches!(found.collection.kind, CollectionKind::View | CollectionKind::TimeSeries)))
        }
        Err(ExtractError::NoSuchCollection { .. } | ExtractError::NoSuchDatabase { .. }) => Ok(None),
        Err(error) => Err(EngineError::Source(error).into()),
    }
}
