//! Arrays that are unwound into rows of copies, and what cannot be unwound.

use bson::rawdoc;

use crate::harness::{Bench, run};
use crate::home::Home;
use crate::tables::ends;
use crate::unwinding::{orders, shown, unwound};

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_has_a_row_for_each_element() {
    let bench = Bench::new("unwinding_copy").await;
    bench.fill("orders", orders(0..3_000)).await;
    for (protocol, to) in ends(&bench).await {
        for (name, more) in [
            ("one", &["--readers", "1"][..]),
            ("small", &["--readers", "4", "--batch-rows", "7", "--sample", "50"]),
            ("placed", &["--strategy", "truncate"]),
        ] {
            let (table, at) = (format!("{protocol}_{name}"), format!("{protocol} {name}"));
            let ends =
                ["copy", "--from", bench.from(), "--collection", "orders", "--to", &to, "--table", &table];
            let arguments = [&ends[..], &["--unwind", "items", "--json"], more].concat();
            let ended = run(crate::harness::zenith(&arguments)).await.succeeded().json();
            assert_eq!(
                ended["rows"].to_string(),
                bench.ask(&format!("SELECT count() FROM {table}")).await,
                "{at}"
            );
            assert_eq!(shown(&bench, &table, "items.price").await, unwound(&bench, "items").await, "{at}");
            let key = format!(
                "SELECT sorting_key FROM system.tables WHERE database = currentDatabase() AND name = '{table}'"
            );
            assert_eq!(bench.ask(&key).await, "_id, items_index", "{at}");
        }
        let types = format!(
            "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = '{protocol}_one' AND name LIKE \
             'items%' ORDER BY name FORMAT TSVRaw"
        );
        let types = bench.ask(&types).await;
        assert!(types.starts_with("items\tTuple(") && types.contains("\nitems_index\tInt64"), "{types}");
        let odd =
            format!("SELECT items_index, _zenith_extra FROM {protocol}_one WHERE _id = 40 FORMAT TSVRaw");
        assert_eq!(bench.ask(&odd).await, "0\t{\"items\":{\"$numberDouble\":\"1.25\"}}");
    }
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_else_is_said_of_fields_goes_along() {
    let bench = Bench::new("unwinding_more").await;
    let order = |n: i32| {
        let line =
            |k: i32| rawdoc! { "sku": k, "price": 2.5, "card": format!("card {k}"), "secret": "hidden" };
        rawdoc! { "_id": n, "customer": "c", "total": n, "items_index": format!("own {n}"), "cart": { "lines": [line(1), line(2)], "at": n } }
    };
    bench.fill("orders", (0..40).map(order)).await;
    let settings = [
        "--unwind=cart.lines",
        "--exclude=cart.lines.secret",
        "--mask=cart.lines.card=redact",
        "--rename=lines_index=line",
        "--filter={\"total\": {\"$lt\": 30}}",
        "--order-by=customer",
        "--partition-by=line % 2",
    ];
    run(bench.copy("orders", &settings)).await.succeeded();
    let question = "SELECT count(), uniqExact(_id), sum(cart.lines.price), sum(line), uniqExact(cart.lines.card), any(cart.lines.card), \
                    countIf(toString(cart) LIKE '%hidden%' OR _zenith_extra LIKE '%hidden%') FROM orders";
    assert_eq!(bench.ask(question).await, "60\t30\t150\t90\t1\t****\t0");
    let key = "SELECT sorting_key FROM system.tables WHERE database = currentDatabase() AND name = 'orders'";
    assert_eq!(bench.ask(key).await, "customer, _id, line");
    // A field of the documents has the name of the index.
    run(bench.copy("orders", &["--unwind=cart.lines", "--table", "own", "--rename=lines_index=items_index2"])).await.succeeded();
    assert_eq!(
        bench.ask("SELECT count(), uniqExact(items_index), max(items_index2) FROM own").await,
        "80\t40\t2"
    );
    let twice = rawdoc! { "_id": 1, "tags_index": "its own", "tags": ["a", "b"] };
    bench.fill("tagged", [twice]).await;
    run(bench.copy("tagged", &["--unwind=tags"])).await.succeeded();
    let question = "SELECT groupArray(tags), groupArray(tags_index), countIf(_zenith_extra LIKE '%its own%') FROM \
                    (SELECT * FROM tagged ORDER BY tags_index)";
    assert_eq!(bench.ask(question).await, "['a','b']\t[1,2]\t2");
    let by_part = [
        "--unwind=cart.lines",
        "--table=parts",
        "--order-by=ifNull(cart.lines.sku, 0)",
        "--rename=items_index=own",
    ];
    run(bench.copy("orders", &by_part)).await.succeeded();
    assert_eq!(bench.ask("SELECT count(), sum(cart.lines.sku) FROM parts").await, "80\t120");
    // A collection without documents has the columns all the same.
    bench.databases.mongodb.create_collection("empty").await.unwrap();
    run(bench.copy("empty", &["--unwind=tags"])).await.succeeded();
    let key = "SELECT sorting_key FROM system.tables WHERE database = currentDatabase() AND name = 'empty'";
    assert_eq!(bench.ask(key).await, "_id, tags_index");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_unwound_is_told_before_anything_is_written() {
    let bench = Bench::new("unwinding_bad").await;
    bench.fill("orders", orders(0..20)).await;
    for (more, part) in [
        (&["--unwind", "*.items"][..], "write its path out"),
        (&["--unwind", "_id"], "begins with _id"),
        (&["--unwind", "a..b"], "empty key"),
        (&["--unwind", "items", "--exclude", "items"], "is excluded"),
        (&["--unwind", "items", "--mask", "items=redact"], "mask the fields of its elements"),
        (&["--unwind", "a.items", "--exclude", "a"], "is excluded"),
        (&["--unwind", "items", "--include", "total"], "is not included"),
        (&["--unwind", "items", "--shape", "document"], "is a part of one column"),
        (&["--unwind", "items", "--columns", "items_index=Int8"], "is the number of the element"),
    ] {
        let ended = run(bench.copy("orders", more)).await;
        assert!(ended.code != Some(0) && ended.stderr.contains(part), "{more:?}: {ended:?}");
    }
    assert!(bench.tables().await.is_empty());
    let home = Home::between(&bench);
    home.configure(&[("orders", "collection = \"orders\"\nmode = \"change-log\"\nunwind = \"items\"")]);
    let ended = home.run(&["check"]).await;
    assert!(
        ended.code != Some(0) && ended.stderr.contains("line ") && ended.stderr.contains("change log"),
        "{ended:?}"
    );
    // Misspelled, which is no error.
    let ended = run(bench.copy("orders", &["--unwind", "item"])).await.succeeded();
    assert!(ended.stderr.contains("has anything at item"), "{ended:?}");
    bench.remove().await;
}
