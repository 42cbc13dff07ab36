//! What can go wrong on the way over the native protocol alone.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use zenith_memory::Pool;
use zenith_testkit::{ClickHouseOptions, ClickHouseServer, Direction, Fault, Plan};
use zenith_transport::{ClickHouseSink, ConnectionOptions, Protocol, SendMode, Sink};

use super::both::bench::{Bench, MIB, bench, insert};
use super::both::support::{pooled_rows, silent_server};
use super::silent::answer_until_insert;
use crate::support::target_at;

/// After a long rest a connection is asked first; one that no longer answers is replaced.
#[tokio::test]
async fn connections_are_asked_after_a_long_rest() {
    let Bench { sink, proxy, server: _server, .. } = bench(SendMode::default()).await;
    let rest = || async {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(60)).await;
        tokio::time::resume();
    };
    let before = proxy.connections();
    rest().await;
    assert_eq!(sink.count("t").await.unwrap(), 0);
    assert_eq!(proxy.connections(), before, "it answered");
    let late = Fault::Delay { direction: Direction::ToServer, duration: Duration::from_secs(6) };
    proxy.plan(Plan::new(late).times(1));
    rest().await;
    assert_eq!(sink.count("t").await.unwrap(), 0);
    assert_eq!(proxy.connections(), before + 1, "it did not");
}

/// An insert whose end is reported before its rows were taken is no success.
#[tokio::test]
async fn an_end_before_the_rows_is_no_acknowledgement() {
    let (listener, target) = silent_server().await;
    let sink = ClickHouseSink::new(target, None, ConnectionOptions::default()).unwrap();
    let pool = Pool::new(32 * MIB).unwrap();
    let batch = pooled_rows(&pool, 100_000);
    let (written, _stream) = tokio::join!(sink.write(insert(&batch)), async {
        let (mut stream, _) = listener.accept().await.unwrap();
        answer_until_insert(&mut stream).await;
        stream.write_all(&[5]).await.unwrap();
        stream
    });
    let error = written.unwrap_err();
    assert!(error.to_string().contains("before it had its rows"), "{error}");
}

/// A server that has answered somebody who no longer reads continues with its work.
#[tokio::test]
async fn answers_that_nobody_reads_harm_no_server() {
    let mut server = ClickHouseServer::start(ClickHouseOptions::default()).await.unwrap();
    let target = target_at(Protocol::Native, &server.native_address(), &server.client());
    for _ in 0..20 {
        let sink = ClickHouseSink::new(target.clone(), None, ConnectionOptions::default()).unwrap();
        sink.ping().await.unwrap();
        tokio::select! {
            biased;
            answered = sink.ping() => answered.unwrap(),
            // A sleep of the runtime would let the answer be read.
            () = async { std::thread::park_timeout(Duration::from_millis(10)) } => {}
        }
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(server.ended().is_none(), "{:?}", server.ended());
    server.client().ping().await.unwrap();
}
