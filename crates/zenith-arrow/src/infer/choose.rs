//! From counts to kinds: which column holds what was found at a path.

use super::census::{Level, Values};
use super::fit::Tally;
use super::keys::{self, KeyPosition};
use super::numbers;
use super::{IdTypes, InferOptions, Integers, Mixed, ObjectIdAs};
use crate::schema::{Blank, Field, ID_KEY, Kind, TextType, Twin, UuidOrder};

/// The fields of the top level, `_id` first, then in order of first appearance.
pub(super) fn top_fields(level: &Level, options: &InferOptions) -> Vec<Field> {
    let id = Field::new(ID_KEY, id_kind(level.get(ID_KEY.as_bytes()), options));
    let mut fields = vec![id];
    fields.extend(fields_of(level, KeyPosition::Top, "", options));
    fields
}

/// `parent` is the path of the document that the fields are in.
pub(super) fn fields_of(
    level: &Level,
    place: KeyPosition,
    parent: &str,
    options: &InferOptions,
) -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::new();
    for (key, values) in &level.keys {
        let Some(name) = keys::column_name(key, place) else { continue };
        if place == KeyPosition::Top && name == ID_KEY {
            continue;
        }
        let path = if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") };
        let Some(mut choice) = Choice::of(values, &path, options) else { continue };
        if matches!(choice.kind, Kind::Array(_))
            && options.flat.as_ref().is_some_and(|flat| flat.arrays_as_text)
        {
            choice = Choice { kind: Kind::Text { usual: TextType::Array }, twin: None };
        }
        // A dotted name beside the path it spells, or one that holds columns itself, is ambiguous.
        let composed = matches!(choice.kind, Kind::Document(_) | Kind::Array(_) | Kind::Json);
        if name.contains('.') && (composed || keys::has_sibling_prefix(name, level)) {
            continue;
        }
        let column = options.columns.get(name).filter(|_| place == KeyPosition::Top).cloned();
        let twin = choice.twin.map(|usual| {
            let taken = |name: &str| {
                options.columns.values().any(|column| column == name)
                    || fields.iter().any(|field| field.twin.as_ref().is_some_and(|twin| twin.name == name))
            };
            let name = column.as_deref().unwrap_or(name);
            Twin { name: keys::twin_name(name, place, level, taken), usual }
        });
        let blank = blank(level, values, &choice.kind, options.keep_nulls);
        fields.push(Field { column, blank, twin, ..Field::new(name, choice.kind) });
    }
    fields
}

/// What most documents have that show nothing in the column.
fn blank(level: &Level, values: &Values, kind: &Kind, keep_nulls: bool) -> Blank {
    let missing = level.documents.saturating_sub(values.occurrences());
    let empty = match kind {
        Kind::Array(_) => values.empty_arrays,
        Kind::Document(_) | Kind::Json => values.blank_documents,
        _ => 0,
    };
    let (missing, nulls) = if keep_nulls { (missing, values.nulls) } else { (missing + values.nulls, 0) };
    if missing >= nulls && missing >= empty {
        Blank::Missing
    } else if nulls >= empty {
        Blank::Null
    } else {
        Blank::Empty
    }
}

/// What a field gets.
struct Choice {
    kind: Kind,
    /// The type of most values that a column of the kind does not hold, where they get a column of text.
    twin: Option<TextType>,
}

impl Choice {
    fn of(values: &Values, path: &str, options: &InferOptions) -> Option<Choice> {
        let all = values.tally();
        let Candidate { kind, held } = best(candidates(values, KeyPosition::Embedded, path, options), &all)?;
        let alone = |kind| Some(Choice { kind, twin: None });
        match options.mixed_of(path) {
            _ if nearly_all(&held, &all) => alone(kind),
            Mixed::Majority => alone(kind),
            Mixed::Twin if most(&held, &all) || only_numbers(&all) => {
                Some(Choice { kind, twin: Some(all.without(&held).most()) })
            }
            Mixed::Twin | Mixed::Text => alone(Kind::Text { usual: all.most() }),
        }
    }
}

/// The kind of the type that most values have.
pub(super) fn most_frequent(
    values: &Values,
    place: KeyPosition,
    path: &str,
    options: &InferOptions,
) -> Option<Kind> {
    best(candidates(values, place, path, options), &values.tally()).map(|candidate| candidate.kind)
}

/// The kind of the elements of an array, which have no twin: a document or an array keeps its parts, other types that
/// do not go together become text.
fn element(all: &Tally, candidates: Vec<Candidate>, mixed: Mixed) -> Option<Kind> {
    let Candidate { kind, held } = best(candidates, all)?;
    let parts = matches!(kind, Kind::Document(_) | Kind::Json | Kind::Array(_)) && most(&held, all);
    let numbers = mixed == Mixed::Twin && only_numbers(all);
    let keep = nearly_all(&held, all) || mixed == Mixed::Majority || parts || numbers;
    Some(if keep { kind } else { Kind::Text { usual: all.most() } })
}

fn nearly_all(held: &Tally, all: &Tally) -> bool {
    held.total().saturating_mul(100) >= all.total().saturating_mul(99)
}

fn most(held: &Tally, all: &Tally) -> bool {
    held.total().saturating_mul(2) > all.total()
}

fn only_numbers(all: &Tally) -> bool {
    all[TextType::Number] == all.total()
}

/// A kind, and how many values its column would hold.
struct Candidate {
    kind: Kind,
    held: Tally,
}

/// The first that holds nearly all values, or else of those that hold most.
fn best(candidates: Vec<Candidate>, all: &Tally) -> Option<Candidate> {
    let position = candidates.iter().position(|candidate| nearly_all(&candidate.held, all));
    let mut candidates = candidates.into_iter();
    match position {
        Some(position) => candidates.nth(position),
        None => candidates.rev().max_by_key(|candidate| candidate.held.total()),
    }
}

/// What the column could be, that for the most values first.
fn candidates(values: &Values, place: KeyPosition, path: &str, options: &InferOptions) -> Vec<Candidate> {
    let array = (values.arrays > 0).then(|| array(values, path, options)).flatten();
    let mut kinds = lone(values, place, path, options);
    kinds.extend(array.map(|kind| (values.arrays, kind)));
    in_order(values, kinds)
}

/// The kinds that are no arrays, with the number of values of their type.
fn lone(values: &Values, place: KeyPosition, path: &str, options: &InferOptions) -> Vec<(u64, Kind)> {
    let mut kinds = scalars(values, options);
    if values.documents > 0 {
        kinds.extend(documents(values, place, path, options).map(|kind| (values.documents, kind)));
    }
    kinds
}

fn in_order(values: &Values, mut kinds: Vec<(u64, Kind)>) -> Vec<Candidate> {
    // Stable: of equally many, the order they came in decides.
    kinds.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    kinds.into_iter().map(|(_, kind)| Candidate { held: values.held(&kind), kind }).collect()
}

/// The kinds that are neither documents nor arrays, with the number of values of their type.
fn scalars(values: &Values, options: &InferOptions) -> Vec<(u64, Kind)> {
    let object_id = match options.object_id {
        ObjectIdAs::Hex => Kind::ObjectId,
        ObjectIdAs::Fixed => Kind::ObjectIdFixed,
    };
    let mut scalars = vec![
        (values.object_ids, object_id),
        (values.strings, if values.few_strings() { Kind::Category } else { Kind::String }),
        (values.dates, Kind::Date),
        (values.booleans, Kind::Bool),
        (values.timestamps, Kind::Timestamp),
    ];
    let numbers = values.numbers() + values.decimals;
    if numbers > 0 {
        scalars.insert(2, (numbers, numbers::number(values, options)));
    }
    let binaries = values.binaries.iter();
    scalars.extend(binaries.map(|(&(subtype, is_uuid), &count)| (count, binary(subtype, is_uuid, options))));
    scalars.retain(|(count, _)| *count > 0);
    scalars
}

fn binary(subtype: u8, is_uuid: bool, options: &InferOptions) -> Kind {
    let order = if subtype == 3 { options.uuid_legacy } else { UuidOrder::Standard };
    if is_uuid && order.subtype() == subtype { Kind::Uuid(order) } else { Kind::Binary { subtype } }
}

fn documents(values: &Values, place: KeyPosition, path: &str, options: &InferOptions) -> Option<Kind> {
    let Some(level) = values.inside.as_deref() else { return Some(Kind::Json) };
    if keys::unbounded(level) {
        return Some(Kind::Json);
    }
    let fields = fields_of(level, place, path, options);
    (!fields.is_empty()).then_some(Kind::Document(fields))
}

/// An array of what its elements are; where it never has one, of what the values beside it are.
fn array(values: &Values, path: &str, options: &InferOptions) -> Option<Kind> {
    let elements = values.elements.as_deref()?;
    let mixed = options.mixed_of(path);
    let element = if elements.count() > 0 {
        element(&elements.tally(), candidates(elements, KeyPosition::Element, path, options), mixed)
    } else if values.takes_lone_values() {
        let mut all = values.tally();
        all[TextType::Array] = 0;
        element(&all, in_order(values, lone(values, KeyPosition::Element, path, options)), mixed)
    } else {
        None
    };
    element.map(|element| Kind::Array(Box::new(element)))
}

/// The kind of `_id`: it is the key of the table, so that every value has to have its own text or number.
fn id_kind(values: Option<&Values>, options: &InferOptions) -> Kind {
    if let Some(kind) = &options.key {
        return kind.clone();
    }
    let Some(values) = values.filter(|_| options.id != IdTypes::Several) else { return Kind::MixedId };
    let kind = if values.numbers() + values.decimals > 0 {
        number_id(values, options)
    } else {
        // The parts of a document may be null, the parts of a key may not.
        scalars(values, options).into_iter().next().map(|(_, kind)| kind)
    };
    // A value that does not fit would be a key that is lost.
    kind.filter(|kind| values.held(kind).total() == values.occurrences()).unwrap_or(Kind::MixedId)
}

/// The wider column where there are two, and for decimals their exact text.
fn number_id(values: &Values, options: &InferOptions) -> Option<Kind> {
    match (values.integers(), values.doubles, values.decimals) {
        (_, 0, 0) => {
            let narrow = options.integers == Integers::Narrow && options.id == IdTypes::One;
            Some(if narrow && values.int64s == 0 { Kind::Int32 } else { Kind::Int64 })
        }
        (_, _, 0) => Some(Kind::Double),
        (0, 0, _) => Some(Kind::DecimalText),
        _ => None,
    }
}
