//! The course of a pipeline in the last hour, a point every ten seconds, and what it has done in all.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use utoipa::ToSchema;
use zenith_control::time;
use zenith_engine::timings::HistogramSnapshot;
use zenith_engine::{PipelineProgress, ProgressSnapshot};

/// Between two points.
pub const STEP: Duration = Duration::from_secs(10);
/// Points of an hour.
const POINTS: usize = 360;
/// Points that one of a spark stands for.
const POINTS_OF_SPARK: usize = 6;

/// The course of one pipeline.
#[derive(Debug, Default)]
pub struct Series {
    points: VecDeque<Point>,
    /// What was seen when the last point was made.
    last: Option<(SystemTime, Seen)>,
    /// What it has done since the server began, in all its runs.
    totals: Totals,
    before: Seen,
    insert_before: HistogramSnapshot,
    flush_before: HistogramSnapshot,
}

/// Numbers by what was tried again.
type Retries = [u64; zenith_engine::Retried::ALL.len()];

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    rows: u64,
    bytes: u64,
    inserts: u64,
    repeated: u64,
    retries: Retries,
    insert_nanoseconds: u128,
    inserted: u64,
}

impl Seen {
    fn of(progress: &PipelineProgress) -> Seen {
        let ProgressSnapshot { rows_written, arrow_bytes, inserts, inserts_repeated, retries, .. } =
            progress.counters;
        Seen {
            rows: rows_written,
            bytes: arrow_bytes,
            inserts,
            repeated: inserts_repeated,
            retries,
            insert_nanoseconds: progress.timings.insert.sum.as_nanos(),
            inserted: progress.timings.insert.count(),
        }
    }
}

/// What a pipeline has done since the server began.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// Rows written.
    pub rows: u64,
    /// Bytes of Arrow data sent.
    pub bytes: u64,
    /// Inserts acknowledged.
    pub inserts: u64,
    /// Inserts that were sent again.
    pub repeated: u64,
    /// What else was tried again, in the order of [`Retried::ALL`](zenith_engine::Retried::ALL).
    pub retries: Retries,
    /// Time of inserts.
    pub insert: HistogramSnapshot,
    /// Time of making batches of changes durable.
    pub flush: HistogramSnapshot,
}

impl Totals {
    /// Adds what has come since `last`; less than then is what has begun anew.
    pub fn grow(&mut self, now: &Totals, last: &Totals) {
        let last = if now.inserts < last.inserts { &Totals::default() } else { last };
        for (total, now, last) in [
            (&mut self.rows, now.rows, last.rows),
            (&mut self.bytes, now.bytes, last.bytes),
            (&mut self.inserts, now.inserts, last.inserts),
            (&mut self.repeated, now.repeated, last.repeated),
        ] {
            *total += now.saturating_sub(last);
        }
        grow_each(&mut self.retries, &now.retries, &last.retries);
        grow(&mut self.insert, &now.insert, last.insert);
        grow(&mut self.flush, &now.flush, last.flush);
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Point {
    rows_per_second: Option<f64>,
    bytes_per_second: Option<f64>,
    lag_seconds: Option<f64>,
    insert_seconds: Option<f64>,
}

/// The course of a pipeline, oldest point first; `null` where nothing is known.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SeriesJson {
    /// Seconds between two points.
    pub step_seconds: u64,
    /// The time of the last point.
    pub at: Option<String>,
    /// Rows written a second.
    pub rows_per_second: Vec<Option<f64>>,
    /// Bytes of Arrow data sent a second.
    pub bytes_per_second: Vec<Option<f64>>,
    /// The lag.
    pub lag_seconds: Vec<Option<f64>>,
    /// What an insert took on average.
    pub insert_seconds: Vec<Option<f64>>,
}

impl Series {
    /// Takes what is known at a moment; without progress the pipeline does not run.
    pub fn see(&mut self, at: SystemTime, lag: Option<f64>, progress: Option<&PipelineProgress>) {
        let now = progress.map(Seen::of).unwrap_or_default();
        self.count(&now, progress);
        let Some((then, before)) = self.last else {
            self.last = Some((at, now));
            return;
        };
        let passed = time::ago(then, at);
        if passed < STEP {
            return;
        }
        // Time in which nobody looked.
        let missed = (passed.as_secs() / STEP.as_secs()).saturating_sub(1).min(POINTS as u64);
        (0..missed).for_each(|_| self.push(Point::default()));
        let seconds = passed.as_secs_f64();
        let rate =
            |now: u64, before: u64| now.checked_sub(before).map(|grown| round(as_f64(grown) / seconds));
        let point = match progress {
            None => Point { lag_seconds: lag.map(round), ..Point::default() },
            Some(_) => Point {
                rows_per_second: rate(now.rows, before.rows),
                bytes_per_second: rate(now.bytes, before.bytes),
                lag_seconds: lag.map(round),
                insert_seconds: mean(&now, &before),
            },
        };
        self.push(point);
        self.last = Some((at, now));
    }

    /// Adds what has been done since the last time; counters that have become smaller have begun anew.
    fn count(&mut self, now: &Seen, progress: Option<&PipelineProgress>) {
        let Some(progress) = progress else {
            self.before = Seen::default();
            self.insert_before = HistogramSnapshot::default();
            self.flush_before = HistogramSnapshot::default();
            return;
        };
        let began_anew = now.rows < self.before.rows || now.inserts < self.before.inserts;
        let before = if began_anew { Seen::default() } else { self.before };
        self.totals.rows += now.rows - before.rows;
        self.totals.bytes += now.bytes.saturating_sub(before.bytes);
        self.totals.inserts += now.inserts - before.inserts;
        self.totals.repeated += now.repeated.saturating_sub(before.repeated);
        grow_each(&mut self.totals.retries, &now.retries, &before.retries);
        let timings = &progress.timings;
        for (total, now, before) in [
            (&mut self.totals.insert, &timings.insert, &mut self.insert_before),
            (&mut self.totals.flush, &timings.flush, &mut self.flush_before),
        ] {
            grow(total, now, if began_anew { HistogramSnapshot::default() } else { *before });
            *before = *now;
        }
        self.before = *now;
    }

    fn push(&mut self, point: Point) {
        if self.points.len() == POINTS {
            self.points.pop_front();
        }
        self.points.push_back(point);
    }

    /// What the pipeline has done since the server began.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Rows a second in the last hour, a point a minute, as far as anything is known.
    #[must_use]
    pub fn spark(&self) -> Vec<Option<f64>> {
        let (first, last) = self.points.as_slices();
        let points: Vec<Point> = [first, last].concat();
        let minute = |points: &[Point]| {
            let known: Vec<f64> = points.iter().filter_map(|point| point.rows_per_second).collect();
            let count = u32::try_from(known.len()).unwrap_or(u32::MAX);
            (count > 0).then(|| round(known.iter().sum::<f64>() / f64::from(count)))
        };
        // From the end, so that the last minute is whole.
        let mut spark: Vec<Option<f64>> = points.rchunks(POINTS_OF_SPARK).map(minute).collect();
        spark.reverse();
        spark
    }

    /// All points.
    #[must_use]
    pub fn json(&self) -> SeriesJson {
        let each = |of: fn(&Point) -> Option<f64>| self.points.iter().map(of).collect();
        SeriesJson {
            step_seconds: STEP.as_secs(),
            at: self.last.filter(|_| !self.points.is_empty()).map(|(at, _)| time::rfc3339(at)),
            rows_per_second: each(|point| point.rows_per_second),
            bytes_per_second: each(|point| point.bytes_per_second),
            lag_seconds: each(|point| point.lag_seconds),
            insert_seconds: each(|point| point.insert_seconds),
        }
    }
}

fn grow_each(totals: &mut Retries, now: &Retries, before: &Retries) {
    for ((total, now), before) in totals.iter_mut().zip(now).zip(before) {
        *total += now.saturating_sub(*before);
    }
}

/// Adds what has come since `before`.
fn grow(total: &mut HistogramSnapshot, now: &HistogramSnapshot, before: HistogramSnapshot) {
    for ((total, now), before) in total.buckets.iter_mut().zip(now.buckets).zip(before.buckets) {
        *total += now.saturating_sub(before);
    }
    total.sum += now.sum.saturating_sub(before.sum);
}

fn mean(now: &Seen, before: &Seen) -> Option<f64> {
    let count = now.inserted.checked_sub(before.inserted).filter(|count| *count > 0)?;
    let nanoseconds = now.insert_nanoseconds.checked_sub(before.insert_nanoseconds)?;
    let took = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
    Some(round(took.as_secs_f64() / as_f64(count)))
}

fn as_f64(number: u64) -> f64 {
    // Nothing here is counted beyond 2^53.
    #[expect(clippy::cast_precision_loss)]
    let number = number as f64;
    number
}

/// To a thousandth: more digits only make answers longer.
fn round(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use zenith_engine::Phase;
    use zenith_engine::timings::TimingsSnapshot;

    use super::*;

    fn progress(rows: u64) -> PipelineProgress {
        PipelineProgress {
            name: "p".to_owned(),
            phase: Phase::Following,
            counters: ProgressSnapshot {
                rows_written: rows,
                inserts: rows / 10,
                ..ProgressSnapshot::default()
            },
            timings: TimingsSnapshot::default(),
            pending: 0,
            applied_to: None,
            last_error: None,
            waiting: None,
        }
    }

    #[test]
    fn points_are_made_every_ten_seconds_and_totals_outlive_runs() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds);
        let mut series = Series::default();
        for second in 0..=20 {
            series.see(at(second), Some(0.5), Some(&progress(second * 100)));
        }
        let json = series.json();
        assert_eq!((json.rows_per_second, json.lag_seconds), (vec![Some(100.0); 2], vec![Some(0.5); 2]));
        series.see(at(30), None, None);
        series.see(at(31), None, Some(&progress(50)));
        assert_eq!(series.totals().rows, 2_050);
        series.see(at(62), Some(1.0), Some(&progress(350)));
        assert_eq!(
            series.json().rows_per_second,
            [Some(100.0), Some(100.0), None, None, None, Some(10.938)],
            "nobody looked for twenty seconds"
        );
        assert_eq!(series.spark(), [Some(70.313)]);
    }
}
