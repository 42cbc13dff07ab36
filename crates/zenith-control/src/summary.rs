//! Summaries and plans, for people and for machines.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use indicatif::HumanBytes;
use serde::Serialize;
use zenith_engine::extract::Topology;
use zenith_engine::transport::{SendReason, SendReport};
use zenith_engine::{ReloadPlan, Strategy, Summary};

use crate::mismatches::{counted, fields, reasons};

#[derive(Serialize)]
struct SummaryJson<'a> {
    rows: u64,
    seconds: f64,
    rows_per_second: f64,
    source_bytes: u64,
    arrow_bytes: u64,
    peak_rss_bytes: u64,
    cpu_seconds: f64,
    extra_values: &'a BTreeMap<String, BTreeMap<String, u64>>,
    dead_letters: u64,
    dead_letters_by_reason: &'a BTreeMap<String, u64>,
    table: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    columns_added: &'a [String],
    send: Option<SendJson>,
}

/// How rows were sent.
#[derive(Serialize)]
pub struct SendJson {
    path: &'static str,
    reason: &'static str,
    /// Processor time of the sending thread, where it was measured.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    ns_per_kib: BTreeMap<&'static str, f64>,
}

impl SendJson {
    /// Of a report.
    pub fn new(sent: SendReport) -> SendJson {
        let ns_per_kib = match sent.reason {
            SendReason::Measured { writev, sendfile } => {
                BTreeMap::from([("writev", writev.round()), ("sendfile", sendfile.round())])
            }
            _ => BTreeMap::new(),
        };
        SendJson { path: sent.path.name(), reason: sent.reason.name(), ns_per_kib }
    }
}

/// A summary as one JSON object, with the way its rows were sent.
pub fn summary_json(summary: &Summary, sent: Option<SendReport>) -> String {
    to_json(&SummaryJson {
        rows: summary.rows,
        seconds: summary.elapsed.as_secs_f64(),
        rows_per_second: summary.rows_per_second().round(),
        source_bytes: summary.source_bytes,
        arrow_bytes: summary.arrow_bytes,
        peak_rss_bytes: summary.peak_rss_bytes,
        cpu_seconds: summary.cpu_time.as_secs_f64(),
        extra_values: &summary.extra_values,
        dead_letters: summary.dead_letters,
        dead_letters_by_reason: &summary.dead_letters_by_reason,
        table: &summary.table,
        columns_added: &summary.columns_added,
        send: sent.map(SendJson::new),
    })
}

/// A summary in words, with the way its rows were sent.
pub fn summary_text(summary: &Summary, sent: Option<SendReport>) -> String {
    let mut text = String::new();
    let seconds = summary.elapsed.as_secs_f64();
    let _ = writeln!(
        text,
        "{} in {seconds:.2} s into {} ({:.0} rows/s)",
        counted(summary.rows, "row"),
        summary.table,
        summary.rows_per_second()
    );
    let _ = writeln!(
        text,
        "{} of BSON read, {} of Arrow sent in {}{}",
        HumanBytes(summary.source_bytes),
        HumanBytes(summary.arrow_bytes),
        counted(summary.inserts, "insert"),
        match summary.inserts_repeated {
            0 => String::new(),
            n => format!(", {n} of them repeated"),
        }
    );
    if let Some(sent) = sent {
        let _ = writeln!(text, "sent {sent}");
    }
    let _ = writeln!(
        text,
        "peak memory {}, processor time {:.2} s",
        HumanBytes(summary.peak_rss_bytes),
        summary.cpu_time.as_secs_f64()
    );
    if !summary.columns_added.is_empty() {
        let fields = summary.columns_added.join(", ");
        let _ = writeln!(text, "columns added for rare fields that the sample missed: {fields}");
    }
    let mismatches = summary.mismatches();
    if !mismatches.values.is_empty() {
        let what = match mismatches.values_total() {
            0 => "values are noted in _zenith_extra and shown all the same".to_owned(),
            values => format!("{} went to _zenith_extra, as no column fits", counted(values, "value")),
        };
        let _ = writeln!(text, "{what}:\n{}", fields(&mismatches).trim_end());
    }
    if let Some(table) = &summary.dead_letter_table {
        let _ =
            writeln!(text, "{} could not be loaded: see {table}", counted(summary.dead_letters, "document"));
    }
    text.push_str(&reasons(&mismatches));
    text
}

#[derive(Serialize)]
struct PlanJson<'a> {
    dry_run: bool,
    table: &'a str,
    documents: Option<u64>,
    source_bytes: Option<u64>,
    sampled: usize,
    strategy: &'static str,
    table_exists: bool,
    leftovers: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<&'a str>,
    columns: Vec<ColumnJson<'a>>,
    create_statement: &'a str,
}

#[derive(Serialize)]
struct ColumnJson<'a> {
    name: &'a str,
    bson_type: &'a str,
    clickhouse_type: &'a str,
    present: f64,
}

/// A plan as one JSON object.
pub fn plan_json(plan: &ReloadPlan, create_statement: &str, filter: Option<&str>) -> String {
    let size = plan.source.collection.size;
    to_json(&PlanJson {
        dry_run: true,
        table: &plan.definition.name,
        documents: size.map(|size| size.documents),
        source_bytes: size.map(|size| size.bytes),
        sampled: plan.sampled,
        strategy: strategy(plan),
        table_exists: plan.existing.is_some(),
        leftovers: &plan.leftovers,
        filter,
        columns: plan
            .columns
            .iter()
            .map(|column| ColumnJson {
                name: &column.name,
                bson_type: &column.bson_type,
                clickhouse_type: &column.target_type,
                present: column.present,
            })
            .collect(),
        create_statement,
    })
}

/// A plan in words: the columns as a table, the DDL, the steps.
pub fn plan_text(plan: &ReloadPlan, create_statement: &str, filter: Option<&str>) -> String {
    let mut text = columns_text(plan);
    let _ = writeln!(text, "\n{create_statement}\n");
    let size = plan.source.collection.size;
    let documents = size.map_or_else(
        || "an unknown number of documents".to_owned(),
        |size| format!("about {}", counted(size.documents, "document")),
    );
    let bytes = size.map_or_else(String::new, |size| format!(", {} of BSON", HumanBytes(size.bytes)));
    let sampled = u64::try_from(plan.sampled).unwrap_or(u64::MAX);
    let _ = writeln!(
        text,
        "Plan (columns inferred from {}; nothing has been written):",
        counted(sampled, "document")
    );
    let from = match plan.source.topology {
        Topology::Files => "the dump".to_owned(),
        _ => format!("MongoDB {}", plan.source.server_version),
    };
    let matching = filter.map_or_else(String::new, |filter| format!(" that match {filter}"));
    let _ = writeln!(text, "  1. read {documents}{bytes} from {from}{matching}");
    let table = &plan.definition.name;
    match (plan.strategy, &plan.existing) {
        (Strategy::Swap, Some(existing)) => {
            let _ =
                writeln!(text, "  2. load them into a shadow table on ClickHouse {}", plan.target.version);
            let _ = writeln!(
                text,
                "  3. exchange it with {table} in one step, and drop the old {}",
                counted(existing.rows, "row")
            );
        }
        (Strategy::Swap, None) => {
            let _ =
                writeln!(text, "  2. load them into a shadow table on ClickHouse {}", plan.target.version);
            let _ = writeln!(text, "  3. rename it to {table} when all rows are there");
        }
        (Strategy::Truncate, existing) => {
            let rows = existing.as_ref().map_or(0, |existing| existing.rows);
            let _ = writeln!(
                text,
                "  2. empty {table} of its {} on ClickHouse {}",
                counted(rows, "row"),
                plan.target.version
            );
            let _ = writeln!(text, "  3. load it in place; readers see it fill");
        }
    }
    for difference in &plan.differences {
        let _ = writeln!(text, "The new table differs in its {difference}");
    }
    if !plan.leftovers.is_empty() {
        let _ = writeln!(
            text,
            "Left behind by an earlier copy, and safe to drop if none is running: {}",
            plan.leftovers.join(", ")
        );
    }
    text
}

/// The columns of a plan, one line for each.
fn columns_text(plan: &ReloadPlan) -> String {
    let mut text = String::new();
    let width =
        |values: &mut dyn Iterator<Item = usize>, most: usize| values.max().unwrap_or(0).clamp(6, most);
    let name_width = width(&mut plan.columns.iter().map(|column| column.name.chars().count()), 40);
    let bson_width = width(&mut plan.columns.iter().map(|column| column.bson_type.chars().count()), 30);
    let _ = writeln!(text, "{:name_width$}  {:bson_width$}  {:>7}  ClickHouse", "column", "BSON", "present");
    for column in &plan.columns {
        let present = if column.name == "_zenith_extra" {
            String::new()
        } else {
            format!("{:.0} %", column.present * 100.0)
        };
        let _ = writeln!(
            text,
            "{:name_width$}  {:bson_width$}  {present:>7}  {}",
            column.name, column.bson_type, column.target_type
        );
    }
    text
}

fn strategy(plan: &ReloadPlan) -> &'static str {
    match plan.strategy {
        Strategy::Swap => "swap",
        Strategy::Truncate => "truncate",
    }
}

fn to_json(value: &impl Serialize) -> String {
    // Maps with string keys and plain numbers always serialise.
    serde_json::to_string(value).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
}
