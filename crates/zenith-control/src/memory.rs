//! The memory of a run, divided: a share for each source, and two parts for what is done beside them.
//!
//! | part | for | bytes |
//! | --- | --- | --- |
//! | comparing | a collection and its table | 8 MiB |
//! | loading | a pipeline that no source holds | 8 MiB |
//! | letters | dead letters that are tried again | 4 MiB |
//!
//! Nothing waits for memory while it holds some: a part is taken whole before anything is begun with it, and what has it
//! needs nothing of the others. Where the budget is too small to keep the parts apart, sources have all of it, and a part is
//! taken when they leave it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;
use zenith_engine::{Pool, give_back_heap};

/// What a source cannot do without.
const SOURCE_MIN: usize = 16 << 20;
/// Bytes that a replicator divides, of which one that does one thing beside others uses half at most.
const NOMINAL: usize = 16 << 20;
/// A pool of which less is in use rests.
const LITTLE: usize = 1 << 20;
/// So many looks at a pool that rests are needed before memory goes back.
const REST_AFTER: u32 = 5;
/// Between two looks at whether a part is free.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What is done beside the sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A comparison of a collection and its table.
    Comparing,
    /// A load of a pipeline that no source holds.
    Loading,
    /// Dead letters that are tried again.
    Letters,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Comparing, Kind::Loading, Kind::Letters];

    fn bytes(self) -> usize {
        match self {
            Kind::Comparing | Kind::Loading => 8 << 20,
            Kind::Letters => 4 << 20,
        }
    }
}

/// The memory of a run. Clones share it.
#[derive(Clone, Debug)]
pub struct Memory {
    pool: Pool,
    /// How often it was found to be used little, one time after the other.
    resting: Arc<AtomicU32>,
    /// By kind; none where one task has all of the pool.
    turns: Option<[Arc<Semaphore>; Kind::ALL.len()]>,
}

/// A part, until dropped.
#[derive(Debug)]
pub struct Part {
    /// What may be used.
    pub pool: Pool,
    /// Bytes that a replicator divides.
    pub divisible: usize,
    _turn: Option<OwnedSemaphorePermit>,
}

impl Part {
    /// All of a pool, for a process that does nothing else.
    #[must_use]
    pub fn whole(pool: Pool) -> Part {
        Part { divisible: pool.budget(), pool, _turn: None }
    }
}

impl Memory {
    /// Divides a pool.
    #[must_use]
    pub fn new(pool: Pool) -> Memory {
        let turns = Kind::ALL.map(|_| Arc::new(Semaphore::new(1)));
        Memory { pool, resting: Arc::default(), turns: Some(turns) }
    }

    /// A pool for a process that does one thing at a time, which has all of it.
    #[must_use]
    pub fn of_one(pool: Pool) -> Memory {
        Memory { pool, resting: Arc::default(), turns: None }
    }

    /// All of it.
    #[must_use]
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The share of each source, in bytes.
    #[must_use]
    pub fn of_source(&self, sources: usize) -> usize {
        let (budget, sources) = (self.pool.budget(), sources.max(1));
        let beside: usize = Kind::ALL.into_iter().map(Kind::bytes).sum();
        let share = budget.saturating_sub(beside) / sources;
        if share >= SOURCE_MIN { share } else { budget / sources }
    }

    /// Called every second or so: what was used and is not for a while goes back to the system.
    pub fn rest(&self) {
        if self.pool.stats().in_use >= LITTLE {
            self.resting.store(0, Ordering::Relaxed);
        } else if self.resting.fetch_add(1, Ordering::Relaxed) + 1 == REST_AFTER {
            self.resting.store(0, Ordering::Relaxed);
            if self.pool.give_back() >= LITTLE {
                give_back_heap();
            }
        }
    }

    /// Waits for a part. Others of its kind come one after the other.
    pub async fn part(&self, kind: Kind) -> Part {
        let Some([comparing, loading, letters]) = &self.turns else { return Part::whole(self.pool.clone()) };
        let turns = match kind {
            Kind::Comparing => comparing,
            Kind::Loading => loading,
            Kind::Letters => letters,
        };
        // The semaphores are never closed, so acquiring cannot fail.
        let turn = Arc::clone(turns).acquire_owned().await.ok();
        // A budget that is smaller than its parts is one part.
        let bytes = kind.bytes().min(self.pool.budget());
        loop {
            // Not as others wait: what stood behind it in the queue might be what has to get on before there is room.
            if let Some(pool) = self.pool.try_part(bytes) {
                return Part { pool, divisible: NOMINAL, _turn: turn };
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn shares_and_parts_are_no_more_than_the_budget() {
        let of =
            |budget: usize, sources| Memory::new(Pool::new(budget * MIB).unwrap()).of_source(sources) / MIB;
        assert_eq!((of(64, 1), of(64, 2), of(64, 3), of(16, 1)), (44, 22, 21, 16));
    }

    #[tokio::test]
    async fn parts_come_in_turn_and_wait_for_a_pool_that_is_used_up() {
        let memory = Memory::new(Pool::new(64 * MIB).unwrap());
        let shares = memory.pool().try_reserve(memory.of_source(1)).unwrap();
        let loading = memory.part(Kind::Loading).await;
        let letters = memory.part(Kind::Letters).await;
        assert_eq!(
            (loading.pool.budget(), letters.pool.budget(), loading.divisible),
            (8 * MIB, 4 * MIB, 16 * MIB)
        );
        let (other, of_other) = (memory.clone(), Duration::from_millis(100));
        assert!(
            tokio::time::timeout(of_other, other.part(Kind::Loading)).await.is_err(),
            "it is not its turn"
        );
        drop(loading);
        assert!(tokio::time::timeout(of_other, other.part(Kind::Loading)).await.is_ok());
        drop((shares, letters));
        let all = memory.pool().try_reserve(64 * MIB).unwrap();
        let waiting = tokio::spawn(async move { other.part(Kind::Letters).await });
        tokio::time::sleep(of_other).await;
        // One that waits keeps nobody from what is there.
        drop(all);
        assert!(memory.pool().try_reserve(16 * MIB).is_some());
        waiting.await.unwrap();
    }
}
