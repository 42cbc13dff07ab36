//! The clock of the source, as far as this machine's can tell it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

/// Nanoseconds that the source's clock is ahead. Clones are one clock.
#[derive(Clone, Debug, Default)]
pub(crate) struct SourceClock(Arc<AtomicI64>);

impl SourceClock {
    /// The source said just now what time it is.
    pub(super) fn set(&self, time: SystemTime) {
        let nanoseconds = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        let ahead = match time.duration_since(SystemTime::now()) {
            Ok(ahead) => nanoseconds(ahead),
            Err(behind) => -nanoseconds(behind.duration()),
        };
        self.0.store(ahead, Ordering::Relaxed);
    }

    pub(super) fn ahead(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    /// The time at the source.
    pub(super) fn now(&self) -> SystemTime {
        zenith_state::ahead(SystemTime::now(), self.ahead())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_differs_is_told() {
        let clock = SourceClock::default();
        for hours in [1, 0] {
            let difference = Duration::from_secs(3600 * hours);
            for source in [SystemTime::now() + difference, SystemTime::now() - difference] {
                clock.set(source);
                let off = clock.now().duration_since(source).unwrap_or_else(|error| error.duration());
                assert!(off < Duration::from_secs(1), "{off:?}");
            }
        }
    }
}
