//! The variables that the specification of OpenTelemetry names.

use std::time::Duration;

/// Where metrics go when nothing else is said, and how often.
const INTERVAL: Duration = Duration::from_secs(60);

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// Where a signal (`TRACES`, `METRICS`) goes; `None` if nobody has asked for it.
pub fn endpoint(signal: &str) -> Option<String> {
    if variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return None;
    }
    let is_off = variable(&format!("OTEL_{signal}_EXPORTER")).is_some_and(|value| value == "none");
    let own = variable(&format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"));
    let common = || {
        let base = variable("OTEL_EXPORTER_OTLP_ENDPOINT")?;
        Some(format!("{}/v1/{}", base.trim_end_matches('/'), signal.to_lowercase()))
    };
    own.or_else(common).filter(|_| !is_off)
}

/// The authorities to trust.
pub fn certificate(signal: &str) -> Option<String> {
    let own = variable(&format!("OTEL_EXPORTER_OTLP_{signal}_CERTIFICATE"));
    own.or_else(|| variable("OTEL_EXPORTER_OTLP_CERTIFICATE"))
}

/// Headers of requests with metrics; those of traces are read by their exporter.
pub fn headers() -> Vec<(String, String)> {
    let own = variable("OTEL_EXPORTER_OTLP_METRICS_HEADERS");
    parsed_headers(&own.or_else(|| variable("OTEL_EXPORTER_OTLP_HEADERS")).unwrap_or_default())
}

/// `name=value` with commas between them; in values everything may be written as `%XX`.
pub(super) fn parsed_headers(text: &str) -> Vec<(String, String)> {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    let pairs = pairs.map(|(name, value)| (name.trim().to_owned(), decoded(value.trim())));
    pairs.filter(|(name, value)| !name.is_empty() && !value.is_empty()).collect()
}

/// What is no text once decoded is as it was written, as in the headers of traces.
fn decoded(value: &str) -> String {
    let decoded = percent_encoding::percent_decode_str(value).decode_utf8();
    decoded.map_or_else(|_| value.to_owned(), std::borrow::Cow::into_owned)
}

/// Between two exports of metrics.
pub fn interval() -> Duration {
    let milliseconds = variable("OTEL_METRIC_EXPORT_INTERVAL").and_then(|value| value.parse().ok());
    milliseconds.map_or(INTERVAL, |milliseconds: u64| Duration::from_millis(milliseconds.max(100)))
}

/// What this process is called.
pub fn service_name() -> String {
    variable("OTEL_SERVICE_NAME").unwrap_or_else(|| "zenith".to_owned())
}
