//! Which keys can name a column, and which look like data.

use super::census::Level;
use super::forms::{Forms, all_digits};
use crate::schema::EXTRA_COLUMN;

/// Names the target has columns of its own for.
const TAKEN: [&str; 4] = [EXTRA_COLUMN, "_row_exists", "_block_number", "_block_offset"];

/// Where a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyPosition {
    /// In the document itself: the key names a column.
    Top,
    /// In an embedded document: the key names an element of a tuple.
    Embedded,
    /// In a document that is an element of an array.
    Element,
}

/// The name of the column for `key`, if it can have one.
///
/// Not empty, UTF-8, not of ours (`_zenith_…`) nor of the target. A tuple has no element `null`, which would
/// be its own null map, and in an array none like `size0`, where the array stores its lengths: values
/// inserted there are not readable any more (seen on ClickHouse 26.7).
pub(super) fn column_name(key: &[u8], place: KeyPosition) -> Option<&str> {
    let name = std::str::from_utf8(key).ok().filter(|name| !name.is_empty())?;
    let taken = match place {
        KeyPosition::Top => name.starts_with("_zenith_") || TAKEN.contains(&name),
        KeyPosition::Embedded => name == "null" || name.starts_with("_zenith_"),
        KeyPosition::Element => name == "null" || name.starts_with("_zenith_") || names_lengths(name),
    };
    (!taken).then_some(name)
}

fn names_lengths(name: &str) -> bool {
    name.strip_prefix("size").is_some_and(|rest| !rest.is_empty() && all_digits(rest))
}

/// Whether a part of `name` before one of its dots is another key: `a.b` beside `a` would name two things.
pub(super) fn has_sibling_prefix(name: &str, level: &Level) -> bool {
    name.match_indices('.').any(|(at, _)| level.get(&name.as_bytes()[..at]).is_some())
}

/// The name of the twin of the column `name`: with `_text` behind it, once or more often, so that nothing else at the
/// same place is called so, be it a key without a column or the twin of another one.
pub(super) fn twin_name(
    name: &str,
    place: KeyPosition,
    level: &Level,
    taken: impl Fn(&str) -> bool,
) -> String {
    let is_key_or_path = |name: &str| {
        let beside =
            |key: &[u8]| key.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b"."));
        level.get(name.as_bytes()).is_some() || level.keys.iter().any(|(key, _)| beside(key))
    };
    let mut twin = name.to_owned();
    loop {
        twin.push_str("_text");
        if column_name(twin.as_bytes(), place).is_some() && !is_key_or_path(&twin) && !taken(&twin) {
            return twin;
        }
    }
}

/// From so many distinct keys on, their variety shows that they are data.
const VARIETY: usize = 64;

/// Whether the keys of the documents at one path are data rather than names.
///
/// That is when there are
///
/// - more than 256 of them, or
/// - at least 64 of which a document has fewer than one in twenty, or
/// - at least 3 that look like data, the majority. Whole numbers may be names (`"1"` to `"5"` of a rating):
///   they are left alone where at most 64 keys are, on average, in every other of at least 4 documents, or in every
///   one of 2 or 3.
pub(super) fn unbounded(level: &Level) -> bool {
    if level.unbounded {
        return true;
    }
    let distinct = u64::try_from(level.keys.len()).unwrap_or(u64::MAX);
    let present: u64 = level.keys.iter().map(|(_, values)| values.occurrences()).sum();
    let cells = distinct.saturating_mul(level.documents);
    if level.keys.len() >= VARIETY && present.saturating_mul(20) < cells {
        return true;
    }
    let forms = Forms::of(level.keys.iter().filter_map(|(key, _)| std::str::from_utf8(key).ok()));
    let frequent = match level.documents {
        0 | 1 => false,
        2 | 3 => present >= cells,
        _ => present.saturating_mul(2) >= cells,
    };
    let regular = level.keys.len() <= VARIETY && frequent;
    let telling = if regular { forms.data } else { forms.data + forms.numbers };
    telling >= 3 && telling.saturating_mul(2) > level.keys.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_columns() {
        assert_eq!(column_name(b"null", KeyPosition::Top), Some("null"));
        assert_eq!(column_name(b"null", KeyPosition::Embedded), None);
        assert_eq!(column_name(b"size0", KeyPosition::Embedded), Some("size0"));
        assert_eq!(column_name(b"size0", KeyPosition::Element), None);
        assert_eq!(column_name(b"size", KeyPosition::Element), Some("size"));
        assert_eq!(column_name(b"_row_exists", KeyPosition::Top), None);
        assert_eq!(column_name(b"_zenith_extra", KeyPosition::Top), None);
        assert_eq!(column_name(b"\xFF", KeyPosition::Top), None);
        assert_eq!(column_name(b"", KeyPosition::Top), None);
    }
}
