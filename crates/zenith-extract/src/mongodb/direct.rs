//! What connections of our own need to know, out of the driver's options and its view of the deployment.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bson::{RawDocumentBuf, doc, rawdoc};
use mongodb::ServerType;
use mongodb::options::{
    AuthMechanism, ClientOptions, Compressor, ReadPreference, SelectionCriteria, ServerAddress,
    Tls as DriverTls,
};
use zenith_net::{Address, Dialer, NetError, Reuse, Tls, TlsFiles};

use super::{Deployment, Transport, error};
use crate::ExtractError;
use crate::wire::{self, Connection, Credential, Mechanism, ScramMechanism, Settings, WireError};

/// The name servers log and show for our connections.
pub(super) const APP_NAME: &str = "zenith";
/// The driver's own default.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const PORT_DEFAULT: u16 = 27017;

/// Settings for our own connections, or why there cannot be any. A certificate that cannot be read is an error.
pub(super) fn settings(
    options: &ClientOptions,
    address: &str,
) -> Result<Result<Settings, String>, ExtractError> {
    if options.load_balanced == Some(true) {
        return Ok(Err("the deployment is behind a load balancer".to_owned()));
    }
    if options.server_api.is_some() {
        return Ok(Err("a version of the Stable API is asked for".to_owned()));
    }
    let credential = match options.credential.as_ref().map(credential).transpose() {
        Ok(credential) => credential,
        Err(reason) => return Ok(Err(reason)),
    };
    let tls = match &options.tls {
        Some(DriverTls::Enabled(tls)) => {
            let files = TlsFiles {
                ca_file: tls.ca_file_path.clone(),
                // Certificate and key are in one file.
                client: tls.cert_key_file_path.clone().map(|file| (file.clone(), file)),
                insecure: tls.allow_invalid_certificates.unwrap_or(false),
            };
            let failed = |error: NetError| super::error::tls(address, &error.to_string());
            Some(Tls::new(&files).map_err(failed)?)
        }
        Some(DriverTls::Disabled) | None => None,
    };
    let timeout = options.connect_timeout.unwrap_or(CONNECT_TIMEOUT);
    Ok(Ok(Settings {
        // A scan has no limit for the wait for a reply.
        dialer: Dialer { tls, timeout, keepalive: true },
        credential,
        salted_passwords: wire::SaltedPasswords::default(),
        compressors: options.compressors.iter().flatten().filter_map(compressor).collect(),
        app_name: options.app_name.clone().unwrap_or_else(|| APP_NAME.to_owned()),
    }))
}

fn credential(credential: &mongodb::options::Credential) -> Result<Credential, String> {
    let mechanism = match &credential.mechanism {
        None => Mechanism::Negotiated,
        Some(AuthMechanism::ScramSha1) => Mechanism::Scram(ScramMechanism::Sha1),
        Some(AuthMechanism::ScramSha256) => Mechanism::Scram(ScramMechanism::Sha256),
        Some(AuthMechanism::MongoDbX509) => Mechanism::X509,
        Some(other) => return Err(format!("the authentication mechanism {other:?} is the driver's alone")),
    };
    Ok(Credential {
        mechanism,
        user: credential.username.clone(),
        password: credential.password.clone().unwrap_or_default(),
        source: credential.source.clone().unwrap_or_else(|| "admin".to_owned()),
    })
}

fn compressor(compressor: &Compressor) -> Option<wire::Compressor> {
    match compressor {
        Compressor::Snappy => Some(wire::Compressor::Snappy),
        Compressor::Zlib { level } => Some(wire::Compressor::Zlib(*level)),
        Compressor::Zstd { level } => Some(wire::Compressor::Zstd(*level)),
        _ => None,
    }
}

/// The server that reads go to now, found by the driver, which watches the deployment.
async fn select_server(deployment: &Deployment) -> Result<ServerAddress, ExtractError> {
    let options = &deployment.options;
    if options.direct_connection == Some(true)
        && let Some(only) = options.hosts.first()
    {
        return Ok(only.clone());
    }
    let action = "find a server to read from";
    let admin = deployment.client.database("admin");
    if !reads_from_primary(options) {
        let hello = deployment.command("admin", doc! { "hello": 1 }, action).await?;
        // Members of a replica set say who they are; anything else (mongos) is chosen below.
        if let Some(me) = hello.get_str("me").ok().and_then(|me| ServerAddress::parse(me).ok()) {
            return Ok(me);
        }
    }
    // The driver does not tell where it sent a command, but it asks which servers will do: the first that will is kept.
    let chosen = Arc::new(Mutex::new(None));
    let predicate = {
        let chosen = Arc::clone(&chosen);
        SelectionCriteria::Predicate(Arc::new(move |server| {
            let writable = matches!(
                server.server_type(),
                ServerType::RsPrimary | ServerType::Standalone | ServerType::Mongos
            );
            let mut chosen = chosen.lock().unwrap_or_else(PoisonError::into_inner);
            writable && *server.address() == *chosen.get_or_insert_with(|| server.address().clone())
        }))
    };
    let ping = admin.run_command(doc! { "ping": 1 }).selection_criteria(predicate);
    ping.await.map_err(|source| deployment.error(action, source))?;
    let chosen = chosen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    chosen.ok_or_else(|| ExtractError::Unreachable {
        address: deployment.address.clone(),
        reason: "no server takes reads".to_owned(),
    })
}

/// Whether all reads go to the same server, for as long as the deployment stays as it is.
pub(super) fn reads_one_server(options: &ClientOptions) -> bool {
    options.direct_connection == Some(true) || reads_from_primary(options)
}

fn reads_from_primary(options: &ClientOptions) -> bool {
    matches!(
        options.selection_criteria,
        None | Some(SelectionCriteria::ReadPreference(ReadPreference::Primary))
    )
}

/// The settings of our own connections, if they are possible and wanted.
pub(super) fn usable_settings(deployment: &Deployment, transport: Transport) -> Option<Arc<Settings>> {
    match (transport, &deployment.direct) {
        (Transport::Driver, _) => None,
        (Transport::Direct, Ok(settings)) => Some(Arc::clone(settings)),
        (Transport::Direct, Err(reason)) => {
            tracing::debug!(reason, "reading by the driver");
            None
        }
    }
}

/// A connection of our own, and the driver's name of its server.
#[derive(Debug)]
pub(super) struct DirectConnection {
    pub(super) connection: Connection,
    pub(super) server: ServerAddress,
}

impl Reuse for DirectConnection {
    fn is_usable(&self) -> bool {
        self.connection.is_quiet()
    }
}

impl DirectConnection {
    /// The server that answers: the member of the replica set by its own name, else the address.
    pub(super) fn member(&self) -> String {
        self.connection.member().map_or_else(|| self.server.to_string(), str::to_owned)
    }
}

/// Why there is no connection of our own.
pub(super) enum DialError {
    /// There cannot be one to this server.
    Unsupported(String),
    Failed(ExtractError),
}

/// Connects to the server that reads go to now, in order to do `action`.
pub(super) async fn dial(
    deployment: &Deployment,
    settings: &Settings,
    action: &str,
) -> Result<DirectConnection, DialError> {
    let server = select_server(deployment).await.map_err(DialError::Failed)?;
    let Some(address) = wire_address(&server) else {
        return Err(DialError::Unsupported(format!("{server} is an address for the driver")));
    };
    match wire::connect(&address, settings).await {
        Ok(connection) => Ok(DirectConnection { connection, server }),
        Err(WireError::Unsupported(reason)) => Err(DialError::Unsupported(reason)),
        Err(source) => Err(DialError::Failed(error::from_wire(&address, action.to_owned(), source))),
    }
}

/// The address as our own connections take it.
fn wire_address(address: &ServerAddress) -> Option<Address> {
    match address {
        ServerAddress::Tcp { host, port } => Some(Address::tcp(host.as_str(), port.unwrap_or(PORT_DEFAULT))),
        ServerAddress::Unix { path } => Some(Address::Unix(path.clone())),
        _ => None,
    }
}

/// `$readPreference` as the driver would send it: without one, secondaries refuse reads.
pub(super) fn read_preference(options: &ClientOptions) -> Option<RawDocumentBuf> {
    match &options.selection_criteria {
        Some(SelectionCriteria::ReadPreference(preference)) if !reads_from_primary(options) => {
            bson::serialize_to_raw_document_buf(preference).ok()
        }
        _ if options.direct_connection == Some(true) => Some(rawdoc! { "mode": "primaryPreferred" }),
        _ => None,
    }
}
