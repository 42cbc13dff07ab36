//! Which step of dialling failed.

use std::io;
use std::time::Duration;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetError {
    /// Nobody takes connections there, or the name of the host is unknown.
    #[error(transparent)]
    Connect(io::Error),
    /// It took longer than this.
    #[error("no answer within {} s", .0.as_secs_f32())]
    Late(Duration),
    /// A certificate is not accepted, a file of TLS cannot be used, or the host has no name that a certificate could
    /// have.
    #[error(transparent)]
    Tls(Box<dyn std::error::Error + Send + Sync>),
    /// The connection broke during the TLS handshake.
    #[error(transparent)]
    Handshake(io::Error),
}
