//! From an address to a connection that takes commands: dial, greet, agree, authenticate.
//!
//! <https://github.com/mongodb/specifications/blob/master/source/mongodb-handshake/handshake.md>

use bson::raw::cstr;
use bson::{RawArrayBuf, RawDocument, RawDocumentBuf, rawdoc};
use zenith_net::{Address, Dialer};

use super::authentication::{Credential, SaltedPasswords, authenticate, supported_mechanisms_key};
use super::compression::Compressor;
use super::connection::Connection;
use super::{ReplyError, WireError, late};

/// `CommandNotFound`: a server too old for `hello`.
const COMMAND_NOT_FOUND: i32 = 59;

/// What all connections to a deployment have in common.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Its timeout is for all of it together: connecting, greeting and authenticating.
    pub(crate) dialer: Dialer,
    pub(crate) credential: Option<Credential>,
    pub(crate) salted_passwords: SaltedPasswords,
    /// In order of preference.
    pub(crate) compressors: Vec<Compressor>,
    pub(crate) app_name: String,
}

/// What a server said of itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Greeting {
    pub(super) message_bytes_max: usize,
    pub(super) compressor: Option<Compressor>,
    /// The member of a replica set it is.
    pub(super) member: Option<String>,
    /// Mechanisms the user has a password for, if it was asked for and the server knows the user.
    pub(super) mechanisms: Vec<String>,
}

/// A connection that takes commands.
pub(crate) async fn connect(address: &Address, settings: &Settings) -> Result<Connection, WireError> {
    let timeout = settings.dialer.timeout;
    match tokio::time::timeout(timeout, connect_untimed(address, settings)).await {
        Ok(result) => result,
        Err(_) => Err(late(timeout)),
    }
}

async fn connect_untimed(address: &Address, settings: &Settings) -> Result<Connection, WireError> {
    let stream = settings.dialer.dial(address).await?;
    let mut connection = Connection::new(stream, address.clone());
    let reply = match connection.call(&hello(settings)).await {
        Err(WireError::Reply(ReplyError::Command { code: COMMAND_NOT_FOUND, message, .. })) => {
            return Err(WireError::Unsupported(message));
        }
        other => other?,
    };
    let greeting = Greeting::parse(&reply, &settings.compressors)?;
    if let Some(credential) = &settings.credential {
        authenticate(&mut connection, credential, &greeting.mechanisms, &settings.salted_passwords).await?;
    }
    connection.agree(greeting);
    Ok(connection)
}

fn hello(settings: &Settings) -> RawDocumentBuf {
    let mut compression = RawArrayBuf::new();
    for compressor in &settings.compressors {
        compression.push(compressor.name());
    }
    let mut hello = rawdoc! {
        "hello": 1,
        "client": {
            "application": { "name": settings.app_name.as_str() },
            "driver": { "name": "zenith", "version": env!("CARGO_PKG_VERSION") },
            "os": { "type": std::env::consts::OS, "architecture": std::env::consts::ARCH },
        },
        "compression": compression,
        "$db": "admin",
    };
    if let Some(key) = settings.credential.as_ref().and_then(supported_mechanisms_key) {
        hello.append(cstr!("saslSupportedMechs"), key);
    }
    hello
}

impl Greeting {
    fn parse(reply: &RawDocument, compressors: &[Compressor]) -> Result<Greeting, WireError> {
        let get = |key: &str| reply.get(key).map_err(|error| ReplyError::Malformed(error.to_string()));
        let names = |key: &str| -> Result<Vec<String>, ReplyError> {
            let Some(array) = get(key)?.and_then(|value| value.as_array()) else { return Ok(Vec::new()) };
            let names = array.into_iter().map(|name| Ok(name?.as_str().unwrap_or_default().to_owned()));
            names.collect::<Result<_, bson::error::Error>>().map_err(|e| ReplyError::Malformed(e.to_string()))
        };
        let message_bytes_max = get("maxMessageSizeBytes")?
            .and_then(|value| usize::try_from(value.as_i32()?).ok())
            .ok_or_else(|| ReplyError::Malformed("it has no maxMessageSizeBytes".to_owned()))?;
        let accepted = names("compression")?;
        Ok(Greeting {
            message_bytes_max,
            compressor: compressors
                .iter()
                .copied()
                .find(|one| accepted.iter().any(|name| name == one.name())),
            member: get("me")?.and_then(|me| me.as_str()).map(str::to_owned),
            mechanisms: names("saslSupportedMechs")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_compressor_both_know_is_used() {
        let reply = rawdoc! {
            "maxMessageSizeBytes": 48_000_000, "compression": ["zstd", "snappy"], "ok": 1,
        };
        let ours = [Compressor::Zlib(None), Compressor::Snappy, Compressor::Zstd(None)];
        let greeting = Greeting::parse(&reply, &ours).unwrap();
        assert_eq!(greeting.compressor, Some(Compressor::Snappy));
    }

    #[test]
    fn a_greeting_without_limits_is_refused() {
        assert!(Greeting::parse(&rawdoc! { "maxMessageSizeBytes": -1 }, &[]).is_err());
        assert!(Greeting::parse(&rawdoc! {}, &[]).is_err());
    }
}
