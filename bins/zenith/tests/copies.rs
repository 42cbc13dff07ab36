//! Copies that succeed, and what they print where.

use std::collections::BTreeSet;

use bson::{RawDocumentBuf, rawdoc};

use crate::harness::{Bench, keys, run, zenith};

/// What scripts may rely on, as the documentation has it.
const SUMMARY_KEYS: [&str; 12] = [
    "rows",
    "seconds",
    "rows_per_second",
    "source_bytes",
    "arrow_bytes",
    "peak_rss_bytes",
    "cpu_seconds",
    "extra_values",
    "dead_letters",
    "dead_letters_by_reason",
    "table",
    "send",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_and_a_copy_over_it() {
    let bench = Bench::new("copy").await;
    bench.events("events", 3_000).await;
    let ended = run(bench.copy("events", &[])).await.succeeded();
    assert!(ended.stdout.starts_with("3,000 rows in "), "{ended:?}");
    assert_eq!(ended.stderr, "");
    assert_eq!(bench.ask("SELECT count(), uniqExact(_id) FROM events").await, "3000\t3000");

    bench.fill("events", [rawdoc! { "_id": bson::oid::ObjectId::from_bytes([9; 12]), "kind": "new" }]).await;
    run(bench.copy("events", &[])).await.succeeded();
    assert_eq!(bench.ask("SELECT count(), countIf(kind = 'new') FROM events").await, "3001\t1");
    run(bench.copy("events", &["--table", "other"])).await.succeeded();
    assert_eq!(bench.tables().await, ["events", "other"]);
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_one_object_and_the_rest_is_on_standard_error() {
    let bench = Bench::new("json").await;
    let mut not_text = rawdoc! { "_id": 100, "n": 1, "s": "ab" }.into_bytes();
    let at = not_text.len() - 3;
    not_text[at] = 0xFF;
    let documents = (0..99).map(|n| rawdoc! { "_id": n, "n": n, "s": "text" });
    let odd =
        [rawdoc! { "_id": 99, "n": "not a number", "s": "x" }, RawDocumentBuf::from_bytes(not_text).unwrap()];
    bench.fill("t", documents.chain(odd)).await;

    let ended = run(bench.copy("t", &["--json", "-v"])).await.succeeded();
    assert!(!ended.stderr.is_empty(), "the log was asked for");
    let json = ended.json();
    assert_eq!(keys(&json), BTreeSet::from(SUMMARY_KEYS));
    assert_eq!((json["rows"].as_u64(), json["dead_letters"].as_u64()), (Some(100), Some(1)));
    assert_eq!(json["table"], "t");
    let extra = json["extra_values"].as_object().unwrap();
    assert_eq!(keys(&json["extra_values"]), BTreeSet::from(["n"]));
    assert_eq!(
        extra["n"].as_object().unwrap().values().filter_map(serde_json::Value::as_u64).sum::<u64>(),
        1
    );
    for key in ["seconds", "rows_per_second", "source_bytes", "arrow_bytes", "peak_rss_bytes"] {
        assert!(json[key].as_f64().is_some_and(|number| number > 0.0), "{key}: {json}");
    }
    assert!(json["cpu_seconds"].is_f64());
    assert_eq!(bench.ask("SELECT id FROM zenith_dead_letters").await, r#"{"$numberInt":"100"}"#);

    // The same in words.
    let ended = run(bench.copy("t", &[])).await.succeeded();
    for part in [
        "100 rows in ",
        "1 value went to _zenith_extra",
        "1 document could not be loaded: see zenith_dead_letters",
    ] {
        assert!(ended.stdout.contains(part), "{part:?} is not in {ended:?}");
    }
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_says_nothing() {
    let bench = Bench::new("quiet").await;
    bench.events("events", 500).await;
    let ended = run(bench.copy("events", &["--quiet"])).await.succeeded();
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""));
    assert_eq!(bench.ask("SELECT count() FROM events").await, "500");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_shows_everything_and_writes_nothing() {
    let bench = Bench::new("dry").await;
    bench.events("events", 500).await;
    let ended = run(bench.copy("events", &["--dry-run"])).await.succeeded();
    assert_eq!(ended.stderr, "");
    for part in [
        "_id            objectId",
        "Nullable(DateTime64(3, 'UTC'))",
        "CREATE TABLE",
        "ORDER BY `_id`",
        "500 documents",
        "rename it to events",
    ] {
        assert!(ended.stdout.contains(part), "{part:?} is not in {}", ended.stdout);
    }
    let json = run(bench.copy("events", &["--dry-run", "--json"])).await.succeeded().json();
    assert_eq!(
        (&json["dry_run"], &json["documents"], &json["table_exists"]),
        (&true.into(), &500.into(), &false.into())
    );
    let columns = json["columns"].as_array().unwrap();
    assert_eq!(
        (columns.len(), &columns[0]["name"], &columns[0]["bson_type"]),
        (14, &"_id".into(), &"objectId".into())
    );
    assert!(bench.tables().await.is_empty());

    // The statement shown is one that the server takes, and the table one that the copy agrees with.
    bench.ask(json["create_statement"].as_str().unwrap()).await;
    let ended = run(bench.copy("events", &["--dry-run"])).await.succeeded();
    assert!(ended.stdout.contains("exchange it with events"), "{}", ended.stdout);
    assert_eq!(bench.ask("SELECT count() FROM events").await, "0");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_created_when_asked_for_and_not_by_a_dry_run() {
    let bench = Bench::new("create_database").await;
    bench.events("events", 500).await;
    let database = format!("{}_new", bench.databases.name);
    let to = bench.to().replace(&bench.databases.name, &database);
    let arguments =
        ["copy", "--from", bench.from(), "--collection", "events", "--to", &to, "--create-database"];
    let is_there = format!("SELECT count() FROM system.databases WHERE name = '{database}'");

    let ended = run(crate::harness::zenith(&[&arguments[..], &["--dry-run"]].concat())).await.succeeded();
    assert!(ended.stdout.contains(&format!("CREATE TABLE `{database}`.`events`")), "{ended:?}");
    assert_eq!(bench.ask(&is_there).await, "0");
    run(crate::harness::zenith(&arguments)).await.succeeded();
    assert_eq!(bench.ask(&format!("SELECT count() FROM {database}.events")).await, "500");
    bench.databases.clickhouse.drop_database(&database).await.unwrap();
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn truncating_loads_the_table_in_place() {
    let bench = Bench::new("truncate").await;
    bench.events("events", 500).await;
    run(bench.copy("events", &["--strategy", "truncate"])).await.succeeded();
    let identity = "SELECT uuid FROM system.tables WHERE database = currentDatabase() AND name = 'events'";
    let before = bench.ask(identity).await;
    let ended = run(bench.copy("events", &["--strategy", "truncate", "--dry-run"])).await.succeeded();
    assert!(ended.stdout.contains("empty events of its 500 rows"), "{ended:?}");
    run(bench.copy("events", &["--strategy", "truncate"])).await.succeeded();
    assert_eq!(bench.ask("SELECT count() FROM events").await, "500");
    assert_eq!(bench.ask(identity).await, before, "it is the same table");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_native_protocol_does_the_same() {
    let bench = Bench::new("native").await;
    bench.events("events", 3_000).await;
    let native = zenith_testkit::TestServers::shared().await.clickhouse_native();
    let to = format!("clickhouse://{native}/{}", bench.databases.name);
    let arguments = ["copy", "--from", bench.from(), "--collection", "events", "--to", &to];
    let ended = run(crate::harness::zenith(&arguments)).await.succeeded();
    assert!(ended.stdout.starts_with("3,000 rows in "), "{ended:?}");
    assert_eq!(bench.ask("SELECT count(), uniqExact(_id) FROM events").await, "3000\t3000");
    bench.remove().await;
}

/// Each way of sending, by either protocol, said by the option and by the address.
#[tokio::test(flavor = "multi_thread")]
async fn every_way_of_sending_copies_the_same_rows() {
    let bench = Bench::new("send").await;
    bench.events("events", 20_000).await;
    let sum = "SELECT count(), sum(cityHash64(*)) FROM ";
    run(bench.copy("events", &[])).await.succeeded();
    let expected = bench.ask(&format!("{sum}events")).await;
    let native = zenith_testkit::TestServers::shared().await.clickhouse_native();
    let native = format!("clickhouse://{native}/{}", bench.databases.name);
    for (send, path, reason, words) in [
        ("auto", "writev", "same-machine", "sent by writev, as ClickHouse is on this machine"),
        ("writev", "writev", "configured", "sent by writev, as configured"),
        ("sendfile", "sendfile", "configured", "sent by sendfile, as configured"),
        ("splice", "splice", "configured", "sent by splice, as configured"),
    ] {
        for to in [bench.to(), native.clone()] {
            let said = format!("{to}?send={send}");
            for (to, more) in [(&to, &["--json", "--send", send][..]), (&said, &["--json"]), (&said, &["-v"])]
            {
                let copy = [
                    "copy",
                    "--from",
                    bench.from(),
                    "--collection",
                    "events",
                    "--to",
                    to,
                    "--table",
                    "other",
                ];
                let ended = run(zenith(&[&copy, more].concat())).await.succeeded();
                if more.contains(&"--json") {
                    let sent = &ended.json()["send"];
                    assert_eq!((&sent["path"], &sent["reason"]), (&path.into(), &reason.into()), "{to}");
                } else {
                    assert!(ended.stdout.contains(words) && ended.stderr.contains(words), "{ended:?}");
                }
                assert_eq!(bench.ask(&format!("{sum}other")).await, expected, "{to}");
            }
        }
    }
    bench.remove().await;
}
