//! Connections: accepted, bounded, over TLS where that is wished, and ended in order.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use zenith_control::failure::Failure;

use crate::server::stopped;

/// Connections at once; more are closed as they come.
const CONNECTIONS_MAX: usize = 256;
/// How long the head of a request may take to arrive, and a connection may say nothing.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// How long a TLS handshake may take.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);
/// How long answers that are under way may take after the server was asked to stop.
const END_WITHIN: Duration = Duration::from_secs(2);
/// Bytes that are read at once; a head may be somewhat longer.
const HEAD_MAX: usize = 32 << 10;

/// A certificate and its key, PEM files both.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate, with those between it and an authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// A place where connections are waited for.
pub struct Listener {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl Listener {
    /// Begins to wait for connections.
    ///
    /// # Errors
    /// If the address cannot be used, or the files of TLS cannot be read.
    pub async fn bind(address: SocketAddr, tls: Option<&TlsFiles>) -> Result<Listener, Failure> {
        let tls = tls.map(acceptor).transpose()?;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| Failure::Input(format!("cannot listen on {address}: {error} (--listen)")))?;
        Ok(Listener { listener, tls })
    }

    /// The address, with the port that was chosen where none was named.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers requests until `stop` becomes true.
    pub async fn serve(self, router: Router, mut stop: watch::Receiver<bool>) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = stopped(&mut stop) => break,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of files, most likely: others have to end first.
                    tracing::warn!(%error, "a connection to the server cannot be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
            let one = Connection { stream, peer, place, stop: stop.clone() };
            tokio::spawn(one.serve(self.tls.clone(), router.clone()));
        }
        // Those under way end by themselves, or are gone with the process.
        let all = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(END_WITHIN, places.acquire_many(all)).await;
    }
}

fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, Failure> {
    let wrong = |path: &Path, error: &dyn std::fmt::Display| {
        Failure::Input(format!("{} cannot be used for TLS: {error}", path.display()))
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect)
        .map_err(|error| wrong(&files.certificate, &error))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| wrong(&files.key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&files.certificate, &error))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| wrong(&files.certificate, &error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    place: OwnedSemaphorePermit,
    stop: watch::Receiver<bool>,
}

impl Connection {
    async fn serve(self, tls: Option<TlsAcceptor>, router: Router) {
        let Connection { stream, peer, place, stop } = self;
        // Events are small, and wait for nothing.
        let _ = stream.set_nodelay(true);
        match tls {
            None => answer(stream, peer, router, stop).await,
            Some(tls) => match tokio::time::timeout(HANDSHAKE_WITHIN, tls.accept(stream)).await {
                Ok(Ok(stream)) => answer(stream, peer, router, stop).await,
                Ok(Err(error)) => tracing::debug!(%peer, %error, "a TLS handshake failed"),
                Err(_) => tracing::debug!(%peer, "a TLS handshake took too long"),
            },
        }
        drop(place);
    }
}

async fn answer<S>(stream: S, peer: SocketAddr, router: Router, mut stop: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    use axum::extract::Request;
    use hyper::service::Service as _;
    let router = TowerToHyperService::new(router);
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a connection to the server ended early");
    }
}
