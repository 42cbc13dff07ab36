//! What does not fit is told: in every command that shows a pipeline, in the log, and by exit codes. And what cannot be
//! done is said in words that name what works.

use bson::spec::BinarySubtype;
use bson::{Binary, Document, RawDocumentBuf, cstr, doc, rawdoc};
use serde_json::{Value, json};

use crate::harness::{Bench, run};
use crate::home::{Home, stop};

/// A document whose string is not UTF-8.
fn not_text(id: i32) -> RawDocumentBuf {
    let mut bytes = rawdoc! { "_id": id, "item": "ab" }.into_bytes();
    let at = bytes.len() - 3;
    bytes[at] = 0xFF;
    RawDocumentBuf::from_bytes(bytes).unwrap()
}

/// A document with a key twice: the first value has no place in any column, whatever its type.
fn twice(id: i32) -> RawDocumentBuf {
    let mut bytes = rawdoc! { "_id": id, "a": 1, "b": 2 }.into_bytes();
    let at = bytes.windows(3).position(|key| key == b"\x10b\0").unwrap();
    bytes[at + 1] = b'a';
    RawDocumentBuf::from_bytes(bytes).unwrap()
}

const NOT_TEXT: &str = "BSON text is not valid UTF-8";

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_counted_in_every_command() {
    let bench = Bench::new("told").await;
    bench.fill("orders", (0..10).map(|n| rawdoc! { "_id": n, "item": "tea" })).await;
    let home = Home::between(&bench);
    home.configure(&[("orders", "collection = \"orders\"\non_new_field = \"extra\"")]);
    home.apply().await;
    let ended = home.run(&["run", "--once"]).await.succeeded();
    assert!(!ended.stderr.contains("_zenith_extra"), "{ended:?}");
    let status = home.pipeline("orders").await;
    assert_eq!((&status["extra_values"], &status["dead_letters"]), (&json!({}), &json!(0)));

    bench
        .fill("orders", (10..13).map(|n| rawdoc! { "_id": n, "item": "tea", "gift": { "note": "hi" } }))
        .await;
    bench.fill("orders", [not_text(13)]).await;
    let ended = home.run(&["run", "--once", "--max-extra", "2", "--max-dead-letters", "1"]).await;
    assert_eq!(ended.code, Some(3), "{ended:?}");
    for (part, times) in [
        (
            "values of the field \"gift\" go to _zenith_extra (no column): zenith schema promote orders proposes a column for them",
            1,
        ),
        ("a document has no row and is kept in zenith_dead_letters: BSON text is not valid UTF-8", 1),
        ("orders: 3 rows written; 3 values in _zenith_extra, 1 dead letter\n  gift: 3 no column\n", 1),
        ("orders has 3 values in _zenith_extra, and --max-extra allows 2", 1),
        ("--max-dead-letters", 0),
    ] {
        assert_eq!(ended.stderr.matches(part).count(), times, "{part:?}: {ended:?}");
    }

    let status = home.pipeline("orders").await;
    for values in ["extra_values", "extra_values_last_hour"] {
        assert_eq!(status[values], json!({ "gift": { "no column": 3 } }), "{status}");
    }
    assert_eq!(status["dead_letters"], 1);
    for letters in ["dead_letters_by_reason", "dead_letters_by_reason_last_hour"] {
        assert_eq!(status[letters], json!({ NOT_TEXT: 1 }), "{status}");
    }
    let line = "orders: 3 values (3 in the last hour) in _zenith_extra, 1 dead letter (1 in the last hour)\n";
    let text = home.run(&["status"]).await.succeeded().stdout;
    assert!(text.contains(line) && !text.contains("gift"), "{text}");
    for arguments in [&["status", "orders"][..], &["status", "-v"]] {
        let text = home.run(arguments).await.succeeded().stdout;
        assert!(
            text.contains(&format!("{line}  gift: 3 no column\n  1 dead letter: {NOT_TEXT}\n")),
            "{text}"
        );
    }
    for (arguments, code) in [
        (&["--max-extra", "3", "--max-dead-letters", "1"][..], 0),
        (&["--max-extra", "2"], 3),
        (&["--max-dead-letters", "0", "--json"], 3),
        (&["--max-extra", "2", "--max-lag", "0s"], 1),
        (&["--health", "--max-extra", "2"], 1),
    ] {
        let ended = home.run(&[&["status"], arguments].concat()).await;
        assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:?}");
    }
    let history = home.json(&["history"]).await;
    let of_runs = |key: &str| [history[0][key].clone(), history[1][key].clone()];
    assert_eq!(
        (of_runs("extra_values_total"), of_runs("dead_letters")),
        ([3.into(), 0.into()], [1.into(), 0.into()])
    );
    let text = home.run(&["history"]).await.succeeded().stdout;
    assert!(text.contains("in extra") && text.contains("dead letters"), "{text}");
    let check = home.json(&["check"]).await;
    assert_eq!(
        (&check["ok"], &check["pipelines"][0]["extra_values"]),
        (&json!(true), &status["extra_values"])
    );
    let text = home.run(&["check"]).await.succeeded().stdout;
    assert!(text.contains("3 values (3 in the last hour)") && text.contains("gift: 3 no column"), "{text}");

    // A run in which all fits says nothing and forgets nothing; a reload counts anew.
    let ended = home.run(&["run", "--once", "--max-extra", "0"]).await.succeeded();
    assert!(!ended.stderr.contains("_zenith_extra"), "{ended:?}");
    assert_eq!(home.pipeline("orders").await["extra_values"], status["extra_values"]);
    let ended =
        home.run(&["reload", "orders", "--json", "--max-extra", "0", "--max-dead-letters", "0"]).await;
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("orders has 1 dead letter, and --max-dead-letters allows 0"), "{ended:?}");
    let summary = ended.json();
    assert_eq!((&summary["rows"], &summary["dead_letters_by_reason"]), (&json!(13), &json!({ NOT_TEXT: 1 })));
    let status = home.pipeline("orders").await;
    assert_eq!((&status["extra_values"], &status["dead_letters"]), (&json!({}), &json!(1)), "{status}");
    let ended = home.run(&["run", "--max-extra", "1"]).await;
    assert!(ended.code == Some(2) && ended.stderr.contains("add --once"), "{ended:?}");
    bench.remove().await;
}

/// Also what the snapshot, a cursor and a whole load meet is counted, and only once.
#[tokio::test(flavor = "multi_thread")]
async fn every_mode_counts() {
    let bench = Bench::new("told_modes").await;
    bench.fill("orders", (0..10).map(|n| rawdoc! { "_id": n, "a": 1, "b": 1, "item": "tea" })).await;
    bench.fill("orders", [twice(10), twice(11), not_text(12)]).await;
    let home = Home::between(&bench);
    home.configure(&[
        ("changes", "collection = \"orders\"\ntable = \"c\""),
        ("cursor", "collection = \"orders\"\ntable = \"i\"\nmode = \"id-cursor\"\nsettle = \"0s\""),
        ("full", "collection = \"orders\"\ntable = \"f\"\nmode = \"full\""),
        ("log", "collection = \"orders\"\ntable = \"l\"\nmode = \"change-log\""),
    ]);
    home.apply().await;
    let twice_repeated = json!({ "a": { "repeated key": 2 } });
    for _ in 0..2 {
        let ended = home.run(&["run", "--once"]).await.succeeded();
        assert!(!ended.stderr.contains("zenith reload full"), "{ended:?}");
        for name in ["changes", "cursor", "full"] {
            let status = home.pipeline(name).await;
            assert_eq!(status["extra_values"], twice_repeated, "{name}: {status}");
            assert_eq!(status["dead_letters_by_reason"], json!({ NOT_TEXT: 1 }), "{name}: {status}");
        }
    }
    let status = home.pipeline("log").await;
    assert_eq!(status["extra_values"], json!({}), "what was there before is no change");
    bench.fill("orders", [twice(13)]).await;
    home.run(&["run", "--once"]).await.succeeded();
    for (name, count) in [("changes", 3), ("cursor", 3), ("full", 3), ("log", 1)] {
        let status = home.pipeline(name).await;
        assert_eq!(status["extra_values"]["a"]["repeated key"], count, "{name}: {status}");
    }
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_with_more_mismatches_than_allowed_is_there_all_the_same() {
    let bench = Bench::new("told_copy").await;
    bench.fill("orders", (0..10).map(|n| rawdoc! { "_id": n, "a": n })).await;
    bench.fill("orders", [twice(10), not_text(11)]).await;
    let ended = run(bench.copy("orders", &["--json", "--max-extra", "0"])).await;
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(
        ended.stderr.contains("orders has 1 value in _zenith_extra, and --max-extra allows 0"),
        "{ended:?}"
    );
    let summary = ended.json();
    assert_eq!(summary["extra_values"], json!({ "a": { "repeated key": 1 } }));
    assert_eq!(summary["dead_letters_by_reason"], json!({ NOT_TEXT: 1 }));
    assert_eq!(bench.ask("SELECT count() FROM orders").await, "11");
    run(bench.copy("orders", &["--max-extra", "1", "--max-dead-letters", "1"])).await.succeeded();
    let ended = run(bench.copy("orders", &["--quiet", "--max-dead-letters", "0"])).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(3), ""), "{ended:?}");
    bench.remove().await;
}

/// `00112233-4455-6677-8899-aabbccddeeff` as old Java drivers wrote it: each half reversed.
const JAVA: [u8; 16] =
    [0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0x00, 0xff, 0xee, 0xdd, 0xcc, 0xbb, 0xaa, 0x99, 0x88];
const UUID: &str = "00112233-4455-6677-8899-aabbccddeeff";

#[tokio::test(flavor = "multi_thread")]
async fn uuids_of_java_are_right_as_values_and_as_keys() {
    let bench = Bench::new("java").await;
    let java = Binary { subtype: BinarySubtype::UuidOld, bytes: JAVA.to_vec() };
    let collection = bench.databases.mongodb.collection::<Document>("users");
    collection.insert_one(doc! { "_id": java.clone(), "friend": java.clone() }).await.unwrap();
    let home = Home::between(&bench);
    let configure = |order: &str| {
        home.configure(&[("users", &format!("collection = \"users\"\nuuid_legacy = \"{order}\""))]);
    };
    configure("cobol");
    let ended = home.run(&["apply", "--yes"]).await;
    assert!(ended.code == Some(2) && ended.stderr.contains("java"), "{ended:?}");
    configure("java");
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();
    collection.update_one(doc! {}, doc! { "$set": { "enemy": 1, "friend": java } }).await.unwrap();
    home.run(&["run", "--once"]).await.succeeded();
    let ask = async || bench.ask("SELECT _id, friend FROM users_current FORMAT CSV").await.replace('"', "");
    assert_eq!(ask().await, format!("{UUID},{UUID}"));

    // The table keeps its columns, and whoever changes the setting is told what to do.
    configure("csharp");
    let applied = home.apply().await;
    assert!(applied.stdout.contains("uuid_legacy: java -> csharp"), "{applied:?}");
    assert!(applied.stdout.contains("zenith reload users makes them anew"), "{applied:?}");
    home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(ask().await, format!("{UUID},{UUID}"));
    home.run(&["reload", "users"]).await.succeeded();
    assert_ne!(ask().await, format!("{UUID},{UUID}"));
    configure("java");
    home.apply().await;
    home.run(&["reload", "users"]).await.succeeded();
    assert_eq!(ask().await, format!("{UUID},{UUID}"));
    bench.remove().await;
}

/// A table that `zenith copy` made is taken over by the first run, and `check` says so before.
#[tokio::test(flavor = "multi_thread")]
async fn a_copied_table_is_taken_over() {
    let bench = Bench::new("copy_follow").await;
    bench.fill("orders", (0..10).map(|n| rawdoc! { "_id": n, "item": "tea" })).await;
    run(bench.copy("orders", &[])).await.succeeded();
    let home = Home::between(&bench);
    home.configure(&[("orders", "collection = \"orders\"")]);
    home.apply().await;
    let checked = home.run(&["check"]).await.succeeded();
    assert!(
        checked.stdout.contains("orders exists with 10 rows, and will be loaded again by the first run"),
        "{checked:?}"
    );
    home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(bench.ask("SELECT count() FROM orders_current").await, "10");
    bench.fill("orders", [rawdoc! { "_id": 10, "item": "tea" }]).await;
    home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(bench.ask("SELECT count() FROM orders_current").await, "11");

    // A cursor would append to it.
    run(bench.copy("orders", &["--table", "grown"])).await.succeeded();
    home.configure(&[(
        "grown",
        "collection = \"orders\"\ntable = \"grown\"\nmode = \"id-cursor\"\nsettle = \"0s\"",
    )]);
    home.apply().await;
    let ended = home.run(&["run", "--once"]).await;
    assert!(ended.code == Some(2) && ended.stderr.contains("zenith reload grown"), "{ended:?}");
    home.run(&["reload", "grown"]).await.succeeded();
    home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(bench.ask("SELECT count() FROM grown").await, "11");
    bench.remove().await;
}

/// A value that shows as a list of one, and fields of nothing but nulls, are no loss: nobody is warned of them, they are
/// within any limit, and `verify` counts what the table has.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_loss_is_counted_apart() {
    let bench = Bench::new("told_shown").await;
    let document = |n: i32| {
        let mut document = rawdoc! { "_id": n, "gone": { "x": null }, "none": [null, null] };
        match n % 7 {
            0 => document.append(cstr!("tags"), "solo"),
            _ => document.append(cstr!("tags"), bson::rawbson!(["a", "b"])),
        }
        if n % 7 == 1 {
            document.append(cstr!("em"), rawdoc! {});
            document.append(cstr!("el"), bson::RawArrayBuf::new());
        }
        document
    };
    bench.fill("orders", (0..70).map(document)).await;
    let home = Home::between(&bench);
    home.configure(&[("orders", "collection = \"orders\"")]);
    home.apply().await;
    let ended = home.run(&["run", "--once", "--max-extra", "0"]).await.succeeded();
    assert!(!ended.stderr.contains("_zenith_extra"), "{ended:?}");
    let shown = json!({
        "gone": { "only nulls": 70 }, "none": { "only nulls": 70 }, "tags": { "is no array": 10 }
    });
    assert_eq!(home.pipeline("orders").await["extra_values"], shown);
    home.run(&["status", "--max-extra", "0"]).await.succeeded();
    assert_eq!(home.json(&["verify", "orders"]).await["extra_values"], shown);
    let copied = run(bench.copy("orders", &["--table", "copied", "--max-extra", "0"])).await.succeeded();
    assert!(
        copied.stdout.contains("shown all the same") && !copied.stdout.contains("no column fits"),
        "{copied:?}"
    );

    // A copy in the place of a table that is followed would end that.
    for replace in [&["--replace"][..], &["--replace", "--dry-run"]] {
        let refused = run(bench.copy("orders", replace)).await;
        assert!(refused.code == Some(2) && refused.stderr.contains("zenith reload NAME"), "{refused:?}");
    }
    let schema = home.run(&["schema", "orders"]).await.succeeded();
    assert!(!schema.stderr.contains("_zenith_version"), "{schema:?}");
    // What a killed load left behind is told.
    bench.ask("CREATE TABLE orders__zenith_1 (n Int64) ENGINE = MergeTree ORDER BY n").await;
    for command in [&["check"][..], &["run", "--once"], &["reload", "orders"]] {
        let ended = home.run(command).await.succeeded();
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert_eq!(said.matches("orders__zenith_1 was left behind").count(), 1, "{said}");
    }
    bench.remove().await;
}

/// What has neither an index of `_id` nor changes is refused before there is a table, with the mode that works.
#[tokio::test(flavor = "multi_thread")]
async fn time_series_and_views_are_loaded_whole_or_not_at_all() {
    let bench = Bench::new("time_series").await;
    let database = &bench.databases.mongodb;
    database.run_command(doc! { "create": "metrics", "timeseries": { "timeField": "at" } }).await.unwrap();
    let metric = |n: i64| doc! { "at": bson::DateTime::from_millis(n * 1000), "value": n };
    database.collection::<Document>("metrics").insert_many((0..10).map(metric)).await.unwrap();
    database.run_command(doc! { "create": "seen", "viewOn": "metrics", "pipeline": [] }).await.unwrap();
    let home = Home::between(&bench);
    for (collection, what) in [("metrics", "a time series"), ("seen", "a view")] {
        for mode in ["id-cursor", "changes", "change-log"] {
            let settings = format!("collection = \"{collection}\"\nmode = \"{mode}\"\nsettle = \"0s\"");
            home.configure(&[("metrics", &settings)]);
            home.apply().await;
            let said = format!("the mode cannot be {mode}: {}.{collection} is {what}", bench.databases.name);
            for arguments in [&["check"][..], &["run", "--once"]] {
                let ended = home.run(arguments).await;
                assert_eq!(ended.code, Some(2), "{ended:?}");
                let found = format!("{}{}", ended.stdout, ended.stderr);
                assert!(found.contains(&said) && found.contains("mode = \"full\""), "{found}");
            }
            assert_eq!(bench.tables().await, Vec::<String>::new());
        }
    }
    home.configure(&[("metrics", "collection = \"metrics\"\nmode = \"full\"")]);
    home.apply().await;
    home.run(&["check"]).await.succeeded();
    home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(bench.ask("SELECT count() FROM metrics").await, "10");
    bench.remove().await;
}

/// A whole database has views that fail, or take their time, and time series: none of them is read.
#[tokio::test(flavor = "multi_thread")]
async fn views_are_left_out_without_being_read() {
    let bench = Bench::new("bad_view").await;
    let database = &bench.databases.mongodb;
    bench.fill("orders", (0..10).map(|n| rawdoc! { "_id": n, "item": "tea" })).await;
    let failing = doc! { "$project": { "n": { "$toInt": "$item" } } };
    let view = |name: &str| doc! { "create": name, "viewOn": "orders", "pipeline": [failing.clone()] };
    database.run_command(view("bad")).await.unwrap();
    database.run_command(doc! { "find": "bad" }).await.expect_err("it fails when it is read");
    database.run_command(doc! { "create": "metrics", "timeseries": { "timeField": "at" } }).await.unwrap();
    let metric = doc! { "at": bson::DateTime::now() };
    database.collection::<Document>("metrics").insert_one(metric).await.unwrap();
    let mut home = Home::new();
    home.set("ZENITH_SOURCE", bench.from());
    home.set("ZENITH_TARGET", &bench.to());
    let child = home.start(&[]).await;
    let count = async |table: &str| {
        let count = bench.databases.clickhouse.query(&format!("SELECT count() FROM {table}")).await;
        count.unwrap_or_default()
    };
    home.until("the collection is there", async || count("orders_current").await == "10").await;
    // One that is made later keeps no other collection waiting.
    database.run_command(view("worse")).await.unwrap();
    bench.fill("users", (0..3).map(|n| rawdoc! { "_id": n })).await;
    home.until("the new one is there", async || count("users_current").await == "3").await;
    let ended = stop(child).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stderr.matches("left out: it is a ").count(), 3, "{ended:?}");
    let list = home.json(&["pipeline", "list"]).await;
    let names: Vec<&Value> = list.as_array().unwrap().iter().map(|pipeline| &pipeline["name"]).collect();
    assert_eq!(names, ["orders", "users"]);
    bench.remove().await;
}
