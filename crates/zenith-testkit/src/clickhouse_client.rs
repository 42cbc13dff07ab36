//! Asks ClickHouse questions over plain HTTP: one connection a question, no settings of its own choice.
//!
//! Independent of the transport under test on purpose: an error there must not hide in the check of its result.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

use crate::error::{Error, Result};

/// Where a ClickHouse is, as whom to ask, and in which database.
#[derive(Clone, Debug)]
pub struct ClickHouse {
    host: String,
    port: u16,
    user: String,
    password: String,
    database: String,
}

impl ClickHouse {
    /// The server at this address, as the user `default` without a password, in the database `default`.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Self {
        Self {
            host: host.to_owned(),
            port,
            user: "default".to_owned(),
            password: String::new(),
            database: "default".to_owned(),
        }
    }

    /// Parses `http://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE]`; the port is 8123 when not given.
    pub fn from_url(text: &str) -> Result<Self> {
        let malformed = |why: &str| Error::Malformed(format!("{text:?} is not a ClickHouse address: {why}"));
        let url = Url::parse(text).map_err(|error| malformed(&error.to_string()))?;
        if url.scheme() != "http" {
            return Err(malformed("the test kit speaks plain http only"));
        }
        let host = url.host_str().ok_or_else(|| malformed("no host"))?;
        // The url crate takes port 80 for the default of http and then says there is none.
        let mut client = Self::new(host, url.port().unwrap_or(8123));
        if !url.username().is_empty() {
            client = client.with_user(&decoded(url.username()), &decoded(url.password().unwrap_or_default()));
        }
        match url.path().trim_matches('/') {
            "" => Ok(client),
            database => Ok(client.with_database(&decoded(database))),
        }
    }

    /// The same server as another user.
    #[must_use]
    pub fn with_user(mut self, user: &str, password: &str) -> Self {
        (self.user, self.password) = (user.to_owned(), password.to_owned());
        self
    }

    /// The same server in another database.
    #[must_use]
    pub fn with_database(mut self, database: &str) -> Self {
        database.clone_into(&mut self.database);
        self
    }

    /// The database questions are asked in.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Host of the server.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// HTTP port of the server.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address with user, password and database, as [`from_url`](Self::from_url) takes it.
    #[must_use]
    pub fn url(&self) -> String {
        let mut login = String::new();
        if self.user != "default" || !self.password.is_empty() {
            login = format!("{}:{}@", encoded(&self.user), encoded(&self.password));
        }
        format!("http://{login}{}:{}/{}", self.host, self.port, encoded(&self.database))
    }

    /// Whether the server answers `/ping`.
    pub async fn ping(&self) -> Result<()> {
        self.exchange("GET", "/ping", &[]).await.map(drop)
    }

    /// Runs one statement; its answer as text without the last line end (TabSeparated unless it names a format).
    pub async fn query(&self, sql: &str) -> Result<String> {
        let bytes = self.query_bytes(sql).await?;
        let mut text = String::from_utf8(bytes)
            .map_err(|_| Error::Malformed(format!("the answer to {sql:?} is not text: ask for its bytes")))?;
        if text.ends_with('\n') {
            text.pop();
        }
        Ok(text)
    }

    /// Runs one statement; its answer as it came.
    pub async fn query_bytes(&self, sql: &str) -> Result<Vec<u8>> {
        // Whole answers only: otherwise an error in the middle comes after the status has promised success.
        let path = format!("/?database={}&wait_end_of_query=1", encoded(&self.database));
        self.exchange("POST", &path, sql.as_bytes()).await
    }

    /// Runs an `INSERT … FORMAT …` with the data that belongs to it, as one synchronous insert.
    pub async fn insert(&self, sql: &str, data: &[u8]) -> Result<()> {
        let path = format!("/?database={}&async_insert=0&query={}", encoded(&self.database), encoded(sql));
        self.exchange("POST", &path, data).await.map(drop)
    }

    /// Creates a database with the engine Atomic, which exchanging tables needs and `default` need not have, and
    /// returns the client for it. No error if it exists.
    pub async fn create_database(&self, name: &str) -> Result<Self> {
        self.query(&format!("CREATE DATABASE IF NOT EXISTS {} ENGINE = Atomic", quoted(name))).await?;
        Ok(self.clone().with_database(name))
    }

    /// Drops a database with all its tables and waits until they no longer exist.
    pub async fn drop_database(&self, name: &str) -> Result<()> {
        let server = self.clone().with_database("default");
        server.query(&format!("DROP DATABASE IF EXISTS {} SYNC", quoted(name))).await.map(drop)
    }

    async fn exchange(&self, method: &str, path: &str, body: &[u8]) -> Result<Vec<u8>> {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}:{}\r\nConnection: close\r\nContent-Length: {}\r\n\
             X-ClickHouse-User: {}\r\nX-ClickHouse-Key: {}\r\n\r\n",
            self.host,
            self.port,
            body.len(),
            self.user,
            self.password
        );
        let failed = || Error::io(format!("talk to ClickHouse at {}:{}", self.host, self.port));
        let mut stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(failed())?;
        stream.write_all(head.as_bytes()).await.map_err(failed())?;
        // A server that refuses early closes before it has read everything; its answer says why.
        let sent = stream.write_all(body).await;
        let mut answer = Vec::new();
        let received = stream.read_to_end(&mut answer).await;
        let parsed = parse_answer(&answer);
        if parsed.is_none() {
            sent.and(received.map(drop)).map_err(failed())?;
        }
        let (status, content) = parsed
            .ok_or_else(|| Error::Malformed(format!("{}:{} cut its answer short", self.host, self.port)))?;
        if status == 200 {
            return Ok(content);
        }
        Err(Error::ClickHouse { status, message: String::from_utf8_lossy(&content).trim_end().to_owned() })
    }
}

/// A name as an SQL identifier.
#[must_use]
pub fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

/// Status and body of a complete HTTP/1.1 answer on a connection that was closed after it; `None` if it is cut short.
fn parse_answer(answer: &[u8]) -> Option<(u16, Vec<u8>)> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let body = &answer[end + 4..];
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let header = |name: &str| {
        let mut lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    if header("Transfer-Encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        return Some((status, parse_chunks(body)?));
    }
    match header("Content-Length") {
        Some(length) => Some((status, body.get(..length.parse().ok()?)?.to_vec())),
        None => Some((status, body.to_vec())),
    }
}

fn parse_chunks(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        rest = &rest[end + 2..];
        if size == 0 {
            return Some(content);
        }
        content.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

fn decoded(text: &str) -> String {
    // A plus sign is itself in a path or a user name, and a space in a form.
    let form = text.replace('+', "%2B");
    url::form_urlencoded::parse(form.as_bytes()).map(|(key, _)| key.into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        let client = ClickHouse::from_url("http://al%20ice:s%2Bcret@h:99/my%20db").unwrap();
        assert_eq!((client.user.as_str(), client.password.as_str()), ("al ice", "s+cret"));
        assert_eq!((client.host(), client.port(), client.database()), ("h", 99, "my db"));
        assert_eq!(ClickHouse::from_url(&client.url()).unwrap().url(), client.url());
        assert_eq!(ClickHouse::from_url("http://h").unwrap().port(), 8123);
        assert!(ClickHouse::from_url("https://h").is_err());
    }

    #[test]
    fn answers_are_complete_or_nothing() {
        let chunked =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        assert_eq!(parse_answer(chunked).unwrap(), (200, b"abcde".to_vec()));
        assert!(parse_answer(&chunked[..chunked.len() - 6]).is_none());
        let sized = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno";
        assert_eq!(parse_answer(sized).unwrap(), (404, b"no".to_vec()));
        assert!(parse_answer(&sized[..sized.len() - 1]).is_none());
    }
}
