//! `zenith serve`: what it shows and what can be asked of it.

mod beside;
mod client;
mod faults;
pub mod http;
mod protection;
mod remote;
mod secure;
mod slow;
mod unit;

use bson::{doc, rawdoc};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use self::http::Serving;
use crate::harness::Bench;
use crate::home::Home;

/// Documents that a pipeline begins with.
const DOCUMENTS: i32 = 500;

async fn filled(label: &str) -> (Bench, Home) {
    let bench = Bench::new(label).await;
    bench.fill("orders", (0..DOCUMENTS).map(|n| rawdoc! { "_id": n, "item": "tea", "price": 2.5 })).await;
    let home = Home::between(&bench);
    (bench, home)
}

async fn insert(bench: &Bench, id: i32) {
    let orders = bench.databases.mongodb.collection::<bson::Document>("orders");
    orders.insert_one(doc! { "_id": id, "item": "coffee", "price": 3.5 }).await.unwrap();
}

/// Waits until a path of the API gives what is wished for.
async fn until(home: &Home, serving: &Serving, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    home.until(path, async || is_so(&serving.get(path).await.json())).await;
    serving.get(path).await.json()
}

async fn until_state(home: &Home, serving: &Serving, name: &str, state: &str) -> Value {
    until(home, serving, &format!("/api/v1/pipelines/{name}"), |pipeline| pipeline["state"] == state).await
}

/// What was asked for comes to its end.
async fn done(home: &Home, serving: &Serving, request: &Value) -> Value {
    let path = format!("/api/v1/requests/{}", request["id"]);
    until(home, serving, &path, |request| !request["outcome"].is_null()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelines_are_shown_paused_reloaded_and_measured() {
    let (bench, home) = filled("serve").await;
    home.configure(&[("orders", "collection = \"orders\"")]);
    home.apply().await;
    let serving = Serving::start(&home, &[]).await;
    let shown = until_state(&home, &serving, "orders", "following").await;
    assert_eq!((&shown["rows"], &shown["settings"]["collection"]), (&json!(DOCUMENTS), &json!("orders")));
    assert!(shown["toml"].as_str().unwrap().starts_with("[pipelines.orders]\n"), "{shown}");

    insert(&bench, 1_000).await;
    let events = serving.listen(|all| all.contains("\"rows\":501")).await;
    assert!(events.contains("event: pipelines"), "{events}");

    let metrics = serving.get("/metrics").await;
    assert!(metrics.body.contains("zenith_rows_total{pipeline=\"orders\"} 501\n"), "{}", metrics.body);
    let inserts = |line: &&str| {
        line.starts_with("zenith_insert_duration_seconds_bucket{")
            && line.contains("pipeline=\"orders\"")
            && line.contains("le=\"+Inf\"")
    };
    let inserts = metrics.body.lines().find(inserts).unwrap_or_else(|| panic!("{}", metrics.body));
    assert!(inserts.rsplit(' ').next().unwrap().parse::<u64>().unwrap() >= 2, "{inserts}");
    assert_eq!(serving.get("/readyz").await.json(), json!({ "ok": true, "reasons": [] }));

    let paused = serving.send("POST", "/api/v1/pipelines/orders/pause", "").await;
    assert_eq!(paused.json(), json!({ "name": "orders", "paused": true }));
    until_state(&home, &serving, "orders", "paused").await;
    insert(&bench, 1_001).await;
    assert_eq!(serving.send("POST", "/api/v1/pipelines/orders/resume", "").await.status, 200);
    until(&home, &serving, "/api/v1/pipelines/orders", |pipeline| pipeline["rows"] == 502).await;

    let reload = serving.send("POST", "/api/v1/pipelines/orders/reload", "").await;
    assert_eq!(reload.status, 202);
    let reload = done(&home, &serving, &reload.json()).await;
    assert_eq!((&reload["outcome"], &reload["result"]["json"]["rows"]), (&json!("done"), &json!(502)));
    let verify = serving.send("POST", "/api/v1/pipelines/orders/verify", "").await.json();
    let verify = done(&home, &serving, &verify).await;
    assert_eq!(verify["result"]["json"]["equal"], true, "{verify}");

    let runs = serving.get("/api/v1/pipelines/orders/runs").await.json();
    assert!(runs.as_array().unwrap().len() >= 2, "{runs}");
    let schema = serving.get("/api/v1/pipelines/orders/schema").await.json();
    assert!(schema["columns"].as_array().unwrap().iter().any(|column| column["name"] == "price"), "{schema}");
    let audit = serving.get("/api/v1/audit").await.json();
    let actions: Vec<&str> =
        audit.as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["verify", "reload", "resume", "pause"]);
    serving.stop().await;
    bench.remove().await;
}

/// As somebody does who has only the page: both ends, the collections, the table, the start.
#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_begins_without_any_file() {
    let (bench, home) = filled("serve_new").await;
    let serving = Serving::start(&home, &[]).await;
    assert_eq!(serving.get("/api/v1/pipelines").await.json()["pipelines"], json!([]));
    let source = json!({ "role": "source", "uri": bench.from() }).to_string();
    let tested = serving.send("POST", "/api/v1/connectors/test", &source).await.json();
    assert!(tested["ok"] == true && tested["server"].as_str().unwrap().contains("replica set"), "{tested}");
    let found = serving.send("POST", "/api/v1/connectors/collections", &source).await.json();
    assert_eq!((&found[0]["name"], &found[0]["documents"]), (&json!("orders"), &json!(DOCUMENTS)));

    let toml = format!(
        "[sources.shop]\nuri = {:?}\n[targets.warehouse]\nuri = {:?}\n[pipelines.orders]\nsource = \"shop\"\n\
         target = \"warehouse\"\ncollection = \"orders\"\n",
        bench.from(),
        bench.to()
    );
    let body = json!({ "toml": toml }).to_string();
    let plan = serving.send("POST", "/api/v1/plan", &body).await.json();
    assert_eq!(plan["changes"].as_array().unwrap().len(), 3, "{plan}");
    let inferred = &plan["pipelines"][0]["inferred"];
    assert!(inferred["ddl"].as_str().unwrap().contains("`price` Nullable(Float64)"), "{plan}");
    assert_eq!(serving.get("/api/v1/pipelines").await.json()["pipelines"], json!([]), "nothing was changed");

    assert_eq!(serving.send("POST", "/api/v1/apply", &body).await.status, 200);
    until_state(&home, &serving, "orders", "following").await;
    assert_eq!(bench.ask("SELECT sum(price) FROM orders_current").await, "1250");
    let exported = serving.get("/api/v1/config").await.body;
    let again = json!({ "toml": exported, "remove": true }).to_string();
    assert_eq!(serving.send("POST", "/api/v1/plan", &again).await.json()["changes"], json!([]), "{exported}");
    assert!(exported.starts_with("# What is applied. [memory], [state] and [alerts] are not"), "{exported}");
    let uncounted = json!({ "toml": "[alerts]\nlag = \"9m\"\n" }).to_string();
    for path in ["/api/v1/plan", "/api/v1/apply"] {
        let said = serving.send("POST", path, &uncounted).await.json()["warnings"].to_string();
        assert!(said.contains("[alerts] of what was sent is not applied"), "{path}: {said}");
    }

    let wrong = json!({ "toml": "[pipelines.orders]\nsource = \"shop\"\ncolection = \"x\"\n" }).to_string();
    let refused = serving.send("POST", "/api/v1/plan", &wrong).await;
    assert_eq!((refused.status, refused.code().as_str()), (422, "ZEN-1101"));
    assert!(refused.json()["message"].as_str().unwrap().contains("line 3"), "{refused:?}");
    assert_eq!(serving.send("DELETE", "/api/v1/pipelines/orders", "").await.status, 204);
    home.until("it is gone", async || serving.get("/api/v1/pipelines/orders").await.status == 404).await;
    assert_eq!(serving.get("/api/v1/pipelines/orders").await.code(), "ZEN-1201");
    assert_eq!(bench.ask("SELECT count() FROM orders_current").await, DOCUMENTS.to_string());
    serving.stop().await;
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_told_and_tried_again() {
    let (bench, home) = filled("serve_failing").await;
    // Somebody's own table stands where the pipeline would have its view.
    bench.ask("CREATE TABLE orders_current (x UInt8) ENGINE = Memory").await;
    home.configure(&[("orders", "collection = \"orders\"")]);
    home.apply_unasked().await;
    let serving = Serving::start(&home, &[]).await;
    let failed = until_state(&home, &serving, "orders", "failed").await;
    assert!(failed["last_error"].as_str().unwrap().contains("orders_current"), "{failed}");
    assert!(failed["failing_since"].is_string(), "{failed}");
    let ready = serving.get("/readyz").await;
    assert!(ready.status == 503 && ready.body.contains("orders is failed"), "{ready:?}");
    assert_eq!(serving.get("/healthz").await.status, 200);
    let log = serving.get("/api/v1/log?level=error").await.json();
    assert!(log.as_array().unwrap().iter().any(|line| line["pipeline"] == "orders"), "{log}");

    bench.ask("DROP TABLE orders_current").await;
    until_state(&home, &serving, "orders", "following").await;
    serving.stop().await;
    bench.remove().await;
}

/// One that cannot even begin is told of while the others of its source run, and begins once it can.
#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_begin_joins_the_others_later() {
    let (bench, home) = filled("serve_late").await;
    home.write(
        "zenith.toml",
        "[sources.shop]\nuri = \"${MONGO}\"\n[targets.warehouse]\nuri = \"${CLICKHOUSE}\"\n\
         [targets.late]\nuri = \"file:late\"\n\
         [pipelines.orders]\nsource = \"shop\"\ntarget = \"warehouse\"\ncollection = \"orders\"\n\
         [pipelines.others]\nsource = \"shop\"\ntarget = \"late\"\ncollection = \"orders\"\ntable = \"others\"\n",
    );
    home.write("late", &bench.to());
    home.apply().await;
    std::fs::remove_file(home.folder.path().join("late")).unwrap();
    let serving = Serving::start(&home, &[]).await;
    until_state(&home, &serving, "orders", "following").await;
    until_state(&home, &serving, "others", "failed").await;
    until(&home, &serving, "/api/v1/log?pipeline=others&level=error", |log| log.to_string().contains("late"))
        .await;
    home.write("late", &bench.to());
    until_state(&home, &serving, "others", "following").await;
    home.until("its rows", async || bench.ask("SELECT count() FROM others_current").await == "500").await;
    let pipelines = serving.get("/api/v1/pipelines").await.json();
    assert_eq!(pipelines["counts"]["running"], 2, "{pipelines}");
    serving.stop().await;
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_is_followed_at_a_signal() {
    let (bench, home) = filled("serve_signal").await;
    home.configure(&[]);
    let serving = Serving::start(&home, &[]).await;
    let hang_up = || {
        let pid = i32::try_from(serving.child.id().unwrap()).unwrap();
        kill(Pid::from_raw(pid), Signal::SIGHUP).unwrap();
    };
    home.configure(&[("orders", "collection = \"orders\"")]);
    hang_up();
    until_state(&home, &serving, "orders", "following").await;
    // Another table is another pipeline: it starts over while the server runs.
    home.configure(&[("orders", "collection = \"orders\"\ntable = \"bought\"")]);
    hang_up();
    home.until("the other table", async || bench.tables().await.contains(&"bought".to_owned())).await;
    home.write("zenith.toml", "[pipelines.orders]\nnonsense = 1\n");
    hang_up();
    until(&home, &serving, "/api/v1/log?level=error", |log| log.to_string().contains("nonsense")).await;
    until_state(&home, &serving, "orders", "following").await;
    serving.stop().await;
    bench.remove().await;
}

/// The page of metrics says what there is, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_documented() {
    let (bench, home) = filled("serve_metrics").await;
    home.configure(&[("orders", "collection = \"orders\"")]);
    home.apply().await;
    let serving = Serving::start(&home, &[]).await;
    until_state(&home, &serving, "orders", "following").await;
    let metrics = serving.get("/metrics").await.body;
    let page = include_str!("../../../../docs/monitoring/metrics.md");
    let documented = |name: &str| page.contains(&format!("`{name}`"));
    for line in metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        let name = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
        assert!(documented(&name), "{name} is not in docs/monitoring/metrics.md");
    }
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let name = row.split('`').nth(1).unwrap();
        let family = name.strip_suffix("_total").unwrap_or(name);
        assert!(metrics.contains(&format!("# TYPE {family} ")), "{name} is not measured");
    }
    serving.stop().await;
    bench.remove().await;
}
