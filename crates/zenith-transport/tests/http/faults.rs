//! Broken connections, lost answers, silence, restarts, and insertions given up half-way.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use zenith_memory::Pool;
use zenith_testkit::{ClickHouse, ClickHouseServer, Direction, Fault, FaultProxy, Plan};
use zenith_transport::{
    ClickHouseSink, ConnectionOptions, Insert, Sink, TableDefinition, Target, TransportError, WriteStrategy,
};

use super::support::{PROTOCOL, eventually, pooled_rows, proxied, target_at};

const MIB: usize = 1024 * 1024;

/// A sink behind a proxy, with its table `t`, and a pool with a batch of 14 MB.
async fn behind_proxy(
    options: ConnectionOptions,
) -> (FaultProxy, ClickHouseSink, ClickHouse, Pool, arrow_array::RecordBatch) {
    let (proxy, target, database) = proxied("faults").await;
    let pool = Pool::new(32 * MIB).unwrap();
    let sink = ClickHouseSink::new(target, Some(pool.clone()), options).unwrap();
    let batch = pooled_rows(&pool, 200_000);
    sink.create(&TableDefinition::new("t", batch.schema())).await.unwrap();
    (proxy, sink, database, pool, batch)
}

fn insert(batch: &arrow_array::RecordBatch) -> Insert {
    Insert { table: "t".into(), batch: batch.clone(), token: "a".into() }
}

/// The server is one of its own, restarted after each cut: a reset in the middle of a request ends the packaged
/// ClickHouse now and then, which makes the insert no less transient.
#[tokio::test]
async fn a_connection_cut_in_the_middle_of_an_insert_is_transient() {
    let mut server = ClickHouseServer::start(Default::default()).await.unwrap();
    let proxy = FaultProxy::start(format!("127.0.0.1:{}", server.http_port())).await.unwrap();
    let database = server.client().create_database("d").await.unwrap();
    let target = target_at(PROTOCOL, &format!("127.0.0.1:{}", proxy.port()), &database);
    for strategy in [WriteStrategy::Sendfile, WriteStrategy::Writev] {
        let pool = Pool::new(32 * MIB).unwrap();
        let options = ConnectionOptions { strategy, ..ConnectionOptions::default() };
        let sink = ClickHouseSink::new(target.clone(), Some(pool.clone()), options).unwrap();
        let batch = pooled_rows(&pool, 200_000);
        sink.drop_table("t").await.unwrap();
        sink.create(&TableDefinition::new("t", batch.schema())).await.unwrap();
        for bytes in [1, 5_000_000] {
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
    let (proxy, sink, _, _, batch) = behind_proxy(ConnectionOptions::default()).await;
    proxy.plan(Plan::new(Fault::lose_answer()).when_client_sends("INSERT").times(1));
    let error = sink.write(insert(&batch)).await.unwrap_err();
    assert!(error.is_transient() && error.is_outcome_unknown(), "{error:?}");
    proxy.heal();
    assert_eq!(sink.count("t").await.unwrap(), 200_000, "it had landed");
    sink.write(insert(&batch)).await.unwrap();
    assert_eq!(sink.count("t").await.unwrap(), 200_000, "and the repeat was swallowed");
}

/// Idle connections that the server has closed are noticed before they are used.
#[tokio::test]
async fn idle_connections_that_broke_are_not_used() {
    let (proxy, sink, _, _, batch) = behind_proxy(ConnectionOptions::default()).await;
    for _ in 0..20 {
        proxy.cut_all();
        // The end must have crossed the loopback device; it need not have reached the runtime.
        tokio::time::sleep(Duration::from_millis(20)).await;
        sink.write(insert(&batch)).await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_was_killed_is_back_after_its_restart() {
    let mut server = ClickHouseServer::start(Default::default()).await.unwrap();
    let database = server.client().create_database("d").await.unwrap();
    let pool = Pool::new(32 * MIB).unwrap();
    let target = Target::parse(&database.url()).unwrap();
    let sink = ClickHouseSink::new(target, Some(pool.clone()), ConnectionOptions::default()).unwrap();
    let batch = pooled_rows(&pool, 200_000);
    sink.create(&TableDefinition::new("t", batch.schema())).await.unwrap();
    sink.write(insert(&batch)).await.unwrap();
    server.kill().unwrap();
    let error = sink.write(insert(&batch)).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    server.restart().await.unwrap();
    sink.write(insert(&batch)).await.unwrap();
    assert_eq!(sink.count("t").await.unwrap(), 200_000);
}

/// Answers the question for the version, then reads requests without answering them.
async fn silent_server() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/d", listener.local_addr().unwrap());
    (listener, url)
}

async fn answer_version(stream: &mut tokio::net::TcpStream) {
    let mut request = vec![0; 8192];
    assert!(stream.read(&mut request).await.unwrap() > 0);
    let body = r#"{"version":"26.7.2.1","user":"u","settings":[]}"#;
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await.unwrap();
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
                answer_version(&mut stream).await;
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
        assert_eq!(pool.stats().in_use, bytes, "the server has not read it yet");
        drop(accepted);
        eventually("the buffers are back", || pool.stats().in_use == 0).await;
    }
}

/// What was sent when the insert was given up is what the server reads, though the pool is busy meanwhile.
#[tokio::test]
async fn an_abandoned_insert_is_not_overwritten() {
    let (listener, url) = silent_server().await;
    let pool = Pool::new(4 * MIB).unwrap();
    let sink =
        ClickHouseSink::new(Target::parse(&url).unwrap(), Some(pool.clone()), ConnectionOptions::default())
            .unwrap();
    let batch = pooled_rows(&pool, 15_000);
    let (writing, mut stream) = tokio::join!(
        async {
            let write = sink.write(Insert { table: "t".into(), batch, token: "a".into() });
            tokio::time::timeout(Duration::from_millis(500), write).await
        },
        async {
            let (mut stream, _) = listener.accept().await.unwrap();
            answer_version(&mut stream).await;
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

#[tokio::test]
async fn a_late_exception_after_a_200_is_an_error() {
    let (listener, url) = silent_server().await;
    let sink = ClickHouseSink::new(Target::parse(&url).unwrap(), None, ConnectionOptions::default()).unwrap();
    let text = "Code: 252. DB::Exception: Too many parts. (TOO_MANY_PARTS)\n";
    let tagged = format!(
        "HTTP/1.1 200 OK\r\nX-ClickHouse-Exception-Tag: abcd\r\nConnection: close\r\n\r\n\r\n__exception__\r\nabcd\r\n{text}{} abcd\r\n__exception__\r\n",
        text.len()
    );
    let bare = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{text}");
    for answer in [tagged, bare] {
        let (result, ()) = tokio::join!(sink.execute("OPTIMIZE TABLE t"), async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 8192];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        let error = result.unwrap_err();
        assert_eq!(
            error.server().map(|error| (error.code, error.text.as_str())),
            Some((252, "Too many parts")),
            "{error:?}"
        );
        assert!(error.is_transient());
    }
}

#[tokio::test]
async fn a_future_dropped_half_way_does_not_leave_its_connection_behind() {
    let (proxy, sink, _, _, batch) = behind_proxy(ConnectionOptions::default()).await;
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
