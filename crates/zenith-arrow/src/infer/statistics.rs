//! What the sample says of each column of the finished schema.

use super::census::{Level, Values};
use crate::schema::{Field, Kind};

/// One leaf column of a schema, as the sample had it.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldStatistics {
    /// Keys from the top with `.` between them and `[]` for the elements of an array: `items[].price`. The last is
    /// the name of the twin for the column of a twin.
    pub path: String,
    /// Values that the column holds in a document of the sample, on average; outside arrays this is the share of
    /// documents that have one.
    pub values_per_document: f64,
    /// Bytes of text or data in such a value, on average; 0 for kinds of fixed size.
    pub bytes_per_value: f64,
}

/// In the order in which a walk through the schema meets the leaves.
pub(super) fn statistics(fields: &[Field], level: &Level) -> Vec<FieldStatistics> {
    let mut statistics = Vec::new();
    let mut walk = Walk { documents: as_f64(level.documents.max(1)), statistics: &mut statistics };
    walk.fields(fields, Some(level), "");
    statistics
}

struct Walk<'a> {
    documents: f64,
    statistics: &'a mut Vec<FieldStatistics>,
}

impl Walk<'_> {
    fn fields(&mut self, fields: &[Field], level: Option<&Level>, parent: &str) {
        for field in fields {
            let dot = if parent.is_empty() { "" } else { "." };
            let path = |name: &str| format!("{parent}{dot}{name}");
            let values = level.and_then(|level| level.get(field.name.as_bytes()));
            self.kind(&field.kind, values, path(&field.name));
            if let Some(twin) = &field.twin {
                let mismatches = |values: &Values| values.count() - values.held(&field.kind).total();
                let kind = Kind::Text { usual: twin.usual };
                self.leaf(&kind, values.map_or(0, mismatches), values, path(&twin.name));
            }
        }
    }

    fn kind(&mut self, kind: &Kind, values: Option<&Values>, path: String) {
        match kind {
            Kind::Document(fields) => {
                self.fields(fields, values.and_then(|values| values.inside.as_deref()), &path);
            }
            Kind::Array(element) => {
                self.kind(element, values.and_then(|values| values.elements.as_deref()), path + "[]");
            }
            leaf => self.leaf(leaf, values.map_or(0, |values| values.held(leaf).total()), values, path),
        }
    }

    fn leaf(&mut self, kind: &Kind, count: u64, values: Option<&Values>, path: String) {
        let all = values.map_or(0, Values::count);
        let bytes = values.map_or(0, |values| values.bytes);
        self.statistics.push(FieldStatistics {
            path,
            values_per_document: as_f64(count) / self.documents,
            bytes_per_value: bytes_per_value(kind, as_f64(bytes) / as_f64(all.max(1))),
        });
    }
}

fn bytes_per_value(kind: &Kind, average: f64) -> f64 {
    match kind {
        Kind::ObjectId => 24.0,
        // Most `_id`s that are not text are ObjectIds, or numbers in a wrapper.
        Kind::MixedId => average.max(24.0),
        // Numbers, dates and ObjectIds as text are of about this length.
        Kind::Text { .. } => average.max(16.0),
        Kind::String | Kind::Category | Kind::DecimalText | Kind::Json | Kind::Binary { .. } => average,
        _ => 0.0,
    }
}

/// Counts of a sample are far below 2^53.
#[allow(clippy::cast_precision_loss, reason = "an average needs no exact counts")]
pub(super) fn as_f64(count: u64) -> f64 {
    count as f64
}
