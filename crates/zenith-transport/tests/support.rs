//! What the tests share: one server, a database for each test, batches in a pool.
//!
//! Helpers that depend on the protocol get it as an argument; the tests of both have a `support` that passes it.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{Field, Schema};
use tokio::sync::OnceCell;
use zenith_memory::Pool;
use zenith_testkit::services::test_servers::{
    CLICKHOUSE_NATIVE_VARIABLE, CLICKHOUSE_URL_VARIABLE, unique_name,
};
use zenith_testkit::{Certificate, ClickHouse, ClickHouseOptions, ClickHouseServer, TlsProxy};
use zenith_transport::{
    ClickHouseSink, ConnectionOptions, Durable, Insert, Protocol, Result, Sink, TableDefinition, Target,
};

/// The server all tests share, and the address of its native protocol.
async fn shared() -> &'static (ClickHouse, String, Option<ClickHouseServer>) {
    static STARTED: OnceCell<(ClickHouse, String, Option<ClickHouseServer>)> = OnceCell::const_new();
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    STARTED
        .get_or_init(|| async {
            if let Some(url) = variable(CLICKHOUSE_URL_VARIABLE) {
                let client = ClickHouse::from_url(&url).unwrap();
                let native = variable(CLICKHOUSE_NATIVE_VARIABLE);
                let native = native.unwrap_or_else(|| format!("{}:9000", client.host()));
                return (client, native, None);
            }
            let server = ClickHouseServer::start(ClickHouseOptions::default()).await.unwrap();
            (server.client(), server.native_address(), Some(server))
        })
        .await
}

/// The server all tests share.
pub async fn server() -> ClickHouse {
    shared().await.0.clone()
}

/// A database of its own for a test.
pub async fn database(label: &str) -> ClickHouse {
    server().await.create_database(&unique_name(label)).await.unwrap()
}

/// `HOST:PORT` of the shared server for a protocol.
pub async fn address(protocol: Protocol) -> String {
    let (client, native, _) = shared().await;
    match protocol {
        Protocol::Http => format!("{}:{}", client.host(), client.port()),
        Protocol::Native => native.clone(),
    }
}

/// A database of the shared server as a target at `address`, as itself or as a proxy before it.
pub fn target_at(protocol: Protocol, address: &str, database: &ClickHouse) -> Target {
    let url = database.url();
    // What stands between the scheme and the address are user and password.
    let at = format!("{}:{}", database.host(), database.port());
    let url = url.replacen(&at, address, 1);
    Target::parse(&url.replacen("http", scheme(protocol), 1)).unwrap()
}

/// What addresses without TLS begin with.
pub fn scheme(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Http => "http",
        Protocol::Native => "clickhouse",
    }
}

/// A sink with a database of its own.
pub async fn sink_over(
    protocol: Protocol,
    label: &str,
    options: ConnectionOptions,
) -> (ClickHouseSink, ClickHouse) {
    let database = database(label).await;
    let target = target_at(protocol, &address(protocol).await, &database);
    (ClickHouseSink::new(target, None, options).unwrap(), database)
}

/// A proxy that speaks TLS before the shared server, its certificate, and a database behind it.
pub async fn behind_tls(protocol: Protocol, label: &str) -> (TlsProxy, Certificate, Target) {
    let certificate = certificate();
    let proxy = TlsProxy::start(address(protocol).await, &certificate).await.unwrap();
    let target = target_behind(&proxy, protocol, label).await;
    (proxy, certificate, target)
}

/// The same, of a proxy that serves only clients with a certificate of the same authority.
pub async fn behind_tls_for_known_clients(
    protocol: Protocol,
    label: &str,
) -> (TlsProxy, Certificate, Target) {
    let certificate = certificate();
    let upstream = address(protocol).await;
    let proxy = TlsProxy::start_for_known_clients(upstream, &certificate).await.unwrap();
    let target = target_behind(&proxy, protocol, label).await;
    (proxy, certificate, target)
}

fn certificate() -> Certificate {
    Certificate::create(&std::env::temp_dir().join(unique_name("zenith-transport-tls"))).unwrap()
}

async fn target_behind(proxy: &TlsProxy, protocol: Protocol, label: &str) -> Target {
    let plain = target_at(protocol, &format!("127.0.0.1:{}", proxy.port()), &database(label).await);
    Target::parse(&format!("{plain}?secure=true")).unwrap()
}

/// A batch of one column.
pub fn column(field: Field, array: impl arrow_array::Array + 'static) -> RecordBatch {
    RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![Arc::new(array) as ArrayRef]).unwrap()
}

/// Creates `table` for a batch and writes it.
pub async fn load(sink: &ClickHouseSink, table: &str, batch: &RecordBatch) -> Result<Durable> {
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
