//! Parts of documents keep their types from one copy to the next, as columns do, while 95 % of their values fit.

use bson::{Bson, DateTime, Document, bson, doc};
use zenith_engine::arrow::infer::Mixed;
use zenith_engine::{EngineError, Mode, PipelineSettings, ReloadOptions, TableOptions};

use super::raw;
use crate::harness::Bench;
use crate::incremental::Follow;

const ROWS: i32 = 1_000;

/// A collection that is copied again and again, each time with other documents.
struct Nightly {
    bench: Bench,
    options: ReloadOptions,
}

impl Nightly {
    async fn new(options: ReloadOptions) -> Nightly {
        Nightly { bench: Bench::new("kept").await, options }
    }

    /// A collection of documents in which so many of a hundred are odd.
    async fn put(&self, odd: i32, document: impl Fn(bool) -> Document) {
        self.bench.collection("nightly").drop().await.unwrap();
        let documents = (0..ROWS).map(|id| {
            let mut whole = doc! { "_id": id };
            whole.extend(document(id % 100 < odd));
            raw(&whole)
        });
        self.bench.fill("nightly", documents).await;
    }

    /// Copies such documents, and compares them with what can be made of the rows.
    async fn copy(&self, odd: i32, document: impl Fn(bool) -> Document) {
        self.put(odd, document).await;
        self.bench.round_trip("nightly", self.options.clone()).await;
    }

    /// The type of a column, without quotes around names, and of texts however they are stored.
    async fn column(&self, name: &str) -> String {
        let table =
            self.bench.sql("DESCRIBE TABLE nightly FORMAT TSVRaw SETTINGS print_pretty_type_names = 0").await;
        let of_name =
            |line: &str| Some(line.strip_prefix(name)?.strip_prefix('\t')?.split('\t').next()?.to_owned());
        let table = table.replace('`', "").replace("LowCardinality(Nullable(String))", "Nullable(String)");
        table.lines().find_map(of_name).unwrap_or_else(|| panic!("no {name} in {table}"))
    }

    async fn says(&self, expression: &str) -> String {
        self.bench.sql(&format!("SELECT {expression} FROM nightly FORMAT TSVRaw")).await
    }
}

fn replace() -> ReloadOptions {
    ReloadOptions { replace: true, ..ReloadOptions::default() }
}

fn date() -> Bson {
    DateTime::from_millis(1_700_000_000_000).into()
}

fn decimal(text: &str) -> Bson {
    Bson::Decimal128(text.parse().unwrap())
}

/// A value in a document, in the documents of an array, and deeper.
fn everywhere(v: &Bson) -> Document {
    doc! { "in": { "v": v.clone(), "w": 1 }, "items": [{ "v": v.clone() }, { "a": { "b": [{ "v": v.clone() }] } }] }
}

fn types_everywhere(v: &str) -> (String, String) {
    (format!("Tuple({v}, w Nullable(Int64))"), format!("Array(Tuple({v}, a Tuple(b Array(Tuple({v})))))"))
}

impl Nightly {
    async fn types(&self) -> (String, String) {
        (self.column("in").await, self.column("items").await)
    }
}

/// Copies usual values, then with odd ones among them: the types are `kept` with three of a hundred and `changed` with
/// ten, where they change at all.
async fn kept(
    name: &str,
    options: ReloadOptions,
    [usual, odd]: [Bson; 2],
    kept: &str,
    changed: Option<&str>,
) {
    let nightly = Nightly::new(options).await;
    let of = |is_odd: bool| everywhere(if is_odd { &odd } else { &usual });
    let kept = types_everywhere(kept);
    nightly.copy(0, of).await;
    assert_eq!(nightly.types().await, kept, "{name}, usual values only");
    nightly.copy(3, of).await;
    assert_eq!(nightly.types().await, kept, "{name}, three of a hundred are odd");
    for shown in [
        "count(in.v)",
        "sum(arrayCount(x -> x IS NOT NULL, items.v))",
        "countIf(items.a.b.v[2][1] IS NOT NULL)",
    ] {
        assert_eq!(nightly.says(shown).await, "970", "{name}: {shown}");
    }
    assert_eq!(nightly.says("countIf(_zenith_extra != '')").await, "30", "{name}");
    if let Some(changed) = changed {
        nightly.copy(10, of).await;
        assert_eq!(nightly.types().await, types_everywhere(changed), "{name}, a tenth is odd");
    } else {
        nightly.put(10, of).await;
        let error = nightly.bench.try_copy("nightly", nightly.options.clone()).await.unwrap_err();
        assert!(matches!(error, EngineError::TableDiffers { .. }), "{name}, a tenth is odd: {error}");
    }
    nightly.bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_keep_their_types_while_nearly_all_values_fit() {
    const DATE: &str = "v Nullable(DateTime64(3, 'UTC'))";
    const TEXT: &str = "v_text Nullable(String)";
    let twin = format!("{DATE}, {TEXT}");
    kept("dates and texts", replace(), [date(), "soon".into()], DATE, Some(&twin)).await;
    kept("integers", ReloadOptions::default(), [1.into(), 0.5.into()], "v Nullable(Int64)", None).await;
    let money = [decimal("1.25"), decimal("0.0000000001")];
    kept("money", ReloadOptions::default(), money, "v Nullable(Decimal(38, 8))", None).await;
}

/// Where the table may be replaced, numbers get a column that holds them all, and keep it.
#[tokio::test(flavor = "multi_thread")]
async fn numbers_in_documents_are_widened_and_stay_wide() {
    let nightly = Nightly::new(replace()).await;
    let copy = async |odd: i32, values: [Bson; 2]| {
        nightly.copy(odd, |is_odd| everywhere(&values[usize::from(is_odd)])).await;
        (
            nightly.types().await,
            nightly.says("sum(in.v) = sumArray(items.v) AND NOT max(_zenith_extra != '')").await,
        )
    };
    let all = |v: &str| (types_everywhere(v), "1".to_owned());
    assert_eq!(copy(0, [1.into(), 1.into()]).await, all("v Nullable(Int64)"));
    assert_eq!(copy(3, [1.into(), 0.5.into()]).await, all("v Nullable(Float64)"));
    assert_eq!(copy(0, [1.into(), 1.into()]).await, all("v Nullable(Float64)"));
    nightly.bench.sql("DROP TABLE nightly").await;
    let (few, many) = (decimal("1.25"), decimal("1.0000125"));
    assert_eq!(copy(50, [many.clone(), few.clone()]).await, all("v Nullable(Decimal(38, 13))"));
    assert_eq!(copy(0, [few.clone(), few]).await, all("v Nullable(Decimal(38, 13))"));
    nightly.bench.remove().await;
}

/// Text shows what its values have been text for, and a twin stays, also where all values fit.
#[tokio::test(flavor = "multi_thread")]
async fn text_in_documents_stays_text() {
    let nightly = Nightly::new(replace()).await;
    let copy = async |odd: i32, values: [Bson; 2]| {
        nightly.copy(odd, |is_odd| everywhere(&values[usize::from(is_odd)])).await;
        nightly.types().await
    };
    let text = types_everywhere("v Nullable(String)");
    assert_eq!(copy(0, ["a".into(), "a".into()]).await, text);
    assert_eq!(copy(10, ["a".into(), 7.into()]).await, text);
    assert_eq!(
        nightly.says("countIf(in.v = '7'), countIf(items[1].v = '7'), countIf(_zenith_extra != '')").await,
        "100\t100\t0"
    );
    assert_eq!(copy(0, [7.into(), 7.into()]).await, text);
    nightly.bench.sql("DROP TABLE nightly").await;
    let twin = types_everywhere("v Nullable(Int64), v_text Nullable(String)");
    assert_eq!(copy(10, [7.into(), "a".into()]).await, twin);
    assert_eq!(copy(0, [7.into(), 7.into()]).await, twin);
    assert_eq!(copy(3, [7.into(), "a".into()]).await, twin);
    assert_eq!(nightly.says("sum(in.v), countIf(items.a.b.v_text[2][1] = 'a')").await, "6790\t30");
    nightly.bench.remove().await;
}

/// A new key comes last, one that is gone goes, and what is between them keeps its type and its place.
#[tokio::test(flavor = "multi_thread")]
async fn keys_come_and_go_beside_parts_that_are_kept() {
    let nightly = Nightly::new(replace()).await;
    let at = |is_odd: bool| if is_odd { bson!("soon") } else { date() };
    nightly
        .copy(0, |_| {
            let part = doc! { "old": true, "at": date(), "n": 1 };
            doc! { "in": part.clone(), "items": [{ "deep": part }] }
        })
        .await;
    nightly
        .copy(3, |is_odd| {
            let part = doc! { "new": "x", "n": 1, "at": at(is_odd) };
            doc! { "in": part.clone(), "items": [{ "deep": part }] }
        })
        .await;
    let part = "Tuple(at Nullable(DateTime64(3, 'UTC')), n Nullable(Int64), new Nullable(String))";
    let array = format!("Array(Tuple(deep {part}))");
    assert_eq!(nightly.types().await, (part.to_owned(), array));
    let shown = "count(in.at), count(items[1].deep.at), countIf(in.new = 'x'), sum(items[1].deep.n)";
    assert_eq!(nightly.says(shown).await, "970\t970\t1000\t1000");
    nightly.bench.remove().await;
}

/// What is no document any more, or no array, or both, is judged as a whole.
#[tokio::test(flavor = "multi_thread")]
async fn documents_that_turn_into_something_else_are_judged_as_a_whole() {
    let options =
        ReloadOptions { table: TableOptions { mixed: Mixed::Text, ..TableOptions::default() }, ..replace() };
    let part = doc! { "a": 1, "at": date() };
    const TUPLE: &str = "Tuple(a Nullable(Int64), at Nullable(DateTime64(3, 'UTC')))";
    let array = format!("Array({TUPLE})");
    let other = |value: Bson| {
        move |part: &Document, is_odd: bool| {
            let (lone, list) = if is_odd {
                (value.clone(), value.clone())
            } else {
                (bson!(part.clone()), bson!([part.clone()]))
            };
            doc! { "in": lone, "items": list }
        }
    };
    let nightly = Nightly::new(options).await;
    nightly.copy(0, |_| other("x".into())(&part, false)).await;
    assert_eq!(nightly.types().await, (TUPLE.to_owned(), array.clone()));
    nightly.copy(3, |is_odd| other("x".into())(&part, is_odd)).await;
    assert_eq!(nightly.types().await, (TUPLE.to_owned(), array.clone()), "three texts of a hundred");
    assert_eq!(nightly.says("sum(in.a), sumArray(items.a), count(in.at)").await, "970\t970\t970");
    nightly.copy(10, |is_odd| other("x".into())(&part, is_odd)).await;
    assert_eq!(
        nightly.types().await,
        ("Nullable(String)".to_owned(), "Nullable(String)".to_owned()),
        "a tenth"
    );
    nightly.bench.remove().await;

    // Documents that become lists of them.
    let nightly = Nightly::new(replace()).await;
    let list = |is_odd: bool| doc! { "in": if is_odd { bson!([part.clone()]) } else { bson!(part.clone()) } };
    nightly.copy(0, list).await;
    for (odd, wanted) in [(3, TUPLE), (60, &array), (0, TUPLE)] {
        nightly.copy(odd, list).await;
        assert_eq!(nightly.column("in").await, wanted, "{odd} lists of a hundred");
    }
    nightly.bench.remove().await;
}

/// A few documents of many keys do not make data of the keys of all others.
#[tokio::test(flavor = "multi_thread")]
async fn documents_stay_columns_where_a_few_have_keys_that_are_data() {
    let nightly = Nightly::new(replace()).await;
    let parts = |keys: i32| {
        let mut part = doc! { "a": 1, "b": true, "c": date(), "d": "x", "e": 0.5 };
        part.extend((0..keys).map(|n| (format!("key{n}"), Bson::from(n))));
        doc! { "in": part.clone(), "items": [part] }
    };
    nightly.copy(0, |_| parts(0)).await;
    let before = nightly.types().await;
    let made = std::cell::Cell::new(0);
    let with_one_odd = |_| {
        made.set(made.get() + 1);
        parts(if made.get() == 500 { 257 } else { 0 })
    };
    nightly.copy(0, with_one_odd).await;
    assert_eq!(nightly.types().await, before);
    assert_eq!(
        nightly.says("sum(in.a), sumArray(items.a), countIf(_zenith_extra != '')").await,
        "1000\t1000\t1"
    );
    nightly.copy(0, |_| parts(257)).await;
    assert_eq!(nightly.types().await, ("JSON".to_owned(), "Array(JSON)".to_owned()));
    nightly.bench.remove().await;
}

/// So do the tables of pipelines that copy whole collections again and again; a reload on request chooses anew.
#[tokio::test(flavor = "multi_thread")]
async fn full_copies_of_a_pipeline_keep_the_types_of_parts() {
    let settings = PipelineSettings { mode: Mode::Full, ..PipelineSettings::default() };
    let follow = Follow::new("kept_full", settings).await;
    let put = async |odd: i32| {
        follow.bench.collection("items").drop().await.unwrap();
        let at = |id: i32| if id % 100 < odd { bson!("soon") } else { date() };
        let documents = (0..ROWS).map(|id| raw(&doc! { "_id": id, "items": [{ "at": at(id), "n": 1 }] }));
        follow.bench.fill("items", documents).await;
    };
    let has_twin = "SELECT type LIKE '%at_text%' FROM system.columns \
                    WHERE database = currentDatabase() AND table = 'items' AND name = 'items'";
    for (odd, twin) in [(0, "0"), (3, "0"), (10, "1"), (3, "1")] {
        put(odd).await;
        follow.catch_up_well().await;
        assert_eq!(follow.query(has_twin).await, twin, "{odd} of a hundred are texts");
        let dates = follow.query("SELECT count(items[1].at) FROM items").await;
        assert_eq!(dates, (ROWS - 10 * odd).to_string());
    }
    put(0).await;
    follow.replicator().await.reload("items").await.unwrap();
    assert_eq!(follow.query(has_twin).await, "0");
    follow.bench.remove().await;
}
