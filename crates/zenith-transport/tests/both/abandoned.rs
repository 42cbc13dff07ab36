//! Inserts that are given up while a server has them but does not read on.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use arrow_array::{Array, RecordBatch};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::error::Elapsed;
use zenith_memory::Pool;
use zenith_transport::{
    ClickHouseSink, ConnectionOptions, Durable, Insert, Result, SendMode, Sink, TransportError,
};

use super::super::silent::{answer_until_insert, held_bytes};
use super::bench::MIB;
use super::support::{eventually, pooled_rows, silent_server};

/// Sends a batch to a server that leaves its bytes unread, and gives up after `timeout`; how the insert
/// ended if it did so itself, and the server's end of the connection.
async fn abandon(
    sink: &ClickHouseSink,
    batch: RecordBatch,
    listener: &TcpListener,
    timeout: Duration,
) -> (std::result::Result<Result<Durable>, Elapsed>, TcpStream) {
    let insert = Insert { table: "t".into(), batch, token: "a".into() };
    tokio::join!(tokio::time::timeout(timeout, sink.write(insert)), async {
        let (mut stream, _) = listener.accept().await.unwrap();
        answer_until_insert(&mut stream).await;
        stream
    })
}

/// Pages given to the kernel do not return to the pool while the server may still read them.
#[tokio::test]
async fn buffers_of_an_abandoned_insert_are_held_until_the_server_is_done() {
    for (give_up_by_timeout, send) in [
        (true, SendMode::Sendfile),
        (false, SendMode::Sendfile),
        (true, SendMode::Splice),
        (false, SendMode::Splice),
    ] {
        let (listener, target) = silent_server().await;
        let pool = Pool::in_file(32 * MIB).unwrap();
        let idle_timeout = Duration::from_millis(if give_up_by_timeout { 200 } else { 60_000 });
        let options = ConnectionOptions { idle_timeout, send, ..ConnectionOptions::default() };
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
    for send in [SendMode::Sendfile, SendMode::Splice, SendMode::Writev] {
        let (listener, target) = silent_server().await;
        let pool = Pool::in_file(4 * MIB).unwrap();
        let options = ConnectionOptions { send, ..ConnectionOptions::default() };
        let sink = ClickHouseSink::new(target, Some(pool.clone()), options).unwrap();
        let batch = pooled_rows(&pool, 15_000);
        let (writing, mut stream) = abandon(&sink, batch, &listener, Duration::from_millis(500)).await;
        assert!(writing.is_err());
        // What `writev` sent are copies, so that all of the pool is free to be overwritten.
        assert_eq!(pool.stats().in_use > 0, send != SendMode::Writev, "{send:?}");
        // Whatever of the pool is free is overwritten.
        while let Some(mut reservation) = pool.try_reserve(64 * 1024) {
            let mut buf = reservation.allocate(64 * 1024).unwrap();
            buf.fill(0xee);
            std::mem::forget(buf);
        }
        let mut received = Vec::new();
        stream.read_to_end(&mut received).await.unwrap();
        assert!(received.len() > 100_000, "{send:?}: {} bytes were on their way", received.len());
        assert!(
            !received.windows(64).any(|bytes| bytes.iter().all(|&byte| byte == 0xee)),
            "{send:?}: nothing was overwritten"
        );
    }
}

/// What `sendfile` and `splice` put on the socket are the pages of the pool themselves, and no copies of them: what is
/// written to them afterwards is what the server reads.
#[tokio::test]
async fn no_body_is_copied() {
    const ROWS: i32 = 100_000;
    // The first column goes out as it lies by either protocol.
    const LENT: usize = 800_000;
    for send in [SendMode::Sendfile, SendMode::Splice, SendMode::Writev] {
        let (listener, mut target) = silent_server().await;
        target.send = Some(send);
        let pool = Pool::in_file(32 * MIB).unwrap();
        assert_eq!(
            ConnectionOptions::default().wants_pool_in_file(&target).await,
            send != SendMode::Writev,
            "{send:?}"
        );
        let sink = ClickHouseSink::new(target, Some(pool.clone()), ConnectionOptions::default()).unwrap();
        let batch = pooled_rows(&pool, ROWS);
        let buffers: Vec<_> = batch
            .columns()
            .iter()
            .flat_map(|column| column.to_data().buffers().to_vec())
            .map(|buffer| (pool.locate(&buffer).unwrap(), buffer.len()))
            .collect();
        let (writing, mut stream) = abandon(&sink, batch, &listener, Duration::from_millis(500)).await;
        assert!(writing.is_err());
        // Nobody but this test writes to the file of a pool whose buffers are out.
        let file = File::from(pool.file().unwrap().try_clone_to_owned().unwrap());
        for (offset, len) in buffers {
            file.write_all_at(&vec![0xee; len], offset).unwrap();
        }
        let mut received = Vec::new();
        stream.read_to_end(&mut received).await.unwrap();
        let written_later =
            received.chunks(64).filter(|chunk| chunk.iter().all(|&byte| byte == 0xee)).count() * 64;
        let lent = received.len().min(LENT);
        assert!(lent > 100_000, "{send:?}: {} bytes were on their way", received.len());
        match send {
            SendMode::Writev => assert_eq!(written_later, 0),
            _ => {
                assert!(written_later * 10 > lent * 9, "{send:?}: {written_later} of {lent} bytes were lent")
            }
        }
    }
}
