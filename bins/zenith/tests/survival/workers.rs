//! Two processes over one state in PostgreSQL: one runs the pipelines, the other stands by.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Child;
use zenith_testkit::TestServers;
use zenith_testkit::data::random::Random;
use zenith_testkit::services::postgres;

use crate::fixture::Fixture;
use crate::harness::ended;
use crate::writer::{Writer, seed};

/// Each of them a kill, a stop beyond the lease or an orderly end, in turns.
const ROUNDS: u32 = 9;
/// The longest time from the end of one to the beginning of the next.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(10);

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()), signal).unwrap();
}

/// The process that has the lease, and how often it has been taken.
fn holder(uri: &str) -> Option<(u32, u64)> {
    let held = postgres::ask(
        uri,
        "SELECT split_part(owner, '/', 2) || ' ' || term FROM zenith.leases WHERE expires_at > clock_timestamp()",
    );
    let held = held.unwrap();
    let (process, term) = held.split_once(' ')?;
    Some((process.parse().unwrap(), term.parse().unwrap()))
}

/// Waits until this process has the lease, and returns how long that took.
async fn until_held_by(uri: &str, child: &mut Child) -> Duration {
    let began = Instant::now();
    let process = child.id().unwrap();
    while holder(uri).is_none_or(|(holder, _)| holder != process) {
        assert!(began.elapsed() < TAKEN_OVER_WITHIN, "not taken over: {:?}", holder(uri));
        assert!(child.try_wait().unwrap().is_none(), "the process that stood by has ended");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_takes_over_and_a_zombie_writes_nothing() {
    let seed = seed();
    let rounds = std::env::var("ZENITH_TEST_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(ROUNDS);
    let databases = TestServers::shared().await.databases("workers").await.unwrap();
    let uri = postgres::database("workers").await;
    let target = databases.clickhouse.url();
    let mut fixture = Fixture::on(
        (tempfile::tempdir().unwrap(), &format!("uri = {uri:?}")),
        (databases.mongodb.clone(), &databases.mongodb_uri),
        (databases.clickhouse.clone(), &target),
        20_000,
    )
    .await;
    fixture.begin().await;
    let writer = Writer::start(databases.mongodb.clone(), seed, Duration::from_millis(2));
    let mut random = Random::of_document(seed, 1);
    let mut owner = fixture.spawn(&["run", "--quiet"]);
    until_held_by(&uri, &mut owner).await;
    let (mut zombies, mut longest) = (Vec::new(), [Duration::ZERO; 3]);
    for round in 0..rounds {
        let mut next = fixture.spawn(&["run", "--quiet"]);
        tokio::time::sleep(Duration::from_millis(500 + u64::from(random.below(2000)))).await;
        assert!(owner.try_wait().unwrap().is_none(), "it ended by itself: {:?}", ended(owner).await);
        match round % 3 {
            0 => owner.kill().await.unwrap(),
            1 => signal(&owner, Signal::SIGSTOP),
            _ => {
                signal(&owner, Signal::SIGTERM);
                owner.wait().await.unwrap();
            }
        }
        let took = until_held_by(&uri, &mut next).await;
        longest[(round % 3) as usize] = longest[(round % 3) as usize].max(took);
        let before = std::mem::replace(&mut owner, next);
        if round % 3 == 1 {
            // The other one works for a while before this one wakes.
            tokio::time::sleep(Duration::from_millis(u64::from(random.below(1500)))).await;
            signal(&before, Signal::SIGCONT);
            zombies.push(before);
        }
    }
    for zombie in zombies {
        let ended = ended(zombie).await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains("lease of the state is lost"), "{ended:?}");
    }
    let written = writer.stop().await;
    let [killed, stopped, given_back] = longest;
    eprintln!(
        "{rounds} rounds, {written} writes; taken over within {killed:?} of a kill, {stopped:?} of a stop, {given_back:?} of \
         an orderly end"
    );
    assert!(given_back < Duration::from_secs(2), "{given_back:?}");
    signal(&owner, Signal::SIGTERM);
    assert_eq!(ended(owner).await.code, Some(0));
    fixture.assert_nothing_lost().await;
    databases.remove().await.unwrap();
}
