//! The command is killed at random moments while changes go on.

use std::time::Duration;

use zenith_testkit::TestServers;
use zenith_testkit::data::random::Random;

use crate::fixture::Fixture;
use crate::writer::{Writer, seed};

/// Kills of one run. Each hits the pipelines of all modes.
const KILLS: u32 = 200;

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_moments_it_neither_loses_nor_repeats_a_change() {
    let seed = seed();
    let kills = std::env::var("ZENITH_TEST_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let databases = TestServers::shared().await.databases("kills").await.unwrap();
    let target = databases.clickhouse.url();
    let mut fixture = Fixture::new(
        databases.mongodb.clone(),
        &databases.mongodb_uri,
        databases.clickhouse.clone(),
        &target,
        20_000,
    )
    .await;
    fixture.begin().await;
    let writer = Writer::start(databases.mongodb.clone(), seed, Duration::from_millis(2));
    let mut random = Random::of_document(seed, 1);
    let mut interrupted = 0;
    for kill in 0..kills {
        let mut child = fixture.spawn(&["run", "--quiet"]);
        let moment =
            Duration::from_millis(100 + u64::from(random.below(if kill % 10 == 0 { 3000 } else { 900 })));
        tokio::time::sleep(moment).await;
        assert!(
            child.try_wait().unwrap().is_none(),
            "it ended by itself: {:?}",
            crate::harness::ended(child).await
        );
        child.kill().await.unwrap();
        interrupted += fixture.open_intents().await;
    }
    let written = writer.stop().await;
    eprintln!("{kills} kills, {written} writes, {interrupted} inserts interrupted");
    assert!(kills < 100 || interrupted > 0, "no kill came between an intent and its acknowledgement");
    fixture.assert_nothing_lost().await;
    databases.remove().await.unwrap();
}
