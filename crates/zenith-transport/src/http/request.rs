//! The head of a request: where to, which settings, who we are.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::form_urlencoded;

use crate::Target;
use crate::frame::Frame;

/// A request to ClickHouse.
#[derive(Debug)]
pub(crate) struct Request {
    /// What is being done, for error messages: "inserting 10 rows into `db`.`t`".
    pub(crate) doing: String,
    /// Settings and parameters, as they stand in the address.
    pub(crate) settings: Vec<(String, String)>,
    /// Whether names without a database mean the target's.
    pub(crate) in_database: bool,
    /// What is sent.
    pub(crate) body: Frame,
    /// How large the answer's body may be.
    pub(crate) answer_bytes_max: usize,
}

impl Request {
    /// A statement, sent as the body.
    pub(crate) fn statement(doing: impl Into<String>, sql: &str) -> Request {
        Request {
            doing: doing.into(),
            settings: Vec::new(),
            in_database: false,
            body: Frame::from_bytes(sql.as_bytes().to_vec()),
            answer_bytes_max: 1024 * 1024,
        }
    }

    /// Adds a setting.
    pub(crate) fn set(mut self, name: &str, value: impl Into<String>) -> Request {
        self.settings.push((name.to_owned(), value.into()));
        self
    }

    /// Gives `{name:Type}` in the statement its value.
    pub(crate) fn parameter(self, name: &str, value: &str) -> Request {
        self.set(&format!("param_{name}"), escaped_parameter(value))
    }

    /// The bytes before the body.
    pub(crate) fn head(&self, target: &Target) -> Vec<u8> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if self.in_database {
            query.append_pair("database", &target.database);
        }
        query.extend_pairs(&target.settings).extend_pairs(&self.settings);
        let mut head = format!(
            "POST /?{} HTTP/1.1\r\nHost: {}\r\nUser-Agent: zenith/{}\r\nContent-Length: {}\r\n",
            query.finish(),
            target.address(),
            env!("CARGO_PKG_VERSION"),
            self.body.bytes,
        );
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
}

/// Whether a header line carries the text unchanged.
fn is_header_value(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~')) && text.trim() == text
}

/// ClickHouse reads the value of a parameter as an escaped TSV field.
fn escaped_parameter(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('\t', "\\t")
        .replace('\n', "\\n")
        .replace('\r', "\\r")
        .replace('\0', "\\0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(address: &str) -> String {
        let request =
            Request::statement("asking", "SELECT 1").set("async_insert", "0").parameter("p", "a&\\b");
        String::from_utf8(request.head(&Target::parse(address).unwrap())).unwrap()
    }

    #[test]
    fn credentials_stand_in_headers_only() {
        let head = head("http://me:p%20w@h/d");
        assert!(
            head.starts_with("POST /?async_insert=0&param_p=a%26%5C%5Cb HTTP/1.1\r\nHost: h:8123\r\n"),
            "{head}"
        );
        assert!(head.contains("\r\nX-ClickHouse-User: me\r\nX-ClickHouse-Key: p w\r\n"), "{head}");
        assert!(head.contains("\r\nContent-Length: 8\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    }

    #[test]
    fn credentials_cannot_break_the_head() {
        let head = head("http://me:p%0D%0AX-Evil:%20y@h/d");
        assert!(!head.contains("Evil") && head.contains("Authorization: Basic "), "{head}");
    }
}
