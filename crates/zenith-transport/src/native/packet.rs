//! Packets of the server, one at a time.
//!
//! A packet is parsed from its first byte whenever more bytes have come, as many at least as the last try has
//! found missing; nothing is kept between two tries.

use arrow_array::RecordBatch;

use super::wire::{Reader, WireError};
use super::{compress, decode};
use crate::http::brief;

pub(super) const CLIENT_HELLO: u8 = 0;
pub(super) const CLIENT_QUERY: u8 = 1;
pub(super) const CLIENT_DATA: u8 = 2;
pub(super) const CLIENT_PING: u8 = 4;

pub(super) const HELLO: u8 = 0;
const DATA: u8 = 1;
pub(super) const EXCEPTION: u8 = 2;
const PROGRESS: u8 = 3;
const PONG: u8 = 4;
const END_OF_STREAM: u8 = 5;
const PROFILE_INFO: u8 = 6;
const TOTALS: u8 = 7;
const EXTREMES: u8 = 8;
const LOG: u8 = 10;
const TABLE_COLUMNS: u8 = 11;
const PROFILE_EVENTS: u8 = 14;
const TIME_ZONE_UPDATE: u8 = 17;

/// Nested exceptions; the outermost is the one that is reported.
const EXCEPTIONS_MAX: usize = 100;

/// What the server says.
#[derive(Debug)]
pub(super) enum Packet {
    /// A block of the result, or the sample of what is to be inserted, which has no rows.
    Data(Option<RecordBatch>),
    Exception(Exception),
    EndOfStream,
    Pong,
    /// Progress, profiles, logs: nothing a writer needs.
    Other,
}

/// An exception of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exception {
    pub(super) code: u32,
    pub(super) text: String,
}

/// How packets of a connection are to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dialect {
    pub(super) revision: u64,
    /// Whether blocks of data are compressed.
    pub(super) compressed: bool,
    /// Whether texts may be any bytes, not only UTF-8.
    pub(super) binary: bool,
    /// How large a compressed block may become.
    pub(super) bytes_max: usize,
}

/// Reads one packet.
pub(super) fn packet(reader: &mut Reader<'_>, dialect: Dialect) -> Result<Packet, WireError> {
    match reader.byte()? {
        DATA => data(reader, dialect).map(Packet::Data),
        TOTALS | EXTREMES => data(reader, dialect).map(|_| Packet::Other),
        // These are never compressed at the revisions spoken.
        LOG | PROFILE_EVENTS => {
            data(reader, Dialect { compressed: false, binary: true, ..dialect }).map(|_| Packet::Other)
        }
        EXCEPTION => exception(reader).map(Packet::Exception),
        PROGRESS => {
            let rows_bytes_and_total = 3;
            let written_rows_and_bytes = 2;
            let total_bytes = usize::from(dialect.revision >= 54463);
            let nanoseconds = usize::from(dialect.revision >= 54460);
            for _ in 0..rows_bytes_and_total + total_bytes + written_rows_and_bytes + nanoseconds {
                reader.varint()?;
            }
            Ok(Packet::Other)
        }
        PONG => Ok(Packet::Pong),
        END_OF_STREAM => Ok(Packet::EndOfStream),
        PROFILE_INFO => {
            let (_rows, _blocks, _bytes) = (reader.varint()?, reader.varint()?, reader.varint()?);
            let (_limited, _before_limit, _known) = (reader.byte()?, reader.varint()?, reader.byte()?);
            Ok(Packet::Other)
        }
        TABLE_COLUMNS => {
            let (_table, _columns) = (reader.bytes()?, reader.bytes()?);
            Ok(Packet::Other)
        }
        TIME_ZONE_UPDATE => reader.bytes().map(|_| Packet::Other),
        other => Err(unknown(other)),
    }
}

/// What is wrong when a packet begins with this byte.
pub(super) fn unknown(kind: u8) -> WireError {
    WireError::Bad(match kind {
        b'H' => "an answer that looks like HTTP".to_owned(),
        0x15 | 0x16 => "an answer that looks like TLS".to_owned(),
        other => format!("a packet of the unknown kind {other}"),
    })
}

/// Reads an exception after its first byte.
pub(super) fn exception(reader: &mut Reader<'_>) -> Result<Exception, WireError> {
    let mut outermost = None;
    for _ in 0..EXCEPTIONS_MAX {
        let code = u32::from_le_bytes(reader.array()?);
        let name = reader.text()?;
        let text = reader.text()?;
        let _stack_trace = reader.bytes()?;
        outermost.get_or_insert_with(|| {
            let text = text.strip_prefix(&format!("{name}: ")).unwrap_or(&text);
            Exception { code, text: brief(text.trim()) }
        });
        if reader.byte()? == 0 {
            break;
        }
    }
    outermost.ok_or_else(|| WireError::Bad("an exception without end".to_owned()))
}

/// Reads a block after the first byte of its packet: its rows, if it has any.
fn data(reader: &mut Reader<'_>, dialect: Dialect) -> Result<Option<RecordBatch>, WireError> {
    let _table = reader.bytes()?;
    if !dialect.compressed {
        return decode::block(reader, dialect.binary);
    }
    // How many frames make a block is known when it has been read from them.
    let mut plain = Vec::new();
    loop {
        compress::unframe(reader, &mut plain, dialect.bytes_max)?;
        let mut inner = Reader::new(&plain);
        match decode::block(&mut inner, dialect.binary) {
            Err(WireError::Short(_)) => {}
            Ok(_) if inner.left() > 0 => {
                return Err(WireError::Bad("a block is followed by something".to_owned()));
            }
            read => return read,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::wire::put_text;
    use super::*;

    const DIALECT: Dialect = Dialect { revision: 54464, compressed: false, binary: true, bytes_max: 1 << 20 };

    #[test]
    fn the_outermost_exception_is_told() {
        let mut bytes = vec![EXCEPTION];
        for (code, text, more) in [(60_u32, "DB::Exception: No such\ntable.", 1), (1, "inner", 0)] {
            bytes.extend_from_slice(&code.to_le_bytes());
            put_text(&mut bytes, "DB::Exception");
            put_text(&mut bytes, text);
            put_text(&mut bytes, "stack");
            bytes.push(more);
        }
        let mut reader = Reader::new(&bytes);
        let Ok(Packet::Exception(exception)) = packet(&mut reader, DIALECT) else { panic!() };
        assert_eq!(exception, Exception { code: 60, text: "No such table".to_owned() });
        assert_eq!(reader.left(), 0);
    }

    #[test]
    fn progress_grew_with_the_revisions() {
        for (revision, fields) in [(54459, 5), (54460, 6), (54463, 7), (54464, 7)] {
            let bytes = [&[PROGRESS][..], &vec![1; fields]].concat();
            let dialect = Dialect { revision, ..DIALECT };
            let mut reader = Reader::new(&bytes);
            assert!(matches!(packet(&mut reader, dialect), Ok(Packet::Other)), "{revision}");
            assert_eq!(reader.left(), 0);
            assert!(matches!(packet(&mut Reader::new(&bytes[..fields]), dialect), Err(WireError::Short(_))));
        }
    }

    proptest! {
        /// Any bytes give a packet or an error, compressed or not.
        #[test]
        fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300), kind in 0_u8..18) {
            let bytes = [&[kind][..], &bytes].concat();
            for compressed in [false, true] {
                let _ = packet(&mut Reader::new(&bytes), Dialect { compressed, ..DIALECT });
            }
        }
    }
}
