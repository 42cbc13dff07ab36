//! The address of a ClickHouse: `http://USER:PASSWORD@HOST:8123/DATABASE`, or `clickhouse://…:9000/…`.
//!
//! | scheme | what is spoken | port |
//! | --- | --- | --- |
//! | `http`, `https` | HTTP | 8123, 8443 |
//! | `clickhouse`, `clickhouses` | the native protocol | 9000, 9440 |
//!
//! The query part may say how to connect: `secure=true` (TLS), `ca_cert=FILE`, `client_cert=FILE` with
//! `client_cert_key=FILE`, `skip_verify=true`, `compression=lz4|zstd|none`,
//! `send=auto|writev|sendfile|splice`.
//!
//! Only a few settings of ClickHouse may stand in the query part, so that a copied address cannot change
//! how data is written. The password is shown by nothing here: neither `Debug` nor `Display`, nor errors.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use url::{Host, Url};
use zenith_net::{Address, TlsFiles};

use crate::{Compression, Result, SendMode, TlsOptions, TransportError};

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

/// What an address may say about connecting.
const OPTIONS: [&str; 7] =
    ["secure", "ca_cert", "client_cert", "client_cert_key", "skip_verify", "compression", "send"];

/// What is spoken with ClickHouse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1, data as Arrow.
    Http,
    /// ClickHouse's own protocol over TCP, data as its own blocks.
    Native,
}

impl Protocol {
    fn scheme(self, tls: bool) -> &'static str {
        match (self, tls) {
            (Protocol::Http, false) => "http",
            (Protocol::Http, true) => "https",
            (Protocol::Native, false) => "clickhouse",
            (Protocol::Native, true) => "clickhouses",
        }
    }

    fn port_default(self, tls: bool) -> u16 {
        match (self, tls) {
            (Protocol::Http, false) => 8123,
            (Protocol::Http, true) => 8443,
            (Protocol::Native, false) => 9000,
            (Protocol::Native, true) => 9440,
        }
    }

    /// What is wrong when something else answers, for error messages.
    pub(crate) fn expectation(self) -> &'static str {
        match self {
            Protocol::Http => "ClickHouse's HTTP interface would",
            Protocol::Native => "ClickHouse's native protocol has",
        }
    }

    /// What to do then, for error messages.
    pub(crate) fn advice(self) -> &'static str {
        match self {
            Protocol::Http => "check that the port is the HTTP one, 8123 by default",
            Protocol::Native => {
                "check that the port is the one of the native protocol, 9000 by default and 9440 with TLS"
            }
        }
    }
}

/// The address, user and database of a ClickHouse.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// What to speak.
    pub protocol: Protocol,
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
    /// How inserts are compressed, if the address says it.
    pub compression: Option<Compression>,
    /// How inserts are put on the socket, if the address says it.
    pub send: Option<SendMode>,
    files: TlsFiles,
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
        self.socket().to_string()
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> Address {
        Address::tcp(self.host.as_str(), self.port)
    }

    pub(crate) fn password(&self) -> &str {
        &self.password
    }

    /// What the address says about TLS, and what `options` say where it says nothing.
    pub(crate) fn tls_files(&self, options: &TlsOptions) -> TlsFiles {
        TlsFiles {
            ca_file: self.files.ca_file.clone().or_else(|| options.ca_file.clone()),
            client: self.files.client.clone(),
            insecure: self.files.insecure || options.insecure,
        }
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
        let scheme = self.protocol.scheme(self.tls);
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
    let (protocol, tls) = protocol(scheme, &host)?;
    let mut query = query(&url)?;
    let tls = match (tls, query.secure) {
        (true, Some(false)) => return Err(format!("{scheme} is with TLS, and secure=false without")),
        (tls, secure) => tls || secure == Some(true),
    };
    if !tls && query.files != TlsFiles::default() {
        return Err("it says something about certificates, but not to use TLS: add secure=true".into());
    }
    if url.fragment().is_some() {
        return Err("it has a part after #: write # in user, password or database as %23".into());
    }
    let port = url.port().unwrap_or(protocol.port_default(tls));
    if port == 0 {
        return Err("port 0 is not a port".into());
    }
    let database = decode(url.path().trim_start_matches('/').trim_end_matches('/'), "database")?;
    if url.path().trim_start_matches('/').trim_end_matches('/').contains('/') {
        return Err("its path must be one database name: http://HOST:8123/DATABASE".into());
    }
    let or_default = |name: String| if name.is_empty() { "default".to_owned() } else { name };
    let target = Target {
        protocol,
        tls,
        host,
        port,
        database: or_default(database),
        user: or_default(decode(url.username(), "user")?),
        password: decode(url.password().unwrap_or_default(), "password")?,
        settings: std::mem::take(&mut query.settings),
        compression: query.compression,
        send: query.send,
        files: query.files,
    };
    if [&target.user, &target.password, &target.database].iter().any(|text| text.contains('\0')) {
        return Err("user, password and database cannot contain a zero byte".into());
    }
    Ok(target)
}

/// What a scheme says: what is spoken, and whether over TLS.
fn protocol(scheme: &str, host: &str) -> std::result::Result<(Protocol, bool), String> {
    match scheme.to_ascii_lowercase().as_str() {
        "http" => Ok((Protocol::Http, false)),
        "https" => Ok((Protocol::Http, true)),
        "clickhouse" => Ok((Protocol::Native, false)),
        "clickhouses" => Ok((Protocol::Native, true)),
        "tcp" | "native" => {
            Err(format!("write the native protocol as clickhouse, as in clickhouse://{host}:9000"))
        }
        _ => Err("its scheme must be http, https, clickhouse or clickhouses".into()),
    }
}

/// What the query part says.
#[derive(Default)]
struct Query {
    secure: Option<bool>,
    files: TlsFiles,
    compression: Option<Compression>,
    send: Option<SendMode>,
    settings: Vec<(String, String)>,
}

fn query(url: &Url) -> std::result::Result<Query, String> {
    let mut query = Query::default();
    let (mut certificate, mut key) = (None, None);
    for (name, value) in url.query_pairs() {
        match &*name {
            "secure" => query.secure = Some(switch(&name, &value)?),
            "skip_verify" => query.files.insecure = switch(&name, &value)?,
            "ca_cert" => query.files.ca_file = Some(file(&name, &value)?),
            "client_cert" => certificate = Some(file(&name, &value)?),
            "client_cert_key" => key = Some(file(&name, &value)?),
            "compression" => {
                query.compression = Some(match &*value {
                    "none" => Compression::None,
                    "lz4" => Compression::Lz4,
                    "zstd" => Compression::Zstd,
                    _ => return Err("its compression must be none, lz4 or zstd".into()),
                });
            }
            "send" => query.send = Some(value.parse().map_err(|reason| format!("its {reason}"))?),
            setting if SETTINGS.contains(&setting) => {
                query.settings.push((name.into_owned(), value.into_owned()));
            }
            _ => {
                let known: Vec<&str> = OPTIONS.iter().chain(&SETTINGS).copied().collect();
                return Err(format!("{name:?} cannot be set in it; what can: {}", known.join(", ")));
            }
        }
    }
    query.files.client = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => return Err("client_cert and client_cert_key belong together: give both files".into()),
    };
    Ok(query)
}

fn switch(name: &str, value: &str) -> std::result::Result<bool, String> {
    match value {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(format!("its {name} must be true or false")),
    }
}

fn file(name: &str, value: &str) -> std::result::Result<PathBuf, String> {
    if value.is_empty() { Err(format!("its {name} names no file")) } else { Ok(PathBuf::from(value)) }
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
    fn schemes_say_what_to_speak() {
        let of = |text: &str| {
            let target = Target::parse(text).unwrap();
            (target.protocol, target.tls, target.port, target.to_string())
        };
        assert_eq!(of("clickhouse://h/d"), (Protocol::Native, false, 9000, "clickhouse://h:9000/d".into()));
        assert_eq!(of("clickhouse://h?secure=true").2, 9440);
        assert_eq!(of("clickhouses://h:1/d"), (Protocol::Native, true, 1, "clickhouses://h:1/d".into()));
        assert_eq!(of("http://h?secure=1"), (Protocol::Http, true, 8443, "https://h:8443/default".into()));
        assert!(reason("https://h?secure=false").contains("without"));
        assert!(reason("tcp://u:p@h").ends_with("clickhouse://h:9000"));
    }

    #[test]
    fn options_say_how_to_connect() {
        let text = "clickhouses://h?ca_cert=/a%20b.pem&client_cert=c&client_cert_key=k&compression=lz4";
        let target = Target::parse(text).unwrap();
        let files = target.tls_files(&TlsOptions { ca_file: Some("other".into()), insecure: false });
        assert_eq!(files.ca_file, Some("/a b.pem".into()));
        assert_eq!(files.client, Some(("c".into(), "k".into())));
        assert!(!files.insecure && target.settings.is_empty());
        assert_eq!((target.compression, target.send), (Some(Compression::Lz4), None));
        assert_eq!(Target::parse("http://h?send=splice").unwrap().send, Some(SendMode::Splice));
        for (text, wrong) in [
            ("clickhouse://h?ca_cert=a", "secure=true"),
            ("clickhouses://h?client_cert=a", "belong together"),
            ("clickhouses://h?skip_verify=maybe", "true or false"),
            ("clickhouses://h?ca_cert=", "names no file"),
            ("http://h?compression=snappy", "none, lz4 or zstd"),
            ("http://h?send=zerocopy", "its send must be auto, writev, sendfile or splice"),
        ] {
            assert!(reason(text).contains(wrong), "{}", reason(text));
        }
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
            assert!(!shown.contains("secret") && !shown.contains("sec/"), "{text} gives {shown}");
            assert!(!shown.contains('\n'), "{shown}");
        }
        let target = Target::parse("http://user:secret@h/db").unwrap();
        assert!(!format!("{target:?} {target}").contains("secret"));
    }
}
