//! The pace of small batches: as fast as the settings allow, and slower while parts pile up.

use std::time::Duration;

use tokio::time::Instant;
use zenith_transport::Sink;

use super::progress::Live;

/// Between two looks at the parts of a table.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Active parts from which on inserts come less often: merges do not keep up, and ClickHouse slows inserts down itself
/// at 1,000.
const PARTS_MANY: u64 = 150;
/// Active parts below which they come more often again.
const PARTS_FEW: u64 = 60;
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// The pause between two inserts of a pipeline.
#[derive(Debug)]
pub(super) struct Pace {
    /// As the settings have it.
    shortest: Duration,
    pause: Duration,
    looked: Instant,
}

impl Pace {
    /// No change waits longer than `interval`. Waiting half as long for each insert to begin leaves the other half for it
    /// to end.
    pub(super) fn new(interval: Duration) -> Pace {
        Pace { shortest: interval / 2, pause: interval / 2, looked: Instant::now() }
    }

    pub(super) fn pause(&self) -> Duration {
        self.pause
    }

    /// Looks at the parts of the table now and then, and changes the pause.
    pub(super) async fn adapt<K: Sink>(&mut self, sink: &K, table: &str, live: &Live) {
        if self.looked.elapsed() < LOOK_EVERY {
            return;
        }
        self.looked = Instant::now();
        let Some(parts) = parts(sink, table).await else { return };
        live.parts(Some(parts));
        let pause = self.after(parts);
        if pause != self.pause {
            tracing::info!(
                table,
                parts,
                ?pause,
                "the table has {parts} parts: changes are now inserted every {pause:?}"
            );
            self.pause = pause;
        }
    }

    fn after(&self, parts: u64) -> Duration {
        if parts >= PARTS_MANY {
            (self.pause * 2).max(Duration::from_millis(50)).min(PAUSE_MAX.max(self.shortest))
        } else if parts <= PARTS_FEW {
            (self.pause / 2).max(self.shortest)
        } else {
            self.pause
        }
    }
}

/// Active parts of a table; `None` for sinks that have no such thing or do not tell.
async fn parts<K: Sink>(sink: &K, table: &str) -> Option<u64> {
    sink.admin().parts(table).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_parts_slow_inserts_down_and_few_let_them_be_quick_again() {
        let mut pace = Pace::new(Duration::from_millis(200));
        assert_eq!(pace.pause(), Duration::from_millis(100));
        pace.pause = pace.after(500);
        assert_eq!(pace.pause(), Duration::from_millis(200));
        for _ in 0..20 {
            pace.pause = pace.after(500);
        }
        assert_eq!(pace.pause(), PAUSE_MAX);
        pace.pause = pace.after(100);
        assert_eq!(pace.pause(), PAUSE_MAX);
        for _ in 0..20 {
            pace.pause = pace.after(3);
        }
        assert_eq!(pace.pause(), Duration::from_millis(100));
    }
}
