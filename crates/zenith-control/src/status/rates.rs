//! Rows a second over the last seconds, out of counts seen now and then.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// What a rate is taken over.
const OVER: Duration = Duration::from_secs(10);

/// Counts that were seen, by name.
#[derive(Debug, Default)]
pub struct Rates {
    seen: HashMap<String, VecDeque<(Instant, u64)>>,
}

impl Rates {
    /// Notes a count, and says how fast it grew; `None` for the first one.
    pub fn see(&mut self, name: &str, rows: u64, now: Instant) -> Option<f64> {
        let seen = self.seen.entry(name.to_owned()).or_default();
        // A new run counts from 0 again.
        if seen.back().is_some_and(|&(_, last)| last > rows) {
            seen.clear();
        }
        seen.push_back((now, rows));
        while seen.len() > 2 && seen.front().is_some_and(|&(at, _)| now.duration_since(at) > OVER) {
            seen.pop_front();
        }
        let &(since, first) = seen.front().filter(|_| seen.len() > 1)?;
        rate(rows - first, now.duration_since(since))
    }

    /// Forgets what is not there any more.
    pub fn forget(&mut self, name: &str) {
        self.seen.remove(name);
    }
}

/// Rows a second, where the time is long enough to say.
pub fn rate(rows: u64, elapsed: Duration) -> Option<f64> {
    // Exact for all counts a run can reach (2^53).
    #[expect(clippy::cast_precision_loss)]
    let rows = rows as f64;
    (elapsed >= Duration::from_millis(100)).then(|| (rows / elapsed.as_secs_f64() * 10.0).round() / 10.0)
}

/// As people read it: a decimal only where it says something.
pub fn shown(rate: f64) -> String {
    if rate < 10.0 { format!("{rate:.1}") } else { indicatif::HumanFloatCount(rate.round()).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_last_seconds_and_begin_anew_with_the_counts() {
        let (mut rates, start) = (Rates::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(rates.see("a", 0, at(0)), None);
        assert_eq!(rates.see("a", 100, at(1)), Some(100.0));
        assert_eq!(rates.see("b", 5, at(1)), None);
        assert_eq!(rates.see("a", 100, at(11)), Some(0.0));
        assert_eq!(rates.see("a", 40, at(12)), None, "it started over");
        assert_eq!((shown(0.25), shown(1234.5)), ("0.2".to_owned(), "1,235".to_owned()));
    }
}
