//! Some documents beside the rows that are made of them.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;
use zenith_engine::state::{MemoryStore, StateStore};
use zenith_engine::{Beside, Pool};

use crate::config::Config;
use crate::connect;
use crate::failure::Failure;

/// Documents that are shown.
pub const DOCUMENTS_MAX: usize = 20;

/// A document and its rows.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SampleJson {
    /// As the source has it, before anything is left out or masked, as relaxed Extended JSON; `null` for those who may not
    /// see that.
    pub document: Option<String>,
    /// Its rows, of which an unwound one has several: values by column, as people write them, long ones cut.
    pub rows: Vec<BTreeMap<String, String>>,
    /// The columns in their order.
    pub columns: Vec<String>,
    /// Why it has no row, if that is known.
    pub refused: Option<String>,
}

impl From<Beside> for SampleJson {
    fn from(beside: Beside) -> SampleJson {
        let columns = beside.rows.first().into_iter().flatten().map(|(column, _)| column.clone());
        SampleJson {
            document: Some(beside.document),
            columns: columns.collect(),
            rows: beside.rows.into_iter().map(|row| row.into_iter().collect()).collect(),
            refused: beside.refused,
        }
    }
}

/// Some documents of the collection of a pipeline that was applied, with the rows that its table has of them.
///
/// # Errors
/// If there is no such pipeline, or an end cannot be asked.
pub async fn of(
    config: &Config,
    store: impl StateStore,
    name: &str,
    documents: usize,
    pool: &Pool,
) -> Result<Vec<SampleJson>, Failure> {
    let single = connect::single(config, name, store, pool).await?;
    let found = Box::pin(single.keeper.beside(name, documents.min(DOCUMENTS_MAX))).await?;
    Ok(found.into_iter().map(SampleJson::from).collect())
}

/// The same of a pipeline that has not begun, with the rows that it would make. Writes nothing.
///
/// # Errors
/// If there is no such pipeline, an end cannot be asked, or what is there already stands in its way.
pub async fn planned(
    config: &Config,
    name: &str,
    documents: usize,
    pool: &Pool,
) -> Result<Vec<SampleJson>, Failure> {
    let single = connect::single(config, name, MemoryStore::new(), pool).await?;
    let found = Box::pin(single.keeper.beside_planned(name, documents.min(DOCUMENTS_MAX))).await?;
    Ok(found.into_iter().map(SampleJson::from).collect())
}
