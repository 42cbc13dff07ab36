//! Which keys can name a column, and which look like data.

use super::census::{Level, Values};
use crate::schema::EXTRA_COLUMN;

/// Names the target has columns of its own for.
const TAKEN: [&str; 4] = [EXTRA_COLUMN, "_row_exists", "_block_number", "_block_offset"];

/// Where a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
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
pub(super) fn column_name(key: &[u8], place: Place) -> Option<&str> {
    let name = std::str::from_utf8(key).ok().filter(|name| !name.is_empty())?;
    let taken = match place {
        Place::Top => name.starts_with("_zenith_") || TAKEN.contains(&name),
        Place::Embedded => name == "null" || name.starts_with("_zenith_"),
        Place::Element => name == "null" || name.starts_with("_zenith_") || names_lengths(name),
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

/// Whether the keys of the documents at one path are data rather than names.
///
/// That is when there are
///
/// - more than 256 of them, or
/// - more than 64 of which a document has fewer than one in twenty, or
/// - at least 3 that look like data, the majority. Whole numbers may be names (`"1"` to `"5"` of a rating):
///   they are left alone where at most 64 keys are, on average, in every other of at least 4 documents.
pub(super) fn unbounded(level: &Level) -> bool {
    if level.unbounded {
        return true;
    }
    let distinct = u64::try_from(level.keys.len()).unwrap_or(u64::MAX);
    let present: u64 = level.keys.iter().map(|(_, values)| occurrences(values)).sum();
    let cells = distinct.saturating_mul(level.documents);
    if distinct > 64 && present.saturating_mul(20) < cells {
        return true;
    }
    let numbers = count(level, is_number);
    let data = count(level, looks_like_data);
    let regular = distinct <= 64 && level.documents >= 4 && present.saturating_mul(2) >= cells;
    let telling = if regular { data } else { data + numbers };
    telling >= 3 && telling.saturating_mul(2) > level.keys.len()
}

fn occurrences(values: &Values) -> u64 {
    values.count() + values.nulls
}

fn count(level: &Level, predicate: fn(&str) -> bool) -> usize {
    level.keys.iter().filter(|(key, _)| std::str::from_utf8(key).is_ok_and(predicate)).count()
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_number(key: &str) -> bool {
    let digits = key.strip_prefix('-').unwrap_or(key);
    (1..=20).contains(&digits.len()) && all_digits(digits)
}

/// ObjectIds, UUIDs, dates and mail addresses.
fn looks_like_data(key: &str) -> bool {
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bytes = key.as_bytes();
    let object_id = bytes.len() == 24 && hex(key);
    let uuid =
        bytes.len() == 36 && key.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && hex(&key.replace('-', ""));
    let date = match bytes {
        [year @ .., b'-', _, _] if year.len() == 4 => all_digits(&key[..4]) && all_digits(&key[5..]),
        [_, _, _, _, b'-', _, _, b'-', _, _, ..] => {
            key.get(..10).is_some_and(|day| all_digits(&day.replace('-', "")))
        }
        _ => false,
    };
    let mail = key.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.'));
    object_id || uuid || date || mail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_told_from_names() {
        for key in [
            "0123456789abcdef01234567",
            "00112233-4455-6677-8899-aabbccddeeff",
            "2024-05",
            "2024-05-06",
            "2024-05-06T07:08:09Z",
            "a.b@example.org",
        ] {
            assert!(looks_like_data(key), "{key}");
        }
        for key in ["name", "2024", "a@b", "@a.b", "éé24-05", "2024-éa", "0123456789abcdef0123456g", ""] {
            assert!(!looks_like_data(key), "{key}");
        }
        assert!(is_number("-12") && is_number("0") && !is_number("-") && !is_number("1.5"));
    }

    #[test]
    fn names_of_columns() {
        assert_eq!(column_name(b"null", Place::Top), Some("null"));
        assert_eq!(column_name(b"null", Place::Embedded), None);
        assert_eq!(column_name(b"size0", Place::Embedded), Some("size0"));
        assert_eq!(column_name(b"size0", Place::Element), None);
        assert_eq!(column_name(b"size", Place::Element), Some("size"));
        assert_eq!(column_name(b"_row_exists", Place::Top), None);
        assert_eq!(column_name(b"_zenith_extra", Place::Top), None);
        assert_eq!(column_name(b"\xFF", Place::Top), None);
        assert_eq!(column_name(b"", Place::Top), None);
    }
}
