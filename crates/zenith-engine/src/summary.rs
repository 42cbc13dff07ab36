//! What a run did.

use std::collections::BTreeMap;
use std::time::Duration;

use zenith_arrow::Schema;

use zenith_state::Mismatches;

/// The result of a reload.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// The table that now holds the rows.
    pub table: String,
    /// The columns of the fields: those of the plan, unless the load needed others.
    pub schema: Schema,
    /// Fields that the sample missed and that were too rare for a load with other columns: their columns were added before the
    /// table was shown.
    pub columns_added: Vec<String>,
    /// Rows written.
    pub rows: u64,
    /// From the start of the load to the table being in place.
    pub elapsed: Duration,
    /// Bytes of BSON read.
    pub source_bytes: u64,
    /// Bytes of Arrow data sent.
    pub arrow_bytes: u64,
    /// Peak resident memory of the process, in bytes.
    pub peak_rss_bytes: u64,
    /// Processor time this process took for the run.
    pub cpu_time: Duration,
    /// Values that went to the extra column, by field and reason.
    pub extra_values: BTreeMap<String, BTreeMap<String, u64>>,
    /// Documents in the dead letter table.
    pub dead_letters: u64,
    /// Those documents, by reason.
    pub dead_letters_by_reason: BTreeMap<String, u64>,
    /// The table of dead letters, if this run wrote to it.
    pub dead_letter_table: Option<String>,
    /// Inserts acknowledged.
    pub inserts: u64,
    /// Inserts that had to be sent again.
    pub inserts_repeated: u64,
}

impl Summary {
    /// The mismatches of the documents.
    #[must_use]
    pub fn mismatches(&self) -> Mismatches {
        Mismatches { values: self.extra_values.clone(), documents: self.dead_letters_by_reason.clone() }
    }

    /// Rows a second.
    #[must_use]
    pub fn rows_per_second(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 { precise(self.rows) / seconds } else { 0.0 }
    }
}

/// Exact for all counts a run can reach (2^53).
#[expect(clippy::cast_precision_loss)]
fn precise(n: u64) -> f64 {
    n as f64
}
