//! Compressed blocks: frames with a checksum, a method, two sizes, and the compressed bytes.
//!
//! ```text
//!  CityHash128 of the rest ─ 16 │ method ─ 1 │ size of the rest from the method on ─ 4 │ plain size ─ 4 │ …
//! ```

use std::collections::VecDeque;
use std::io;

use arrow_buffer::Buffer;
use cityhash_rs::cityhash_102_128;

use super::block::Block;
use super::query;
use super::wire::{Reader, WireError};
use crate::Compression;
use crate::frame::Piece;
use crate::socket::body::Body;

const LZ4: u8 = 0x82;
const ZSTD: u8 = 0x90;
const PLAIN: u8 = 0x02;

const CHECKSUM_BYTES: usize = 16;
/// Method and sizes.
const HEAD_BYTES: usize = 9;
/// Plain bytes of a frame that we send: some hundred microseconds of work.
const FRAME_BYTES: usize = 256 * 1024;
/// Zstandard's fastest ordinary level.
const ZSTD_LEVEL: i32 = 1;

/// Appends `plain`, of at most [`FRAME_BYTES`], as a frame.
pub(super) fn frame(compression: Compression, plain: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let body = start + CHECKSUM_BYTES + HEAD_BYTES;
    let compressed = match compression {
        Compression::None => None,
        Compression::Lz4 => {
            out.resize(body + lz4_flex::block::get_maximum_output_size(plain.len()), 0);
            lz4_flex::block::compress_into(plain, &mut out[body..]).ok().map(|len| (LZ4, len))
        }
        Compression::Zstd => {
            out.resize(body + zstd::zstd_safe::compress_bound(plain.len()), 0);
            zstd::bulk::compress_to_buffer(plain, &mut out[body..], ZSTD_LEVEL).ok().map(|len| (ZSTD, len))
        }
    };
    // There is always room; were there none, the bytes would go as they are.
    let (method, len) = compressed.unwrap_or_else(|| {
        out.resize(body, 0);
        out.extend_from_slice(plain);
        (PLAIN, plain.len())
    });
    out.truncate(body + len);
    let size = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes();
    out[body - 9] = method;
    out[body - 8..body - 4].copy_from_slice(&size(HEAD_BYTES + len));
    out[body - 4..body].copy_from_slice(&size(plain.len()));
    let checksum = checksum(&out[start + CHECKSUM_BYTES..]);
    out[start..start + CHECKSUM_BYTES].copy_from_slice(&checksum);
}

/// CityHash of the version ClickHouse has, the half it calls first in front.
fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    cityhash_102_128(bytes).rotate_left(64).to_le_bytes()
}

/// Reads a frame and appends its plain bytes, up to `bytes_max` in all.
pub(super) fn unframe(
    reader: &mut Reader<'_>,
    plain: &mut Vec<u8>,
    bytes_max: usize,
) -> Result<(), WireError> {
    let bad = |reason: &str| WireError::Bad(format!("a compressed block {reason}"));
    let expected: [u8; CHECKSUM_BYTES] = reader.array()?;
    let mut whole = reader.clone();
    let (method, size, plain_size) =
        (reader.byte()?, u32::from_le_bytes(reader.array()?), u32::from_le_bytes(reader.array()?));
    let as_len = |size: u32| usize::try_from(size).unwrap_or(usize::MAX);
    let len = as_len(size).checked_sub(HEAD_BYTES).ok_or_else(|| bad("is smaller than its head"))?;
    let compressed = reader.take(len)?;
    if checksum(whole.take(HEAD_BYTES + len)?) != expected {
        return Err(bad("has another checksum than it says"));
    }
    let (start, plain_len) = (plain.len(), as_len(plain_size));
    if plain_len > bytes_max.saturating_sub(start) {
        return Err(WireError::Unreadable(format!("it is longer than {bytes_max} bytes")));
    }
    plain.resize(start + plain_len, 0);
    let into = &mut plain[start..];
    let decompressed = match method {
        LZ4 => lz4_flex::block::decompress_into(compressed, into).ok(),
        ZSTD => zstd::bulk::decompress_to_buffer(compressed, into).ok(),
        PLAIN if len == plain_len => {
            into.copy_from_slice(compressed);
            Some(len)
        }
        _ => return Err(bad("is compressed in an unknown way")),
    };
    if decompressed == Some(plain_len) { Ok(()) } else { Err(bad("cannot be decompressed")) }
}

/// A block in compressed frames, with the beginning of its packet and the empty block after it.
#[derive(Debug)]
pub(super) struct Compressed {
    compression: Compression,
    block: Option<Block>,
    /// Bytes of the block not yet compressed.
    pieces: VecDeque<Buffer>,
    begun: bool,
}

impl Compressed {
    pub(super) fn new(block: Block, compression: Compression) -> Compressed {
        Compressed { compression, block: Some(block), pieces: VecDeque::new(), begun: false }
    }

    /// The next plain bytes, as many as make a frame; none at the end.
    fn plain(&mut self) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        while plain.len() < FRAME_BYTES {
            let Some(piece) = self.pieces.front_mut() else {
                let Some(block) = &mut self.block else { break };
                let mut window = Vec::new();
                block.refill(&mut window)?;
                if window.is_empty() {
                    self.block = None;
                }
                self.pieces.extend(window.iter().map(|piece| piece.buffer().clone()));
                continue;
            };
            let len = piece.len().min(FRAME_BYTES - plain.len());
            plain.extend_from_slice(&piece[..len]);
            piece.advance(len);
            if piece.is_empty() {
                self.pieces.pop_front();
            }
        }
        Ok(plain)
    }
}

impl Body for Compressed {
    fn refill(&mut self, window: &mut Vec<Piece>) -> io::Result<()> {
        window.clear();
        let finished = self.block.is_none() && self.pieces.is_empty();
        let mut out = if self.begun { Vec::new() } else { query::data_packet() };
        if !finished {
            let plain = self.plain()?;
            if !plain.is_empty() {
                frame(self.compression, &plain, &mut out);
            }
            if self.block.is_none() && self.pieces.is_empty() {
                out.extend_from_slice(&query::empty_block(self.compression));
            }
        }
        self.begun = true;
        if !out.is_empty() {
            window.push(Piece::Memory(Buffer::from_vec(out)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_and_say_when_they_are_damaged() {
        let text = b"a block of columns, columns, columns".repeat(100);
        for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
            let mut framed = Vec::new();
            frame(compression, &text, &mut framed);
            let mut plain = Vec::new();
            unframe(&mut Reader::new(&framed), &mut plain, 10_000).unwrap();
            assert_eq!(plain, text);
            assert!(compression == Compression::None || framed.len() < text.len() / 10);
            let short = unframe(&mut Reader::new(&framed[..framed.len() - 1]), &mut Vec::new(), 10_000);
            assert_eq!(short, Err(WireError::Short(framed.len())));
            let long = unframe(&mut Reader::new(&framed), &mut Vec::new(), 1000);
            assert!(
                matches!(long, Err(WireError::Unreadable(reason)) if reason.contains("longer than 1000"))
            );
            for at in [0, 16, 21, framed.len() - 1] {
                let mut damaged = framed.clone();
                damaged[at] ^= 1;
                let read = unframe(&mut Reader::new(&damaged), &mut Vec::new(), 10_000);
                assert!(matches!(read, Err(WireError::Bad(_) | WireError::Short(_))), "{at}");
            }
        }
    }

    /// A frame as a ClickHouse server (26.7) sent it: the sample of two columns.
    #[test]
    fn the_checksum_is_clickhouses() {
        let framed = [
            &[200, 102, 45, 60, 137, 230, 14, 223, 142, 233, 23, 39, 46, 234, 9, 83][..],
            &[LZ4, 54, 0, 0, 0, 43, 0, 0, 0, 240, 28],
            b"\x01\0\x02\xff\xff\xff\xff\0\x02\0\x02id\x05Int64\0\x04text\x10Nullable(String)\0",
        ]
        .concat();
        let mut plain = Vec::new();
        unframe(&mut Reader::new(&framed), &mut plain, 1000).unwrap();
        assert_eq!(plain, framed[27..]);
    }
}
