//! SIGINT and SIGTERM in the middle of things: an end within seconds, and nothing half done.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Child;

use crate::harness::{Bench, Ended, ended, zenith};

/// What people are promised.
const STOPS_WITHIN: Duration = Duration::from_secs(10);
/// With inserts of 100 rows one after the other: some minutes of copying.
const DOCUMENTS: u64 = 60_000;
const SLOWLY: [&str; 4] = ["--batch-rows", "100", "--inserters", "1"];

async fn signalled(child: Child, signal: Signal) -> Ended {
    let pid = i32::try_from(child.id().expect("it runs")).unwrap();
    kill(Pid::from_raw(pid), signal).unwrap();
    let begun = Instant::now();
    let ended = ended(child).await;
    assert!(begun.elapsed() < STOPS_WITHIN, "after {:?}: {ended:?}", begun.elapsed());
    assert_eq!(ended.code, Some(130), "{ended:?}");
    ended
}

/// Waits until a question has a number above 0 for its answer.
async fn until(bench: &Bench, question: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while bench.ask(question).await.parse::<u64>().unwrap_or(0) == 0 {
        assert!(Instant::now() < deadline, "{question}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const SHADOW_ROWS: &str = "SELECT sum(total_rows) FROM system.tables \
                           WHERE database = currentDatabase() AND name LIKE 'events\\_\\_zenith\\_%'";

#[tokio::test(flavor = "multi_thread")]
async fn the_old_table_stays_as_it_was() {
    let bench = Bench::new("signals").await;
    bench.events("events", DOCUMENTS).await;
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        // Without a table first, then with one.
        let child = bench.copy("events", &SLOWLY).spawn().unwrap();
        until(&bench, SHADOW_ROWS).await;
        let ended = signalled(child, signal).await;
        assert!(
            ended.stderr.contains("stopped; the shadow table was dropped, and events was not created"),
            "{ended:?}"
        );
        assert_eq!(ended.stdout, "");
        assert!(bench.tables().await.is_empty(), "{signal}");

        let plan = bench.copy("events", &["--dry-run", "--json"]).output().await.unwrap();
        let plan: serde_json::Value = serde_json::from_slice(&plan.stdout).unwrap();
        bench.ask(plan["create_statement"].as_str().unwrap()).await;
        bench.ask("INSERT INTO events (_id, kind) VALUES ('old', 'old')").await;
        let child = bench.copy("events", &SLOWLY).spawn().unwrap();
        until(&bench, SHADOW_ROWS).await;
        let ended = signalled(child, signal).await;
        assert!(ended.stderr.contains("events is as it was"), "{ended:?}");
        assert_eq!(bench.tables().await, ["events"], "{signal}");
        assert_eq!(bench.ask("SELECT _id, kind FROM events").await, "old\told");
        bench.ask("DROP TABLE events SYNC").await;
    }
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_filled_in_place_is_said_to_be_half_full() {
    let bench = Bench::new("signals_in_place").await;
    bench.events("events", DOCUMENTS).await;
    let child = bench.copy("events", &[&SLOWLY[..], &["--strategy", "truncate"]].concat()).spawn().unwrap();
    until(
        &bench,
        "SELECT total_rows FROM system.tables WHERE database = currentDatabase() AND name = 'events'",
    )
    .await;
    let ended = signalled(child, Signal::SIGINT).await;
    assert!(ended.stderr.contains("events holds only the rows loaded so far: copy again"), "{ended:?}");
    let rows: u64 = bench.ask("SELECT count() FROM events").await.parse().unwrap();
    assert!(0 < rows && rows < DOCUMENTS, "{rows}");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_keeps_nobody_waiting() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let from = format!("mongodb://{}/d", silent.local_addr().unwrap());
    // Both ends are looked at side by side, and one that refuses would end the command at once.
    let silent_too = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = format!("http://{}/d", silent_too.local_addr().unwrap());
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let child = zenith(&["copy", "--from", &from, "--collection", "c", "--to", &to]).spawn().unwrap();
        let connection = silent.accept().await.unwrap();
        let ended = signalled(child, signal).await;
        assert_eq!(ended.stderr, "zenith: stopped; nothing was written\n");
        drop(connection);
    }
}
