//! Spans of inserts become traces: one for each insert, with its pipeline, collection and token.

use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::{Layer, Registry};

use super::client::Client;
use super::settings;
use crate::progress::say;
use crate::signals;

/// What becomes a span of a trace. Spans of pipelines last as long as the process, and would be a trace that never ends.
const SPANS: [&str; 4] = ["insert", "intent", "send", "checkpoint"];

/// How long what is left may take at the end, if there is no stop that has to be over before.
const SEND_WITHIN: Duration = Duration::from_secs(5);

/// Exports traces until it is dropped, which sends what is left.
#[derive(Debug, Default)]
pub struct Traces(Option<SdkTracerProvider>);

impl Drop for Traces {
    fn drop(&mut self) {
        let within = signals::left(SEND_WITHIN);
        let ended = self.0.take().map(|provider| provider.shutdown_with_timeout(within));
        if let Some(Err(error)) = ended {
            say(&format!("zenith: the last traces could not be sent: {error}"));
        }
    }
}

/// The layer that makes traces, if the environment says where they go.
pub fn layer() -> (Option<Box<dyn Layer<Registry> + Send + Sync>>, Traces) {
    let Some(endpoint) = settings::endpoint("TRACES") else { return (None, Traces::default()) };
    match provider(endpoint) {
        Ok(provider) => {
            let layer = of(&provider);
            (Some(layer), Traces(Some(provider)))
        }
        Err(error) => {
            say(&format!("zenith: there are no traces: {error}"));
            (None, Traces::default())
        }
    }
}

fn provider(endpoint: String) -> Result<SdkTracerProvider, String> {
    let client = Client::new(settings::certificate("TRACES").map(Into::into));
    let client = client.map_err(|error| format!("no thread for their export: {error}"))?;
    let exporter =
        SpanExporter::builder().with_http().with_http_client(client).with_endpoint(endpoint).build();
    let exporter = exporter.map_err(|error| error.to_string())?;
    let resource = Resource::builder().with_service_name(settings::service_name()).build();
    Ok(SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build())
}

fn of(provider: &SdkTracerProvider) -> Box<dyn Layer<Registry> + Send + Sync> {
    let is_meant = |metadata: &Metadata<'_>| {
        let is_ours = metadata.target().starts_with("zenith") && *metadata.level() <= Level::INFO;
        is_ours && (metadata.is_event() || SPANS.contains(&metadata.name()))
    };
    let tracer = provider.tracer("zenith");
    tracing_opentelemetry::layer().with_tracer(tracer).with_filter(filter_fn(is_meant)).boxed()
}
