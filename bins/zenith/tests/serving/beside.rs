//! What the page shows beside figures: documents and their rows, what did not fit over time, where settings come from.

use bson::{doc, rawdoc};
use serde_json::{Value, json};

use super::http::Serving;
use super::protection::{ADMIN, READER, tokens};
use super::{filled, until_state};
use crate::harness::Bench;

/// All rows of the samples, by the value of one column.
fn values<'v>(samples: &'v Value, column: &str) -> Vec<&'v Value> {
    let samples = samples.as_array().unwrap().iter();
    samples.flat_map(|sample| sample["rows"].as_array().unwrap()).map(|row| &row[column]).collect()
}

async fn misfit(bench: &Bench) {
    let orders = bench.databases.mongodb.collection::<bson::Document>("orders");
    orders.update_one(doc! { "_id": 3 }, doc! { "$set": { "price": "much" } }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_stand_beside_their_rows() {
    let (bench, home) = filled("serve_rows").await;
    home.configure(&[("orders", "collection = \"orders\"\nmask = { item = \"redact\" }\nflush_rows = 10")]);
    home.apply().await;
    let serving = Serving::start(&home, &["--token-file", &tokens(&home)]).await.with_token(ADMIN);
    until_state(&home, &serving, "orders", "following").await;

    let samples = serving.get("/api/v1/pipelines/orders/sample?documents=3").await.json();
    assert_eq!(samples.as_array().unwrap().len(), 3, "{samples}");
    assert_eq!(values(&samples, "item"), [&json!("\"****\""); 3], "{samples}");
    for sample in samples.as_array().unwrap() {
        assert_eq!(sample["columns"].as_array().unwrap()[..3], ["_id", "item", "price"], "{sample}");
        let document: Value = serde_json::from_str(sample["document"].as_str().unwrap()).unwrap();
        assert_eq!(document["item"], "tea");
        assert_eq!(sample["rows"][0]["_id"], document["_id"].to_string());
    }

    // A new pipeline shows what it would make, and writes nothing.
    let toml = "[pipelines.others]\nsource = \"shop\"\ntarget = \"warehouse\"\ncollection = \"orders\"\n\
                table = \"others\"\nexclude = [\"price\"]\n";
    let asked = json!({ "toml": toml, "pipeline": "others" }).to_string();
    let planned = serving.send("POST", "/api/v1/plan/sample", &asked).await.json();
    assert_eq!(planned.as_array().unwrap().len(), 5, "{planned}");
    assert_eq!(values(&planned, "item"), [&json!("\"tea\""); 5], "{planned}");
    assert_eq!(values(&planned, "price"), [&Value::Null; 5], "{planned}");
    assert_eq!(
        bench
            .ask("SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = 'others'")
            .await,
        "0"
    );
    let plan = serving.send("POST", "/api/v1/plan", &json!({ "toml": toml }).to_string()).await.json();
    assert!(plan["pipelines"][0]["inferred"].get("suggested_key").is_some(), "{plan}");

    // What is masked is not shown to those who may only look.
    let reading = serving.with_token(READER);
    let samples = reading.get("/api/v1/pipelines/orders/sample").await.json();
    assert_eq!(values(&samples, "item"), [&json!("\"****\""); 5], "{samples}");
    assert!(samples.as_array().unwrap().iter().all(|sample| sample["document"].is_null()), "{samples}");
    reading.stop().await;
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_did_not_fit_has_its_time_and_settings_their_origin() {
    let (bench, home) = filled("serve_course").await;
    bench.fill("log_a", [rawdoc! { "_id": 1 }]).await;
    home.configure(&[
        ("orders", "collection = \"orders\"\nflush_rows = 10"),
        ("logs", "collections = [\"log_*\"]\nflush_rows = 20"),
    ]);
    home.apply().await;
    let serving = Serving::start(&home, &[]).await;
    until_state(&home, &serving, "orders", "following").await;
    misfit(&bench).await;
    let path = "/api/v1/pipelines/orders/mismatches";
    let sum = |course: &Value| {
        let counts = course["extra_values"][0]["counts"].as_array().cloned().unwrap_or_default();
        counts.iter().filter_map(Value::as_u64).sum::<u64>()
    };
    let course = super::until(&home, &serving, path, |course| sum(course) == 1).await;
    let [values] = course["extra_values"].as_array().unwrap().as_slice() else { panic!("{course}") };
    assert_eq!((&values["field"], &values["reason"]), (&json!("price"), &json!("is string")), "{course}");
    assert_eq!(course["slots"].as_array().unwrap().len(), 12, "{course}");

    let origin = |of: &Value, name: &str| {
        let settings = of["origins"].as_array().unwrap();
        settings.iter().find(|setting| setting["name"] == name).unwrap_or_else(|| panic!("{of}")).clone()
    };
    let orders = serving.get("/api/v1/pipelines/orders").await.json();
    assert_eq!(
        (&orders["origin"], &origin(&orders, "flush_rows")["origin"]),
        (&json!("file"), &json!("file"))
    );
    assert!(orders["stages"]["wait"].is_number(), "{orders}");
    let changed = home.read("zenith.toml").replace("flush_rows = 10", "flush_rows = 30");
    serving.send("POST", "/api/v1/apply", &json!({ "toml": changed }).to_string()).await;
    let orders = serving.get("/api/v1/pipelines/orders").await.json();
    let flush_rows = origin(&orders, "flush_rows");
    assert_eq!((&orders["origin"], &flush_rows["origin"]), (&json!("changed"), &json!("api")), "{orders}");
    assert_eq!((&flush_rows["value"], &flush_rows["in_file"]), (&json!(30), &json!(10)));

    let logs = serving.get("/api/v1/templates/logs").await.json();
    assert_eq!((&logs["origin"], &logs["pipelines"]), (&json!("file"), &json!(1)), "{logs}");
    assert!(logs["toml"].as_str().unwrap().contains("log_*"), "{logs}");
    let member = serving.get("/api/v1/pipelines/logs.log_a").await.json();
    assert_eq!(
        (&member["origin"], &origin(&member, "flush_rows")["origin"]),
        (&json!("file"), &json!("file"))
    );
    assert_eq!(serving.get("/api/v1/templates/orders").await.code(), "ZEN-1201");
    serving.stop().await;
    bench.remove().await;
}
