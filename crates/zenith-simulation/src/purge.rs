//! Rows of documents that are gone leave the table, as ClickHouse lets them: by mutations that write one part after the other
//! again, whenever it comes to that, while rows are inserted.
//!
//! Nothing that is shown may change by it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use arrow_array::RecordBatch;
use zenith_engine::transport::{MemorySink, Purge, Purging};

use crate::rows::{Row, newest, rows_of};
use crate::world::World;

/// What is known of the rows that replace each other.
#[derive(Clone, Copy, Debug, Default)]
struct Versions {
    /// The highest ones of rows that stand for a deletion, and of others.
    deletion: Option<u64>,
    row: Option<u64>,
}

/// Rows that are to go, and the parts of the table that have not been written again.
#[derive(Debug)]
struct Mutation {
    table: String,
    up_to: u64,
    /// Whether the rows go that deletions hide, or the deletions.
    of_hidden: bool,
    parts: Vec<usize>,
}

/// The mutation of the table that is under way, if there is any: it outlives a crash.
#[derive(Debug, Default)]
pub(crate) struct Mutations(Mutex<Option<Mutation>>);

impl Mutations {
    /// Takes the next step, as it is asked for.
    pub(crate) fn step(&self, world: &World, memory: &MemorySink, purge: &Purge) -> Purging {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.is_some() {
            return Purging::UnderWay;
        }
        let batches = memory.batches(&purge.table);
        let rows: Vec<Row> = batches.iter().flat_map(rows_of).collect();
        for of_hidden in [true, false] {
            let (table, up_to) = (purge.table.clone(), purge.up_to);
            let mutation = Mutation { table, up_to, of_hidden, parts: (0..batches.len()).collect() };
            let known = versions(world, &rows);
            let going = rows.iter().filter(|row| mutation.takes(row, known.get(&place(world, row)))).count();
            if going > 0 {
                *open = Some(mutation);
                let going = u64::try_from(going).unwrap_or(u64::MAX);
                return if of_hidden { Purging::Hidden(going) } else { Purging::Deletions(going) };
            }
        }
        Purging::Done
    }

    /// Forgets the mutation of a table that is there no more.
    pub(crate) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Now and then a part is written again: merges may be stopped for a while.
    pub(crate) fn go_on(&self, world: &World, memory: &MemorySink) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mutation) = open.as_mut().filter(|_| world.between(0, 2) > 0) else { return };
        let Some(last) = mutation.parts.len().checked_sub(1) else {
            *open = None;
            return;
        };
        let at = world.between(0, u32::try_from(last).unwrap_or(u32::MAX));
        let part = mutation.parts.swap_remove(usize::try_from(at).unwrap_or(last));
        mutation.write_again(world, memory, part);
    }
}

impl Mutation {
    /// Whether a row is to go, of which this is known.
    fn takes(&self, row: &Row, versions: Option<&Versions>) -> bool {
        let Some(Versions { deletion: Some(deletion), row: shown }) = versions.copied() else { return false };
        let is_old = deletion <= self.up_to && shown.is_none_or(|shown| shown <= self.up_to);
        let goes = match self.of_hidden {
            true => !row.is_deleted && shown.is_some_and(|shown| deletion > shown),
            false => row.is_deleted && shown.is_none(),
        };
        is_old && goes && row.version <= self.up_to
    }

    /// Writes a part again without the rows that are to go by now.
    fn write_again(&mut self, world: &World, memory: &MemorySink, part: usize) {
        let batches = memory.batches(&self.table);
        let Some(batch) = batches.get(part) else { return };
        let rows: Vec<Row> = batches.iter().flat_map(rows_of).collect();
        let before = shown(world, rows.clone());
        let known = versions(world, &rows);
        let of_part = rows_of(batch);
        let stays: Vec<bool> =
            of_part.iter().map(|row| !self.takes(row, known.get(&place(world, row)))).collect();
        let gone = stays.iter().filter(|stays| !**stays).count();
        if gone == 0 {
            return;
        }
        world.tell(|| format!("    {gone} rows leave the table, of {}", of_part.len()));
        let others = staying(batch, &stays);
        for other in self.parts.iter_mut().filter(|other| **other > part) {
            *other = (*other + others.len()).saturating_sub(1);
        }
        memory.rewrite(&self.table, part, others);
        let after = shown(world, memory.batches(&self.table).iter().flat_map(rows_of).collect());
        if before != after {
            world.broken(|| {
                format!("rows that leave the table change what it shows: {before:?} is {after:?}")
            });
        }
    }
}

/// The rows of a batch that stay, in order.
fn staying(batch: &RecordBatch, stays: &[bool]) -> Vec<RecordBatch> {
    let rows = stays.iter().enumerate().filter(|(_, stays)| **stays);
    rows.map(|(row, _)| batch.slice(row, 1)).collect()
}

/// What tells rows apart that do not replace each other.
fn place(world: &World, row: &Row) -> (i64, i64, i64) {
    (row.id, if world.scenario.has_key { row.key } else { 0 }, row.element)
}

fn versions(world: &World, rows: &[Row]) -> BTreeMap<(i64, i64, i64), Versions> {
    let mut known: BTreeMap<_, Versions> = BTreeMap::new();
    for row in rows {
        let versions = known.entry(place(world, row)).or_default();
        let highest = if row.is_deleted { &mut versions.deletion } else { &mut versions.row };
        *highest = (*highest).max(Some(row.version));
    }
    known
}

/// The documents that a table shows.
fn shown(world: &World, rows: Vec<Row>) -> BTreeSet<(i64, i64)> {
    let newest = newest(rows, world.scenario.has_key).into_iter().filter(|row| !row.is_deleted);
    newest.map(|row| (row.id, row.element)).collect()
}
