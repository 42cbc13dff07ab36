//! Columns of other names than their fields.

use bson::{Document, RawDocumentBuf, doc, rawdoc};

use crate::harness::{Bench, run};
use crate::home::Home;

/// A number for nearly all, a text for a few: more than may be in the extra column without a twin.
fn orders(range: std::ops::Range<i32>) -> impl Iterator<Item = RawDocumentBuf> {
    range.map(|n| match n % 10 {
        0 => rawdoc! { "_id": n, "custID": format!("c{n}"), "tags": ["x"], "order by": n },
        _ => rawdoc! { "_id": n, "custID": n, "tags": [], "order by": n },
    })
}

async fn names(bench: &Bench, table: &str) -> String {
    let columns = "SELECT arrayStringConcat(groupArray(name), ' ') FROM system.columns WHERE database = \
                   currentDatabase() AND name NOT LIKE '\\_zenith%' AND table = ";
    bench.ask(&format!("{columns}'{table}'")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_of_a_copy_have_the_names_that_are_asked_for() {
    let bench = Bench::new("renames_copy").await;
    bench.fill("orders", orders(0..100)).await;
    let renames = ["--rename", "custID=customer_id", "--rename", "order by=sort", "--rename", "tags=labels"];
    for more in [&[][..], &["--strategy", "truncate"], &["--sample", "50"]] {
        run(bench.copy("orders", &[&renames[..], more].concat())).await.succeeded();
        assert_eq!(names(&bench, "orders").await, "_id customer_id customer_id_text labels sort");
        let sums = "SELECT count(), sum(customer_id), countIf(customer_id_text = concat('c', toString(_id))), sum(sort), \
                    sum(length(labels)), countIf(_zenith_extra != '') FROM orders";
        let sum: i32 = (0..100).filter(|n| n % 10 != 0).sum();
        assert_eq!(bench.ask(sums).await, format!("100\t{sum}\t10\t4950\t10\t0"));
    }
    let ended = run(bench.copy("orders", &["--rename", "cust=x", "--table", "other"])).await.succeeded();
    assert!(ended.stderr.contains("cust,"), "what has no effect is told: {ended:?}");
    for (rename, part) in [
        ("custID=tags", "two columns cannot have one name"),
        ("_id=id", "keeps its name"),
        ("a.b=c", "top level"),
        ("custID=_zenith_version", "of its own"),
        ("custID", "FIELD=COLUMN"),
    ] {
        let ended = run(bench.copy("orders", &["--rename", rename, "--table", "refused"])).await;
        assert!(ended.code == Some(2) && ended.stderr.contains(part), "{ended:?}");
    }
    let typed = ["--rename", "custID=customer_id", "--columns", "custID=Int32", "--table", "refused"];
    let ended = run(bench.copy("orders", &typed)).await;
    let advice = "the field custID has the column customer_id";
    assert!(ended.code == Some(2) && ended.stderr.contains(advice), "{ended:?}");
    assert!(bench.tables().await.iter().all(|table| table != "refused"));
    // Each other's names are free.
    let swapped = ["--rename", "custID=tags", "--rename", "tags=custID", "--table", "swapped"];
    run(bench.copy("orders", &swapped)).await.succeeded();
    assert_eq!(bench.ask("SELECT sum(length(custID)) FROM swapped").await, "10");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelines_keep_the_names_of_columns() {
    let bench = Bench::new("renames_modes").await;
    bench.fill("orders", orders(0..100)).await;
    let home = Home::between(&bench);
    let rename = "[pipelines.NAME.rename]\ncustID = \"customer_id\"\nlater = \"since\"";
    let settings = |name: &str, more: &str| {
        format!("collection = \"orders\"\ntable = \"{name}\"\n{more}\n{}", rename.replace("NAME", name))
    };
    let pipelines = |home: &Home| {
        home.configure(&[
            ("current", &settings("current", "")),
            ("log", &settings("log", "mode = \"change-log\"")),
            ("cursor", &settings("cursor", "mode = \"id-cursor\"\nsettle = \"0s\"")),
        ]);
    };
    pipelines(&home);
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();

    bench.fill("orders", orders(100..110)).await;
    let there = bench.databases.mongodb.collection::<Document>("orders");
    let set = async |id: i32, set: Document| {
        there.update_one(doc! { "_id": id }, doc! { "$set": set }).await.unwrap();
    };
    set(1, doc! { "custID": { "a": 1 }, "later": 7 }).await;
    set(2, doc! { "customer_id": "a field of the column's name", "since": "another" }).await;
    there.delete_one(doc! { "_id": 3 }).await.unwrap();
    home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(names(&bench, "current").await, "_id customer_id customer_id_text tags order by since");
    let sums = "SELECT count(), sum(customer_id), sum(since), countIf(_id = 1 AND customer_id_text = '{\"a\":1}'), \
                countIf(JSONHas(_zenith_extra, 'customer_id') AND JSONHas(_zenith_extra, 'since')) FROM current_current";
    let sum: i32 = (0..110).filter(|n| n % 10 != 0 && *n != 1 && *n != 3).sum();
    assert_eq!(bench.ask(sums).await, format!("109\t{sum}\t7\t1\t1"));
    assert_eq!(bench.ask("SELECT count(), sum(since) FROM log").await, "13\t7");
    assert_eq!(bench.ask("SELECT count(), countIf(customer_id_text != '') FROM cursor").await, "110\t11");
    home.run(&["verify", "current"]).await.succeeded();
    // What gathered under the name of a column has none that it could be moved to.
    let promoted = home.run(&["schema", "promote", "current", "--apply"]).await;
    assert!(
        promoted.stdout.contains("customer_id") || promoted.stderr.contains("customer_id"),
        "{promoted:?}"
    );
    assert_eq!(bench.ask(sums).await, format!("109\t{sum}\t7\t1\t1"));
    home.run(&["verify", "current"]).await.succeeded();
    let ended = home.run(&["schema", "current"]).await;
    assert!(ended.code == Some(2) && ended.stderr.contains("two columns cannot have one name"), "{ended:?}");

    // Another name comes with a reload; two columns of one name do not come at all.
    home.configure(&[(
        "current",
        "collection = \"orders\"\ntable = \"current\"\n[pipelines.current.rename]\ncustID = \"customer\"",
    )]);
    let applied = home.apply().await;
    assert!(applied.stdout.contains("zenith reload current"), "{applied:?}");
    home.run(&["run", "--once"]).await.succeeded();
    home.run(&["verify", "current"]).await.succeeded();
    home.run(&["reload", "current"]).await.succeeded();
    assert_eq!(
        names(&bench, "current").await,
        "_id customer customer_text tags order by later customer_id since"
    );
    home.run(&["verify", "current"]).await.succeeded();
    home.configure(&[(
        "current",
        "collection = \"orders\"\ntable = \"current\"\n[pipelines.current.rename]\ncustID = \"customer_id\"",
    )]);
    home.apply().await;
    let ended = home.run(&["reload", "current"]).await;
    assert!(ended.code == Some(2) && ended.stderr.contains("two columns cannot have one name"), "{ended:?}");
    assert_eq!(bench.ask("SELECT count() FROM current_current").await, "109");
    bench.remove().await;
}

/// Settings of columns that were applied and not yet followed by a load are told, with what makes the table follow them.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_table_does_not_follow_yet_is_told() {
    let bench = Bench::new("renames_told").await;
    bench.fill("orders", (0..20).map(|n| rawdoc! { "_id": n, "custID": n, "d": { "x": n } })).await;
    let home = Home::between(&bench);
    let settings = |more: &str| {
        let of =
            |table: &str, mode: &str| format!("collection = \"orders\"\ntable = \"{table}\"\n{mode}{more}");
        [("orders", of("orders", "")), ("log", of("log", "mode = \"change-log\"\n"))]
    };
    let apply = async |more: &str| {
        let settings = settings(more);
        home.configure(&settings.each_ref().map(|(name, settings)| (*name, settings.as_str())));
        home.run(&["apply", "--yes"]).await.succeeded().stdout
    };
    apply("").await;
    home.run(&["run", "--once"]).await.succeeded();
    let checked = async || home.run(&["check"]).await.succeeded().stdout;
    assert!(!checked().await.contains("; it has"), "{}", checked().await);
    for (more, part) in [
        ("shape = \"flat\"", "columns of another shape than shape = \"flat\" makes"),
        ("shape = \"document\"", "columns of another shape than shape = \"document\" makes"),
        ("rename = { custID = \"customer\" }", "custID in the column custID, not customer"),
        ("constant = { origin = \"here\" }", "no column origin, which constant says"),
    ] {
        let said = apply(more).await;
        assert!(
            said.contains("zenith reload orders makes them anew") && !said.contains("reload log"),
            "{said}"
        );
        let found = checked().await;
        assert_eq!(found.matches(part).count(), 2, "{part}: {found}");
        assert!(found.contains("zenith reload orders makes it so"), "{found}");
        assert!(found.contains("a change log keeps its table"), "{found}");
        home.run(&["reload", "orders", "--quiet"]).await.succeeded();
        assert_eq!(checked().await.matches(part).count(), 1, "{part}");
        apply("").await;
        home.run(&["reload", "orders", "--quiet"]).await.succeeded();
        assert!(!checked().await.contains("; it has"), "{more}: {}", checked().await);
    }
    bench.remove().await;
}
