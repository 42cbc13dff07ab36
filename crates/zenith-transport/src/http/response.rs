//! Reading an HTTP/1.1 response from bytes as they come, without I/O.
//!
//! Sizes are bounded: the head to 64 KiB, a chunk's header and the trailers to 4 KiB each, the body to what
//! the caller allows. How the bytes are cut into pieces makes no difference to the result.

use crate::http::header::Headers;
use crate::socket::exchange::{Answer, Failure};

/// The head of a response, in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Header lines of a response.
const HEADERS_MAX: usize = 64;
/// A chunk's header, in bytes.
const LINE_BYTES_MAX: usize = 4 * 1024;

/// A complete response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
    /// Whether the connection may carry another request.
    pub(crate) reusable: bool,
}

/// What is wrong with a response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("it does not begin with an HTTP response: {0}")]
    Head(#[from] httparse::Error),
    #[error("its head is longer than {HEAD_BYTES_MAX} bytes")]
    HeadTooLong,
    #[error("its Content-Length is not a number")]
    ContentLength,
    #[error("its Transfer-Encoding {0:?} is not known")]
    TransferEncoding(String),
    #[error("a chunk of its body has no valid length")]
    Chunk,
    #[error("its body is longer than {0} bytes")]
    BodyTooLong(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head,
    /// So many bytes of the body are missing.
    Length(usize),
    UntilClose,
    ChunkHeader,
    /// So many bytes of the chunk are missing.
    Chunk(usize),
    ChunkEnd,
    /// The empty line after the trailers, of which so many bytes have passed.
    Trailers(usize),
    Done,
}

/// Takes the bytes of one response.
#[derive(Debug)]
pub(crate) struct Decoder {
    state: State,
    /// The head, a chunk's header or a trailer, as far as it has come.
    line: Vec<u8>,
    response: Response,
    body_bytes_max: usize,
    surplus: bool,
    failed: Option<Malformed>,
}

impl Decoder {
    pub(crate) fn new(body_bytes_max: usize) -> Decoder {
        Decoder {
            state: State::Head,
            line: Vec::new(),
            response: Response::default(),
            body_bytes_max,
            surplus: false,
            failed: None,
        }
    }

    /// Whether the response is complete.
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Takes bytes; true once the response is complete.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> Result<bool, Malformed> {
        if let Some(malformed) = &self.failed {
            return Err(malformed.clone());
        }
        while !bytes.is_empty() {
            match self.step(bytes) {
                Ok(taken) => bytes = &bytes[taken..],
                Err(malformed) => {
                    self.failed = Some(malformed.clone());
                    return Err(malformed);
                }
            }
        }
        Ok(self.is_done())
    }

    /// Takes the end of the stream; true if that completes the response.
    pub(crate) fn end(&mut self) -> bool {
        if self.state == State::UntilClose {
            self.state = State::Done;
        }
        self.is_done()
    }

    /// The response, complete or as far as it has come.
    pub(crate) fn into_response(self) -> Response {
        let complete = self.is_done() && !self.surplus && self.failed.is_none();
        Response { reusable: self.response.reusable && complete, ..self.response }
    }

    /// Takes at least one of the bytes and says how many.
    fn step(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        match self.state {
            State::Head => self.head(bytes),
            State::Length(missing) => {
                let taken = self.body(bytes, missing)?;
                self.state = if taken == missing { State::Done } else { State::Length(missing - taken) };
                Ok(taken)
            }
            State::UntilClose => self.body(bytes, usize::MAX),
            State::ChunkHeader => {
                let (taken, ended) = self.line(bytes)?;
                if ended {
                    let size = chunk_size(&self.line)?;
                    self.line.clear();
                    self.state = if size == 0 { State::Trailers(0) } else { State::Chunk(size) };
                }
                Ok(taken)
            }
            State::Chunk(missing) => {
                let taken = self.body(bytes, missing)?;
                self.state = if taken == missing { State::ChunkEnd } else { State::Chunk(missing - taken) };
                Ok(taken)
            }
            State::ChunkEnd => {
                let (taken, ended) = self.line(bytes)?;
                if ended {
                    if !self.line.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
                        return Err(Malformed::Chunk);
                    }
                    self.line.clear();
                    self.state = State::ChunkHeader;
                }
                Ok(taken)
            }
            State::Trailers(passed) => {
                let (taken, ended) = self.line(bytes)?;
                if passed + taken > LINE_BYTES_MAX {
                    return Err(Malformed::Chunk);
                }
                self.state = State::Trailers(passed + taken);
                if ended {
                    if self.line.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
                        self.state = State::Done;
                    }
                    self.line.clear();
                }
                Ok(taken)
            }
            State::Done => {
                self.surplus = true;
                Ok(bytes.len())
            }
        }
    }

    fn head(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        let before = self.line.len();
        let taken = bytes.len().min(HEAD_BYTES_MAX - before);
        self.line.extend_from_slice(&bytes[..taken]);
        let line = std::mem::take(&mut self.line);
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut head = httparse::Response::new(&mut headers);
        match head.parse(&line)? {
            httparse::Status::Complete(length) => {
                // An interim response (1xx) announces another one.
                if head.code.is_some_and(|code| code >= 200) {
                    self.begin_body(&head)?;
                }
                Ok(length - before)
            }
            httparse::Status::Partial => {
                self.line = line;
                if self.line.len() >= HEAD_BYTES_MAX { Err(Malformed::HeadTooLong) } else { Ok(taken) }
            }
        }
    }

    fn begin_body(&mut self, head: &httparse::Response<'_, '_>) -> Result<(), Malformed> {
        let headers = Headers::from_parsed(head.headers);
        self.response.status = head.code.unwrap_or_default();
        let closes = headers.get("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        self.response.reusable = head.version == Some(1) && !closes;
        let encoding = headers.get("transfer-encoding").map(|value| value.trim().to_ascii_lowercase());
        self.state = if matches!(self.response.status, 204 | 304) {
            State::Done
        } else if let Some(encoding) = encoding.filter(|encoding| encoding != "identity") {
            if encoding != "chunked" {
                return Err(Malformed::TransferEncoding(encoding));
            }
            State::ChunkHeader
        } else if let Some(length) = headers.get("content-length") {
            match length.trim().parse().map_err(|_| Malformed::ContentLength)? {
                0 => State::Done,
                length if length > self.body_bytes_max => {
                    return Err(Malformed::BodyTooLong(self.body_bytes_max));
                }
                length => State::Length(length),
            }
        } else {
            self.response.reusable = false;
            State::UntilClose
        };
        self.response.headers = headers;
        Ok(())
    }

    fn body(&mut self, bytes: &[u8], missing: usize) -> Result<usize, Malformed> {
        let taken = bytes.len().min(missing);
        let room = self.body_bytes_max - self.response.body.len();
        self.response.body.extend_from_slice(&bytes[..taken.min(room)]);
        if taken > room { Err(Malformed::BodyTooLong(self.body_bytes_max)) } else { Ok(taken) }
    }

    /// Takes bytes up to the end of a line; whether it has come.
    fn line(&mut self, bytes: &[u8]) -> Result<(usize, bool), Malformed> {
        let end = bytes.iter().position(|&byte| byte == b'\n');
        let taken = end.map_or(bytes.len(), |end| end + 1);
        let room = LINE_BYTES_MAX - self.line.len();
        if taken > room {
            return Err(Malformed::Chunk);
        }
        self.line.extend_from_slice(&bytes[..taken]);
        Ok((taken, end.is_some()))
    }
}

impl Answer for Decoder {
    fn feed(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        Decoder::feed(self, bytes).map(drop).map_err(|malformed| Failure::Malformed(malformed.to_string()))
    }

    fn end(&mut self) {
        Decoder::end(self);
    }

    fn is_done(&self) -> bool {
        Decoder::is_done(self)
    }

    /// An answer before the request is complete is a refusal.
    fn refuses(&self) -> bool {
        true
    }
}

/// The length at the beginning of a chunk's header; extensions after `;` mean nothing to us.
fn chunk_size(line: &[u8]) -> Result<usize, Malformed> {
    let digits = line.split(|byte| matches!(byte, b';' | b'\r' | b'\n')).next().unwrap_or_default();
    let digits = std::str::from_utf8(digits).map_err(|_| Malformed::Chunk)?.trim();
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(Malformed::Chunk);
    }
    usize::from_str_radix(digits, 16).map_err(|_| Malformed::Chunk)
}

#[cfg(test)]
mod tests;
