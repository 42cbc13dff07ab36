//! A record batch as one block in one data packet, sent a window at a time.

use std::io;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_schema::ArrowError;
use zenith_memory::Pool;

use super::column::{self, LONG_TEXT_BYTES, Part};
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
    /// The next row of that part.
    row: usize,
    /// The pool from whose file large buffers are sent.
    pool: Option<Pool>,
    /// The memory of the last window's re-laid bytes.
    chunk: Buffer,
}

/// Where a window's bytes lie.
enum WindowBytes {
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
        // The last row may go beyond the end, by one text that is copied or eight bits.
        chunk.reserve(CHUNK_BYTES + LONG_TEXT_BYTES + 16);
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
                places.push(WindowBytes::Chunk(start..chunk.len()));
                places.push(WindowBytes::Column(column));
                start = chunk.len();
            }
        }
        places.push(WindowBytes::Chunk(start..chunk.len()));
        self.chunk = Buffer::from_vec(chunk);
        for place in places {
            match place {
                WindowBytes::Chunk(range) if range.is_empty() => {}
                WindowBytes::Chunk(range) => {
                    window.push(Piece::Memory(self.chunk.slice_with_length(range.start, range.len())));
                }
                WindowBytes::Column(buffer) => window.push(Piece::of(buffer, self.pool.as_ref())),
            }
        }
        Ok(())
    }
}

/// The bytes before a block that is not compressed, and those after it.
pub(super) fn around() -> (Vec<u8>, Vec<u8>) {
    (query::data_packet(), query::empty_block(Compression::None))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use arrow_array::builder::{Int32Builder, ListBuilder, MapBuilder, StringBuilder};
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int32Type;
    use arrow_array::*;
    use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
    use arrow_schema::{DataType, Field, Fields, Schema, TimeUnit};

    use super::super::decode;
    use super::super::wire::Reader;
    use super::*;

    fn sent(batch: &RecordBatch, pool: Option<Pool>) -> (Vec<u8>, Vec<Piece>) {
        let mut block = Block::new(batch, pool, "inserting").unwrap();
        let (mut bytes, mut pieces, mut window) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            block.refill(&mut window).unwrap();
            if window.is_empty() {
                return (bytes, pieces);
            }
            for piece in &window {
                bytes.extend_from_slice(piece.buffer());
                pieces.extend(matches!(piece, Piece::File { .. }).then(|| piece.clone()));
            }
        }
    }

    fn read_back(batch: &RecordBatch) -> RecordBatch {
        let (bytes, _) = sent(batch, None);
        let mut reader = Reader::new(&bytes);
        let back = decode::block(&mut reader, false).unwrap().unwrap();
        assert_eq!(reader.left(), 0);
        back
    }

    /// Rows of every kind of column, enough of them for several windows, with a text too long to be copied.
    fn everything() -> RecordBatch {
        let rows = 60_000;
        let some = |row: i32| row % 3 > 0;
        let numbers: Int32Array = (0..rows).map(|row| some(row).then_some(row)).collect();
        let bools: BooleanArray = (0..rows).map(|row| some(row).then_some(row % 5 == 0)).collect();
        let texts: StringArray = (0..rows)
            .map(|row| match row {
                7 => Some("long ".repeat(100_000)),
                row => some(row).then(|| "x".repeat(usize::try_from(row % 200).unwrap())),
            })
            .collect();
        let large: LargeStringArray = (0..rows).map(|row| Some(row.to_string())).collect();
        let decimals: Decimal128Array =
            (0..rows).map(|row| some(row).then(|| i128::from(row) << 60)).collect();
        let decimals = decimals.with_precision_and_scale(38, 4).unwrap();
        let dates: TimestampMillisecondArray = (0..rows).map(|row| Some(i64::from(row) - 1000)).collect();
        let uuids = (0..rows).map(|row| some(row).then(|| (i128::from(row) << 64 | 0xab).to_be_bytes()));
        let uuids = FixedSizeBinaryArray::try_from_sparse_iter_with_size(uuids, 16).unwrap();
        let mut lists = ListBuilder::new(StringBuilder::new());
        for row in 0..rows {
            (0..row % 4).for_each(|element| lists.values().append_option(some(element).then_some("element")));
            lists.append(true);
        }
        let mut maps = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
        for row in 0..rows {
            (0..row % 3).for_each(|key| {
                maps.keys().append_value(format!("key {key}"));
                maps.values().append_option(some(row).then_some(row));
            });
            maps.append(true).unwrap();
        }
        let pair = Fields::from(vec![
            Field::new("n", DataType::Int32, true),
            Field::new("a b", DataType::Boolean, true),
        ]);
        let pairs = StructArray::new(pair, vec![Arc::new(numbers.clone()), Arc::new(bools.clone())], None);
        let uuid = HashMap::from([("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned())]);
        let columns: Vec<(Field, ArrayRef)> = vec![
            (Field::new("numbers", DataType::Int32, true), Arc::new(numbers)),
            (Field::new("bools", DataType::Boolean, true), Arc::new(bools)),
            (Field::new("texts", DataType::Utf8, true), Arc::new(texts)),
            (Field::new("large", DataType::LargeUtf8, false), Arc::new(large)),
            (Field::new("decimals", decimals.data_type().clone(), true), Arc::new(decimals)),
            (
                Field::new("dates", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), false),
                Arc::new(dates.with_timezone("UTC")),
            ),
            (Field::new("uuids", DataType::FixedSizeBinary(16), true).with_metadata(uuid), Arc::new(uuids)),
            {
                let lists = lists.finish();
                (Field::new("lists", lists.data_type().clone(), false), Arc::new(lists))
            },
            {
                let maps = maps.finish();
                (Field::new("maps", maps.data_type().clone(), false), Arc::new(maps))
            },
            (Field::new("pairs", pairs.data_type().clone(), false), Arc::new(pairs)),
        ];
        let (fields, arrays): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
    }

    fn assert_same(back: &RecordBatch, batch: &RecordBatch) {
        for (index, field) in batch.schema_ref().fields().iter().enumerate() {
            let (back, column) = (back.column(index), batch.column(index));
            // Both widths of offsets come back as the small one.
            let equal = match column.data_type() {
                DataType::LargeUtf8 => {
                    let back = back.as_any().downcast_ref::<StringArray>().unwrap();
                    back.iter().eq(column.as_any().downcast_ref::<LargeStringArray>().unwrap())
                }
                // Results have maps as arrays of pairs.
                DataType::Map(..) => {
                    let (back, column) = (back.as_list::<i32>(), column.as_map());
                    let pairs = (back.values().as_struct(), column.entries());
                    (0..column.len()).all(|row| back.value_length(row) == column.value_length(row))
                        && (0..2).all(|part| {
                            let first = usize::try_from(column.offsets()[0]).unwrap();
                            let sent = pairs.1.column(part).slice(first, pairs.0.len());
                            pairs.0.column(part) == &sent
                        })
                }
                _ => back == column,
            };
            assert!(equal, "{}", field.name());
        }
    }

    #[test]
    fn every_column_comes_back_whole_and_in_slices() {
        let batch = everything();
        assert_same(&read_back(&batch), &batch);
        for (offset, length) in [(0, 1), (1, 59_999), (8, 40_000), (13, 20_001), (59_999, 1)] {
            let slice = batch.slice(offset, length);
            assert_same(&read_back(&slice), &slice);
        }
    }

    #[test]
    fn windows_stay_small() {
        let batch = everything();
        let mut block = Block::new(&batch, None, "inserting").unwrap();
        let mut window = Vec::new();
        for windows in 0.. {
            block.refill(&mut window).unwrap();
            if window.is_empty() {
                assert!(windows > 50, "{windows} windows");
                break;
            }
            assert!(block.chunk.capacity() <= CHUNK_BYTES + LONG_TEXT_BYTES + 64);
        }
    }

    #[test]
    fn columns_of_the_pool_are_not_copied() {
        let pool = Pool::in_file(8 * 1024 * 1024).unwrap();
        let bytes: Vec<u8> = (0..100_000_i64).flat_map(i64::to_le_bytes).collect();
        let mut reservation = pool.try_reserve(bytes.len()).unwrap();
        let mut buffer = reservation.allocate(bytes.len()).unwrap();
        buffer[..bytes.len()].copy_from_slice(&bytes);
        let values = Int64Array::new(ScalarBuffer::from(buffer.freeze(bytes.len())), None);
        let batch = RecordBatch::try_from_iter([("n", Arc::new(values) as ArrayRef)]).unwrap();
        let (sent, lent) = sent(&batch, Some(pool.clone()));
        assert!(sent.ends_with(&bytes));
        assert_eq!(lent.iter().map(|piece| piece.buffer().len()).sum::<usize>(), bytes.len());
        drop((batch, lent));
        assert_eq!(pool.stats().in_use, 0);
    }

    fn of(field: Field, array: impl Array + 'static) -> RecordBatch {
        RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![Arc::new(array)]).unwrap()
    }

    #[test]
    fn a_null_struct_is_one_of_nulls_and_a_dictionary_is_text() {
        let inner = Fields::from(vec![Field::new("n", DataType::Int32, true)]);
        let nulls = NullBuffer::from(vec![true, false]);
        let pairs = StructArray::new(inner, vec![Arc::new(Int32Array::from(vec![1, 2]))], Some(nulls));
        let back = read_back(&of(Field::new("c", pairs.data_type().clone(), true), pairs));
        let back = back.column(0).as_any().downcast_ref::<StructArray>().unwrap();
        assert_eq!(back.column(0).as_ref(), &Int32Array::from(vec![Some(1), None]));

        let dictionary: DictionaryArray<Int32Type> =
            vec![Some("lo"), None, Some("hi"), Some("lo")].into_iter().collect();
        let back = read_back(&of(Field::new("c", dictionary.data_type().clone(), true), dictionary));
        assert_eq!(
            back.column(0).as_ref(),
            &StringArray::from(vec![Some("lo"), None, Some("hi"), Some("lo")])
        );
    }

    #[test]
    fn what_a_block_cannot_have_is_refused() {
        let offsets = OffsetBuffer::new(vec![0, 1].into());
        let element = Arc::new(Field::new("item", DataType::Int32, true));
        let hidden = ListArray::new(
            element,
            offsets,
            Arc::new(Int32Array::from(vec![1])),
            Some(NullBuffer::new_null(1)),
        );
        let json = HashMap::from([("ARROW:extension:name".to_owned(), "arrow.json".to_owned())]);
        for batch in [
            of(Field::new("c", hidden.data_type().clone(), true), hidden),
            of(
                Field::new("c", DataType::Utf8, true).with_metadata(json),
                StringArray::from(vec![None::<&str>]),
            ),
        ] {
            let error = Block::new(&batch, None, "inserting").unwrap_err();
            assert!(error.is_data_rejected(), "{error:?}");
        }
    }
}
