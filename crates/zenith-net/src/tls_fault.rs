//! Faults of TLS that a setting can remedy.

/// Why this machine and a server do not agree on TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsFault {
    /// Nobody whom we trust has signed the server's certificate.
    UnknownAuthority,
    /// The server's certificate is that of another host.
    OtherHost,
    /// The server's certificate has expired.
    Expired,
    /// The server's certificate is not valid yet.
    NotYetValid,
    /// The server wants a certificate, and was shown none.
    CertificateWanted,
    /// The server does not accept the certificate that it was shown.
    CertificateRefused,
    /// The server does not speak TLS.
    NotTls,
}

/// What an error of rustls means.
const SAYINGS: [(&str, TlsFault); 12] = [
    ("UnknownIssuer", TlsFault::UnknownAuthority),
    // An authority of the same name with another key.
    ("peer certificate: BadSignature", TlsFault::UnknownAuthority),
    // The certificate of an authority itself, as self-signed ones often are.
    ("CaUsedAsEndEntity", TlsFault::UnknownAuthority),
    ("certificate not valid for name", TlsFault::OtherHost),
    ("certificate expired", TlsFault::Expired),
    ("certificate not valid yet", TlsFault::NotYetValid),
    ("fatal alert: CertificateRequired", TlsFault::CertificateWanted),
    ("fatal alert: BadCertificate", TlsFault::CertificateRefused),
    ("fatal alert: CertificateUnknown", TlsFault::CertificateRefused),
    ("fatal alert: DecryptError", TlsFault::CertificateRefused),
    ("fatal alert: UnknownCA", TlsFault::CertificateRefused),
    ("InvalidContentType", TlsFault::NotTls),
];

impl TlsFault {
    /// From an error of TLS, also where another error wraps it.
    #[must_use]
    pub fn of(said: &str) -> Option<TlsFault> {
        SAYINGS.iter().find(|(saying, _)| said.contains(saying)).map(|(_, fault)| *fault)
    }
}
