//! The head of a request: where to, which settings, who we are.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::form_urlencoded;

use crate::Target;
use crate::statement::Statement;

/// How the body of a request is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// So many bytes, as they are.
    Bytes(usize),
    /// In chunks, compressed as this `Content-Encoding` says: how long that gets is known at its end.
    Chunks(&'static str),
}

/// The bytes before the body of a request that carries `statement`.
///
/// The statement itself is in the body, or, with `in_address`, before it.
pub(super) fn head(statement: &Statement, target: &Target, in_address: bool, length: Length) -> Vec<u8> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    if statement.in_database {
        query.append_pair("database", &target.database);
    }
    query.extend_pairs(&target.settings);
    if in_address {
        query.append_pair("query", &statement.sql);
    }
    if !statement.query_id.is_empty() {
        query.append_pair("query_id", &statement.query_id);
    }
    query.extend_pairs(&statement.settings);
    for (name, value) in &statement.parameters {
        query.append_pair(&format!("param_{name}"), value);
    }
    let mut head = format!(
        "POST /?{} HTTP/1.1\r\nHost: {}\r\nUser-Agent: zenith/{}\r\n",
        query.finish(),
        target.address(),
        env!("CARGO_PKG_VERSION"),
    );
    match length {
        Length::Bytes(bytes) => head.push_str(&format!("Content-Length: {bytes}\r\n")),
        Length::Chunks(encoding) => {
            head.push_str(&format!("Transfer-Encoding: chunked\r\nContent-Encoding: {encoding}\r\n"));
        }
    }
    if is_header_value(&target.user) && is_header_value(target.password()) {
        head.push_str(&format!("X-ClickHouse-User: {}\r\n", target.user));
        head.push_str(&format!("X-ClickHouse-Key: {}\r\n", target.password()));
    } else {
        // A header line takes printable ASCII only; Basic authentication takes anything.
        let both = STANDARD.encode(format!("{}:{}", target.user, target.password()));
        head.push_str(&format!("Authorization: Basic {both}\r\n"));
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// Whether a header line carries the text unchanged.
fn is_header_value(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~')) && text.trim() == text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head_for(address: &str, in_address: bool, length: Length) -> String {
        let statement = Statement::new("asking", "SELECT 1").set("async_insert", "0").parameter("p", "a&\\b");
        let target = Target::parse(address).unwrap();
        String::from_utf8(head(&statement, &target, in_address, length)).unwrap()
    }

    #[test]
    fn credentials_stand_in_headers_only() {
        let head = head_for("http://me:p%20w@h/d", false, Length::Bytes(8));
        assert!(
            head.starts_with("POST /?async_insert=0&param_p=a%26%5C%5Cb HTTP/1.1\r\nHost: h:8123\r\n"),
            "{head}"
        );
        assert!(head.contains("\r\nX-ClickHouse-User: me\r\nX-ClickHouse-Key: p w\r\n"), "{head}");
        assert!(head.contains("\r\nContent-Length: 8\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    }

    #[test]
    fn credentials_cannot_break_the_head() {
        let head = head_for("http://me:p%0D%0AX-Evil:%20y@h/d", false, Length::Bytes(0));
        assert!(!head.contains("Evil") && head.contains("Authorization: Basic "), "{head}");
    }

    #[test]
    fn a_compressed_body_comes_in_chunks() {
        let head = head_for("http://h/d", true, Length::Chunks("zstd"));
        assert!(head.starts_with("POST /?query=SELECT+1&async_insert=0&"), "{head}");
        assert!(head.contains("\r\nTransfer-Encoding: chunked\r\nContent-Encoding: zstd\r\n"), "{head}");
        assert!(!head.contains("Content-Length"), "{head}");
    }
}
