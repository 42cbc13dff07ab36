//! A change log with rows of some changes only.

use bson::{Document, doc, rawdoc};

use crate::harness::Bench;
use crate::home::Home;

#[tokio::test(flavor = "multi_thread")]
async fn a_change_log_has_the_changes_that_are_asked_for() {
    let bench = Bench::new("operations").await;
    bench.fill("orders", (0..10).map(|n| rawdoc! { "_id": n, "total": n })).await;
    let home = Home::between(&bench);
    let log = |operations: &str| {
        let table = operations.replace(['"', ',', ' '], "");
        format!(
            "collection = \"orders\"\nmode = \"change-log\"\noperations = [{operations}]\ntable = \"log_{table}\""
        )
    };
    let cases = [
        ("\"insert\"", "insert\t1"),
        ("\"update\"", "replace update\t3"),
        ("\"delete\"", "delete\t2"),
        ("\"insert\", \"delete\"", "delete insert\t3"),
        ("", "delete insert replace update\t6"),
    ];
    let settings = cases.map(|(operations, _)| log(operations));
    let names = ["one", "two", "three", "four", "five"];
    let pipelines: Vec<(&str, &str)> = names.into_iter().zip(settings.iter().map(String::as_str)).collect();
    home.configure(&pipelines);
    home.apply().await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    let orders = bench.databases.mongodb.collection::<Document>("orders");
    orders.insert_one(doc! { "_id": 20, "total": 20 }).await.unwrap();
    orders.update_many(doc! { "_id": { "$lt": 2 } }, doc! { "$inc": { "total": 100 } }).await.unwrap();
    orders.replace_one(doc! { "_id": 2 }, doc! { "total": -2 }).await.unwrap();
    orders.delete_many(doc! { "_id": { "$in": [0, 20] } }).await.unwrap();
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    for (operations, expected) in cases {
        let table = operations.replace(['"', ',', ' '], "");
        let question = format!(
            "SELECT arrayStringConcat(arraySort(groupUniqArray(_zenith_operation)), ' '), count() FROM log_{table}"
        );
        assert_eq!(bench.ask(&question).await, expected, "{operations}");
    }
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_need_all_changes_refuse_to_leave_some_out() {
    let bench = Bench::new("operations_refused").await;
    let home = Home::between(&bench);
    for (settings, part) in [
        ("operations = [\"insert\"]", "mode = \"change-log\""),
        ("operations = [\"insert\", \"update\"]", "deletes = \"ignore\""),
        ("operations = [\"insert\"]\nmode = \"id-cursor\"", "not told of changes"),
        (
            "operations = [\"delete\"]\nmode = \"change-log\"\ndeletes = \"ignore\"",
            "leave one of the two out",
        ),
    ] {
        home.configure(&[("orders", &format!("collection = \"orders\"\n{settings}"))]);
        let ended = home.run(&["apply", "--yes"]).await;
        assert!(
            ended.code == Some(2) && ended.stderr.contains("line 9") && ended.stderr.contains(part),
            "{ended:?}"
        );
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    }
    home.configure(&[(
        "orders",
        "collection = \"orders\"\noperations = [\"delete\", \"update\", \"insert\"]",
    )]);
    home.apply().await;
    bench.remove().await;
}
