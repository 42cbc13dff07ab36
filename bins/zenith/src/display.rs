//! What pipelines are doing: a table on a terminal, a line each now and then elsewhere.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant, SystemTime};

use indicatif::{HumanBytes, HumanCount, ProgressBar};
use tokio::task::JoinHandle;
use zenith_engine::{Phase, PipelineProgress, Pool};

use crate::progress::{LINE_EVERY, say, show, style};
use zenith_control::mismatches::{counted, totals};
use zenith_control::status::rates::{self, Rates};
use zenith_control::text::table;
use zenith_control::time;

/// Between two drawings of the table.
const REDRAW: Duration = Duration::from_millis(250);
/// More would scroll away on small terminals.
const PIPELINES_SHOWN: usize = 20;

/// Shows progress until dropped.
pub struct Display {
    task: JoinHandle<()>,
    bar: Option<ProgressBar>,
}

impl Display {
    /// Begins to show what `progress` says, and the memory in use of the pool.
    pub fn start(
        pool: Option<Pool>,
        progress: impl Fn() -> Vec<PipelineProgress> + Send + 'static,
    ) -> Display {
        if std::io::stderr().is_terminal() {
            let bar = ProgressBar::new_spinner();
            bar.set_style(style("{msg}"));
            show(Some(bar.clone()));
            Display { task: tokio::spawn(draw(pool, progress, bar.clone())), bar: Some(bar) }
        } else {
            Display { task: tokio::spawn(lines(pool, progress)), bar: None }
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.task.abort();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
            show(None);
        }
    }
}

async fn draw(pool: Option<Pool>, progress: impl Fn() -> Vec<PipelineProgress>, bar: ProgressBar) {
    let mut rates = Rates::default();
    loop {
        let pipelines = progress();
        let memory = format!("memory {}", memory(pool.as_ref(), &pipelines));
        bar.set_message(as_table(&pipelines, &mut rates, Instant::now(), SystemTime::now()) + &memory);
        bar.tick();
        tokio::time::sleep(REDRAW).await;
    }
}

async fn lines(pool: Option<Pool>, progress: impl Fn() -> Vec<PipelineProgress>) {
    let mut rates = Rates::default();
    for pipeline in progress() {
        rates.see(&pipeline.name, pipeline.counters.rows_written, Instant::now());
    }
    loop {
        tokio::time::sleep(LINE_EVERY).await;
        let pipelines = progress();
        for pipeline in &pipelines {
            let line = line(pipeline, &mut rates, Instant::now(), SystemTime::now());
            say(&format!("zenith: {line}, memory {}", memory(pool.as_ref(), &pipelines)));
        }
    }
}

fn as_table(pipelines: &[PipelineProgress], rates: &mut Rates, at: Instant, now: SystemTime) -> String {
    let mut rows = Vec::with_capacity(pipelines.len());
    for pipeline in pipelines {
        let rate = rates.see(&pipeline.name, pipeline.counters.rows_written, at);
        rows.push(vec![
            pipeline.name.clone(),
            phase(pipeline),
            HumanCount(pipeline.counters.rows_written).to_string(),
            rate.map_or_else(|| "-".to_owned(), rates::shown),
            HumanCount(pipeline.pending).to_string(),
            lag(pipeline, now).map_or_else(|| "-".to_owned(), time::duration),
            HumanCount(pipeline.counters.extra_values).to_string(),
            HumanCount(pipeline.counters.dead_letters).to_string(),
        ]);
    }
    rows.truncate(PIPELINES_SHOWN);
    let mut text =
        table(&["pipeline", "phase", "rows", "rows/s", "pending", "lag", "in extra", "dead letters"], &rows);
    if pipelines.len() > PIPELINES_SHOWN {
        text.push_str(&format!("and {} more\n", pipelines.len() - PIPELINES_SHOWN));
    }
    for (name, error) in pipelines
        .iter()
        .take(PIPELINES_SHOWN)
        .filter_map(|pipeline| Some((&pipeline.name, trouble(pipeline)?)))
    {
        text.push_str(&format!("{name}: {error}\n"));
    }
    text
}

/// In use by all pipelines together; as they say where another process has the pool.
fn memory(pool: Option<&Pool>, pipelines: &[PipelineProgress]) -> HumanBytes {
    HumanBytes(match pool {
        Some(pool) => u64::try_from(pool.stats().in_use).unwrap_or(u64::MAX),
        None => pipelines.iter().map(|pipeline| pipeline.counters.memory_in_use).sum(),
    })
}

fn line(pipeline: &PipelineProgress, rates: &mut Rates, at: Instant, now: SystemTime) -> String {
    let rate = rates.see(&pipeline.name, pipeline.counters.rows_written, at).unwrap_or(0.0);
    let lag = lag(pipeline, now).map_or_else(String::new, |lag| format!(", {} behind", time::duration(lag)));
    let trouble = trouble(pipeline).map_or_else(String::new, |error| format!(" ({error})"));
    let mismatches = totals(pipeline.counters.extra_values, pipeline.counters.dead_letters);
    let mismatches = mismatches.map_or_else(String::new, |totals| format!(", {totals}"));
    format!(
        "{} {}{trouble}, {}, {} rows/s{lag}{mismatches}",
        pipeline.name,
        phase(pipeline),
        counted(pipeline.counters.rows_written, "row"),
        rates::shown(rate)
    )
}

/// What keeps a pipeline from going on.
fn trouble(pipeline: &PipelineProgress) -> Option<String> {
    if let Some(waiting) = &pipeline.waiting {
        return Some(waiting.reason.replace('\n', " "));
    }
    let error = pipeline.last_error.as_ref()?;
    matches!(pipeline.phase, Phase::Retrying | Phase::Failed).then(|| error.replace('\n', " "))
}

/// "snapshot 12 %" where that can be told.
fn phase(pipeline: &PipelineProgress) -> String {
    let counters = &pipeline.counters;
    let name = pipeline.phase.name();
    match counters
        .rows_written
        .min(counters.documents_expected)
        .saturating_mul(100)
        .checked_div(counters.documents_expected)
    {
        Some(share) if pipeline.phase == Phase::Snapshot => format!("{name} {share} %"),
        _ => name.to_owned(),
    }
}

fn lag(pipeline: &PipelineProgress, now: SystemTime) -> Option<Duration> {
    pipeline.applied_to.map(|applied| time::ago(applied, now))
}

#[cfg(test)]
mod tests {
    use zenith_engine::ProgressSnapshot;

    use zenith_engine::timings::TimingsSnapshot;

    use super::*;

    #[test]
    fn pipelines_in_a_table_and_in_lines() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
        let pipeline = |rows_written, phase| PipelineProgress {
            name: "orders".to_owned(),
            phase,
            counters: ProgressSnapshot {
                documents_expected: 2_000,
                rows_written,
                ..ProgressSnapshot::default()
            },
            timings: TimingsSnapshot::default(),
            pending: 3,
            applied_to: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(88)),
            last_error: None,
            waiting: None,
        };
        let (mut rates, at) = (Rates::default(), Instant::now());
        let text = as_table(&[pipeline(500, Phase::Snapshot)], &mut rates, at, now);
        assert!(text.contains("orders    snapshot 25 %  500   -       3        12 s"), "{text}");
        let text = line(&pipeline(2_500, Phase::Following), &mut rates, at + Duration::from_secs(2), now);
        assert_eq!(text, "orders following, 2,500 rows, 1,000 rows/s, 12 s behind");
        let mut mismatch = pipeline(2_500, Phase::Following);
        (mismatch.counters.extra_values, mismatch.counters.dead_letters) = (1, 2);
        let text = line(&mismatch, &mut Rates::default(), at, now);
        assert!(text.ends_with(", 1 value in _zenith_extra, 2 dead letters"), "{text}");
        let mut away = pipeline(2_500, Phase::Retrying);
        away.last_error = Some("no server".to_owned());
        let text = line(&away, &mut rates, at + Duration::from_secs(3), now);
        assert_eq!(text, "orders retrying (no server), 2,500 rows, 667 rows/s, 12 s behind");
        assert!(as_table(&[away], &mut rates, at, now).ends_with("\norders: no server\n"));
    }
}
