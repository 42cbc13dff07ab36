//! The ClickHouse type of an Arrow field.
//!
//! | Arrow | ClickHouse |
//! | --- | --- |
//! | Utf8, LargeUtf8, Binary, LargeBinary | `String` |
//! | Utf8 with extension `arrow.json` | `JSON`, `String` on servers before 25.3 |
//! | Boolean, Int8…Int64, UInt8…UInt64, Float32, Float64 | `Bool`, `Int8`… |
//! | Decimal128(p, s) | `Decimal(p, s)` |
//! | Timestamp(unit, zone) | `DateTime64(0 \| 3 \| 6 \| 9, 'zone')` |
//! | FixedSizeBinary(16) with extension `arrow.uuid` | `UUID` |
//! | FixedSizeBinary(n) | `FixedString(n)` |
//! | Struct | `Tuple(name type, …)` |
//! | List | `Array(…)` |
//! | Map | `Map(…)` |
//! | any with metadata `zenith.type` | that type |
//! | Dictionary(_, Utf8), Utf8 with metadata `zenith.category` | `LowCardinality(String)` |
//!
//! A nullable field is `Nullable(…)`, except where ClickHouse has no NULL: tuples, arrays and JSON. There
//! only their leaves are.

use arrow_schema::{DataType, Field, Fields, TimeUnit};

use super::{identifier, literal};
use crate::{Result, TransportError};

/// How many tuples and arrays may stand inside each other: beyond that ClickHouse (26.7) takes an Arrow stream
/// for corrupted, though it would create the table.
pub const NESTING_DEPTH_MAX: usize = 60;

/// Arrow's metadata key for the name of an extension type.
pub(crate) const EXTENSION_NAME: &str = "ARROW:extension:name";

/// Field metadata key of strings that repeat so much that a dictionary of them pays.
const CATEGORY: &str = "zenith.category";

/// Field metadata key of the type that a column is given, as ClickHouse spells it, but for `Nullable`.
const GIVEN: &str = "zenith.type";

/// Whether a column, or a part of it, is given a type, which is not that of the values that are sent.
pub(crate) fn is_given(field: &Field) -> bool {
    field.metadata().contains_key(GIVEN)
        || match field.data_type() {
            DataType::Struct(parts) => parts.iter().any(|part| is_given(part)),
            DataType::List(element) | DataType::LargeList(element) | DataType::Map(element, _) => {
                is_given(element)
            }
            _ => false,
        }
}

/// A type around which `Nullable` stands, inside a dictionary.
fn nullable(given: &str) -> String {
    match given.strip_prefix("LowCardinality(").and_then(|rest| rest.strip_suffix(')')) {
        Some(values) => format!("LowCardinality(Nullable({values}))"),
        None => format!("Nullable({given})"),
    }
}

/// What a server's DDL has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// Whether it has the `JSON` type (from 25.3 on).
    pub json: bool,
}

impl Dialect {
    /// The dialect of a server by its major and minor version.
    #[must_use]
    pub fn of_version(version: (u32, u32)) -> Dialect {
        Dialect { json: version >= (25, 3) }
    }
}

impl Default for Dialect {
    /// That of current servers.
    fn default() -> Dialect {
        Dialect { json: true }
    }
}

/// The ClickHouse type of `field`.
///
/// # Errors
/// [`TransportError::Column`] if ClickHouse has none, with the path of the field in question.
pub fn column_type(field: &Field, dialect: Dialect) -> Result<String> {
    let mut out = String::new();
    Writer { dialect, wire: false, path: Vec::new() }.field(field, &mut out)?;
    Ok(out)
}

/// The type in which `field` is sent in a block of the native protocol.
///
/// It is the column's, but plain: JSON is text, there are no dictionaries, and decimals are as wide as Arrow
/// has them. ClickHouse converts what it gets.
///
/// # Errors
/// As [`column_type`].
pub(crate) fn wire_type(field: &Field) -> Result<String> {
    let mut out = String::new();
    Writer { dialect: Dialect { json: false }, wire: true, path: Vec::new() }.field(field, &mut out)?;
    Ok(out)
}

struct Writer<'a> {
    dialect: Dialect,
    wire: bool,
    path: Vec<&'a str>,
}

impl<'a> Writer<'a> {
    fn field(&mut self, field: &'a Field, out: &mut String) -> Result<()> {
        self.path.push(field.name());
        if self.path.len() > NESTING_DEPTH_MAX + 1 {
            return Err(self.error(&format!("it is nested deeper than {NESTING_DEPTH_MAX} levels")));
        }
        let extension = field.metadata().get(EXTENSION_NAME).map(String::as_str);
        if let Some(given) = field.metadata().get(GIVEN).filter(|_| !self.wire) {
            out.push_str(&if field.is_nullable() { nullable(given) } else { given.clone() });
            self.path.pop();
            return Ok(());
        }
        match field.data_type() {
            DataType::Struct(fields) => self.tuple(fields, out)?,
            DataType::List(element) | DataType::LargeList(element) => {
                out.push_str("Array(");
                self.field(element, out)?;
                out.push(')');
            }
            DataType::Map(entries, _) => self.map(entries, out)?,
            DataType::Utf8 | DataType::LargeUtf8 if extension == Some("arrow.json") => {
                out.push_str(if self.dialect.json { "JSON" } else { "String" });
            }
            data_type => {
                let (values, dictionary) = match data_type {
                    DataType::Dictionary(_, values) => (&**values, true),
                    // Measured: filling a dictionary column from plain strings costs the server no more than
                    // filling a plain one, so that there is no need to send a dictionary.
                    values => (values, field.metadata().contains_key(CATEGORY)),
                };
                let mut sql = self.scalar(values, extension)?;
                if field.is_nullable() {
                    sql = format!("Nullable({sql})");
                }
                if dictionary && !self.wire {
                    sql = format!("LowCardinality({sql})");
                }
                out.push_str(&sql);
            }
        }
        self.path.pop();
        Ok(())
    }

    fn tuple(&mut self, fields: &'a Fields, out: &mut String) -> Result<()> {
        out.push_str("Tuple(");
        for (index, field) in fields.iter().enumerate() {
            if let Some(reason) = element_name_refusal(field.name()) {
                self.path.push(field.name());
                return Err(self.error(reason));
            }
            if index > 0 {
                out.push_str(", ");
            }
            out.push_str(&identifier(field.name()));
            out.push(' ');
            self.field(field, out)?;
        }
        out.push(')');
        Ok(())
    }

    fn map(&mut self, entries: &'a Field, out: &mut String) -> Result<()> {
        let DataType::Struct(pair) = entries.data_type() else {
            return Err(self.error("the entries of a map are pairs"));
        };
        out.push_str("Map(");
        for (index, field) in pair.iter().enumerate() {
            if index > 0 {
                out.push_str(", ");
            }
            self.field(field, out)?;
        }
        out.push(')');
        Ok(())
    }

    fn scalar(&self, data_type: &DataType, extension: Option<&str>) -> Result<String> {
        Ok(match data_type {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Binary | DataType::LargeBinary => {
                "String".into()
            }
            DataType::Boolean => "Bool".into(),
            DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32
            | DataType::UInt64
            | DataType::Float32
            | DataType::Float64 => data_type.to_string(),
            DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale)
                if *scale >= 0 =>
            {
                let precision = match data_type {
                    DataType::Decimal128(..) if self.wire => 38,
                    DataType::Decimal256(..) if self.wire => 76,
                    _ => *precision,
                };
                format!("Decimal({precision}, {scale})")
            }
            DataType::Timestamp(unit, zone) => {
                let digits = match unit {
                    TimeUnit::Second => 0,
                    TimeUnit::Millisecond => 3,
                    TimeUnit::Microsecond => 6,
                    TimeUnit::Nanosecond => 9,
                };
                match zone {
                    Some(zone) => format!("DateTime64({digits}, {})", literal(zone)),
                    None => format!("DateTime64({digits})"),
                }
            }
            DataType::Date32 => "Date32".into(),
            DataType::FixedSizeBinary(16) if extension == Some("arrow.uuid") => "UUID".into(),
            DataType::FixedSizeBinary(bytes) => format!("FixedString({bytes})"),
            other => return Err(self.error(&format!("Arrow's {other} has no type there"))),
        })
    }

    fn error(&self, reason: &str) -> TransportError {
        TransportError::Column { column: self.path.join("."), reason: reason.to_owned() }
    }
}

/// Why ClickHouse has no tuple elements of this name, if it has none.
#[must_use]
pub fn element_name_refusal(name: &str) -> Option<&'static str> {
    match name {
        "" => Some("ClickHouse has no tuple elements with an empty name"),
        "null" => Some("ClickHouse keeps the tuple element name null for itself"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use super::*;

    fn type_of(data_type: DataType, nullable: bool) -> String {
        column_type(&Field::new("c", data_type, nullable), Dialect::default()).unwrap()
    }

    fn extended(data_type: DataType, extension: &str) -> Field {
        Field::new("c", data_type, true)
            .with_metadata(HashMap::from([(EXTENSION_NAME.to_owned(), extension.to_owned())]))
    }

    #[test]
    fn scalars_are_nullable_where_arrow_says_so() {
        assert_eq!(type_of(DataType::Int32, false), "Int32");
        assert_eq!(type_of(DataType::Int32, true), "Nullable(Int32)");
        assert_eq!(type_of(DataType::Decimal128(38, 4), true), "Nullable(Decimal(38, 4))");
        let date = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
        assert_eq!(type_of(date, false), "DateTime64(3, 'UTC')");
        assert_eq!(type_of(DataType::FixedSizeBinary(12), false), "FixedString(12)");
        let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        assert_eq!(type_of(dictionary, true), "LowCardinality(Nullable(String))");
    }

    #[test]
    fn tuples_and_arrays_are_never_nullable_but_their_leaves_are() {
        let inner = Field::new("a`b", DataType::Utf8, true);
        let element = Field::new("item", DataType::Struct(vec![inner].into()), true);
        assert_eq!(
            type_of(DataType::List(Arc::new(element)), true),
            "Array(Tuple(`a\\`b` Nullable(String)))"
        );
    }

    #[test]
    fn a_type_that_is_given_counts_more_but_not_on_the_way() {
        let given = |data_type, nullable, name: &str| {
            let metadata = HashMap::from([(GIVEN.to_owned(), name.to_owned())]);
            Field::new("c", data_type, nullable).with_metadata(metadata)
        };
        let field = given(DataType::Int64, true, "UInt8");
        assert_eq!(column_type(&field, Dialect::default()).unwrap(), "Nullable(UInt8)");
        assert_eq!(wire_type(&field).unwrap(), "Nullable(Int64)");
        let field = given(DataType::Utf8, true, "LowCardinality(String)");
        assert_eq!(column_type(&field, Dialect::default()).unwrap(), "LowCardinality(Nullable(String))");
        let field = given(DataType::Utf8, false, "Enum8('a' = 1)");
        assert_eq!(column_type(&field, Dialect::default()).unwrap(), "Enum8('a' = 1)");
    }

    #[test]
    fn extensions_decide_uuid_and_json() {
        let uuid = extended(DataType::FixedSizeBinary(16), "arrow.uuid");
        assert_eq!(column_type(&uuid, Dialect::default()).unwrap(), "Nullable(UUID)");
        let json = extended(DataType::Utf8, "arrow.json");
        assert_eq!(column_type(&json, Dialect::of_version((26, 7))).unwrap(), "JSON");
        assert_eq!(column_type(&json, Dialect::of_version((24, 8))).unwrap(), "String");
    }

    #[test]
    fn what_has_no_type_is_named_by_its_path() {
        let inner = Field::new("b", DataType::Null, true);
        let error =
            column_type(&Field::new("a", DataType::Struct(vec![inner].into()), true), Dialect::default());
        assert_eq!(
            error.unwrap_err().to_string(),
            "the column a.b cannot be created in ClickHouse: Arrow's Null has no type there"
        );
    }
}
