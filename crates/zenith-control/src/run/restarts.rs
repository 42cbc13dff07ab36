//! When pipelines that could not go on are tried again by a run that stays.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The first pause; each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_secs(5);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(300);

/// The pauses of pipelines that have failed.
#[derive(Debug, Default)]
pub struct Restarts {
    by_pipeline: BTreeMap<String, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    pause: Duration,
    next: Instant,
}

impl Restarts {
    /// Whether a pipeline that stands failed is to be tried again now. The first time it is asked of one the pause begins.
    pub fn is_due(&mut self, pipeline: &str, now: Instant) -> bool {
        let Some(waiting) = self.by_pipeline.get_mut(pipeline) else {
            let waiting = Waiting { pause: PAUSE_MIN, next: now + PAUSE_MIN };
            self.by_pipeline.insert(pipeline.to_owned(), waiting);
            return false;
        };
        if now < waiting.next {
            return false;
        }
        waiting.pause = (waiting.pause * 2).min(PAUSE_MAX);
        waiting.next = now + waiting.pause;
        true
    }

    /// Forgets pipelines that have not failed for longer than their pause: their next failure is a first one again.
    pub fn forget_recovered(&mut self, now: Instant, is_failed: impl Fn(&str) -> bool) {
        self.by_pipeline.retain(|name, waiting| is_failed(name) || now < waiting.next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_until_a_pipeline_has_recovered() {
        let (mut restarts, begun) = (Restarts::default(), Instant::now());
        let at = |seconds| begun + Duration::from_secs(seconds);
        assert!(!restarts.is_due("a", at(0)));
        assert!(!restarts.is_due("a", at(4)));
        assert!(restarts.is_due("a", at(5)));
        assert!(!restarts.is_due("a", at(14)));
        assert!(restarts.is_due("a", at(15)));
        restarts.forget_recovered(at(20), |_| false);
        assert!(!restarts.is_due("a", at(34)), "it has not run for long");
        restarts.forget_recovered(at(40), |_| false);
        assert!(!restarts.is_due("a", at(40)));
        assert!(restarts.is_due("a", at(45)), "a first failure again");
    }
}
