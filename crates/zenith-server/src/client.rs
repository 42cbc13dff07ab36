//! A client of the API, for the command: one request a connection, over TLS where the address says so.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use zenith_control::commands::{Call, Output};
use zenith_control::failure::{Code, Failure, code};
use zenith_net::{Address, Dialer, NetError, Tls, TlsFiles};

use crate::error::{ErrorBody, Kind};

/// How long a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How long an answer may take; a server gives up before.
const ANSWERED_WITHIN: Duration = Duration::from_secs(90);
/// Bytes that an answer may have.
const ANSWER_MAX: u64 = 256 << 20;
/// Headers that an answer may have.
const HEADERS_MAX: usize = 64;
/// The port of a server, where an address has none.
const PORT: u16 = 8470;

/// A token, which is shown nowhere.
#[derive(Clone)]
pub struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(…)")
    }
}

impl Token {
    /// Takes one.
    ///
    /// # Errors
    /// If it has something that no token has; the error does not show it. `from` says where it is from.
    pub fn new(text: &str, from: &str) -> Result<Token, Failure> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let sentence = format!("{from} is no token: a token is one word of letters, digits and signs");
            return Err(Failure::known(code::TOKEN_FILE, sentence));
        }
        Ok(Token(text.to_owned()))
    }

    /// Reads one out of a file.
    ///
    /// # Errors
    /// If the file cannot be read, or can be read by everybody, or has no token.
    pub fn read(path: &Path) -> Result<Token, Failure> {
        let place = path.display();
        let failed = |error| {
            Failure::known(code::TOKEN_FILE, format!("the token cannot be read from {place}: {error}"))
        };
        if fs::metadata(path).map_err(failed)?.permissions().mode() & 0o007 != 0 {
            let sentence = format!(
                "the token in {place} can be read or changed by everybody on this machine: chmod 600 {place}"
            );
            return Err(Failure::known(code::TOKEN_FILE, sentence));
        }
        Token::new(&fs::read_to_string(path).map_err(failed)?, &format!("what is in {place}"))
    }
}

/// A server, as it is asked.
#[derive(Clone, Debug)]
pub struct Client {
    /// As it was written.
    url: String,
    host: String,
    address: Address,
    path: String,
    tls: Option<Tls>,
    token: Option<Token>,
}

impl Client {
    /// A client of the server at `url`, as in `https://zenith.example:8470`; nothing is asked yet. `ca_file` has the
    /// certificate authorities to trust in place of the public ones.
    ///
    /// # Errors
    /// If the address cannot be understood, or the file of authorities cannot be used.
    pub fn new(url: &str, token: Option<Token>, ca_file: Option<&Path>) -> Result<Client, Failure> {
        let wrong = |what: &str| {
            let sentence = format!(
                "{url:?} is not the address of a server: {what}; write http://HOST:PORT or https://…"
            );
            Failure::known(code::SERVER_ADDRESS, sentence)
        };
        if url.contains('@') {
            // What stands before it may be a secret.
            let sentence = "the address of a server has no user or password in it: give a token by ZENITH_TOKEN or \
                            --server-token-file";
            return Err(Failure::known(code::SERVER_ADDRESS, sentence));
        }
        let (is_tls, rest, default) = match url.split_once("://") {
            Some(("http", rest)) => (false, rest, 80),
            Some(("https", rest)) => (true, rest, 443),
            Some(_) => return Err(wrong("it is neither http nor https")),
            None => (false, url, PORT),
        };
        let (host, path) =
            rest.split_once('/').map_or((rest, ""), |(host, path)| (host, path.trim_matches('/')));
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => {
                (name, port.parse().map_err(|_| wrong("its port is no number"))?)
            }
            _ => (host, default),
        };
        if name.is_empty()
            || !name.bytes().all(|byte| byte.is_ascii_graphic())
            || path.contains(['?', '#', ' '])
        {
            return Err(wrong("it has no host, or what no address has"));
        }
        let tls = TlsFiles { ca_file: ca_file.map(Path::to_owned), ..TlsFiles::default() };
        let tls = is_tls.then(|| Tls::new(&tls)).transpose();
        let tls = tls.map_err(|error| Failure::known(code::SERVER_TLS, error.to_string()))?;
        let address = Address::tcp(name.trim_start_matches('[').trim_end_matches(']'), port);
        let path = if path.is_empty() { String::new() } else { format!("/{path}") };
        Ok(Client { url: url.to_owned(), host: host.to_owned(), address, path, tls, token })
    }

    /// Whether a token would be sent so that others can read it: unencrypted, to another machine.
    #[must_use]
    pub fn shows_token(&self) -> bool {
        let address = self.address.to_string();
        let is_near = match address.parse::<SocketAddr>() {
            Ok(address) => address.ip().is_loopback(),
            Err(_) => address.starts_with("localhost:"),
        };
        self.token.is_some() && self.tls.is_none() && !is_near
    }

    /// Has a command carried out.
    ///
    /// # Errors
    /// What the server refuses it with, as the command beside the state would; or why it could not be asked.
    pub async fn perform(&self, call: &Call) -> Result<Output, Failure> {
        // Strings, numbers and paths always serialise.
        let body = serde_json::to_vec(call).unwrap_or_default();
        let (status, answer) = self.ask("POST", "/api/v1/commands", &body).await?;
        if status == 200
            && let Ok(output) = serde_json::from_slice(&answer)
        {
            return Ok(output);
        }
        let error: Option<ErrorBody> = serde_json::from_slice(&answer).ok();
        match error {
            Some(error) if !is_unknown(status, &error) => Err(self.refused(status, &error)),
            _ => Err(self.other().await),
        }
    }

    /// What a server says of the asking itself is told with its address; the rest is what the command would say.
    fn refused(&self, status: u16, error: &ErrorBody) -> Failure {
        let number = error.code.parse().unwrap_or(if status < 500 { code::REFUSED } else { code::FAILED });
        let remedy = error.remedy.as_ref().map_or_else(String::new, |remedy| format!(": {remedy}"));
        let of_asking = Kind::ALL.iter().find(|kind| kind.code() == number.to_string());
        let message = match of_asking {
            None | Some(Kind::Refused | Kind::Failed | Kind::Missing) => format!("{}{remedy}", error.message),
            Some(Kind::Unauthorized) if self.token.is_none() => format!(
                "the server {} wants a token: give it by ZENITH_TOKEN or --server-token-file",
                self.url
            ),
            Some(Kind::Unauthorized) => format!(
                "the server {} does not know the token: it has to be one of its token file, as that was when it started",
                self.url
            ),
            Some(_) => format!("the server {}: {}{remedy}", self.url, error.message),
        };
        // Several sentences begin a line of the command each.
        let message = match number {
            code::CONFIGURATION | code::NAMES | code::PATTERNS => message.replace('\n', "\nzenith: "),
            _ => message,
        };
        Failure::Known { code: number, input: status < 500, message }
    }

    /// Whatever is there does not understand the command.
    async fn other(&self) -> Failure {
        let url = &self.url;
        let told = self.ask("GET", "/api/v1/server", &[]).await;
        let version = told.ok().and_then(|(_, answer)| {
            let told: Value = serde_json::from_slice(&answer).ok()?;
            told["version"].as_str().map(str::to_owned)
        });
        let ours = env!("CARGO_PKG_VERSION");
        let sentence = match version {
            Some(theirs) => format!(
                "the server {url} is Zenith {theirs}, and does not understand this command of Zenith {ours}: use the same \
                 version at both ends"
            ),
            None => format!(
                "what answers at {url} is no server of Zenith, or one of another version: check the address"
            ),
        };
        Failure::known(code::OTHER_VERSION, sentence)
    }

    /// A request, and status and body of its answer.
    async fn ask(&self, method: &str, path: &str, body: &[u8]) -> Result<(u16, Vec<u8>), Failure> {
        let answer = tokio::time::timeout(ANSWERED_WITHIN, self.exchange(method, path, body)).await;
        let bytes =
            answer.map_err(|_| self.away(&format!("no answer within {} s", ANSWERED_WITHIN.as_secs())))??;
        parsed(&bytes).ok_or_else(|| {
            let sentence = format!(
                "what answers at {} does not speak HTTP: check the address, and http or https",
                self.url
            );
            Failure::known(code::OTHER_VERSION, sentence)
        })
    }

    async fn exchange(&self, method: &str, path: &str, body: &[u8]) -> Result<Vec<u8>, Failure> {
        let dialer = Dialer { tls: self.tls.clone(), timeout: CONNECT_WITHIN, keepalive: true };
        let mut stream = dialer.dial(&self.address).await.map_err(|error| match error {
            NetError::Tls(error) => {
                let sentence = format!(
                    "no TLS with the server {}: {error}; name the file of its authority (--server-ca), or check the name in \
                     the address",
                    self.url
                );
                Failure::known(code::SERVER_TLS, sentence)
            }
            error => self.away(&error.to_string()),
        })?;
        let token = self
            .token
            .as_ref()
            .map_or_else(String::new, |Token(token)| format!("Authorization: Bearer {token}\r\n"));
        let head = format!(
            "{method} {}{path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n{token}\r\n",
            self.path,
            self.host,
            body.len()
        );
        let broken = |error: std::io::Error| self.away(&format!("the connection broke: {error}"));
        // It may answer before it has read everything, as where a body is too large.
        let sent = stream.write_all(&[head.as_bytes(), body].concat()).await;
        let flushed = stream.flush().await;
        let mut answer = Vec::new();
        let read = (&mut stream).take(ANSWER_MAX).read_to_end(&mut answer).await;
        if answer.is_empty() {
            sent.and(flushed).map_err(broken)?;
            read.map_err(broken)?;
            return Err(self.away("it closed the connection without an answer"));
        }
        Ok(answer)
    }

    fn away(&self, reason: &str) -> Failure {
        let sentence = format!(
            "the server {} does not answer: {reason}; check that `zenith serve` runs there, and host and port",
            self.url
        );
        Failure::known(code::SERVER_AWAY, sentence)
    }

    /// Whether a failure may be over soon.
    #[must_use]
    pub fn is_away(failure: &Failure) -> bool {
        failure.code() == code::SERVER_AWAY
    }
}

/// An older server has no such path; one that knows fewer commands cannot read the body.
fn is_unknown(status: u16, error: &ErrorBody) -> bool {
    let is = |kind: Kind| error.code == kind.code();
    (status == 404 && is(Kind::Missing) && error.message.contains("/api/v1/commands"))
        || is(Kind::Malformed)
        || error.code.parse::<Code>().is_err()
}

/// Status and body of an answer, whole or in chunks; `None` if it is none, or was cut short.
fn parsed(bytes: &[u8]) -> Option<(u16, Vec<u8>)> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut answer = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = answer.parse(bytes).ok()? else { return None };
    let status = answer.code?;
    let value = |name: &str| {
        let header = answer.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(header.value).ok().map(str::trim)
    };
    let body = bytes.get(head..)?;
    if value("transfer-encoding").is_some_and(|encoding| encoding.eq_ignore_ascii_case("chunked")) {
        return Some((status, unchunked(body)?));
    }
    let length = value("content-length").and_then(|length| length.parse().ok()).unwrap_or(body.len());
    Some((status, body.get(..length)?.to_vec()))
}

fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let httparse::Status::Complete((head, size)) = httparse::parse_chunk_size(rest).ok()? else {
            return None;
        };
        let size = usize::try_from(size).ok()?;
        if size == 0 {
            return Some(body);
        }
        let end = head.checked_add(size)?;
        body.extend_from_slice(rest.get(head..end)?);
        rest = rest.get(end.checked_add(2)?..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_mistakes_show_no_secrets() {
        let client = |url| Client::new(url, None, None).unwrap();
        let of = |url| (client(url).address.to_string(), client(url).tls.is_some(), client(url).path);
        let text = str::to_owned;
        assert_eq!(of("http://127.0.0.1:8470"), (text("127.0.0.1:8470"), false, String::new()));
        assert_eq!(of("https://zenith.example/"), (text("zenith.example:443"), true, String::new()));
        assert_eq!(of("localhost"), (text("localhost:8470"), false, String::new()));
        assert_eq!(of("http://[::1]:80/zenith/"), (text("[::1]:80"), false, text("/zenith")));
        for wrong in ["", "ftp://a", "http://", "http://a:b", "http://a b", "http://a/?x"] {
            assert_eq!(Client::new(wrong, None, None).unwrap_err().code(), code::SERVER_ADDRESS, "{wrong}");
        }
        let failure = Client::new("ftp://me:secret@host", None, None).unwrap_err();
        assert!(!failure.message().contains("secret"), "{failure:?}");
        assert!(!format!("{:?}", Token::new("0123456789abcdef", "it").unwrap()).contains("0123"));
        assert!(Token::new("two words", "it").is_err() && Token::new("a\r\nX: y", "it").is_err());
    }

    #[test]
    fn only_a_near_server_is_told_a_token_in_the_clear() {
        let shows = |url| {
            Client::new(url, Some(Token::new("0123456789abcdef", "it").unwrap()), None).unwrap().shows_token()
        };
        assert!(
            shows("http://zenith.example:8470")
                && shows("http://10.0.0.1")
                && shows("http://127.evil.example")
        );
        assert!(!shows("https://zenith.example") && !shows("http://127.0.0.1:8470") && !shows("localhost"));
    }

    #[test]
    fn answers_are_read_whole_and_in_chunks() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(parsed(whole), Some((200, b"{}".to_vec())));
        let chunked =
            b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        assert_eq!(parsed(chunked), Some((404, b"abcde".to_vec())));
        assert_eq!(parsed(&whole[..whole.len() - 1]), None);
        assert_eq!(parsed(&chunked[..chunked.len() - 8]), None);
        assert_eq!(parsed(b"SSH-2.0-OpenSSH\r\n"), None);
    }
}
