//! A table has a row of its own for every document, whatever the `_id`s are and however few of them the sample saw.

use bson::oid::ObjectId;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, DateTime, Decimal128, Document, Uuid, bson, doc};
use zenith_engine::{Mode, PipelineSettings, ReloadOptions, TableOptions};

use super::raw;
use crate::harness::Bench;
use crate::incremental::Follow;

/// Documents looked at: so few that the odd ones are not among them.
const SAMPLE: usize = 3;

/// What a key is that holds nothing.
const BLANK: &str =
    "toString(_id) IN ('', '0', 'nan', '00000000-0000-0000-0000-000000000000', '1970-01-01 00:00:00.000')";

fn decimal(text: &str) -> Bson {
    Bson::Decimal128(text.parse::<Decimal128>().unwrap())
}

fn binary(subtype: BinarySubtype, bytes: &[u8]) -> Bson {
    Bson::Binary(Binary { subtype, bytes: bytes.to_vec() })
}

/// Many keys of a kind, and a few that are unlike them.
struct Keys {
    name: &'static str,
    usual: Vec<Bson>,
    odd: Vec<Bson>,
}

impl Keys {
    fn new(name: &'static str, usual: impl Fn(i32) -> Bson, odd: Vec<Bson>) -> Keys {
        Keys { name, usual: (1..=1_000).map(usual).collect(), odd }
    }

    /// The odd ones in the middle, for collections that give them in this order.
    fn documents(&self) -> Vec<Document> {
        let (front, back) = self.usual.split_at(500);
        let keys = front.iter().chain(&self.odd).chain(back);
        keys.zip(1..).map(|(key, n)| doc! { "_id": key.clone(), "n": n }).collect()
    }

    fn count(&self) -> usize {
        self.usual.len() + self.odd.len()
    }
}

/// Keys of one class of types, which a collection has side by side in the order of its index.
fn neighbours() -> Vec<Keys> {
    let uuid = |n: i32| {
        let mut bytes = [9; 16];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        Bson::from(Uuid::from_bytes(bytes))
    };
    vec![
        Keys::new("integers and halves", Bson::Int32, vec![500.5.into(), 600.5.into(), 700.5.into()]),
        Keys::new("integers and decimals", Bson::Int32, vec![decimal("500.1"), decimal("600.1")]),
        Keys::new("small and large", Bson::Int32, vec![5_000_000_000_i64.into(), i64::MIN.into()]),
        Keys::new(
            "integers and doubles that hold none",
            |n| Bson::Int64((1 << 60) + i64::from(n)),
            vec![(0.5).into(), f64::INFINITY.into()],
        ),
        Keys::new(
            "doubles and large integers",
            |n| Bson::Double(f64::from(n) + 0.5),
            vec![((1_i64 << 53) + 1).into()],
        ),
        Keys::new(
            "doubles and decimals",
            |n| Bson::Double(f64::from(n) + 0.5),
            vec![decimal("700.123456789012345678")],
        ),
        Keys::new("decimals and integers", |n| decimal(&format!("{n}.25")), vec![77.into(), 0.5.into()]),
        Keys::new(
            "dates and one beyond",
            |n| Bson::DateTime(DateTime::from_millis(i64::from(n) * 86_400_000)),
            vec![Bson::DateTime(DateTime::from_millis(1 << 60))],
        ),
        Keys::new(
            "UUIDs and bytes",
            uuid,
            vec![binary(BinarySubtype::Generic, &[7; 16]), binary(BinarySubtype::UuidOld, &[7; 16])],
        ),
        Keys::new("documents", |n| bson!({ "a": n }), vec![bson!({ "a": 0.5 }), bson!({ "b": 1 })]),
        Keys::new(
            "strings like numbers",
            |n| Bson::String(n.to_string()),
            vec!["01".into(), "1.0".into(), r#"{"$numberInt":"1"}"#.into(), "null".into(), "\"1\"".into()],
        ),
    ]
}

/// Those of several classes, which only views give in such an order.
fn strangers() -> Vec<Keys> {
    let id = |n: i32| {
        let mut bytes = [1; 12];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        Bson::ObjectId(ObjectId::from_bytes(bytes))
    };
    vec![
        Keys::new(
            "integers and all else",
            Bson::Int32,
            vec![
                0.5.into(),
                decimal("0.25"),
                "1".into(),
                "{\"$numberInt\":\"1\"}".into(),
                bson!({ "a": 1 }),
                Bson::Null,
                bson!([1, 2]),
                bson!([]),
                true.into(),
                id(7),
                Bson::DateTime(DateTime::from_millis(5)),
            ],
        ),
        Keys::new(
            "strings and integers",
            |n| Bson::String(n.to_string()),
            vec![1.into(), 2_i64.into(), 3.5.into()],
        ),
        Keys::new(
            "ObjectIds and their texts",
            id,
            vec![id(5).as_object_id().unwrap().to_hex().into(), Bson::Null],
        ),
        Keys::new(
            "dates and a list",
            |n| Bson::DateTime(DateTime::from_millis(i64::from(n))),
            vec![bson!([null])],
        ),
        Keys::new("yes, and the word", |n| bson!({ "n": n }), vec![true.into(), "true".into()]),
        Keys::new("lists", |n| bson!([n]), vec![bson!([[1]]), bson!(["1"]), Bson::Null]),
    ]
}

/// As many keys as documents, and none that is blank.
async fn wrong(bench: &Bench, table: &str, keys: &Keys, way: &str) -> Option<String> {
    let sql = format!("SELECT count(), uniqExact(_id), countIf({BLANK}) FROM {table} FORMAT CSV");
    let shown = bench.sql(&sql).await;
    let expected = format!("{0},{0},0", keys.count());
    (shown != expected).then(|| format!("{}, {way}: {shown} and not {expected}", keys.name))
}

fn right(wrong: &[String]) {
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_has_every_key() {
    let mut all = Vec::new();
    for (keys, native) in neighbours().into_iter().zip([false, true].into_iter().cycle()) {
        let mut bench = Bench::new("keys").await;
        bench.native = native;
        bench.fill("items", keys.documents().iter().map(raw)).await;
        let options = ReloadOptions {
            table: TableOptions { sample: SAMPLE, ..TableOptions::default() },
            ..ReloadOptions::default()
        };
        match bench.try_copy("items", options.clone()).await {
            Ok(_) => all.extend(wrong(&bench, "items", &keys, "copied").await),
            Err(error) => all.push(format!("{}: {error}", keys.name)),
        }
        bench.remove().await;
    }
    right(&all);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_view_has_every_key() {
    let mut all = Vec::new();
    for (keys, native) in neighbours().into_iter().chain(strangers()).zip([false, true].into_iter().cycle()) {
        let mut bench = Bench::new("view_keys").await;
        bench.native = native;
        let numbered = keys.documents().into_iter().map(|mut document| {
            let key = document.remove("_id").unwrap();
            raw(&doc! { "_id": document.get("n").unwrap(), "key": key })
        });
        bench.fill("numbered", numbered).await;
        let pipeline = bson!([{ "$sort": { "_id": 1 } }, { "$project": { "_id": "$key", "n": "$_id" } }]);
        let create = doc! { "create": "items", "viewOn": "numbered", "pipeline": pipeline };
        bench.databases.mongodb.run_command(create).await.unwrap();
        let options = ReloadOptions {
            table: TableOptions { sample: SAMPLE, ..TableOptions::default() },
            ..ReloadOptions::default()
        };
        match bench.try_copy("items", options).await {
            Ok(_) => all.extend(wrong(&bench, "items", &keys, "copied").await),
            Err(error) => all.push(format!("{}: {error}", keys.name)),
        }
        bench.remove().await;
    }
    right(&all);
}

/// In every mode that loads a collection, and in a reload.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_kept_in_step_has_every_key() {
    let mut all = Vec::new();
    for (keys, native) in neighbours().into_iter().zip([false, true].into_iter().cycle()) {
        for mode in [Mode::Changes, Mode::Full, Mode::IdCursor] {
            let settings = PipelineSettings {
                options: TableOptions { sample: SAMPLE, ..TableOptions::default() },
                mode,
                settle: std::time::Duration::ZERO,
                poll_interval: std::time::Duration::from_millis(20),
                ..PipelineSettings::default()
            };
            let mut follow = Follow::new("mode_keys", settings).await;
            follow.bench.native = native;
            follow.bench.fill("items", keys.documents().iter().map(raw)).await;
            let table = if mode == Mode::Changes { "items_current" } else { "items" };
            let way = format!("{mode:?}");
            match follow.catch_up().await.error {
                None => all.extend(wrong(&follow.bench, table, &keys, &way).await),
                Some(error) => all.push(format!("{}, {way}: {error}", keys.name)),
            }
            match follow.replicator().await.reload("items").await {
                Ok(_) => {
                    // A cursor fills the table in its next run.
                    follow.catch_up_well().await;
                    all.extend(wrong(&follow.bench, table, &keys, &format!("{way}, reloaded")).await);
                }
                Err(error) => all.push(format!("{}, {way}, reloaded: {error}", keys.name)),
            }
            follow.bench.remove().await;
        }
    }
    right(&all);
}

/// The odd keys come while it is followed: it stops, and a reload has them all.
#[tokio::test(flavor = "multi_thread")]
async fn a_reload_has_the_keys_that_came_later() {
    let mut all = Vec::new();
    for keys in neighbours() {
        let settings = PipelineSettings {
            options: TableOptions { sample: SAMPLE, ..TableOptions::default() },
            ..PipelineSettings::default()
        };
        let follow = Follow::new("later_keys", settings).await;
        let usual = keys.usual.iter().zip(1..).map(|(key, n)| raw(&doc! { "_id": key.clone(), "n": n }));
        follow.bench.fill("items", usual).await;
        follow.catch_up_well().await;
        let odd = keys.odd.iter().map(|key| raw(&doc! { "_id": key.clone(), "n": 0 }));
        follow.bench.fill("items", odd).await;
        // Whether it stops, or has room for them.
        let outcome = follow.catch_up().await;
        if outcome.error.is_none() {
            all.extend(wrong(&follow.bench, "items_current", &keys, "followed").await);
        }
        match follow.replicator().await.reload("items").await {
            Ok(_) => all.extend(wrong(&follow.bench, "items_current", &keys, "reloaded").await),
            Err(error) => all.push(format!("{}: {error}", keys.name)),
        }
        follow.catch_up_well().await;
        all.extend(wrong(&follow.bench, "items_current", &keys, "followed again").await);
        follow.assert_equal("items_current").await;
        follow.bench.remove().await;
    }
    right(&all);
}
