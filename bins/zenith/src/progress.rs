//! Progress on standard error: a bar on a terminal, a line now and then elsewhere.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, HumanDuration, ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;
use zenith_engine::Progress;

const BAR: &str = "{spinner} {pos_human} of {len_human} rows  {wide_bar:.cyan/blue}  {percent}%  {msg}";
const BAR_UNKNOWN: &str = "{spinner} {pos_human} rows  {msg}";
/// Between two looks at the counters.
const TICK: Duration = Duration::from_millis(100);
/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows progress until dropped.
pub struct Display {
    task: JoinHandle<()>,
    bar: Option<ProgressBar>,
}

impl Display {
    /// Begins to show `progress`.
    pub fn start(progress: Arc<Progress>) -> Display {
        if std::io::stderr().is_terminal() {
            let bar = ProgressBar::new(0);
            let task = tokio::spawn(draw(progress, bar.clone()));
            Display { task, bar: Some(bar) }
        } else {
            Display { task: tokio::spawn(lines(progress)), bar: None }
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.task.abort();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

async fn draw(progress: Arc<Progress>, bar: ProgressBar) {
    let started = Instant::now();
    let mut sized = false;
    bar.set_style(style(BAR_UNKNOWN));
    loop {
        let now = progress.snapshot();
        if !sized && now.documents_expected > 0 {
            bar.set_style(style(BAR));
            sized = true;
        }
        // The count of the server's metadata may lag behind writes.
        bar.set_length(now.documents_expected.max(now.rows_written));
        bar.set_position(now.rows_written);
        let rate = Rate::of(now.rows_written, now.source_bytes, started.elapsed());
        let left = rate.left(now.documents_expected.saturating_sub(now.rows_written));
        bar.set_message(format!(
            "{}/s  {}/s  {left}memory {}",
            HumanCount(rate.rows),
            HumanBytes(rate.bytes),
            HumanBytes(now.memory_in_use)
        ));
        bar.tick();
        tokio::time::sleep(TICK).await;
    }
}

async fn lines(progress: Arc<Progress>) {
    let started = Instant::now();
    loop {
        tokio::time::sleep(LINE_EVERY).await;
        let now = progress.snapshot();
        let rate = Rate::of(now.rows_written, now.source_bytes, started.elapsed());
        eprintln!(
            "zenith: {} of about {} rows, {}/s, {}/s",
            HumanCount(now.rows_written),
            HumanCount(now.documents_expected),
            HumanCount(rate.rows),
            HumanBytes(rate.bytes)
        );
    }
}

struct Rate {
    rows: u64,
    bytes: u64,
}

impl Rate {
    fn of(rows: u64, bytes: u64, elapsed: Duration) -> Rate {
        let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
        Rate { rows: rows.saturating_mul(1000) / millis, bytes: bytes.saturating_mul(1000) / millis }
    }

    fn left(&self, rows: u64) -> String {
        match rows.checked_div(self.rows) {
            Some(seconds) if rows > 0 => format!("{} left  ", HumanDuration(Duration::from_secs(seconds))),
            _ => String::new(),
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("pos_human", |state: &indicatif::ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = write!(out, "{}", HumanCount(state.pos()));
        })
        .with_key("len_human", |state: &indicatif::ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = write!(out, "{}", HumanCount(state.len().unwrap_or(0)));
        })
}
