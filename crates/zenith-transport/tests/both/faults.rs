//! Broken connections, lost answers, and servers that end.

use std::time::Duration;

use zenith_testkit::{Direction, Fault, Plan};
use zenith_transport::{Insert, Protocol, SendMode, Sink};

use super::bench::{Bench, bench, insert, without_proxy};
use super::support::{PROTOCOL, eventually};

/// The server is restarted after each cut: it may have ended, which makes the insert no less transient.
#[tokio::test]
async fn a_connection_cut_in_the_middle_of_an_insert_is_transient() {
    for send in [SendMode::Sendfile, SendMode::Splice, SendMode::Writev] {
        let Bench { sink, proxy, mut server, pool, batch } = bench(send).await;
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
            assert_eq!(sink.count("t").await.unwrap(), 0, "{send:?} {bytes}");
        }
        sink.write(insert(&batch)).await.unwrap();
        assert_eq!(sink.count("t").await.unwrap(), 200_000);
        drop(batch);
        eventually("the buffers are back", || pool.stats().in_use == 0).await;
    }
}

/// The native protocol answers in the middle of an insert, too; only what comes after most of its rows is the
/// acknowledgement.
#[tokio::test]
async fn a_lost_acknowledgement_is_made_good_by_the_token() {
    let Bench { sink, proxy, mut server, batch, .. } = bench(SendMode::default()).await;
    let lost = Fault::LoseAnswer { after_request_bytes: 1_000_000, settle: Duration::from_secs(3) };
    proxy.plan(Plan::new(lost).when_client_sends("INSERT").times(1));
    let error = sink.write(insert(&batch)).await.unwrap_err();
    assert!(error.is_transient() && error.is_outcome_unknown(), "{error:?}");
    proxy.heal();
    // Over HTTP the same process must know the token; the reset of a native connection has ended it.
    if PROTOCOL == Protocol::Native {
        server.restart().await.unwrap();
    }
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

#[tokio::test]
async fn a_future_dropped_half_way_does_not_leave_its_connection_behind() {
    let Bench { sink, proxy, batch, server: _server, .. } = bench(SendMode::default()).await;
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
