//! What a run waits for is told while it lasts, and what was mended continues by itself.

use std::time::{Duration, Instant};

use bson::{doc, rawdoc};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use zenith_testkit::{
    ClickHouse, ClickHouseOptions, ClickHouseServer, ClickHouseUser, MongoOptions, MongoServer, load,
};

use crate::harness::{Bench, Ended};
use crate::home::{Home, stop};

/// How soon it must be told that an end is away.
const TOLD_WITHIN: Duration = Duration::from_secs(10);
/// How soon all must be well again once the end is back.
const WELL_WITHIN: Duration = Duration::from_secs(5);

/// A run of one pipeline between servers of its own.
struct Run {
    mongodb: MongoServer,
    clickhouse: ClickHouseServer,
    asked: ClickHouse,
    home: Home,
}

impl Run {
    /// The target is written to by `user`, with the password in the address.
    async fn new(user: Option<(&str, &str)>, users: Vec<ClickHouseUser>) -> Run {
        let mongodb = MongoServer::start(MongoOptions::default()).await.unwrap();
        let options = ClickHouseOptions { users, ..ClickHouseOptions::default() };
        let clickhouse = ClickHouseServer::start(options).await.unwrap();
        let asked = clickhouse.client().create_database("waiting").await.unwrap();
        let database = mongodb.client().await.unwrap().database("waiting");
        load::insert_documents(&database, "orders", (0..10).map(|n| rawdoc! { "_id": n })).await.unwrap();
        let mut home = Home::new();
        home.set("MONGO", &mongodb.uri_for("waiting"));
        let user = user.map_or_else(String::new, |(name, password)| format!("{name}:{password}@"));
        home.set("CLICKHOUSE", &format!("http://{user}127.0.0.1:{}/waiting", clickhouse.http_port()));
        home.configure(&[("orders", "collection = \"orders\"")]);
        home.apply().await;
        Run { mongodb, clickhouse, asked, home }
    }

    async fn health(&self) -> Ended {
        self.home.run(&["status", "--health", "--max-lag", "10s"]).await
    }

    /// Waits until the health says something, and no longer than it may take.
    async fn until(&self, within: Duration, what: &str, is_so: impl Fn(&Ended) -> bool) {
        let began = Instant::now();
        loop {
            let health = self.health().await;
            if is_so(&health) {
                eprintln!("{what}: after {:?}: {}", began.elapsed(), health.stdout.trim());
                return;
            }
            assert!(began.elapsed() < within, "{what}: {health:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn is_told(&self, what: &str, words: &str) {
        self.until(TOLD_WITHIN, what, |health| health.code == Some(1) && health.stdout.contains(words)).await;
        let pipeline = self.home.pipeline("orders").await;
        assert_eq!(pipeline["state"], "waiting", "{pipeline}");
        assert_eq!(pipeline["waiting_for"], pipeline["last_error"], "{pipeline}");
        assert!(pipeline["waiting_seconds"].as_f64().unwrap() < 30.0, "{pipeline}");
        let status = self.home.run(&["status"]).await;
        assert!(
            status.code == Some(1) && status.stdout.contains("✗ orders: waiting for "),
            "{what}: {status:?}"
        );
    }

    async fn is_well(&self, what: &str) {
        self.until(WELL_WITHIN, what, |health| health.code == Some(0)).await;
    }

    async fn insert(&self, id: i32) {
        let orders = self.mongodb.client().await.unwrap().database("waiting").collection("orders");
        orders.insert_one(doc! { "_id": id }).await.unwrap();
    }

    async fn has_rows(&self, rows: u64) {
        self.home
            .until(&format!("{rows} rows"), async || {
                let count = self.asked.query("SELECT count() FROM orders_current").await;
                count.is_ok_and(|count| count == rows.to_string())
            })
            .await;
    }
}

fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_hang_or_die_are_told_of_and_waited_for() {
    let mut run = Run::new(None, Vec::new()).await;
    let child = run.home.start(&["--quiet"]).await;
    run.has_rows(10).await;
    run.is_well("at the beginning").await;

    signal(run.clickhouse.identity().pid, Signal::SIGSTOP);
    run.insert(10).await;
    run.is_told("ClickHouse hangs", "has not answered within").await;
    signal(run.clickhouse.identity().pid, Signal::SIGCONT);
    run.is_well("ClickHouse goes on").await;
    run.has_rows(11).await;

    run.clickhouse.kill().unwrap();
    run.is_told("ClickHouse is dead", "Connection refused").await;
    run.insert(11).await;
    run.clickhouse.restart().await.unwrap();
    run.is_well("ClickHouse is back").await;
    run.has_rows(12).await;

    signal(run.mongodb.identity().pid, Signal::SIGSTOP);
    run.is_told("MongoDB hangs", "waiting for").await;
    signal(run.mongodb.identity().pid, Signal::SIGCONT);
    run.is_well("MongoDB goes on").await;

    run.mongodb.kill().unwrap();
    run.is_told("MongoDB is dead", "orders has been waiting for").await;
    run.mongodb.restart().await.unwrap();
    run.is_well("MongoDB is back").await;
    run.insert(12).await;
    run.has_rows(13).await;

    let ended = stop(child).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_mend_is_tried_again() {
    let (right, wrong) = (ClickHouseUser::new("writer", "one"), ClickHouseUser::new("writer", "other"));
    let reading = ["SELECT ON *.*", "SHOW ON *.*", "CREATE ON *.*", "ALTER ON *.*"];
    let mut run = Run::new(Some(("writer", "one")), vec![wrong.clone()]).await;
    let child = run.home.start(&["--quiet"]).await;
    run.is_told("the first password is wrong", "writer").await;
    run.clickhouse.restart_with(std::slice::from_ref(&right)).await.unwrap();
    run.has_rows(10).await;
    run.is_well("the password is right").await;

    run.clickhouse.restart_with(&[wrong]).await.unwrap();
    run.insert(10).await;
    run.is_told("the password was changed", "writer").await;
    run.clickhouse.restart_with(std::slice::from_ref(&right)).await.unwrap();
    run.is_well("the password was changed back").await;
    run.has_rows(11).await;

    let grants: Vec<String> = reading.iter().map(|grant| format!("GRANT {grant}")).collect();
    let grants: Vec<&str> = grants.iter().map(String::as_str).collect();
    run.clickhouse.restart_with(&[right.clone().with_grants(&grants)]).await.unwrap();
    run.insert(11).await;
    run.is_told("no privilege", "INSERT").await;
    run.clickhouse.restart_with(&[right]).await.unwrap();
    run.is_well("the privilege was granted").await;
    run.has_rows(12).await;
    let ended = stop(child).await;
    assert!(ended.code == Some(0) && !ended.stderr.contains("one@"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_was_is_told_of() {
    let mut home = Home::new();
    home.set("MONGO", "mongodb://127.0.0.1:1/waiting?serverSelectionTimeoutMS=2000");
    home.set("CLICKHOUSE", "http://127.0.0.1:1/waiting");
    home.configure(&[("orders", "collection = \"orders\"")]);
    home.apply().await;
    let began = Instant::now();
    let child = home.start(&["--quiet"]).await;
    home.until("it is told", async || {
        let health = home.run(&["status", "--health"]).await;
        health.code == Some(1) && health.stdout.contains("orders has been waiting for")
    })
    .await;
    assert!(began.elapsed() < TOLD_WITHIN, "{:?}", began.elapsed());
    let ended = home.run(&["status", "--max-lag", "1h", "--grace", "0s"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let complaints =
        home.json(&["status", "--max-lag", "1h", "--grace", "0s"]).await["complaints"].to_string();
    assert!(complaints.contains("the lag of orders is unknown"), "{complaints}");
    let ended = stop(child).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

/// A target that takes connections and says nothing is the trouble of its own pipelines.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_target_delays_no_other() {
    let bench = Bench::new("silent").await;
    for collection in ["orders", "users"] {
        bench.fill(collection, (0..10).map(|n| rawdoc! { "_id": n })).await;
    }
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut home = Home::between(&bench);
    home.set("SILENT", &format!("http://{}/d", silent.local_addr().unwrap()));
    home.write(
        "zenith.toml",
        "[sources.shop]\nuri = \"${MONGO}\"\n[targets.warehouse]\nuri = \"${CLICKHOUSE}\"\n[targets.silent]\nuri = \"${SILENT}\"\n\
         [pipelines.orders]\nsource = \"shop\"\ntarget = \"warehouse\"\ncollection = \"orders\"\n\
         [pipelines.users]\nsource = \"shop\"\ntarget = \"silent\"\ncollection = \"users\"\n",
    );
    home.apply().await;
    let began = Instant::now();
    let child = home.start(&["--quiet"]).await;
    home.until("the other one is there", async || {
        let count = bench.databases.clickhouse.query("SELECT count() FROM orders_current").await;
        count.is_ok_and(|count| count == "10")
    })
    .await;
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    home.until_state("users", "waiting").await;
    // Its rows are there a moment before the end of its snapshot is noted.
    home.until_state("orders", "following").await;
    let ended = stop(child).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    bench.remove().await;
}

/// A server that has no room for an insert: each is told by its name, and continues by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_without_room_is_told_of_and_waited_for() {
    let run = Run::new(None, Vec::new()).await;
    let child = run.home.start(&["--quiet"]).await;
    run.has_rows(10).await;
    let faults = [
        (
            "NOT_ENOUGH_SPACE",
            "ALTER TABLE orders MODIFY SETTING min_free_disk_bytes_to_perform_insert = 9000000000000000000",
            "ALTER TABLE orders RESET SETTING min_free_disk_bytes_to_perform_insert",
        ),
        (
            "TOO_MANY_PARTS",
            "ALTER TABLE orders MODIFY SETTING parts_to_throw_insert = 1, parts_to_delay_insert = 1",
            "ALTER TABLE orders RESET SETTING parts_to_throw_insert, parts_to_delay_insert",
        ),
    ];
    for (id, (name, breaks, mends)) in (10..).zip(faults) {
        run.asked.query(breaks).await.unwrap();
        run.insert(id).await;
        run.is_told(name, name).await;
        run.asked.query(mends).await.unwrap();
        run.is_well(name).await;
        run.has_rows(u64::try_from(id).unwrap() + 1).await;
    }
    let ended = stop(child).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

/// A user that may write or use no more: it is told which limit it is, and its run continues once it is raised.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_quota_or_memory_is_told_of_and_waited_for() {
    let writer = ClickHouseUser::new("writer", "one");
    let mut run = Run::new(Some(("writer", "one")), vec![writer.clone()]).await;
    let child = run.home.start(&["--quiet"]).await;
    run.has_rows(10).await;
    let limited = [
        ("QUOTA_EXCEEDED", writer.clone().with_quota(1)),
        ("MEMORY_LIMIT_EXCEEDED", writer.clone().with_memory(10_000)),
    ];
    for (id, (name, limited)) in (10..).zip(limited) {
        run.clickhouse.restart_with(&[limited]).await.unwrap();
        // A quota is exceeded by what comes after the insert that reached it.
        run.insert(id).await;
        run.insert(id + 100).await;
        run.is_told(name, name).await;
        run.clickhouse.restart_with(std::slice::from_ref(&writer)).await.unwrap();
        run.is_well(name).await;
        run.has_rows(u64::try_from(10 + (id - 9) * 2).unwrap()).await;
    }
    let ended = stop(child).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}
