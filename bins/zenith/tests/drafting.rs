//! `zenith init --from URI --to URL`: a configuration drafted from what is there.

use bson::{DateTime, Document, doc, rawdoc};

use crate::harness::{Bench, Ended};
use crate::home::Home;

fn refused(ended: &Ended, parts: &[&str]) {
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(parts.iter().all(|part| ended.stderr.contains(part)), "{ended:?}");
}

/// Documents of five tenants; each has a time of its own, and not all a price.
async fn orders(bench: &Bench) {
    let order = |n: i64| {
        let mut order = rawdoc! {
            "_id": n, "tenant": format!("t{}", n % 5), "shop": n % 10, "at": DateTime::from_millis(n * 1_000),
            "due": DateTime::from_millis(n % 7 * 86_400_000), "text": format!("text {n}"),
        };
        if n % 2 == 0 {
            order.append(bson::cstr!("price"), n);
        }
        order
    };
    bench.fill("orders", (0..1_000).map(order)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_can_be_applied_and_run_as_it_is() {
    let bench = Bench::new("drafting").await;
    orders(&bench).await;
    bench.fill("fs.files", (0..3).map(|n| rawdoc! { "_id": n, "length": n })).await;
    let view = doc! { "create": "recent", "viewOn": "orders", "pipeline": [] };
    bench.databases.mongodb.run_command(view).await.unwrap();
    let home = Home::between(&bench);
    let ended = home.run(&["init", "--from", "${MONGO}", "--to", "${CLICKHOUSE}"]).await.succeeded();
    assert!(ended.stdout.contains("2 collections, and 1 left out"), "{ended:?}");

    let text = home.read("zenith.toml");
    for part in [
        "uri = \"${MONGO}\"",
        "[pipelines.orders]",
        "[pipelines.fs_files]",
        ".fs.files\"\ntable = \"fs.files\"\n",
        "orders: 1,000 documents",
        "#   price   Nullable(Int64), in 50 % of the documents\n",
        "# order_by = [\"tenant\", \"shop\", \"at\"]\n",
        "recent is left out: it is a view",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    home.run(&["check"]).await.succeeded();
    home.apply().await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    assert_eq!(bench.ask("SELECT count(), sum(price) FROM orders_current").await, "1000\t249500");
    assert_eq!(bench.ask("SELECT sum(length) FROM `fs.files_current`").await, "3");

    // What is there is not written over, and without a target nothing is looked at.
    refused(&home.run(&["init", "--from", "${MONGO}", "--to", "${CLICKHOUSE}"]).await, &["--force"]);
    refused(&home.run(&["init", "--from", "${MONGO}"]).await, &["--to"]);
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_that_is_suggested_can_be_had() {
    let bench = Bench::new("drafting_key").await;
    orders(&bench).await;
    let home = Home::between(&bench);
    home.run(&["init", "--from", "${MONGO}", "--to", "${CLICKHOUSE}"]).await.succeeded();
    let text = home.read("zenith.toml").replace("# order_by", "mode = \"full\"\norder_by");
    home.write("zenith.toml", &text);
    home.apply().await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    let key = "SELECT sorting_key FROM system.tables WHERE database = currentDatabase() AND name = 'orders'";
    assert_eq!(bench.ask(key).await, "tenant, shop, at, _id");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_collections_are_one_pipeline_of_a_pattern() {
    let bench = Bench::new("drafting_many").await;
    let database = &bench.databases.mongodb;
    for n in 0..60 {
        let one = doc! { "_id": n };
        database.collection::<Document>(&format!("c{n:02}")).insert_one(one).await.unwrap();
    }
    let home = Home::between(&bench);
    let arguments = ["--collection", "c*", "--collection", "!c5*"];
    let ends = ["init", "--from", "${MONGO}", "--to", "${CLICKHOUSE}"];
    home.run(&[&ends[..], &["--collection", "c*"]].concat()).await.succeeded();
    let text = home.read("zenith.toml");
    assert!(text.contains("collections = [\"c*\"]") && text.contains("c59: 1 document"), "{text}");
    home.apply().await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    assert_eq!(bench.ask("SELECT count() FROM c42_current").await, "1");
    home.run(&[&ends[..], &arguments[..], &["--force"]].concat()).await.succeeded();
    let text = home.read("zenith.toml");
    assert!(text.contains("[pipelines.c49]") && !text.contains("c50"), "{text}");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_told_and_nothing_is_written() {
    let bench = Bench::new("drafting_mistakes").await;
    orders(&bench).await;
    let home = Home::between(&bench);
    let nowhere = "mongodb://app:se-cr-et@127.0.0.1:1/shop?serverSelectionTimeoutMS=300";
    let ended = home.run(&["init", "--from", nowhere, "--to", "${CLICKHOUSE}"]).await;
    refused(&ended, &["127.0.0.1:1"]);
    assert!(!ended.stderr.contains("se-cr-et") && !home.has("zenith.toml"), "{ended:?}");
    for (more, parts) in [
        (&["--collection", "nothing*"][..], &["matches no collection", "nothing was written"][..]),
        (&["--collection", "!x"], &["only patterns that leave out"]),
        (&["--to", "${NOT_SET}"], &["--to needs the environment variable NOT_SET"]),
        (&["--to", "file:no/such/file"], &["cannot read --to"]),
        (&["--to", "http://localhost:1/db?password=hunter"], &["--to has a secret", "file:PATH"]),
    ] {
        let to: &[&str] = if more[0] == "--to" { &[] } else { &["--to", "${CLICKHOUSE}"] };
        refused(&home.run(&[&["init", "--from", "${MONGO}"], to, more].concat()).await, parts);
    }
    assert!(!home.has("zenith.toml"));
    bench.remove().await;
}
