//! What can be chosen about connections.

use std::path::PathBuf;
use std::time::Duration;

use crate::WriteStrategy;

/// Timeouts, limits and the way bodies are sent.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// How long connecting may take, TLS included.
    pub connect_timeout: Duration,
    /// How long ClickHouse may neither take nor send a byte. Committing a large insert is such a silence.
    pub idle_timeout: Duration,
    /// How large the answer to a query may be, in bytes.
    pub result_bytes_max: usize,
    /// How many idle connections are kept.
    pub idle_connections_max: usize,
    /// How bodies are put on the socket. TLS always copies.
    pub strategy: WriteStrategy,
    /// TLS, for `https` targets.
    pub tls: TlsOptions,
}

impl Default for HttpOptions {
    fn default() -> HttpOptions {
        HttpOptions {
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(300),
            result_bytes_max: 256 * 1024 * 1024,
            idle_connections_max: 16,
            strategy: WriteStrategy::default(),
            tls: TlsOptions::default(),
        }
    }
}

/// Whom to trust.
#[derive(Clone, Debug, Default)]
pub struct TlsOptions {
    /// A PEM file of certificate authorities to trust instead of the public ones.
    pub ca_file: Option<PathBuf>,
    /// Accepts any certificate: the connection is encrypted, but the server may be anyone.
    pub insecure: bool,
}
