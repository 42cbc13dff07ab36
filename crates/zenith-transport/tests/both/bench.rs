//! What a fault is tried on: a server of its own, a sink before it, and a batch to send.
//!
//! The server is nobody else's because a native connection that is reset ends the packaged ClickHouse, and a
//! request over HTTP that is cut in its middle does so now and then.

use arrow_array::RecordBatch;
use zenith_memory::Pool;
use zenith_testkit::{ClickHouse, ClickHouseServer, FaultProxy};
use zenith_transport::{ClickHouseSink, ConnectionOptions, Insert, SendMode, Sink, TableDefinition};

use super::support::{PROTOCOL, own_address, pooled_rows, target_at};

pub const MIB: usize = 1024 * 1024;

/// A server, before it a proxy, before that a sink with its table `t`, and a pool with a batch of 14 MB.
pub struct Bench {
    pub sink: ClickHouseSink,
    pub proxy: FaultProxy,
    pub server: ClickHouseServer,
    pub pool: Pool,
    pub batch: RecordBatch,
}

pub async fn bench(send: SendMode) -> Bench {
    let (server, database) = own_server().await;
    let proxy = FaultProxy::start(own_address(&server)).await.unwrap();
    let at = format!("127.0.0.1:{}", proxy.port());
    let (sink, pool, batch) = sink_with_table(&at, &database, send).await;
    Bench { sink, proxy, server, pool, batch }
}

/// The same without the proxy, so that the end of the server is seen at once.
pub async fn without_proxy() -> (ClickHouseSink, ClickHouseServer, RecordBatch) {
    let (server, database) = own_server().await;
    let at = own_address(&server);
    let (sink, _, batch) = sink_with_table(&at, &database, SendMode::default()).await;
    (sink, server, batch)
}

/// The insert of a batch into that table; a repeat has the same token.
pub fn insert(batch: &RecordBatch) -> Insert {
    Insert { table: "t".into(), batch: batch.clone(), token: "a".into() }
}

async fn own_server() -> (ClickHouseServer, ClickHouse) {
    let server = ClickHouseServer::start(Default::default()).await.unwrap();
    let database = server.client().create_database("d").await.unwrap();
    (server, database)
}

async fn sink_with_table(
    address: &str,
    database: &ClickHouse,
    send: SendMode,
) -> (ClickHouseSink, Pool, RecordBatch) {
    let pool = Pool::in_file(32 * MIB).unwrap();
    let options = ConnectionOptions { send, ..ConnectionOptions::default() };
    let target = target_at(PROTOCOL, address, database);
    let sink = ClickHouseSink::new(target, Some(pool.clone()), options).unwrap();
    let batch = pooled_rows(&pool, 200_000);
    sink.create(&TableDefinition::new("t", batch.schema())).await.unwrap();
    (sink, pool, batch)
}
