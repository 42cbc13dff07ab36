//! The growable buffers columns are made of, all of them memory of the pool in Arrow's layout.
//!
//! Each buffer remembers how many bytes a row of it took in earlier batches, so that a new batch starts
//! with room for all its rows and growing stays the exception. What it will ask for is known before it
//! asks ([`Room`]), so that a batch is planned for as many rows as its memory really holds.

use arrow_array::{BinaryArray, StringArray};
use arrow_buffer::{Buffer, NullBuffer};
use zenith_memory::{BYTE_COLUMN_SLACK, ByteColumn, MemoryError, Pool, PoolBuf, Reservation, round_up};

use super::RowError;

/// The memory one record batch may use.
pub(super) struct Arena {
    pub(super) pool: Pool,
    pub(super) reservation: Option<Reservation>,
}

impl Arena {
    /// Lets `grow` take memory of this batch.
    #[cold]
    fn grow(
        &mut self,
        grow: impl FnOnce(&mut Reservation) -> Result<(), MemoryError>,
    ) -> Result<(), RowError> {
        let reservation = self.reservation.as_mut().ok_or(RowError::Full)?;
        grow(reservation).map_err(|error| match error {
            MemoryError::AddressSpace { .. } => RowError::OutOfMemory,
            _ => RowError::Full,
        })
    }
}

/// How many bytes a buffer needs for a batch of so many rows, learned from the batches before.
#[derive(Clone, Copy, Debug, Default)]
struct Demand {
    /// Bytes a row, the most of recent batches.
    per_row: f64,
}

impl Demand {
    fn learn(&mut self, used: usize, rows: usize) {
        if rows > 0 {
            let now = to_f64(used) / to_f64(rows);
            // Old peaks fade, so that one odd batch does not inflate all later ones; high ones quickly, for they
            // leave memory unused.
            let fade = if now < self.per_row / 2.0 { 0.25 } else { 0.9 };
            self.per_row = now.max(self.per_row * fade);
        }
    }

    fn bytes(self, rows: usize) -> usize {
        // A buffer that is used at all is used by the first row: a part of a byte is one.
        let wanted = (self.per_row * to_f64(rows) * 1.0625).ceil();
        // A demand beyond any pool is cut by the reservation, so saturating is right here.
        to_usize(wanted)
    }
}

fn to_f64(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn to_usize(n: f64) -> usize {
    n.max(0.0) as usize
}

/// Bytes of the pool that a buffer of so many bytes takes.
fn room(bytes: usize) -> usize {
    if bytes == 0 { 0 } else { round_up(bytes) }
}

/// Items of `N` bytes each. The column knows how many there are.
#[repr(C)]
pub(super) struct Fixed<const N: usize> {
    buf: PoolBuf,
    demand: Demand,
}

impl<const N: usize> Fixed<N> {
    pub(super) fn new(pool: &Pool) -> Self {
        Fixed { buf: pool.empty_buf(), demand: Demand::default() }
    }

    /// Writes item `index`; `false` if there is no room for it.
    #[inline(always)]
    pub(super) fn set(&mut self, index: usize, item: [u8; N]) -> bool {
        match self.buf.as_chunks_mut::<N>().0.get_mut(index) {
            Some(place) => {
                *place = item;
                true
            }
            None => false,
        }
    }

    /// Writes item `index`, behind `index` others, and makes room for it.
    #[inline]
    pub(super) fn put(&mut self, arena: &mut Arena, index: usize, item: [u8; N]) -> Result<(), RowError> {
        if self.set(index, item) { Ok(()) } else { self.put_growing(arena, index, item) }
    }

    #[cold]
    fn put_growing(&mut self, arena: &mut Arena, index: usize, item: [u8; N]) -> Result<(), RowError> {
        let used = index * N;
        arena.grow(|reservation| self.buf.grow_by_half(reservation, used + N, used))?;
        self.set(index, item);
        Ok(())
    }

    pub(super) fn get(&self, index: usize) -> [u8; N] {
        self.buf.as_chunks::<N>().0.get(index).copied().unwrap_or([0; N])
    }

    pub(super) fn room(&self, rows: usize) -> usize {
        room(self.demand.bytes(rows))
    }

    pub(super) fn begin(&mut self, arena: &mut Arena, rows: usize) -> Result<(), RowError> {
        let bytes = self.demand.bytes(rows);
        begin(&mut self.buf, arena, bytes)
    }

    pub(super) fn clear(&mut self, pool: &Pool) {
        self.buf = pool.empty_buf();
    }

    /// The first `len` items.
    pub(super) fn freeze(&mut self, pool: &Pool, len: usize, rows: usize) -> Buffer {
        self.demand.learn(len * N, rows);
        std::mem::replace(&mut self.buf, pool.empty_buf()).freeze(len * N)
    }
}

fn begin(buf: &mut PoolBuf, arena: &mut Arena, bytes: usize) -> Result<(), RowError> {
    if bytes > buf.len() { arena.grow(|reservation| buf.grow(reservation, bytes, 0)) } else { Ok(()) }
}

/// Items of varying length.
#[repr(C)]
pub(super) struct Bytes {
    pub(super) items: ByteColumn,
    offsets: Demand,
    values: Demand,
}

impl Bytes {
    pub(super) fn new(pool: &Pool) -> Self {
        Bytes { items: ByteColumn::new(pool), offsets: Demand::default(), values: Demand::default() }
    }

    /// Appends the first `len` bytes of `source`, and makes room for them.
    pub(super) fn push(&mut self, arena: &mut Arena, source: &[u8], len: usize) -> Result<(), RowError> {
        if self.items.push(source, len) {
            return Ok(());
        }
        let (items, bytes) = (self.items.len() + 1, self.items.bytes() + len + BYTE_COLUMN_SLACK);
        arena.grow(|reservation| self.items.grow(reservation, items, bytes))?;
        // What is refused now has more bytes than an offset can count.
        if self.items.push(source, len) { Ok(()) } else { Err(RowError::Full) }
    }

    #[inline]
    pub(super) fn push_empty(&mut self, arena: &mut Arena) -> Result<(), RowError> {
        if self.items.push_empty() { Ok(()) } else { self.push(arena, &[], 0) }
    }

    /// Makes room for `items` items, together with those there are.
    pub(super) fn make_room(&mut self, arena: &mut Arena, items: usize) -> Result<(), RowError> {
        let bytes = self.items.bytes() + BYTE_COLUMN_SLACK;
        arena.grow(|reservation| self.items.grow(reservation, items, bytes))
    }

    fn wanted(&self, rows: usize) -> (usize, usize) {
        (self.offsets.bytes(rows) / size_of::<i32>(), self.values.bytes(rows) + BYTE_COLUMN_SLACK)
    }

    pub(super) fn room(&self, rows: usize) -> usize {
        let (items, bytes) = self.wanted(rows);
        room((items + 1) * size_of::<i32>()) + room(bytes)
    }

    pub(super) fn begin(&mut self, arena: &mut Arena, rows: usize) -> Result<(), RowError> {
        self.items.clear();
        let (items, bytes) = self.wanted(rows);
        arena.grow(|reservation| self.items.grow(reservation, items, bytes))
    }

    pub(super) fn clear(&mut self, pool: &Pool) {
        self.items = ByteColumn::new(pool);
    }

    /// The items as text, or `None` if some are not.
    pub(super) fn freeze_text(
        &mut self,
        pool: &Pool,
        nulls: Option<NullBuffer>,
        rows: usize,
    ) -> Option<StringArray> {
        self.take(pool, rows).into_text(nulls)
    }

    pub(super) fn freeze_binary(
        &mut self,
        pool: &Pool,
        nulls: Option<NullBuffer>,
        rows: usize,
    ) -> BinaryArray {
        self.take(pool, rows).into_binary(nulls)
    }

    fn take(&mut self, pool: &Pool, rows: usize) -> ByteColumn {
        self.offsets.learn((self.items.len() + 1) * size_of::<i32>(), rows);
        self.values.learn(self.items.bytes(), rows);
        std::mem::replace(&mut self.items, ByteColumn::new(pool))
    }
}

/// One bit an item, all of them `FILL` until they are flipped.
///
/// A validity bitmap (`FILL` = valid) costs nothing while no null has been seen; a boolean column
/// (`FILL` = false) touches memory for `true` alone.
#[repr(C)]
pub(super) struct Bits<const FILL: bool> {
    /// Bytes that hold meaningful bits; beyond them every bit is `FILL`.
    filled: usize,
    buf: PoolBuf,
    demand: Demand,
}

impl<const FILL: bool> Bits<FILL> {
    const BYTE: u8 = if FILL { 0xFF } else { 0x00 };

    pub(super) fn new(pool: &Pool) -> Self {
        Bits { filled: 0, buf: pool.empty_buf(), demand: Demand::default() }
    }

    /// Sets bit `index` to the opposite of `FILL`.
    #[inline]
    pub(super) fn flip(&mut self, arena: &mut Arena, index: usize) -> Result<(), RowError> {
        let byte = index / 8;
        if byte >= self.filled {
            self.fill_to(arena, byte + 1)?;
        }
        if FILL {
            self.buf[byte] &= !(1 << (index % 8));
        } else {
            self.buf[byte] |= 1 << (index % 8);
        }
        Ok(())
    }

    fn fill_to(&mut self, arena: &mut Arena, bytes: usize) -> Result<(), RowError> {
        if bytes > self.buf.len() {
            arena.grow(|reservation| self.buf.grow_by_half(reservation, bytes, self.filled))?;
        }
        let end = self.buf.len();
        self.buf[self.filled..end].fill(Self::BYTE);
        self.filled = end;
        Ok(())
    }

    pub(super) fn truncate(&mut self, len: usize) {
        let first = len / 8;
        if first < self.filled {
            let keep = (1u8 << (len % 8)) - 1;
            self.buf[first] = if FILL { self.buf[first] | !keep } else { self.buf[first] & keep };
            self.buf[first + 1..self.filled].fill(Self::BYTE);
        }
    }

    pub(super) fn room(&self, rows: usize) -> usize {
        room(self.demand.bytes(rows))
    }

    pub(super) fn begin(&mut self, arena: &mut Arena, rows: usize) -> Result<(), RowError> {
        self.filled = 0;
        let bytes = self.demand.bytes(rows);
        begin(&mut self.buf, arena, bytes)
    }

    pub(super) fn clear(&mut self, pool: &Pool) {
        (self.buf, self.filled) = (pool.empty_buf(), 0);
    }

    /// The bits of `len` items, or `None` where every one of them is `FILL` and was never touched.
    pub(super) fn freeze(&mut self, pool: &Pool, len: usize, rows: usize) -> Option<Buffer> {
        let filled = std::mem::take(&mut self.filled);
        let buf = std::mem::replace(&mut self.buf, pool.empty_buf());
        if filled == 0 {
            return None;
        }
        let bytes = len.div_ceil(8);
        self.demand.learn(bytes, rows);
        if bytes <= filled {
            return Some(buf.freeze(bytes));
        }
        // The column outgrew its bitmap after the last flip: the few bytes go on the heap.
        let mut bits = buf[..filled].to_vec();
        bits.resize(bytes, Self::BYTE);
        Some(Buffer::from_vec(bits))
    }
}

impl Bits<false> {
    /// Appends bit `index`, which has not been set yet; `false` if there is no room for it.
    #[inline(always)]
    pub(super) fn set(&mut self, index: usize, bit: bool) -> bool {
        match self.buf.get_mut(..self.filled).and_then(|bits| bits.get_mut(index / 8)) {
            Some(byte) => {
                *byte |= u8::from(bit) << (index % 8);
                true
            }
            None => !bit,
        }
    }
}
