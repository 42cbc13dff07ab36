//! The collections of a database that can be kept in step.

use zenith_engine::extract::{CollectionKind, ExtractError};
use zenith_engine::{EngineError, MongoSource, Namespace, Source as _};

use crate::exit::Failure;

/// No collection has this name, so that looking for it tells which there are.
const NONE: &str = "zenith: which collections are there?";

/// Names of the collections, in order: no views, no time series, none of the system's.
pub async fn list(source: &MongoSource, database: &str) -> Result<Vec<String>, Failure> {
    let known = match source.preflight(&Namespace::new(database, NONE)).await {
        Err(ExtractError::NoSuchCollection { known, .. }) => known,
        // A database comes into being with its first collection.
        Ok(_) | Err(ExtractError::NoSuchDatabase { .. }) => Vec::new(),
        Err(error) => return Err(EngineError::Source(error).into()),
    };
    let mut names = Vec::with_capacity(known.len());
    for name in known {
        if name.starts_with("system.") {
            continue;
        }
        match source.preflight(&Namespace::new(database, &name)).await {
            Ok(found) => match found.collection.kind {
                CollectionKind::View | CollectionKind::TimeSeries => {}
                _ => names.push(name),
            },
            // Dropped a moment ago.
            Err(ExtractError::NoSuchCollection { .. } | ExtractError::NoSuchDatabase { .. }) => {}
            Err(error) => return Err(EngineError::Source(error).into()),
        }
    }
    Ok(names)
}
