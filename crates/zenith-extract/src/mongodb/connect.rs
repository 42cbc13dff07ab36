//! From a connection string to a driver client, and connection strings without their secrets.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mongodb::Client;
use mongodb::error::ErrorKind;
use mongodb::options::{ClientOptions, DriverInfo};
use zenith_net::Idle;

use super::Deployment;
use super::direct::{self, APP_NAME};
use super::error::tls;
use crate::ExtractError;

/// How long to look for a usable server, unless the connection string says otherwise.
///
/// The driver's own 30 s would be long for a user with a mistyped host name. The retries of a scan wait for
/// elections.
const SERVER_SELECTION_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections kept open for the next look-up.
const LOOKUPS_IDLE_MAX: usize = 8;

pub(super) async fn connect(uri: &str) -> Result<Deployment, ExtractError> {
    let address = redact(uri);
    let failed = |error: mongodb::error::Error| match *error.kind {
        ErrorKind::InvalidArgument { message, .. } => {
            ExtractError::InvalidUri { uri: address.clone(), reason: without_secrets(message, uri) }
        }
        ErrorKind::DnsResolve { message, .. } => {
            ExtractError::Unreachable { address: address.clone(), reason: message }
        }
        ErrorKind::InvalidTlsConfig { message, .. } => tls(&address, &message),
        // Reading a certificate file is the only thing done here that a file can fail.
        ErrorKind::Io(error) => tls(&address, &error.to_string()),
        other => {
            ExtractError::InvalidUri { uri: address.clone(), reason: without_secrets(other.to_string(), uri) }
        }
    };
    let mut options = ClientOptions::parse(uri).await.map_err(failed)?;
    options.server_selection_timeout.get_or_insert(SERVER_SELECTION_TIMEOUT);
    options.app_name.get_or_insert_with(|| APP_NAME.to_owned());
    options.driver_info = Some(
        DriverInfo::builder().name(APP_NAME.to_owned()).version(env!("CARGO_PKG_VERSION").to_owned()).build(),
    );
    let client = Client::with_options(options.clone()).map_err(failed)?;
    let direct = direct::settings(&options, &address)?.map(Arc::new);
    let (lookups, collections) = (Idle::new(LOOKUPS_IDLE_MAX), Mutex::new(HashMap::new()));
    Ok(Deployment { client, options, address, direct, lookups, collections })
}

/// The connection string without password and options.
///
/// A password may hold characters that should have been escaped, so everything up to the last `@` counts as user
/// information: rather too little is shown than too much.
pub(crate) fn redact(uri: &str) -> String {
    let (scheme, rest) = uri.split_once("://").unwrap_or(("mongodb", uri));
    let (user_info, rest) = match rest.rsplit_once('@') {
        Some((user_info, rest)) => (Some(user_info), rest),
        None => (None, rest),
    };
    let place = rest.split('?').next().unwrap_or_default().trim_end_matches('/');
    match user_info.map(|info| info.split(':').next().unwrap_or_default()) {
        Some(user) if !user.is_empty() => format!("{scheme}://{user}@{place}"),
        _ => format!("{scheme}://{place}"),
    }
}

/// The driver's message, unless it quotes a part of the connection string that may be secret.
fn without_secrets(message: String, uri: &str) -> String {
    let secret =
        uri.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@')).map(|(user_info, _)| user_info);
    let password = secret.and_then(|info| info.split_once(':')).map(|(_, password)| password);
    match password {
        Some(password) if !password.is_empty() && message.contains(password) => {
            "the driver cannot parse it; escape special characters in user name and password (%40 for @)"
                .to_owned()
        }
        _ => message,
    }
}

#[cfg(test)]
mod tests {
    use super::redact;

    #[test]
    fn passwords_do_not_show() {
        for (uri, shown) in [
            ("mongodb://localhost:27017", "mongodb://localhost:27017"),
            ("mongodb://u:secret@h1,h2/db?replicaSet=rs0", "mongodb://u@h1,h2/db"),
            ("mongodb+srv://u:se@cret@h/?tls=true", "mongodb+srv://u@h"),
            ("mongodb://u:se/c?ret@h/db", "mongodb://u@h/db"),
            ("mongodb://:secret@h/", "mongodb://h"),
            ("u:secret@h", "mongodb://u@h"),
        ] {
            assert_eq!(redact(uri), shown);
            assert!(!redact(uri).contains("ret"));
        }
    }

    #[tokio::test]
    async fn a_wrong_uri_is_the_users_and_keeps_its_secret() {
        for uri in
            ["mongo://u:secret@h", "mongodb://u:sec/ret@h", "mongodb://u:secret@h/?noSuchOption", "nonsense"]
        {
            let error = super::super::MongoSource::connect(uri).await.unwrap_err();
            assert!(error.is_input(), "{error}");
            assert!(!error.to_string().contains("ret@") && !error.to_string().contains("secret"), "{error}");
        }
    }
}
