//! Fields that are left out and values that are masked: nothing of them is in the target, in the state, or in what is
//! printed.

use bson::{Document, RawDocumentBuf, doc, rawdoc};
use zenith_testkit::dump;

use crate::harness::{Bench, Ended, run, zenith};
use crate::home::Home;

/// What no test may find anywhere but in MongoDB.
pub const SECRET: &str = "hunter2secret";
/// The salt of hashes.
pub const SALT: &str = "pepper4hashes";

/// Secrets in each place that a value can come from: a column, a part of a document or of an array of documents, a key
/// that only some documents have, a value of another type, a document of data keys, an array of arrays.
fn people(range: std::ops::Range<i32>) -> impl Iterator<Item = RawDocumentBuf> {
    range.map(|n| {
        let secret = format!("{SECRET} {n}");
        let mut person = rawdoc! {
            "_id": n,
            "name": format!("name {n}"),
            "password": secret.as_str(),
            "customer": { "city": "x", "password": secret.as_str() },
            "lines": [{ "price": n, "internal": secret.as_str() }, { "internal": [secret.as_str()] }],
            "by_day": { "2024-01-01": { "password": secret.as_str(), "n": n }, "2024-01-02": { "n": 1 }, "2024-01-03": { "n": 2 } },
            "deep": [[{ "password": secret.as_str(), "x": 1 }]],
        };
        match n % 10 {
            3 => person.append(bson::cstr!("rare"), rawdoc! { "password": secret.as_str(), "y": 1 }),
            4 => person.append(bson::cstr!("odd"), secret.as_str()),
            5 => person.append(bson::cstr!("odd"), rawdoc! { "z": 1, "password": secret.as_str() }),
            _ => {}
        }
        person
    })
}

const EXCLUDED: &str = r#"exclude = ["password", "*.password", "*.internal", "by_day.*.password", "odd", "later", "later_document.inside"]"#;

fn arguments() -> Vec<&'static str> {
    let paths = ["password", "*.password", "*.internal", "by_day.*.password", "odd"];
    paths.into_iter().flat_map(|path| ["--exclude", path]).collect()
}

/// The document with the `@` in its `n@me` replaced by a byte that no UTF-8 has.
fn spoilt(document: RawDocumentBuf) -> RawDocumentBuf {
    let mut bytes = document.into_bytes();
    let at = bytes.windows(4).position(|bytes| bytes == b"n@me").unwrap();
    bytes[at + 1] = 0xFF;
    RawDocumentBuf::from_bytes(bytes).unwrap()
}

/// Whether a secret is in some bytes.
fn tells(bytes: &[u8]) -> bool {
    [SECRET, SALT].iter().any(|secret| bytes.windows(secret.len()).any(|window| window == secret.as_bytes()))
}

/// A document in which keys come twice.
fn repeated(id: i32) -> RawDocumentBuf {
    let mut bytes =
        rawdoc! { "_id": id, "name": "first", "password": SECRET, "customer": { "city": "x" } }.into_bytes();
    let more = rawdoc! { "name": "second", "password": SECRET }.into_bytes();
    let end = bytes.len() - 1;
    bytes.splice(end.., more[4..].iter().copied());
    let length = i32::try_from(bytes.len()).unwrap().to_le_bytes();
    bytes.splice(..4, length);
    RawDocumentBuf::from_bytes(bytes).unwrap()
}

/// Looks for the secrets in all tables and views of the target.
pub async fn is_nowhere(bench: &Bench) {
    let tables = bench.tables().await;
    assert!(!tables.is_empty());
    for table in tables {
        for question in
            [format!("SELECT * FROM `{table}` FORMAT JSONEachRow"), format!("SHOW CREATE TABLE `{table}`")]
        {
            let answer = bench.databases.clickhouse.query_bytes(&question).await.unwrap();
            assert!(!answer.is_empty() || question.starts_with("SELECT"));
            assert!(!tells(&answer), "{table}: {}", String::from_utf8_lossy(&answer));
        }
    }
}

/// Looks for the secrets in what a command has printed.
pub fn is_silent(ended: &Ended) {
    assert!(!tells(ended.stdout.as_bytes()) && !tells(ended.stderr.as_bytes()), "{ended:?}");
}

/// The same, and in the files of the state.
pub fn is_untold(home: &Home, ended: &Ended) {
    is_silent(ended);
    assert!(home.has("state.sqlite"));
    for file in std::fs::read_dir(home.folder.path()).unwrap() {
        let path = file.unwrap().path();
        assert!(!tells(&std::fs::read(&path).unwrap_or_default()), "{}", path.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_has_nothing_of_what_is_excluded() {
    let bench = Bench::new("transforms_copy").await;
    bench.fill("people", people(0..500)).await;
    let bad = rawdoc! { "_id": 1000, "name": "n@me", "password": SECRET };
    bench.fill("people", [spoilt(bad)]).await;
    let copy = async |more: &[&str]| run(bench.copy("people", &[&arguments()[..], more].concat())).await;
    let planned = copy(&["--dry-run", "-vv"]).await.succeeded();
    assert!(!planned.stdout.contains("password") && planned.stdout.contains("city"), "{planned:?}");
    for more in [&["-vv"][..], &["--table", "again", "--sample", "20", "-vv", "--json"]] {
        let ended = copy(more).await.succeeded();
        is_silent(&ended);
    }
    is_nowhere(&bench).await;
    for table in ["people", "again"] {
        let question = format!(
            "SELECT count(), uniqExact(name), sum(lines.price[1]), countIf(customer.city = 'x'), \
             countIf(_zenith_extra != '' AND NOT JSONHas(_zenith_extra, 'rare')) FROM {table}"
        );
        assert_eq!(bench.ask(&question).await, format!("500\t500\t{}\t500\t0", 499 * 500 / 2));
    }
    let letter = bench
        .ask("SELECT id, reason, hex(document), count() OVER () FROM zenith_dead_letters LIMIT 1 FORMAT TSVRaw")
        .await;
    let key: String = rawdoc! { "_id": 1000 }.as_bytes().iter().map(|byte| format!("{byte:02X}")).collect();
    assert!(
        letter.contains("1000") && letter.contains("UTF-8") && letter.ends_with(&format!("\t{key}\t2")),
        "{letter}"
    );

    // What nothing is found of may be misspelled.
    let ended = copy(&["--exclude", "customer.pasword", "--table", "other"]).await.succeeded();
    assert!(ended.stderr.contains("customer.pasword"), "{ended:?}");
    for (path, part) in [("_id", "_id"), ("a..b", "empty key")] {
        let ended = run(bench.copy("people", &["--exclude", path])).await;
        assert!(ended.code == Some(2) && ended.stderr.contains(part), "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    }
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_of_a_copy_leave_out_what_is_excluded_or_not_included() {
    let bench = Bench::new("transforms_pushed").await;
    bench.fill("people", people(0..199).chain([repeated(199)])).await;
    let database = &bench.databases.mongodb;
    database.run_command(doc! { "profile": 2 }).await.unwrap();
    let projections = async || {
        let found = database
            .collection::<Document>("system.profile")
            .distinct("command.projection", doc! { "command.find": "people" })
            .await
            .unwrap();
        found.into_iter().map(|projection| projection.to_string()).collect::<Vec<_>>().join("\n")
    };
    // A server on the same machine makes no other documents to spare a few bytes.
    run(bench.copy("people", &arguments())).await.succeeded();
    assert!(!projections().await.contains("password"));
    let long = doc! { "$set": { "password": SECRET.repeat(2_000 / SECRET.len() + 1) } };
    database.collection::<Document>("people").update_many(doc! {}, long).await.unwrap();
    run(bench.copy("people", &arguments())).await.succeeded();
    let found = projections().await;
    assert!(found.contains("\"password\": 0") && found.contains("\"odd\": 0"), "{found}");
    run(bench.copy("people", &["--include", "name", "--include", "customer.city", "--table", "few"]))
        .await
        .succeeded();
    let found = projections().await;
    assert!(found.contains("\"lines\": 0") && found.contains("\"by_day\": 0"), "{found}");
    database.run_command(doc! { "profile": 0 }).await.unwrap();
    let columns = "SELECT arrayStringConcat(groupArray(name), ' ') FROM system.columns WHERE database = \
                   currentDatabase() AND table = 'few'";
    assert_eq!(bench.ask(columns).await, "_id name customer _zenith_extra _zenith_notes");
    let rows = "SELECT count(), countIf(customer.city = 'x'), countIf(_zenith_extra != '') FROM few";
    assert_eq!(bench.ask(rows).await, "200\t200\t1");
    // Nothing is lost by that: keys that come twice are as they would be otherwise.
    for table in ["people", "few"] {
        let twice = format!("SELECT name, _zenith_extra FROM {table} WHERE _id = 199 FORMAT TSVRaw");
        assert_eq!(bench.ask(&twice).await, "second\t{\"$duplicates\":[{\"name\":\"first\"}]}", "{table}");
    }
    is_nowhere(&bench).await;
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_has_nothing_of_what_is_excluded() {
    let bench = Bench::new("transforms_dump").await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("people.bson");
    let bytes: Vec<u8> = people(0..300).flat_map(RawDocumentBuf::into_bytes).collect();
    dump::write(&path, [bytes]).unwrap();
    let (from, to) = (format!("file:{}", path.display()), bench.to());
    let arguments = [&["copy", "--from", &from, "--to", &to, "-vv"], &arguments()[..]].concat();
    let ended = run(zenith(&arguments)).await.succeeded();
    is_silent(&ended);
    is_nowhere(&bench).await;
    assert_eq!(bench.ask("SELECT count(), countIf(customer.city = 'x') FROM people").await, "300\t300");
    bench.remove().await;
}

/// Inserts, updates of excluded and of other fields, a replacement and a deletion, a document that cannot be decoded, and
/// fields that come up later.
async fn change(bench: &Bench) {
    let people_there = bench.databases.mongodb.collection::<Document>("people");
    bench.fill("people", people(500..520)).await;
    let secret = || format!("{SECRET} again");
    let set = async |id: i32, set: Document| {
        people_there.update_one(doc! { "_id": id }, doc! { "$set": set }).await.unwrap();
    };
    set(1, doc! { "password": secret() }).await;
    set(2, doc! { "name": "renamed", "customer.password": secret() }).await;
    set(3, doc! { "later": secret(), "later_document": { "inside": secret(), "outside": 1 } }).await;
    set(4, doc! { "name": { "password": secret(), "n": 1 } }).await;
    let replacement =
        doc! { "name": "replaced", "password": secret(), "lines": { "internal": secret(), "price": 1 } };
    people_there.replace_one(doc! { "_id": 5 }, replacement).await.unwrap();
    people_there.delete_one(doc! { "_id": 6 }).await.unwrap();
    let spoil = rawdoc! { "update": "people", "updates": [{ "q": { "_id": 7 }, "u": { "$set": { "name": "n@me" } } }] };
    bench.databases.mongodb.run_raw_command(spoilt(spoil)).await.unwrap();
    bench.fill("people", [spoilt(rawdoc! { "_id": 600, "name": "n@me", "password": SECRET })]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelines_have_nothing_of_what_is_excluded() {
    let bench = Bench::new("transforms_modes").await;
    bench.fill("people", people(0..500)).await;
    let home = Home::between(&bench);
    let settings = |more: &str| format!("collection = \"people\"\n{EXCLUDED}\n{more}");
    home.configure(&[
        ("current", &settings("table = \"current\"")),
        ("log", &settings("mode = \"change-log\"\ntable = \"log\"")),
        ("cursor", &settings("mode = \"id-cursor\"\ntable = \"cursor\"\nsettle = \"0s\"")),
        ("full", &settings("mode = \"full\"\ntable = \"full\"")),
    ]);
    home.apply().await;
    for round in 0..2 {
        if round == 1 {
            change(&bench).await;
        }
        let ended = home.run(&["run", "--once", "-vv"]).await.succeeded();
        is_untold(&home, &ended);
        is_nowhere(&bench).await;
    }
    let question = "SELECT count(), countIf(name = 'renamed'), countIf(name = 'replaced'), \
                    sum(later_document.outside) FROM current_current";
    assert_eq!(bench.ask(question).await, "518\t1\t1\t1");
    let operations = "SELECT countIf(_zenith_operation = 'insert'), countIf(_zenith_operation = 'update'), \
                      countIf(_zenith_operation = 'replace'), countIf(_zenith_operation = 'delete') FROM log";
    assert_eq!(bench.ask(operations).await, "20\t4\t1\t1");
    for pipeline in ["current", "full"] {
        let ended = home.run(&["verify", pipeline]).await.succeeded();
        is_untold(&home, &ended);
    }
    // Parts that documents gain later are no way around it.
    let there = bench.databases.mongodb.collection::<Document>("people");
    let gained = doc! { "customer.zip": 7, "customer.password": SECRET, "lines.0.internal": [SECRET], "lines.0.unit": "kg" };
    there.update_one(doc! { "_id": 8 }, doc! { "$set": gained }).await.unwrap();
    is_untold(&home, &home.run(&["run", "--once", "-vv"]).await.succeeded());
    is_nowhere(&bench).await;
    let parts = "SELECT customer.zip, lines.unit[1] FROM current_current WHERE _id = 8";
    assert_eq!(bench.ask(parts).await, "7\tkg");
    is_untold(&home, &home.run(&["schema", "promote", "current", "--apply"]).await);
    home.run(&["verify", "current"]).await.succeeded();
    for commands in [
        &["dead-letters", "list"][..],
        &["dead-letters", "list", "--json"],
        &["status"],
        &["schema", "current"],
    ] {
        is_untold(&home, &home.run(commands).await);
    }

    // Letters are tried again with the documents as they are; a log has nothing to try again with.
    let people_there = bench.databases.mongodb.collection::<Document>("people");
    for id in [7, 600] {
        people_there.update_one(doc! { "_id": id }, doc! { "$set": { "name": "mended" } }).await.unwrap();
    }
    let retried = home.run(&["dead-letters", "retry", "current"]).await;
    is_untold(&home, &retried);
    assert_eq!(bench.ask("SELECT count() FROM current_current WHERE name = 'mended'").await, "2");
    let retried = home.run(&["dead-letters", "retry", "log"]).await;
    assert!(retried.code == Some(1) && retried.stdout.contains("leaves out"), "{retried:?}");
    is_nowhere(&bench).await;
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_takes_what_is_excluded_later_out_of_the_table() {
    let bench = Bench::new("transforms_later").await;
    bench.fill("people", people(0..50)).await;
    let home = Home::between(&bench);
    home.configure(&[("people", "collection = \"people\"")]);
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(
        bench.ask(&format!("SELECT countIf(password LIKE '{SECRET}%') FROM people_current")).await,
        "50"
    );

    home.configure(&[("people", &format!("collection = \"people\"\n{EXCLUDED}"))]);
    let applied = home.apply().await;
    assert!(applied.stdout.contains("zenith reload people"), "{applied:?}");
    bench.fill("people", people(50..60)).await;
    home.run(&["run", "--once"]).await.succeeded();
    let kept = format!("SELECT count(), countIf(password LIKE '{SECRET}%') FROM people_current");
    assert_eq!(bench.ask(&kept).await, "60\t50", "at once for what is written from now on");
    assert_eq!(home.run(&["verify", "people"]).await.code, Some(1));
    home.run(&["reload", "people"]).await.succeeded();
    is_nowhere(&bench).await;
    home.run(&["verify", "people"]).await.succeeded();

    for (settings, parts) in [
        ("exclude = [\"a\", \"b..c\"]", &["line 9", "exclude", "\"b..c\"", "empty key"][..]),
        ("include = [\"_id.x\"]", &["line 9", "include", "_id"]),
        ("exclude = \"a\"", &["line 9", "exclude"]),
    ] {
        home.configure(&[("people", &format!("collection = \"people\"\n{settings}"))]);
        let ended = home.run(&["apply"]).await;
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(parts.iter().all(|part| ended.stderr.contains(part)), "{parts:?}: {ended:?}");
    }
    bench.remove().await;
}
