//! Splits the memory budget of a replicator without deadlock.
//!
//! | share | for | at the same time |
//! | --- | --- | --- |
//! | 1/2 | a collection that is read whole, or by a cursor | one |
//! | 1/4 | replies of change streams, until they are written | all |
//! | 1/8 | documents that are looked up | one holder |
//! | 1/8 | columns of changes on their way | two batches |
//!
//! The samples that tables were made of are kept beside them until their collections are read, as far as there is room
//! ([`MemoryQuota::sample`]).
//!
//! The shares together do not exceed the budget. A task that waits for a permit of one kind holds none of that kind,
//! so the holder can always finish.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zenith_extract::ReplyBudget;
use zenith_memory::{Pool, Waiters};

use crate::options::MEMORY_MIN;
use crate::reload::SAMPLE_BYTES;
use crate::{EngineError, Result};

/// Batches of changes decoded and inserted at the same time.
const BATCHES: usize = 2;

/// Bytes of all samples that are kept: the largest one finds room, with what it is divided by.
const SAMPLES: usize = SAMPLE_BYTES + SAMPLE_BYTES / 8;
/// Bytes that samples are counted in.
const SAMPLE_UNIT: usize = 1024;

/// The memory of one replicator and its division into shares. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct MemoryQuota {
    pool: Pool,
    memory: usize,
    stream: ReplyBudget,
    lookups: ReplyBudget,
    snapshot: Arc<Semaphore>,
    lookup: Arc<Semaphore>,
    batches: Arc<Semaphore>,
    batch_waiters: Waiters,
    samples: Arc<Semaphore>,
}

/// The right to use a share, until dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    _permit: Option<OwnedSemaphorePermit>,
}

impl MemoryQuota {
    /// `memory` bytes of the pool.
    pub(crate) fn new(pool: Pool, memory: usize) -> MemoryQuota {
        MemoryQuota {
            stream: ReplyBudget::with_share(pool.clone(), memory / 4),
            lookups: ReplyBudget::with_share(pool.clone(), memory / 8),
            snapshot: Arc::new(Semaphore::new(1)),
            lookup: Arc::new(Semaphore::new(1)),
            batches: Arc::new(Semaphore::new(BATCHES)),
            batch_waiters: Waiters::default(),
            samples: Arc::new(Semaphore::new(SAMPLES.div_ceil(SAMPLE_UNIT))),
            pool,
            memory,
        }
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// # Errors
    /// [`EngineError::Setting`] if the budget is too small to be divided.
    pub(crate) fn check(&self) -> Result<()> {
        if self.memory / 2 >= MEMORY_MIN {
            return Ok(());
        }
        Err(EngineError::Setting {
            setting: "the memory for each source",
            value: format!("{} bytes", self.memory),
            reason: "keeping tables in step needs 16 MiB for each source".to_owned(),
        })
    }

    /// Bytes for reading a collection whole.
    pub(crate) fn snapshot_bytes(&self) -> usize {
        self.memory / 2
    }

    /// Bytes of a cursor's columns, and of its replies: it reads like a snapshot, in its turn.
    pub(crate) fn cursor_bytes(&self) -> usize {
        self.snapshot_bytes() / 4
    }

    /// The reply budget of a cursor.
    pub(crate) fn cursor(&self) -> ReplyBudget {
        ReplyBudget::with_share(self.pool.clone(), self.cursor_bytes())
    }

    /// Bytes of changes that may wait to be written, so that the same amount can arrive meanwhile.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.memory / 8
    }

    /// Bytes of the columns of one batch of changes.
    pub(crate) fn batch_bytes(&self) -> usize {
        self.memory / 8 / BATCHES
    }

    /// The reply budget of the change stream.
    pub(crate) fn stream(&self) -> &ReplyBudget {
        &self.stream
    }

    /// The reply budget of look-ups. Only for the holder of a [`MemoryQuota::lookup`] permit.
    pub(crate) fn lookups(&self) -> &ReplyBudget {
        &self.lookups
    }

    /// Waits until no other snapshot is running.
    pub(crate) async fn snapshot(&self) -> Permit {
        turn(&self.snapshot).await
    }

    /// The right to keep a sample of so many bytes, if there is room for it beside the others.
    pub(crate) fn sample(&self, bytes: usize) -> Option<Permit> {
        let units = u32::try_from(bytes.div_ceil(SAMPLE_UNIT).max(1)).ok()?;
        let permit = Arc::clone(&self.samples).try_acquire_many_owned(units).ok()?;
        Some(Permit { _permit: Some(permit) })
    }

    /// Waits until no other pipeline looks up documents.
    pub(crate) async fn lookup(&self) -> Permit {
        turn(&self.lookup).await
    }

    /// Waits until a batch may be made.
    pub(crate) async fn batch(&self) -> Permit {
        self.batch_waiters.counted(turn(&self.batches)).await
    }

    /// Returns while the stream or a batch waits for memory that a pipeline holds until its changes are written.
    pub(crate) async fn contended(&self) {
        tokio::select! {
            biased;
            () = self.batch_waiters.any() => {}
            () = self.stream.waiters().any() => {}
        }
    }
}

async fn turn(semaphore: &Arc<Semaphore>) -> Permit {
    // The semaphores are never closed, so acquiring cannot fail.
    Permit { _permit: Arc::clone(semaphore).acquire_owned().await.ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_find_room_until_there_is_none() {
        let quota = MemoryQuota::new(Pool::new(64 << 20).unwrap(), 64 << 20);
        let largest = quota.sample(SAMPLES).unwrap();
        assert!(quota.sample(1).is_none());
        drop(largest);
        let small: Vec<Permit> = (0..16).map(|_| quota.sample(SAMPLES / 16).unwrap()).collect();
        assert!(quota.sample(1).is_none());
        drop(small);
        assert!(quota.sample(SAMPLES + SAMPLE_UNIT).is_none() && quota.sample(SAMPLES).is_some());
    }
}
