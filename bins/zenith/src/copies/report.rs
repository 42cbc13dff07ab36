//! All copies together, for people and for machines.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount};
use serde::Serialize;
use zenith_engine::transport::SendReport;
use zenith_engine::{Namespace, Summary, usage};

use super::one::{Copied, End};
use crate::exit::Failure;
use zenith_control::mismatches::counted;
use zenith_control::summary::SendJson;
use zenith_control::text::table;

/// How all of it went.
pub struct Report {
    pub is_dry: bool,
    pub copies: Vec<Copied>,
    pub left_out: Vec<(Namespace, &'static str)>,
    /// Those that were not begun, as it was stopped before.
    pub not_begun: Vec<Namespace>,
    begun: Instant,
    cpu: Duration,
    elapsed: Duration,
    sent: Option<SendReport>,
}

#[derive(Serialize)]
struct ReportJson<'a> {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
    collections: usize,
    failed: usize,
    rows: u64,
    seconds: f64,
    source_bytes: u64,
    arrow_bytes: u64,
    peak_rss_bytes: u64,
    cpu_seconds: f64,
    extra_values: u64,
    dead_letters: u64,
    copies: Vec<CopyJson<'a>>,
    left_out: Vec<LeftOutJson<'a>>,
    not_begun: Vec<String>,
    send: Option<SendJson>,
}

#[derive(Serialize)]
struct CopyJson<'a> {
    collection: String,
    table: &'a str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_values: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letters: Option<u64>,
    /// Of a plan: what is at both ends, and how many columns there would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    documents: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    columns: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    table_exists: Option<bool>,
    error: Option<&'a str>,
    /// That of the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
}

#[derive(Serialize)]
struct LeftOutJson<'a> {
    collection: String,
    reason: &'a str,
}

impl Report {
    /// Nothing is copied yet.
    pub fn begin(left_out: Vec<(Namespace, &'static str)>) -> Report {
        Report {
            is_dry: false,
            copies: Vec::new(),
            left_out,
            not_begun: Vec::new(),
            begun: Instant::now(),
            cpu: usage::cpu_time(),
            elapsed: Duration::ZERO,
            sent: None,
        }
    }

    /// Everything is copied that will be.
    pub fn end(&mut self, sent: Option<SendReport>) {
        self.elapsed = self.begun.elapsed();
        self.cpu = usage::cpu_time().saturating_sub(self.cpu);
        self.sent = sent;
        self.copies.sort_by(|one, other| one.job.namespace.cmp(&other.job.namespace));
    }

    pub fn was_stopped(&self) -> bool {
        !self.not_begun.is_empty() || self.copies.iter().any(|copied| matches!(copied.end, End::Stopped(_)))
    }

    /// How all of it failed, if any of it did. Each of them has been told about.
    pub fn failure(&self) -> Option<Failure> {
        let failures: Vec<&Failure> = self.copies.iter().filter_map(Copied::failure).collect();
        let all_refused = failures.iter().all(|failure| failure.is_input());
        match (failures.is_empty(), self.is_dry || failures.len() == self.copies.len()) {
            (true, _) => None,
            (false, true) if all_refused => Some(Failure::Input(String::new())),
            (false, _) => Some(Failure::Failed(String::new())),
        }
    }

    fn failed(&self) -> usize {
        self.copies.iter().filter(|copied| copied.failure().is_some()).count()
    }

    fn summaries(&self) -> impl Iterator<Item = &Summary> {
        self.copies.iter().filter_map(|copied| match &copied.end {
            End::Done(summary) => Some(&**summary),
            End::Planned(_) | End::Failed(_) | End::Stopped(_) => None,
        })
    }

    fn sum(&self, of: impl Fn(&Summary) -> u64) -> u64 {
        self.summaries().map(of).sum()
    }

    /// As one JSON object.
    pub fn json(&self) -> String {
        let report = ReportJson {
            dry_run: self.is_dry,
            collections: self.copies.len() + self.not_begun.len(),
            failed: self.failed(),
            rows: self.sum(|summary| summary.rows),
            seconds: self.elapsed.as_secs_f64(),
            source_bytes: self.sum(|summary| summary.source_bytes),
            arrow_bytes: self.sum(|summary| summary.arrow_bytes),
            peak_rss_bytes: usage::peak_rss_bytes(),
            cpu_seconds: self.cpu.as_secs_f64(),
            extra_values: self.sum(|summary| summary.mismatches().values_total()),
            dead_letters: self.sum(|summary| summary.dead_letters),
            copies: self.copies.iter().map(CopyJson::of).collect(),
            left_out: self.left_out.iter().map(LeftOutJson::of).collect(),
            not_begun: self.not_begun.iter().map(ToString::to_string).collect(),
            send: self.sent.map(SendJson::new),
        };
        // Strings and plain numbers always serialise.
        serde_json::to_string(&report).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
    }

    /// As a table with a line for each, and the sums below it.
    pub fn text(&self) -> String {
        let copies = self.copies.iter();
        let mut text = match self.is_dry {
            true => {
                let rows: Vec<_> = copies.map(planned_row).collect();
                table(&["collection", "table", "documents", "BSON", "columns", ""], &rows)
            }
            false => {
                let rows: Vec<_> = copies.map(row).collect();
                table(&["collection", "table", "rows", "seconds", "in extra", "dead letters", ""], &rows)
            }
        };
        if self.is_dry {
            let _ = writeln!(text, "\n{}{}; nothing was written (--dry-run)", self.count(), self.failures());
            return text;
        }
        let seconds = self.elapsed.as_secs_f64();
        let rows = self.sum(|summary| summary.rows);
        let _ = writeln!(
            text,
            "\n{}{}: {} in {seconds:.2} s, {} of BSON read, {} of Arrow sent",
            self.count(),
            self.failures(),
            counted(rows, "row"),
            HumanBytes(self.sum(|summary| summary.source_bytes)),
            HumanBytes(self.sum(|summary| summary.arrow_bytes)),
        );
        let _ = writeln!(
            text,
            "peak memory {}, processor time {:.2} s",
            HumanBytes(usage::peak_rss_bytes()),
            self.cpu.as_secs_f64()
        );
        text
    }

    fn count(&self) -> String {
        counted(u64::try_from(self.copies.len()).unwrap_or(u64::MAX), "collection")
    }

    fn failures(&self) -> String {
        match self.failed() {
            0 => String::new(),
            failed => format!(", {failed} of them failed"),
        }
    }
}

fn row(copied: &Copied) -> Vec<String> {
    let none = || "-".to_owned();
    let mut row = vec![copied.job.namespace.to_string(), copied.job.table.clone()];
    match &copied.end {
        End::Done(summary) => row.extend([
            HumanCount(summary.rows).to_string(),
            format!("{:.2}", summary.elapsed.as_secs_f64()),
            HumanCount(summary.mismatches().values_total()).to_string(),
            HumanCount(summary.dead_letters).to_string(),
            String::new(),
        ]),
        End::Planned(_) | End::Failed(_) | End::Stopped(_) => {
            row.extend([none(), none(), none(), none(), outcome(&copied.end).to_owned()]);
        }
    }
    row
}

fn planned_row(copied: &Copied) -> Vec<String> {
    let none = || "-".to_owned();
    let mut row = vec![copied.job.namespace.to_string(), copied.job.table.clone()];
    match &copied.end {
        End::Planned(plan) => {
            row.extend([
                plan.documents.map_or_else(none, |documents| HumanCount(documents).to_string()),
                plan.source_bytes.map_or_else(none, |bytes| HumanBytes(bytes).to_string()),
                plan.columns.to_string(),
                plan.table_rows
                    .map_or_else(|| "new".to_owned(), |rows| format!("replaces {}", counted(rows, "row"))),
            ]);
        }
        End::Done(_) | End::Failed(_) | End::Stopped(_) => {
            row.extend([none(), none(), none(), outcome(&copied.end).to_owned()]);
        }
    }
    row
}

fn outcome(end: &End) -> &'static str {
    match end {
        End::Planned(_) => "planned",
        End::Done(_) => "copied",
        End::Failed(_) => "failed",
        End::Stopped(_) => "stopped",
    }
}

impl CopyJson<'_> {
    fn of(copied: &Copied) -> CopyJson<'_> {
        let mut json = CopyJson {
            collection: copied.job.namespace.to_string(),
            table: &copied.job.table,
            outcome: outcome(&copied.end),
            rows: None,
            seconds: None,
            extra_values: None,
            dead_letters: None,
            documents: None,
            source_bytes: None,
            columns: None,
            table_exists: None,
            error: None,
            code: None,
        };
        match &copied.end {
            End::Planned(plan) => {
                json.documents = plan.documents;
                json.source_bytes = plan.source_bytes;
                json.columns = Some(plan.columns);
                json.table_exists = Some(plan.table_rows.is_some());
            }
            End::Done(summary) => {
                json.rows = Some(summary.rows);
                json.seconds = Some(summary.elapsed.as_secs_f64());
                json.extra_values = Some(summary.mismatches().values_total());
                json.dead_letters = Some(summary.dead_letters);
            }
            End::Failed(failure) => {
                json.error = Some(failure.message());
                json.code = Some(failure.code().to_string());
            }
            End::Stopped(left) => json.error = left.as_deref(),
        }
        json
    }
}

impl LeftOutJson<'_> {
    fn of<'a>((name, reason): &'a (Namespace, &'static str)) -> LeftOutJson<'a> {
        LeftOutJson { collection: name.to_string(), reason }
    }
}
