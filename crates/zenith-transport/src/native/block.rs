//! A record batch as one block in one data packet, sent a window at a time.

use std::io;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_schema::ArrowError;
use zenith_memory::Pool;

use super::column::{self, Part};
use super::query;
use super::wire::put_text;
use crate::ddl::wire_type;
use crate::frame::{self, Piece};
use crate::socket::body::Body;
use crate::{Compression, Result, TransportError};

/// Bytes that are re-laid before they are sent: small enough to stay in the processor's cache.
pub(super) const CHUNK_BYTES: usize = 128 * 1024;
/// Pieces of one window, the most that one `writev` takes here.
const PIECES_MAX: usize = 128;

/// The parts of a block, and how far they have been sent.
#[derive(Debug)]
pub(super) struct Block {
    parts: std::vec::IntoIter<Part>,
    part: Option<Part>,
    /// The row of that part to go on with.
    row: usize,
    /// Whose memfd large buffers are sent from.
    pool: Option<Pool>,
    /// The memory of the last window's re-laid bytes.
    chunk: Buffer,
}

/// Where a window's bytes lie.
enum Place {
    Chunk(std::ops::Range<usize>),
    Column(Buffer),
}

impl Block {
    /// The block of a batch, without the packet's beginning.
    ///
    /// # Errors
    /// [`TransportError::Column`] for types that ClickHouse does not have, [`TransportError::Arrow`] for values
    /// that a block cannot have.
    pub(super) fn new(batch: &RecordBatch, pool: Option<Pool>, doing: &str) -> Result<Block> {
        let mut parts = vec![Part::Bytes(query::block_head(batch.num_columns(), batch.num_rows()))];
        for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            let mut head = Vec::new();
            put_text(&mut head, field.name());
            put_text(&mut head, wire_type(field)?);
            let custom_serialization = 0;
            head.push(custom_serialization);
            parts.push(Part::Bytes(head));
            let failed = |source: ArrowError| TransportError::Arrow {
                action: "encode",
                what: doing.to_owned(),
                source,
            };
            column::parts(field, array, None, &mut parts).map_err(failed)?;
        }
        Ok(Block { parts: parts.into_iter(), part: None, row: 0, pool, chunk: Buffer::default() })
    }

    /// Goes on to the next part if this one has been sent.
    fn advance(&mut self) {
        if self.part.as_ref().is_none_or(|part| self.row >= part.len()) {
            self.row = 0;
            self.part = self.parts.by_ref().find(|part| part.len() > 0);
        }
    }
}

impl Body for Block {
    fn refill(&mut self, window: &mut Vec<Piece>) -> io::Result<()> {
        window.clear();
        // Nobody else has it once the window is gone.
        let mut chunk = std::mem::take(&mut self.chunk).into_vec::<u8>().unwrap_or_default();
        chunk.clear();
        chunk.reserve(CHUNK_BYTES);
        let (mut places, mut start) = (Vec::new(), 0);
        while chunk.len() < CHUNK_BYTES && places.len() < PIECES_MAX {
            self.advance();
            let column = match &self.part {
                None => break,
                Some(Part::Values(values)) if values.len() >= frame::GATHER_BYTES_MAX => {
                    self.row = values.len();
                    Some(values.clone())
                }
                Some(part) => {
                    let step = part.append(self.row, &mut chunk, CHUNK_BYTES);
                    self.row = step.next;
                    step.then
                }
            };
            if let Some(column) = column {
                places.push(Place::Chunk(start..chunk.len()));
                places.push(Place::Column(column));
                start = chunk.len();
            }
        }
        places.push(Place::Chunk(start..chunk.len()));
        self.chunk = Buffer::from_vec(chunk);
        for place in places {
            match place {
                Place::Chunk(range) if range.is_empty() => {}
                Place::Chunk(range) => {
                    window.push(Piece::Memory(self.chunk.slice_with_length(range.start, range.len())));
                }
                Place::Column(buffer) => window.push(Piece::of(buffer, self.pool.as_ref())),
            }
        }
        Ok(())
    }
}

/// What goes before a block that is not compressed, and what after it.
pub(super) fn around() -> (Vec<u8>, Vec<u8>) {
    (query::data_packet(), query::empty_block(Compression::None))
}
