//! Traces and metrics over OTLP, to a receiver of this test: `cargo xtask test -p zenith --features otel --test telemetry`.

#![allow(clippy::unwrap_used)]

#[path = "../harness.rs"]
#[allow(dead_code)]
mod harness;
#[path = "../home.rs"]
#[allow(dead_code)]
mod home;
mod receiver;

use bson::rawdoc;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use prost::Message as _;

use self::harness::Bench;
use self::home::Home;
use self::receiver::Receiver;

/// The attributes of something, in words.
fn words(attributes: &[KeyValue]) -> String {
    attributes.iter().map(|pair| format!("{}={:?} ", pair.key, pair.value)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn inserts_are_traces_and_metrics_are_those_of_the_page() {
    let bench = Bench::new("otel").await;
    bench.fill("orders", (0..50).map(|n| rawdoc! { "_id": n })).await;
    let receiver = Receiver::start().await;
    let mut home = Home::between(&bench);
    home.set("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{}", receiver.address));
    home.set("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=the%20shop");
    home.set("OTEL_METRIC_EXPORT_INTERVAL", "500");
    home.set("OTEL_BSP_SCHEDULE_DELAY", "200");
    home.configure(&[("orders", "collection = \"orders\"")]);
    home.apply().await;
    let mut serving = home.command(&["serve", "--listen", "127.0.0.1:0"]).kill_on_drop(true).spawn().unwrap();
    home.until_state("orders", "following").await;
    let orders = bench.databases.mongodb.collection::<bson::Document>("orders");
    orders.insert_one(bson::doc! { "_id": 100 }).await.unwrap();

    let is_insert = |name: &str, words: &str| {
        name == "insert"
            && words.contains("pipeline=")
            && words.contains("namespace=")
            && words.contains("token=")
    };
    home.until("a trace of an insert", async || {
        let all = receiver.bodies("/v1/traces");
        let all = all.iter().filter_map(|body| ExportTraceServiceRequest::decode(&body[..]).ok());
        let mut spans = all.flat_map(|request| request.resource_spans).flat_map(|of| of.scope_spans);
        spans.any(|of| of.spans.iter().any(|span| is_insert(&span.name, &words(&span.attributes))))
    })
    .await;
    home.until("the metrics of 51 rows", async || {
        let all = receiver.bodies("/v1/metrics");
        let all = all.iter().filter_map(|body| ExportMetricsServiceRequest::decode(&body[..]).ok());
        let metrics = all.flat_map(|request| request.resource_metrics).flat_map(|of| of.scope_metrics);
        let rows = metrics.flat_map(|of| of.metrics).filter(|metric| metric.name == "zenith_rows_total");
        rows.map(|metric| format!("{metric:?}")).any(|text| text.contains("orders") && text.contains("51.0"))
    })
    .await;
    assert!(
        receiver.heads().iter().all(|head| head.contains("x-tenant: the shop")),
        "{:?}",
        receiver.heads()
    );
    serving.kill().await.unwrap();

    // Nothing is sent where nobody has asked for it.
    let mut quiet = Home::between(&bench);
    quiet.set("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{}/quiet", receiver.address));
    quiet.set("OTEL_SDK_DISABLED", "true");
    quiet.configure(&[("copies", "collection = \"orders\"\ntable = \"copies\"")]);
    quiet.apply().await;
    quiet.run(&["run", "--once"]).await.succeeded();
    assert!(receiver.heads().iter().all(|head| !head.contains("/quiet")));
    // A run that ends sends what it has before it does.
    let path = "/once/v1/traces";
    quiet.set("OTEL_SDK_DISABLED", "false");
    quiet.set("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{}/once", receiver.address));
    orders.insert_one(bson::doc! { "_id": 101 }).await.unwrap();
    quiet.run(&["run", "--once"]).await.succeeded();
    assert!(!receiver.bodies(path).is_empty(), "{:?}", receiver.heads());
    bench.remove().await;
}
