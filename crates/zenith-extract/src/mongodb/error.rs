//! Errors of the driver, and of our own connections, in our words.

use std::io;

use mongodb::error::{Error, ErrorKind};
use zenith_net::{Address, TlsFault};

use crate::ExtractError;
use crate::wire::{ReplyError, ScramError, WireError};

/// Server error codes that mean the user lacks a privilege or is not who it claims to be.
const UNAUTHORIZED: i32 = 13;
const AUTHENTICATION_FAILED: i32 = 18;

/// What the driver met while trying to do `action` at `address`.
pub(super) fn from_driver(address: &str, action: String, error: Error) -> ExtractError {
    let address = address.to_owned();
    match &*error.kind {
        ErrorKind::Command(command) => {
            server(&address, action, command.code, command.code_name.clone(), command.message.clone())
        }
        ErrorKind::Authentication { message, .. } => {
            ExtractError::Authentication { address, reason: message.clone() }
        }
        ErrorKind::ServerSelection { message, .. } => {
            let reason = observed_last(message);
            match TlsFault::of(&reason) {
                Some(_) => tls(&address, &reason),
                // A server that goes away says no more than one that does not know what it is greeted with.
                None if reason.contains("tls handshake eof") => ExtractError::Unreachable {
                    address,
                    reason: format!("{reason} (if it does not speak TLS, take tls=true out of the address)"),
                },
                None => ExtractError::Unreachable { address, reason },
            }
        }
        ErrorKind::DnsResolve { message, .. } => {
            ExtractError::Unreachable { address, reason: message.clone() }
        }
        ErrorKind::InvalidTlsConfig { message, .. } => tls(&address, message),
        ErrorKind::Io(source) if TlsFault::of(&source.to_string()).is_some() => {
            tls(&address, &source.to_string())
        }
        ErrorKind::Io(source) => {
            let source = io::Error::new(source.kind(), source.to_string());
            ExtractError::Connection { address, source }
        }
        ErrorKind::ConnectionPoolCleared { message, .. } => {
            ExtractError::Connection { address, source: io::Error::other(message.clone()) }
        }
        ErrorKind::InvalidResponse { message, .. } => {
            ExtractError::Protocol { address, reason: message.clone() }
        }
        _ => ExtractError::Driver { action, source: Box::new(error) },
    }
}

/// An error a server answered with.
pub(super) fn server(
    address: &str,
    action: String,
    code: i32,
    code_name: String,
    message: String,
) -> ExtractError {
    match code {
        UNAUTHORIZED => ExtractError::Unauthorized { action, reason: message },
        AUTHENTICATION_FAILED => {
            ExtractError::Authentication { address: address.to_owned(), reason: message }
        }
        _ => ExtractError::Server { action, code, code_name, message },
    }
}

/// What went wrong on a connection of our own to `address` while trying to do `action`.
pub(super) fn from_wire(address: &Address, action: String, error: WireError) -> ExtractError {
    let address = address.to_string();
    match error {
        WireError::Io(source) if TlsFault::of(&source.to_string()).is_some() => {
            tls(&address, &source.to_string())
        }
        WireError::Io(source) => ExtractError::Connection { address, source },
        WireError::Message(error) => ExtractError::Protocol { address, reason: error.to_string() },
        WireError::Reply(ReplyError::Malformed(reason)) => ExtractError::Protocol { address, reason },
        WireError::Reply(ReplyError::Command { code, code_name, message, .. }) => {
            server(&address, action, code, code_name, message)
        }
        WireError::Memory(error) => error.into(),
        WireError::Scram(ScramError::Malformed) => {
            ExtractError::Protocol { address, reason: ScramError::Malformed.to_string() }
        }
        WireError::Scram(error) => ExtractError::Authentication { address, reason: error.to_string() },
        WireError::Tls(said) => tls(&address, &said),
        WireError::Unsupported(reason) => ExtractError::Protocol { address, reason },
    }
}

/// The error of TLS, with the setting that remedies it.
pub(super) fn tls(address: &str, said: &str) -> ExtractError {
    let advice = match TlsFault::of(said) {
        None => return tls_files(address, said),
        Some(TlsFault::UnknownAuthority) => {
            "nobody who is trusted has signed the server's certificate: name the file of its authority, tlsCAFile=PATH, in \
             the address"
        }
        Some(TlsFault::OtherHost) => {
            "the server's certificate is for another host name: write the address with a name that it is for"
        }
        Some(TlsFault::Expired) => {
            "the server's certificate has expired: it has to be renewed there (unless the clock of this machine is wrong)"
        }
        Some(TlsFault::NotYetValid) => {
            "the server's certificate is not valid yet: set the clock of this machine, or have it made anew"
        }
        Some(TlsFault::CertificateWanted) => {
            "the server wants a certificate from its clients: name a file with certificate and key, \
             tlsCertificateKeyFile=PATH, in the address"
        }
        Some(TlsFault::NotTls) => {
            "the server does not speak TLS there: take tls=true out of the address, or correct the port"
        }
        Some(_) => {
            "the server does not accept the certificate in tlsCertificateKeyFile: name another one in the address"
        }
    };
    ExtractError::Tls { address: address.to_owned(), reason: format!("{advice} ({said})") }
}

/// The same of files that cannot be used.
fn tls_files(address: &str, said: &str) -> ExtractError {
    let reason = format!("{said}; check tlsCAFile and tlsCertificateKeyFile in the address");
    ExtractError::Tls { address: address.to_owned(), reason }
}

/// The gist of the driver's description of a topology: the first error of a server in it.
fn observed_last(message: &str) -> String {
    let Some((_, rest)) = message.split_once("Error: Kind: ") else {
        return message.to_owned();
    };
    let end = rest.find(", labels:").or_else(|| rest.find(" }")).unwrap_or(rest.len());
    rest[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::observed_last;

    #[test]
    fn the_reason_is_picked_out_of_a_topology() {
        let message = "Kind: Server selection timeout: No available servers. Topology: { Type: Unknown, Servers: [ { \
                       Address: 127.0.0.1:1, Type: Unknown, Error: Kind: I/O error: Connection refused (os error 111), \
                       labels: {} } ] }";
        assert_eq!(observed_last(message), "I/O error: Connection refused (os error 111)");
        assert_eq!(observed_last("No available servers"), "No available servers");
    }
}
