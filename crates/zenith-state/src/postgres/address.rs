//! Addresses of databases, and what of them may be shown.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;

/// The schema that has the tables unless the address names another.
const SCHEMA: &str = "zenith";
/// The longest name that PostgreSQL does not cut.
const NAME_MAX: usize = 63;

/// Where a state in PostgreSQL is: `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=…&sslrootcert=…&schema=…`.
///
/// | parameter | meaning |
/// | --- | --- |
/// | `sslmode` | `verify-full` (default for other machines), `verify-ca`, `require` (anyone's certificate), `disable` (default for this machine) |
/// | `sslrootcert` | a PEM file of authorities to trust instead of the public ones |
/// | `sslcert`, `sslkey` | PEM files of our own certificate and its key |
/// | `schema` | the schema that has the tables; default `zenith` |
///
/// What it shows of itself has no password.
#[derive(Clone)]
pub struct PostgresAddress {
    pub(super) options: PgConnectOptions,
    pub(super) schema: String,
    shown: String,
}

impl PostgresAddress {
    /// Whether text is the address of a PostgreSQL rather than of a file.
    #[must_use]
    pub fn is_one(text: &str) -> bool {
        text.starts_with("postgres://") || text.starts_with("postgresql://")
    }

    /// Reads an address.
    ///
    /// # Errors
    /// One sentence, without the address.
    pub fn parse(text: &str) -> Result<PostgresAddress, String> {
        let url = Url::parse(text.trim()).map_err(|error| {
            format!("the address of the state is no postgres://USER:PASSWORD@HOST:PORT/DATABASE: {error}")
        })?;
        let (host, local) = host(&url)?;
        let options = PgConnectOptions::new_without_pgpass()
            .port(url.port().unwrap_or(5432))
            .application_name("zenith")
            // What PgBouncer does not know, and what does not outlive a transaction there.
            .extra_float_digits(None)
            .statement_cache_capacity(0)
            .disable_statement_logging()
            .ssl_mode(if local { PgSslMode::Disable } else { PgSslMode::VerifyFull });
        let options = if host.starts_with('/') { options.socket(&host) } else { options.host(&host) };
        let user = decoded(url.username())?;
        if user.is_empty() {
            return Err(
                "the address of the state names no user: write postgres://USER@HOST/DATABASE".to_owned()
            );
        }
        let options = options.username(&user);
        let options = match url.password() {
            Some(password) => options.password(&decoded(password)?),
            None => options,
        };
        let database = decoded(url.path().trim_start_matches('/'))?;
        let database = if database.is_empty() { user.clone() } else { database };
        let mut address = PostgresAddress {
            options: options.database(&database),
            schema: SCHEMA.to_owned(),
            shown: String::new(),
        };
        for (key, value) in url.query_pairs() {
            address = address.with(&key, &value)?;
        }
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let schema =
            if address.schema == SCHEMA { String::new() } else { format!("?schema={}", address.schema) };
        address.shown = format!("postgres://{user}@{host}{port}/{database}{schema}");
        Ok(address)
    }

    fn with(self, key: &str, value: &str) -> Result<PostgresAddress, String> {
        let PostgresAddress { options, schema, shown } = self;
        let options = match key {
            "sslmode" => options.ssl_mode(match value {
                "disable" => PgSslMode::Disable,
                "require" => PgSslMode::Require,
                "verify-ca" => PgSslMode::VerifyCa,
                "verify-full" => PgSslMode::VerifyFull,
                _ => {
                    return Err(format!(
                        "the address of the state says sslmode={value}: write verify-full, verify-ca, require or disable"
                    ));
                }
            }),
            "sslrootcert" => options.ssl_root_cert(value),
            "sslcert" => options.ssl_client_cert(value),
            "sslkey" => options.ssl_client_key(value),
            "application_name" => options.application_name(value),
            "schema" if is_name(value) => return Ok(PostgresAddress { options, schema: value.to_owned(), shown }),
            "schema" => {
                return Err(format!(
                    "the address of the state says schema={value}: use lower-case letters, digits and underscores"
                ));
            }
            _ => {
                return Err(format!(
                    "the address of the state has the parameter {key:?}, which is not known: sslmode, sslrootcert, \
                     sslcert, sslkey, application_name and schema are"
                ));
            }
        };
        Ok(PostgresAddress { options, schema, shown })
    }

    /// The address without its password, as errors name it.
    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(&self.shown)
    }

    /// How long a connection may take.
    pub(super) const TIMEOUT: Duration = Duration::from_secs(5);
}

impl fmt::Display for PostgresAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.shown)
    }
}

impl fmt::Debug for PostgresAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("PostgresAddress").field(&self.shown).finish()
    }
}

/// The host, or the folder of a socket; and whether it is this machine.
fn host(url: &Url) -> Result<(String, bool), String> {
    let host = decoded(url.host_str().unwrap_or_default())?;
    if host.is_empty() {
        return Err("the address of the state names no host: write postgres://USER@HOST/DATABASE".to_owned());
    }
    if host.contains(',') {
        return Err(
            "the address of the state names several hosts: name one, such as that of a proxy or of a name \
                    that follows the primary"
                .to_owned(),
        );
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let local = match bare.parse::<std::net::IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host.starts_with('/') || host == "localhost",
    };
    Ok((host, local))
}

fn is_name(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    !text.is_empty()
        && text.len() <= NAME_MAX
        && !text.starts_with("pg_")
        && !text.as_bytes()[0].is_ascii_digit()
        && text.bytes().all(is_part)
}

fn decoded(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let hex = (byte == b'%').then(|| [rest.next(), rest.next()].map(|digit| digit.map(char::from)));
        match hex {
            None => bytes.push(byte),
            Some([Some(high), Some(low)]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digit =
                    |digit: char| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or(0);
                bytes.push(digit(high) << 4 | digit(low));
            }
            Some(_) => {
                return Err(
                    "the address of the state has a % that no two digits follow: write %25".to_owned()
                );
            }
        }
    }
    String::from_utf8(bytes).map_err(|_| "the address of the state is not UTF-8 behind its %".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let address = PostgresAddress::parse(text).unwrap();
        assert!(!format!("{address:?}").contains("hunter2"));
        address.to_string()
    }

    #[test]
    fn addresses_are_shown_without_passwords() {
        assert_eq!(shown("postgres://a:hunter2@h/d"), "postgres://a@h/d");
        assert_eq!(shown("postgresql://a%40b:hunt%65r2@h:6432/"), "postgres://a@b@h:6432/a@b");
        assert_eq!(shown("postgres://a@%2Frun%2Fpostgresql/d"), "postgres://a@/run/postgresql/d");
        assert_eq!(shown("postgres://a@h/d?schema=z2&sslmode=require"), "postgres://a@h/d?schema=z2");
    }

    #[test]
    fn other_machines_have_to_prove_who_they_are() {
        let mode = |text: &str| PostgresAddress::parse(text).unwrap().options.get_ssl_mode();
        assert!(matches!(mode("postgres://a@db/d"), PgSslMode::VerifyFull));
        assert!(matches!(mode("postgres://a@10.0.0.1/d"), PgSslMode::VerifyFull));
        assert!(matches!(mode("postgres://a@db/d?sslmode=require"), PgSslMode::Require));
        for local in ["127.0.0.1", "[::1]", "localhost", "%2Frun%2Fpostgresql"] {
            assert!(matches!(mode(&format!("postgres://a@{local}/d")), PgSslMode::Disable), "{local}");
        }
    }

    #[test]
    fn mistakes_are_told_without_the_address() {
        for (text, told) in [
            ("postgres://a:hunter2@h/d?sslmode=prefer", "verify-full"),
            ("postgres://a:hunter2@h/d?shema=x", "shema"),
            ("postgres://a:hunter2@h/d?schema=X", "lower-case"),
            ("postgres://a:hunter2@h,g/d", "several hosts"),
            ("postgres://:hunter2@h/d", "no user"),
            ("postgres://a:hunter2@/d", "host"),
            ("postgres://a:hunter2%@h/d", "%25"),
            ("postgres://a:hunter2@h:x/d", "port"),
        ] {
            let error = PostgresAddress::parse(text).unwrap_err();
            assert!(error.contains(told) && !error.contains("hunter2"), "{text}: {error}");
        }
    }
}
