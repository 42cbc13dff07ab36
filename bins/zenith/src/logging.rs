//! Log lines on standard error, for those who ask for them.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::progress::Stderr;

/// Starts logging: warnings always, more by `-v`, anything by `ZENITH_LOG`.
pub fn start(verbose: u8) {
    let default = match verbose {
        0 => "warn,mongodb=error",
        1 => "info,mongodb=warn",
        2 => "debug,mongodb=info,rustls=info",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_env("ZENITH_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(verbose > 1)
        .init();
}
