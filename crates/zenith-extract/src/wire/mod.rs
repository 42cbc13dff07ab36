//! MongoDB's wire protocol, as much of it as reading collections takes.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`header`], [`op_msg`], [`compression`] | messages as bytes |
//! | [`cursor_reply`] | where the documents of a reply are |
//! | [`connection`] | requests out, replies into pool memory |
//! | [`handshake`], [`authentication`], [`scram`] | what happens before the first command |
//!
//! Everything here parses bytes of a server that may be hostile or cut off: lengths are checked before they are used,
//! and damage is an error.

mod authentication;
mod compression;
mod connection;
mod cursor_reply;
mod handshake;
mod header;
mod op_msg;
mod scram;

use std::io;
use std::time::Duration;

use zenith_memory::MemoryError;
use zenith_net::NetError;

pub(crate) use authentication::{Credential, Mechanism, SaltedPasswords};
pub(crate) use compression::Compressor;
pub(crate) use connection::Connection;
pub(crate) use cursor_reply::{CursorReply, RESUMABLE, ReplyError};
pub(crate) use handshake::{Settings, connect};
pub(crate) use header::MessageError;
pub(crate) use scram::{Mechanism as ScramMechanism, ScramError};

/// What can go wrong on a connection of our own.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error(transparent)]
    Reply(#[from] ReplyError),
    #[error(transparent)]
    Memory(#[from] MemoryError),
    #[error(transparent)]
    Scram(#[from] ScramError),
    /// The server's certificate is not trusted, or ours is not to the server.
    #[error("{0}")]
    Tls(String),
    /// The driver may know how to talk to this server; we do not.
    #[error("{0}")]
    Unsupported(String),
}

impl From<NetError> for WireError {
    fn from(error: NetError) -> WireError {
        match error {
            NetError::Connect(source) | NetError::Handshake(source) => WireError::Io(source),
            NetError::Tls(cause) => WireError::Tls(cause.to_string()),
            NetError::Late(timeout) => late(timeout),
            other => WireError::Io(io::Error::other(other)),
        }
    }
}

/// There is no connection within the timeout.
fn late(timeout: Duration) -> WireError {
    let text = format!("no connection within {} ms", timeout.as_millis());
    io::Error::new(io::ErrorKind::TimedOut, text).into()
}
