//! A record batch as a list of pieces to send: Arrow's IPC streaming format, bodies not copied.
//!
//! `StreamEncoder` of arrow-ipc gives the stream as buffers: the metadata on the heap, the bodies as the
//! very buffers of the columns. It copies a body only if the array is a slice whose offsets do not begin
//! at zero or whose bits do not begin at a byte, which whole batches never are.
//!
//! Bytes too few to be worth a system call or an entry of an I/O vector (metadata, padding, small columns)
//! are put together; that is the only copying here. Large buffers of a pool in a file become ranges
//! of that, whose pages the kernel can take, each with the buffer that keeps them alive.

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::writer::StreamEncoder;
use arrow_schema::ArrowError;
use zenith_memory::Pool;

/// Buffers below this many bytes are put together with their neighbours.
pub(crate) const GATHER_BYTES_MAX: usize = 4 * 1024;
/// Buffers of the pool from this many bytes on are worth a system call of their own.
const FILE_BYTES_MIN: usize = 16 * 1024;

/// A part of a request, sent by one kind of system call.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    /// Bytes in memory.
    Memory(Buffer),
    /// Bytes of the pool's file, from `offset` on; `buffer` is the same bytes in memory.
    File { offset: u64, buffer: Buffer },
}

impl Piece {
    /// A buffer as a range of the pool's file, if it lies there and is large enough, or as memory.
    pub(crate) fn of(buffer: Buffer, pool: Option<&Pool>) -> Piece {
        let pool = pool.filter(|pool| pool.file().is_some() && buffer.len() >= FILE_BYTES_MIN);
        match pool.and_then(|pool| pool.locate(&buffer)) {
            Some(offset) => Piece::File { offset, buffer },
            None => Piece::Memory(buffer),
        }
    }

    pub(crate) fn buffer(&self) -> &Buffer {
        match self {
            Piece::Memory(buffer) | Piece::File { buffer, .. } => buffer,
        }
    }
}

/// A record batch ready to be sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frame {
    pub(crate) pieces: Vec<Piece>,
    pub(crate) bytes: usize,
}

impl Frame {
    /// Frames one batch as a complete Arrow stream: schema, dictionaries, batch, end.
    pub(crate) fn encode(batch: &RecordBatch, pool: Option<&Pool>) -> Result<Frame, ArrowError> {
        let mut encoder = StreamEncoder::try_new(batch.schema_ref())?;
        let mut frame = FrameBuilder { pool, ..Default::default() };
        for buffer in encoder.encode(batch)? {
            frame.push(buffer);
        }
        for buffer in encoder.finish()? {
            frame.push(buffer);
        }
        Ok(frame.finish())
    }
}

#[derive(Default)]
struct FrameBuilder<'a> {
    pool: Option<&'a Pool>,
    gathered: Vec<u8>,
    frame: Frame,
}

impl FrameBuilder<'_> {
    fn push(&mut self, buffer: Buffer) {
        self.frame.bytes += buffer.len();
        if buffer.len() < GATHER_BYTES_MAX {
            self.gathered.extend_from_slice(&buffer);
            return;
        }
        self.flush();
        self.frame.pieces.push(Piece::of(buffer, self.pool));
    }

    fn flush(&mut self) {
        if !self.gathered.is_empty() {
            let gathered = std::mem::take(&mut self.gathered);
            self.frame.pieces.push(Piece::Memory(Buffer::from_vec(gathered)));
        }
    }

    fn finish(mut self) -> Frame {
        self.flush();
        self.frame
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, BooleanArray, Int64Array, ListArray, StringArray, StructArray};
    use arrow_buffer::{BooleanBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
    use arrow_ipc::reader::StreamReader;
    use arrow_schema::{DataType, Field};

    use super::*;

    const ROWS: usize = 8 * 40_000;

    fn pooled(pool: &Pool, bytes: &[u8]) -> Buffer {
        let mut reservation = pool.try_reserve(bytes.len()).unwrap();
        let mut buf = reservation.allocate(bytes.len()).unwrap();
        buf[..bytes.len()].copy_from_slice(bytes);
        buf.freeze(bytes.len())
    }

    /// A batch with every kind of body buffer, all in the pool: validity, bits, values, offsets, bytes,
    /// and the same inside a list of structs.
    fn batch(pool: &Pool) -> RecordBatch {
        let rows = i32::try_from(ROWS).unwrap();
        let numbers: Vec<u8> = (0..i64::from(rows)).flat_map(i64::to_le_bytes).collect();
        let offsets: Vec<u8> = (0..=rows).flat_map(|row| (row * 2).to_le_bytes()).collect();
        let bits = pooled(pool, &vec![0b0101_1010; ROWS / 8]);
        let nulls = || Some(NullBuffer::new(BooleanBuffer::new(bits.clone(), 0, ROWS)));
        let offsets = || OffsetBuffer::new(ScalarBuffer::from(pooled(pool, &offsets)));
        let numbers = Int64Array::new(ScalarBuffer::from(pooled(pool, &numbers)), nulls());
        let text = StringArray::new(offsets(), pooled(pool, &vec![b'x'; ROWS * 2]), nulls());
        let flags = BooleanArray::new(BooleanBuffer::new(bits.clone(), 0, ROWS), nulls());
        let pairs = StructArray::from(vec![
            (Arc::new(Field::new("n", DataType::Int64, true)), Arc::new(numbers.clone()) as ArrayRef),
            (Arc::new(Field::new("s", DataType::Utf8, true)), Arc::new(text.clone()) as ArrayRef),
        ]);
        let lists = ListArray::new(
            Arc::new(Field::new("item", pairs.fields().clone().into_data_type(), false)),
            OffsetBuffer::new(ScalarBuffer::from(pooled(
                pool,
                &(0..=rows).flat_map(i32::to_le_bytes).collect::<Vec<u8>>(),
            ))),
            Arc::new(pairs),
            None,
        );
        RecordBatch::try_from_iter([
            ("numbers", Arc::new(numbers) as ArrayRef),
            ("text", Arc::new(text)),
            ("flags", Arc::new(flags)),
            ("lists", Arc::new(lists)),
        ])
        .unwrap()
    }

    trait IntoDataType {
        fn into_data_type(self) -> DataType;
    }

    impl IntoDataType for arrow_schema::Fields {
        fn into_data_type(self) -> DataType {
            DataType::Struct(self)
        }
    }

    /// Column buffers are sent from where the decoder has put them, and those of a file from the file.
    #[test]
    fn no_body_is_copied() {
        const BYTES: usize = 64 * 1024 * 1024;
        for (pool, in_file) in [(Pool::in_file(BYTES).unwrap(), true), (Pool::new(BYTES).unwrap(), false)] {
            let frame = Frame::encode(&batch(&pool), Some(&pool)).unwrap();
            let in_pool = |piece: &&Piece| pool.locate(piece.buffer()).is_some();
            let sent_from_pool: usize =
                frame.pieces.iter().filter(in_pool).map(|piece| piece.buffer().len()).sum();
            let copied = frame.bytes - sent_from_pool;
            assert!(copied < 8 * 1024, "{copied} bytes of {} are on the heap", frame.bytes);
            for piece in frame.pieces.iter().filter(in_pool) {
                match piece {
                    Piece::File { offset, buffer } => {
                        assert!(in_file && pool.locate(buffer) == Some(*offset));
                    }
                    Piece::Memory(buffer) => assert!(!in_file || buffer.len() < FILE_BYTES_MIN),
                }
            }
        }
    }

    #[test]
    fn the_pieces_are_the_stream() {
        let pool = Pool::in_file(64 * 1024 * 1024).unwrap();
        let batch = batch(&pool);
        let frame = Frame::encode(&batch, Some(&pool)).unwrap();
        let bytes: Vec<u8> =
            frame.pieces.iter().flat_map(|piece| piece.buffer().as_slice()).copied().collect();
        assert_eq!(bytes.len(), frame.bytes);
        let mut reader = StreamReader::try_new(bytes.as_slice(), None).unwrap();
        assert_eq!(reader.next().unwrap().unwrap(), batch);
        assert!(reader.next().is_none());
    }

    #[test]
    fn a_frame_holds_its_buffers() {
        let pool = Pool::in_file(64 * 1024 * 1024).unwrap();
        let frame = Frame::encode(&batch(&pool), Some(&pool)).unwrap();
        assert!(pool.stats().in_use > ROWS * 8);
        drop(frame);
        assert_eq!(pool.stats().in_use, 0);
    }
}
