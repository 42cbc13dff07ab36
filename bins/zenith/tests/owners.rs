//! Two states that write one table see each other, and a table that is another one is noticed.

use std::time::{Duration, Instant};

use bson::{doc, rawdoc};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Child;

use crate::harness::{Bench, Ended, run};
use crate::home::{Home, stop};

const ORDERS: &str = "collection = \"orders\"";
const ITEMS: &str = "collection = \"items\"\nmode = \"id-cursor\"\nsettle = \"0s\"";

async fn filled(label: &str) -> Bench {
    let bench = Bench::new(label).await;
    for collection in ["orders", "items"] {
        bench.fill(collection, (0..10).map(|n| rawdoc! { "_id": n })).await;
    }
    bench
}

/// A state with both pipelines.
async fn home(bench: &Bench) -> Home {
    let home = Home::between(bench);
    home.configure(&[("orders", ORDERS), ("items", ITEMS)]);
    home.apply().await;
    home
}

async fn until_rows(bench: &Bench, home: &Home, rows: u32) {
    home.until(&format!("{rows} rows"), async || {
        let count = bench.databases.clickhouse.query("SELECT count() FROM orders_current").await;
        count.is_ok_and(|count| count == rows.to_string())
    })
    .await;
}

async fn owned(bench: &Bench) -> String {
    let marked = "SELECT * FROM zenith_owners FINAL WHERE NOT is_released ORDER BY `table`";
    let asked =
        bench.databases.clickhouse.query(&format!("SELECT groupArray(`table`) FROM ({marked})")).await;
    asked.unwrap_or_default()
}

async fn kill_now(mut child: Child) {
    kill(Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()), Signal::SIGKILL).unwrap();
    child.wait().await.unwrap();
}

/// One sentence that names the other, and advises nothing that makes it worse.
#[track_caller]
fn is_refused(ended: &Ended, other: &Child) {
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let said = format!("{}{}", ended.stdout, ended.stderr);
    let process = format!("of process {} on ", other.id().unwrap());
    assert!(
        said.contains("is written by another Zenith, ") && said.contains(&process) && said.contains(" s ago"),
        "{ended:?}"
    );
    assert!(!said.contains("state"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_owner_is_respected_until_it_ends() {
    let bench = filled("owners").await;
    let (first, second) = (home(&bench).await, home(&bench).await);
    let running = first.start(&["--quiet"]).await;
    until_rows(&bench, &first, 10).await;
    first.until("both tables are marked", async || owned(&bench).await == "['items','orders']").await;

    is_refused(&second.run(&["run", "--once", "--quiet"]).await, &running);
    is_refused(&second.run(&["check", "orders"]).await, &running);
    is_refused(&second.run(&["reload", "items", "--quiet"]).await, &running);
    is_refused(&run(bench.copy("items", &["--replace", "--quiet"])).await, &running);
    assert_eq!(bench.ask("SELECT count() FROM items").await, "10");

    // One that follows waits, and takes the tables over by itself.
    let waiting = second.start(&["--quiet"]).await;
    for pipeline in ["orders", "items"] {
        second.until_state(pipeline, "waiting").await;
    }
    let reason = second.pipeline("orders").await["waiting_for"].to_string();
    assert!(reason.contains("is written by another Zenith"), "{reason}");
    let ended = stop(running).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    second.until_state("orders", "following").await;
    // A new state does not append to a table that has rows.
    second.until_state("items", "failed").await;
    let orders = bench.databases.mongodb.collection::<bson::Document>("orders");
    orders.insert_one(doc! { "_id": 10 }).await.unwrap();
    until_rows(&bench, &second, 11).await;
    let ended = stop(waiting).await;
    assert!(!ended.stderr.contains("is taken over"), "{ended:?}");
    assert_eq!(owned(&bench).await, "[]");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_owner_goes_on_at_once_and_is_taken_over_by_others_later() {
    let bench = filled("owners_killed").await;
    let (first, second) = (home(&bench).await, home(&bench).await);
    for _ in 0..2 {
        let running = first.start(&["--quiet"]).await;
        until_rows(&bench, &first, 10).await;
        first.until("both tables are marked", async || owned(&bench).await == "['items','orders']").await;
        kill_now(running).await;
        assert_eq!(owned(&bench).await, "['items','orders']");
        // The same state is the same owner.
        first.run(&["run", "--once", "--quiet"]).await.succeeded();
        assert_eq!(owned(&bench).await, "[]");
    }
    let running = first.start(&["--quiet"]).await;
    first.until("both tables are marked", async || owned(&bench).await == "['items','orders']").await;
    let process = running.id().unwrap();
    kill_now(running).await;
    let killed = Instant::now();
    let refused = second.run(&["run", "orders", "--once", "--quiet"]).await;
    assert!(
        refused.code == Some(2) && refused.stderr.contains("is written by another Zenith"),
        "{refused:?}"
    );
    // Renewed up to five seconds before it was killed.
    let ended = loop {
        let ended = second.run(&["run", "orders", "--once"]).await;
        if ended.code == Some(0) {
            break ended;
        }
        assert!(killed.elapsed() < Duration::from_secs(40), "{ended:?}");
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    assert!(killed.elapsed() > Duration::from_secs(20), "{:?}", killed.elapsed());
    let said = format!("is taken over from another Zenith, the pipeline orders of process {process} on ");
    assert!(ended.stderr.contains(&said), "{ended:?}");
    until_rows(&bench, &second, 10).await;
    bench.remove().await;
}

/// One that was only away for long does not write beside the one that has taken its tables over.
#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_comes_back_writes_no_more() {
    let bench = filled("owners_back").await;
    let (first, second) = (home(&bench).await, home(&bench).await);
    let away = first.start(&["--quiet"]).await;
    first.until("both tables are marked", async || owned(&bench).await == "['items','orders']").await;
    until_rows(&bench, &first, 10).await;
    let signal = |signal| kill(Pid::from_raw(i32::try_from(away.id().unwrap()).unwrap()), signal).unwrap();
    signal(Signal::SIGSTOP);
    let running = second.start(&["--quiet"]).await;
    let taken = format!(
        "SELECT count() FROM zenith_owners FINAL WHERE NOT is_released AND process = {} AND `table` = 'orders'",
        running.id().unwrap()
    );
    second.until("the table is taken over", async || bench.ask(&taken).await == "1").await;
    second.until_state("orders", "following").await;
    signal(Signal::SIGCONT);
    let orders = bench.databases.mongodb.collection::<bson::Document>("orders");
    orders.insert_one(doc! { "_id": 10 }).await.unwrap();
    until_rows(&bench, &second, 11).await;
    first.until_state("orders", "waiting").await;
    let reason = first.pipeline("orders").await["waiting_for"].to_string();
    assert!(reason.contains(&format!("of process {} on ", running.id().unwrap())), "{reason}");
    // And the other way round.
    stop(running).await.succeeded();
    first.until_state("orders", "following").await;
    let ended = stop(away).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    bench.remove().await;
}

/// A table that takes no marks is no reason to stand still.
#[tokio::test(flavor = "multi_thread")]
async fn where_tables_cannot_be_marked_it_is_told_once() {
    let bench = filled("owners_none").await;
    bench.ask("CREATE TABLE zenith_owners (mine Int8) ENGINE = Memory").await;
    let home = home(&bench).await;
    for _ in 0..2 {
        let ended = home.run(&["run", "--once"]).await.succeeded();
        assert_eq!(ended.stderr.matches("zenith_owners cannot be used").count(), 1, "{ended:?}");
    }
    assert_eq!(bench.ask("SELECT count() FROM orders_current").await, "10");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_table_of_the_same_name_is_noticed() {
    let (bench, other) = (filled("target").await, Bench::new("target_other").await);
    let (mut first, mut second) = (home(&bench).await, home(&bench).await);
    second.set("CLICKHOUSE", &other.to());
    for home in [&first, &second] {
        home.run(&["run", "--once", "--quiet"]).await.succeeded();
    }
    let orders = bench.databases.mongodb.collection::<bson::Document>("orders");
    orders.insert_one(doc! { "_id": 10 }).await.unwrap();

    // The same address leads to the tables of another state.
    first.set("CLICKHOUSE", &other.to());
    let marks = other.ask("SELECT count() FROM zenith_owners").await;
    let refused = first.run(&["run", "--once", "--quiet"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    for pipeline in ["orders", "items"] {
        let said = format!("the table {pipeline} is not the one that the pipeline {pipeline} has written");
        assert!(refused.stderr.contains(&said), "{refused:?}");
        assert!(refused.stderr.contains(&format!("zenith reload {pipeline} ")), "{refused:?}");
    }
    let check = first.run(&["check", "orders"]).await;
    assert!(check.code == Some(2) && check.stdout.contains("is not the one that"), "{check:?}");
    assert_eq!(other.ask("SELECT count() FROM orders_current").await, "10");
    assert_eq!(other.ask("SELECT count() FROM zenith_owners").await, marks, "nothing is written");

    // And to tables that somebody has made by hand.
    let third = Bench::new("target_third").await;
    for table in ["orders", "items"] {
        let from = &bench.databases.name;
        third.ask(&format!("CREATE TABLE {table} AS {from}.{table}")).await;
        third.ask(&format!("INSERT INTO {table} SELECT * FROM {from}.{table}")).await;
        third.ask(&format!("ALTER TABLE {table} MODIFY COMMENT 'mine'")).await;
    }
    first.set("CLICKHOUSE", &third.to());
    let refused = first.run(&["run", "--once", "--quiet"]).await;
    assert!(refused.stderr.contains("neither its comment nor the table zenith_owners"), "{refused:?}");
    assert_eq!(third.ask("SELECT count() FROM orders").await, "10");

    // What the message names.
    for pipeline in ["orders", "items"] {
        first.run(&["reload", pipeline, "--quiet"]).await.succeeded();
    }
    first.run(&["run", "--once", "--quiet"]).await.succeeded();
    assert_eq!(third.ask("SELECT count() FROM orders_current").await, "11");
    assert_eq!(third.ask("SELECT count() FROM items").await, "10");
    for bench in [bench, other, third] {
        bench.remove().await;
    }
}

/// A comment is the user's, and a table that was there before is gone on with.
#[tokio::test(flavor = "multi_thread")]
async fn comments_of_users_and_other_makers_are_no_other_table() {
    let bench = filled("target_comment").await;
    let (first, second) = (home(&bench).await, home(&bench).await);
    first.run(&["run", "--once", "--quiet"]).await.succeeded();
    for table in ["orders", "items"] {
        bench.ask(&format!("ALTER TABLE {table} MODIFY COMMENT 'mine'")).await;
    }
    first.run(&["run", "--once", "--quiet"]).await.succeeded();
    // A second state loads the table anew; the first one notices.
    second.run(&["reload", "orders", "--quiet"]).await.succeeded();
    bench.ask("ALTER TABLE orders MODIFY COMMENT ''").await;
    second.run(&["reload", "orders", "--quiet"]).await.succeeded();
    second.run(&["run", "orders", "--once", "--quiet"]).await.succeeded();
    let refused = first.run(&["run", "orders", "--once", "--quiet"]).await;
    assert!(refused.code == Some(1) && refused.stderr.contains("is not the one that"), "{refused:?}");
    bench.remove().await;
}
