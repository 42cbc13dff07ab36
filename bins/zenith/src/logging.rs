//! Log lines on standard error: for those who ask for them, and as JSON of a run that no terminal shows.

use std::io::IsTerminal;

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry};
use zenith_server::log::Log;

use crate::progress::Stderr;

/// Starts logging: warnings always, more by `-v`, anything by `ZENITH_LOG`. What goes on for long writes JSON where no
/// terminal shows it.
pub fn start(verbose: u8, is_long: bool, traces: impl Layer<Registry> + Send + Sync) {
    let as_json = is_json(is_long);
    tracing_subscriber::registry().with(traces).with(lines(verbose, as_json)).init();
}

/// Starts logging for a server, which says more by itself, and keeps what happened in the last hour.
pub fn start_server(verbose: u8, traces: impl Layer<Registry> + Send + Sync) -> Log {
    let log = Log::default();
    let kept = Targets::new().with_targets(
        ["zenith", "zenith_control", "zenith_engine", "zenith_extract", "zenith_server", "zenith_transport"]
            .map(|target| (target, Level::INFO)),
    );
    let as_json = is_json(true);
    tracing_subscriber::registry()
        .with(traces)
        .with(lines(verbose.saturating_add(1), as_json))
        .with(log.clone().with_filter(kept))
        .init();
    log
}

/// Whether lines are JSON: as `ZENITH_LOG_FORMAT` says, `text` or `json`, and else where a run is long and no terminal shows it.
fn is_json(is_long: bool) -> bool {
    match std::env::var("ZENITH_LOG_FORMAT").as_deref() {
        Ok("json") => true,
        Ok("text") => false,
        _ => is_long && !std::io::stderr().is_terminal(),
    }
}

fn lines<S>(verbose: u8, as_json: bool) -> Box<dyn tracing_subscriber::Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    let default = match verbose {
        0 => "warn,mongodb=error",
        1 => "info,mongodb=warn",
        2 => "debug,mongodb=info,rustls=info",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_env("ZENITH_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(|| Stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(verbose > 1);
    match as_json {
        true => lines.json().flatten_event(true).with_filter(filter).boxed(),
        false => lines.with_filter(filter).boxed(),
    }
}
