//! The suite every sink runs.

use zenith_transport::{HttpSink, MemorySink, sink_test_suite};

async fn http() -> HttpSink {
    crate::support::sink("suite").await.0
}

async fn memory() -> MemorySink {
    MemorySink::new()
}

sink_test_suite!(clickhouse_over_http, http());
sink_test_suite!(in_memory, memory());
