//! What pipelines have done since the server began, as counters that never fall: each look adds what is new.
//!
//! A pipeline of several collections has one set of them, which keeps what collections have brought that are no longer there.

use std::collections::{BTreeMap, HashMap};

use zenith_control::status::json::{PipelineJson, ReportJson};

use crate::series::Totals;

/// Numbers by reason.
pub type ByReason = BTreeMap<String, u64>;

/// What one pipeline of `zenith.toml` has done.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Rows written.
    pub rows: u64,
    /// Versions of schemas after the first.
    pub schema_changes: u64,
    /// Values that went to the extra column.
    pub extra: ByReason,
    /// Documents that became dead letters; those that were settled stay counted.
    pub letters: ByReason,
    /// What its runs have done.
    pub totals: Totals,
}

/// What a collection had when it was seen last.
#[derive(Debug, Default)]
struct Before {
    rows: u64,
    versions: u32,
    extra: ByReason,
    letters: ByReason,
    totals: Totals,
}

/// The counters of all pipelines, by their names in `zenith.toml`.
#[derive(Debug, Default)]
pub struct AllCounters {
    counters: BTreeMap<String, Counters>,
    before: HashMap<String, Before>,
    has_begun: bool,
}

/// What is seen of one collection.
pub struct Seen<'a> {
    /// How it stands.
    pub pipeline: &'a PipelineJson,
    /// The newest version of its schema.
    pub versions: u32,
    /// Rows of the run under way.
    pub run_rows: u64,
    /// What its runs have done.
    pub totals: Totals,
}

impl AllCounters {
    /// Adds what is new.
    pub fn see<'a>(&mut self, report: &ReportJson, all: impl Iterator<Item = Seen<'a>>) {
        let mut before = HashMap::new();
        for seen in all {
            let known = self.before.remove(&seen.pipeline.name);
            // What was there before the server began is none of it.
            let last =
                known.unwrap_or_else(|| if self.has_begun { Before::default() } else { Before::of(&seen) });
            let name = seen.pipeline.template.as_ref().unwrap_or(&seen.pipeline.name);
            let now = self.counters.entry(name.clone()).or_default().add(&seen, &last);
            before.insert(seen.pipeline.name.clone(), now);
        }
        self.before = before;
        self.has_begun = true;
        let mut names: Vec<&String> = report.templates.iter().map(|template| &template.name).collect();
        names.extend(report.pipelines.iter().map(|it| it.template.as_ref().unwrap_or(&it.name)));
        self.counters.retain(|name, _| names.contains(&name));
    }

    /// Those of one pipeline.
    #[must_use]
    pub fn of(&self, name: &str) -> Counters {
        self.counters.get(name).cloned().unwrap_or_default()
    }
}

impl Before {
    fn of(seen: &Seen<'_>) -> Before {
        let (extra, letters) = mismatches(seen.pipeline);
        Before {
            rows: seen.pipeline.rows.saturating_sub(seen.run_rows),
            versions: seen.versions.max(1),
            extra,
            letters,
            totals: Totals::default(),
        }
    }
}

impl Counters {
    /// Adds what is new since `last`, and says what there is now.
    fn add(&mut self, seen: &Seen<'_>, last: &Before) -> Before {
        let rows = seen.pipeline.rows;
        // Fewer than before are those of a table that has begun anew.
        self.rows += rows.checked_sub(last.rows).unwrap_or(rows);
        self.schema_changes += u64::from(seen.versions.saturating_sub(last.versions.max(1)));
        let (extra, letters) = mismatches(seen.pipeline);
        grow(&mut self.extra, &extra, &last.extra);
        grow(&mut self.letters, &letters, &last.letters);
        self.totals.grow(&seen.totals, &last.totals);
        Before { rows, versions: seen.versions, extra, letters, totals: seen.totals }
    }
}

fn mismatches(pipeline: &PipelineJson) -> (ByReason, ByReason) {
    let mut extra = ByReason::new();
    for (reason, count) in pipeline.mismatches.extra_values.values().flatten() {
        *extra.entry(reason.clone()).or_default() += count;
    }
    (extra, pipeline.mismatches.dead_letters_by_reason.clone())
}

/// What is fewer than before was settled, or is of a table that was loaded again.
fn grow(all: &mut ByReason, now: &ByReason, last: &ByReason) {
    for (reason, count) in now {
        let before = last.get(reason).copied().unwrap_or_default();
        *all.entry(reason.clone()).or_default() += count.saturating_sub(before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipeline(name: &str, rows: u64, letters: u64) -> PipelineJson {
        let template = name.split_once('.').map(|(template, _)| template.to_owned());
        let mut pipeline = PipelineJson { name: name.to_owned(), template, rows, ..PipelineJson::default() };
        pipeline.mismatches.dead_letters_by_reason.insert("bad".to_owned(), letters);
        pipeline
    }

    fn see(all: &mut AllCounters, pipelines: &[PipelineJson]) -> (u64, u64) {
        let report = ReportJson { pipelines: pipelines.to_vec(), ..ReportJson::default() };
        let seen = pipelines.iter().map(|pipeline| Seen {
            pipeline,
            versions: 1,
            run_rows: 0,
            totals: Totals { inserts: pipeline.rows, ..Totals::default() },
        });
        all.see(&report, seen);
        let counters = all.of("shop");
        (counters.rows, counters.letters.get("bad").copied().unwrap_or_default())
    }

    #[test]
    fn counters_begin_with_nothing_and_never_fall() {
        let mut all = AllCounters::default();
        assert_eq!(see(&mut all, &[pipeline("shop.a", 100, 5)]), (0, 0), "it was there before");
        assert_eq!(see(&mut all, &[pipeline("shop.a", 110, 7), pipeline("shop.b", 20, 1)]), (30, 3));
        assert_eq!(all.of("shop").totals.inserts, 130);
        // One is purged of its letters, the other removed.
        assert_eq!(see(&mut all, &[pipeline("shop.a", 110, 0)]), (30, 3));
        assert_eq!(see(&mut all, &[pipeline("shop.a", 110, 2)]), (30, 5));
        assert_eq!(all.of("shop").totals.inserts, 130);
        // It begins anew, and the other comes back.
        assert_eq!(see(&mut all, &[pipeline("shop.a", 4, 2), pipeline("shop.b", 3, 0)]), (37, 5));
        assert_eq!(see(&mut all, &[]), (0, 0), "nothing has that name any more");
    }
}
