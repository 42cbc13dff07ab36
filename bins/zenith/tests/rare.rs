//! Fields that the sample of a load missed and that are too rare for a load with other columns.

use bson::raw::cstr;
use bson::{Document, RawDocumentBuf, doc, rawdoc};

use crate::harness::{Bench, run};
use crate::home::Home;

/// Every 3,000th of 9,000 documents has a price, a key that is data, a new key in a document and one in the documents of an array.
fn document(n: i32) -> RawDocumentBuf {
    let mut document = rawdoc! { "_id": n, "n": n };
    let (mut customer, mut item) = (rawdoc! { "name": "n" }, rawdoc! { "sku": "a" });
    if n % 3_000 == 1_234 {
        document.append(cstr!("price"), f64::from(n) / 2.0);
        document.append(cstr!("2024-05-06"), n);
        customer.append(cstr!("vip"), true);
        item.append(cstr!("serial"), "S1");
    }
    document.append(cstr!("customer"), customer);
    document.append(cstr!("items"), bson::rawbson!([item, { "sku": "b" }]).as_array().unwrap().to_owned());
    document
}

const SHOWN: &str = "SELECT count(), sum(n), sum(price), countIf(customer.vip), countIf(has(items.serial, 'S1')), \
                     countIf(_zenith_extra != ''), max(_zenith_extra) FROM orders FORMAT TSVRaw";
const EXTRA: &str = r#"{"2024-05-06":{"$numberInt":"7234"}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn they_have_columns_in_the_first_copy_and_in_the_next() {
    for natively in [false, true] {
        let bench = Bench::new("rare_copy").await;
        bench.fill("orders", (0..9_000).map(document)).await;
        let to = if natively { bench.to_natively().await } else { bench.to() };
        let copy = async |more: &[&str]| {
            let ends =
                ["copy", "--from", bench.from(), "--to", &to, "--collection", "orders", "--sample", "50"];
            run(crate::harness::zenith(&[&ends, more].concat())).await
        };
        let copied = copy(&[]).await.succeeded();
        let added = "columns added for rare fields that the sample missed:";
        assert!(copied.stdout.contains(added) && copied.stdout.contains("customer.vip"), "{copied:?}");
        assert!(copied.stdout.contains("2024-05-06: 3 no column"), "{copied:?}");
        assert!(!copied.stdout.contains("price: "), "{copied:?}");
        let expected = format!("9000\t40495500\t6351\t3\t3\t3\t{EXTRA}");
        assert_eq!(bench.ask(SHOWN).await, expected);
        assert_eq!(bench.tables().await, ["orders"]);
        let columns = bench.ask("DESCRIBE orders").await;
        let again = copy(&[]).await.succeeded();
        assert!(!again.stdout.contains(added), "{again:?}");
        assert_eq!((bench.ask(SHOWN).await, bench.ask("DESCRIBE orders").await), (expected, columns.clone()));
        // They stay without values, too.
        let orders = bench.databases.mongodb.collection::<Document>("orders");
        orders.delete_many(doc! { "price": { "$exists": true } }).await.unwrap();
        copy(&[]).await.succeeded();
        assert_eq!(bench.ask(SHOWN).await, "8997\t40482798\t\\N\t0\t0\t0\t");
        assert_eq!(bench.ask("DESCRIBE orders").await, columns);
        // A table that may be replaced has what the collection asks for.
        copy(&["--replace"]).await.succeeded();
        assert_eq!(bench.ask("SELECT count() FROM system.columns WHERE database = currentDatabase() AND table = 'orders' AND name = 'price'").await, "0");
        bench.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn they_stay_in_the_extra_column_or_end_the_copy_where_that_is_said() {
    let bench = Bench::new("rare_said").await;
    bench.fill("orders", (0..9_000).map(document)).await;
    let copied = run(bench.copy("orders", &["--sample", "50", "--on-new-field", "extra"])).await.succeeded();
    assert!(copied.stdout.contains("price: 3 no column"), "{copied:?}");
    assert_eq!(bench.ask("SELECT countIf(_zenith_extra LIKE '%price%') FROM orders").await, "3");
    let more = ["--sample", "50", "--on-new-field", "fail", "--replace"];
    let failed = run(bench.copy("orders", &more)).await;
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(failed.stderr.contains("has a field") && failed.stderr.contains("no column"), "{failed:?}");
    assert_eq!(bench.tables().await, ["orders"]);
    assert_eq!(bench.ask("SELECT count() FROM orders").await, "9000");
    // A column that its user has computed is in the way of one field, and of no other.
    let more = ["--sample", "50", "--replace", "--columns", "price=UInt8 MATERIALIZED 7"];
    run(bench.copy("orders", &more)).await.succeeded();
    let shown = "SELECT min(price), max(price), countIf(customer.vip), countIf(_zenith_extra LIKE '%price%') FROM orders";
    assert_eq!(bench.ask(shown).await, "7\t7\t3\t3");
    bench.remove().await;
}

/// A pipeline that loads its table whole, each time anew.
#[tokio::test(flavor = "multi_thread")]
async fn they_have_columns_in_each_load_of_the_mode_full() {
    let bench = Bench::new("rare_full").await;
    bench.fill("orders", (0..9_000).map(document)).await;
    let home = Home::between(&bench);
    home.configure(&[("orders", "collection = \"orders\"\nmode = \"full\"\nsample = 50")]);
    home.apply().await;
    for _ in 0..2 {
        home.run(&["run", "--once", "--quiet"]).await.succeeded();
        assert_eq!(bench.ask(SHOWN).await, format!("9000\t40495500\t6351\t3\t3\t3\t{EXTRA}"));
    }
    let verified = home.run(&["verify", "orders"]).await.succeeded();
    assert!(verified.stdout.contains("2024-05-06: 3 no column"), "{verified:?}");
    bench.remove().await;
}

/// The columns of another shape are none of rare fields, and do not stay.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_another_shape_is_refused() {
    let bench = Bench::new("rare_shape").await;
    bench.fill("orders", (0..100).map(document)).await;
    for shape in ["document", "flat"] {
        run(bench.copy("orders", &["--table", shape, "--shape", shape])).await.succeeded();
        let before = bench.ask(&format!("DESCRIBE {shape}")).await;
        let refused = run(bench.copy("orders", &["--table", shape])).await;
        assert!(refused.code == Some(2) && refused.stderr.contains("+ customer"), "{refused:?}");
        assert_eq!(bench.ask(&format!("DESCRIBE {shape}")).await, before);
    }
    bench.remove().await;
}
