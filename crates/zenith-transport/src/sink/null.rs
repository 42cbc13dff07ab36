//! A sink that keeps nothing, to measure everything else.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Durable, Insert, PreflightRequest, Published, ServerInfo, Sink};
use crate::{Result, TableDefinition};

/// Takes everything, counts rows, keeps nothing.
#[derive(Debug, Default)]
pub struct NullSink {
    rows: AtomicU64,
}

impl NullSink {
    /// A new sink.
    #[must_use]
    pub fn new() -> NullSink {
        NullSink::default()
    }

    /// Rows taken so far, by all tables.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }
}

impl Sink for NullSink {
    async fn preflight(&self, _: &PreflightRequest) -> Result<ServerInfo> {
        Ok(ServerInfo {
            version: env!("CARGO_PKG_VERSION").into(),
            version_number: (0, 0),
            user: String::new(),
            date_range_ms: (i64::MIN, i64::MAX),
            database: "null".into(),
            database_created: false,
            database_exists: true,
            exchanges_atomically: true,
        })
    }

    async fn create(&self, _: &TableDefinition) -> Result<()> {
        Ok(())
    }

    async fn write(&self, insert: Insert) -> Result<Durable> {
        let rows = u64::try_from(insert.batch.num_rows()).unwrap_or(u64::MAX);
        let bytes = u64::try_from(insert.batch.get_array_memory_size()).unwrap_or(u64::MAX);
        self.rows.fetch_add(rows, Ordering::Relaxed);
        Ok(Durable { rows, bytes, ..Durable::default() })
    }

    /// What all tables took, since none is kept apart.
    async fn count(&self, _: &str) -> Result<u64> {
        Ok(self.rows())
    }

    async fn publish(&self, _: &str, _: &str) -> Result<Published> {
        Ok(Published::Renamed)
    }

    async fn drop_table(&self, _: &str) -> Result<()> {
        Ok(())
    }
}
