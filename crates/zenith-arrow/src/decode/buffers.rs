//! The growable buffers columns are made of, all of them memory of the pool in Arrow's layout.
//!
//! Each buffer remembers how many bytes a row of it took in earlier batches, so that a new batch starts
//! with room for all its rows and growing stays the exception.

use arrow_buffer::Buffer;
use zenith_memory::{MemoryError, Pool, PoolBuf, Reservation};

use super::Stop;

/// Bytes copied at once for short strings, whatever their length: one vector move instead of a call.
const SHORT: usize = 32;

/// The memory one record batch may use.
pub(super) struct Arena {
    pub(super) pool: Pool,
    pub(super) reservation: Option<Reservation>,
}

impl Arena {
    /// Makes room for `needed` bytes in `buf`, of which `used` are kept; grows by half where possible.
    #[cold]
    pub(super) fn grow(&mut self, buf: &mut PoolBuf, needed: usize, used: usize) -> Result<(), Stop> {
        let reservation = self.reservation.as_mut().ok_or(Stop::Full)?;
        let generous = needed.max(buf.len() + buf.len() / 2);
        let wanted = if generous - buf.len() <= reservation.left() { generous } else { needed };
        buf.grow(reservation, wanted, used).map_err(|error| match error {
            MemoryError::AddressSpace { .. } => Stop::OutOfMemory,
            _ => Stop::Full,
        })
    }
}

/// How many bytes a buffer needs for a batch of so many rows.
#[derive(Clone, Copy, Debug, Default)]
struct Demand {
    /// Bytes a row, the most of recent batches.
    per_row: f64,
}

impl Demand {
    fn learn(&mut self, used: usize, rows: usize) {
        if rows > 0 {
            let now = to_f64(used) / to_f64(rows);
            // Old peaks fade, so that one odd batch does not inflate all later ones.
            self.per_row = now.max(self.per_row * 0.9);
        }
    }

    fn bytes(self, rows: usize) -> usize {
        let wanted = self.per_row * to_f64(rows) * 1.0625;
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

/// Items of `N` bytes each.
pub(super) struct Fixed<const N: usize> {
    buf: PoolBuf,
    used: usize,
    demand: Demand,
}

impl<const N: usize> Fixed<N> {
    pub(super) fn new(pool: &Pool) -> Self {
        Fixed { buf: pool.empty_buf(), used: 0, demand: Demand::default() }
    }

    #[inline(always)]
    pub(super) fn push(&mut self, arena: &mut Arena, item: [u8; N]) -> Result<(), Stop> {
        if let Some(place) = self.buf.get_mut(self.used..self.used + N) {
            place.copy_from_slice(&item);
            self.used += N;
            return Ok(());
        }
        arena.grow(&mut self.buf, self.used + N, self.used)?;
        self.buf[self.used..self.used + N].copy_from_slice(&item);
        self.used += N;
        Ok(())
    }

    pub(super) fn get(&self, index: usize) -> [u8; N] {
        let mut item = [0; N];
        item.copy_from_slice(&self.buf[index * N..(index + 1) * N]);
        item
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.used = self.used.min(len * N);
    }

    pub(super) fn per_row(&self) -> f64 {
        self.demand.per_row
    }

    pub(super) fn begin(&mut self, arena: &mut Arena, rows: usize) -> Result<(), Stop> {
        self.used = 0;
        begin(&mut self.buf, arena, self.demand.bytes(rows))
    }

    pub(super) fn clear(&mut self, pool: &Pool) {
        (self.buf, self.used) = (pool.empty_buf(), 0);
    }

    pub(super) fn freeze(&mut self, pool: &Pool, rows: usize) -> Buffer {
        self.demand.learn(self.used, rows);
        let used = std::mem::take(&mut self.used);
        std::mem::replace(&mut self.buf, pool.empty_buf()).freeze(used)
    }
}

fn begin(buf: &mut PoolBuf, arena: &mut Arena, bytes: usize) -> Result<(), Stop> {
    if bytes > buf.len() { arena.grow(buf, bytes, 0) } else { Ok(()) }
}

/// Bytes of varying length: 32-bit offsets and the bytes themselves.
pub(super) struct Bytes {
    offsets: Fixed<4>,
    values: PoolBuf,
    used: usize,
    /// Bytes known to be UTF-8 whose strings begin at character boundaries.
    checked: usize,
    checked_items: usize,
    demand: Demand,
}

impl Bytes {
    pub(super) fn new(pool: &Pool) -> Self {
        Bytes {
            offsets: Fixed::new(pool),
            values: pool.empty_buf(),
            used: 0,
            checked: 0,
            checked_items: 0,
            demand: Demand::default(),
        }
    }

    /// Appends `source[at..at + len]`.
    ///
    /// Short values are copied with a move of fixed width that may run past their end on both sides:
    /// what follows in `source` is other input, what follows in the buffer is not yet used.
    #[inline(always)]
    pub(super) fn push(
        &mut self,
        arena: &mut Arena,
        source: &[u8],
        at: usize,
        len: usize,
    ) -> Result<(), Stop> {
        let end = self.used + len;
        if len <= SHORT
            && let Some(from) = source.get(at..at + SHORT)
            && let Some(to) = self.values.get_mut(self.used..self.used + SHORT)
        {
            to.copy_from_slice(from);
        } else {
            let from = source.get(at..at + len).ok_or(Stop::OutOfMemory)?;
            if end > self.values.len() {
                arena.grow(&mut self.values, end, self.used)?;
            }
            self.values[self.used..end].copy_from_slice(from);
        }
        let offset =
            u32::try_from(end).ok().filter(|&end| end <= i32::MAX.unsigned_abs()).ok_or(Stop::Full)?;
        self.offsets.push(arena, offset.to_le_bytes())?;
        self.used = end;
        Ok(())
    }

    /// Appends `len` zeroed bytes and gives them to `fill`.
    #[inline(always)]
    pub(super) fn push_with<const L: usize>(
        &mut self,
        arena: &mut Arena,
        fill: impl FnOnce(&mut [u8; L]),
    ) -> Result<(), Stop> {
        let mut item = [0; L];
        fill(&mut item);
        self.push(arena, &item, 0, L)
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.offsets.truncate(len + 1);
        let end = u32::from_le_bytes(self.offsets.get(self.offsets.used / 4 - 1));
        self.used = usize::try_from(end).unwrap_or(usize::MAX).min(self.used);
        self.checked = self.checked.min(self.used);
        self.checked_items = self.checked_items.min(len);
    }

    /// Whether everything appended since the last call is UTF-8, string by string.
    ///
    /// The bytes are checked as one run, which is several times faster than one string at a time; a
    /// run can be valid while a character straddles two strings, so the boundaries are looked at too.
    pub(super) fn check_utf8(&mut self) -> bool {
        let fresh = &self.values[self.checked..self.used];
        if !fresh.is_ascii() {
            if simdutf8::basic::from_utf8(fresh).is_err() {
                return false;
            }
            let items = self.offsets.used / 4;
            for index in self.checked_items..items {
                let at = usize::try_from(u32::from_le_bytes(self.offsets.get(index))).unwrap_or(usize::MAX);
                if at < self.used && self.values[at] & 0xC0 == 0x80 {
                    return false;
                }
            }
        }
        self.checked = self.used;
        self.checked_items = (self.offsets.used / 4).saturating_sub(1);
        true
    }

    pub(super) fn per_row(&self) -> f64 {
        self.demand.per_row + self.offsets.per_row()
    }

    pub(super) fn begin(&mut self, arena: &mut Arena, rows: usize) -> Result<(), Stop> {
        (self.used, self.checked, self.checked_items) = (0, 0, 0);
        begin(&mut self.values, arena, self.demand.bytes(rows) + SHORT)?;
        self.offsets.begin(arena, rows + 1)?;
        self.offsets.push(arena, [0; 4])
    }

    pub(super) fn clear(&mut self, pool: &Pool) {
        self.offsets.clear(pool);
        self.values = pool.empty_buf();
        (self.used, self.checked, self.checked_items) = (0, 0, 0);
    }

    /// The offsets and the bytes.
    pub(super) fn freeze(&mut self, pool: &Pool, rows: usize) -> (Buffer, Buffer) {
        self.demand.learn(self.used, rows);
        (self.checked, self.checked_items) = (0, 0);
        let used = std::mem::take(&mut self.used);
        let values = std::mem::replace(&mut self.values, pool.empty_buf()).freeze(used);
        (self.offsets.freeze(pool, rows), values)
    }
}

/// One bit an item, all of them `FILL` until said otherwise.
///
/// A validity bitmap (`FILL` = valid) costs nothing while no null has been seen; a boolean column
/// (`FILL` = false) touches memory for `true` alone.
pub(super) struct Bits<const FILL: bool> {
    buf: PoolBuf,
    /// Bytes that hold meaningful bits; beyond them every bit is `FILL`.
    filled: usize,
    demand: Demand,
}

impl<const FILL: bool> Bits<FILL> {
    const BYTE: u8 = if FILL { 0xFF } else { 0x00 };

    pub(super) fn new(pool: &Pool) -> Self {
        Bits { buf: pool.empty_buf(), filled: 0, demand: Demand::default() }
    }

    /// Sets bit `index` to the opposite of `FILL`.
    #[inline]
    pub(super) fn flip(&mut self, arena: &mut Arena, index: usize) -> Result<(), Stop> {
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

    fn fill_to(&mut self, arena: &mut Arena, bytes: usize) -> Result<(), Stop> {
        if bytes > self.buf.len() {
            // Bits are cheap: room for many more items at once spares later moves.
            arena.grow(&mut self.buf, bytes + 512, self.filled)?;
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

    pub(super) fn per_row(&self) -> f64 {
        self.demand.per_row
    }

    pub(super) fn begin(&mut self, arena: &mut Arena, rows: usize) -> Result<(), Stop> {
        self.filled = 0;
        begin(&mut self.buf, arena, self.demand.bytes(rows))
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
