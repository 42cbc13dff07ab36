//! Takes TLS from clients and forwards plain TCP: ClickHouse here has no listener with TLS of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::upstream::Upstream;
use crate::error::{Error, Result};
use crate::tls::Certificate;

/// A TLS server in front of a plain one. Dropping it ends the listening; open connections end with their peers.
#[derive(Debug)]
pub struct TlsProxy {
    address: SocketAddr,
    acceptor: JoinHandle<()>,
}

impl TlsProxy {
    /// Listens on a free loopback port, shows the certificate, and forwards to `upstream`, `HOST:PORT`.
    pub async fn start(upstream: impl Into<String>, certificate: &Certificate) -> Result<Self> {
        Self::listen(upstream.into(), configuration(certificate, Clients::Any)?).await
    }

    /// The same, for clients alone that show a certificate of the authority that signed `certificate`.
    pub async fn start_for_known_clients(
        upstream: impl Into<String>,
        certificate: &Certificate,
    ) -> Result<Self> {
        Self::listen(upstream.into(), configuration(certificate, Clients::Known)?).await
    }

    async fn listen(upstream: String, configuration: ServerConfig) -> Result<Self> {
        let tls = TlsAcceptor::from(Arc::new(configuration));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(Error::io("listen for the TLS proxy"))?;
        let address = listener.local_addr().map_err(Error::io("learn the port of the TLS proxy"))?;
        let acceptor = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, tls.clone(), upstream.clone()));
            }
        });
        Ok(Self { address, acceptor })
    }

    /// The loopback port clients connect to; the certificate is for `localhost` and `127.0.0.1`.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for TlsProxy {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

async fn serve(client: TcpStream, tls: TlsAcceptor, upstream: String) {
    let _ = client.set_nodelay(true);
    // A client that does not trust the certificate ends the handshake; that is its own affair.
    let Ok(mut client) = tls.accept(client).await else { return };
    let Ok(mut server) = Upstream::connect(&upstream).await else { return };
    let _ = tokio::io::copy_bidirectional(&mut client, &mut *server).await;
}

/// Whom a proxy serves.
enum Clients {
    Any,
    Known,
}

fn configuration(certificate: &Certificate, clients: Clients) -> Result<ServerConfig> {
    let malformed =
        |error: &dyn std::fmt::Display| Error::Malformed(format!("the certificate cannot be used: {error}"));
    let chain = CertificateDer::pem_file_iter(certificate.chain_file())
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| malformed(&error))?;
    let key = PrivateKeyDer::from_pem_file(certificate.key_file()).map_err(|error| malformed(&error))?;
    // Named, because a process may have several providers compiled in and then has no default.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = match clients {
        Clients::Any => WebPkiClientVerifier::no_client_auth(),
        Clients::Known => {
            let mut roots = RootCertStore::empty();
            let authority = CertificateDer::from_pem_file(certificate.authority_file());
            let added = authority.map_err(|error| malformed(&error)).map(|authority| roots.add(authority))?;
            added.map_err(|error| malformed(&error))?;
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .map_err(|error| malformed(&error))?
        }
    };
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_client_cert_verifier(verifier).with_single_cert(chain, key))
        .map_err(|error| malformed(&error))
}
