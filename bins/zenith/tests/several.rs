//! `zenith copy` of several collections: by patterns and by names, each to its own table.

use bson::{doc, rawdoc};
use serde_json::Value;
use tokio::process::Command;

use crate::harness::{Bench, Ended, run, zenith};

/// `zenith copy` of these collections from the database of the bench.
fn copy(bench: &Bench, collections: &[&str], more: &[&str]) -> Command {
    copy_from(bench, bench.from(), collections, more)
}

fn copy_from(bench: &Bench, from: &str, collections: &[&str], more: &[&str]) -> Command {
    let to = bench.to();
    let mut arguments = vec!["copy", "--from", from, "--to", &to];
    collections.iter().for_each(|collection| arguments.extend(["--collection", collection]));
    arguments.extend(more);
    zenith(&arguments)
}

async fn fill(bench: &Bench, collections: &[(&str, i32)]) {
    for (collection, documents) in collections {
        bench.fill(collection, (0..*documents).map(|n| rawdoc! { "_id": n, "of": *collection })).await;
    }
}

/// Code 2, one sentence with these parts, and nothing in the target.
async fn refused(bench: &Bench, command: Command, parts: &[&str]) {
    let ended = run(command).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    for part in parts {
        assert!(ended.stderr.contains(part), "{part:?} is not in {ended:?}");
    }
    assert!(bench.tables().await.is_empty(), "{ended:?}");
}

fn of<'j>(json: &'j Value, collection: &str) -> &'j Value {
    let mut copies = json["copies"].as_array().unwrap().iter();
    let ends = |copy: &&Value| copy["collection"].as_str().unwrap().ends_with(&format!(".{collection}"));
    copies.find(ends).unwrap_or_else(|| panic!("{collection} is not in {json}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_copies_each_collection_to_its_own_table() {
    let bench = Bench::new("several").await;
    fill(&bench, &[("orders_1", 300), ("orders_2", 20), ("orders.old", 5), ("users", 7), ("orders_tmp", 3)])
        .await;
    let database = &bench.databases.mongodb;
    database.create_collection("orders_view").view_on("users".to_owned()).await.unwrap();
    database.create_collection("orders_none").await.unwrap();
    let series = doc! { "create": "orders_series", "timeseries": { "timeField": "at" } };
    database.run_command(series).await.unwrap();
    let points = (0..4).map(|n| doc! { "_id": n, "at": bson::DateTime::from_millis(i64::from(n)) });
    database.collection("orders_series").insert_many(points).await.unwrap();

    let patterns = ["orders*", "!*_tmp"];
    let json = run(copy(&bench, &patterns, &["--dry-run", "--json"])).await.succeeded().json();
    assert!(bench.tables().await.is_empty());
    assert_eq!((&json["dry_run"], &json["collections"]), (&true.into(), &5.into()));
    let planned = of(&json, "orders_1");
    assert_eq!((&planned["documents"], &planned["table_exists"]), (&300.into(), &false.into()));

    let ended = run(copy(&bench, &patterns, &["--json"])).await.succeeded();
    assert!(ended.stderr.contains("orders_view is left out: it is a view"), "{ended:?}");
    let json = ended.json();
    assert_eq!(
        (&json["collections"], &json["failed"], &json["rows"], &json["left_out"][0]["reason"]),
        (&5.into(), &0.into(), &329.into(), &"it is a view".into())
    );
    assert_eq!(of(&json, "orders_1")["rows"], 300);
    assert_eq!(bench.tables().await, ["orders.old", "orders_1", "orders_2", "orders_none", "orders_series"]);
    assert_eq!(
        bench.ask("SELECT count(), uniqExact(_id), any(of) FROM orders_1").await,
        "300\t300\torders_1"
    );
    assert_eq!(bench.ask("SELECT count() FROM `orders.old`").await, "5");
    assert_eq!(bench.ask("SELECT count() FROM orders_none").await, "0");

    // Over themselves, in words; and a view by its name.
    fill(&bench, &[("users2", 1)]).await;
    let ended = run(copy(&bench, &["orders_1", "orders_view"], &["--parallel", "1"])).await.succeeded();
    for part in ["orders_1", "300", "2 collections: 307 rows in "] {
        assert!(ended.stdout.contains(part), "{part:?} is not in {}", ended.stdout);
    }
    assert_eq!(bench.ask("SELECT count() FROM orders_view").await, "7");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn patterns_name_databases_and_tables_are_named_by_a_template() {
    let bench = Bench::new("several_db").await;
    let own = bench.databases.name.clone();
    let other = format!("{own}_b");
    fill(&bench, &[("orders", 3), ("fs.files", 2)]).await;
    let database = bench.databases.mongodb.client().database(&other);
    database.collection("orders").insert_many((0..4).map(|n| doc! { "_id": n })).await.unwrap();

    let both = ["*", &format!("{other}.*")];
    refused(&bench, copy(&bench, &both, &[]), &["would both be the table orders", "{db}_{collection}"]).await;
    run(copy(&bench, &both, &["--table", "{db}_{collection}"])).await.succeeded();
    for (table, rows) in [(format!("{own}_orders"), "3"), (format!("{other}_orders"), "4")] {
        assert_eq!(bench.ask(&format!("SELECT count() FROM {table}")).await, rows);
    }
    // A plain name has the dots it has; a pattern of them is one of the database that is named.
    run(copy(&bench, &["fs.files", "orders"], &["--table", "raw_{collection}"])).await.succeeded();
    assert_eq!(bench.ask("SELECT count() FROM `raw_fs.files`").await, "2");
    run(copy(&bench, &[&format!("{own}.fs.*")], &[])).await.succeeded();
    assert_eq!(bench.ask("SELECT count() FROM `fs.files`").await, "2");
    // An address without a database has all of them.
    let from = bench.from().replace(&format!("/{own}"), "/");
    let pattern = format!("{own}*.ord*");
    let json = run(copy_from(&bench, &from, &[&pattern], &["--table", "{db}_{collection}", "--json"])).await;
    assert_eq!((&json.json()["collections"], &json.json()["rows"]), (&2.into(), &7.into()));
    database.drop().await.unwrap();
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_meant_is_refused_before_anything_is_written() {
    let bench = Bench::new("several_refused").await;
    fill(&bench, &[("orders", 3), ("users", 3), ("zenith_dead_letters", 1)]).await;
    bench.databases.mongodb.create_collection("v").view_on("users".to_owned()).await.unwrap();
    let own = &bench.databases.name;
    for (collections, more, parts) in [
        (&["x*"][..], &[][..], &["the pattern x* matches no collection of the database", own.as_str()][..]),
        (&["o*", "nope"], &[], &["there is no collection nope"]),
        (
            &["fs.*"],
            &[],
            &["the pattern fs.* matches no collection of the database fs", ".fs.* for collections of"],
        ),
        (&["!o*"], &[], &["only patterns that leave out"]),
        (&["*", "!"], &[], &["leaves out nothing"]),
        (&["*", "!*"], &[], &["leave nothing"]),
        (&["v*"], &[], &["v is left out, as it is a view"]),
        (&["o*"], &["--table", "t"], &["--table cannot be \"t\"", "{collection}"]),
        (&["o*"], &["--table", "{x}{collection}"], &["only {collection} and {db}"]),
        (&["*"], &[], &["zenith_dead_letters, which is that of dead letters", "--dead-letters"]),
        (&["o*"], &["--parallel", "9"], &["--parallel 9 needs", "--memory 72MiB", "--parallel 8"]),
    ] {
        refused(&bench, copy(&bench, collections, more), parts).await;
    }
    let missing = bench.to().replace(own.as_str(), "no_such_database");
    let command = zenith(&["copy", "--from", bench.from(), "--to", &missing, "--collection", "o*"]);
    refused(&bench, command, &["no_such_database", "--create-database"]).await;
    let none = bench.from().replace(&format!("/{own}"), "/");
    refused(&bench, copy_from(&bench, &none, &["o*"], &[]), &["write it as DATABASE.o*"]).await;
    bench.remove().await;
}

/// A table of other columns stops its own copy alone.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_fails_stops_no_other() {
    let bench = Bench::new("several_fail").await;
    fill(&bench, &[("a", 10), ("b", 10), ("c", 10)]).await;
    bench.ask("CREATE TABLE b (_id String, other Date) ENGINE = MergeTree ORDER BY _id").await;
    let ended = run(copy(&bench, &["*"], &["--json"])).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let json = ended.json();
    assert_eq!((&json["failed"], &json["rows"]), (&1.into(), &20.into()));
    let error = of(&json, "b")["error"].as_str().unwrap();
    assert!(
        error.contains("the table b exists with other columns") && error.contains("--replace"),
        "{error}"
    );
    assert!(ended.stderr.contains(".b: the table b exists"), "{ended:?}");
    assert_eq!(bench.ask("SELECT count() FROM a").await, "10");
    assert_eq!(bench.ask("SELECT count() FROM c").await, "10");
    let ended = run(copy(&bench, &["*"], &[])).await;
    assert!(ended.stdout.contains("3 collections, 1 of them failed: 20 rows"), "{ended:?}");

    // Where all are refused, nothing was written.
    let ended: Ended = run(copy(&bench, &["b*"], &["--quiet"])).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
    run(copy(&bench, &["*"], &["--replace"])).await.succeeded();
    assert_eq!(bench.ask("SELECT count() FROM b").await, "10");
    let ended = run(copy(&bench, &["*"], &["--max-extra", "0"])).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_dumps_is_loaded_by_a_pattern() {
    let bench = Bench::new("several_dump").await;
    fill(&bench, &[("orders", 30), ("users", 20), ("tmp_1", 1)]).await;
    let folder = tempfile::tempdir().unwrap();
    for collection in ["orders", "users", "tmp_1"] {
        zenith_testkit::dump::collection(&bench.databases.mongodb, collection, folder.path(), false)
            .await
            .unwrap();
    }
    let from = format!("file:{}", folder.path().display());
    let ended = run(copy_from(&bench, &from, &["*", "!tmp_*"], &["--json"])).await.succeeded();
    assert_eq!((&ended.json()["collections"], &ended.json()["rows"]), (&2.into(), &50.into()));
    assert_eq!(bench.tables().await, ["orders", "users"]);
    bench.remove().await;
}
