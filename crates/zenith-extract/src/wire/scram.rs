//! SCRAM, as RFC 5802 and RFC 7677 have it, with MongoDB's ways of preparing passwords. No channel binding, no I/O.
//!
//! <https://github.com/mongodb/specifications/blob/master/source/auth/auth.md>

use std::fmt;
use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use ring::{digest, hmac, pbkdf2, rand};

/// Fewer rounds than this would make a stolen exchange cheap to search; a server asking for them is not to be trusted.
const ITERATIONS_MIN: u32 = 4096;
/// More than this would keep us computing for a minute.
const ITERATIONS_MAX: u32 = 50_000_000;
const NONCE_BYTES: usize = 24;
/// The header of a client without channel binding, and its base64.
const GS2_HEADER: &str = "n,,";
const GS2_HEADER_BASE64: &str = "biws";

/// Which hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Mechanism {
    Sha1,
    Sha256,
}

/// Why an exchange failed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ScramError {
    #[error("the server's part of the SCRAM exchange is malformed")]
    Malformed,
    #[error("the server asks for {0} rounds of hashing, which is not acceptable")]
    Iterations(u32),
    #[error("the password holds characters that SASLprep forbids")]
    Password,
    #[error("the server does not know the password either: it may be an impostor")]
    ServerSignature,
    #[error("the server refused: {0}")]
    Refused(String),
    #[error("no random numbers")]
    Random,
}

/// A password with its salt worked in: what the rounds of hashing lead to.
#[derive(Clone)]
pub(crate) struct SaltedPassword(Vec<u8>);

impl fmt::Debug for SaltedPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SaltedPassword")
    }
}

/// What the server wants a password to be salted with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Salting {
    pub(crate) mechanism: Mechanism,
    salt: Vec<u8>,
    iterations: NonZeroU32,
}

impl Mechanism {
    /// The name in the protocol.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Mechanism::Sha1 => "SCRAM-SHA-1",
            Mechanism::Sha256 => "SCRAM-SHA-256",
        }
    }

    fn hmac(self, key: &[u8], message: &[u8]) -> hmac::Tag {
        hmac::sign(&self.hmac_key(key), message)
    }

    fn hmac_key(self, key: &[u8]) -> hmac::Key {
        match self {
            Mechanism::Sha1 => hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key),
            Mechanism::Sha256 => hmac::Key::new(hmac::HMAC_SHA256, key),
        }
    }

    fn hash(self, message: &[u8]) -> digest::Digest {
        match self {
            Mechanism::Sha1 => digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, message),
            Mechanism::Sha256 => digest::digest(&digest::SHA256, message),
        }
    }
}

impl Salting {
    /// Hashes the password for as many rounds as the server wants: tens of milliseconds, so not on the async runtime.
    pub(crate) fn salt(&self, user: &str, password: &str) -> Result<SaltedPassword, ScramError> {
        let (algorithm, length, prepared) = match self.mechanism {
            Mechanism::Sha1 => {
                let digested = Md5::digest(format!("{user}:mongo:{password}").as_bytes());
                let hex: String = digested.iter().map(|byte| format!("{byte:02x}")).collect();
                (pbkdf2::PBKDF2_HMAC_SHA1, digest::SHA1_OUTPUT_LEN, hex)
            }
            Mechanism::Sha256 => {
                let prepared = stringprep::saslprep(password).map_err(|_| ScramError::Password)?;
                (pbkdf2::PBKDF2_HMAC_SHA256, digest::SHA256_OUTPUT_LEN, prepared.into_owned())
            }
        };
        let mut salted = vec![0; length];
        pbkdf2::derive(algorithm, self.iterations, &self.salt, prepared.as_bytes(), &mut salted);
        Ok(SaltedPassword(salted))
    }
}

/// The exchange after the client's first message.
#[derive(Debug)]
pub(crate) struct ClientFirst {
    mechanism: Mechanism,
    nonce: String,
    bare: String,
}

impl ClientFirst {
    pub(crate) fn new(mechanism: Mechanism, user: &str) -> Result<ClientFirst, ScramError> {
        let mut nonce = [0; NONCE_BYTES];
        rand::SecureRandom::fill(&rand::SystemRandom::new(), &mut nonce).map_err(|_| ScramError::Random)?;
        Ok(ClientFirst::with_nonce(mechanism, user, STANDARD.encode(nonce)))
    }

    fn with_nonce(mechanism: Mechanism, user: &str, nonce: String) -> ClientFirst {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        ClientFirst { mechanism, bare: format!("n={user},r={nonce}"), nonce }
    }

    /// The message.
    pub(crate) fn message(&self) -> String {
        format!("{GS2_HEADER}{}", self.bare)
    }

    /// Takes the server's answer.
    pub(crate) fn server_first(self, message: &[u8]) -> Result<ServerFirst, ScramError> {
        let message = std::str::from_utf8(message).map_err(|_| ScramError::Malformed)?;
        let mut fields = message.split(',');
        let mut field =
            |key: &str| fields.next().and_then(|field| field.strip_prefix(key)).ok_or(ScramError::Malformed);
        let nonce = field("r=")?;
        let salt = STANDARD.decode(field("s=")?).map_err(|_| ScramError::Malformed)?;
        let iterations: u32 = field("i=")?.parse().map_err(|_| ScramError::Malformed)?;
        if nonce.len() <= self.nonce.len() || !nonce.starts_with(&self.nonce) {
            return Err(ScramError::Malformed);
        }
        let accepted = (ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations);
        let iterations =
            NonZeroU32::new(iterations).filter(|_| accepted).ok_or(ScramError::Iterations(iterations))?;
        let without_proof = format!("c={GS2_HEADER_BASE64},r={nonce}");
        let auth_message = format!("{},{message},{without_proof}", self.bare);
        let salting = Salting { mechanism: self.mechanism, salt, iterations };
        Ok(ServerFirst { salting, without_proof, auth_message })
    }
}

/// The exchange after the server's first message.
#[derive(Debug)]
pub(crate) struct ServerFirst {
    pub(crate) salting: Salting,
    without_proof: String,
    auth_message: String,
}

impl ServerFirst {
    /// The client's last message, and what the server has to answer with.
    pub(crate) fn client_final(self, salted: &SaltedPassword) -> (String, ClientFinal) {
        let mechanism = self.salting.mechanism;
        let client_key = mechanism.hmac(&salted.0, b"Client Key");
        let stored_key = mechanism.hash(client_key.as_ref());
        let signature = mechanism.hmac(stored_key.as_ref(), self.auth_message.as_bytes());
        let proof: Vec<u8> = client_key
            .as_ref()
            .iter()
            .zip(signature.as_ref())
            .map(|(key, signature)| key ^ signature)
            .collect();
        let message = format!("{},p={}", self.without_proof, STANDARD.encode(proof));
        let server_key = mechanism.hmac(&salted.0, b"Server Key").as_ref().to_vec();
        (message, ClientFinal { mechanism, server_key, auth_message: self.auth_message })
    }
}

/// The exchange after the client's last message.
pub(crate) struct ClientFinal {
    mechanism: Mechanism,
    server_key: Vec<u8>,
    auth_message: String,
}

impl ClientFinal {
    /// Checks that the server knows the password too.
    pub(crate) fn verify(&self, message: &[u8]) -> Result<(), ScramError> {
        let message = std::str::from_utf8(message).map_err(|_| ScramError::Malformed)?;
        let first = message.split(',').next().unwrap_or_default();
        if let Some(error) = first.strip_prefix("e=") {
            return Err(ScramError::Refused(error.to_owned()));
        }
        let signature = first.strip_prefix("v=").ok_or(ScramError::Malformed)?;
        let signature = STANDARD.decode(signature).map_err(|_| ScramError::Malformed)?;
        let key = self.mechanism.hmac_key(&self.server_key);
        hmac::verify(&key, self.auth_message.as_bytes(), &signature).map_err(|_| ScramError::ServerSignature)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn exchange(mechanism: Mechanism, nonce: &str, server_first: &str, server_final: &str) -> String {
        let first = ClientFirst::with_nonce(mechanism, "user", nonce.to_owned());
        let server = first.server_first(server_first.as_bytes()).unwrap();
        let salted = server.salting.salt("user", "pencil").unwrap();
        let (message, client) = server.client_final(&salted);
        client.verify(server_final.as_bytes()).unwrap();
        assert_eq!(client.verify(b"v=AAAA"), Err(ScramError::ServerSignature));
        assert_eq!(client.verify(b"e=other-error"), Err(ScramError::Refused("other-error".to_owned())));
        message
    }

    /// The examples of MongoDB's authentication specification.
    #[test]
    fn the_specifications_examples() {
        let message = exchange(
            Mechanism::Sha1,
            "fyko+d2lbbFgONRv9qkxdawL",
            "r=fyko+d2lbbFgONRv9qkxdawLHo+Vgk7qvUOKUwuWLIWg4l/9SraGMHEE,s=rQ9ZY3MntBeuP3E1TDVC4w==,i=10000",
            "v=UMWeI25JD1yNYZRMpZ4VHvhZ9e0=",
        );
        assert_eq!(
            message,
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawLHo+Vgk7qvUOKUwuWLIWg4l/9SraGMHEE,p=MC2T8BvbmWRckDw8oWl5IVghwCY="
        );
        let message = exchange(
            Mechanism::Sha256,
            "rOprNGfwEbeRWgbNEkqO",
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        );
        assert_eq!(
            message,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
    }

    #[test]
    fn servers_that_cheat_are_refused() {
        let first = || ClientFirst::with_nonce(Mechanism::Sha256, "user", "abc".to_owned());
        let answer = |message: &str| first().server_first(message.as_bytes()).unwrap_err();
        assert_eq!(answer("r=abc,s=AAAA,i=4096"), ScramError::Malformed);
        assert_eq!(answer("r=other,s=AAAA,i=4096"), ScramError::Malformed);
        assert_eq!(answer("r=abcd,s=AAAA,i=1"), ScramError::Iterations(1));
        assert_eq!(answer("r=abcd,s=?,i=4096"), ScramError::Malformed);
        assert_eq!(answer(""), ScramError::Malformed);
        assert_eq!(
            ClientFirst::with_nonce(Mechanism::Sha1, "a=b,c", String::new()).message(),
            "n,,n=a=3Db=2Cc,r="
        );
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = ClientFirst::with_nonce(Mechanism::Sha1, "user", "a".to_owned()).server_first(&bytes);
        }
    }
}
