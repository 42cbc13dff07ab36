//! The client's side of TLS, from the files a connection string names. The same choices as the driver's.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// What the connection string says about TLS.
#[derive(Clone, Debug, Default)]
pub(crate) struct TlsSettings {
    /// Authorities to trust instead of the public ones, in PEM.
    pub(crate) ca_file: Option<PathBuf>,
    /// Our certificate and its key in one PEM file.
    pub(crate) certificate_key_file: Option<PathBuf>,
    /// Takes any certificate. For tests only; the user asked for it by name.
    pub(crate) allow_invalid_certificates: bool,
}

/// Reads the files and makes a configuration that all connections share. The error is a sentence.
pub(crate) fn client_config(settings: &TlsSettings) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots(settings.ca_file.as_deref())?);
    let mut config = match &settings.certificate_key_file {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let failed = |error: &dyn std::fmt::Display| format!("cannot use {}: {error}", path.display());
            let key = PrivateKeyDer::from_pem_file(path).map_err(|error| failed(&error))?;
            builder.with_client_auth_cert(certificates(path)?, key).map_err(|error| failed(&error))?
        }
    };
    if settings.allow_invalid_certificates {
        config.dangerous().set_certificate_verifier(Arc::new(AnyCertificate(provider)));
    }
    Ok(Arc::new(config))
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let Some(path) = ca_file else {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        return Ok(roots);
    };
    let (added, _) = roots.add_parsable_certificates(certificates(path)?);
    if added == 0 {
        return Err(format!("{} holds no certificate", path.display()));
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = |path| CertificateDer::pem_file_iter(path)?.collect();
    let found: Result<Vec<_>, rustls::pki_types::pem::Error> = read(path);
    found.map_err(|error| format!("cannot read certificates from {}: {error}", path.display()))
}

/// Takes any certificate, as `tlsAllowInvalidCertificates` asks; signatures are still checked.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
