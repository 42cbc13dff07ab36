//! Places between two `_id`s: computed from the values alone, so that the same two ends give the same places.
//!
//! A value is taken for a large number whose order is that of BSON, and the numbers between are spread evenly. Strings
//! have an alphabet, learnt from both ends ([`super::alphabet`]), so that no place falls between `9` and `a` of
//! hexadecimal digits, where there is nothing. Collations have another order: their places may lie anywhere.

use bson::oid::ObjectId;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, DateTime, Document, Timestamp};

use super::alphabet::Alphabet;

/// Bytes that two values may have in common before they differ; every place repeats them.
const COMMON_BYTES_MAX: usize = 1024;

/// At most `count` values above `low` and below `high`, ascending, each once, evenly spread.
///
/// None for types between whose values nothing can be computed, and for ends of different classes of types.
pub(super) fn between(low: &Bson, high: &Bson, count: usize) -> Vec<Bson> {
    match (low, high) {
        (Bson::ObjectId(low), Bson::ObjectId(high)) => {
            numbers(big(&low.bytes()), big(&high.bytes()), count).map(object_id).collect()
        }
        (Bson::Int32(_) | Bson::Int64(_), Bson::Int32(_) | Bson::Int64(_)) => {
            let (Some(low), Some(high)) = (integer(low), integer(high)) else { return Vec::new() };
            signed(low, high, count).map(Bson::Int64).collect()
        }
        (
            Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) | Bson::Decimal128(_),
            Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) | Bson::Decimal128(_),
        ) => doubles(double(low, f64::MIN), double(high, f64::MAX), count).map(Bson::Double).collect(),
        (Bson::DateTime(low), Bson::DateTime(high)) => {
            let dates = signed(low.timestamp_millis(), high.timestamp_millis(), count);
            dates.map(|millis| Bson::DateTime(DateTime::from_millis(millis))).collect()
        }
        (Bson::Timestamp(low), Bson::Timestamp(high)) => {
            let number = |value: &Timestamp| u128::from(value.time) << 32 | u128::from(value.increment);
            numbers(number(low), number(high), count).filter_map(timestamp).collect()
        }
        (Bson::String(low), Bson::String(high)) => {
            strings(low, high, count).into_iter().map(Bson::String).collect()
        }
        (Bson::Binary(low), Bson::Binary(high)) => {
            binaries(low, high, count).into_iter().map(Bson::Binary).collect()
        }
        (Bson::Document(low), Bson::Document(high)) => {
            documents(low, high, count).into_iter().map(Bson::Document).collect()
        }
        _ => Vec::new(),
    }
}

/// At most `count` numbers above `low` and below `high`, ascending, each once. Both are below 2^127.
fn numbers(low: u128, high: u128, count: usize) -> impl Iterator<Item = u128> {
    let span = high.saturating_sub(low);
    let steps = count as u128 + 1;
    let (whole, rest) = (span / steps, span % steps);
    let mut last = low;
    let all = (1..steps).map(move |step| low + whole * step + rest * step / steps);
    all.filter(move |&number| std::mem::replace(&mut last, number) < number)
}

fn signed(low: i64, high: i64, count: usize) -> impl Iterator<Item = i64> {
    // With the sign turned, the order is that of unsigned numbers.
    let number = |value: i64| u128::from(value.cast_unsigned() ^ 1 << 63);
    numbers(number(low), number(high), count)
        .filter_map(|number| Some((u64::try_from(number).ok()? ^ 1 << 63).cast_signed()))
}

fn doubles(low: f64, high: f64, count: usize) -> impl Iterator<Item = f64> {
    let steps = count as f64 + 1.0;
    let mut last = low;
    let all = (1..=count).map(move |step| {
        let share = step as f64 / steps;
        low * (1.0 - share) + high * share
    });
    all.filter(move |&value| value < high && std::mem::replace(&mut last, value) < value)
}

fn integer(value: &Bson) -> Option<i64> {
    match value {
        Bson::Int32(value) => Some(i64::from(*value)),
        Bson::Int64(value) => Some(*value),
        _ => None,
    }
}

/// The number as a double; `otherwise` for NaN and infinities, between which nothing can be computed.
fn double(value: &Bson, otherwise: f64) -> f64 {
    let number = match value {
        Bson::Int32(value) => f64::from(*value),
        Bson::Int64(value) => *value as f64,
        Bson::Double(value) => *value,
        Bson::Decimal128(value) => value.to_string().parse().unwrap_or(f64::NAN),
        _ => f64::NAN,
    };
    if number.is_finite() { number } else { otherwise }
}

fn object_id(number: u128) -> Bson {
    let [_, _, _, _, bytes @ ..] = number.to_be_bytes();
    Bson::ObjectId(ObjectId::from_bytes(bytes))
}

fn timestamp(number: u128) -> Option<Bson> {
    let (time, increment) =
        (u32::try_from(number >> 32).ok()?, u32::try_from(number & u128::from(u32::MAX)).ok()?);
    Some(Bson::Timestamp(Timestamp { time, increment }))
}

/// Bytes as a number, the first of them the greatest; at most 16.
fn big(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0, |number, &byte| number << 8 | u128::from(byte))
}

/// Strings are ordered by their bytes, which is the order of their characters.
fn strings(low: &str, high: &str, count: usize) -> Vec<String> {
    let differs = low.char_indices().zip(high.chars()).find(|((_, one), other)| one != other);
    let common = differs.map_or(low.len().min(high.len()), |((at, _), _)| at);
    let (Some((prefix, low)), Some((_, high))) =
        (low.split_at_checked(common), high.split_at_checked(common))
    else {
        return Vec::new();
    };
    if common > COMMON_BYTES_MAX {
        return Vec::new();
    }
    let alphabet = Alphabet::of(low, high);
    let between = numbers(alphabet.number(low), alphabet.number(high), count);
    between.map(|number| format!("{prefix}{}", alphabet.text(number))).collect()
}

/// Binary values are ordered by their length, then by their subtype, then by their bytes.
fn binaries(low: &Binary, high: &Binary, count: usize) -> Vec<Binary> {
    let len = high.bytes.len();
    if len > COMMON_BYTES_MAX {
        return Vec::new();
    }
    let first = |subtype, len| Binary { subtype, bytes: vec![0; len] };
    if low.bytes.len() != len {
        // The first that each length can have.
        let lengths = numbers(low.bytes.len() as u128, len as u128 + 1, count);
        let lengths = lengths.filter_map(|len| usize::try_from(len).ok());
        return lengths.map(|len| first(BinarySubtype::Generic, len)).collect();
    }
    if low.subtype != high.subtype {
        return if count > 0 { vec![first(high.subtype, len)] } else { Vec::new() };
    }
    let common = low.bytes.iter().zip(&high.bytes).take_while(|(one, other)| one == other).count();
    // What fits a number below 2^127.
    let end = len.min(common + 15);
    let number = |bytes: &[u8]| bytes.get(common..end).map_or(0, big);
    let value = |number: u128| {
        let mut bytes = low.bytes.get(..common).unwrap_or_default().to_vec();
        let digits = number.to_be_bytes();
        bytes.extend_from_slice(digits.get(digits.len() - (end - common)..).unwrap_or_default());
        bytes.resize(len, 0);
        Binary { subtype: low.subtype, bytes }
    };
    numbers(number(&low.bytes), number(&high.bytes), count).map(value).collect()
}

/// Documents are ordered by their first fields that differ.
fn documents(low: &Document, high: &Document, count: usize) -> Vec<Document> {
    let mut common = Document::new();
    for ((low_name, low_value), (high_name, high_value)) in low.iter().zip(high) {
        if low_name != high_name {
            return Vec::new();
        }
        if low_value != high_value {
            let with = |value| {
                let mut document = common.clone();
                document.insert(low_name, value);
                document
            };
            return between(low_value, high_value, count).into_iter().map(with).collect();
        }
        common.insert(low_name, low_value.clone());
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use bson::doc;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn places_are_spread_evenly() {
        assert_eq!(between(&Bson::Int32(0), &Bson::Int64(100), 3), [25_i64, 50, 75].map(Bson::Int64));
        assert_eq!(between(&Bson::Int32(1), &Bson::Int32(3), 9), [Bson::Int64(2)]);
        assert_eq!(between(&Bson::Int32(3), &Bson::Int32(3), 9), []);
        assert_eq!(
            between(&Bson::Int64(i64::MIN), &Bson::Int64(i64::MAX), 3),
            [-(1_i64 << 62) - 1, -1, (1 << 62) - 1].map(Bson::Int64)
        );
        assert_eq!(between(&Bson::Int32(0), &Bson::Double(1.0), 1), [Bson::Double(0.5)]);
        let decimal = |text: &str| Bson::Decimal128(text.parse().unwrap());
        assert_eq!(between(&decimal("-1E+1"), &decimal("10.0"), 1), [Bson::Double(0.0)]);
        assert_eq!(between(&Bson::Double(f64::NAN), &Bson::Double(f64::INFINITY), 1), [Bson::Double(0.0)]);
        let date = |millis| Bson::DateTime(DateTime::from_millis(millis));
        assert_eq!(between(&date(-10), &date(10), 1), [date(0)]);
        let stamp = |time, increment| Bson::Timestamp(Timestamp { time, increment });
        assert_eq!(between(&stamp(1, 0), &stamp(2, 0), 1), [stamp(1, 1 << 31)]);
        let id = |text: &str| Bson::ObjectId(ObjectId::parse_str(text).unwrap());
        assert_eq!(
            between(&id("650000000000000000000000"), &id("670000000000000000000000"), 1),
            [id("660000000000000000000000")]
        );
    }

    #[test]
    fn strings_keep_to_their_alphabet() {
        let starts = |low, high, count| -> Vec<String> {
            strings(low, high, count).iter().map(|text| text.chars().take(7).collect()).collect()
        };
        assert_eq!(starts("user-0000", "user-ffff", 3), ["user-3f", "user-7f", "user-bf"]);
        assert_eq!(starts("user-1", "user-9", 3), ["user-30", "user-50", "user-70"]);
        assert_eq!(starts("a", "b", 1), ["adaaaaa"]);
        assert_eq!(strings("9", "10000", 3), [""; 0], "not in order");
        assert_eq!(strings(&"x".repeat(2000), &"x".repeat(3000), 3), [""; 0], "too much in common");
    }

    #[test]
    fn binaries_of_several_lengths_and_subtypes_have_places_too() {
        let binary = |subtype, bytes: &[u8]| Binary { subtype, bytes: bytes.to_vec() };
        let generic = |len| binary(BinarySubtype::Generic, &vec![0; len]);
        assert_eq!(binaries(&generic(1), &generic(4), 9), [generic(2), generic(3), generic(4)]);
        let (old, new) = (binary(BinarySubtype::UuidOld, &[7; 16]), binary(BinarySubtype::Uuid, &[9; 16]));
        assert_eq!(binaries(&old, &new, 9), [binary(BinarySubtype::Uuid, &[0; 16])]);
        let low = binary(BinarySubtype::Uuid, &[7; 16]);
        let middle = binaries(&low, &new, 1).remove(0);
        assert_eq!(middle.bytes[..2], [8, 8]);
    }

    #[test]
    fn documents_have_places_between_their_first_fields_that_differ() {
        let (low, high) = (doc! { "a": "x", "b": 10, "c": 1 }, doc! { "a": "x", "b": 20, "c": 2 });
        assert_eq!(documents(&low, &high, 1), [doc! { "a": "x", "b": 15_i64 }]);
        assert_eq!(documents(&doc! { "a": 1 }, &doc! { "b": 2 }, 1), []);
        assert_eq!(documents(&doc! { "a": 1 }, &doc! { "a": 1, "b": 2 }, 1), []);
    }

    proptest! {
        #[test]
        fn places_lie_between_and_ascend(one in ".{0,40}", other in ".{0,40}", count in 0..70_usize) {
            let (low, high) = if one < other { (one, other) } else { (other, one) };
            let found = strings(&low, &high, count);
            prop_assert!(found.len() <= count);
            prop_assert!(found.is_sorted_by(|a, b| a < b), "{found:?}");
            prop_assert!(found.iter().all(|place| (&low..&high).contains(&place) && *place != low), "{low:?} {high:?} {found:?}");
        }

        #[test]
        fn numbers_lie_between_and_ascend(one: i64, other: i64, count in 0..70_usize) {
            let (low, high) = (one.min(other), one.max(other));
            for found in [
                signed(low, high, count).map(|value| value as f64).collect::<Vec<_>>(),
                doubles(low as f64, high as f64, count).collect(),
            ] {
                prop_assert!(found.len() <= count && found.is_sorted());
                prop_assert!(found.iter().all(|&place| place >= low as f64 && place <= high as f64));
            }
            let exact: Vec<i64> = signed(low, high, count).collect();
            prop_assert!(exact.is_sorted_by(|a, b| a < b) && exact.iter().all(|&place| low < place && place < high));
        }

        #[test]
        fn bytes_lie_between_and_ascend(one: [u8; 20], other: [u8; 20], same in 0..20_usize, count in 0..70_usize) {
            let mut other = other;
            other[..same].copy_from_slice(&one[..same]);
            let binary = |bytes: [u8; 20]| Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() };
            let (low, high) = (binary(one.min(other)), binary(one.max(other)));
            let found = binaries(&low, &high, count);
            prop_assert!(found.is_sorted_by(|a, b| a.bytes < b.bytes));
            prop_assert!(found.iter().all(|place| low.bytes < place.bytes && place.bytes < high.bytes));
        }
    }
}
