//! Copies from files that `mongodump` has written: the same rows as from the database, and what is said of files that are
//! none.

use std::fs;
use std::path::{Path, PathBuf};

use bson::{RawDocumentBuf, rawdoc};
use mongodb::bson::doc;
use tempfile::TempDir;
use zenith_testkit::{Published, Shape, dump};

use crate::harness::{Bench, Ended, run, zenith};
use crate::home::Home;

/// Databases, and a folder for dumps.
struct Place {
    bench: Bench,
    folder: TempDir,
}

impl Place {
    async fn new(label: &str) -> Place {
        Place { bench: Bench::new(&format!("dump_{label}")).await, folder: tempfile::tempdir().unwrap() }
    }

    /// A file with these documents.
    fn write(&self, name: &str, documents: impl IntoIterator<Item = RawDocumentBuf>) -> PathBuf {
        let path = self.folder.path().join(name);
        let bytes: Vec<u8> = documents.into_iter().flat_map(RawDocumentBuf::into_bytes).collect();
        dump::write(&path, [bytes]).unwrap();
        path
    }

    /// `zenith copy --from file:PATH`.
    async fn copy(&self, path: &Path, more: &[&str]) -> Ended {
        let from = format!("file:{}", path.display());
        let to = self.bench.to();
        run(zenith(&[&["copy", "--from", &from, "--to", &to], more].concat())).await
    }

    async fn ask(&self, question: &str) -> String {
        self.bench.ask(question).await
    }

    /// Exit code 2, one sentence, and no table.
    async fn refused(&self, path: &Path, more: &[&str], parts: &[&str]) {
        let ended = self.copy(path, more).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
        assert!(ended.stderr.starts_with("zenith: "), "{ended:?}");
        for part in parts {
            assert!(ended.stderr.contains(part), "{part:?} is not in {ended:?}");
        }
        assert!(self.bench.tables().await.is_empty(), "{ended:?}");
    }

    async fn remove(self) {
        self.bench.remove().await;
    }
}

fn numbered(numbers: std::ops::Range<i32>) -> impl Iterator<Item = RawDocumentBuf> {
    numbers.map(|n| rawdoc! { "_id": n, "n": n, "s": format!("text {n}") })
}

/// Every row in one number, and how many there are.
fn all_of(table: &str) -> String {
    format!("SELECT count(), sum(cityHash64(formatRow('JSONEachRow', *))) FROM `{table}`")
}

#[tokio::test(flavor = "multi_thread")]
async fn published_data_sets_give_the_rows_of_a_direct_copy() {
    let place = Place::new("published").await;
    let database = &place.bench.databases.mongodb;
    for data in Published::ALL {
        let name = data.name();
        data.load(database).await.unwrap();
        run(place.bench.copy(name, &[])).await.succeeded();
        let plain = dump::collection(database, name, place.folder.path(), false).await.unwrap();
        let compressed =
            dump::collection(database, name, &place.folder.path().join("gz"), true).await.unwrap();
        for (path, more) in [(&plain, &["--readers", "3"][..]), (&compressed, &[]), (&plain, &[])] {
            let ended = place.copy(path, &[&["--table", "again", "--json"], more].concat()).await.succeeded();
            assert_eq!(ended.json()["dead_letters"], 0);
            assert!(!place.ask(&all_of("again")).await.ends_with("\t0"), "no rows in the sum");
            for question in ["DESCRIBE TABLE `TABLE`".to_owned(), all_of("TABLE")] {
                let of = |table: &str| question.replace("TABLE`", &format!("{table}`"));
                assert_eq!(
                    place.ask(&of("again")).await,
                    place.ask(&of(name)).await,
                    "{name} {more:?}: {question}"
                );
            }
            place.ask("DROP TABLE again SYNC").await;
        }
    }
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn table_and_collection_have_the_name_of_the_file() {
    let place = Place::new("names").await;
    let path = place.write("shop/orders.bson", numbered(0..1_000));
    let ended = place.copy(&path, &["--dry-run"]).await.succeeded();
    assert!(
        ended.stdout.contains("read about 1,000 documents") && ended.stdout.contains("from the dump"),
        "{ended:?}"
    );
    assert!(place.bench.tables().await.is_empty());
    let ended = place.copy(&path, &[]).await.succeeded();
    assert!(ended.stdout.starts_with("1,000 rows in "), "{ended:?}");
    assert_eq!(place.ask("SELECT count(), sum(n) FROM orders").await, "1000\t499500");

    // Again, with other documents, and as other names.
    let path = place.write("shop/orders.bson.gz", numbered(0..10));
    place.copy(&path, &[]).await.succeeded();
    assert_eq!(place.ask("SELECT count() FROM orders").await, "10");
    place.copy(&path, &["--collection", "sales"]).await.succeeded();
    place.copy(&path, &["--table", "other", "--strategy", "truncate"]).await.succeeded();
    assert_eq!(place.bench.tables().await, ["orders", "other", "sales"]);
    let comment = "SELECT comment FROM system.tables WHERE database = currentDatabase() AND name = 'sales'";
    assert!(place.ask(comment).await.contains("shop.sales"));

    let path = place.write("shop/orders.bson", (0..10).map(|n| rawdoc! { "_id": n, "n": "text" }));
    let ended = place.copy(&path, &[]).await;
    assert!(ended.code == Some(2) && ended.stderr.contains("--replace"), "{ended:?}");
    place.copy(&path, &["--replace"]).await.succeeded();
    assert_eq!(place.ask("SELECT any(n) FROM orders").await, "text");
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_may_come_from_the_environment() {
    let place = Place::new("environment").await;
    let path = place.write("shop/orders.bson", numbered(0..10));
    let to = place.bench.to();
    let mut command = zenith(&["copy"]);
    command.env("ZENITH_SOURCE", format!("file://{}", path.display())).env("ZENITH_TARGET", to);
    run(command).await.succeeded();
    assert_eq!(place.ask("SELECT count() FROM orders").await, "10");
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_and_a_collection_of_it() {
    let place = Place::new("folder").await;
    place.write("dump/shop/orders.bson", numbered(0..20));
    place.write("dump/shop/people.bson.gz", numbered(0..5));
    place.write("dump/crm/orders.bson", numbered(0..7));
    let dump = place.folder.path().join("dump");
    place.refused(&dump, &[], &["--collection NAME", "crm.orders, shop.orders, shop.people"]).await;
    place.refused(&dump, &["--collection", "ordres"], &["no collection", "crm.orders, shop.orders"]).await;
    place.refused(&dump, &["--collection", "orders"], &["say crm.orders or shop.orders"]).await;
    place
        .refused(&dump.join("shop"), &["--collection", "ordres"], &["collections there: orders, people"])
        .await;
    place.copy(&dump, &["--collection", "people"]).await.succeeded();
    place.copy(&dump, &["--collection", "crm.orders"]).await.succeeded();
    assert_eq!(place.ask("SELECT count() FROM orders").await, "7");
    place.copy(&dump.join("shop"), &["--collection", "orders"]).await.succeeded();
    assert_eq!(place.ask("SELECT count() FROM orders").await, "20");
    assert_eq!(place.ask("SELECT count() FROM people").await, "5");
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_read_are_refused_before_anything_is_written() {
    let place = Place::new("wrong").await;
    let path = place.write("shop/orders.bson", numbered(0..100));
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 7]).unwrap();
    place.refused(&path, &[], &["orders.bson is cut off", "after 99 whole documents", "truncate -s"]).await;
    let json = place.folder.path().join("json.bson");
    fs::write(&json, "{\"_id\": 1}").unwrap();
    place.refused(&json, &[], &["holds no BSON documents", "it looks like JSON"]).await;
    let packed = place.write("shop/orders.bson.gz", numbered(0..1_000));
    let bytes = fs::read(&packed).unwrap();
    fs::write(&packed, &bytes[..bytes.len() / 2]).unwrap();
    place.refused(&packed, &[], &["is cut off: its compressed data end after"]).await;
    place
        .refused(&place.folder.path().join("no.bson"), &[], &["cannot read ", "no.bson", "No such file"])
        .await;
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_file_is_an_empty_collection() {
    let place = Place::new("empty").await;
    for name in ["shop/none.bson", "shop/none.bson.gz"] {
        let path = place.write(name, []);
        let ended = place.copy(&path, &[]).await.succeeded();
        assert!(ended.stdout.starts_with("0 rows in "), "{ended:?}");
        assert_eq!(place.ask("SELECT count() FROM none").await, "0");
    }
    let path = place.folder.path().join("nothing.bson.gz");
    fs::write(&path, []).unwrap();
    place.copy(&path, &[]).await.succeeded();
    assert_eq!(place.bench.tables().await, ["none", "nothing"]);
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_with_a_damaged_inside_become_dead_letters() {
    let place = Place::new("letters").await;
    let mut not_text = rawdoc! { "_id": 100, "n": 1, "s": "ab" }.into_bytes();
    let at = not_text.len() - 3;
    not_text[at] = 0xFF;
    let mut no_type = rawdoc! { "_id": 101, "n": 1, "s": "ab" }.into_bytes();
    let at = no_type.iter().position(|&byte| byte == b'n').unwrap() - 1;
    no_type[at] = 0x55;
    let bad = [not_text, no_type].map(|bytes| RawDocumentBuf::from_bytes(bytes).unwrap());
    let path = place.write("shop/orders.bson", numbered(0..99).chain(bad).chain(numbered(200..201)));
    let json = place.copy(&path, &["--json"]).await.succeeded().json();
    assert_eq!((json["rows"].as_u64(), json["dead_letters"].as_u64()), (Some(100), Some(2)));
    assert_eq!(place.ask("SELECT uniqExact(_id), max(_id) FROM orders").await, "100\t200");
    let letters = place.ask("SELECT id FROM zenith_dead_letters ORDER BY id").await;
    assert_eq!(letters, "{\"$numberInt\":\"100\"}\n{\"$numberInt\":\"101\"}");
    let ended = place.copy(&path, &["--max-dead-letters", "1"]).await;
    assert_eq!(ended.code, Some(3), "{ended:?}");
    place.remove().await;
}

/// Keys are in no order in a dump, and may be of a type that the sample has none of.
#[tokio::test(flavor = "multi_thread")]
async fn ids_of_a_type_that_the_sample_lacks_have_a_key() {
    let place = Place::new("keys").await;
    let odd = [rawdoc! { "_id": "text", "n": 1 }];
    let path =
        place.write("shop/orders.bson", numbered(0..15_000).chain(odd).chain(numbered(15_000..30_000)));
    place.copy(&path, &["--sample", "10"]).await.succeeded();
    assert_eq!(place.ask("SELECT count(), uniqExact(_id) FROM orders").await, "30001\t30001");
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn views_and_time_series_are_refused_with_what_works() {
    let place = Place::new("kinds").await;
    let database = &place.bench.databases.mongodb;
    let at = bson::DateTime::from_millis(1_700_000_000_000);
    database.run_command(doc! { "create": "weather", "timeseries": { "timeField": "at" } }).await.unwrap();
    database.collection("weather").insert_one(doc! { "_id": 1, "at": at, "celsius": 3.5 }).await.unwrap();
    database.collection("orders").insert_one(doc! { "_id": 1 }).await.unwrap();
    database.run_command(doc! { "create": "recent", "viewOn": "orders", "pipeline": [] }).await.unwrap();
    for name in ["weather", "orders", "recent"] {
        dump::collection(database, name, place.folder.path(), true).await.unwrap();
    }
    let path = place.folder.path();
    place
        .refused(path, &["--collection", "recent"], &["is a view", "copy orders", "--viewsAsCollections"])
        .await;
    place.refused(path, &["--collection", "weather"], &["is a time series", "mongorestore"]).await;
    place.copy(path, &["--collection", "orders"]).await.succeeded();
    place.remove().await;
}

/// A file ten times as large needs no more memory, whether one reads it or several.
#[tokio::test(flavor = "multi_thread")]
async fn memory_does_not_grow_with_the_file() {
    let place = Place::new("memory").await;
    let mut peaks = Vec::new();
    for (name, documents) in [("few.bson", 20_000), ("many.bson", 200_000), ("many.bson.gz", 200_000)] {
        let mut bytes = Vec::new();
        (0..documents).for_each(|number| Shape::Events.write(7, number, &mut bytes));
        let path = place.folder.path().join(name);
        dump::write(&path, [&bytes]).unwrap();
        for readers in ["1", "3"] {
            let arguments = ["--json", "--memory", "8MiB", "--readers", readers, "--table", "events"];
            let json = place.copy(&path, &arguments).await.succeeded().json();
            assert_eq!(
                (json["rows"].as_u64(), json["source_bytes"].as_u64()),
                (Some(documents), u64::try_from(bytes.len()).ok())
            );
            peaks.push(json["peak_rss_bytes"].as_u64().unwrap());
        }
    }
    assert!(peaks.iter().all(|&peak| peak < peaks[0] + (12 << 20)), "{peaks:?}");
    place.remove().await;
}

/// Everywhere else an address is needed.
#[tokio::test(flavor = "multi_thread")]
async fn only_the_source_of_a_copy_can_be_a_dump() {
    let place = Place::new("elsewhere").await;
    let path = place.write("shop/orders.bson", numbered(0..3));
    let dump = format!("file:{}", path.display());
    let ended = run(zenith(&["copy", "--from", &dump, "--to", &dump])).await;
    assert_eq!((ended.code, ended.stderr.lines().count()), (Some(2), 1), "{ended:?}");
    assert!(ended.stderr.contains("--to cannot be"), "{ended:?}");

    let mut home = Home::between(&place.bench);
    home.configure(&[("orders", "collection = \"orders\"")]);
    let text = home.read("zenith.toml");
    home.write("zenith.toml", &text.replacen("${MONGO}", &dump, 1));
    for command in ["check", "apply"] {
        let ended = home.run(&[command]).await;
        assert_eq!((ended.code, ended.stderr.lines().count()), (Some(2), 1), "{ended:?}");
        assert!(
            ended.stderr.contains("line 2") && ended.stderr.contains("is a dump: pipelines need"),
            "{ended:?}"
        );
    }
    // Where only the environment knows.
    home.write("zenith.toml", &text);
    home.set("MONGO", &dump);
    let ended = home.run(&["check"]).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let part = "the address of the source shop cannot be";
    assert!(ended.stdout.contains(part) && ended.stdout.contains("zenith copy --from file:"), "{ended:?}");
    place.remove().await;
}

#[tokio::test]
async fn a_database_needs_the_name_of_a_collection() {
    let ended =
        run(zenith(&["copy", "--from", "mongodb://127.0.0.1:1/shop", "--to", "http://127.0.0.1:1/shop"]))
            .await;
    assert_eq!((ended.code, ended.stderr.lines().count()), (Some(2), 1), "{ended:?}");
    assert!(ended.stderr.contains("--collection NAME"), "{ended:?}");
}
