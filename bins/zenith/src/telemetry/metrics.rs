//! What `/metrics` shows becomes an export of OpenTelemetry: the same names, labels and numbers.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use zenith_control::post::Endpoint;
use zenith_server::metrics;
use zenith_server::server::Server;

use super::settings;

/// Exports the metrics of a server until dropped, if the environment says where they go.
pub async fn export(server: &Server) {
    let Some(address) = settings::endpoint("METRICS") else { return };
    let ca_file = settings::certificate("METRICS");
    let endpoint = Endpoint::new(&address, ca_file.as_deref().map(AsRef::as_ref), "the endpoint of metrics");
    let endpoint = match endpoint {
        Ok(endpoint) => endpoint,
        Err(error) => {
            tracing::error!(error, "metrics are not exported");
            return;
        }
    };
    let headers = settings::headers();
    let mut told = String::new();
    loop {
        tokio::time::sleep(settings::interval()).await;
        let text = metrics::text(server, &server.watch.last().await);
        let body = request(&text, server.started, SystemTime::now()).encode_to_vec();
        match endpoint.post("application/x-protobuf", &headers, body).await {
            Ok(()) => told.clear(),
            Err(error) if error.sentence == told => {}
            Err(error) => {
                tracing::warn!(%error, "metrics could not be exported; trying again");
                told = error.sentence;
            }
        }
    }
}

/// One sample of a text in the format of Prometheus.
#[derive(Debug, PartialEq)]
struct Sample<'t> {
    name: &'t str,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// An export of all samples of a text in the format of Prometheus.
pub(super) fn request(text: &str, started: SystemTime, now: SystemTime) -> ExportMetricsServiceRequest {
    let times = (nanoseconds(started), nanoseconds(now));
    let mut metrics = Vec::new();
    let (mut help, mut family) = ("", None);
    let mut samples = Vec::new();
    let mut close = |family: Option<(&str, &str, &str)>, samples: Vec<Sample<'_>>| {
        if let (Some((name, kind, help)), false) = (family, samples.is_empty()) {
            metrics.push(metric(name, kind, help, samples, times));
        }
    };
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').map_or("", |(_, help)| help);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            close(family.replace((name, kind, help)), std::mem::take(&mut samples));
        } else if let Some(sample) = sample(line) {
            samples.push(sample);
        }
    }
    close(family, samples);
    let scope = InstrumentationScope {
        name: "zenith".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let scope_metrics = vec![ScopeMetrics { scope: Some(scope), metrics, ..ScopeMetrics::default() }];
    let attributes = vec![attribute("service.name", &settings::service_name())];
    let resource = Some(Resource { attributes, ..Resource::default() });
    let all = ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![all] }
}

fn metric(name: &str, kind: &str, help: &str, samples: Vec<Sample<'_>>, times: (u64, u64)) -> Metric {
    let cumulative = i32::from(AggregationTemporality::Cumulative as u8);
    let (name, data) = match kind {
        "histogram" => {
            let data_points = histograms(samples, times);
            (
                name.to_owned(),
                metric::Data::Histogram(Histogram { data_points, aggregation_temporality: cumulative }),
            )
        }
        "counter" => {
            let data_points = numbers(samples, times);
            let sum = Sum { data_points, aggregation_temporality: cumulative, is_monotonic: true };
            (format!("{name}_total"), metric::Data::Sum(sum))
        }
        _ => (name.to_owned(), metric::Data::Gauge(Gauge { data_points: numbers(samples, (0, times.1)) })),
    };
    Metric { name, description: help.to_owned(), data: Some(data), ..Metric::default() }
}

fn numbers(samples: Vec<Sample<'_>>, (started, now): (u64, u64)) -> Vec<NumberDataPoint> {
    let point = |sample: Sample<'_>| NumberDataPoint {
        attributes: attributes(&sample.labels),
        start_time_unix_nano: started,
        time_unix_nano: now,
        value: Some(number_data_point::Value::AsDouble(sample.value)),
        ..NumberDataPoint::default()
    };
    samples.into_iter().map(point).collect()
}

/// Buckets that count all below a bound, as buckets of their own.
fn histograms(samples: Vec<Sample<'_>>, (started, now): (u64, u64)) -> Vec<HistogramDataPoint> {
    let mut all: BTreeMap<BTreeMap<String, String>, HistogramDataPoint> = BTreeMap::new();
    for Sample { name, mut labels, value } in samples {
        let bound = labels.remove("le");
        let point = all.entry(labels).or_default();
        match bound {
            Some(bound) => {
                let before: u64 = point.bucket_counts.iter().sum();
                point.bucket_counts.push(count(value).saturating_sub(before));
                point.explicit_bounds.extend(bound.parse().ok().filter(|bound: &f64| bound.is_finite()));
            }
            None if name.ends_with("_sum") => point.sum = Some(value),
            None => point.count = count(value),
        }
    }
    let all = all.into_iter();
    all.map(|(labels, point)| HistogramDataPoint {
        attributes: attributes(&labels),
        start_time_unix_nano: started,
        time_unix_nano: now,
        ..point
    })
    .collect()
}

/// A line such as `name{label="value"} 3`; `None` for others.
fn sample(line: &str) -> Option<Sample<'_>> {
    if line.starts_with('#') {
        return None;
    }
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, self::labels(labels.strip_suffix('}')?)),
        None => (series, BTreeMap::new()),
    };
    Some(Sample { name, labels, value: value.parse().ok()? })
}

/// Labels in quotation marks, in which a backslash escapes.
fn labels(text: &str) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once("=\"") {
        let (mut value, mut letters, mut end) = (String::new(), after.char_indices(), after.len());
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => {
                    end = at + 1;
                    break;
                }
                '\\' => match letters.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, other)) => value.push(other),
                    None => {}
                },
                other => value.push(other),
            }
        }
        labels.insert(name.trim_start_matches(',').to_owned(), value);
        rest = after.get(end..).unwrap_or_default();
    }
    labels
}

fn attributes(labels: &BTreeMap<String, String>) -> Vec<KeyValue> {
    labels.iter().map(|(name, value)| attribute(name, value)).collect()
}

fn attribute(name: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) };
    KeyValue { key: name.to_owned(), value: Some(value), ..KeyValue::default() }
}

fn count(value: f64) -> u64 {
    // Counts are whole, not negative, and below 2^53.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let count = value as u64;
    count
}

fn nanoseconds(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
