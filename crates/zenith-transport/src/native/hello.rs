//! The handshake: who we are, and which revision both speak.

use super::packet::{self, Exception};
use super::wire::{Reader, WireError, put_text, put_varint};
use super::{CLIENT_NAME, CLIENT_VERSION, REVISION_MIN};
use crate::Target;
use crate::socket::exchange::{Answer, Failure};

/// Bytes of a hello; the server's configuration decides how many password rules it has.
const HELLO_BYTES_MAX: usize = 1024 * 1024;

/// The client's hello. The database is named by each statement, for it may not be there yet.
pub(super) fn hello(target: &Target, revision_max: u64) -> Vec<u8> {
    let mut out = vec![packet::CLIENT_HELLO];
    put_text(&mut out, CLIENT_NAME);
    put_varint(&mut out, CLIENT_VERSION.0);
    put_varint(&mut out, CLIENT_VERSION.1);
    put_varint(&mut out, revision_max);
    put_text(&mut out, "");
    put_text(&mut out, &target.user);
    put_text(&mut out, target.password());
    out
}

/// What follows the server's hello: a quota key, which we have none of.
pub(super) fn addendum() -> Vec<u8> {
    let mut out = Vec::new();
    put_text(&mut out, "");
    out
}

/// The server's hello.
#[derive(Debug)]
pub(super) struct HelloAnswer {
    revision_max: u64,
    bytes: Vec<u8>,
    /// Welcomed with a revision, or turned away.
    pub(super) outcome: Option<Result<u64, Exception>>,
}

impl HelloAnswer {
    pub(super) fn new(revision_max: u64) -> HelloAnswer {
        HelloAnswer { revision_max, bytes: Vec::new(), outcome: None }
    }

    fn parse(&self) -> Result<Result<u64, Exception>, WireError> {
        let mut reader = Reader::new(&self.bytes);
        match reader.byte()? {
            packet::HELLO => {}
            packet::EXCEPTION => return packet::exception(&mut reader).map(Err),
            other => return Err(packet::unknown(other)),
        }
        let _name = reader.bytes()?;
        let (_major, _minor) = (reader.varint()?, reader.varint()?);
        let revision = reader.varint()?.min(self.revision_max);
        if revision < REVISION_MIN {
            return Err(WireError::Bad(format!(
                "it speaks revision {revision} of the protocol, and {REVISION_MIN} is the oldest that will do: \
                 use its HTTP port, or ClickHouse 22.8 or later"
            )));
        }
        let (_time_zone, _display_name, _patch) = (reader.bytes()?, reader.bytes()?, reader.varint()?);
        if revision >= 54461 {
            for _ in 0..reader.len()? {
                let (_pattern, _message) = (reader.bytes()?, reader.bytes()?);
            }
        }
        if revision >= 54462 {
            let _nonce = reader.array::<8>()?;
        }
        match reader.left() {
            0 => Ok(Ok(revision)),
            _ => Err(WireError::Bad("there is something after its hello".to_owned())),
        }
    }
}

impl Answer for HelloAnswer {
    fn feed(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.bytes.extend_from_slice(bytes);
        match self.parse() {
            Ok(outcome) => self.outcome = Some(outcome),
            Err(WireError::Short(needed)) if needed <= HELLO_BYTES_MAX => {}
            Err(WireError::Short(_)) => return Err(Failure::Malformed("its hello is too long".to_owned())),
            Err(stop) => return Err(stop.into()),
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.outcome.is_some()
    }

    fn refuses(&self) -> bool {
        self.is_done()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server_hello(revision: u64, tail: &[u8]) -> Vec<u8> {
        let mut bytes = vec![packet::HELLO];
        put_text(&mut bytes, "ClickHouse");
        [26, 7, revision].into_iter().for_each(|number| put_varint(&mut bytes, number));
        put_text(&mut bytes, "UTC");
        put_text(&mut bytes, "host");
        put_varint(&mut bytes, 2);
        bytes.extend_from_slice(tail);
        bytes
    }

    fn parsed(announced: u64, bytes: &[u8]) -> Result<Option<u64>, String> {
        let mut whole = HelloAnswer::new(announced);
        whole.feed(bytes).map_err(|failure| format!("{failure:?}"))?;
        let mut cut = HelloAnswer::new(announced);
        for byte in bytes {
            cut.feed(&[*byte]).map_err(|failure| format!("{failure:?}"))?;
        }
        let revision = |answer: HelloAnswer| answer.outcome.map(|outcome| outcome.unwrap());
        let (whole, cut) = (revision(whole), revision(cut));
        assert_eq!(whole, cut);
        Ok(whole)
    }

    #[test]
    fn the_lower_revision_is_spoken() {
        assert_eq!(parsed(54460, &server_hello(54488, &[])), Ok(Some(54460)));
        assert_eq!(parsed(54464, &server_hello(54461, &[0])), Ok(Some(54461)));
        let rules_and_nonce = [&[1, 1, b'p', 1, b'm'][..], &[0xff; 8]].concat();
        assert_eq!(parsed(54464, &server_hello(54488, &rules_and_nonce)), Ok(Some(54464)));
        assert_eq!(parsed(54464, &server_hello(54488, &rules_and_nonce[..9])), Ok(None));
    }

    #[test]
    fn what_is_no_hello_is_said() {
        assert!(parsed(54464, &server_hello(54000, &[])).unwrap_err().contains("54459"));
        assert!(parsed(54464, b"HTTP/1.1 400 Bad Request").unwrap_err().contains("HTTP"));
        assert!(parsed(54460, &server_hello(54460, b"more")).unwrap_err().contains("after its hello"));
    }

    #[test]
    fn a_refusal_is_an_exception() {
        let mut bytes = vec![packet::EXCEPTION, 4, 2, 0, 0];
        put_text(&mut bytes, "DB::Exception");
        put_text(&mut bytes, "DB::Exception: no.");
        put_text(&mut bytes, "stack");
        bytes.push(0);
        let mut answer = HelloAnswer::new(54464);
        answer.feed(&bytes).unwrap();
        assert_eq!(answer.outcome.unwrap().unwrap_err(), Exception { code: 516, text: "no".to_owned() });
    }
}
