//! A collection and its table compared, for people and for machines.

use std::collections::BTreeMap;

use indicatif::HumanCount;
use serde::Serialize;
use utoipa::ToSchema;
use zenith_engine::{Sink as _, ValueDifference, Verification};

use crate::connect::Single;
use crate::mismatches::{self, counted, totals};
use crate::text::Paint;

/// A comparison, with what was compared.
pub struct Verified {
    /// The collection.
    pub collection: String,
    /// The table.
    pub table: String,
    /// What was found.
    pub found: Verification,
    /// What removes rows of the table, if some are missing.
    pub ttl: Option<String>,
}

/// The same for machines.
#[derive(Debug, Serialize, ToSchema)]
pub struct VerificationJson {
    equal: bool,
    /// Whether only a sample of the documents was compared.
    sample: bool,
    collection: String,
    table: String,
    source_rows: u64,
    target_rows: u64,
    missing_count: u64,
    surplus_count: u64,
    differing_count: u64,
    missing: Vec<String>,
    surplus: Vec<String>,
    differing: Vec<String>,
    differences: Vec<DifferenceJson>,
    extra_values: BTreeMap<String, BTreeMap<String, u64>>,
    dead_letters: u64,
    dead_letters_by_reason: BTreeMap<String, u64>,
}

/// A document and a row of other values.
#[derive(Debug, Serialize, ToSchema)]
pub struct DifferenceJson {
    id: String,
    path: String,
    source: String,
    target: String,
}

impl From<&ValueDifference> for DifferenceJson {
    fn from(of: &ValueDifference) -> DifferenceJson {
        let ValueDifference { id, path, source, target } = of.clone();
        DifferenceJson { id, path, source, target }
    }
}

impl Verified {
    /// Asks the table for a TTL where rows are missing.
    pub async fn of(single: &Single, found: Verification) -> Verified {
        let missing = found.missing_count > 0;
        let described = if missing { single.sink.describe(&single.table).await.ok().flatten() } else { None };
        let ttl = described.and_then(|table| table.additions?.ttl);
        Verified { collection: single.namespace.to_string(), table: single.table.clone(), found, ttl }
    }

    /// For machines.
    pub fn json(&self) -> VerificationJson {
        let found = &self.found;
        VerificationJson {
            equal: found.is_equal(),
            sample: found.is_of_sample,
            collection: self.collection.clone(),
            table: self.table.clone(),
            source_rows: found.source_rows,
            target_rows: found.target_rows,
            missing_count: found.missing_count,
            surplus_count: found.surplus_count,
            differing_count: found.differing_count,
            missing: found.missing.clone(),
            surplus: found.surplus.clone(),
            differing: found.differing.iter().map(|of| of.id.clone()).collect(),
            differences: found.differing.iter().map(DifferenceJson::from).collect(),
            extra_values: found.mismatches.values.clone(),
            dead_letters: found.mismatches.documents_total(),
            dead_letters_by_reason: found.mismatches.documents.clone(),
        }
    }
}

/// In words.
pub fn text(verified: &Verified, paint: Paint) -> String {
    let Verified { collection, table, found, ttl } = verified;
    let (documents, rows) = (counted(found.source_rows, "document"), counted(found.target_rows, "row"));
    let rows = match found.is_of_sample {
        true => format!("a sample of {collection} has {documents}, and {table} {rows} of these"),
        false => format!("{collection} has {documents}, {table} {rows}"),
    };
    let mismatches = totals(found.mismatches.values_total(), found.mismatches.documents_total());
    let told = mismatches.map_or_else(String::new, |mismatches| format!("; {mismatches}"));
    let mut text = match found.is_equal() {
        true => format!("{} equal: {rows}{told}\n", paint.green("✓")),
        false => format!("{} different: {rows}{told}\n", paint.red("✗")),
    };
    for (what, count, ids) in [
        ("missing in the table", found.missing_count, &found.missing),
        ("in the table only", found.surplus_count, &found.surplus),
    ] {
        list(&mut text, what, count, ids.iter().map(String::clone));
    }
    let differing = found.differing.iter().map(|of| {
        let place = if of.path.is_empty() { String::new() } else { format!(" at {}", of.path) };
        format!("{}{place}: {} in the collection, and the table has {}", of.id, of.source, of.target)
    });
    list(&mut text, "with other values", found.differing_count, differing);
    text.push_str(&mismatches::list(&found.mismatches));
    if let Some(ttl) = ttl {
        text.push_str(&format!("  the table has a TTL, which removes rows: {ttl}\n"));
    }
    text
}

fn list(text: &mut String, what: &str, count: u64, lines: impl ExactSizeIterator<Item = String>) {
    if count == 0 {
        return;
    }
    text.push_str(&format!("  {} {what}:\n", HumanCount(count)));
    let more = count.saturating_sub(u64::try_from(lines.len()).unwrap_or(u64::MAX));
    for line in lines {
        text.push_str(&format!("    {line}\n"));
    }
    if more > 0 {
        text.push_str(&format!("    and {} more\n", HumanCount(more)));
    }
}
