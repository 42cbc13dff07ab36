//! Making connections, plain or TLS.

use std::io;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::connection::{Connection, Stream};
use super::options::{HttpOptions, TlsOptions};
use crate::{Result, Target, TransportError};

/// Makes connections to one target.
pub(super) struct Connector {
    tls: Option<TlsConnector>,
}

impl Connector {
    pub(super) fn new(target: &Target, options: &HttpOptions) -> Result<Connector> {
        let tls = target.tls.then(|| tls_connector(&options.tls)).transpose();
        Ok(Connector {
            tls: tls.map_err(|source| TransportError::Tls { address: target.address(), source })?,
        })
    }

    pub(super) async fn connect(&self, target: &Target, options: &HttpOptions) -> Result<Connection> {
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
        let Some(connector) = &self.tls else { return Ok(Connection::new(Stream::Plain(tcp))) };
        let refused = |source| TransportError::Tls { address: target.address(), source };
        let name = ServerName::try_from(target.host.clone()).map_err(|error| refused(error.into()))?;
        let tls = timeout_at(deadline, connector.connect(name, tcp)).await.map_err(late)?;
        tls.map(|tls| Connection::new(Stream::Tls(Box::new(tls)))).map_err(|error| refused(error.into()))
    }
}

fn tls_connector(
    options: &TlsOptions,
) -> std::result::Result<TlsConnector, Box<dyn std::error::Error + Send + Sync>> {
    let provider = Arc::new(ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let config = if options.insecure {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
    } else {
        let mut roots = RootCertStore::empty();
        match &options.ca_file {
            Some(path) => {
                let unreadable = |error| format!("the CA file {} cannot be used: {error}", path.display());
                for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
                    roots.add(certificate.map_err(unreadable)?)?;
                }
                if roots.is_empty() {
                    return Err(format!("the CA file {} has no certificates", path.display()).into());
                }
            }
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        }
        builder.with_root_certificates(roots)
    };
    Ok(TlsConnector::from(Arc::new(config.with_no_client_auth())))
}

/// Accepts whatever certificate the server shows, as the `insecure` option asks.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
