//! `zenith run`: beside changes, commands and signals.

use bson::{doc, rawdoc};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use zenith_control::requests::{Answer, Asked, encode};
use zenith_engine::state::{Outcome, SqliteStore, StateStore as _};

use crate::harness::{Bench, ended, run};
use crate::home::{Home, stop};

/// Documents of a collection as the view over its table shows them.
async fn count(bench: &Bench, table: &str) -> String {
    bench.databases.clickhouse.query(&format!("SELECT count() FROM {table}")).await.unwrap_or_default()
}

async fn insert(bench: &Bench, collection: &str, id: i32) {
    bench
        .databases
        .mongodb
        .collection::<bson::Document>(collection)
        .insert_one(doc! { "_id": id, "item": "tea" })
        .await
        .unwrap();
}

/// Has the run compare a collection and its table, which it does while changes go on.
async fn is_compared(home: &Home, pipeline: &str, rows: &str) {
    let store = SqliteStore::open_shared(&home.folder.path().join("state.sqlite")).await.unwrap();
    let asked = encode(&Asked::Verify { sample: None, ids: 5 });
    let id = store.add_request(pipeline, "verify", &asked).await.unwrap();
    home.until("it is compared", async || store.request(id).await.unwrap().unwrap().end.is_some()).await;
    let end = store.request(id).await.unwrap().unwrap().end.unwrap();
    assert_eq!(end.outcome, Outcome::Done, "{end:?}");
    let answer: Answer = serde_json::from_str(&end.result).unwrap();
    let json: serde_json::Value = serde_json::from_str(&answer.json).unwrap();
    assert!(json["equal"] == true && answer.text.contains("✓ equal"), "{answer:?}");
    assert_eq!(json["source_rows"].to_string(), rows);
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn once_catches_up_and_ends() {
    let bench = Bench::new("once").await;
    bench.fill("orders", (0..100).map(|n| rawdoc! { "_id": n, "item": "tea" })).await;
    bench.fill("users", (0..10).map(|n| rawdoc! { "_id": n, "name": "x" })).await;
    let home = Home::between(&bench);
    home.configure(&[
        ("orders", "collection = \"orders\""),
        ("users", "collection = \"users\"\nmode = \"full\"\ntable = \"people\""),
    ]);
    home.apply().await;
    let ended = home.run(&["run", "--once"]).await.succeeded();
    assert!(ended.stderr.contains("orders: 100 rows written"), "{ended:?}");
    assert_eq!(count(&bench, "orders_current").await, "100");
    assert_eq!(count(&bench, "people").await, "10");

    insert(&bench, "orders", 100).await;
    bench
        .databases
        .mongodb
        .collection::<bson::Document>("orders")
        .delete_many(doc! { "_id": { "$lt": 50 } })
        .await
        .unwrap();
    let ended = home.run(&["run", "--once", "--quiet", "orders"]).await.succeeded();
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""));
    assert_eq!(count(&bench, "orders_current").await, "51");
    bench.remove().await;
}

/// Snapshots, changes and reloads go the way that the target says, from a pool that allows for it.
#[tokio::test(flavor = "multi_thread")]
async fn the_target_says_how_it_is_sent_to() {
    for send in ["sendfile", "splice"] {
        let bench = Bench::new("send_run").await;
        bench.events("events", 20_000).await;
        let home = Home::between(&bench);
        home.configure(&[("events", "collection = \"events\"")]);
        let uri = "uri = \"${CLICKHOUSE}\"\n";
        home.write(
            "zenith.toml",
            &home.read("zenith.toml").replace(uri, &format!("{uri}send = \"{send}\"\n")),
        );
        home.apply().await;
        let ended = home.run(&["run", "--once", "-v"]).await.succeeded();
        assert!(ended.stderr.contains(&format!("inserts are sent by {send}, as configured")), "{ended:?}");
        assert_eq!(count(&bench, "events_current").await, "20000");
        let json = home.json(&["reload", "events"]).await;
        assert_eq!(json["send"]["path"], send, "{json}");
        assert_eq!(count(&bench, "events_current").await, "20000");
        bench.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_beside_a_run_are_followed() {
    let bench = Bench::new("beside").await;
    bench.fill("orders", (0..10).map(|n| rawdoc! { "_id": n, "item": "tea" })).await;
    bench.fill("users", (0..10).map(|n| rawdoc! { "_id": n, "name": "x" })).await;
    let home = Home::between(&bench);
    let orders = ("orders", "collection = \"orders\"");
    home.configure(&[orders]);
    home.apply().await;
    let child = home.start(&[]).await;
    home.until("the snapshot is there", async || count(&bench, "orders_current").await == "10").await;
    insert(&bench, "orders", 10).await;
    home.until("a change is there", async || count(&bench, "orders_current").await == "11").await;

    // A second run is refused; a pause is not.
    let second = home.run(&["run"]).await;
    assert_eq!(second.code, Some(2), "{second:?}");
    assert!(
        second.stderr.contains("is used by another Zenith") && second.stderr.lines().count() == 1,
        "{second:?}"
    );
    let paused = home.run(&["pipeline", "pause", "orders"]).await.succeeded();
    assert!(paused.stdout.contains("running `zenith run`"), "{paused:?}");
    home.until_state("orders", "paused").await;
    insert(&bench, "orders", 11).await;
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    assert_eq!(count(&bench, "orders_current").await, "11");
    home.run(&["pipeline", "resume", "orders"]).await.succeeded();
    home.until("it went on where it was", async || count(&bench, "orders_current").await == "12").await;

    // A pipeline that is added, one whose settings change, and one that goes.
    home.configure(&[
        ("orders", "collection = \"orders\"\nflush_interval = \"100ms\""),
        ("users", "collection = \"users\""),
    ]);
    let applied = home.apply().await;
    assert!(applied.stdout.contains("the running `zenith run` continues with it"), "{applied:?}");
    home.until("the new one is there", async || count(&bench, "users_current").await == "10").await;
    insert(&bench, "orders", 12).await;
    home.until("the changed one goes on", async || count(&bench, "orders_current").await == "13").await;
    home.configure(&[("users", "collection = \"users\"")]);
    home.apply().await;
    insert(&bench, "users", 10).await;
    home.until("the other one goes on", async || count(&bench, "users_current").await == "11").await;
    // One that starts over does so while the other goes on.
    let orders = ("orders", "collection = \"orders\"\nflush_interval = \"100ms\"");
    home.configure(&[orders, ("users", "collection = \"users\"\ntable = \"people\"")]);
    let anew = home.run(&["apply", "--yes"]).await.succeeded();
    assert!(anew.stdout.contains("it starts over"), "{anew:?}");
    home.until("it is read again", async || count(&bench, "people_current").await == "11").await;
    insert(&bench, "orders", 13).await;
    home.until("the other one is there", async || count(&bench, "orders_current").await == "14").await;
    is_compared(&home, "users", "11").await;

    let ended = stop(child).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // What happened meanwhile is there after the next start.
    insert(&bench, "users", 11).await;
    home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(
        (count(&bench, "people_current").await, count(&bench, "users_current").await),
        ("12".into(), "11".into())
    );
    bench.remove().await;
}

/// A table that is loaded whole, again and again by itself; a run does not begin with what another has done.
#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_begins_pipelines_again() {
    let bench = Bench::new("schedule").await;
    bench.fill("orders", (0..10).map(|n| rawdoc! { "_id": n, "item": "tea" })).await;
    let home = Home::between(&bench);
    let settings = "collection = \"orders\"\nmode = \"full\"\n";
    home.configure(&[("orders", &format!("{settings}schedule = \"0 3 * *\""))]);
    let wrong = home.run(&["apply"]).await;
    assert!(wrong.code == Some(2) && wrong.stderr.contains("is no schedule"), "{wrong:?}");
    home.configure(&[("orders", "collection = \"orders\"\nevery = \"1h\"")]);
    let wrong = home.run(&["apply"]).await;
    assert!(wrong.code == Some(2) && wrong.stderr.contains("only the mode full begins again"), "{wrong:?}");

    home.configure(&[("orders", &format!("{settings}every = \"1s\""))]);
    home.apply().await;
    let child = home.start(&[]).await;
    home.until("it is loaded", async || count(&bench, "orders").await == "10").await;
    insert(&bench, "orders", 10).await;
    home.until("it is loaded again", async || count(&bench, "orders").await == "11").await;
    let next = home.pipeline("orders").await["next_run"].clone();
    assert!(next.is_string(), "{next}");
    stop(child).await;

    home.configure(&[("orders", &format!("{settings}every = \"1h\""))]);
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();
    insert(&bench, "orders", 11).await;
    let child = home.start(&[]).await;
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    assert_eq!(count(&bench, "orders").await, "11", "its time has not come");
    let ended = stop(child).await;
    assert_eq!(ended.code, Some(0), "it waits for its time: {ended:?}");
    home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(count(&bench, "orders").await, "12");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_configuration() {
    let bench = Bench::new("environment").await;
    bench.fill("orders", (0..10).map(|n| rawdoc! { "_id": n })).await;
    bench
        .databases
        .mongodb
        .run_command(doc! { "create": "some_view", "viewOn": "orders", "pipeline": [] })
        .await
        .unwrap();
    let mut home = Home::new();
    home.set("ZENITH_SOURCE", bench.from());
    home.set("ZENITH_TARGET", &bench.to());
    let child = home.start(&[]).await;
    home.until("the collection is there", async || count(&bench, "orders_current").await == "10").await;
    // One that appears later is noticed.
    bench.fill("users.old", (0..3).map(|n| rawdoc! { "_id": n })).await;
    home.until("the other one is there", async || count(&bench, "`users.old_current`").await == "3").await;
    let ended = stop(child).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");

    let list = home.json(&["pipeline", "list"]).await;
    let names: Vec<&str> =
        list.as_array().unwrap().iter().filter_map(|pipeline| pipeline["name"].as_str()).collect();
    assert_eq!(names, ["orders", "users.old"]);
    let connectors = home.run(&["connector", "list"]).await.succeeded();
    assert!(connectors.stdout.contains("${ZENITH_SOURCE}"), "{connectors:?}");
    // A run without the variables continues with what they stood for, and says what it lacks.
    let mut command = home.command(&["run", "--once"]);
    command.env_remove("ZENITH_SOURCE");
    let ended = run(command).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("ZENITH_SOURCE, which is not set"), "{ended:?}");
    // The state of one database is no use for another.
    home.set("ZENITH_SOURCE", &bench.from().replace(&bench.databases.name, "another"));
    let ended = home.run(&["run", "--once"]).await;
    assert!(ended.code == Some(2) && ended.stderr.contains("belongs to another database"), "{ended:?}");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_fails_leaves_the_others_alone() {
    let bench = Bench::new("failing").await;
    bench.fill("orders", (0..10).map(|n| rawdoc! { "_id": n })).await;
    bench.fill("users", (0..10).map(|n| rawdoc! { "_id": n })).await;
    bench.ask("CREATE TABLE users (other Int32) ENGINE = Memory").await;
    let home = Home::between(&bench);
    home.configure(&[("orders", "collection = \"orders\""), ("users", "collection = \"users\"")]);
    home.apply().await;
    let child = home.start(&[]).await;
    home.until_state("users", "failed").await;
    home.until("the other one runs", async || count(&bench, "orders_current").await == "10").await;
    let status = home.run(&["status"]).await;
    assert!(status.code == Some(1) && status.stdout.contains("✗ users: "), "{status:?}");
    let health = home.run(&["status", "--health"]).await;
    assert!(health.code == Some(1) && health.stdout.starts_with("unhealthy: users failed"), "{health:?}");
    let ended = stop(child).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stderr.matches("zenith: users: ").count(), 1, "{ended:?}");

    // With --once, and alone, it is told by the code.
    assert_ne!(home.run(&["run", "--once"]).await.code, Some(0));
    let alone = home.run(&["run", "users"]).await;
    assert!(matches!(alone.code, Some(1 | 2)) && alone.stderr.contains("zenith: users: "), "{alone:?}");
    bench.remove().await;
}

#[tokio::test]
async fn without_anything_to_run_it_is_said_what_to_do() {
    let home = Home::new();
    let ended = home.run(&["run"]).await;
    assert!(ended.code == Some(2) && ended.stderr.contains("zenith init"), "{ended:?}");
    home.run(&["init"]).await.succeeded();
    let ended = home.run(&["run"]).await;
    assert!(ended.code == Some(2) && ended.stderr.contains("`zenith apply`"), "{ended:?}");
    assert!(!home.has("state.sqlite"));
    home.apply().await;
    let ended = home.run(&["run", "order"]).await;
    assert!(ended.code == Some(2) && ended.stderr.contains("did you mean orders?"), "{ended:?}");
    let ended = home.run(&["run"]).await;
    assert!(ended.code == Some(2) && ended.stderr.contains("MONGO_PASSWORD, which is not set"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_keeps_nobody_waiting() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut home = Home::new();
    home.set("MONGO", &format!("mongodb://{}/d", silent.local_addr().unwrap()));
    home.set("CLICKHOUSE", "http://127.0.0.1:1/d");
    home.configure(&[("orders", "collection = \"orders\"")]);
    home.apply().await;
    let child = home.command(&["run"]).spawn().unwrap();
    let _connection = silent.accept().await.unwrap();
    let ended = stop(child).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_goes_on_where_it_was() {
    let bench = Bench::new("killed").await;
    bench.fill("orders", (0..10).map(|n| rawdoc! { "_id": n })).await;
    let home = Home::between(&bench);
    home.configure(&[("orders", "collection = \"orders\"")]);
    home.apply().await;
    let child = home.start(&[]).await;
    home.until("the snapshot is there", async || count(&bench, "orders_current").await == "10").await;
    kill(Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()), Signal::SIGKILL).unwrap();
    assert_eq!(ended(child).await.code, None);
    let health = home.run(&["status", "--health"]).await;
    assert!(health.code == Some(1) && health.stdout.contains("zenith run is not running"), "{health:?}");
    assert_eq!(home.pipeline("orders").await["state"], "interrupted");
    let history = home.json(&["history"]).await;
    assert_eq!(
        (&history[0]["outcome"], &history[0]["error"]),
        (&"failed".into(), &"interrupted".into()),
        "{history}"
    );
    insert(&bench, "orders", 10).await;
    home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(count(&bench, "orders_current").await, "11");
    let history = home.json(&["history", "orders"]).await;
    assert_eq!(
        (&history[0]["outcome"], &history[1]["outcome"]),
        (&"done".into(), &"failed".into()),
        "{history}"
    );
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_are_away_end_a_run_that_only_catches_up() {
    let bench = Bench::new("away").await;
    bench.fill("orders", [rawdoc! { "_id": 1 }]).await;
    let mut home = Home::between(&bench);
    home.configure(&[("orders", "collection = \"orders\""), ("users", "collection = \"users\"")]);
    home.apply().await;
    let right = bench.to();
    for (variable, address, part) in [
        ("CLICKHOUSE", "http://u:s3cret@127.0.0.1:1/d", "cannot connect to ClickHouse"),
        ("CLICKHOUSE", &right, ""),
        (
            "MONGO",
            "mongodb://u:s3cret@127.0.0.1:1/d?serverSelectionTimeoutMS=300",
            "no usable MongoDB server",
        ),
    ] {
        home.set(variable, address);
        if part.is_empty() {
            continue;
        }
        let ended = home.run(&["run", "--once", "--quiet"]).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        assert!(ended.stderr.lines().count() == 2 && ended.stderr.contains(part), "{ended:?}");
        assert!(!ended.stderr.contains("s3cret"), "{ended:?}");
    }
    bench.remove().await;
}
