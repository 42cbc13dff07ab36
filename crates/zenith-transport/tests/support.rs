//! What the tests share: one server, a database for each test, batches in a pool.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{Field, Schema};
use tokio::sync::OnceCell;
use zenith_memory::Pool;
use zenith_testkit::services::test_servers::{CLICKHOUSE_URL_VARIABLE, unique_name};
use zenith_testkit::{ClickHouse, ClickHouseOptions, ClickHouseServer};
use zenith_transport::{Durable, HttpOptions, HttpSink, Insert, Result, Sink, TableDefinition, Target};

/// The server all tests share.
pub async fn server() -> ClickHouse {
    static STARTED: OnceCell<ClickHouseServer> = OnceCell::const_new();
    match std::env::var(CLICKHOUSE_URL_VARIABLE) {
        Ok(url) if !url.is_empty() => ClickHouse::from_url(&url).unwrap(),
        _ => STARTED
            .get_or_init(|| async { ClickHouseServer::start(ClickHouseOptions::default()).await.unwrap() })
            .await
            .client(),
    }
}

/// A database of its own for a test.
pub async fn database(label: &str) -> ClickHouse {
    server().await.create_database(&unique_name(label)).await.unwrap()
}

/// A sink for `database`.
pub fn sink_for(database: &ClickHouse, pool: Option<Pool>, options: HttpOptions) -> HttpSink {
    HttpSink::new(Target::parse(&database.url()).unwrap(), pool, options).unwrap()
}

/// A sink with a database of its own.
pub async fn sink(label: &str) -> (HttpSink, ClickHouse) {
    let database = database(label).await;
    (sink_for(&database, None, HttpOptions::default()), database)
}

/// A batch of one column.
pub fn column(field: Field, array: impl arrow_array::Array + 'static) -> RecordBatch {
    RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![Arc::new(array) as ArrayRef]).unwrap()
}

/// Creates `table` for a batch and writes it.
pub async fn load(sink: &HttpSink, table: &str, batch: &RecordBatch) -> Result<Durable> {
    sink.create(&TableDefinition::new(table, batch.schema())).await?;
    sink.write(Insert { table: table.into(), batch: batch.clone(), token: "first".into() }).await
}

/// Bytes as a buffer of the pool.
pub fn pooled(pool: &Pool, bytes: &[u8]) -> Buffer {
    let mut reservation = pool.try_reserve(bytes.len()).expect("room in the pool");
    let mut buf = reservation.allocate(bytes.len()).unwrap();
    buf[..bytes.len()].copy_from_slice(bytes);
    buf.freeze(bytes.len())
}

/// Rows `0..count` of `id` and a text of 56 bytes, in the pool: 68 bytes a row.
pub fn pooled_rows(pool: &Pool, count: i32) -> RecordBatch {
    let ids: Vec<u8> = (0..i64::from(count)).flat_map(i64::to_le_bytes).collect();
    let offsets: Vec<u8> = (0..=count).flat_map(|row| (row * 56).to_le_bytes()).collect();
    let text: String = (0..count).map(|row| format!("{row:056}")).collect();
    let ids = Int64Array::new(ScalarBuffer::from(pooled(pool, &ids)), None);
    let offsets = OffsetBuffer::new(ScalarBuffer::from(pooled(pool, &offsets)));
    let texts = StringArray::new(offsets, pooled(pool, text.as_bytes()), None);
    RecordBatch::try_from_iter([("id", Arc::new(ids) as ArrayRef), ("text", Arc::new(texts) as ArrayRef)])
        .unwrap()
}

/// Waits until `condition` holds, and fails when it does not within ten seconds.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..500 {
        if condition() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("not within ten seconds: {what}");
}
