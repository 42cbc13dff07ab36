//! Types that a user gives to columns: which values of a document each of them holds exactly.
//!
//! Values are decoded as their kind has them, those that the type does not hold go to the extra column, and the target
//! converts the others when they are inserted. So a conversion never rounds, wraps or fails.

use zenith_arrow::schema::{ID_KEY, TextType};
use zenith_arrow::{DateRange, Field, GivenType, Kind, Limit, Schema, UuidOrder, WHOLE_KEY};
use zenith_transport::TableInfo;
use zenith_transport::ddl::{expressions, literal, text_of};

use super::typed_place;
use crate::column_shape::ColumnShape;
use crate::row_shape::Shape;
use crate::table_shape::TableShape;
use crate::{EngineError, Result};

const DAY_MS: i64 = 24 * 3600 * 1000;
/// The last second and the last day of types that count them without a sign.
const SECONDS_MAX: i64 = u32::MAX as i64;
const DAYS_MAX: i64 = u16::MAX as i64;
/// The most digits of a decimal.
const DIGITS_MAX: u8 = 38;

/// Which types there are to choose from.
const KNOWN: &str = "Zenith fills Int8 to Int64, UInt8 to UInt64, Float64, Decimal(P, S) of up to 38 digits, Bool, String, \
    DateTime64, DateTime, Date, Date32, UUID, IPv4, IPv6, Enum and JSON, with Nullable or LowCardinality around it, and \
    Map(String, T) of any of these but JSON";

/// What a column becomes.
#[derive(Debug, PartialEq)]
struct Chosen {
    kind: Kind,
    limit: Option<Limit>,
}

/// Gives columns, and parts of them, the types that the user wants; a field that the sample lacks gets its column as well.
pub(super) fn give_types(shape: &TableShape, schema: &mut Schema) -> Result<()> {
    for (name, column) in
        shape.columns.iter().filter(|(name, column)| !column.is_computed() && *name != ID_KEY)
    {
        let refused =
            |value: String, reason: String| EngineError::Setting { setting: "columns", value, reason };
        let there = typed_place::find(schema, name);
        if let Some(field) = there.filter(|field| field.name == *name && field.column_name() != name.as_str())
        {
            return Err(refused(
                name.clone(),
                format!("the field {name} has the column {0}: write {0} in its place", field.column_name()),
            ));
        }
        let inferred = there.map(|field| field.kind.clone());
        let given = wanted(column, inferred.as_ref());
        let (Some(given), dates) = (&given, schema.dates) else {
            if let Some(reason) = refusal_of_part(schema, name, column) {
                return Err(refused(name.clone(), reason));
            }
            continue;
        };
        let value = || format!("{name} = {given:?}");
        let chosen = chosen(given, inferred.as_ref(), dates).map_err(|reason| refused(value(), reason))?;
        let place = typed_place::place(schema, name, || chosen.kind.clone())
            .map_err(|reason| refused(value(), format!("{name} {reason}")))?;
        give(place.field, chosen, given);
        if let Some(reason) = refusal_of_part(schema, name, column) {
            return Err(refused(name.clone(), reason));
        }
    }
    Ok(())
}

/// Why something cannot be said of a part of a column, if it is said.
fn refusal_of_part(schema: &mut Schema, name: &str, column: &ColumnShape) -> Option<String> {
    let says_more = column.codec.is_some() || column.comment.is_some() || column.nullable == Some(false);
    let is_there = typed_place::find(schema, name).is_some();
    if !says_more || !is_there || !typed_place::place(schema, name, || Kind::Bool).ok()?.is_part {
        return None;
    }
    Some(format!(
        "{name} is a part of a column, of which only the type can be chosen: say the codec and the comment of the column"
    ))
}

/// Gives a field its type.
fn give(field: &mut Field, chosen: Chosen, given: &str) {
    if field.kind != chosen.kind {
        field.blank = zenith_arrow::Blank::Missing;
    }
    if matches!(chosen.kind, Kind::Text { .. } | Kind::Map(_) | Kind::Json) {
        // It shows everything itself, or nothing but documents.
        field.twin = None;
    }
    let is_json = chosen.kind == Kind::Json;
    field.flat = None;
    field.kind = chosen.kind;
    field.given =
        (!is_json).then(|| GivenType { name: spelled(&without_nullable(given)), limit: chosen.limit });
}

/// Adds fields for the columns of a user's table that the sample has no values for, where they may be NULL: of others, every row
/// without a value would have a note.
pub(super) fn add_columns_of(table: &TableInfo, schema: &mut Schema, is_left_out: &dyn Fn(&str) -> bool) {
    for there in table.columns.iter().filter(|there| there.default_kind.is_empty()) {
        let (name, data_type) = (there.name.as_str(), there.data_type.as_str());
        let may_be_null = ["Nullable(", "LowCardinality(Nullable(", "Map("];
        let is_known = schema.fields.iter().any(|field| {
            let twin = field.twin.as_ref().map(|twin| twin.name.as_str());
            field.name == name || field.column_name() == name || twin == Some(name)
        });
        if !may_be_null.iter().any(|beginning| data_type.starts_with(beginning))
            || is_known
            || name.starts_with("_zenith_")
            || is_left_out(name)
        {
            continue;
        }
        if let Ok(chosen) = chosen(data_type, None, schema.dates) {
            let mut field = Field::new(name, chosen.kind.clone());
            give(&mut field, chosen, data_type);
            schema.fields.push(field);
        }
    }
}

/// Paths of the fields whose columns have types that no sample chooses.
pub(super) fn paths(shape: &TableShape, schema: &Schema, documents: Shape) -> Vec<String> {
    let whole = (documents == Shape::Document).then(|| WHOLE_KEY.to_owned());
    let columns = shape.columns.iter().filter(|(name, column)| {
        let field = typed_place::find(schema, name);
        field.is_some_and(|field| field.given.is_some() || column.data_type.is_some())
    });
    let path = |name: &String| schema.keys_of(name).map_or_else(|| name.clone(), |keys| keys.join("."));
    columns.map(|(name, _)| path(name)).chain(whole).collect()
}

/// The type that is wanted of a column, as its settings together have it.
fn wanted(column: &ColumnShape, inferred: Option<&Kind>) -> Option<String> {
    let has_dictionary = |data_type: &str| data_type.starts_with("LowCardinality(");
    let is_text = matches!(
        inferred,
        Some(Kind::String | Kind::Category | Kind::Text { .. } | Kind::ObjectId | Kind::DecimalText)
    );
    match (&column.data_type, column.low_cardinality) {
        (Some(data_type), Some(true)) if !has_dictionary(data_type) => {
            Some(format!("LowCardinality({data_type})"))
        }
        (Some(data_type), _) => Some(data_type.clone()),
        (None, Some(true)) if is_text => Some("LowCardinality(String)".to_owned()),
        (None, Some(false)) if inferred == Some(&Kind::Category) => Some("String".to_owned()),
        (None, _) => None,
    }
}

/// Inside of `NAME(…)`.
fn inside<'t>(data_type: &'t str, name: &str) -> Option<&'t str> {
    Some(data_type.strip_prefix(name)?.trim_start().strip_prefix('(')?.strip_suffix(')')?.trim())
}

/// The type without what says that it may be NULL, which goes around it, or into its dictionary, where the field does.
fn without_nullable(data_type: &str) -> String {
    let data_type = data_type.trim();
    if let Some(values) = inside(data_type, "LowCardinality") {
        return format!("LowCardinality({})", without_nullable(values));
    }
    inside(data_type, "Nullable").unwrap_or(data_type).to_owned()
}

/// A type as ClickHouse spells it, where a table cannot be tried, and numbers are left out.
fn spelled(data_type: &str) -> String {
    if let Some(precision) = inside(data_type, "Decimal").filter(|inside| !inside.contains(',')) {
        return format!("Decimal({precision}, 0)");
    }
    let names = ["Enum", "Enum8", "Enum16"].into_iter().find_map(|name| inside(data_type, name));
    if let Some([key, value]) = inside(data_type, "Map").and_then(expressions).as_deref() {
        return format!("Map({key}, {})", spelled(value));
    }
    let Some(names) = names.and_then(expressions) else { return data_type.to_owned() };
    let mut next = 1;
    let mut values: Vec<(i32, String)> = Vec::with_capacity(names.len());
    for name in names {
        let number = name.rsplit_once('=').and_then(|(_, number)| number.trim().parse::<i16>().ok());
        let number = number.map_or(next, i32::from);
        next = number + 1;
        values.extend(enum_name(name).map(|name| (number, format!("{} = {number}", literal(&name)))));
    }
    values.sort_unstable();
    let is_short = values.iter().all(|(number, _)| i8::try_from(*number).is_ok());
    let texts: Vec<String> = values.into_iter().map(|(_, text)| text).collect();
    format!("{}({})", if is_short { "Enum8" } else { "Enum16" }, texts.join(", "))
}

fn chosen(data_type: &str, inferred: Option<&Kind>, dates: DateRange) -> std::result::Result<Chosen, String> {
    let data_type = data_type.trim();
    if let Some(entries) = inside(data_type, "Map") {
        return map(&expressions(entries).unwrap_or_default(), inferred, dates);
    }
    let dictionary = inside(data_type, "LowCardinality");
    let values = dictionary.unwrap_or(data_type);
    let scalar = inside(values, "Nullable").unwrap_or(values);
    let (kind, limit) = of_scalar(scalar, inferred, dates)?;
    if dictionary.is_some() && !matches!(kind, Kind::Text { .. } | Kind::String) {
        return Err("a dictionary is kept of texts only".to_owned());
    }
    Ok(Chosen { kind, limit })
}

/// A map of these types.
fn map(entries: &[&str], inferred: Option<&Kind>, dates: DateRange) -> std::result::Result<Chosen, String> {
    let &[key, value] = entries else { return Err("a map is written as Map(String, Int64)".to_owned()) };
    if !matches!(key, "String" | "LowCardinality(String)") {
        return Err("the keys of documents are texts: write Map(String, …)".to_owned());
    }
    // Where all parts of the documents that the sample has are of one kind, so are the values.
    let of_all = inferred.and_then(|kind| {
        let (first, others) = kind.parts().split_first()?;
        others.iter().all(|other| other.kind == first.kind).then_some(&first.kind)
    });
    let Chosen { kind, limit } = chosen(value, of_all, dates)?;
    if kind.is_never_null() {
        return Err(
            "its values are of single values: take JSON for documents of documents or arrays".to_owned()
        );
    }
    let may_be_null = inside(value, "Nullable").is_some() || value.starts_with("LowCardinality(Nullable(");
    let given = Some(GivenType { name: spelled(&without_nullable(value)), limit });
    let value = Field { given, required: !may_be_null, ..Field::new("value", kind) };
    Ok(Chosen { kind: Kind::Map(Box::new(value)), limit: None })
}

type KindAndLimit = (Kind, Option<Limit>);

fn of_scalar(
    scalar: &str,
    inferred: Option<&Kind>,
    dates: DateRange,
) -> std::result::Result<KindAndLimit, String> {
    let (name, arguments) = match scalar.split_once('(') {
        Some((name, rest)) => (name.trim(), rest.strip_suffix(')').unwrap_or(rest)),
        None => (scalar, ""),
    };
    let arguments = expressions(arguments).unwrap_or_default();
    let integers = |first, last| Ok((Kind::Int64, Some(Limit::Integers { first, last })));
    match (name, arguments.as_slice()) {
        ("Int8", []) => integers(i8::MIN.into(), i8::MAX.into()),
        ("Int16", []) => integers(i16::MIN.into(), i16::MAX.into()),
        ("Int32", []) => integers(i32::MIN.into(), i32::MAX.into()),
        ("Int64", []) => Ok((Kind::Int64, None)),
        ("UInt8", []) => integers(0, u8::MAX.into()),
        ("UInt16", []) => integers(0, u16::MAX.into()),
        ("UInt32", []) => integers(0, u32::MAX.into()),
        ("UInt64", []) => integers(0, i64::MAX),
        ("Float64", []) => Ok((Kind::Double, None)),
        ("Float32", []) => {
            Err("it does not hold most numbers as they are: take Float64, or Decimal(P, S)".to_owned())
        }
        ("Bool", []) => Ok((Kind::Bool, None)),
        ("JSON", []) => Ok((Kind::Json, None)),
        ("String", []) => {
            let usual = inferred.map_or(TextType::String, text_type);
            Ok((Kind::Text { usual }, None))
        }
        ("Decimal", [precision]) => decimal(precision, "0"),
        ("Decimal", [precision, scale]) => decimal(precision, scale),
        ("UUID", []) => match inferred {
            Some(Kind::Uuid(order)) => Ok((Kind::Uuid(*order), None)),
            _ => Ok((Kind::String, Some(Limit::Uuid))),
        },
        ("IPv4", []) => Ok((Kind::String, Some(Limit::Ipv4))),
        ("IPv6", []) => Ok((Kind::String, Some(Limit::Ipv6))),
        ("Enum" | "Enum8" | "Enum16", names) => {
            let names: Option<Vec<String>> = names.iter().map(|name| enum_name(name)).collect();
            let names = names.filter(|names| !names.is_empty());
            let names = names
                .ok_or_else(|| "its texts stand in quotation marks, as in Enum('new', 'paid')".to_owned())?;
            Ok((Kind::String, Some(Limit::OneOf(names))))
        }
        ("Date" | "Date32" | "DateTime" | "DateTime64", arguments) => date(name, arguments, dates),
        _ => Err(format!("no values of documents are known to fit it: {KNOWN}")),
    }
}

fn decimal(precision: &str, scale: &str) -> std::result::Result<KindAndLimit, String> {
    let number = |text: &str| text.trim().parse::<u8>().ok();
    match (number(precision), number(scale)) {
        (Some(precision @ 1..=DIGITS_MAX), Some(scale)) if scale <= precision => {
            let limit = (precision < DIGITS_MAX).then_some(Limit::Digits { precision, scale });
            Ok((Kind::Decimal { scale }, limit))
        }
        _ => Err("a decimal has 1 to 38 digits, and no more of them behind the point".to_owned()),
    }
}

/// `'new'` or `'new' = 1`.
fn enum_name(text: &str) -> Option<String> {
    let name = match text.rsplit_once('=') {
        Some((name, number)) if number.trim().parse::<i16>().is_ok() => name,
        _ => text,
    };
    text_of(name)
}

/// Dates that a type holds: no part of its unit, and none that it would wrap or clamp.
fn date(name: &str, arguments: &[&str], dates: DateRange) -> std::result::Result<KindAndLimit, String> {
    let every = DateRange::default();
    let (step_ms, first_ms, last_ms) = match (name, arguments) {
        ("Date", []) => (DAY_MS, 0, DAYS_MAX * DAY_MS),
        ("Date32", []) => (DAY_MS, every.first_ms, every.last_ms),
        ("DateTime", [] | [_]) => (1000, 0, SECONDS_MAX * 1000),
        ("DateTime64", [digits] | [digits, _]) => match digits.parse::<u32>() {
            Ok(3) => (1, dates.first_ms, dates.last_ms),
            Ok(digits @ 0..=2) => (10_i64.pow(3 - digits), every.first_ms, every.last_ms),
            Ok(digits @ 4..=9) => {
                let most = i64::MAX / 10_i64.pow(digits - 3);
                (1, every.first_ms.max(-most), every.last_ms.min(most))
            }
            _ => return Err("its digits behind the second are 0 to 9".to_owned()),
        },
        _ => {
            return Err(
                "it is written as Date, Date32, DateTime, DateTime('UTC') or DateTime64(3, 'UTC')".to_owned()
            );
        }
    };
    Ok((Kind::Date, Some(Limit::Dates { step_ms, first_ms, last_ms })))
}

/// The type of text that values of a kind usually have.
pub(crate) fn text_type(kind: &Kind) -> TextType {
    match kind {
        Kind::Int32 | Kind::Int64 | Kind::Double | Kind::Decimal { .. } | Kind::DecimalText => {
            TextType::Number
        }
        Kind::Bool => TextType::Bool,
        Kind::Date => TextType::Date,
        Kind::ObjectId | Kind::ObjectIdFixed => TextType::ObjectId,
        Kind::Uuid(UuidOrder::Standard) => TextType::Uuid,
        Kind::Document(_) | Kind::Map(_) | Kind::Json => TextType::Object,
        Kind::Array(_) => TextType::Array,
        Kind::String | Kind::Category | Kind::MixedId => TextType::String,
        Kind::Text { usual } => *usual,
        Kind::Timestamp | Kind::Uuid(_) | Kind::Binary { .. } => TextType::Other,
    }
}

/// Whether a column of the given type of a field is what is there, which then spells it; a type that is not there is given
/// no more.
pub(super) fn is_there(field: &mut Field, there: &str, dates: DateRange) -> bool {
    let Some(given) = &mut field.given else { return false };
    let found = chosen(there, Some(&field.kind), dates);
    if found.is_ok_and(|found| found.kind == field.kind && found.limit == given.limit) {
        given.name = without_nullable(there);
        return true;
    }
    field.given = None;
    false
}

/// Spells the types as the target does, which has tried them.
pub(super) fn spell(schema: &mut Schema, tried: &TableInfo) {
    schema.retain_columns(|field| {
        let there = tried.columns.iter().find(|column| column.name == field.column_name());
        if let (Some(given), Some(there)) = (&mut field.given, there) {
            given.name = without_nullable(&there.data_type);
        }
        true
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(data_type: &str, inferred: Option<&Kind>) -> Chosen {
        chosen(data_type, inferred, DateRange::WIDE).unwrap_or_else(|error| panic!("{data_type}: {error}"))
    }

    #[test]
    fn types_hold_what_comes_back_from_them() {
        let price = of("Nullable(Decimal(18, 4))", Some(&Kind::Double));
        let limit = Some(Limit::Digits { precision: 18, scale: 4 });
        assert_eq!(price, Chosen { kind: Kind::Decimal { scale: 4 }, limit });
        assert_eq!(of("Decimal(38, 2)", None).limit, None);
        assert_eq!(of("UInt8", None).limit, Some(Limit::Integers { first: 0, last: 255 }));
        assert_eq!(of("Int64", Some(&Kind::Double)).limit, None);
        let text = of("LowCardinality(Nullable(String))", Some(&Kind::Int64));
        assert_eq!(text.kind, Kind::Text { usual: TextType::Number });
        let states = of("Enum8('new' = 1, 'it\\'s = 2' = 2)", None);
        assert_eq!(states.limit, Some(Limit::OneOf(vec!["new".to_owned(), "it's = 2".to_owned()])));
        assert_eq!(of("UUID", None).kind, Kind::String);
        let order = UuidOrder::Standard;
        assert_eq!(of("UUID", Some(&Kind::Uuid(order))).kind, Kind::Uuid(order));
        let dates = |data_type| match of(data_type, None).limit {
            Some(Limit::Dates { step_ms, first_ms, last_ms }) => (step_ms, first_ms, last_ms),
            other => panic!("{other:?}"),
        };
        assert_eq!(dates("DateTime"), (1000, 0, 4_294_967_295_000));
        assert_eq!(dates("Date"), (DAY_MS, 0, 65_535 * DAY_MS));
        assert_eq!(dates("DateTime64(3, 'Europe/Berlin')").0, 1);
        // 2262-04-11, where nanoseconds end.
        assert_eq!(dates("DateTime64(9)").2, 9_223_372_036_854);
    }

    #[test]
    fn types_that_would_change_values_are_refused() {
        for data_type in [
            "Float32",
            "Map(Int8, String)",
            "Map(String, Array(Int8))",
            "Map(String)",
            "Array(Int8)",
            "FixedString(3)",
            "Decimal(50, 2)",
            "Int128",
            "Enum",
            "DateTime64",
        ] {
            assert!(chosen(data_type, None, DateRange::WIDE).is_err(), "{data_type}");
        }
        assert!(chosen("LowCardinality(Int64)", None, DateRange::WIDE).is_err());
    }

    #[test]
    fn spellings_go_without_null() {
        assert_eq!(without_nullable("LowCardinality(Nullable(String))"), "LowCardinality(String)");
        assert_eq!(without_nullable("Nullable(Decimal(18, 4))"), "Decimal(18, 4)");
        assert_eq!(without_nullable("Enum8('a' = 1)"), "Enum8('a' = 1)");
        assert_eq!(spelled("Decimal(9)"), "Decimal(9, 0)");
        assert_eq!(spelled("Enum('b' = 7, 'c', 'it\\'s' = -1)"), "Enum8('it\\'s' = -1, 'b' = 7, 'c' = 8)");
        assert_eq!(spelled("Enum('a', 'b' = 300)"), "Enum16('a' = 1, 'b' = 300)");
        assert_eq!(spelled("DateTime64(3, 'UTC')"), "DateTime64(3, 'UTC')");
    }
}
