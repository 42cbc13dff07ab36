//! From counts to kinds: which column fits most of what was found at a path.

use super::census::{Level, Values};
use super::keys::{self, Place};
use super::{DecimalAs, IdTypes, InferOptions, ObjectIdAs};
use crate::schema::{Field, Kind, UuidOrder};

/// The most digits of a decimal column.
const DECIMAL_DIGITS: u32 = 38;

/// The fields of the top level, `_id` first, then in order of first appearance.
pub(super) fn top_fields(level: &Level, options: &InferOptions) -> Vec<Field> {
    let id = Field::new("_id", id_kind(level.get(b"_id"), options));
    let mut fields = vec![id];
    fields.extend(fields_of(level, Place::Top, options).into_iter().filter(|field| field.name != "_id"));
    fields
}

fn fields_of(level: &Level, place: Place, options: &InferOptions) -> Vec<Field> {
    level
        .keys
        .iter()
        .filter_map(|(key, values)| {
            let name = keys::column_name(key, place)?;
            let kind = kind(values, options)?;
            // A dotted name beside the path it spells, or one that holds columns itself, is ambiguous.
            let composed = matches!(kind, Kind::Document(_) | Kind::Array(_) | Kind::Json);
            if name.contains('.') && (composed || keys::has_sibling_prefix(name, level)) {
                return None;
            }
            Some(Field::new(name, kind))
        })
        .collect()
}

/// The kind for the majority of values; where that has no column, for the next most.
fn kind(values: &Values, options: &InferOptions) -> Option<Kind> {
    candidates(values, options, Place::Embedded)
        .into_iter()
        .find_map(|(_, candidate)| candidate.kind(options))
}

/// A kind that is only worked out when it is asked for.
enum Candidate<'a> {
    Scalar(Kind),
    Documents(&'a Values, Place),
    Arrays(&'a Values),
}

impl Candidate<'_> {
    fn kind(self, options: &InferOptions) -> Option<Kind> {
        match self {
            Candidate::Scalar(kind) => Some(kind),
            Candidate::Documents(values, place) => documents(values, place, options),
            Candidate::Arrays(values) => {
                let elements = values.elements.as_deref()?;
                let element = candidates(elements, options, Place::Element)
                    .into_iter()
                    .find_map(|(_, candidate)| candidate.kind(options))?;
                Some(Kind::Array(Box::new(element)))
            }
        }
    }
}

/// What the column could be, by how many values it would be for, most first.
fn candidates<'a>(values: &'a Values, options: &InferOptions, place: Place) -> Vec<(u64, Candidate<'a>)> {
    let object_id = match options.object_id {
        ObjectIdAs::Hex => Kind::ObjectId,
        ObjectIdAs::Fixed => Kind::ObjectIdFixed,
    };
    let (numbers, number) = number(values, options);
    let mut candidates = vec![
        (values.object_ids, Candidate::Scalar(object_id)),
        (values.strings, Candidate::Scalar(if values.few_strings() { Kind::Category } else { Kind::String })),
        (numbers, Candidate::Scalar(number)),
        (values.dates, Candidate::Scalar(Kind::Date)),
        (values.booleans, Candidate::Scalar(Kind::Bool)),
        (values.timestamps, Candidate::Scalar(Kind::Timestamp)),
        (values.documents, Candidate::Documents(values, place)),
        (values.arrays, Candidate::Arrays(values)),
    ];
    candidates.extend(
        values.binaries.iter().map(|(&(subtype, is_uuid), &count)| {
            (count, Candidate::Scalar(binary(subtype, is_uuid, options)))
        }),
    );
    candidates.retain(|(count, _)| *count > 0);
    // Stable: of equally many, the order above decides.
    candidates.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    candidates
}

fn binary(subtype: u8, is_uuid: bool, options: &InferOptions) -> Kind {
    let order = if subtype == 3 { options.uuid_legacy } else { UuidOrder::Standard };
    if is_uuid && order.subtype() == subtype { Kind::Uuid(order) } else { Kind::Binary { subtype } }
}

/// How many numbers there are, and the column that takes most of them.
fn number(values: &Values, options: &InferOptions) -> (u64, Kind) {
    let all = values.numbers() + values.decimals;
    let plain = if values.doubles > 0 && values.inexact <= values.fractional {
        Kind::Double
    } else if values.int64s > 0 || values.doubles > 0 {
        Kind::Int64
    } else {
        Kind::Int32
    };
    let kind = match options.decimal {
        _ if values.decimals == 0 => plain,
        // Integers go with decimals, doubles do not.
        DecimalAs::Decimal if values.decimals >= values.doubles => Kind::Decimal { scale: scale(values) },
        // Exact text takes nothing but decimals.
        DecimalAs::Text if values.decimals >= values.numbers() => Kind::DecimalText,
        _ => plain,
    };
    (all, kind)
}

/// Digits after the point with which most of the sample fits; the fewest such, to leave room for more
/// digits before it.
fn scale(values: &Values) -> u8 {
    let fitting = |scale: u32| -> u64 {
        let fits = |&(whole, places): &(u32, u32)| places <= scale && whole + scale <= DECIMAL_DIGITS;
        values.digits.iter().filter(|(digits, _)| fits(digits)).map(|(_, count)| count).sum()
    };
    let best = (0..=DECIMAL_DIGITS).rev().max_by_key(|&scale| fitting(scale)).unwrap_or_default();
    u8::try_from(best).unwrap_or_default()
}

fn documents(values: &Values, place: Place, options: &InferOptions) -> Option<Kind> {
    let Some(level) = values.inside.as_deref() else { return Some(Kind::Json) };
    if keys::unbounded(level) {
        return Some(Kind::Json);
    }
    let fields = fields_of(level, place, options);
    (!fields.is_empty()).then_some(Kind::Document(fields))
}

/// The kind of `_id`: it is the key of the table, so that every value has to have its own text or number.
fn id_kind(values: Option<&Values>, options: &InferOptions) -> Kind {
    let Some(values) = values.filter(|_| options.id != IdTypes::Several) else { return Kind::MixedId };
    // A decimal takes the exact text, an integer the wider column: a value that does not fit would be a
    // key that is lost.
    let options = InferOptions { decimal: DecimalAs::Text, ..options.clone() };
    let mut candidates = candidates(values, &options, Place::Embedded).into_iter();
    let (Some((count, candidate)), None) = (candidates.next(), candidates.next()) else {
        return Kind::MixedId;
    };
    if count < values.count() + values.nulls {
        return Kind::MixedId;
    }
    match candidate.kind(&options) {
        Some(Kind::Int32) if options.id == IdTypes::One => Kind::Int32,
        Some(Kind::Int32 | Kind::Int64) if values.doubles == 0 && values.decimals == 0 => Kind::Int64,
        Some(Kind::Double) if values.doubles == values.numbers() && values.decimals == 0 => Kind::Double,
        Some(Kind::DecimalText) if values.numbers() == 0 => Kind::DecimalText,
        Some(Kind::Int32 | Kind::Int64 | Kind::Double | Kind::DecimalText) => Kind::MixedId,
        // The parts of a document may be null, the parts of a key may not.
        None | Some(Kind::Document(_) | Kind::Array(_) | Kind::Json) => Kind::MixedId,
        Some(kind) => kind,
    }
}
