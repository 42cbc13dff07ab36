//! Documents drift while the command is killed: fields come and go at every depth, change their types and their names.
//!
//! `ZENITH_TEST_DRIFTS` sets how many collections are written to, one after the other, each by a seed of its own.

use std::time::Duration;

use bson::oid::ObjectId;
use bson::{Bson, DateTime, Document, doc};
use mongodb::Collection;
use mongodb::error::ErrorKind;
use serde_json::Value;
use zenith_testkit::data::random::Random;
use zenith_testkit::{FaultProxy, TestServers};

use crate::fixture::Fixture;
use crate::writer::seed;

/// Kills of one run, while documents drift.
const KILLS: u32 = 10;
/// Writes between two kills, at most.
const WRITES: u32 = 150;

/// Tables of other shapes: sorted by fields that change, with columns that become wider, of a part of the documents.
const MORE: &str = r#"
[pipelines.keyed]
source = "from"
target = "to"
collection = "items"
table = "keyed"
order_by = ["n", "name"]

[pipelines.wide]
source = "from"
target = "to"
collection = "items"
table = "wide"
integers = "narrow"
on_type_conflict = "widen"

[pipelines.some]
source = "from"
target = "to"
collection = "items"
table = "some"
filter = '{ "n": { "$gt": 400 } }'
order_by = ["n"]

[pipelines.mapped]
source = "from"
target = "to"
collection = "items"
table = "mapped"
[pipelines.mapped.columns]
sub = "Map(String, Nullable(Int64))"
a_field = "Map(String, String)"
b_field = "Map(String, Float64)"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn drifting_documents_are_rebuilt_from_their_rows() {
    let first = seed();
    let drifts = std::env::var("ZENITH_TEST_DRIFTS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    for number in 0..drifts {
        let seed = first.wrapping_add(number);
        eprintln!("drift {number}: ZENITH_TEST_SEED={seed}");
        drift(seed).await;
    }
}

/// Every second seed goes by the native protocol.
async fn drift(seed: u64) {
    let databases = TestServers::shared().await.databases("drift").await.unwrap();
    let clickhouse = databases.clickhouse.clone();
    // A reset of what is killed would end this build of ClickHouse now and then: the proxy closes connections instead.
    let proxy = FaultProxy::start(TestServers::shared().await.clickhouse_native()).await.unwrap();
    let native = format!("clickhouse://{}/{}", proxy.address(), databases.name);
    let target = if seed.is_multiple_of(2) { clickhouse.url() } else { native };
    let source = databases.mongodb.clone();
    let mut fixture = Fixture::new(source, &databases.mongodb_uri, clickhouse, &target, 300).await;
    fixture.configure(MORE).await;
    fixture.begin().await;
    let mut random = Random::of_document(seed, 0);
    let items = databases.mongodb.collection::<Document>("items");
    for _ in 0..KILLS {
        let mut child = fixture.spawn(&["run", "--quiet"]);
        for _ in 0..random.below(WRITES) {
            write_any(&items, &mut random).await;
        }
        tokio::time::sleep(Duration::from_millis(u64::from(random.below(1_500)))).await;
        assert!(child.try_wait().unwrap().is_none(), "it ended: {:?}", crate::harness::ended(child).await);
        child.kill().await.unwrap();
    }
    fixture.assert_nothing_lost().await;
    assert_equal(&fixture).await;
    for pipeline in ["current", "log", "keyed", "wide", "some"] {
        assert_every_column_is_explained(&fixture, pipeline).await;
    }
    // And so it is once values were moved into columns, also for what is written afterwards.
    for pipeline in ["current", "log", "wide", "mapped"] {
        fixture.command(&["schema", "promote", pipeline, "--apply", "--quiet"]).await.succeeded();
    }
    assert_equal(&fixture).await;
    for _ in 0..WRITES {
        write_any(&items, &mut random).await;
    }
    fixture.command(&["run", "--once", "--quiet"]).await.succeeded();
    assert_equal(&fixture).await;
    databases.remove().await.unwrap();
}

/// The tables show what the collection has.
async fn assert_equal(fixture: &Fixture) {
    for pipeline in ["current", "keyed", "wide", "some", "mapped"] {
        let verified = fixture.command(&["verify", pipeline]).await;
        assert_eq!(verified.code, Some(0), "{pipeline}: {verified:?}");
    }
}

/// The last version of the history has the columns that the table has.
async fn assert_every_column_is_explained(fixture: &Fixture, pipeline: &str) {
    let schema = fixture.command(&["schema", pipeline, "--json"]).await.succeeded().json();
    let names = |columns: &Value| -> Vec<String> {
        // Others are those that the documents of now would get, if the table were made anew.
        let columns =
            columns.as_array().unwrap().iter().filter(|column| column["clickhouse_type"].is_string());
        let names = columns.map(|column| column["name"].as_str().unwrap());
        names.filter(|name| !name.starts_with("_zenith_")).map(str::to_owned).collect()
    };
    let mut known = names(&schema["columns"]);
    let question = format!(
        "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = '{pipeline}' \
         AND NOT startsWith(name, '_zenith_')"
    );
    let there = fixture.clickhouse.query(&question).await.unwrap();
    let mut there: Vec<String> = there.lines().map(str::to_owned).collect();
    known.sort_unstable();
    there.sort_unstable();
    assert_eq!(known, there, "{schema}");
    let versions = schema["versions"].as_array().unwrap();
    assert!(versions.len() > 1, "no column was added: {schema}");
    assert!(versions.iter().all(|version| version["cause"].is_string()), "{schema}");
}

async fn write_any(items: &Collection<Document>, random: &mut Random) {
    if let Err(error) = write(items, random).await {
        // MongoDB refuses a path through a number, or to increment a text.
        assert!(matches!(*error.kind, ErrorKind::Write(_)), "{error}");
    }
}

/// One write, which may bring what no document had.
async fn write(items: &Collection<Document>, random: &mut Random) -> mongodb::error::Result<()> {
    let id = doc! { "_id": i64::from(random.below(400)) };
    match random.below(20) {
        0..4 => {
            let mut new = Document::new();
            for _ in 0..random.below(6) {
                new.insert(field(random), value(random, 2));
            }
            _ = items.replace_one(id, new).upsert(true).await?;
        }
        4..12 => _ = items.update_one(id, doc! { "$set": { path(random): value(random, 2) } }).await?,
        12..14 => _ = items.update_one(id, doc! { "$unset": { path(random): "" } }).await?,
        14..16 => {
            let (from, to) = (field(random), field(random));
            if from != to {
                _ = items.update_one(id, doc! { "$rename": { from: to } }).await?;
            }
        }
        16..18 => _ = items.update_one(id, doc! { "$inc": { "n": 2_500_000_000_i64 } }).await?,
        _ => _ = items.delete_one(id).await?,
    }
    Ok(())
}

/// A field of the top level: one that documents had from the start, or one of a dozen others.
fn field(random: &mut Random) -> String {
    match random.below(3) {
        0 => random.pick(&["n", "name", "rate", "tags", "sub"]).to_owned(),
        _ => format!("{}_field", random.pick(&["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"])),
    }
}

/// A field at some depth.
fn path(random: &mut Random) -> String {
    match random.below(4) {
        3 => random.pick(&["tags.0", "tags.1", "lines.0.n", "lines.0.m", "lines.1.n"]).to_owned(),
        0 => format!("sub.{}", random.pick(&["x", "y", "z", "deep", "deep.a", "deep.b", "deep.c.d"])),
        1 => format!("{}.{}", field(random), random.pick(&["one", "two", "three.four"])),
        _ => field(random),
    }
}

/// A value of any type, with documents and arrays in it up to a depth.
fn value(random: &mut Random, depth: u32) -> Bson {
    match random.below(if depth == 0 { 12 } else { 15 }) {
        0 => Bson::Null,
        1 => Bson::Boolean(random.below(2) == 0),
        2 => Bson::Int32(i32::try_from(random.below(1_000)).unwrap_or_default()),
        3 => Bson::Int64(i64::from(random.below(u32::MAX)) << 20),
        4 => Bson::Double(random.fraction()),
        5 => Bson::DateTime(DateTime::from_millis(i64::from(random.below(u32::MAX)) * 1_000)),
        6 => Bson::ObjectId(ObjectId::new()),
        7 => format!("{}.{:02}", random.below(10_000), random.below(100))
            .parse()
            .map_or(Bson::Null, Bson::Decimal128),
        8 => Bson::String(format!("text {}", random.below(1_000))),
        9 => Bson::Double(1e300),
        10 => Bson::Int64(i64::MAX - i64::from(random.below(1_000))),
        11 => Bson::Double(f64::from(random.below(1_000)) / 8.0),
        12 => Bson::Array((0..random.below(4)).map(|_| value(random, depth - 1)).collect()),
        _ => {
            let mut document = Document::new();
            for _ in 0..random.below(4) {
                let key: &str = random.pick(&["one", "two", "three", "four"]);
                document.insert(key, value(random, depth - 1));
            }
            Bson::Document(document)
        }
    }
}
