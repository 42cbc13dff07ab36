//! The memory of a batch: how many rows it has room for, by what rows took lately.

use zenith_memory::{GRANULE, MemoryError, Reservation};

use super::context::RowError;
use super::{DecodeError, Decoder};

impl Decoder {
    /// Opens a batch: memory first, then room in every column for the rows that memory holds.
    pub(super) fn begin(&mut self) -> Result<(), DecodeError> {
        let share = self.share();
        let granules = self.buffers * GRANULE;
        let rows_max = self.options.rows_max.clamp(1, self.rows_limit);
        match self.rows_for(share, rows_max) {
            Some(rows) => {
                let reservation = self.arena.pool.reserve_blocking(share)?;
                self.begin_with(reservation, rows)?;
                self.rows_planned = rows;
            }
            None if granules > share / 2 => {
                // So many columns that a single row of them takes more than the share, most of it by rounding: they
                // get more, for as many rows as that holds.
                let bytes = share.saturating_add(granules).saturating_mul(2);
                let rows = self.rows_for(bytes, rows_max);
                let reservation = self.arena.pool.overdraft_blocking(bytes);
                self.begin_with(reservation, rows.unwrap_or(0))?;
                self.rows_planned = rows.unwrap_or(rows_max);
            }
            None => {
                // The rows before were very large. Those to come need not be: this batch grows as they come.
                let reservation = self.arena.pool.reserve_blocking(share)?;
                self.begin_with(reservation, 0)?;
                self.rows_planned = rows_max;
            }
        }
        Ok(())
    }

    /// Bytes of a batch.
    pub(super) fn share(&self) -> usize {
        self.options.bytes_max.min(self.arena.pool.budget())
    }

    /// Opens a batch in the memory given, with room for so many rows.
    pub(super) fn begin_with(&mut self, reservation: Reservation, rows: usize) -> Result<(), DecodeError> {
        let bytes = reservation.left();
        self.arena.reservation = Some(reservation);
        if let Err(stop) = self.open_columns(rows) {
            let pool = self.arena.pool.clone();
            self.root.clear(&pool);
            self.extra.clear(&pool);
            self.notes.clear(&pool);
            self.arena.reservation = None;
            return Err(match stop {
                RowError::OutOfMemory => MemoryError::AddressSpace { wanted: bytes }.into(),
                _ => DecodeError::TooManyColumns { bytes },
            });
        }
        Ok(())
    }

    fn open_columns(&mut self, rows: usize) -> Result<(), RowError> {
        self.root.begin(&mut self.arena, rows)?;
        self.extra.begin(&mut self.arena, rows)?;
        self.notes.begin(&mut self.arena, rows)?;
        self.text_rows = self.extra.items.room().min(self.notes.items.room());
        Ok(())
    }

    /// Bytes of so many rows, by what rows took lately.
    pub(super) fn room(&self, rows: usize) -> usize {
        self.root.room(rows) + self.extra.room(rows) + self.notes.room(rows)
    }

    /// Most rows, up to `rows_max`, for which `bytes` suffice with some room to spare, by what rows took lately;
    /// `None` if not even one does.
    ///
    /// Buffers take whole granules. With thousands of columns those are what fills the memory, and a second row
    /// takes no more of them than the first: so this asks the buffers instead of dividing by the size of a row.
    pub(super) fn rows_for(&self, bytes: usize, rows_max: usize) -> Option<usize> {
        let bytes = bytes - bytes / 16;
        let fits = |rows| self.room(rows) <= bytes;
        if !fits(1) {
            return None;
        }
        let (mut most, mut too_many) = (1, rows_max.max(1).saturating_add(1));
        while too_many - most > 1 {
            let rows = most + (too_many - most) / 2;
            if fits(rows) {
                most = rows;
            } else {
                too_many = rows;
            }
        }
        Some(most)
    }
}
