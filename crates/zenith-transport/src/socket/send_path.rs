//! How bodies are put on the socket: what can be asked for, and what came of it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::options::{Compression, ConnectionOptions};
use crate::Target;

/// How bodies are to be put on the socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SendMode {
    /// `writev` to this machine; to another one whichever of `writev` and `sendfile` takes less processor time.
    #[default]
    Auto,
    /// The kernel copies everything.
    Writev,
    /// The kernel takes the pages of large buffers.
    Sendfile,
    /// As `sendfile`, through a pipe.
    Splice,
}

impl SendMode {
    /// All of them, as they are written.
    pub const NAMES: [&str; 4] = ["auto", "writev", "sendfile", "splice"];
}

impl FromStr for SendMode {
    type Err = String;

    fn from_str(text: &str) -> Result<SendMode, String> {
        match text {
            "auto" => Ok(SendMode::Auto),
            "writev" => Ok(SendMode::Writev),
            "sendfile" => Ok(SendMode::Sendfile),
            "splice" => Ok(SendMode::Splice),
            _ => Err("send must be auto, writev, sendfile or splice".to_owned()),
        }
    }
}

/// The system calls that bodies go by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SendPath {
    /// `writev`: the kernel copies.
    #[default]
    Writev,
    /// `sendfile` for large buffers of a pool that is a file ([`Pool::in_file`]), `writev` for the rest.
    ///
    /// [`Pool::in_file`]: zenith_memory::Pool::in_file
    Sendfile,
    /// `splice` for those, through a pipe, and `writev` for the rest.
    Splice,
}

impl SendPath {
    /// The name of the system call.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            SendPath::Writev => "writev",
            SendPath::Sendfile => "sendfile",
            SendPath::Splice => "splice",
        }
    }
}

/// Which way bodies go, and why.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SendReport {
    /// The system calls.
    pub path: SendPath,
    /// Why these.
    pub reason: SendReason,
}

/// Why bodies go the way they do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SendReason {
    /// It was asked for.
    Configured,
    /// ClickHouse is on this machine.
    SameMachine,
    /// TLS reads memory.
    Encrypted,
    /// Compression reads memory.
    Compressed,
    /// The pool is no file: there are no pages to give to the kernel.
    NoFile,
    /// It took less processor time, in nanoseconds of the sending thread for each KiB.
    Measured {
        /// Of `writev`.
        writev: f64,
        /// Of `sendfile`.
        sendfile: f64,
    },
    /// Both are still being tried in turn.
    Measuring,
}

impl SendReason {
    /// The reason in one word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            SendReason::Configured => "configured",
            SendReason::SameMachine => "same-machine",
            SendReason::Encrypted => "encrypted",
            SendReason::Compressed => "compressed",
            SendReason::NoFile => "no-file",
            SendReason::Measured { .. } => "measured",
            SendReason::Measuring => "measuring",
        }
    }
}

impl fmt::Display for SendReport {
    /// As in "by writev, as ClickHouse is on this machine".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.name();
        match self.reason {
            SendReason::Configured => write!(f, "by {path}, as configured"),
            SendReason::SameMachine => write!(f, "by {path}, as ClickHouse is on this machine"),
            SendReason::Encrypted => write!(f, "by {path}, as the connection is encrypted"),
            SendReason::Compressed => write!(f, "by {path}, as inserts are compressed"),
            SendReason::NoFile => write!(f, "by {path}, as the memory pool is no file"),
            SendReason::Measured { writev, sendfile } => {
                write!(
                    f,
                    "by {path}: per KiB writev took {writev:.0} ns of processor time, sendfile {sendfile:.0} ns"
                )
            }
            SendReason::Measuring => f.write_str("by writev and sendfile in turn: too few inserts to choose"),
        }
    }
}

/// What keeps the kernel from taking pages of the pool, whichever pool that is.
pub(super) fn obstacle(target: &Target, options: &ConnectionOptions) -> Option<SendReason> {
    let compression = target.compression.unwrap_or(options.compression);
    match (target.tls, compression) {
        (true, _) => Some(SendReason::Encrypted),
        (false, Compression::Lz4 | Compression::Zstd) => Some(SendReason::Compressed),
        (false, Compression::None) => None,
    }
}

impl ConnectionOptions {
    /// Whether pages of the pool may be given to the kernel by a sink with these options. Make the pool by
    /// [`Pool::in_file`] then, and by [`Pool::new`] otherwise, whose memory costs less.
    ///
    /// Looks up the host, to know whether it is this machine.
    ///
    /// [`Pool::in_file`]: zenith_memory::Pool::in_file
    /// [`Pool::new`]: zenith_memory::Pool::new
    pub async fn wants_pool_in_file(&self, target: &Target) -> bool {
        match target.send.unwrap_or(self.send) {
            _ if obstacle(target, self).is_some() => false,
            SendMode::Writev => false,
            SendMode::Sendfile | SendMode::Splice => true,
            SendMode::Auto => {
                let host = (target.host.as_str(), target.port);
                // A host that is not known cannot be sent to either, which is told when that is tried.
                match timeout(self.connect_timeout, lookup_host(host)).await {
                    Ok(Ok(addresses)) => addresses.into_iter().any(|address| !is_own(address.ip())),
                    _ => false,
                }
            }
        }
    }
}

/// Whether connections to an address stay on this machine.
fn is_own(address: IpAddr) -> bool {
    let address = address.to_canonical();
    let any =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { IpAddr::from(Ipv6Addr::UNSPECIFIED) };
    // Nothing is sent: the system only says which of its addresses it would send from.
    let from = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((address, 9))?;
        socket.local_addr()
    });
    from.is_ok_and(|from| is_same_machine(address, from.ip()))
}

/// Whether the two ends of a connection are on one machine.
pub(super) fn is_same_machine(peer: IpAddr, local: IpAddr) -> bool {
    peer.to_canonical().is_loopback() || peer.to_canonical() == local.to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_as_they_are_written() {
        for name in SendMode::NAMES {
            let mode: SendMode = name.parse().unwrap();
            assert_eq!(serde_json::to_string(&mode).unwrap(), format!("{name:?}"));
            assert_eq!(serde_json::from_str::<SendMode>(&format!("{name:?}")).unwrap(), mode);
        }
        assert!("zerocopy".parse::<SendMode>().unwrap_err().contains("splice"));
    }

    #[test]
    fn the_own_addresses_are_known() {
        assert!(is_own("127.0.0.1".parse().unwrap()));
        assert!(is_own("127.9.9.9".parse().unwrap()));
        assert!(is_own("::ffff:127.0.0.1".parse().unwrap()));
        // An address for documentation, which nobody has.
        assert!(!is_own("192.0.2.1".parse().unwrap()));
    }

    #[tokio::test]
    async fn a_file_is_wanted_where_pages_can_be_given_away() {
        for (address, wanted) in [
            ("http://127.0.0.1", false),
            ("http://localhost", false),
            ("http://192.0.2.1", true),
            ("clickhouse://192.0.2.1", true),
            ("https://192.0.2.1", false),
            ("http://192.0.2.1?compression=lz4", false),
            ("http://192.0.2.1?send=writev", false),
            ("http://localhost?send=sendfile", true),
            ("clickhouse://localhost?send=splice", true),
            ("http://host.invalid?send=splice", true),
        ] {
            let target = Target::parse(address).unwrap();
            assert_eq!(ConnectionOptions::default().wants_pool_in_file(&target).await, wanted, "{address}");
        }
        let options = ConnectionOptions { send: SendMode::Sendfile, ..ConnectionOptions::default() };
        let wants = async |address: &str| options.wants_pool_in_file(&Target::parse(address).unwrap()).await;
        assert!(wants("http://localhost").await);
        assert!(!wants("http://localhost?send=auto").await, "the address counts more");
    }
}
