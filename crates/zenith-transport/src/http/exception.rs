//! Exceptions of ClickHouse as its HTTP interface reports them.
//!
//! Before the first byte of a result: an error status, the header `X-ClickHouse-Exception-Code`, the text
//! in the body. After it, the status is 200 already, and the exception is in the body: since 25.11 between
//! `__exception__` marks with a random tag that a header announces, before that as bare text at the end.

use super::response::Response;

/// An exception as it was reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exception {
    pub(crate) code: u32,
    pub(crate) name: String,
    pub(crate) text: String,
}

const MARK: &[u8] = b"__exception__";
/// Text of an exception beyond this is cut off: it may quote data at length.
const TEXT_CHARS_MAX: usize = 1000;
/// Where in a body without marks an exception is looked for, in bytes from its end.
const TAIL_BYTES: usize = 16 * 1024;

impl Exception {
    /// The exception in a response, if there is one.
    pub(crate) fn find(response: &Response) -> Option<Exception> {
        let code =
            response.headers.get("x-clickhouse-exception-code").and_then(|code| code.trim().parse().ok());
        if let Some(code) = code {
            let found = Exception::parse(&String::from_utf8_lossy(&response.body));
            return Some(Exception { code, ..found });
        }
        let text = match response.status {
            200 => late_text(response)?,
            _ => String::from_utf8_lossy(&response.body).into_owned(),
        };
        Some(Exception::parse(&text)).filter(|exception| exception.code != 0)
    }

    /// Reads `Code: 60. DB::Exception: Table … (UNKNOWN_TABLE) (version 26.7.2.1)`.
    pub(crate) fn parse(text: &str) -> Exception {
        let text = text.trim();
        let (code, rest) = text
            .strip_prefix("Code: ")
            .and_then(|rest| rest.split_once('.'))
            .and_then(|(code, rest)| Some((code.trim().parse().ok()?, rest)))
            .unwrap_or((0, text));
        let mut rest = rest.trim().strip_prefix("DB::Exception: ").unwrap_or(rest.trim());
        if let Some(start) = rest.rfind(" (version ") {
            rest = rest[..start].trim_end();
        }
        let mut name = "";
        if let Some((before, last)) = rest.strip_suffix(')').and_then(|rest| rest.rsplit_once('(')) {
            let is_name = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
            if !last.is_empty() && last.bytes().all(is_name) {
                (name, rest) = (last, before.trim_end());
            }
        }
        Exception { code, name: name.to_owned(), text: brief(rest) }
    }
}

/// The text of an exception on one line and not too long, without a full stop.
pub(crate) fn brief(text: &str) -> String {
    let text = text.trim_end_matches('.');
    let mut cut: String =
        text.chars().take(TEXT_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}

/// The text of an exception that came after the status line.
fn late_text(response: &Response) -> Option<String> {
    let tail = &response.body[response.body.len().saturating_sub(TAIL_BYTES)..];
    let text = match response.headers.get("x-clickhouse-exception-tag") {
        Some(tag) => {
            let mark = [MARK, b"\r\n", tag.trim().as_bytes(), b"\r\n"].concat();
            let start = tail.windows(mark.len()).position(|window| window == mark)? + mark.len();
            let end = tail[start..].windows(MARK.len()).position(|window| window == MARK);
            let text = &tail[start..end.map_or(tail.len(), |end| start + end)];
            // Between text and mark stands one more line: the length of the text and the tag.
            let text = String::from_utf8_lossy(text).trim_end().to_owned();
            match text.rsplit_once('\n') {
                Some((text, length)) if length.trim().ends_with(tag.trim()) => text.to_owned(),
                _ => text,
            }
        }
        None => {
            // Data may quote exceptions too, so only a body that ends in one counts.
            let text = String::from_utf8_lossy(tail);
            let start = text.rfind("Code: ")?;
            let found = text[start..].trim_end();
            if !found.contains("DB::Exception: ") || !found.ends_with(')') {
                return None;
            }
            found.to_owned()
        }
    };
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::response::Decoder;

    fn find(bytes: &[u8]) -> Option<Exception> {
        let mut decoder = Decoder::new(10_000);
        decoder.feed(bytes).unwrap();
        decoder.end();
        Exception::find(&decoder.into_response())
    }

    #[test]
    fn code_name_and_text_are_told_apart() {
        let parsed = Exception::parse(
            "Code: 60. DB::Exception: Table d.t (x) does not exist. (UNKNOWN_TABLE) (version 26.7.2.1 (official build))\n",
        );
        assert_eq!(
            (parsed.code, &*parsed.name, &*parsed.text),
            (60, "UNKNOWN_TABLE", "Table d.t (x) does not exist")
        );
        assert_eq!(Exception::parse("nonsense").code, 0);
        assert_eq!(Exception::parse("Code: x. y").code, 0);
    }

    #[test]
    fn the_header_decides_the_code() {
        let found = find(b"HTTP/1.1 500 E\r\nX-ClickHouse-Exception-Code: 252\r\n\r\nCode: 252. DB::Exception: Too many parts. (TOO_MANY_PARTS)").unwrap();
        assert_eq!((found.code, &*found.text), (252, "Too many parts"));
        assert_eq!(find(b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>"), None);
    }

    #[test]
    fn a_late_exception_is_found_by_its_tag() {
        let found = find(
            b"HTTP/1.1 200 OK\r\nX-ClickHouse-Exception-Tag: abcdef\r\n\r\n1\n2\n\r\n__exception__\r\nabcdef\r\n\
              Code: 395. DB::Exception: boom. (FUNCTION_THROW_IF_VALUE_IS_NON_ZERO)\n70 abcdef\r\n__exception__\r\n",
        );
        assert_eq!(found.map(|found| (found.code, found.text)), Some((395, "boom".to_owned())));
    }

    #[test]
    fn a_late_exception_of_older_servers_is_found_at_the_end() {
        let found =
            find(b"HTTP/1.1 200 OK\r\n\r\n1\nCode: 395. DB::Exception: boom. (A_NAME) (version 24.8.1.1)\n");
        assert_eq!(found.map(|found| found.code), Some(395));
        assert_eq!(find(b"HTTP/1.1 200 OK\r\n\r\nCode: 1. DB::Exception: quoted (X)\nand more rows\n"), None);
    }
}
