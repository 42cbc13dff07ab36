//! From decoders to inserters, a rendezvous channel: a batch goes only to an inserter that waits for one.
//!
//! So there are never more batches under way than decoders and inserters. One more, that lies between them, would not
//! make a load faster, but take the memory of a batch: sometimes, and always in a long one.

use arrow_array::RecordBatch;
use async_channel::{Receiver, Sender};

use crate::{EngineError, Result};

/// The two ends; clones of one share it.
pub(super) fn handover(takers: usize) -> (Giver, Taker) {
    let (want, wanted) = async_channel::bounded(takers);
    let (give, given) = async_channel::bounded(takers);
    (Giver { wanted, give }, Taker { want, given })
}

/// The end of the decoders.
#[derive(Clone)]
pub(super) struct Giver {
    /// One word of each taker that waits.
    wanted: Receiver<()>,
    give: Sender<RecordBatch>,
}

impl Giver {
    /// Waits until somebody wants a batch, and gives this one.
    ///
    /// # Errors
    /// [`EngineError::Stopped`] if nobody is left to take it.
    pub(super) fn give(&self, batch: RecordBatch) -> Result<()> {
        self.wanted.recv_blocking().map_err(|_| EngineError::Stopped)?;
        self.give.send_blocking(batch).map_err(|_| EngineError::Stopped)
    }
}

/// The end of the inserters.
#[derive(Clone)]
pub(super) struct Taker {
    want: Sender<()>,
    given: Receiver<RecordBatch>,
}

impl Taker {
    /// Waits for the next batch; `None` once there are no givers and no batches left.
    pub(super) async fn take(&self) -> Option<RecordBatch> {
        // Without givers nobody listens, and the end is told below.
        let _ = self.want.send(()).await;
        self.given.recv().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use arrow_array::RecordBatchOptions;
    use arrow_schema::Schema;

    use super::*;

    fn batch(rows: usize) -> RecordBatch {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options).unwrap()
    }

    #[tokio::test]
    async fn a_batch_is_kept_until_somebody_wants_it() {
        let (giver, taker) = handover(2);
        let given = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&given);
        let thread = std::thread::spawn(move || {
            for rows in 1..=3 {
                giver.give(batch(rows)).unwrap();
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(given.load(Ordering::SeqCst), 0, "nobody has asked");
        for rows in 1..=3 {
            assert_eq!(taker.take().await.unwrap().num_rows(), rows);
            while given.load(Ordering::SeqCst) < rows {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            assert_eq!(given.load(Ordering::SeqCst), rows, "one for each question");
        }
        thread.join().unwrap();
        assert!(taker.take().await.is_none() && taker.clone().take().await.is_none());
    }

    /// What was given before the givers left is still taken, each by one.
    #[tokio::test]
    async fn nothing_is_lost_at_the_end() {
        let (giver, taker) = handover(4);
        let takers: Vec<_> = (0..4)
            .map(|_| {
                let taker = taker.clone();
                tokio::spawn(async move {
                    let mut rows = 0;
                    while let Some(batch) = taker.take().await {
                        rows += batch.num_rows();
                        tokio::task::yield_now().await;
                    }
                    rows
                })
            })
            .collect();
        drop(taker);
        let threads = (0..2).map(|_| {
            let giver = giver.clone();
            tokio::task::spawn_blocking(move || (1..=1_000).try_for_each(|rows| giver.give(batch(rows))))
        });
        for thread in threads.collect::<Vec<_>>() {
            thread.await.unwrap().unwrap();
        }
        drop(giver);
        let mut rows = 0;
        for taker in takers {
            rows += taker.await.unwrap();
        }
        assert_eq!(rows, 2 * 500_500);
    }

    #[test]
    fn a_giver_does_not_wait_for_takers_that_left() {
        let (giver, taker) = handover(1);
        drop(taker);
        assert!(matches!(giver.give(batch(1)), Err(EngineError::Stopped)));
    }
}
