//! Bodies that are compressed on their way: HTTP's chunks, each some more of one compressed stream.
//!
//! A body is compressed a part at a time, so that only this part takes additional memory. Its size is unknown before
//! its end, so it is sent in chunks, the last of which is empty: without the empty one the server knows that the body
//! was cut short.

use std::io::{self, Write};

use arrow_buffer::Buffer;

use crate::Compression;
use crate::frame::Piece;
use crate::socket::body::Body;

/// Bytes that are compressed at once: some hundred microseconds of work.
const PART_BYTES: usize = 256 * 1024;
/// Compressed bytes that are worth a chunk.
const CHUNK_BYTES_MIN: usize = 64 * 1024;
/// Zstandard's fastest ordinary level.
const ZSTD_LEVEL: i32 = 1;

/// A body in compressed chunks.
pub(super) struct Encoded {
    pieces: std::vec::IntoIter<Piece>,
    /// What is left of the piece being compressed.
    rest: Buffer,
    encoder: Option<Encoder>,
}

enum Encoder {
    Lz4(Box<lz4_flex::frame::FrameEncoder<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

/// What `Content-Encoding` calls it; `None` for no compression.
pub(super) fn name(compression: Compression) -> Option<&'static str> {
    match compression {
        Compression::None => None,
        Compression::Lz4 => Some("lz4"),
        Compression::Zstd => Some("zstd"),
    }
}

impl Encoded {
    /// `pieces` compressed; `None` if that is not to be.
    pub(super) fn new(pieces: Vec<Piece>, compression: Compression) -> io::Result<Option<Encoded>> {
        let encoder = match compression {
            Compression::None => return Ok(None),
            Compression::Lz4 => Encoder::Lz4(Box::new(lz4_flex::frame::FrameEncoder::new(Vec::new()))),
            Compression::Zstd => Encoder::Zstd(zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?),
        };
        let rest = Buffer::default();
        Ok(Some(Encoded { pieces: pieces.into_iter(), rest, encoder: Some(encoder) }))
    }

    /// The next bytes to compress; none at the end.
    fn part(&mut self) -> Option<Buffer> {
        while self.rest.is_empty() {
            self.rest = self.pieces.next()?.buffer().clone();
        }
        let bytes = self.rest.len().min(PART_BYTES);
        let part = self.rest.slice_with_length(0, bytes);
        self.rest.advance(bytes);
        Some(part)
    }
}

impl Body for Encoded {
    fn refill(&mut self, window: &mut Vec<Piece>) -> io::Result<()> {
        window.clear();
        let Some(encoder) = &mut self.encoder else { return Ok(()) };
        let mut compressed = std::mem::take(encoder.output());
        while compressed.len() < CHUNK_BYTES_MIN {
            let Some(part) = self.part() else {
                let ended = self.encoder.take().map(Encoder::finish).transpose()?.unwrap_or_default();
                compressed.extend_from_slice(&ended);
                break;
            };
            if let Some(encoder) = &mut self.encoder {
                encoder.write_all(&part)?;
                compressed.append(encoder.output());
            }
        }
        let mut chunk = Vec::with_capacity(compressed.len() + 32);
        if !compressed.is_empty() {
            write!(chunk, "{:x}\r\n", compressed.len())?;
            chunk.append(&mut compressed);
            chunk.extend_from_slice(b"\r\n");
        }
        if self.encoder.is_none() {
            chunk.extend_from_slice(b"0\r\n\r\n");
        }
        window.push(Piece::Memory(Buffer::from_vec(chunk)));
        Ok(())
    }
}

impl Encoder {
    fn output(&mut self) -> &mut Vec<u8> {
        match self {
            Encoder::Lz4(encoder) => encoder.get_mut(),
            Encoder::Zstd(encoder) => encoder.get_mut(),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Encoder::Lz4(encoder) => encoder.write_all(bytes),
            Encoder::Zstd(encoder) => encoder.write_all(bytes),
        }
    }

    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Encoder::Lz4(encoder) => encoder.finish().map_err(io::Error::other),
            Encoder::Zstd(encoder) => encoder.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    /// The contents of a body's chunks, and how many there are.
    fn chunks(mut body: Encoded) -> (Vec<u8>, usize) {
        let (mut sent, mut window) = (Vec::new(), Vec::new());
        loop {
            body.refill(&mut window).unwrap();
            if window.is_empty() {
                break;
            }
            window.iter().for_each(|piece| sent.extend_from_slice(piece.buffer()));
        }
        let (mut contents, mut count, mut rest) = (Vec::new(), 0, &sent[..]);
        loop {
            let end = rest.windows(2).position(|bytes| bytes == b"\r\n").unwrap();
            let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
            contents.extend_from_slice(&rest[end + 2..end + 2 + size]);
            assert_eq!(&rest[end + 2 + size..][..2], b"\r\n");
            rest = &rest[end + 4 + size..];
            count += 1;
            if size == 0 {
                assert!(rest.is_empty());
                return (contents, count);
            }
        }
    }

    #[test]
    fn what_is_decompressed_is_what_was_compressed() {
        let bytes: Vec<u8> =
            (0_u32..900_000).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let whole = Buffer::from_vec(bytes.clone());
        let pieces: Vec<Piece> = [0..10, 10..10, 10..1_000_000, 1_000_000..bytes.len()]
            .into_iter()
            .map(|range| Piece::Memory(whole.slice_with_length(range.start, range.len())))
            .collect();
        let (lz4, count) = chunks(Encoded::new(pieces.clone(), Compression::Lz4).unwrap().unwrap());
        let mut back = Vec::new();
        lz4_flex::frame::FrameDecoder::new(&lz4[..]).read_to_end(&mut back).unwrap();
        assert!(back == bytes && count > 5, "{count} chunks");
        let (zstd, count) = chunks(Encoded::new(pieces, Compression::Zstd).unwrap().unwrap());
        assert!(zstd::stream::decode_all(&zstd[..]).unwrap() == bytes && count > 5, "{count} chunks");
    }

    #[test]
    fn a_body_of_nothing_ends_all_the_same() {
        for compression in [Compression::Lz4, Compression::Zstd] {
            let (contents, _) = chunks(Encoded::new(Vec::new(), compression).unwrap().unwrap());
            assert!(contents.len() < 32);
        }
        assert!(Encoded::new(Vec::new(), Compression::None).unwrap().is_none());
    }
}
