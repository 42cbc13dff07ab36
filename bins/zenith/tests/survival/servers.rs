//! The servers are killed and come back, and connections are cut; the command continues by itself.

use std::time::Duration;

use zenith_testkit::data::random::Random;
use zenith_testkit::{
    ClickHouseOptions, ClickHouseServer, Direction, Fault, FaultProxy, MongoOptions, MongoServer, Plan,
    ReplicaSet,
};

use crate::fixture::Fixture;
use crate::harness::ended;
use crate::writer::{Writer, seed};

const ROUNDS: u32 = 8;

#[tokio::test(flavor = "multi_thread")]
async fn servers_killed_and_connections_cut_while_it_runs() {
    let seed = seed();
    let mut mongodb = MongoServer::start(MongoOptions::default()).await.unwrap();
    let mut clickhouse = ClickHouseServer::start(ClickHouseOptions::default()).await.unwrap();
    let proxy = FaultProxy::start(format!("127.0.0.1:{}", clickhouse.http_port())).await.unwrap();
    let asked = clickhouse.client().create_database("survival").await.unwrap();
    let database = mongodb.client().await.unwrap().database("survival");
    let source = mongodb.uri_for("survival");
    let target = format!("http://127.0.0.1:{}/survival", proxy.port());
    let mut fixture = Fixture::new(database.clone(), &source, asked, &target, 20_000).await;
    fixture.begin().await;
    let writer = Writer::start(database, seed, Duration::from_millis(2));
    let mut child = fixture.spawn(&["run", "--quiet"]);
    let mut random = Random::of_document(seed, 2);
    for round in 0..ROUNDS {
        tokio::time::sleep(Duration::from_millis(500 + u64::from(random.below(1000)))).await;
        match round % 4 {
            0 => {
                clickhouse.kill().unwrap();
                tokio::time::sleep(Duration::from_millis(u64::from(random.below(1500)))).await;
                clickhouse.restart().await.unwrap();
            }
            1 => {
                // In the middle of an insert.
                let bytes = 200 + u64::from(random.below(20_000));
                proxy.plan(Plan::new(Fault::CutAfter { direction: Direction::ToServer, bytes }).times(3));
            }
            2 => {
                // Between an insert and its acknowledgement.
                proxy.plan(Plan::new(Fault::lose_answer()).times(3));
            }
            _ => {
                mongodb.kill().unwrap();
                tokio::time::sleep(Duration::from_millis(u64::from(random.below(1500)))).await;
                mongodb.restart().await.unwrap();
            }
        }
        // A cut request makes this build of ClickHouse abort now and then, as a crash would.
        tokio::time::sleep(Duration::from_millis(300)).await;
        if !clickhouse.identity().is_alive() {
            clickhouse.restart().await.unwrap();
        }
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    proxy.heal();
    if !clickhouse.identity().is_alive() {
        clickhouse.restart().await.unwrap();
    }
    let written = writer.stop().await;
    eprintln!("{ROUNDS} rounds, {written} writes, {} faults", proxy.faults());
    if let Some(status) = child.try_wait().unwrap() {
        panic!("it ended by itself with {status}: {:?}", ended(child).await);
    }
    child.kill().await.unwrap();
    fixture.assert_nothing_lost().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_primary_is_killed_during_the_snapshot_and_afterwards() {
    let seed = seed();
    let mut set = ReplicaSet::start(3).await.unwrap();
    let clickhouse = ClickHouseServer::start(ClickHouseOptions::default()).await.unwrap();
    let asked = clickhouse.client().create_database("election").await.unwrap();
    let database = set.client().await.unwrap().database("election");
    let source = zenith_testkit::services::mongod::with_database(&set.uri(), "election").unwrap();
    let target = format!("{}/election", clickhouse.url().trim_end_matches('/'));
    let mut fixture = Fixture::new(database.clone(), &source, asked, &target, 60_000).await;
    fixture.begin().await;
    let writer = Writer::start(database, seed, Duration::from_millis(5));
    let mut child = fixture.spawn(&["run", "--quiet"]);
    // The snapshot has begun, and has most of its documents to go.
    tokio::time::sleep(Duration::from_millis(600)).await;
    let killed = set.kill_primary().await.unwrap();
    tokio::time::sleep(Duration::from_secs(8)).await;
    set.members()[killed].restart().await.unwrap();
    let before = writer.written();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(writer.written() > before, "no primary was elected");
    let killed = set.kill_primary().await.unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    set.members()[killed].restart().await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let written = writer.stop().await;
    eprintln!("{written} writes");
    if let Some(status) = child.try_wait().unwrap() {
        panic!("it ended by itself with {status}: {:?}", ended(child).await);
    }
    child.kill().await.unwrap();
    fixture.assert_nothing_lost().await;
}
