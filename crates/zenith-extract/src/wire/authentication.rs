//! Proves to a server who we are: SCRAM or X.509.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::{Mutex, PoisonError};

use bson::raw::cstr;
use bson::spec::BinarySubtype;
use bson::{Binary, RawDocument, RawDocumentBuf, rawdoc};

use super::connection::Connection;
use super::scram::{ClientFirst, Mechanism as ScramMechanism, SaltedPassword, Salting};
use super::{ReplyError, WireError};

/// Rounds of an exchange before it is given up.
const ROUNDS_MAX: usize = 4;
/// Salts remembered; a deployment has one per mechanism and user.
const SALTED_PASSWORDS_MAX: usize = 16;

/// How to authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mechanism {
    /// The strongest SCRAM the server has for the user.
    Negotiated,
    /// This SCRAM.
    Scram(ScramMechanism),
    /// The certificate of the TLS connection.
    X509,
}

/// Who we are.
#[derive(Clone)]
pub(crate) struct Credential {
    pub(crate) mechanism: Mechanism,
    /// Not needed for X.509.
    pub(crate) user: Option<String>,
    pub(crate) password: String,
    /// The database that knows the user.
    pub(crate) source: String,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("mechanism", &self.mechanism)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Salted passwords of earlier connections, since salting takes thousands of hashes.
#[derive(Debug, Default)]
pub(crate) struct SaltedPasswords {
    known: Mutex<HashMap<Salting, SaltedPassword>>,
}

impl SaltedPasswords {
    async fn salted(
        &self,
        salting: &Salting,
        user: &str,
        password: &str,
    ) -> Result<SaltedPassword, WireError> {
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(salting) {
            return Ok(known.clone());
        }
        let (task, user, password) = (salting.clone(), user.to_owned(), password.to_owned());
        let computed = tokio::task::spawn_blocking(move || task.salt(&user, &password));
        let salted = computed.await.map_err(io::Error::other)??;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < SALTED_PASSWORDS_MAX {
            known.insert(salting.clone(), salted.clone());
        }
        Ok(salted)
    }
}

/// What to ask the greeting for, when the server names the mechanism.
pub(super) fn supported_mechanisms_key(credential: &Credential) -> Option<String> {
    match credential.mechanism {
        Mechanism::Negotiated => Some(format!("{}.{}", credential.source, credential.user.as_deref()?)),
        Mechanism::Scram(_) | Mechanism::X509 => None,
    }
}

/// Authenticates; `mechanisms` are those the server has for the user.
pub(super) async fn authenticate(
    connection: &mut Connection,
    credential: &Credential,
    mechanisms: &[String],
    salted_passwords: &SaltedPasswords,
) -> Result<(), WireError> {
    let mechanism = match credential.mechanism {
        Mechanism::X509 => return x509(connection, credential).await,
        Mechanism::Scram(mechanism) => mechanism,
        Mechanism::Negotiated if mechanisms.iter().any(|name| name == ScramMechanism::Sha256.name()) => {
            ScramMechanism::Sha256
        }
        Mechanism::Negotiated => ScramMechanism::Sha1,
    };
    scram(connection, credential, mechanism, salted_passwords).await
}

async fn x509(connection: &mut Connection, credential: &Credential) -> Result<(), WireError> {
    let mut command = rawdoc! { "authenticate": 1, "mechanism": "MONGODB-X509", "$db": "$external" };
    if let Some(user) = &credential.user {
        command.append(cstr!("user"), user.as_str());
    }
    connection.call(&command).await.map(drop)
}

async fn scram(
    connection: &mut Connection,
    credential: &Credential,
    mechanism: ScramMechanism,
    salted_passwords: &SaltedPasswords,
) -> Result<(), WireError> {
    let user = credential.user.as_deref().unwrap_or_default();
    let source = credential.source.as_str();
    let first = ClientFirst::new(mechanism, user)?;
    let reply = connection
        .call(&rawdoc! {
            "saslStart": 1,
            "mechanism": mechanism.name(),
            "payload": binary(first.message()),
            "options": { "skipEmptyExchange": true },
            "$db": source,
        })
        .await?;
    let server = first.server_first(&Round::parse(&reply)?.payload)?;
    let salted = salted_passwords.salted(&server.salting, user, &credential.password).await?;
    let (message, client) = server.client_final(&salted);
    let mut round = next(connection, source, &reply, message).await?;
    client.verify(&round.payload)?;
    // Servers before 4.4 want one more, empty round.
    for _ in 0..ROUNDS_MAX {
        if round.done {
            return Ok(());
        }
        round = next(connection, source, &reply, String::new()).await?;
    }
    Err(ReplyError::Malformed("the SCRAM exchange does not end".to_owned()).into())
}

async fn next(
    connection: &mut Connection,
    source: &str,
    start: &RawDocument,
    message: String,
) -> Result<Round, WireError> {
    let id = start.get("conversationId").map_err(malformed)?.and_then(|id| id.as_i32()).unwrap_or(1);
    let command =
        rawdoc! { "saslContinue": 1, "conversationId": id, "payload": binary(message), "$db": source };
    let reply: RawDocumentBuf = connection.call(&command).await?;
    Ok(Round::parse(&reply)?)
}

/// The server's part of a round.
struct Round {
    payload: Vec<u8>,
    done: bool,
}

impl Round {
    fn parse(reply: &RawDocument) -> Result<Round, ReplyError> {
        let payload = reply.get("payload").map_err(malformed)?.and_then(|payload| payload.as_binary());
        let payload = payload.ok_or_else(|| ReplyError::Malformed("it has no payload".to_owned()))?;
        let done = reply.get("done").map_err(malformed)?.and_then(|done| done.as_bool()).unwrap_or(false);
        Ok(Round { payload: payload.bytes.to_vec(), done })
    }
}

fn binary(text: String) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: text.into_bytes() }
}

fn malformed(error: bson::error::Error) -> ReplyError {
    ReplyError::Malformed(error.to_string())
}
