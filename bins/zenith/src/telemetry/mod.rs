//! OpenTelemetry: traces of inserts, and the metrics of the server, over OTLP with HTTP. Part of builds with the feature `otel`.
//!
//! | file | |
//! | --- | --- |
//! | `settings.rs` | the standard variables of the environment |
//! | `client.rs` | sends what the exporter of traces has made |
//! | `traces.rs` | spans of inserts become traces |
//! | `metrics.rs` | what `/metrics` shows becomes an export |

mod client;
pub mod metrics;
mod settings;
pub mod traces;

#[cfg(test)]
mod tests;
