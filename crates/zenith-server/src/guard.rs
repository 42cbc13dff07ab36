//! What every request has to pass: who may ask by which name of this server, and from which page.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::error::{ApiError, Kind};
use crate::server::Server;

/// Where a request comes from, as browsers say it of each.
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// The stream of events, which does not end by itself.
const EVENTS: &str = "/api/v1/events";
/// How long a request may take that is not a stream.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);
/// What the page may load and do.
const POLICY: &str =
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Refuses what is foreign, bounds the time of an answer, and says to browsers what the page may do.
pub async fn guard(State(server): State<Server>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or(Ipv4Addr::LOCALHOST.into(), |ConnectInfo(peer)| peer.ip());
    let mut response = match allowed(request.headers(), &method, &server.options.hosts) {
        Err(error) => error.into_response(),
        Ok(()) if path.starts_with("/api/") && !server.may_answer(peer) => {
            ApiError::new(Kind::TooMany, "the API is asked too often")
                .remedy("ask again in a second")
                .into_response()
        }
        Ok(()) if path == EVENTS => next.run(request).await,
        // What changes something goes on to its end, also where nobody waits for the answer any more.
        Ok(()) => match tokio::time::timeout(ANSWERED_WITHIN, tokio::spawn(next.run(request))).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                tracing::error!(%error, path, "a handler ended unexpectedly; please report this");
                ApiError::new(Kind::Failed, "the handler ended unexpectedly; please report this")
                    .into_response()
            }
            Err(_) => ApiError::new(
                Kind::Timeout,
                format!(
                    "{method} {path} was not answered within {} s, and goes on",
                    ANSWERED_WITHIN.as_secs()
                ),
            )
            .into_response(),
        },
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    server.count(&method, response.status());
    response
}

fn allowed(headers: &HeaderMap, method: &Method, hosts: &[String]) -> Result<(), ApiError> {
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?").to_owned());
    let host = text(&HOST).unwrap_or_default();
    let name = name_of(&host);
    let is_ours =
        name == "localhost" || name.parse::<IpAddr>().is_ok() || hosts.iter().any(|host| host == name);
    if !is_ours {
        return Err(ApiError::new(
            Kind::Foreign,
            format!("this server is not asked by the name {name:?}, as it may be that of somebody else"),
        )
        .remedy("ask by its IP address or localhost, or start zenith serve with --allow-host NAME"));
    }
    if method.is_safe() {
        return Ok(());
    }
    if let Some(origin) = text(&ORIGIN) {
        let of = origin.split_once("://").map_or("", |(_, host)| host);
        if of != host {
            return Err(ApiError::new(Kind::Foreign, format!("a page of {origin} may change nothing here")));
        }
    }
    // A browser says one of both; what says neither is none, and carries nobody's rights but its own.
    if let Some(site) = text(&SITE).filter(|site| site != "same-origin" && site != "none") {
        return Err(ApiError::new(
            Kind::Foreign,
            format!("a page of another site ({site}) may change nothing here"),
        ));
    }
    Ok(())
}

/// The name in `name:port` and `[address]:port`.
fn name_of(host: &str) -> &str {
    if let Some((address, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address;
    }
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(method: &Method, headers: &[(HeaderName, &'static str)]) -> bool {
        let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        allowed(&headers.collect(), method, &["zenith.example".to_owned()]).is_ok()
    }

    #[test]
    fn only_own_names_are_answered() {
        for host in ["localhost:8470", "127.0.0.1", "[::1]:8470", "10.1.2.3:80", "zenith.example:443"] {
            assert!(ask(&Method::GET, &[(HOST, host)]), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example:8470", "", "zenith.example.evil:1"] {
            assert!(!ask(&Method::GET, &[(HOST, host)]), "{host}");
        }
    }

    #[test]
    fn other_pages_change_nothing() {
        let host = (HOST, "localhost:8470");
        let asks = |more: (HeaderName, &'static str)| ask(&Method::POST, &[host.clone(), more]);
        assert!(ask(&Method::POST, std::slice::from_ref(&host)), "no browser");
        assert!(asks((ORIGIN, "http://localhost:8470")) && asks((SITE, "same-origin")));
        assert!(!asks((ORIGIN, "http://evil.example")) && !asks((ORIGIN, "null")));
        assert!(!asks((ORIGIN, "http://localhost:8471")));
        assert!(!asks((SITE, "cross-site")) && !asks((SITE, "same-site")));
        assert!(ask(&Method::GET, &[host, (ORIGIN, "http://evil.example")]));
    }
}
