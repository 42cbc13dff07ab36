//! Names in ClickHouse that are somebody else's, or would be of two pipelines.

use bson::rawdoc;
use zenith_testkit::TestServers;

use crate::harness::{Bench, Ended, run};
use crate::home::Home;

const MINE: &str =
    "CREATE TABLE NAME (a Int64) ENGINE = MergeTree ORDER BY a AS SELECT number AS a FROM numbers(1000)";

#[track_caller]
fn refused(ended: &Ended, parts: &[&str]) {
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(ended.code == Some(2) && parts.iter().all(|part| said.contains(part)), "{ended:?}");
}

async fn filled(label: &str, collections: &[&str]) -> Bench {
    let bench = Bench::new(label).await;
    for collection in collections {
        bench.fill(collection, (0..10).map(|n| rawdoc! { "_id": n, "item": "tea" })).await;
    }
    bench
}

async fn count(bench: &Bench, table: &str) -> String {
    bench.ask(&format!("SELECT count() FROM {table}")).await.trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_mine_is_refused_by_check_and_apply_and_the_start_of_the_run() {
    let bench = filled("names_mine", &["orders"]).await;
    for (name, setting) in [("orders_current", "view"), ("zenith_dead_letters", "dead_letters")] {
        bench.ask(&MINE.replace("NAME", name)).await;
        let mut home = Home::between(&bench);
        home.configure(&[("orders", "collection = \"orders\"")]);
        let parts = [name, &format!("{setting} = \"NAME\""), "which Zenith did not make"];
        let parts = if setting == "view" { &parts[..] } else { &parts[..2] };
        refused(&home.run(&["check"]).await, parts);
        refused(&home.run(&["apply", "--dry-run"]).await, parts);
        refused(&home.run(&["apply", "--yes"]).await, parts);
        assert_eq!(home.json(&["pipeline", "list"]).await.as_array().map_or(0, Vec::len), 0);

        // Where ClickHouse cannot be asked, it is applied, and the start asks.
        home.set("CLICKHOUSE", "http://127.0.0.1:1/d");
        let applied = home.apply().await;
        assert!(applied.stderr.contains("could not be asked, and the start of the run will"), "{applied:?}");
        home.set("CLICKHOUSE", &bench.to());
        refused(&home.run(&["run", "--once"]).await, parts);
        assert_eq!(bench.tables().await, [name], "nothing was written");

        home.configure(&[("orders", &format!("collection = \"orders\"\n{setting} = \"others\""))]);
        home.apply().await;
        home.run(&["run", "--once"]).await.succeeded();
        let view = if setting == "view" { "others" } else { "orders_current" };
        assert_eq!(
            (count(&bench, view).await, count(&bench, name).await),
            ("10".to_owned(), "1000".to_owned())
        );
        let checked = home.run(&["check"]).await.succeeded();
        assert!(checked.stdout.contains(&format!("{view} exists")), "{checked:?}");
        for table in bench.tables().await {
            bench.ask(&format!("DROP TABLE {table}")).await;
        }
    }
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_name_their_dead_letters_otherwise() {
    let bench = filled("names_copy", &["orders", "zenith_dead_letters"]).await;
    bench.ask(&MINE.replace("NAME", "zenith_dead_letters")).await;
    refused(
        &run(bench.copy("orders", &[])).await,
        &["zenith_dead_letters is a table", "--dead-letters NAME"],
    );
    assert_eq!(bench.tables().await, ["zenith_dead_letters"]);
    run(bench.copy("orders", &["--dead-letters", "letters"])).await.succeeded();
    assert_eq!(count(&bench, "zenith_dead_letters").await, "1000");
    // One table cannot be both.
    bench.ask("DROP TABLE zenith_dead_letters").await;
    refused(&run(bench.copy("zenith_dead_letters", &[])).await, &["it is the table that is loaded"]);
    run(bench.copy("zenith_dead_letters", &["--dead-letters", "letters"])).await.succeeded();
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_pipelines_have_no_name_in_common() {
    let bench = filled("names_two", &["a", "b"]).await;
    let home = Home::between(&bench);
    let a = ("a", "collection = \"a\"\ntable = \"t\"");
    home.configure(&[a, ("b", "collection = \"b\"\ntable = \"t_current\"")]);
    let parts =
        ["the view of the pipeline a", "the table of the pipeline b", "t_current", "view = \"NAME\" in a"];
    for command in [&["check"][..], &["apply", "--yes"]] {
        refused(&home.run(command).await, &parts);
    }
    assert!(bench.tables().await.is_empty() && !home.has("state.sqlite"));
    home.configure(&[
        ("a", "collection = \"a\"\ntable = \"t\"\nview = \"now\""),
        ("b", "collection = \"b\"\ntable = \"t_current\""),
    ]);
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(bench.tables().await, ["now", "t", "t_current", "t_current_current", "zenith_owners"]);
    assert_eq!(
        (count(&bench, "now").await, count(&bench, "t_current").await),
        ("10".to_owned(), "10".to_owned())
    );
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn collections_of_a_database_that_would_take_each_others_names() {
    let bench = filled("names_zero", &["orders", "orders_current", "users", "mine"]).await;
    bench.ask(&MINE.replace("NAME", "mine_current")).await;
    let mut home = Home::new();
    home.set("ZENITH_SOURCE", bench.from());
    home.set("ZENITH_TARGET", &bench.to());
    let ended = home.run(&["run", "--once"]).await;
    refused(&ended, &["orders is left out: ", "orders_current is left out: ", "view = \"NAME\" in orders"]);
    refused(&ended, &["mine: mine_current is a table"]);
    assert_eq!(bench.tables().await, ["mine_current", "users", "users_current", "zenith_owners"]);
    assert_eq!(
        (count(&bench, "users_current").await, count(&bench, "mine_current").await),
        ("10".to_owned(), "1000".to_owned())
    );

    // One that comes later does not take the name of one that is followed.
    bench.fill("users_current", [rawdoc! { "_id": 1 }]).await;
    bench.databases.mongodb.collection::<bson::Document>("orders_current").drop().await.unwrap();
    let ended = home.run(&["run", "--once"]).await;
    refused(&ended, &["users_current is left out: "]);
    assert!(!ended.stderr.contains("orders is left out"), "{ended:?}");
    assert_eq!(
        (count(&bench, "users_current").await, count(&bench, "orders_current").await),
        ("10".to_owned(), "10".to_owned())
    );
    bench.remove().await;
}

/// Two addresses of one database are no two databases; and its dead letters are there once.
#[tokio::test(flavor = "multi_thread")]
async fn one_database_by_several_addresses() {
    let bench = filled("names_addresses", &["a", "b"]).await;
    let servers = TestServers::shared().await;
    let database = bench.databases.clickhouse.database();
    let mut home = Home::between(&bench);
    home.set("NATIVE", &format!("clickhouse://{}/{database}", servers.clickhouse_native()));
    home.set("LOCALHOST", &bench.to().replacen("127.0.0.1", "localhost", 1));
    let configure = |other: &str, table: &str| {
        home.write(
            "zenith.toml",
            &format!(
                "[sources.s]\nuri = \"${{MONGO}}\"\n[targets.one]\nuri = \"${{CLICKHOUSE}}\"\n\
                 [targets.other]\nuri = \"${{{other}}}\"\n\
                 [pipelines.a]\nsource = \"s\"\ntarget = \"one\"\ncollection = \"a\"\ntable = \"w\"\n\
                 [pipelines.b]\nsource = \"s\"\ntarget = \"other\"\ncollection = \"b\"\ntable = \"{table}\"\n"
            ),
        );
    };
    for (other, table, setting) in
        [("NATIVE", "w", "table = \"NAME\""), ("LOCALHOST", "w_current", "view = \"NAME\" in a")]
    {
        configure(other, table);
        let parts = ["pipelines a and b", "one, the database that other leads to as well", setting];
        let parts = if table == "w" { &parts[..] } else { &parts[1..] };
        refused(&home.run(&["check"]).await, parts);
        refused(&home.run(&["apply", "--yes"]).await, parts);
    }
    // Where it cannot be asked, it is applied, and the start of the run asks.
    let mut away = Home::between(&bench);
    away.set("CLICKHOUSE", "http://127.0.0.1:1/d");
    away.set("NATIVE", "clickhouse://127.0.0.1:1/e");
    configure("NATIVE", "w");
    away.write("zenith.toml", &home.read("zenith.toml"));
    let applied = away.apply().await;
    assert!(applied.stderr.contains("could not be asked, and the start of the run will"), "{applied:?}");
    away.set("CLICKHOUSE", &bench.to());
    away.set("NATIVE", &format!("clickhouse://{}/{database}", servers.clickhouse_native()));
    refused(&away.run(&["run", "--once"]).await, &["a and b both write the table w of one"]);
    assert!(bench.tables().await.is_empty());

    configure("NATIVE", "v");
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();
    bench.ask("ALTER TABLE w ADD CONSTRAINT none CHECK _id < 10").await;
    bench.fill("a", [rawdoc! { "_id": 10, "item": "tea" }]).await;
    home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(home.json(&["dead-letters", "list"]).await.as_array().map_or(0, Vec::len), 1);
    bench.remove().await;
}
