//! Broken connections, lost answers, silence, and insertions given up half-way, over the native protocol.

use std::time::Duration;

use arrow_array::RecordBatch;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use zenith_memory::Pool;
use zenith_testkit::{ClickHouseServer, Direction, Fault, FaultProxy, Plan};
use zenith_transport::{
    ClickHouseSink, ConnectionOptions, Insert, Sink, TableDefinition, Target, TransportError, WriteStrategy,
};

use super::support::{PROTOCOL, eventually, pooled_rows, target_at};

const MIB: usize = 1024 * 1024;

/// A server of its own, for a connection that is reset ends the packaged ClickHouse; before it a proxy, before that a
/// sink with its table `t`, and a pool with a batch of 14 MB.
struct Bench {
    sink: ClickHouseSink,
    proxy: FaultProxy,
    server: ClickHouseServer,
    pool: Pool,
    batch: RecordBatch,
}

async fn bench(strategy: WriteStrategy) -> Bench {
    let server = ClickHouseServer::start(Default::default()).await.unwrap();
    let proxy = FaultProxy::start(server.native_address()).await.unwrap();
    let database = server.client().create_database("d").await.unwrap();
    let target = target_at(PROTOCOL, &format!("127.0.0.1:{}", proxy.port()), &database);
    let pool = Pool::new(32 * MIB).unwrap();
    let options = ConnectionOptions { strategy, ..ConnectionOptions::default() };
    let sink = ClickHouseSink::new(target, Some(pool.clone()), options).unwrap();
    let batch = pooled_rows(&pool, 200_000);
    sink.create(&TableDefinition::new("t", batch.schema())).await.unwrap();
    Bench { sink, proxy, server, pool, batch }
}

/// A server of its own, whose end is seen at once.
async fn without_proxy() -> (ClickHouseSink, ClickHouseServer, RecordBatch) {
    let server = ClickHouseServer::start(Default::default()).await.unwrap();
    let database = server.client().create_database("d").await.unwrap();
    let target = target_at(PROTOCOL, &server.native_address(), &database);
    let pool = Pool::new(32 * MIB).unwrap();
    let sink = ClickHouseSink::new(target, Some(pool.clone()), ConnectionOptions::default()).unwrap();
    let batch = pooled_rows(&pool, 200_000);
    sink.create(&TableDefinition::new("t", batch.schema())).await.unwrap();
    (sink, server, batch)
}

fn insert(batch: &RecordBatch) -> Insert {
    Insert { table: "t".into(), batch: batch.clone(), token: "a".into() }
}

#[tokio::test]
async fn a_connection_cut_in_the_middle_of_an_insert_is_transient() {
    for strategy in [WriteStrategy::Sendfile, WriteStrategy::Writev] {
        let Bench { sink, proxy, mut server, pool, batch } = bench(strategy).await;
        for bytes in [1, 1_000, 5_000_000] {
            let cut = Fault::CutAfter { direction: Direction::ToServer, bytes };
            proxy.plan(Plan::new(cut).when_client_sends("INSERT").times(1));
            let error = sink.write(insert(&batch)).await.unwrap_err();
            assert!(
                error.is_transient() && error.is_outcome_unknown() && !error.is_data_rejected(),
                "{error:?}"
            );
            proxy.heal();
            server.restart().await.unwrap();
            assert_eq!(sink.count("t").await.unwrap(), 0, "{strategy:?} {bytes}");
        }
        sink.write(insert(&batch)).await.unwrap();
        assert_eq!(sink.count("t").await.unwrap(), 200_000);
        drop(batch);
        eventually("the buffers are back", || pool.stats().in_use == 0).await;
    }
}

#[tokio::test]
async fn a_lost_acknowledgement_is_made_good_by_the_token() {
    let Bench { sink, proxy, mut server, batch, .. } = bench(WriteStrategy::default()).await;
    let lost = Fault::LoseAnswer { after_request_bytes: 1_000_000, settle: Duration::from_secs(3) };
    proxy.plan(Plan::new(lost).when_client_sends("INSERT").times(1));
    let error = sink.write(insert(&batch)).await.unwrap_err();
    assert!(error.is_transient() && error.is_outcome_unknown(), "{error:?}");
    proxy.heal();
    server.restart().await.unwrap();
    assert_eq!(sink.count("t").await.unwrap(), 200_000, "it had landed");
    sink.write(insert(&batch)).await.unwrap();
    assert_eq!(sink.count("t").await.unwrap(), 200_000, "and the repeat was swallowed");
}

/// Idle connections that the server has closed are noticed before they are used.
#[tokio::test]
async fn idle_connections_that_broke_are_not_used() {
    let (sink, mut server, batch) = without_proxy().await;
    for token in ["a", "b", "c"] {
        sink.write(Insert { token: token.into(), ..insert(&batch) }).await.unwrap();
        server.restart().await.unwrap();
    }
    assert_eq!(sink.count("t").await.unwrap(), 600_000);
}

/// After a long rest a connection is asked first; one that no longer answers is replaced.
#[tokio::test]
async fn connections_are_asked_after_a_long_rest() {
    let Bench { sink, proxy, server: _server, .. } = bench(WriteStrategy::default()).await;
    let rest = || async {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(60)).await;
        tokio::time::resume();
    };
    let before = proxy.connections();
    rest().await;
    assert_eq!(sink.count("t").await.unwrap(), 0);
    assert_eq!(proxy.connections(), before, "it answered");
    proxy.plan(
        Plan::new(Fault::Delay { direction: Direction::ToServer, duration: Duration::from_secs(6) }).times(1),
    );
    rest().await;
    assert_eq!(sink.count("t").await.unwrap(), 0);
    assert_eq!(proxy.connections(), before + 1, "it did not");
}

#[tokio::test]
async fn a_server_that_was_killed_is_back_after_its_restart() {
    let (sink, mut server, batch) = without_proxy().await;
    sink.write(insert(&batch)).await.unwrap();
    server.kill().unwrap();
    let error = sink.write(insert(&batch)).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    server.restart().await.unwrap();
    sink.write(insert(&batch)).await.unwrap();
    assert_eq!(sink.count("t").await.unwrap(), 200_000);
}

fn text(bytes: &[u8]) -> Vec<u8> {
    [&[u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

/// A server that greets, answers the questions for its version and for the table's columns, and asks for the block of an
/// insert, whose bytes it leaves unread.
async fn silent_server() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("clickhouse://{}/d", listener.local_addr().unwrap());
    (listener, url)
}

/// A block with one row of the given columns, each a name, a type and the bytes of its value.
fn block(columns: &[(&str, &str, Vec<u8>)], rows: u8) -> Vec<u8> {
    let mut bytes = b"\x01\x00\x01\x00\x02\xff\xff\xff\xff\x00".to_vec();
    bytes.extend([u8::try_from(columns.len()).unwrap(), rows]);
    for (name, data_type, value) in columns {
        bytes.extend([text(name.as_bytes()), text(data_type.as_bytes()), vec![0], value.clone()].concat());
    }
    bytes
}

async fn answer_until_insert(stream: &mut TcpStream) {
    let mut request = vec![0; 65536];
    let hello = b"\x00\x02CH\x1a\x07\xbb\xa9\x03\x03UTC\x01h\x02";
    let mut said = Vec::new();
    let version = block(
        &[
            ("version", "String", text(b"26.7.2.1")),
            ("user", "String", text(b"u")),
            ("settings", "Array(String)", vec![0; 8]),
        ],
        1,
    );
    let sample = block(&[], 0);
    let answers: [(&[u8], Vec<u8>); 4] = [
        (b"zenith", hello.to_vec()),
        (b"version()", [version, vec![5]].concat()),
        (b"system.columns", vec![5]),
        (b"INSERT", sample),
    ];
    for (question, answer) in answers {
        while !said.windows(question.len()).any(|window: &[u8]| window == question) {
            let read = stream.read(&mut request).await.unwrap();
            assert!(read > 0);
            said.extend_from_slice(&request[..read]);
        }
        // The rest of the question is on its way with its beginning.
        said.clear();
        stream.write_all(&answer).await.unwrap();
    }
}

/// Pages lent by `sendfile` do not return to the pool while the server may still read them.
#[tokio::test]
async fn buffers_of_an_abandoned_insert_are_held_until_the_server_is_done() {
    for give_up_by_timeout in [true, false] {
        let (listener, url) = silent_server().await;
        let pool = Pool::new(32 * MIB).unwrap();
        let idle_timeout = Duration::from_millis(if give_up_by_timeout { 200 } else { 60_000 });
        let options = ConnectionOptions { idle_timeout, ..ConnectionOptions::default() };
        let sink = ClickHouseSink::new(Target::parse(&url).unwrap(), Some(pool.clone()), options).unwrap();
        let batch = pooled_rows(&pool, 100_000);
        let bytes = pool.stats().in_use;
        let (writing, accepted) = tokio::join!(
            async {
                let write = sink.write(Insert { table: "t".into(), batch, token: "a".into() });
                tokio::time::timeout(Duration::from_secs(2), write).await
            },
            async {
                let (mut stream, _) = listener.accept().await.unwrap();
                answer_until_insert(&mut stream).await;
                stream
            }
        );
        if give_up_by_timeout {
            let error = writing.unwrap().unwrap_err();
            assert!(matches!(error, TransportError::Silent { .. }) && error.is_transient(), "{error:?}");
        } else {
            assert!(writing.is_err(), "the future was dropped");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        // What was re-laid is held by nobody; the column that is sent as it lies is.
        assert!(pool.stats().in_use >= 800_000, "{} of {bytes} are held", pool.stats().in_use);
        drop(accepted);
        eventually("the buffers are back", || pool.stats().in_use == 0).await;
    }
}

/// What was sent when the insert was given up is what the server reads, though the pool is busy meanwhile.
#[tokio::test]
async fn an_abandoned_insert_is_not_overwritten() {
    let (listener, url) = silent_server().await;
    let pool = Pool::new(4 * MIB).unwrap();
    let target = Target::parse(&url).unwrap();
    let sink = ClickHouseSink::new(target, Some(pool.clone()), ConnectionOptions::default()).unwrap();
    let batch = pooled_rows(&pool, 15_000);
    let (writing, mut stream) = tokio::join!(
        async {
            let write = sink.write(Insert { table: "t".into(), batch, token: "a".into() });
            tokio::time::timeout(Duration::from_millis(500), write).await
        },
        async {
            let (mut stream, _) = listener.accept().await.unwrap();
            answer_until_insert(&mut stream).await;
            stream
        }
    );
    assert!(writing.is_err());
    // Whatever of the pool is free is overwritten.
    while let Some(mut reservation) = pool.try_reserve(64 * 1024) {
        let mut buf = reservation.allocate(64 * 1024).unwrap();
        buf.fill(0xee);
        std::mem::forget(buf);
    }
    let mut received = Vec::new();
    stream.read_to_end(&mut received).await.unwrap();
    assert!(received.len() > 100_000, "{} bytes were on their way", received.len());
    assert!(
        !received.windows(64).any(|bytes| bytes.iter().all(|&byte| byte == 0xee)),
        "nothing was overwritten"
    );
}

/// An insert that is told to have ended before its rows were taken is no success.
#[tokio::test]
async fn an_end_before_the_rows_is_no_acknowledgement() {
    let (listener, url) = silent_server().await;
    let target = Target::parse(&url).unwrap();
    let sink = ClickHouseSink::new(target, None, ConnectionOptions::default()).unwrap();
    let pool = Pool::new(32 * MIB).unwrap();
    let batch = pooled_rows(&pool, 100_000);
    let (written, _stream) =
        tokio::join!(sink.write(Insert { table: "t".into(), batch, token: "a".into() }), async {
            let (mut stream, _) = listener.accept().await.unwrap();
            answer_until_insert(&mut stream).await;
            stream.write_all(&[5]).await.unwrap();
            stream
        });
    let error = written.unwrap_err();
    assert!(error.to_string().contains("before it had its rows"), "{error}");
}

#[tokio::test]
async fn a_future_dropped_half_way_does_not_leave_its_connection_behind() {
    let Bench { sink, proxy, batch, server: _server, .. } = bench(WriteStrategy::default()).await;
    let before = proxy.connections();
    proxy.plan(Fault::Delay { direction: Direction::ToClient, duration: Duration::from_millis(500) });
    for _ in 0..3 {
        assert!(tokio::time::timeout(Duration::from_millis(100), sink.count("t")).await.is_err());
    }
    proxy.heal();
    sink.write(insert(&batch)).await.unwrap();
    assert_eq!(
        sink.count("t").await.unwrap(),
        200_000,
        "no answer of an earlier question was taken for this one's"
    );
    assert!(proxy.connections() > before);
}
