//! What people can say about the columns that come of a sample.

use bson::{RawDocumentBuf, doc, rawdoc};

use crate::harness::{Bench, run};
use crate::home::Home;

/// Sixty numbers and forty texts, at the top and in the lines.
fn orders() -> impl Iterator<Item = RawDocumentBuf> {
    (0..100).map(|n| match n % 5 {
        0 | 1 => rawdoc! { "_id": n, "price": "a lot", "count": n, "lines": [{ "price": "none" }] },
        _ => rawdoc! { "_id": n, "price": n, "count": n, "lines": [{ "price": n }] },
    })
}

async fn types(bench: &Bench, table: &str) -> Vec<(String, String)> {
    let question = format!(
        "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = '{table}' AND \
         name NOT LIKE '\\_zenith%' ORDER BY position FORMAT TSVRaw"
    );
    let text = bench.ask(&question).await;
    text.lines().filter_map(|line| line.split_once('\t')).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
}

fn of<'a>(types: &'a [(String, String)], name: &str) -> &'a str {
    types.iter().find(|(column, _)| column == name).map_or("", |(_, data_type)| data_type)
}

#[tokio::test(flavor = "multi_thread")]
async fn integers_of_a_copy_are_wide_unless_narrow_ones_are_asked_for() {
    let bench = Bench::new("columns_integers").await;
    bench.fill("orders", (0..10).map(|n| rawdoc! { "_id": n, "n": n, "wide": 1_i64 << 40 })).await;
    run(bench.copy("orders", &[])).await.succeeded();
    assert_eq!(of(&types(&bench, "orders").await, "n"), "Nullable(Int64)");
    for narrow in [&["--integers", "narrow"][..], &["--integers=narrow", "--strategy=truncate"]] {
        run(bench.copy("orders", &[narrow, &["--table", "narrow"]].concat())).await.succeeded();
        let types = types(&bench, "narrow").await;
        assert_eq!((of(&types, "n"), of(&types, "wide")), ("Nullable(Int32)", "Nullable(Int64)"));
        assert_eq!(bench.ask("SELECT sum(n) FROM narrow").await, "45");
    }
    let ended = run(bench.copy("orders", &["--integers", "tiny"])).await;
    assert!(ended.code == Some(2) && ended.stderr.contains("wide, narrow"), "{ended:?}");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mixed_types_of_a_copy_become_what_is_asked_for() {
    let bench = Bench::new("columns_mixed").await;
    bench.fill("orders", orders()).await;
    let copy = async |table: &str, more: &[&str]| {
        run(bench.copy("orders", &[more, &["--table", table]].concat())).await.succeeded()
    };
    let sum: i32 = (0..100).filter(|n| n % 5 > 1).sum();

    copy("twin", &[]).await;
    let twin = types(&bench, "twin").await;
    assert!(of(&twin, "price").contains("Int64") && of(&twin, "price_text").contains("String"), "{twin:?}");
    let question = "SELECT sum(price), countIf(price_text = 'a lot'), countIf(price IS NULL) FROM twin";
    assert_eq!(bench.ask(question).await, format!("{sum}\t40\t40"));

    copy("text", &["--mixed", "text"]).await;
    let text = types(&bench, "text").await;
    assert!(of(&text, "price").contains("String") && of(&text, "price_text").is_empty(), "{text:?}");
    assert_eq!(of(&text, "count"), "Nullable(Int64)", "fields of one type are as they were");
    let question = "SELECT countIf(price = 'a lot'), sum(toInt64OrZero(price)) FROM text";
    assert_eq!(bench.ask(question).await, format!("40\t{sum}"));

    copy("majority", &["--mixed", "majority"]).await;
    let majority = types(&bench, "majority").await;
    assert!(of(&majority, "price").contains("Int64") && of(&majority, "price_text").is_empty());
    let question = "SELECT sum(price), countIf(_zenith_extra LIKE '%\"price\":\"a lot\"%') FROM majority";
    assert_eq!(bench.ask(question).await, format!("{sum}\t40"));

    let ended =
        copy("single", &["--mixed-field", "price=text", "--mixed-field", "lines.price=majority"]).await;
    assert_eq!(ended.stderr, "", "{ended:?}");
    let single = types(&bench, "single").await;
    assert!(of(&single, "price").contains("String") && of(&single, "price_text").is_empty(), "{single:?}");
    let lines = of(&single, "lines");
    assert!(lines.contains("Int64") && !lines.contains("price_text"), "{lines}");
    assert!(of(&twin, "lines").contains("price_text"), "{twin:?}");

    let ended = copy("misspelled", &["--mixed-field", "line.price=text"]).await;
    assert!(ended.stderr.contains("line.price"), "what has no effect is told: {ended:?}");
    let ended = run(bench.copy("orders", &["--mixed-field", "price"])).await;
    assert!(ended.code == Some(2) && ended.stderr.contains("PATH=text"), "{ended:?}");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelines_have_the_same_settings() {
    let bench = Bench::new("columns_pipeline").await;
    bench.fill("orders", orders()).await;
    let home = Home::between(&bench);
    home.configure(&[("orders", "collection = \"orders\"")]);
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();
    let before = types(&bench, "orders").await;
    assert!(of(&before, "price_text").contains("String") && of(&before, "count") == "Nullable(Int64)");

    let settings = "collection = \"orders\"\nintegers = \"narrow\"\nmixed = \"text\"\n\
                    [pipelines.orders.mixed_fields]\n\"lines.price\" = \"majority\"";
    home.configure(&[("orders", settings)]);
    let applied = home.apply().await;
    for part in ["integers: wide -> narrow", "mixed: twin -> text", "lines.price", "zenith reload orders"] {
        assert!(applied.stdout.contains(part), "{part:?} is not in {applied:?}");
    }
    let shown = home.json(&["pipeline", "show", "orders"]).await;
    assert_eq!((&shown["integers"], &shown["mixed"]), (&"narrow".into(), &"text".into()));
    assert_eq!(shown["mixed_fields"]["lines.price"], "majority");
    home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(types(&bench, "orders").await, before, "the table keeps its columns");

    home.run(&["reload", "orders"]).await.succeeded();
    let after = types(&bench, "orders").await;
    assert_eq!((of(&after, "count"), of(&after, "price_text")), ("Nullable(Int32)", ""));
    assert!(of(&after, "price").contains("String"), "{after:?}");
    let lines = of(&after, "lines");
    assert!(lines.contains("Int32") && !lines.contains("price_text"), "{lines}");
    let orders = bench.databases.mongodb.collection::<bson::Document>("orders");
    orders.insert_one(doc! { "_id": 100, "price": 7, "count": 7 }).await.unwrap();
    home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(bench.ask("SELECT price, count FROM orders_current WHERE _id = 100").await, "7\t7");

    for (settings, parts) in [
        ("integers = \"small\"", &["line 9", "integers", "small"][..]),
        ("mixed = \"variant\"", &["line 9", "mixed", "variant"]),
        (
            "[pipelines.orders.mixed_fields]\nprice = \"texts\"",
            &["line 10", "texts", "`twin`, `text`, `majority`"],
        ),
        ("[pipelines.orders.mixed_fields]\nlines.price = \"text\"", &["line 10", "lines", "quotation marks"]),
    ] {
        home.configure(&[("orders", &format!("collection = \"orders\"\n{settings}"))]);
        let ended = home.run(&["apply"]).await;
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(parts.iter().all(|part| ended.stderr.contains(part)), "{parts:?}: {ended:?}");
    }
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_an_earlier_version_is_shown_copied_into_and_followed() {
    let bench = Bench::new("columns_earlier").await;
    bench.fill("orders", (0..10).map(|n| rawdoc! { "_id": n, "tags": ["a"] })).await;
    let home = Home::between(&bench);
    home.configure(&[("orders", "collection = \"orders\"")]);
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();
    bench.ask("ALTER TABLE orders DROP COLUMN _zenith_notes").await;

    let schema = home.json(&["schema", "orders"]).await;
    let notes = schema["columns"].as_array().unwrap().iter().find(|it| it["name"] == "_zenith_notes");
    let notes = notes.unwrap_or_else(|| panic!("{schema}"));
    assert_eq!((&notes["clickhouse_type"], &notes["inferred_type"]), (&().into(), &"String".into()));
    let text = home.run(&["schema", "orders"]).await.succeeded();
    assert!(text.stdout.contains("_zenith_notes"), "{text:?}");
    home.run(&["check"]).await.succeeded();
    bench.fill("orders", [rawdoc! { "_id": 10, "tags": [] }]).await;
    home.run(&["run", "--once"]).await.succeeded();
    assert!(bench.ask("SELECT _zenith_notes FROM orders_current WHERE _id = 10").await.contains("tags"));
    assert_eq!(bench.ask("SELECT countIf(_zenith_notes = '') FROM orders_current").await, "10");

    run(bench.copy("orders", &["--table", "copied"])).await.succeeded();
    bench.ask("ALTER TABLE copied DROP COLUMN _zenith_notes").await;
    let into = ["--table", "copied", "--strategy", "truncate"];
    run(bench.copy("orders", &[&into[..], &["--dry-run"]].concat())).await.succeeded();
    run(bench.copy("orders", &into)).await.succeeded();
    assert_eq!(bench.ask("SELECT count(), countIf(_zenith_notes = '') FROM copied").await, "11\t11");
    bench.remove().await;
}
