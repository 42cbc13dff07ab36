//! Types of columns by their names, as far as results have them.

use arrow_schema::{DataType, TimeUnit};

use crate::ddl::unquoted;

/// Types inside each other.
const DEPTH_MAX: usize = 128;

/// How a column's values lie in a block.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Type {
    /// Values of fixed width that Arrow has too.
    Fixed {
        width: usize,
        arrow: DataType,
    },
    /// Days since 1970 in 16 bits.
    Date,
    /// Seconds since 1970 in 32 bits, with a time zone.
    DateTime(Option<String>),
    /// Decimals of this width in bytes.
    Decimal {
        width: usize,
        precision: u8,
        scale: i8,
    },
    Bool,
    String,
    /// JSON as text, if the server was asked for it so.
    Json,
    Uuid,
    /// No value, for columns of nothing but NULL.
    Nothing,
    Nullable(Box<Type>),
    Array(Box<Type>),
    Tuple(Vec<(String, Type)>),
}

/// Reads the name of a type.
///
/// # Errors
/// What is wrong with it, or that results cannot have it.
pub(super) fn parse(text: &str) -> Result<Type, String> {
    parse_at(text.trim(), 0)
}

fn parse_at(text: &str, depth: usize) -> Result<Type, String> {
    if depth > DEPTH_MAX {
        return Err(format!("a type is nested deeper than {DEPTH_MAX} levels"));
    }
    let unknown = || format!("the type {text:?} cannot be read: cast it to String");
    let (name, arguments) = match text.split_once('(') {
        Some((name, rest)) => (name, arguments(rest.strip_suffix(')').ok_or_else(unknown)?)?),
        None => (text, Vec::new()),
    };
    let inner = |index: usize| {
        arguments.get(index).ok_or_else(unknown).and_then(|argument| parse_at(argument, depth + 1))
    };
    match name {
        "Nullable" => match inner(0)? {
            Type::Nullable(_) | Type::Array(_) => Err(unknown()),
            inner => Ok(Type::Nullable(Box::new(inner))),
        },
        "Array" => Ok(Type::Array(Box::new(inner(0)?))),
        "Map" => {
            let pair = vec![("keys".to_owned(), inner(0)?), ("values".to_owned(), inner(1)?)];
            Ok(Type::Array(Box::new(Type::Tuple(pair))))
        }
        "Tuple" => {
            let element = |(index, text): (usize, &&str)| element(text, index, depth);
            Ok(Type::Tuple(arguments.iter().enumerate().map(element).collect::<Result<_, _>>()?))
        }
        _ => plain(name).or_else(|| with_parameters(name, &arguments)).ok_or_else(unknown),
    }
}

/// The type of this name, if the name alone says how its values lie.
fn plain(name: &str) -> Option<Type> {
    Some(match name {
        "Int8" | "Enum8" => fixed(1, DataType::Int8),
        "Int16" | "Enum16" => fixed(2, DataType::Int16),
        "Int32" => fixed(4, DataType::Int32),
        "Int64" => fixed(8, DataType::Int64),
        "UInt8" => fixed(1, DataType::UInt8),
        "UInt16" => fixed(2, DataType::UInt16),
        "UInt32" | "IPv4" => fixed(4, DataType::UInt32),
        "UInt64" => fixed(8, DataType::UInt64),
        "Int128" | "UInt128" | "IPv6" => fixed(16, DataType::FixedSizeBinary(16)),
        "Int256" | "UInt256" => fixed(32, DataType::FixedSizeBinary(32)),
        "Float32" => fixed(4, DataType::Float32),
        "Float64" => fixed(8, DataType::Float64),
        "Date" => Type::Date,
        "Date32" => fixed(4, DataType::Date32),
        "Bool" => Type::Bool,
        "String" => Type::String,
        "JSON" => Type::Json,
        "UUID" => Type::Uuid,
        "Nothing" => Type::Nothing,
        _ => return None,
    })
}

/// The type of this name and these parameters: widths, digits and time zones.
fn with_parameters(name: &str, parameters: &[&str]) -> Option<Type> {
    let number = |index: usize| parameters.get(index)?.parse::<u8>().ok();
    let zone = |index: usize| parameters.get(index).and_then(|text| unquoted(text)).map(|(zone, _)| zone);
    match name {
        "DateTime" => Some(Type::DateTime(zone(0))),
        "DateTime64" => {
            let unit = match number(0)? {
                0 => TimeUnit::Second,
                3 => TimeUnit::Millisecond,
                6 => TimeUnit::Microsecond,
                9 => TimeUnit::Nanosecond,
                _ => return None,
            };
            Some(fixed(8, DataType::Timestamp(unit, zone(1).map(Into::into))))
        }
        "Decimal" => {
            let (precision, scale) = (number(0)?, i8::try_from(number(1)?).ok()?);
            let width = match precision {
                1..=9 => 4,
                10..=18 => 8,
                19..=38 => 16,
                39..=76 => 32,
                _ => return None,
            };
            Some(Type::Decimal { width, precision, scale })
        }
        "FixedString" => {
            let width = parameters.first()?.parse::<i32>().ok().filter(|width| *width > 0)?;
            Some(fixed(usize::try_from(width).ok()?, DataType::FixedSizeBinary(width)))
        }
        _ => None,
    }
}

fn fixed(width: usize, arrow: DataType) -> Type {
    Type::Fixed { width, arrow }
}

/// An element of a tuple, as `name Type` or without a name.
fn element(text: &str, index: usize, depth: usize) -> Result<(String, Type), String> {
    let named = match text.chars().next() {
        Some('`' | '"') => unquoted(text),
        _ => {
            // A space before the first parenthesis follows a name.
            let end = text.find([' ', '(']).filter(|end| text[*end..].starts_with(' '));
            end.map(|end| (text[..end].to_owned(), &text[end..]))
        }
    };
    match named {
        Some((name, rest)) => Ok((name, parse_at(rest.trim_start(), depth + 1)?)),
        None => Ok(((index + 1).to_string(), parse_at(text, depth + 1)?)),
    }
}

/// What stands between the commas of a list, without those in quotes and parentheses.
fn arguments(text: &str) -> Result<Vec<&str>, String> {
    let unfinished = || format!("the type … {text:?} is not finished");
    let (mut arguments, mut start, mut at, mut depth) = (Vec::new(), 0, 0, 0_usize);
    while let Some(character) = text[at..].chars().next() {
        match character {
            '`' | '"' | '\'' => {
                let (_, rest) = unquoted(&text[at..]).ok_or_else(unfinished)?;
                at = text.len() - rest.len();
                continue;
            }
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1).ok_or_else(unfinished)?,
            ',' if depth == 0 => {
                arguments.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
        at += character.len_utf8();
    }
    let last = text[start..].trim();
    if !last.is_empty() || !arguments.is_empty() {
        arguments.push(last);
    }
    if depth == 0 { Ok(arguments) } else { Err(unfinished()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_give_types() {
        let text = "Tuple(a Nullable(Decimal(38, 4)), `b c, (` Array(DateTime64(3, 'UTC')), Int32)";
        let date = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
        let elements = vec![
            ("a".to_owned(), Type::Nullable(Box::new(Type::Decimal { width: 16, precision: 38, scale: 4 }))),
            ("b c, (".to_owned(), Type::Array(Box::new(fixed(8, date)))),
            ("3".to_owned(), fixed(4, DataType::Int32)),
        ];
        assert_eq!(parse(text), Ok(Type::Tuple(elements)));
        assert_eq!(parse("Tuple()"), Ok(Type::Tuple(Vec::new())));
        assert_eq!(parse("Enum8('a,\\'b)' = 1, 'c' = 2)"), Ok(fixed(1, DataType::Int8)));
        assert_eq!(parse("FixedString(12)"), Ok(fixed(12, DataType::FixedSizeBinary(12))));
        for unknown in [
            "Dynamic",
            "Array(",
            "Array()",
            "Nullable(Nullable(Int8))",
            "FixedString(0)",
            "Decimal(99, 1)",
            "DateTime64(1)",
            "`",
        ] {
            assert!(parse(unknown).is_err(), "{unknown}");
        }
    }

    #[test]
    fn depth_has_a_bound() {
        let deep = |depth: usize| format!("{}Int8{}", "Array(".repeat(depth), ")".repeat(depth));
        assert!(parse(&deep(100)).is_ok());
        assert!(parse(&deep(100_000)).unwrap_err().contains("deeper"));
    }

    proptest! {
        #[test]
        fn no_name_does_harm(text in "[A-Za-z0-9(),` '\\\\é]{0,40}", name in "(Tuple|Array|Nullable|Enum8|Map)") {
            let _ = parse(&text);
            let _ = parse(&format!("{name}({text})"));
        }
    }
}
