//! A `zenith serve` under test, and a plain client of it.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::Child;

use crate::home::{Home, stop};

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(70);

/// A server that listens.
pub struct Serving {
    pub child: Child,
    pub address: String,
    token: Option<String>,
}

/// An answer, with its head.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The code of the error it is.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl Serving {
    /// Starts a server on a port of its own, and waits until it listens.
    pub async fn start(home: &Home, arguments: &[&str]) -> Serving {
        let mut command = home.command(&[&["serve", "--listen", "127.0.0.1:0"], arguments].concat());
        let mut child = command.stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = loop {
            let line = lines.next_line().await.unwrap().expect("it ended before it listened");
            // The tests of the page want it; these do not.
            if let Some((_, address)) = line.split_once(" is at http") {
                break address.trim().split_once("://").unwrap().1.to_owned();
            }
        };
        // Whatever else it says is read, so that it never waits for that.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Serving { child, address, token: None }
    }

    pub fn with_token(mut self, token: &str) -> Serving {
        self.token = Some(token.to_owned());
        self
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "").await
    }

    /// A request with a JSON body, or none.
    pub async fn send(&self, method: &str, path: &str, body: &str) -> Answer {
        self.ask(method, path, &["Content-Type: application/json"], body).await
    }

    /// A request with these lines in its head, beside the usual ones that they do not replace.
    pub async fn ask(&self, method: &str, path: &str, lines: &[&str], body: &str) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        let has = |name: &str| lines.iter().any(|line| line.to_lowercase().starts_with(name));
        if !has("host:") {
            head += &format!("Host: {}\r\n", self.address);
        }
        if let Some(token) = self.token.as_ref().filter(|_| !has("authorization:")) {
            head += &format!("Authorization: Bearer {token}\r\n");
        }
        for line in lines {
            head += &format!("{line}\r\n");
        }
        if !has("content-length:") {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        self.raw(format!("{head}\r\n{body}").as_bytes()).await
    }

    /// Bytes as they are, and what comes back until the server closes.
    pub async fn raw(&self, bytes: &[u8]) -> Answer {
        let asked = async {
            let mut stream = TcpStream::connect(&self.address).await.unwrap();
            // It may answer before all has been sent.
            let _ = stream.write_all(bytes).await;
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            answer
        };
        let answer = tokio::time::timeout(TIMEOUT, asked).await.expect("no answer");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        let body = if head.to_lowercase().contains("transfer-encoding: chunked") {
            unchunked(body)
        } else {
            body.to_owned()
        };
        Answer { status, head: head.to_owned(), body }
    }

    /// Server-sent events until `enough` says so of all that has come.
    pub async fn listen(&self, enough: impl Fn(&str) -> bool) -> String {
        let asked = async {
            let mut stream = TcpStream::connect(&self.address).await.unwrap();
            let head = format!("GET /api/v1/events HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
            stream.write_all(head.as_bytes()).await.unwrap();
            let (mut all, mut buffer) = (String::new(), [0; 8192]);
            while !enough(&all) {
                let count = stream.read(&mut buffer).await.unwrap();
                assert!(count > 0, "the stream has ended: {all}");
                all += &String::from_utf8_lossy(&buffer[..count]);
            }
            all
        };
        tokio::time::timeout(TIMEOUT, asked).await.expect("no events")
    }

    pub async fn stop(self) {
        stop(self.child).await.succeeded();
    }
}

fn unchunked(body: &str) -> String {
    let (mut rest, mut all) = (body, String::new());
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 {
            break;
        }
        all += after.get(..size).unwrap_or(after);
        rest = after.get(size + 2..).unwrap_or("");
    }
    all
}
