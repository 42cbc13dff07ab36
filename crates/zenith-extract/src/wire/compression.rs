//! OP_COMPRESSED: the payload of another message, compressed.
//!
//! <https://github.com/mongodb/specifications/blob/master/source/compression/OP_COMPRESSED.md>
//! A server compresses its replies to requests that came compressed, so requests are too, small as they are.

use std::io;

use super::header::{MessageError, OP_MSG};

/// Bytes between the header and the compressed payload: original kind, original size, compressor.
pub(crate) const COMPRESSED_HEADER_BYTES: usize = 9;

const NOOP_ID: u8 = 0;

/// A way of compressing, with the level for what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compressor {
    Snappy,
    Zlib(Option<u32>),
    Zstd(Option<i32>),
}

impl Compressor {
    /// The name in the handshake.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Compressor::Snappy => "snappy",
            Compressor::Zlib(_) => "zlib",
            Compressor::Zstd(_) => "zstd",
        }
    }

    fn id(self) -> u8 {
        match self {
            Compressor::Snappy => 1,
            Compressor::Zlib(_) => 2,
            Compressor::Zstd(_) => 3,
        }
    }

    /// The payload of an OP_COMPRESSED message that carries an OP_MSG of this payload.
    pub(crate) fn compress(self, payload: &[u8]) -> io::Result<Vec<u8>> {
        let compressed = match self {
            Compressor::Snappy => {
                snap::raw::Encoder::new().compress_vec(payload).map_err(io::Error::other)?
            }
            Compressor::Zlib(level) => {
                use std::io::Write;
                let level = level.map_or_else(flate2::Compression::default, flate2::Compression::new);
                let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
                encoder.write_all(payload)?;
                encoder.finish()?
            }
            Compressor::Zstd(level) => {
                zstd::bulk::compress(payload, level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL))?
            }
        };
        let size = i32::try_from(payload.len()).map_err(io::Error::other)?;
        let mut message = Vec::with_capacity(COMPRESSED_HEADER_BYTES + compressed.len());
        message.extend_from_slice(&OP_MSG.to_le_bytes());
        message.extend_from_slice(&size.to_le_bytes());
        message.push(self.id());
        message.extend_from_slice(&compressed);
        Ok(message)
    }
}

/// What precedes a compressed payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CompressedHeader {
    /// The size once decompressed, in bytes.
    pub(crate) uncompressed_bytes: usize,
    compressor: u8,
}

impl CompressedHeader {
    /// Reads it; only OP_MSG of at most `bytes_max` is taken.
    pub(crate) fn parse(
        bytes: &[u8; COMPRESSED_HEADER_BYTES],
        bytes_max: usize,
    ) -> Result<CompressedHeader, MessageError> {
        let field = |at: usize| i32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        if field(0) != OP_MSG {
            return Err(MessageError::OpCode(field(0)));
        }
        let uncompressed_bytes = usize::try_from(field(4))
            .ok()
            .filter(|&bytes| bytes <= bytes_max)
            .ok_or(MessageError::Length(field(4)))?;
        Ok(CompressedHeader { uncompressed_bytes, compressor: bytes[8] })
    }

    /// Decompresses into `into`, which has the size announced; anything else is an error.
    pub(crate) fn decompress(self, compressed: &[u8], into: &mut [u8]) -> Result<(), MessageError> {
        let failed = |reason: String| MessageError::Decompression(reason);
        let written = match self.compressor {
            NOOP_ID if compressed.len() == into.len() => {
                into.copy_from_slice(compressed);
                into.len()
            }
            1 => snap::raw::Decoder::new()
                .decompress(compressed, into)
                .map_err(|error| failed(error.to_string()))?,
            2 => inflate(compressed, into)?,
            3 => zstd::bulk::decompress_to_buffer(compressed, into)
                .map_err(|error| failed(error.to_string()))?,
            other => return Err(MessageError::Compressor(other)),
        };
        if written != into.len() {
            return Err(failed(format!("{written} bytes came out instead of {}", into.len())));
        }
        Ok(())
    }
}

fn inflate(compressed: &[u8], into: &mut [u8]) -> Result<usize, MessageError> {
    let failed = |reason: &dyn std::fmt::Display| MessageError::Decompression(reason.to_string());
    let mut stream = flate2::Decompress::new(true);
    let status = stream
        .decompress(compressed, into, flate2::FlushDecompress::Finish)
        .map_err(|error| failed(&error))?;
    if status != flate2::Status::StreamEnd {
        return Err(failed(&"the stream does not end with the message"));
    }
    usize::try_from(stream.total_out()).map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Compressor; 5] = [
        Compressor::Snappy,
        Compressor::Zlib(None),
        Compressor::Zlib(Some(9)),
        Compressor::Zstd(None),
        Compressor::Zstd(Some(1)),
    ];

    fn decompress(message: &[u8]) -> Result<Vec<u8>, MessageError> {
        let header: &[u8; 9] = message.first_chunk().ok_or(MessageError::Truncated)?;
        let header = CompressedHeader::parse(header, 1_000_000)?;
        let mut into = vec![0; header.uncompressed_bytes];
        header.decompress(&message[9..], &mut into)?;
        Ok(into)
    }

    #[test]
    fn what_was_compressed_comes_back() {
        let payload = b"some text, some text, some text".repeat(100);
        for compressor in ALL {
            let message = compressor.compress(&payload).unwrap();
            assert!(message.len() < payload.len());
            assert_eq!(decompress(&message).unwrap(), payload, "{compressor:?}");
            // One byte less than announced, and one more.
            for size in [3099_i32, 3101] {
                let mut lying = message.clone();
                lying[4..8].copy_from_slice(&size.to_le_bytes());
                assert!(decompress(&lying).is_err(), "{compressor:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(
            id in 0u8..5,
            size in 0i32..10_000,
            bytes in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut message = OP_MSG.to_le_bytes().to_vec();
            message.extend_from_slice(&size.to_le_bytes());
            message.push(id);
            message.extend_from_slice(&bytes);
            let _ = decompress(&message);
        }
    }
}
