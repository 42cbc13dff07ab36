//! The collections of a database that can be kept in step.

use zenith_engine::extract::CollectionKind;
use zenith_engine::{EngineError, MongoSource};

use crate::exit::Failure;

/// What is in a database by name, and whether it tells of its changes: views and time series do not.
///
/// None of it is read: a view may take its time, or fail.
pub async fn names(source: &MongoSource, database: &str) -> Result<Vec<(String, bool)>, Failure> {
    let found =
        source.collections(database).await.map_err(|error| Failure::from(EngineError::Source(error)))?;
    let tells = |kind| matches!(kind, CollectionKind::Collection | CollectionKind::Capped);
    Ok(found.into_iter().map(|(name, kind)| (name, tells(kind))).collect())
}
