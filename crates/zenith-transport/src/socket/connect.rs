//! Making connections, plain or TLS.

use std::io;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use zenith_memory::Pool;

use super::chooser::PathChooser;
use super::connection::{Connection, Stream};
use super::options::ConnectionOptions;
use super::tls;
use crate::{Result, Target, TransportError};

/// Makes connections to one target.
pub(crate) struct Connector {
    tls: Option<TlsConnector>,
    /// Which way inserts go on its connections.
    pub(crate) paths: PathChooser,
}

impl Connector {
    /// For inserts from `pool`.
    pub(crate) fn new(
        target: &Target,
        options: &ConnectionOptions,
        pool: Option<&Pool>,
    ) -> Result<Connector> {
        let tls = target.tls.then(|| tls::connector(&target.tls_options(&options.tls))).transpose();
        let tls = tls.map_err(|source| TransportError::Tls { address: target.address(), source })?;
        Ok(Connector { tls, paths: PathChooser::new(target, options, pool)? })
    }

    pub(crate) async fn connect(&self, target: &Target, options: &ConnectionOptions) -> Result<Connection> {
        let deadline = Instant::now() + options.connect_timeout;
        let failed = |source| TransportError::Connect { address: target.address(), source };
        let late = |_| {
            let seconds = options.connect_timeout.as_secs_f32();
            failed(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {seconds} s")))
        };
        let tcp = timeout_at(deadline, TcpStream::connect((target.host.as_str(), target.port)))
            .await
            .map_err(late)?
            .map_err(failed)?;
        tcp.set_nodelay(true).map_err(failed)?;
        if let (Ok(peer), Ok(local)) = (tcp.peer_addr(), tcp.local_addr()) {
            self.paths.connected(peer.ip(), local.ip());
        }
        let Some(connector) = &self.tls else { return Ok(Connection::new(Stream::Plain(tcp))) };
        let refused = |source| TransportError::Tls { address: target.address(), source };
        let name = ServerName::try_from(target.host.clone()).map_err(|error| refused(error.into()))?;
        let tls = timeout_at(deadline, connector.connect(name, tcp)).await.map_err(late)?;
        tls.map(|tls| Connection::new(Stream::Tls(Box::new(tls)))).map_err(|error| refused(error.into()))
    }
}
