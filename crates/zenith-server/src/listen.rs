//! Connections: accepted, bounded, over TLS where that is wished, and ended in order.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use zenith_control::failure::{Failure, code};

use crate::places::{Places, Seat};
use crate::server::stopped;
use crate::slow::{Answering, Arriving, Taking};

/// How long the head of a request may take to arrive, and a connection may say nothing.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// How long a TLS handshake may take.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);
/// How long answers that are under way may take after the server was asked to stop.
const END_WITHIN: Duration = Duration::from_secs(2);
/// Between two looks at whether they have ended.
const END_LOOK_EVERY: Duration = Duration::from_millis(10);
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
            .map_err(|error| format!("cannot listen on {address}: {error} (--listen)"))
            .map_err(|sentence| Failure::known(code::LISTEN, sentence))?;
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
        let places = Places::default();
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
            let Some(seat) = places.take(peer.ip()) else { continue };
            let one = Connection { stream, peer, seat: Arc::clone(&seat), stop: stop.clone() };
            let serving = one.serve(self.tls.clone(), router.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = serving => {}
                    () = seat.is_needed() => tracing::debug!(%peer, "a connection made room for another"),
                }
            });
        }
        // Those under way end by themselves, or are gone with the process.
        let ended = async {
            while places.count() > 0 {
                tokio::time::sleep(END_LOOK_EVERY).await;
            }
        };
        let _ = tokio::time::timeout(END_WITHIN, ended).await;
    }
}

fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, Failure> {
    let wrong = |path: &Path, error: &dyn std::fmt::Display| {
        Failure::known(code::LISTEN, format!("{} cannot be used for TLS: {error}", path.display()))
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
    seat: Arc<Seat>,
    stop: watch::Receiver<bool>,
}

impl Connection {
    async fn serve(self, tls: Option<TlsAcceptor>, router: Router) {
        let Connection { stream, peer, seat, stop } = self;
        // Events are small, and wait for nothing.
        let _ = stream.set_nodelay(true);
        match tls {
            None => answer(Taking::new(stream, Arc::clone(&seat)), (peer, seat), router, stop).await,
            Some(tls) => match tokio::time::timeout(HANDSHAKE_WITHIN, tls.accept(stream)).await {
                Ok(Ok(stream)) => {
                    answer(Taking::new(stream, Arc::clone(&seat)), (peer, seat), router, stop).await
                }
                Ok(Err(error)) => tracing::debug!(%peer, %error, "a TLS handshake failed"),
                Err(_) => tracing::debug!(%peer, "a TLS handshake took too long"),
            },
        }
    }
}

async fn answer<S>(
    stream: S,
    (peer, seat): (SocketAddr, Arc<Seat>),
    router: Router,
    mut stop: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    use axum::extract::Request;
    use hyper::service::Service as _;
    let router = TowerToHyperService::new(router);
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let seat = Arc::clone(&seat);
        let mut request = request.map(|body| Body::new(Arriving::new(Body::new(body), Arc::clone(&seat))));
        request.extensions_mut().insert(ConnectInfo(peer));
        request.extensions_mut().insert(Arc::clone(&seat));
        let answered = router.call(request);
        async move { answered.await.map(|response| response.map(|body| Answering::new(body, seat))) }
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
