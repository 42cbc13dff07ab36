//! TLS: whom to trust, and who we are.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{AlertDescription, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::{NetError, Stream};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Whom to trust, and who we are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// A PEM file of authorities to trust instead of the public ones. Certificates in it that cannot be read are
    /// skipped if there are others.
    pub ca_file: Option<PathBuf>,
    /// The PEM files of our own certificate, with those between it and the authority, and of its key. Both may be in one
    /// file.
    pub client: Option<(PathBuf, PathBuf)>,
    /// Takes any certificate: the connection is encrypted, but the server may be anyone.
    pub insecure: bool,
}

/// Makes TLS connections.
#[derive(Clone, Debug)]
pub struct Tls {
    config: Arc<ClientConfig>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// [`NetError::Tls`] with the file that cannot be used.
    pub fn new(files: &TlsFiles) -> Result<Tls, NetError> {
        let config = config(files).map_err(NetError::Tls)?;
        Ok(Tls { config: Arc::new(config) })
    }

    /// Speaks TLS on a connection to `host`, which the server's certificate has to name.
    pub(crate) async fn connect(&self, host: &str, tcp: TcpStream) -> Result<Stream, NetError> {
        let name = ServerName::try_from(host.to_owned()).map_err(|error| NetError::Tls(error.into()))?;
        let connector = TlsConnector::from(Arc::clone(&self.config));
        match connector.connect(name, tcp).await {
            Ok(stream) => Ok(Stream::Tls(Box::new(stream))),
            // What TLS says of a certificate is told from a connection that broke.
            Err(error) if error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => {
                Err(NetError::Tls(error.into()))
            }
            Err(error) => Err(NetError::Handshake(error)),
        }
    }
}

fn config(files: &TlsFiles) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = if files.insecure {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
    } else {
        builder.with_root_certificates(roots(files.ca_file.as_deref())?)
    };
    Ok(match &files.client {
        Some((chain_file, key_file)) => {
            let key = PrivateKeyDer::from_pem_file(key_file)
                .map_err(|error| format!("the key file {} cannot be used: {error}", key_file.display()))?;
            builder.with_client_auth_cert(certificates(chain_file, "certificate file")?, key)?
        }
        None => builder.with_no_client_auth(),
    })
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    let Some(path) = ca_file else {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        return Ok(roots);
    };
    let (added, _) = roots.add_parsable_certificates(certificates(path, "CA file")?);
    if added == 0 {
        return Err(format!("the CA file {} has no certificate that can be used", path.display()).into());
    }
    Ok(roots)
}

/// The certificates of a PEM file, one at least.
fn certificates(path: &Path, what: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let unreadable = |error| format!("the {what} {} cannot be used: {error}", path.display());
    let certificates = CertificateDer::pem_file_iter(path)
        .map_err(unreadable)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(unreadable)?;
    if certificates.is_empty() {
        return Err(format!("the {what} {} has no certificates", path.display()).into());
    }
    Ok(certificates)
}

/// Whether the server has refused us for the certificate we showed, or did not show. It says so only after the handshake
/// is complete for our side.
#[must_use]
pub fn is_refusal(error: &io::Error) -> bool {
    let alert = match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(rustls::Error::AlertReceived(alert)) => alert,
        _ => return false,
    };
    matches!(
        alert,
        AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError
            | AlertDescription::HandshakeFailure
    )
}

/// Accepts any certificate of the server, as [`TlsFiles::insecure`] asks.
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
