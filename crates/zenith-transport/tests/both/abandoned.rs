//! Inserts that are given up while a server has them but does not read on.

use std::time::Duration;

use arrow_array::RecordBatch;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::error::Elapsed;
use zenith_memory::Pool;
use zenith_transport::{
    ClickHouseSink, ConnectionOptions, Durable, Insert, Result, Sink, TransportError, WriteStrategy,
};

use super::super::silent::{answer_until_insert, held_bytes};
use super::bench::MIB;
use super::support::{eventually, pooled_rows, silent_server};

/// Sends a batch to a server that leaves its bytes unread, and gives up after `retry budget`; how the insert
/// ended if it did so itself, and the server's end of the connection.
async fn abandon(
    sink: &ClickHouseSink,
    batch: RecordBatch,
    listener: &TcpListener,
    retry_budget: Duration,
) -> (std::result::Result<Result<Durable>, Elapsed>, TcpStream) {
    let insert = Insert { table: "t".into(), batch, token: "a".into() };
    tokio::join!(tokio::time::timeout(retry_budget, sink.write(insert)), async {
        let (mut stream, _) = listener.accept().await.unwrap();
        answer_until_insert(&mut stream).await;
        stream
    })
}

/// Pages lent by `sendfile` do not return to the pool while the server may still read them.
#[tokio::test]
async fn buffers_of_an_abandoned_insert_are_held_until_the_server_is_done() {
    for give_up_by_timeout in [true, false] {
        let (listener, target) = silent_server().await;
        let pool = Pool::in_file(32 * MIB).unwrap();
        let idle_timeout = Duration::from_millis(if give_up_by_timeout { 200 } else { 60_000 });
        let strategy = WriteStrategy::Sendfile;
        let options = ConnectionOptions { idle_timeout, strategy, ..ConnectionOptions::default() };
        let sink = ClickHouseSink::new(target, Some(pool.clone()), options).unwrap();
        let batch = pooled_rows(&pool, 100_000);
        let bytes = pool.stats().in_use;
        let (writing, stream) = abandon(&sink, batch, &listener, Duration::from_secs(2)).await;
        if give_up_by_timeout {
            let error = writing.unwrap().unwrap_err();
            assert!(matches!(error, TransportError::Silent { .. }) && error.is_transient(), "{error:?}");
        } else {
            assert!(writing.is_err(), "the future was dropped");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        let held = pool.stats().in_use;
        assert!(
            held_bytes(bytes).contains(&held),
            "{held} of {bytes} are held: the server has not read them"
        );
        drop(stream);
        eventually("the buffers are back", || pool.stats().in_use == 0).await;
    }
}

/// What was sent when the insert was given up is what the server reads, though the pool is busy meanwhile.
#[tokio::test]
async fn an_abandoned_insert_is_not_overwritten() {
    for strategy in [WriteStrategy::Sendfile, WriteStrategy::Writev] {
        let (listener, target) = silent_server().await;
        let pool = Pool::in_file(4 * MIB).unwrap();
        let options = ConnectionOptions { strategy, ..ConnectionOptions::default() };
        let sink = ClickHouseSink::new(target, Some(pool.clone()), options).unwrap();
        let batch = pooled_rows(&pool, 15_000);
        let (writing, mut stream) = abandon(&sink, batch, &listener, Duration::from_millis(500)).await;
        assert!(writing.is_err());
        // What `writev` sent are copies, so that all of the pool is free to be overwritten.
        assert_eq!(pool.stats().in_use > 0, strategy == WriteStrategy::Sendfile, "{strategy:?}");
        // Whatever of the pool is free is overwritten.
        while let Some(mut reservation) = pool.try_reserve(64 * 1024) {
            let mut buf = reservation.allocate(64 * 1024).unwrap();
            buf.fill(0xee);
            std::mem::forget(buf);
        }
        let mut received = Vec::new();
        stream.read_to_end(&mut received).await.unwrap();
        assert!(received.len() > 100_000, "{strategy:?}: {} bytes were on their way", received.len());
        assert!(
            !received.windows(64).any(|bytes| bytes.iter().all(|&byte| byte == 0xee)),
            "{strategy:?}: nothing was overwritten"
        );
    }
}
