//! A configuration drafted from what is found at both ends: what `zenith init --from URI --to URL` writes.
//!
//! | part | what it does |
//! | --- | --- |
//! | `look` | asks both ends: collections, sizes, columns, a sorting key |
//! | `text` | the file |

mod look;
mod text;

pub use look::look;
pub use text::draft;

use zenith_engine::{EngineError, Namespace, ReloadPlan};

/// Both ends, and what would become of each collection.
pub struct Found {
    /// The database of the source's address.
    pub database: Option<String>,
    /// The collections that were found.
    pub collections: Vec<Collection>,
    /// What a pattern matches and is left out, and why.
    pub left_out: Vec<(Namespace, &'static str)>,
}

/// One collection.
pub struct Collection {
    /// Its name.
    pub namespace: Namespace,
    /// The table it would get.
    pub table: String,
    /// Or why it cannot be planned.
    pub plan: Result<Planned, EngineError>,
}

/// What of a plan is written; the plan itself has a sample of the documents.
pub struct Planned {
    /// The MongoDB that it is on, in words.
    pub server: String,
    /// Whether it tells of its changes, or why it does not.
    pub changes: Result<(), &'static str>,
    /// Documents and bytes.
    pub size: Option<(u64, u64)>,
    /// The columns it would get.
    pub columns: Vec<zenith_engine::ColumnPlan>,
    /// Number of documents looked at.
    pub sampled: usize,
    /// A sorting key that the sample suggests.
    pub key: Vec<String>,
}

impl From<&ReloadPlan> for Planned {
    fn from(plan: &ReloadPlan) -> Planned {
        let source = &plan.source;
        let size = source.collection.size.map(|size| (size.documents, size.bytes));
        Planned {
            server: look::server(source),
            changes: look::changes(source),
            size,
            columns: plan.columns.clone(),
            sampled: plan.sampled,
            key: plan.suggested_key().into_iter().map(|part| part.column).collect(),
        }
    }
}
