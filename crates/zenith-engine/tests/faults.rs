//! Connections that break: repeated inserts land once, and what cannot be completed leaves nothing behind.

use std::time::Duration;

use bson::rawdoc;
use zenith_engine::{
    ClickHouseSink, ConnectionOptions, Mode, MongoSource, Namespace, Pipeline, PipelineSettings, Pool,
    ReloadOptions, TableOptions, Target,
};
use zenith_testkit::{
    ClickHouseOptions, ClickHouseServer, Direction, Fault, FaultProxy, Plan, Shape, TestServers, load,
};

use crate::harness::{Bench, small_batches};
use crate::incremental::Follow;

const ROWS: u64 = 20_000;

async fn filled(label: &str) -> Bench {
    let bench = Bench::new(label).await;
    load::generate(&bench.databases.mongodb, "events", Shape::Events, 1, 0..ROWS).await.unwrap();
    bench
}

/// Copies through a proxy that breaks some inserts, into a server of its own: a request cut off in the middle
/// now and then takes the packaged ClickHouse down with it, and then the server has to come back, too.
async fn exactly_once(label: &str, fault: Fault) {
    let bench = filled(label).await;
    let mut server = ClickHouseServer::start(ClickHouseOptions::default()).await.unwrap();
    let database = server.client().create_database(label).await.unwrap();
    let proxy = FaultProxy::start(format!("127.0.0.1:{}", server.http_port())).await.unwrap();
    let pool = Pool::new(16 << 20).unwrap();
    let target = Target::parse(&format!("http://{}/{label}", proxy.address())).unwrap();
    let pipeline = Pipeline::builder()
        .source(MongoSource::connect(&bench.databases.mongodb_uri).await.unwrap())
        .sink(ClickHouseSink::new(target, Some(pool.clone()), ConnectionOptions::default()).unwrap())
        .pool(pool)
        .namespace(Namespace::new(&bench.databases.name, "events"))
        .options(ReloadOptions {
            table: TableOptions { batch_rows: 1000, ..small_batches().table },
            ..small_batches()
        })
        .build()
        .unwrap();
    let plan = pipeline.plan().await.unwrap();
    proxy.plan(Plan::new(fault).times(3).when_client_sends("insert_deduplication_token"));
    let copying = tokio::spawn(async move { pipeline.execute(&plan).await });
    while !copying.is_finished() {
        if !server.identity().is_alive() {
            server.restart().await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let summary = copying.await.unwrap().unwrap();
    assert!(proxy.faults() >= 1, "the proxy has broken nothing");
    assert!(summary.inserts_repeated >= 1, "{summary:?}");
    assert_eq!(summary.rows, ROWS);
    let text = database.query("SELECT count(), uniqExact(_id) FROM events").await.unwrap();
    assert_eq!(text.trim(), format!("{ROWS}\t{ROWS}"));
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_whose_answer_is_lost_lands_once() {
    exactly_once("lost_answer", Fault::lose_answer()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_cut_in_the_middle_lands_once() {
    exactly_once("cut_insert", Fault::CutAfter { direction: Direction::ToServer, bytes: 50_000 }).await;
}

/// The whole server goes and comes back in the middle of a load.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_and_comes_back() {
    let bench = filled("killed").await;
    let mut server = ClickHouseServer::start(ClickHouseOptions::default()).await.unwrap();
    let database = server.client().create_database("killed").await.unwrap();
    let target = Target::parse(&format!("{}/killed", server.url())).unwrap();
    let pipeline = Pipeline::builder()
        .source(MongoSource::connect(&bench.databases.mongodb_uri).await.unwrap())
        .sink(ClickHouseSink::new(target, None, ConnectionOptions::default()).unwrap())
        .namespace(Namespace::new(&bench.databases.name, "events"))
        .options(ReloadOptions {
            table: TableOptions { batch_rows: 200, ..small_batches().table },
            ..small_batches()
        })
        .build()
        .unwrap();
    let progress = pipeline.progress();
    let copying = tokio::spawn(async move { pipeline.run().await });
    while progress.snapshot().rows_written < 2_000 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    server.kill().unwrap();
    assert!(progress.snapshot().rows_written < ROWS, "the load was over before the server was killed");
    server.restart().await.unwrap();
    let summary = copying.await.unwrap().unwrap();
    assert!(summary.inserts_repeated >= 1, "{summary:?}");
    let text = database.query("SELECT count(), uniqExact(_id) FROM events").await.unwrap();
    assert_eq!(text.trim(), format!("{ROWS}\t{ROWS}"));
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_that_is_cut_off_is_completed() {
    for readers in [1, 3] {
        let bench = filled("cut_scan").await;
        let uri = TestServers::shared().await.mongodb_uri().to_owned();
        let host = uri.split("://").nth(1).unwrap().split('/').next().unwrap().to_owned();
        let proxy = FaultProxy::start(host).await.unwrap();
        let through = format!("mongodb://{}/{}?directConnection=true", proxy.address(), bench.databases.name);
        let pipeline = Pipeline::builder()
            .source(MongoSource::connect(&through).await.unwrap())
            .sink(bench.sink(None))
            .namespace(Namespace::new(&bench.databases.name, "events"))
            .options(ReloadOptions {
                table: TableOptions { readers: Some(readers), ..small_batches().table },
                ..small_batches()
            })
            .build()
            .unwrap();
        let plan = pipeline.plan().await.unwrap();
        proxy.plan(Plan::new(Fault::CutAfter { direction: Direction::ToClient, bytes: 1_000_000 }).times(2));
        let summary = pipeline.execute(&plan).await.unwrap();
        assert!(proxy.faults() >= 1, "the proxy has broken nothing");
        assert_eq!(summary.rows, ROWS);
        let text =
            bench.databases.clickhouse.query("SELECT count(), uniqExact(_id) FROM events").await.unwrap();
        assert_eq!(text.trim(), format!("{ROWS}\t{ROWS}"));
        bench.remove().await;
    }
}

/// ClickHouse refuses one row: the others are loaded, and that one is kept.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_row_becomes_a_dead_letter() {
    let bench = Bench::new("refused").await;
    bench.fill("t", (0..100).map(|n| rawdoc! { "_id": n, "v": n })).await;
    bench.copy("t", ReloadOptions::default()).await;
    let clickhouse = &bench.databases.clickhouse;
    clickhouse.query("ALTER TABLE t ADD CONSTRAINT not_42 CHECK v != 42").await.unwrap();
    let options = ReloadOptions {
        table: TableOptions { strategy: zenith_engine::Strategy::Truncate, ..small_batches().table },
        ..small_batches()
    };
    let (_, summary) = bench.copy("t", options).await;
    assert_eq!((summary.rows, summary.dead_letters), (99, 1));
    let letters = clickhouse.query("SELECT id, reason FROM zenith_dead_letters").await.unwrap();
    assert!(letters.contains("42") && letters.contains("not_42"), "{letters}");
    bench.remove().await;
}

/// The shadow table is there, and nobody has said so.
#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_table_whose_creation_is_not_acknowledged_is_used() {
    let bench = Bench::new("lost_creation").await;
    bench.fill("items", (0..100).map(|n| rawdoc! { "_id": n })).await;
    let address = bench.databases.clickhouse.url();
    let host = address.trim_start_matches("http://").split('/').next().unwrap();
    let host = host.rsplit('@').next().unwrap().to_owned();
    let proxy = FaultProxy::start(host).await.unwrap();
    let pool = Pool::new(16 << 20).unwrap();
    let target = Target::parse(&format!("http://{}/{}", proxy.address(), bench.databases.name)).unwrap();
    let pipeline = Pipeline::builder()
        .source(MongoSource::connect(&bench.databases.mongodb_uri).await.unwrap())
        .sink(ClickHouseSink::new(target, Some(pool.clone()), ConnectionOptions::default()).unwrap())
        .pool(pool)
        .namespace(Namespace::new(&bench.databases.name, "items"))
        .options(small_batches())
        .build()
        .unwrap();
    let plan = pipeline.plan().await.unwrap();
    proxy.plan(Plan::new(Fault::lose_answer()).times(1).when_client_sends("CREATE TABLE"));
    let copied = pipeline.execute(&plan).await;
    assert_eq!(proxy.faults(), 1);
    assert_eq!(bench.tables().await, ["items"], "{copied:?}");
    assert_eq!(copied.unwrap().rows, 100);
    bench.remove().await;
}

/// A table that is to be emptied, and whose empty successor cannot be published: nothing of the attempt is left.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_table_that_cannot_be_published_is_not_left_behind() {
    let settings =
        PipelineSettings { mode: Mode::IdCursor, settle: Duration::ZERO, ..PipelineSettings::default() };
    let follow = Follow::new("lost_exchange", settings).await;
    follow.bench.fill("items", (0..100).map(|n| rawdoc! { "_id": n })).await;
    follow.catch_up_well().await;
    let address = follow.bench.databases.clickhouse.url();
    let host = address.trim_start_matches("http://").split('/').next().unwrap();
    let proxy = FaultProxy::start(host.rsplit('@').next().unwrap().to_owned()).await.unwrap();
    let name = &follow.bench.databases.name;
    let replicator = follow.replicator_to(&format!("http://{}/{name}", proxy.address())).await;
    let cut = Fault::CutAfter { direction: Direction::ToServer, bytes: 0 };
    proxy.plan(Plan::new(cut).when_client_sends("EXCHANGE TABLES"));
    let error = replicator.reload("items").await.unwrap_err();
    assert!(proxy.faults() > 1, "{error}");
    assert_eq!(follow.bench.tables().await, ["items"], "{error}");
    assert_eq!(follow.query("SELECT count() FROM items").await, "100");
    follow.bench.remove().await;
}
