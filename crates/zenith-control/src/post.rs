//! One body sent to an address over HTTP, for those who are told something: no redirects, no cookies, one connection each.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use url::{Host, Url};
use zenith_engine::sentence;
use zenith_net::{Address, Dialer, Tls, TlsFiles};

/// How long all of it may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Characters that a part of an address has at least which could be a secret.
const SECRET_MIN: usize = 6;
/// Bytes of an answer that an error quotes.
const QUOTED_MAX: usize = 200;

/// Why a body was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untaken {
    /// One sentence without the address.
    pub sentence: String,
    /// The answer, if there was one.
    pub status: Option<u16>,
}

impl Untaken {
    /// Whether it is this body that is refused, however often it is sent, and neither the address nor the moment.
    #[must_use]
    pub fn is_about_body(&self) -> bool {
        self.status.is_some_and(|status| {
            (400..500).contains(&status) && !matches!(status, 401 | 403..=405 | 407 | 408 | 410 | 425 | 429)
        })
    }
}

impl From<String> for Untaken {
    fn from(sentence: String) -> Untaken {
        Untaken { sentence, status: None }
    }
}

impl fmt::Display for Untaken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.sentence)
    }
}

impl std::error::Error for Untaken {}

/// Where bodies are sent. The address may be a secret, and is in no error.
#[derive(Clone)]
pub struct Endpoint {
    address: Address,
    dialer: Dialer,
    host: String,
    path: String,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Endpoint")
    }
}

impl Endpoint {
    /// Understands an address of `http` or `https`; `what` names it in errors.
    ///
    /// # Errors
    /// One sentence without the address.
    pub fn new(url: &str, ca_file: Option<&Path>, what: &str) -> Result<Endpoint, String> {
        let url = Url::parse(url.trim()).map_err(|error| format!("{what} is no URL: {error}"))?;
        let tls = match url.scheme() {
            "http" => None,
            "https" => {
                let files = TlsFiles { ca_file: ca_file.map(Path::to_owned), ..TlsFiles::default() };
                Some(Tls::new(&files).map_err(|error| format!("{what}: {}", sentence(&error)))?)
            }
            _ => return Err(format!("{what} begins with neither http:// nor https://")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(format!(
                "{what} has a user or a password before its host, which is not sent: leave it out"
            ));
        }
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(format!("{what} has no host"));
        };
        let name = match host {
            Host::Ipv6(address) => address.to_string(),
            host => host.to_string(),
        };
        let host = url.host_str().unwrap_or_default();
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let path =
            url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        let dialer = Dialer { tls, timeout: TIMEOUT, keepalive: false };
        Ok(Endpoint { address: Address::tcp(name, port), dialer, host, path })
    }

    /// Sends a body, and waits until it has been taken.
    ///
    /// # Errors
    /// Why it was not.
    pub async fn post(
        &self,
        content_type: &str,
        headers: &[(String, String)],
        body: Vec<u8>,
    ) -> Result<(), Untaken> {
        let sending = self.exchange(content_type, headers, body);
        match tokio::time::timeout(TIMEOUT, sending).await {
            Ok(done) => done,
            Err(_) => Err(format!("no answer within {} s", TIMEOUT.as_secs()).into()),
        }
    }

    async fn exchange(
        &self,
        content_type: &str,
        headers: &[(String, String)],
        body: Vec<u8>,
    ) -> Result<(), Untaken> {
        let mut request = Request::post(&self.path)
            .header(HOST, &self.host)
            .header(USER_AGENT, concat!("zenith/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, content_type);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        // What hyper would say of it may have parts of it.
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(|_| "the address or a header has characters that cannot be sent".to_owned())?;
        let stream = self.dialer.dial(&self.address).await.map_err(|error| sentence(&error))?;
        let broken = |error: hyper::Error| format!("the connection broke: {}", sentence(&error));
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let connection = tokio::spawn(connection);
        let answered = async { self.answer(sender.send_request(request).await.map_err(broken)?).await };
        let answered = answered.await;
        connection.abort();
        answered
    }

    async fn answer(&self, response: Response<Incoming>) -> Result<(), Untaken> {
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let mut quoted = quoted(response.into_body()).await;
        if quoted.is_empty() || self.is_told_by(&quoted) {
            quoted.clear();
        } else {
            quoted = format!(" ({quoted})");
        }
        let hint = match status {
            StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => {
                ": is its address still right?"
            }
            _ => "",
        };
        let sentence = format!("the answer is {}{quoted}{hint}", status.as_u16());
        Err(Untaken { sentence, status: Some(status.as_u16()) })
    }

    /// Whether a text has some part of the path or the query that may be secret.
    fn is_told_by(&self, text: &str) -> bool {
        let parts = self.path.split(['/', '?', '&', '=']);
        parts.filter(|part| part.len() >= SECRET_MIN).any(|part| text.contains(part))
    }
}

/// The first line of an answer, as far as it can be read.
async fn quoted(mut body: Incoming) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < QUOTED_MAX
        && let Some(Ok(frame)) = body.frame().await
    {
        bytes.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
    }
    bytes.truncate(QUOTED_MAX);
    let text = String::from_utf8_lossy(&bytes);
    text.lines().next().unwrap_or_default().chars().filter(|character| !character.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, Untaken};

    #[test]
    fn a_body_that_is_refused_is_told_from_an_address_and_from_a_moment() {
        let is_about_body = |status| Untaken { sentence: String::new(), status }.is_about_body();
        for status in [400, 413, 415, 422] {
            assert!(is_about_body(Some(status)), "{status}");
        }
        for status in [302, 401, 403, 404, 405, 408, 410, 429, 500, 503] {
            assert!(!is_about_body(Some(status)), "{status}");
        }
        assert!(!is_about_body(None));
    }

    #[test]
    fn addresses_are_understood_and_not_told() {
        let new = |url: &str| Endpoint::new(url, None, "the address of the webhook team");
        let endpoint = new("https://hooks.example/services/SECRET?a=b\n").unwrap();
        assert_eq!(
            (endpoint.host.as_str(), endpoint.path.as_str()),
            ("hooks.example", "/services/SECRET?a=b")
        );
        assert_eq!(endpoint.address.to_string(), "hooks.example:443");
        let endpoint = new("http://[::1]:99/x").unwrap();
        assert_eq!(
            (endpoint.address.to_string(), endpoint.host.as_str()),
            ("[::1]:99".to_owned(), "[::1]:99")
        );
        assert_eq!(format!("{endpoint:?}"), "Endpoint");
        let hook = new("https://hooks.example/services/T0/SECRET?key=HIDDEN").unwrap();
        for (told, is_secret) in [
            (r#"{"status":404,"path":"/services/T0/SECRET"}"#, true),
            ("no key HIDDEN here", true),
            ("no_team", false),
        ] {
            assert_eq!(hook.is_told_by(told), is_secret, "{told}");
        }
        for wrong in ["SECRET", "ftp://h/SECRET", "http://u:SECRET@h/", "http:///", "https://h:99999/SECRET"]
        {
            let error = new(wrong).unwrap_err();
            assert!(
                error.starts_with("the address of the webhook team") && !error.contains("SECRET"),
                "{error}"
            );
        }
    }
}
