//! The address of a ClickHouse: `http://USER:PASSWORD@HOST:8123/DATABASE`.
//!
//! Only a few settings of ClickHouse may stand in the query part, so that a copied address cannot change
//! how data is written. The password is shown by nothing here: neither `Debug` nor `Display`, nor errors.

use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

use crate::{Result, TransportError};

/// Settings of ClickHouse an address may carry.
const SETTINGS: [&str; 9] = [
    "distributed_ddl_task_timeout",
    "insert_quorum",
    "insert_quorum_timeout",
    "log_comment",
    "max_execution_time",
    "max_memory_usage",
    "priority",
    "select_sequential_consistency",
    "workload",
];

/// Where ClickHouse is, who we are there, and which database is meant.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// Whether to use TLS.
    pub tls: bool,
    /// The host name or address, IPv6 without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The database, `default` if the address names none.
    pub database: String,
    /// The user, `default` if the address names none.
    pub user: String,
    /// Settings to send with every request.
    pub settings: Vec<(String, String)>,
    password: String,
}

impl Target {
    /// Parses an address.
    ///
    /// # Errors
    /// [`TransportError::Target`] with one sentence on what is wrong; it never repeats the address, which
    /// may hold a password.
    pub fn parse(text: &str) -> Result<Target> {
        parse(text.trim()).map_err(|reason| TransportError::Target { reason })
    }

    /// The same target with another password.
    #[must_use]
    pub fn with_password(mut self, password: impl Into<String>) -> Target {
        self.password = password.into();
        self
    }

    /// The same target with another database.
    #[must_use]
    pub fn with_database(mut self, database: impl Into<String>) -> Target {
        self.database = database.into();
        self
    }

    /// Host and port, as error messages show them.
    #[must_use]
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    pub(crate) fn password(&self) -> &str {
        &self.password
    }
}

impl FromStr for Target {
    type Err = TransportError;

    fn from_str(text: &str) -> Result<Target> {
        Target::parse(text)
    }
}

impl fmt::Display for Target {
    /// The address without user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}/{}", self.address(), self.database)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("address", &self.to_string())
            .field("user", &self.user)
            .field("password", &"…")
            .field("settings", &self.settings)
            .finish()
    }
}

fn parse(text: &str) -> std::result::Result<Target, String> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err("write it as http://USER:PASSWORD@HOST:8123/DATABASE".into());
    };
    // A scheme unknown to the URL standard keeps an explicit port 80 or 443 apart from none.
    let url = Url::parse(&format!("zenith://{rest}")).map_err(|error| {
        format!("{error} (special characters in user and password must be percent-encoded, as in %40 for @)")
    })?;
    let host = match url.host() {
        Some(Host::Domain(name)) => decode(name, "host")?,
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        None => String::new(),
    };
    if host.is_empty() {
        return Err("it names no host: write it as http://USER:PASSWORD@HOST:8123/DATABASE".into());
    }
    let (tls, port_default) = match scheme.to_ascii_lowercase().as_str() {
        "http" => (false, 8123),
        "https" => (true, 8443),
        "clickhouse" | "tcp" | "native" => {
            return Err(format!(
                "the native protocol is not spoken yet, use the HTTP port: http://{host}:8123"
            ));
        }
        _ => return Err("its scheme must be http or https, as in http://HOST:8123/DATABASE".into()),
    };
    if url.fragment().is_some() {
        return Err("it has a part after #: write # in user, password or database as %23".into());
    }
    let port = url.port().unwrap_or(port_default);
    if port == 0 {
        return Err("port 0 is not a port".into());
    }
    let database = decode(url.path().trim_start_matches('/').trim_end_matches('/'), "database")?;
    if url.path().trim_start_matches('/').trim_end_matches('/').contains('/') {
        return Err("its path must be one database name: http://HOST:8123/DATABASE".into());
    }
    let or_default = |name: String| if name.is_empty() { "default".to_owned() } else { name };
    let target = Target {
        tls,
        host,
        port,
        database: or_default(database),
        user: or_default(decode(url.username(), "user")?),
        password: decode(url.password().unwrap_or_default(), "password")?,
        settings: settings(&url)?,
    };
    if [&target.user, &target.password, &target.database].iter().any(|text| text.contains('\0')) {
        return Err("user, password and database cannot contain a zero byte".into());
    }
    Ok(target)
}

fn settings(url: &Url) -> std::result::Result<Vec<(String, String)>, String> {
    let mut settings = Vec::new();
    for (name, value) in url.query_pairs() {
        if !SETTINGS.contains(&name.as_ref()) {
            return Err(format!("{name:?} cannot be set in it; what can: {}", SETTINGS.join(", ")));
        }
        settings.push((name.into_owned(), value.into_owned()));
    }
    Ok(settings)
}

/// Undoes percent-encoding; `+` stays a plus sign, as it does in user, password and path.
fn decode(text: &str, part: &str) -> std::result::Result<String, String> {
    let malformed = || format!("its {part} is not percent-encoded UTF-8: write % as %25");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else { return Err(malformed()) };
        bytes.push(u8::try_from(high * 16 + low).map_err(|_| malformed())?);
    }
    String::from_utf8(bytes).map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(text: &str) -> String {
        Target::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn all_parts_are_taken_and_decoded() {
        let target =
            Target::parse("http://z%40n:p%3A%2F%23+w%C3%BC@db.example:9123/my%20db?insert_quorum=2").unwrap();
        assert_eq!(
            (target.tls, &*target.host, target.port, &*target.database, &*target.user, target.password()),
            (false, "db.example", 9123, "my db", "z@n", "p:/#+wü")
        );
        assert_eq!(target.settings, [("insert_quorum".to_owned(), "2".to_owned())]);
    }

    #[test]
    fn absent_parts_have_defaults_and_explicit_ports_stay() {
        let port = |text: &str| Target::parse(text).unwrap().port;
        assert_eq!(
            (port("http://h"), port("https://h/"), port("http://h:80"), port("https://h:443")),
            (8123, 8443, 80, 443)
        );
        let target = Target::parse(" http://[::1]/ ").unwrap();
        assert_eq!(
            (&*target.user, &*target.database, &*target.address()),
            ("default", "default", "[::1]:8123")
        );
    }

    #[test]
    fn the_native_protocol_is_refused_by_name() {
        assert_eq!(
            reason("clickhouse://h:9000/db"),
            "the ClickHouse address cannot be used: the native protocol is not spoken yet, use the HTTP port: http://h:8123"
        );
    }

    #[test]
    fn errors_and_debug_never_show_the_password() {
        for text in [
            "http://user:sec/ret@h/db",
            "http://user:secret@h:99999/db",
            "ftp://user:secret@h/db",
            "http://user:secret@/db",
            "http://user:secret@h/a/b",
            "http://user:secret@h/db?allow_ddl=0",
            "http://user:secret%GG@h/db",
            "http://user:secret@h:0",
            "user:secret@h",
            "http://u:secret#@h",
        ] {
            let shown = reason(text);
            assert!(!shown.contains("sec"), "{text} gives {shown}");
            assert!(!shown.contains('\n'), "{shown}");
        }
        let target = Target::parse("http://user:secret@h/db").unwrap();
        assert!(!format!("{target:?} {target}").contains("secret"));
    }
}
