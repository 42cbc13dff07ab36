//! Options of connections.

use std::path::PathBuf;
use std::time::Duration;

use super::send_path::SendMode;

/// The newest revision of the native protocol that is announced, that of ClickHouse 23.9.
///
/// What each later one adds is of no use to a writer: sparse (54465) and replicated (54482) columns in
/// results, a second framing of packets (54470), and fields for distributed queries in hello, query and
/// block headers. A server speaks to an announced 54464 as it spoke to the clients of that time.
///
/// The useful one is 54492 (ClickHouse 26.8): strings as offsets and bytes, which is how Arrow has them.
/// It requires all of the others.
pub const REVISION_NEWEST: u64 = 54464;

/// Timeouts, limits and the way bodies are sent.
#[derive(Clone, Debug)]
pub struct ConnectionOptions {
    /// How long connecting may take, TLS included.
    pub connect_timeout: Duration,
    /// How long ClickHouse may neither take nor send a byte. Committing a large insert is such a silence.
    pub idle_timeout: Duration,
    /// How large the answer to a query may be, in bytes.
    pub result_bytes_max: usize,
    /// How many idle connections are kept.
    pub idle_connections_max: usize,
    /// How bodies are put on the socket, unless the address says it.
    ///
    /// Only pages of a pool that is a file can be given to the kernel as they are: see
    /// [`ConnectionOptions::wants_pool_in_file`]. TLS and compression read memory, and allow no other way.
    pub send: SendMode,
    /// How inserts are compressed, unless the address says it.
    pub compression: Compression,
    /// TLS, for targets that use it; what the address says comes first.
    pub tls: TlsOptions,
    /// The newest revision of the native protocol to speak, at most [`REVISION_NEWEST`].
    pub revision_max: u64,
}

impl Default for ConnectionOptions {
    fn default() -> ConnectionOptions {
        ConnectionOptions {
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(300),
            result_bytes_max: 256 * 1024 * 1024,
            idle_connections_max: 16,
            send: SendMode::default(),
            compression: Compression::default(),
            tls: TlsOptions::default(),
            revision_max: REVISION_NEWEST,
        }
    }
}

/// How inserts are compressed on their way.
///
/// It pays on slow links only: on loopback and in a fast network, compressing takes longer than sending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all: column buffers are sent as they lie in memory.
    #[default]
    None,
    /// LZ4: little processor time.
    Lz4,
    /// Zstandard at its fastest level: fewer bytes for more processor time.
    Zstd,
}

/// Whom to trust.
#[derive(Clone, Debug, Default)]
pub struct TlsOptions {
    /// A PEM file of certificate authorities to trust instead of the public ones.
    pub ca_file: Option<PathBuf>,
    /// Accepts any certificate: the connection is encrypted, but the server may be anyone.
    pub insecure: bool,
}
