//! A value of a document that its row does not have, in words.

use bson::Bson;
use zenith_state::Mismatches;

use super::expect::{self, Value};

/// Where a document and its row differ first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mismatch {
    /// Keys, and positions in arrays, with dots between them; empty for the document as a whole.
    pub(super) path: String,
    /// What the source has, or what is wrong with it.
    pub(super) source: String,
    /// What the table has.
    pub(super) target: String,
}

impl Mismatch {
    pub(super) fn new(
        path: impl Into<String>,
        source: impl Into<String>,
        target: impl Into<String>,
    ) -> Box<Mismatch> {
        Box::new(Mismatch { path: path.into(), source: source.into(), target: target.into() })
    }
}

/// A value of the source as people would write it.
pub(super) fn in_words(value: Option<&Bson>) -> String {
    match value {
        None => "no value".to_owned(),
        Some(Bson::String(text)) => format!("{text:?}"),
        Some(value) => plain(value),
    }
}

/// Counts a value that only the extra column has.
pub(super) fn count(mismatches: &mut Mismatches, field: String, reason: String) {
    *mismatches.values.entry(field).or_default().entry(reason).or_default() += 1;
}

/// A value as a column of texts would have it.
pub(super) fn plain(value: &Bson) -> String {
    match expect::text(value) {
        Some(Value::Bytes(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
        _ => value.to_string(),
    }
}
