//! Making connections, plain or TLS.

use std::io;

use zenith_memory::Pool;
use zenith_net::{Dialer, NetError, Tls};

use super::chooser::PathChooser;
use super::connection::Connection;
use super::options::ConnectionOptions;
use crate::{Result, Target, TransportError};

/// Makes connections to one target.
pub(crate) struct Connector {
    dialer: Dialer,
    /// How inserts are sent on its connections.
    pub(crate) paths: PathChooser,
}

impl Connector {
    /// For inserts from `pool`.
    pub(crate) fn new(
        target: &Target,
        options: &ConnectionOptions,
        pool: Option<&Pool>,
    ) -> Result<Connector> {
        let tls = target.tls.then(|| Tls::new(&target.tls_files(&options.tls))).transpose();
        let tls = tls.map_err(|error| failed(target, error))?;
        // The wait for an answer has its own limit.
        let dialer = Dialer { tls, timeout: options.connect_timeout, keepalive: false };
        Ok(Connector { dialer, paths: PathChooser::new(target, options, pool)? })
    }

    pub(crate) async fn connect(&self, target: &Target) -> Result<Connection> {
        let stream = self.dialer.dial(&target.socket()).await.map_err(|error| failed(target, error))?;
        if let Some((Ok(peer), Ok(local))) = stream.tcp().map(|tcp| (tcp.peer_addr(), tcp.local_addr())) {
            self.paths.connected(peer.ip(), local.ip());
        }
        Ok(Connection::new(stream))
    }
}

fn failed(target: &Target, error: NetError) -> TransportError {
    let address = target.address();
    match error {
        NetError::Connect(source) => TransportError::Connect { address, source },
        NetError::Tls(source) => TransportError::Tls { address, source },
        NetError::Handshake(source) => TransportError::Tls { address, source: source.into() },
        late => TransportError::Connect {
            address,
            source: io::Error::new(io::ErrorKind::TimedOut, late.to_string()),
        },
    }
}
