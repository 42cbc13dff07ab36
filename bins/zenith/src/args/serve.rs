//! The arguments of `zenith serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use bytesize::ByteSize;
use clap::Args;
use zenith_control::state::StateArgs;

/// Run the pipelines, and serve the page, the API and metrics over HTTP.
///
/// Does what `zenith run` does and goes on until it is stopped: pipelines that fail are tried again, and it may begin before
/// anything is applied. The page is at /, the API under /api/v1, metrics at /metrics, probes at /healthz and /readyz.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  zenith serve                              then look at http://127.0.0.1:8470
  zenith serve --listen 0.0.0.0:8470 --token-file /etc/zenith/tokens --tls-cert cert.pem --tls-key key.pem

  A line of the token file is a role (read, operate or admin), a name and a token:
    admin ada 3f9c1f0f5b0e4a7e

Signals: SIGHUP applies zenith.toml again; SIGTERM and Ctrl-C stop within ten seconds.

Exit codes: 0 stopped; 1 failed; 2 refused before anything was written.")]
pub struct Serve {
    /// Only these pipelines; one of several collections stands for all of its own
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Where to listen; any other machine needs --token-file
    #[arg(long, value_name = "ADDRESS", env = "ZENITH_LISTEN", default_value = "127.0.0.1:8470")]
    pub listen: SocketAddr,
    /// Who may ask: a file with a role, a name and a token on each line
    #[arg(long, value_name = "FILE", env = "ZENITH_TOKEN_FILE", help_heading = "Access")]
    pub token_file: Option<PathBuf>,
    /// Serve over TLS with this certificate, a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_key", help_heading = "Access")]
    pub tls_cert: Option<PathBuf>,
    /// The private key of the certificate, a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_cert", help_heading = "Access")]
    pub tls_key: Option<PathBuf>,
    /// A name by which this server may be asked, beside its addresses. May be repeated
    #[arg(long = "allow-host", value_name = "NAME", help_heading = "Access")]
    pub hosts: Vec<String>,
    /// Take the files of the page from this folder instead of the binary
    #[arg(long, value_name = "FOLDER")]
    pub assets: Option<PathBuf>,
    /// Memory for data in transit, shared by all pipelines: at least 8MiB [default: as zenith.toml says, else 64MiB]
    #[arg(long, value_name = "SIZE", env = "ZENITH_MEMORY", value_parser = super::memory)]
    pub memory: Option<ByteSize>,
    #[command(flatten)]
    pub place: StateArgs,
}
