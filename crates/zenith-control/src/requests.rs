//! What commands ask of the run under way, and what it answers, as both of them write it into the state.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use zenith_engine::state::{PipelineRecord, Since};
use zenith_engine::timings::TimingsSnapshot;
use zenith_engine::{Phase, PipelineProgress, ProgressSnapshot, Promotion, Summary};

use crate::failure::{Code, Failure};
use crate::promotion;

/// The word for a request that lets the pipeline stand still.
pub const BEGIN_ANEW: &str = "begin-anew";
/// The word for a request that leaves the pipeline alone.
pub const VERIFY: &str = "verify";

/// What is to be done with a pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Asked {
    /// To read its collection again.
    Reload,
    /// With the place as `zenith reset --from` takes it.
    Reset {
        /// The place.
        from: String,
    },
    /// With the paths as `zenith schema promote --field` takes them.
    Promote {
        /// Paths; all that look like columns if there are none.
        fields: Vec<String>,
    },
    /// To forget its progress and go on with another record, having stood still in between.
    BeginAnew {
        /// The record.
        record: Record,
    },
    /// To compare its collection and its table.
    Verify {
        /// Documents whose values are compared; all of them where nothing is said.
        #[serde(default)]
        sample: Option<u64>,
        /// `_id`s of each kind of difference that are told.
        ids: usize,
    },
}

/// What is applied of a pipeline, besides its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    source: String,
    target: String,
    settings: String,
    paused: bool,
}

impl From<&PipelineRecord> for Record {
    fn from(record: &PipelineRecord) -> Record {
        let PipelineRecord { source, target, settings, paused, .. } = record.clone();
        Record { source, target, settings, paused }
    }
}

impl Record {
    /// As the record of a pipeline.
    pub fn of(self, name: &str) -> PipelineRecord {
        let Record { source, target, settings, paused } = self;
        PipelineRecord { name: name.to_owned(), source, target, settings, paused }
    }
}

impl Asked {
    /// In a word, for the state.
    pub fn action(&self) -> &'static str {
        match self {
            Asked::Reload => "reload",
            Asked::Reset { .. } => "reset",
            Asked::Promote { .. } => "promote",
            Asked::BeginAnew { .. } => BEGIN_ANEW,
            Asked::Verify { .. } => VERIFY,
        }
    }

    /// What has been done to a pipeline then.
    pub fn done(&self) -> &'static str {
        match self {
            Asked::Reload => "reloaded",
            Asked::Reset { .. } => "reset",
            Asked::Promote { .. } => "promoted",
            Asked::BeginAnew { .. } => "begun anew",
            Asked::Verify { .. } => "verified",
        }
    }
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// For people.
    pub text: String,
    /// For machines.
    pub json: String,
    /// Values that went to the extra column.
    pub extra_values: u64,
    /// Documents that went to the dead letter table.
    pub dead_letters: u64,
}

impl Answer {
    /// Of a reload.
    pub fn of(summary: &Summary, text: String, json: String) -> Answer {
        let mismatches = summary.mismatches();
        Answer {
            text,
            json,
            extra_values: mismatches.values_total(),
            dead_letters: mismatches.documents_total(),
        }
    }

    /// Of values that were moved into columns.
    pub fn of_promotion(done: &Promotion, table: &str) -> Answer {
        let (text, json) = (promotion::text(done, table, true), promotion::json(done, table, true));
        Answer { text, json, ..Answer::default() }
    }
}

/// Why it was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// In a sentence.
    pub message: String,
    /// Whether something has to be repaired first.
    pub input: bool,
    /// Its code; requests that an earlier version answered have none.
    #[serde(default)]
    pub code: Option<Code>,
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Refusal {
        let (code, input) = (Some(failure.code()), failure.is_input());
        Refusal { message: failure.message().to_owned(), input, code }
    }
}

impl From<Refusal> for Failure {
    fn from(Refusal { message, input, code }: Refusal) -> Failure {
        match (code, input) {
            (Some(code), input) => Failure::Known { code, input, message },
            (None, true) => Failure::Input(message),
            (None, false) => Failure::Failed(message),
        }
    }
}

/// How far it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HowFar {
    rows: u64,
    expected: u64,
    extra_values: u64,
    dead_letters: u64,
    memory: u64,
    waiting: Option<String>,
}

impl From<&PipelineProgress> for HowFar {
    fn from(progress: &PipelineProgress) -> HowFar {
        let counters = &progress.counters;
        HowFar {
            rows: counters.rows_written,
            expected: counters.documents_expected,
            extra_values: counters.extra_values,
            dead_letters: counters.dead_letters,
            memory: counters.memory_in_use,
            waiting: progress.waiting.as_ref().map(|waiting| waiting.reason.clone()),
        }
    }
}

impl HowFar {
    /// Rows written.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows there are to be; 0 while nobody knows.
    #[must_use]
    pub fn expected(&self) -> u64 {
        self.expected
    }

    /// For the display of a pipeline.
    pub fn shown(self, pipeline: &str, phase: Phase) -> PipelineProgress {
        PipelineProgress {
            name: pipeline.to_owned(),
            phase,
            counters: ProgressSnapshot {
                documents_expected: self.expected,
                rows_written: self.rows,
                extra_values: self.extra_values,
                dead_letters: self.dead_letters,
                memory_in_use: self.memory,
                ..ProgressSnapshot::default()
            },
            timings: TimingsSnapshot::default(),
            pending: 0,
            applied_to: None,
            last_error: None,
            waiting: self.waiting.map(|reason| Since { reason, since: SystemTime::now() }),
        }
    }
}

/// As the state keeps it.
pub fn encode(value: &impl Serialize) -> String {
    // Strings and plain numbers always serialise.
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::code;

    #[test]
    fn both_sides_write_the_same() {
        let promote = Asked::Promote { fields: vec!["a.b".to_owned()] };
        let record = Record {
            source: "a".to_owned(),
            target: "b".to_owned(),
            settings: "{}".to_owned(),
            paused: true,
        };
        let anew = Asked::BeginAnew { record };
        let verify = Asked::Verify { sample: Some(3), ids: 2 };
        for asked in [Asked::Reload, Asked::Reset { from: "now".to_owned() }, promote, anew, verify] {
            assert_eq!(serde_json::from_str::<Asked>(&encode(&asked)).unwrap(), asked);
        }
        let failure = Failure::known(code::NO_PIPELINE, "no");
        let refusal = encode(&Refusal::from(failure.clone()));
        assert_eq!(Failure::from(serde_json::from_str::<Refusal>(&refusal).unwrap()), failure);
        let before: Refusal = serde_json::from_str("{\"message\":\"no\",\"input\":true}").unwrap();
        assert_eq!(Failure::from(before), Failure::Input("no".to_owned()));
        let counters =
            ProgressSnapshot { rows_written: 3, documents_expected: 4, ..ProgressSnapshot::default() };
        let far = HowFar { rows: 3, expected: 4, ..HowFar::default() };
        let shown = far.clone().shown("orders", Phase::Snapshot);
        assert_eq!((shown.counters, HowFar::from(&shown)), (counters, far));
    }
}
