//! Progress on standard error: a bar on a terminal, a line now and then elsewhere.
//!
//! Whatever else goes to standard error while the bar is drawn goes through [`say`] or [`Stderr`], which take the bar
//! away for as long: otherwise its rests would stand between the lines.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, HumanDuration, ProgressBar, ProgressStyle};

use tokio::task::JoinHandle;
use zenith_control::mismatches::counted;
use zenith_engine::{Progress, ProgressSnapshot};

// Numbers on a line of their own: beside them, there would be no room for a bar on a terminal of 80 columns.
const BAR: &str = "{spinner} {wide_bar:.cyan/blue} {percent:>3} %{prefix}\n  {msg}";
const BAR_UNKNOWN: &str = "{spinner} {msg}";
/// Between two looks at the counters.
const TICK: Duration = Duration::from_millis(100);
/// Between two lines where there is no terminal.
pub const LINE_EVERY: Duration = Duration::from_secs(10);

/// The bar on the terminal, while there is one.
static BAR_SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Writes a line to standard error, above the bar if there is one.
pub fn say(line: &str) {
    let _ = writeln!(Stderr, "{line}");
}

/// Standard error, above the bar if there is one.
pub struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match shown() {
            Some(bar) => bar.suspend(|| io::stderr().write(bytes)),
            None => io::stderr().write(bytes),
        }
    }

    /// In one piece, so that the bar is taken away once a line.
    fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> io::Result<()> {
        self.write_all(text.to_string().as_bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

fn shown() -> Option<ProgressBar> {
    BAR_SHOWN.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Takes a bar as the one that other output has to go around, or none.
pub fn show(bar: Option<ProgressBar>) {
    *BAR_SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = bar;
}

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
            show(Some(bar.clone()));
            let task = tokio::spawn(draw(progress, bar.clone()));
            Display { task, bar: Some(bar) }
        } else {
            Display { task: tokio::spawn(lines(progress)), bar: None }
        }
    }

    /// Begins to show what `text` says at each moment.
    pub fn saying(text: impl Fn() -> String + Send + 'static) -> Display {
        if std::io::stderr().is_terminal() {
            let bar = ProgressBar::new_spinner();
            bar.set_style(style(BAR_UNKNOWN));
            show(Some(bar.clone()));
            let shown = bar.clone();
            let task = tokio::spawn(async move {
                loop {
                    shown.set_message(text());
                    shown.tick();
                    tokio::time::sleep(TICK).await;
                }
            });
            return Display { task, bar: Some(bar) };
        }
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(LINE_EVERY).await;
                say(&format!("zenith: {}", text()));
            }
        });
        Display { task, bar: None }
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
        bar.set_prefix(rate.left(now.documents_expected.saturating_sub(now.rows_written)));
        bar.set_message(format!(
            "{} {rate}  memory {}",
            rows(now.rows_written, now.documents_expected),
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
        say(&format!("zenith: {}", line(&now, started.elapsed())));
    }
}

/// What the bar shows, in a line.
fn line(now: &ProgressSnapshot, elapsed: Duration) -> String {
    let rate = Rate::of(now.rows_written, now.source_bytes, elapsed);
    let share = now.rows_written.saturating_mul(100).checked_div(now.documents_expected);
    let share = share.map_or_else(String::new, |share| format!(" ({} %)", share.min(100)));
    format!(
        "{}{share} {rate}  memory {}{}",
        rows(now.rows_written, now.documents_expected),
        HumanBytes(now.memory_in_use),
        rate.left(now.documents_expected.saturating_sub(now.rows_written))
    )
}

/// "5 of 10 rows", or "5 rows" where nobody knows of how many.
fn rows(written: u64, expected: u64) -> String {
    match expected {
        0 => counted(written, "row"),
        _ => format!("{} of {}", HumanCount(written), counted(expected.max(written), "row")),
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

    /// "  1 minute left", as far as anything can be said.
    fn left(&self, rows: u64) -> String {
        match rows.checked_div(self.rows) {
            Some(seconds) if seconds > 0 => format!("  {} left", HumanDuration(Duration::from_secs(seconds))),
            _ => String::new(),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " {} rows/s  {}/s", HumanCount(self.rows), HumanBytes(self.bytes))
    }
}

pub fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_what_the_bar_says() {
        let mut now = ProgressSnapshot {
            documents_expected: 40_000,
            rows_written: 10_000,
            source_bytes: 10 << 20,
            memory_in_use: 5 << 20,
            ..ProgressSnapshot::default()
        };
        assert_eq!(
            line(&now, Duration::from_secs(10)),
            "10,000 of 40,000 rows (25 %)  1,000 rows/s  1.00 MiB/s  memory 5.00 MiB  30 seconds left"
        );
        now.documents_expected = 0;
        assert_eq!(
            line(&now, Duration::from_secs(10)),
            "10,000 rows  1,000 rows/s  1.00 MiB/s  memory 5.00 MiB"
        );
    }
}
