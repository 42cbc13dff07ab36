//! Values that are masked: what stands in their place, in every mode, and the salts of their hashes.

use bson::{Document, RawDocumentBuf, doc, rawdoc};

use crate::harness::{Bench, Ended, run};
use crate::home::Home;
use crate::transforms::{SALT, SECRET, is_nowhere, is_silent, is_untold};

/// Cards of several types, some null and some missing, addresses, whole documents, and cards in arrays.
fn people(range: std::ops::Range<i32>) -> impl Iterator<Item = RawDocumentBuf> {
    range.map(|n| {
        let mut person = rawdoc! {
            "_id": n,
            "name": format!("name {n}"),
            "card": format!("{SECRET} {}", 1000 + n),
            "email": format!("{SECRET}{n}@x"),
            "whole": { "a": SECRET, "b": [n] },
            "lines": [{ "card": format!("{SECRET} {n}"), "price": n }, { "price": 1 }],
            "gone": SECRET,
        };
        match n % 10 {
            1 => person.append(bson::cstr!("number"), n),
            2 => person.append(bson::cstr!("number"), format!("{n}")),
            3 => person.append(bson::cstr!("number"), bson::RawBson::Null),
            4 => person.append(bson::cstr!("rare"), rawdoc! { "inside": SECRET }),
            _ => {}
        }
        person
    })
}

const MASKED: &str = r#"
card = "last4"
email = { with = "sha256", salt = "${SALT}" }
"lines.card" = { with = "hash64", salt = "${file:salt}" }
number = "hash64"
whole = "redact"
gone = "null"
"rare.inside" = "redact"
later = { with = "sha256", salt = "${SALT}" }
"#;

const ARGUMENTS: [&str; 14] = [
    "--mask",
    "card=last4",
    "--mask",
    "email=sha256:${SALT}",
    "--mask",
    "lines.card=hash64:${SALT}",
    "--mask",
    "number=hash64",
    "--mask",
    "whole=redact",
    "--mask",
    "gone=null",
    "--mask",
    "rare.inside=redact",
];

/// What the columns of a table have to show, by the words that the documentation has for it.
fn question(table: &str) -> String {
    let sha = format!("lower(hex(SHA256(concat('{SALT}', '{SECRET}', toString(_id), '@x'))))");
    let hash = |text: &str| format!("reinterpretAsUInt64(reverse(substring(SHA256({text}), 1, 8)))");
    let line = hash(&format!("concat('{SALT}', '{SECRET} ', toString(_id))"));
    let number = hash("toString(_id)");
    format!(
        "SELECT count(), countIf(card = concat('****', toString(1000 + _id))), countIf(email = {sha}), \
         countIf(lines.card[1] = {line} AND lines.card[2] IS NULL), countIf(_id % 10 IN (1, 2) AND number = {number}), \
         countIf(number IS NULL), countIf(whole = '****'), countIf(gone IS NULL), \
         countIf(_zenith_extra LIKE '%****%' OR toString(rare) LIKE '%****%'), countIf(_zenith_notes != '') FROM {table}"
    )
}

async fn types(bench: &Bench, table: &str) -> String {
    let columns = "SELECT arrayStringConcat(groupArray(concat(name, ' ', type)), '\\n') FROM system.columns WHERE database = \
                   currentDatabase() AND table = ";
    bench.ask(&format!("{columns}'{table}' FORMAT TSVRaw")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn masked_values_of_a_copy_are_what_the_documentation_says() {
    let bench = Bench::new("masks_copy").await;
    bench.fill("people", people(0..500)).await;
    let copy = async |more: &[&str]| {
        let mut command = bench.copy("people", more);
        command.env("SALT", SALT);
        run(command).await
    };
    for table in ["people", "again"] {
        let ended = copy(&[&ARGUMENTS[..], &["-vv", "--table", table]].concat()).await.succeeded();
        is_silent(&ended);
        let values = bench.ask(&question(table)).await;
        assert_eq!(values, "500\t500\t500\t500\t100\t400\t500\t500\t50\t0", "{table}");
        let types = types(&bench, table).await;
        for column in
            ["number Nullable(UInt64)", "whole LowCardinality(Nullable(String))", "card Nullable(UInt64)"]
        {
            assert!(types.contains(column), "{column:?}: {types}");
        }
    }
    // Several collections at once.
    bench.fill("people_of_old", people(0..10)).await;
    let mut command = bench.copy("people*", &[&ARGUMENTS[..], &["--table", "all_{collection}"]].concat());
    command.env("SALT", SALT);
    is_silent(&run(command).await.succeeded());
    for (table, rows) in [("all_people", 500), ("all_people_of_old", 10)] {
        let sha = format!("lower(hex(SHA256(concat('{SALT}', '{SECRET}', toString(_id), '@x'))))");
        assert_eq!(bench.ask(&format!("SELECT countIf(email = {sha}) FROM {table}")).await, rows.to_string());
    }
    is_nowhere(&bench).await;
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn salts_are_references_and_shown_nowhere() {
    let bench = Bench::new("masks_salts").await;
    bench.fill("people", people(0..5)).await;
    let refused = |ended: &Ended, parts: &[&str]| {
        assert!(ended.code == Some(2) && ended.stderr.lines().count() == 1, "{ended:?}");
        assert!(parts.iter().all(|part| ended.stderr.contains(part)), "{parts:?}: {ended:?}");
        assert!(!ended.stderr.contains(SALT), "{ended:?}");
    };
    let literal = format!("email=sha256:{SALT}");
    for (mask, parts) in [
        (literal.as_str(), &["email", "written as it is", "${SALT}"][..]),
        ("email=sha256", &["without a salt"]),
        ("email=redact:${SALT}", &["only sha256 and hash64"]),
        ("email=sha256:${NO_SUCH_SALT}", &["NO_SUCH_SALT, which is not set", "the mask of email"]),
        ("_id=redact", &["_id"]),
    ] {
        refused(&run(bench.copy("people", &["--mask", mask])).await, parts);
    }
    let ended = run(bench.copy("people", &["--mask", "email=hide"])).await;
    assert!(ended.code == Some(2) && ended.stderr.contains("PATH=redact"), "{ended:?}");

    let mut home = Home::between(&bench);
    let configure = |home: &Home, masks: &str| {
        home.configure(&[("people", &format!("collection = \"people\"\n[pipelines.people.mask]\n{masks}"))]);
    };
    for (masks, parts) in [
        (format!("email = {{ with = \"sha256\", salt = \"{SALT}\" }}"), &["line 10", "written as it is"][..]),
        ("email = \"sha256\"".to_owned(), &["line 10", "without a salt"]),
        ("email = \"hidden\"".to_owned(), &["line 10", "hidden", "`redact`"]),
        ("customer.email = \"redact\"".to_owned(), &["line 10", "customer", "quotation marks"]),
        ("_id = \"redact\"".to_owned(), &["line 9", "_id"]),
    ] {
        configure(&home, &masks);
        refused(&home.run(&["apply", "--yes"]).await, parts);
    }
    configure(&home, "email = { with = \"sha256\", salt = \"${SALT}\" }");
    home.apply().await;
    let ended = home.run(&["run", "--once"]).await;
    assert!(ended.code != Some(0) && ended.stderr.contains("SALT, which is not set"), "{ended:?}");
    assert!(bench.tables().await.iter().all(|table| table != "people"));
    home.set("SALT", SALT);
    home.run(&["run", "--once"]).await.succeeded();
    let shown = home.run(&["pipeline", "show", "people", "--json"]).await.succeeded();
    assert_eq!(shown.json()["mask"]["email"]["salt"], "${SALT}");
    is_untold(&home, &shown);
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelines_mask_in_every_mode() {
    let bench = Bench::new("masks_modes").await;
    bench.fill("people", people(0..500)).await;
    let mut home = Home::between(&bench);
    home.set("SALT", SALT);
    let salt = tempfile::tempdir().unwrap();
    std::fs::write(salt.path().join("salt"), format!("{SALT}\n")).unwrap();
    let masks = MASKED.replace("file:salt", &format!("file:{}", salt.path().join("salt").display()));
    let settings = |name: &str, more: &str| {
        format!("collection = \"people\"\ntable = \"{name}\"\n{more}\n[pipelines.{name}.mask]\n{masks}")
    };
    home.configure(&[
        ("current", &settings("current", "")),
        ("log", &settings("log", "mode = \"change-log\"")),
        ("cursor", &settings("cursor", "mode = \"id-cursor\"\nsettle = \"0s\"")),
        ("full", &settings("full", "mode = \"full\"")),
    ]);
    home.apply().await;
    let ended = home.run(&["run", "--once", "-vv"]).await.succeeded();
    is_untold(&home, &ended);
    is_nowhere(&bench).await;
    for table in ["current_current", "cursor", "full"] {
        let values = bench.ask(&question(table)).await;
        assert_eq!(values, "500\t500\t500\t500\t100\t400\t500\t500\t50\t0", "{table}");
    }

    bench.fill("people", people(500..520)).await;
    let there = bench.databases.mongodb.collection::<Document>("people");
    let set = async |id: i32, set: Document| {
        there.update_one(doc! { "_id": id }, doc! { "$set": set }).await.unwrap();
    };
    set(1, doc! { "later": SECRET }).await;
    set(2, doc! { "card": { "now": SECRET }, "lines": { "card": SECRET } }).await;
    set(3, doc! { "name": { "x": 1 }, "gone": [SECRET] }).await;
    there.replace_one(doc! { "_id": 5 }, doc! { "email": SECRET, "later": { "a": SECRET } }).await.unwrap();
    there.delete_one(doc! { "_id": 6 }).await.unwrap();
    let ended = home.run(&["run", "--once", "-vv"]).await.succeeded();
    is_untold(&home, &ended);
    is_nowhere(&bench).await;
    let hash = |text: &str| format!("lower(hex(SHA256(concat('{SALT}', {text}))))");
    let question = format!(
        "SELECT count(), countIf(_id = 1 AND later = {}), countIf(_id = 2 AND card = '****'), countIf(_id = 5 AND email = {}), \
         countIf(_id = 5 AND later = {}) FROM current_current",
        hash(&format!("'{SECRET}'")),
        hash(&format!("'{SECRET}'")),
        hash(&format!("'{{\"a\":\"{SECRET}\"}}'")),
    );
    assert_eq!(bench.ask(&question).await, "519\t1\t1\t1\t1");
    let log = "SELECT count(), countIf(later != ''), countIf(_zenith_operation = 'insert' AND card LIKE '****1%') FROM log";
    assert_eq!(bench.ask(log).await, "25\t2\t20");
    for pipeline in ["current", "full"] {
        let ended = home.run(&["verify", pipeline]).await.succeeded();
        is_untold(&home, &ended);
    }

    for command in ["schema", "check", "dead-letters list", "status"] {
        let arguments: Vec<&str> = command.split(' ').chain(["current"]).collect();
        is_untold(&home, &home.run(&arguments).await.succeeded());
    }

    // Another salt is another hash.
    home.set("SALT", "another");
    let ended = home.run(&["verify", "current"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    is_untold(&home, &ended);
    home.run(&["reload", "current"]).await.succeeded();
    home.run(&["verify", "current"]).await.succeeded();
    is_nowhere(&bench).await;
    bench.remove().await;
}
