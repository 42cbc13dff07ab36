//! What one insert is: one block, one token, one set of buffers that come back.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field};
use zenith_memory::Pool;
use zenith_testkit::ClickHouse;
use zenith_transport::{
    ClickHouseSink, Compression, ConnectionOptions, Insert, SendMode, SendPath, SendReason, Sink,
    TableDefinition,
};

use super::support::{column, database, load, pooled_rows, proxied, sink, sink_for};

const MIB: usize = 1024 * 1024;

async fn checksum(database: &ClickHouse, table: &str) -> String {
    database.query(&format!("SELECT count(), sum(cityHash64(id, text)) FROM {table}")).await.unwrap()
}

/// 300,000 rows are 20 MB; their text is known, so ClickHouse can say what the sum must be.
#[tokio::test]
async fn every_way_of_sending_sends_the_same_rows_and_gives_the_buffers_back() {
    let database = database("strategies").await;
    let sum = "SELECT count(), sum(cityHash64(toInt64(number), leftPad(toString(number), 56, '0'))) \
               FROM numbers(300000)";
    let expected = database.query(sum).await.unwrap();
    for (send, compression, bytes) in [
        (SendMode::Auto, Compression::None, 19_000_000..22_000_000),
        (SendMode::Writev, Compression::None, 19_000_000..22_000_000),
        (SendMode::Sendfile, Compression::None, 19_000_000..22_000_000),
        (SendMode::Splice, Compression::None, 19_000_000..22_000_000),
        (SendMode::Auto, Compression::Lz4, 1_000_000..10_000_000),
        (SendMode::Auto, Compression::Zstd, 100_000..6_000_000),
    ] {
        let pool = Pool::in_file(32 * MIB).unwrap();
        let options = ConnectionOptions { send, compression, ..ConnectionOptions::default() };
        let sink = sink_for(&database, Some(pool.clone()), options).await;
        let batch = pooled_rows(&pool, 300_000);
        let table = format!("{send:?}{compression:?}");
        sink.create(&TableDefinition::new(&table, batch.schema())).await.unwrap();
        let durable = sink.write(Insert { table: table.clone(), batch, token: "a".into() }).await.unwrap();
        assert!(bytes.contains(&durable.bytes), "{table}: {durable:?}");
        assert_eq!(pool.stats().in_use, 0, "{table}: the buffers are back once the insert is acknowledged");
        assert_eq!(checksum(&database, &table).await, expected, "{table}");
        let report = sink.send_report().unwrap();
        let told = match (send, compression) {
            (SendMode::Auto, Compression::None) => (SendPath::Writev, SendReason::SameMachine),
            (SendMode::Auto, _) => (SendPath::Writev, SendReason::Compressed),
            (SendMode::Writev, _) => (SendPath::Writev, SendReason::Configured),
            (SendMode::Sendfile, _) => (SendPath::Sendfile, SendReason::Configured),
            (SendMode::Splice, _) => (SendPath::Splice, SendReason::Configured),
        };
        assert_eq!((report.path, report.reason), told, "{table}");
    }
}

/// Many inserts side by side out of one pool that reuses its memory all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reused_buffers_never_reach_an_earlier_insert() {
    for send in [SendMode::Auto, SendMode::Sendfile, SendMode::Splice] {
        let database = database("reuse").await;
        reuse(&database, send).await;
    }
}

async fn reuse(database: &ClickHouse, send: SendMode) {
    let options = ConnectionOptions { send, ..ConnectionOptions::default() };
    let in_file = send != SendMode::Auto;
    let pool = if in_file { Pool::in_file(16 * MIB).unwrap() } else { Pool::new(16 * MIB).unwrap() };
    let sink = Arc::new(sink_for(database, Some(pool.clone()), options).await);
    sink.create(&TableDefinition::new("t", pooled_rows(&pool, 1).schema())).await.unwrap();
    let writers: Vec<_> = (0..3)
        .map(|writer| {
            let (sink, pool) = (Arc::clone(&sink), pool.clone());
            tokio::spawn(async move {
                for insert in 0..12 {
                    let batch = pooled_rows(&pool, 30_000);
                    sink.write(Insert { table: "t".into(), batch, token: format!("{writer} {insert}") })
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let sum = "SELECT 36 * count(), \
               36 * sum(cityHash64(toInt64(number), leftPad(toString(number), 56, '0'))) FROM numbers(30000)";
    assert_eq!(checksum(database, "t").await, database.query(sum).await.unwrap(), "{send:?}");
    assert_eq!(pool.stats().in_use, 0);
}

#[tokio::test]
async fn one_insert_is_one_part() {
    let (sink, database) = sink("part").await;
    let parts = "SELECT count(), sum(rows) FROM system.parts \
                 WHERE active AND database = currentDatabase() AND table = 't'";
    let ids = Int64Array::from_iter_values(0..2_500_000);
    load(&sink, "t", &column(Field::new("id", DataType::Int64, false), ids)).await.unwrap();
    assert_eq!(database.query(parts).await.unwrap(), "1\t2500000");
}

#[tokio::test]
async fn a_repeat_is_acknowledged_like_the_first() {
    let (sink, _) = sink("repeat").await;
    let batch = column(Field::new("id", DataType::Int64, false), Int64Array::from(vec![1, 2]));
    assert_eq!(load(&sink, "t", &batch).await.unwrap().rows, 2);
    let again = sink.write(Insert { table: "t".into(), batch, token: "first".into() }).await.unwrap();
    assert_eq!((again.rows, sink.count("t").await.unwrap()), (2, 2));
}

#[tokio::test]
async fn an_insert_without_rows_is_no_error() {
    let (sink, _) = sink("empty").await;
    let none = column(Field::new("s", DataType::Utf8, true), StringArray::from(Vec::<&str>::new()));
    assert_eq!(load(&sink, "t", &none).await.unwrap().rows, 0);
}

#[tokio::test]
async fn a_refused_batch_is_a_data_error_and_leaves_nothing() {
    let (sink, database) = sink("refused").await;
    database
        .query("CREATE TABLE t (c Int32, CONSTRAINT positive CHECK c > 0) ENGINE = MergeTree ORDER BY ()")
        .await
        .unwrap();
    for values in [vec![Some(1), None], vec![Some(1), Some(-1)]] {
        let batch = column(Field::new("c", DataType::Int32, true), Int32Array::from(values));
        let error = sink.write(Insert { table: "t".into(), batch, token: "a".into() }).await.unwrap_err();
        assert!(error.is_data_rejected() && !error.is_transient() && !error.is_schema_mismatch(), "{error}");
        assert_eq!(sink.count("t").await.unwrap(), 0);
    }
}

#[tokio::test]
async fn columns_the_table_lacks_are_an_error_and_columns_the_batch_lacks_are_not() {
    let (sink, database) = sink("columns").await;
    database
        .query("CREATE TABLE t (a Int32, b String DEFAULT 'none') ENGINE = MergeTree ORDER BY ()")
        .await
        .unwrap();
    let one = || Arc::new(Int32Array::from(vec![1])) as ArrayRef;
    let too_many = RecordBatch::try_from_iter([("a", one()), ("z", one())]).unwrap();
    let error =
        sink.write(Insert { table: "t".into(), batch: too_many, token: "a".into() }).await.unwrap_err();
    assert!(!error.is_transient() && !error.is_data_rejected(), "{error}");
    let other_case = RecordBatch::try_from_iter([("A", one())]).unwrap();
    assert!(sink.write(Insert { table: "t".into(), batch: other_case, token: "a".into() }).await.is_err());
    let fewer = RecordBatch::try_from_iter([("a", one())]).unwrap();
    sink.write(Insert { table: "t".into(), batch: fewer, token: "a".into() }).await.unwrap();
    assert_eq!(database.query("SELECT * FROM t").await.unwrap(), "1\tnone");
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let (proxy, target, _) = proxied("alive").await;
    let sink = ClickHouseSink::new(target, None, ConnectionOptions::default()).unwrap();
    let batch = column(Field::new("id", DataType::Int64, false), Int64Array::from(vec![1]));
    load(&sink, "t", &batch).await.unwrap();
    for token in 0..20 {
        sink.write(Insert { table: "t".into(), batch: batch.clone(), token: token.to_string() })
            .await
            .unwrap();
    }
    sink.execute("SELECT count() FROM t").await.unwrap();
    assert_eq!(sink.count("t").await.unwrap(), 21);
    assert_eq!(proxy.connections(), 1);
    // Whether a connection is kept after an exception is for the protocol.
    assert!(sink.execute("SELECT nonsense").await.is_err());
    assert_eq!(sink.count("t").await.unwrap(), 21);
    assert!(proxy.connections() <= 2);
}
