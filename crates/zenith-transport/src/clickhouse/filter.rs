//! Values, conditions and selections as ClickHouse writes them.

use std::ops::Range;

use super::key_set::{hex, key_set};
use crate::ddl::{identifier, literal as text};
use crate::sink::{ColumnInfo, Filter, Part, RowSet, Scalar};

/// The key of an object whose keys are taken as they are, also where they would mean something else.
const LITERAL_KEY: &str = "$literal";

/// The hash of a column.
pub(super) fn hash(column: &str) -> String {
    format!("cityHash64({})", identifier(column))
}

/// The remainder of the hash of a column.
pub(super) fn remainder(column: &str, modulus: u32) -> String {
    format!("toUInt32({} % {modulus})", hash(column))
}

/// What follows `FROM`: the rows of a table that count, and the condition on them.
pub(super) fn rows(table: &str, rows: &RowSet, filter: &Filter, columns: &[ColumnInfo]) -> String {
    let condition = condition(filter, columns);
    match rows {
        RowSet::All => format!("{table} WHERE {condition}"),
        RowSet::Merged => format!("{table} FINAL WHERE {condition}"),
        RowSet::Current { deleted } => {
            format!("{table} FINAL WHERE {} = 0 AND {condition}", identifier(deleted))
        }
        RowSet::Newest { key, order, operation, deletion } => {
            let key = identifier(key);
            let order = order
                .iter()
                .fold(format!("{key} DESC"), |all, column| all + &format!(", {} DESC", identifier(column)));
            format!(
                "(SELECT * FROM {table} ORDER BY {order} LIMIT 1 BY {key}) WHERE {} != {} AND {condition}",
                identifier(operation),
                text(deletion)
            )
        }
    }
}

/// A filter as a condition that may stand beside others. Of columns whose type is known many values are a subquery.
pub(super) fn condition(filter: &Filter, columns: &[ColumnInfo]) -> String {
    let joined = |filters: &[Filter], with: &str| {
        let conditions: Vec<String> = filters.iter().map(|filter| condition(filter, columns)).collect();
        format!("({})", conditions.join(with))
    };
    match filter {
        Filter::All(filters) if filters.is_empty() => "1".to_owned(),
        Filter::Any(filters) if filters.is_empty() => "0".to_owned(),
        Filter::All(filters) => joined(filters, " AND "),
        Filter::Any(filters) => joined(filters, " OR "),
        Filter::In(_, values) if values.is_empty() => "0".to_owned(),
        Filter::In(column, values) => match values.as_slice() {
            [Scalar::Null] => format!("isNull({})", identifier(column)),
            [value] => format!("{} = {}", identifier(column), literal(value)),
            values => {
                let known = columns.iter().find(|known| known.name == *column);
                let set = known.and_then(|known| key_set(&known.data_type, values)).unwrap_or_else(|| {
                    let values: Vec<String> = values.iter().map(literal).collect();
                    format!("({})", values.join(", "))
                });
                format!("{} IN {set}", identifier(column))
            }
        },
        Filter::After(column, value) => {
            let (column, after) = (identifier(column), literal(value));
            match value {
                // NaN is the last in order, and larger than nothing.
                Scalar::Float64(bits) if !f64::from_bits(*bits).is_nan() => {
                    format!("({column} > {after} OR isNaN({column}))")
                }
                _ => format!("{column} > {after}"),
            }
        }
        Filter::AtLeast(column, number) => format!("{} >= {number}", identifier(column)),
        Filter::AtMost(column, number) => format!("{} <= {number}", identifier(column)),
        Filter::HasKey(_, keys) if keys.is_empty() => "0".to_owned(),
        Filter::HasKey(column, keys) => {
            let column = identifier(column);
            let keys: Vec<String> = keys.iter().map(|key| bytes(key.as_bytes())).collect();
            let keys = keys.join(", ");
            // Most rows have no text, which is cheaper to see than that it has no key.
            format!(
                "({column} != '' AND hasAny(arrayConcat(JSONExtractKeys({column}), \
                 JSONExtractKeys({column}, '{LITERAL_KEY}')), [{keys}]))"
            )
        }
        Filter::HasOddNumber(column, parts) => odd_number(&identifier(column), parts),
        Filter::HashIn { column, modulus, remainders } => {
            let remainders: Vec<String> = remainders.iter().map(u32::to_string).collect();
            match remainders.is_empty() {
                true => "0".to_owned(),
                false => format!("{} IN ({})", remainder(column, *modulus), remainders.join(", ")),
            }
        }
    }
}

/// Whether a value, or a part of it, is a number that is not plain.
fn odd_number(value: &str, parts: &[Part]) -> String {
    match parts.split_first() {
        Some((Part::Key(key), rest)) => odd_number(&format!("tupleElement({value}, {})", text(key)), rest),
        Some((Part::Elements, rest)) => {
            let element = format!("e{}", rest.len());
            format!("arrayExists({element} -> {}, {value})", odd_number(&element, rest))
        }
        None => {
            let size = format!("abs(toFloat64({value}))");
            // Integers are rounded to ±2^53, but not across it.
            format!("ifNull(NOT ({size} < 9007199254740992 AND ({size} = 0 OR {size} >= 0.00001)), 0)")
        }
    }
}

/// A value as an expression that is equal to nothing but the same value.
pub(super) fn literal(value: &Scalar) -> String {
    match value {
        Scalar::Null => "NULL".to_owned(),
        Scalar::Bytes(value) => bytes(value),
        Scalar::FixedBytes(value) => format!("toFixedString({}, {})", bytes(value), value.len()),
        Scalar::Uuid(value) => {
            let hex = hex(value);
            let part = |range: Range<usize>| hex.get(range).unwrap_or_default();
            let text =
                format!("{}-{}-{}-{}-{}", part(0..8), part(8..12), part(12..16), part(16..20), part(20..32));
            format!("toUUID('{text}')")
        }
        Scalar::Boolean(value) => value.to_string(),
        Scalar::Int32(number) => format!("toInt32({number})"),
        Scalar::Int64(number) => format!("toInt64('{number}')"),
        Scalar::UInt64(number) => format!("toUInt64('{number}')"),
        Scalar::Float64(bits) => format!("toFloat64('{:e}')", f64::from_bits(*bits)),
        Scalar::Decimal { precision, scale, .. } => {
            format!("CAST('{value}', 'Decimal({precision}, {scale})')")
        }
        Scalar::Millis(millis) => format!("fromUnixTimestamp64Milli(toInt64('{millis}'), 'UTC')"),
    }
}

fn bytes(bytes: &[u8]) -> String {
    format!("unhex('{}')", hex(bytes))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{
        ArrayRef, Decimal128Array, FixedSizeBinaryArray, Int64Array, StringArray, UInt64Array,
    };

    use super::*;

    #[test]
    fn values_are_written_without_losing_a_digit() {
        let of = |array: ArrayRef| literal(&Scalar::of(&array, 0).unwrap());
        assert_eq!(of(Arc::new(Int64Array::from(vec![i64::MIN]))), "toInt64('-9223372036854775808')");
        assert_eq!(of(Arc::new(UInt64Array::from(vec![u64::MAX]))), "toUInt64('18446744073709551615')");
        assert_eq!(of(Arc::new(StringArray::from(vec!["a'\\"]))), "unhex('61275c')");
        let uuid: Vec<u8> = (0..16).collect();
        let uuid = FixedSizeBinaryArray::try_from_iter(std::iter::once(uuid)).unwrap();
        assert_eq!(of(Arc::new(uuid)), "toUUID('00010203-0405-0607-0809-0a0b0c0d0e0f')");
        let fixed = FixedSizeBinaryArray::try_from_iter(std::iter::once(b"ab")).unwrap();
        assert_eq!(of(Arc::new(fixed)), "toFixedString(unhex('6162'), 2)");
        let decimal = Decimal128Array::from(vec![-1250]).with_precision_and_scale(38, 3).unwrap();
        assert_eq!(of(Arc::new(decimal)), "CAST('-1.250', 'Decimal(38, 3)')");
        assert_eq!(of(Arc::new(Int64Array::from(vec![None]))), "NULL");
    }

    fn condition(filter: &Filter) -> String {
        super::condition(filter, &[])
    }

    #[test]
    fn filters_are_conditions_that_may_stand_beside_others() {
        let key = |number| Filter::In("_id".into(), vec![Scalar::Int32(number)]);
        let both = Filter::All(vec![key(1), Filter::AtMost("v".into(), 7)]);
        assert_eq!(
            condition(&Filter::Any(vec![both, key(2)])),
            "((`_id` = toInt32(1) AND `v` <= 7) OR `_id` = toInt32(2))"
        );
        assert_eq!(condition(&Filter::default()), "1");
        let parts = vec![Part::Key("it's".into()), Part::Elements];
        let odd = condition(&Filter::HasOddNumber("d".into(), parts));
        assert!(
            odd.starts_with(r"arrayExists(e0 -> ifNull(NOT (abs(toFloat64(e0)) < 9007199254740992 AND "),
            "{odd}"
        );
        assert!(odd.ends_with(r"0), tupleElement(`d`, 'it\'s'))"), "{odd}");
        assert_eq!(condition(&Filter::Any(Vec::new())), "0");
        assert_eq!(condition(&Filter::In("a".into(), Vec::new())), "0");
        assert_eq!(condition(&Filter::HasKey("a".into(), Vec::new())), "0");
        let keys = Filter::HasKey("a".into(), vec!["k".into(), "'".into()]);
        assert_eq!(
            condition(&keys),
            "(`a` != '' AND hasAny(arrayConcat(JSONExtractKeys(`a`), JSONExtractKeys(`a`, '$literal')), \
             [unhex('6b'), unhex('27')]))"
        );
        assert_eq!(condition(&Filter::In("a".into(), vec![Scalar::Null])), "isNull(`a`)");
        let after = |number: f64| condition(&Filter::After("a".into(), Scalar::Float64(number.to_bits())));
        assert_eq!(after(1.5), "(`a` > toFloat64('1.5e0') OR isNaN(`a`))");
        assert_eq!(after(f64::NAN), "`a` > toFloat64('NaN')");
        let current = RowSet::Current { deleted: "gone".into() };
        assert_eq!(rows("t", &current, &key(3), &[]), "t FINAL WHERE `gone` = 0 AND `_id` = toInt32(3)");
        assert_eq!(rows("t", &RowSet::Merged, &key(3), &[]), "t FINAL WHERE `_id` = toInt32(3)");
        let newest = RowSet::Newest {
            key: "_id".into(),
            order: vec!["v".into(), "i".into()],
            operation: "o".into(),
            deletion: "delete".into(),
        };
        assert_eq!(
            rows("t", &newest, &key(3), &[]),
            "(SELECT * FROM t ORDER BY `_id` DESC, `v` DESC, `i` DESC LIMIT 1 BY `_id`) WHERE `o` != 'delete' AND `_id` = \
             toInt32(3)"
        );
    }
}
