//! Wider kinds for columns whose fields have values that the columns do not hold.

use std::collections::{BTreeMap, BTreeSet};

use bson::{Bson, doc};
use zenith_bson::{Elements, RawValue, tag};

use crate::extended_json::{Container, Json, JsonError, to_bson};
use crate::fit::fits_leaf;
use crate::schema::{DateRange, ELEMENTS_KEY, Field, Kind, Schema, TextType, UuidOrder};

/// The digits of the longest 64-bit integer and of a 32-bit one; a decimal has 38.
const DIGITS: [(Kind, u8); 2] = [(Kind::Int64, 19), (Kind::Int32, 10)];
const DECIMAL_DIGITS: u8 = 38;
/// So many digits after the point leave room for those of ±2^53 before it.
const PLAIN_SCALE_MAX: u8 = DECIMAL_DIGITS - 16;
/// Digits after the point beyond those that are needed, where there is room.
const ROOM: u8 = 6;

/// Values that the columns of their fields do not hold, as the extra column of some rows has them. Memory is bounded by the
/// number of columns.
#[derive(Debug)]
pub struct Conflicts {
    dates: DateRange,
    found: BTreeMap<Vec<String>, Conflict>,
}

/// The values of one field that its column does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The keys that lead to it; positions in arrays are left out.
    pub keys: Vec<String>,
    /// What the column, its part or its elements hold.
    pub kind: Kind,
    /// The BSON types of the values.
    pub types: BTreeSet<&'static str>,
    /// The number of the first row that has one.
    pub row: usize,
    /// Kinds that hold what the column does, and so far all of these values.
    wider: Vec<Kind>,
}

/// A kind that holds more than another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wider {
    /// The kind.
    pub kind: Kind,
    /// Whether the column can only become one where it has no numbers but plain ones: finite, below 2^53, and of at least
    /// 0.00001 where they are not 0. Others would be rounded, or written in another way than Zenith writes them.
    pub of_plain_numbers: bool,
}

impl Conflicts {
    /// Of no rows yet.
    #[must_use]
    pub fn new(dates: DateRange) -> Conflicts {
        Conflicts { dates, found: BTreeMap::new() }
    }

    /// Counts the values of one row, by what its extra column has.
    ///
    /// # Errors
    ///
    /// [`JsonError`] where the text is not an overlay.
    pub fn add(&mut self, schema: &Schema, extra: &str, row: usize) -> Result<(), JsonError> {
        let json = Json::parse(extra)?;
        let Some(container) = Container::of(&json)? else { return Ok(()) };
        self.fields(&schema.fields, container, &mut Vec::new(), row)
    }

    /// All of them, by their keys.
    pub fn found(&self) -> impl Iterator<Item = &Conflict> {
        self.found.values()
    }

    fn fields(
        &mut self,
        fields: &[Field],
        container: Container<'_, '_>,
        keys: &mut Vec<String>,
        row: usize,
    ) -> Result<(), JsonError> {
        for (key, json) in container.pairs() {
            let Some(field) = fields.iter().find(|field| field.name == key) else { continue };
            keys.push(key.to_owned());
            self.value(field, &field.kind, json, keys, row)?;
            keys.pop();
        }
        Ok(())
    }

    fn value(
        &mut self,
        field: &Field,
        kind: &Kind,
        json: &Json<'_>,
        keys: &mut Vec<String>,
        row: usize,
    ) -> Result<(), JsonError> {
        match kind {
            Kind::Document(fields) => match Container::of(json)? {
                Some(container) => self.fields(fields, container, keys, row),
                None => self.note(field, kind, json, keys, row),
            },
            // Parts that it would not give back as they were.
            Kind::Json | Kind::Map(_) if Container::of(json)?.is_some() => Ok(()),
            Kind::Array(element) => match json.get(ELEMENTS_KEY) {
                Some(Json::Object(elements)) => {
                    elements.iter().try_for_each(|(_, json)| self.value(field, element, json, keys, row))
                }
                // A value alone shows as a list of one.
                _ if self.is_held(element, json)? => Ok(()),
                _ => self.note(field, kind, json, keys, row),
            },
            _ => self.note(field, kind, json, keys, row),
        }
    }

    fn is_held(&self, kind: &Kind, json: &Json<'_>) -> Result<bool, JsonError> {
        Ok(match kind {
            Kind::Document(_) | Kind::Map(_) | Kind::Json => Container::of(json)?.is_some(),
            Kind::Array(_) => false,
            kind => with_raw(to_bson(json)?, |value| fits_leaf(kind, value, self.dates)).unwrap_or(true),
        })
    }

    fn note(
        &mut self,
        field: &Field,
        kind: &Kind,
        json: &Json<'_>,
        keys: &[String],
        row: usize,
    ) -> Result<(), JsonError> {
        let value = to_bson(json)?;
        if matches!(value, Bson::Null) {
            return Ok(());
        }
        let conflict = self.found.entry(keys.to_vec()).or_insert_with(|| Conflict {
            keys: keys.to_vec(),
            kind: kind.clone(),
            types: BTreeSet::new(),
            row,
            wider: wider_than(field, kind),
        });
        let dates = self.dates;
        // What has just been read is BSON.
        let _ = with_raw(value, |value| {
            conflict.types.insert(tag::name(value.tag));
            conflict.wider.retain(|kind| fits_leaf(kind, value, dates));
        });
        Ok(())
    }
}

impl Conflict {
    /// Its keys, with dots between them.
    #[must_use]
    pub fn path(&self) -> String {
        self.keys.join(".")
    }

    /// Kinds that hold the values and what the column holds, the best one first.
    #[must_use]
    pub fn wider(&self) -> Vec<Wider> {
        let (decimals, others): (Vec<&Kind>, Vec<&Kind>) =
            self.wider.iter().partition(|kind| matches!(kind, Kind::Decimal { .. }));
        // The one of the fewest digits after the point that do, and some more.
        let scale = |kind: &&Kind| if let Kind::Decimal { scale } = kind { *scale } else { 0 };
        let least = decimals.iter().map(scale).min();
        let decimal = least.and_then(|least| {
            let roomy = decimals.iter().filter(|kind| scale(kind) <= least.saturating_add(ROOM));
            roomy.max_by_key(|kind| scale(kind)).copied()
        });
        let (texts, mut kinds): (Vec<&Kind>, Vec<&Kind>) =
            others.into_iter().partition(|kind| matches!(kind, Kind::Text { .. }));
        let has_decimals = self.types.contains(tag::name(tag::DECIMAL128));
        let integers = kinds.iter().take_while(|kind| matches!(kind, Kind::Int64)).count();
        // Doubles before decimals, unless the values say otherwise, and integers before both.
        let at = if has_decimals { integers } else { kinds.len() };
        decimal.into_iter().for_each(|decimal| kinds.insert(at, decimal));
        let of_plain = |kind: &Kind| {
            matches!(
                (&self.kind, kind),
                (Kind::Int64, Kind::Double) | (Kind::Decimal { .. }, _) | (Kind::Double, Kind::Text { .. })
            )
        };
        let kinds = kinds.into_iter().chain(texts);
        kinds.map(|kind| Wider { kind: kind.clone(), of_plain_numbers: of_plain(kind) }).collect()
    }

    /// The schema in which its field has another kind.
    #[must_use]
    pub fn with_kind(&self, schema: &Schema, kind: &Kind) -> Schema {
        let mut schema = schema.clone();
        set(&mut schema.fields, &self.keys, kind);
        schema
    }
}

fn set(fields: &mut [Field], keys: &[String], kind: &Kind) {
    let Some((first, rest)) = keys.split_first() else { return };
    if let Some(field) = fields.iter_mut().find(|field| field.name == *first) {
        set_kind(&mut field.kind, rest, kind);
    }
}

fn set_kind(there: &mut Kind, keys: &[String], kind: &Kind) {
    match there {
        Kind::Document(fields) => set(fields, keys, kind),
        Kind::Array(element) => set_kind(element, keys, kind),
        leaf if keys.is_empty() => *leaf = kind.clone(),
        _ => {}
    }
}

/// The kinds that hold all that a column of a kind does, and that its values can become as Zenith would have written them.
fn wider_than(field: &Field, kind: &Kind) -> Vec<Kind> {
    // A type that somebody has chosen stays, and beside a twin there is a place for all values; elements have none.
    let has_twin = field.twin.is_some() && std::ptr::eq(kind, &raw const field.kind);
    if field.given.is_some() || has_twin {
        return Vec::new();
    }
    let mut kinds = match kind {
        Kind::Int32 => vec![Kind::Int64, Kind::Double],
        Kind::Int64 => vec![Kind::Double],
        _ => Vec::new(),
    };
    let scales = match kind {
        Kind::Decimal { scale } => scale.saturating_add(1)..=PLAIN_SCALE_MAX,
        kind => {
            let digits =
                DIGITS.iter().find(|(known, _)| known == kind).map_or(DECIMAL_DIGITS, |(_, digits)| *digits);
            1..=DECIMAL_DIGITS - digits
        }
    };
    kinds.extend(scales.map(|scale| Kind::Decimal { scale }));
    let usual = match kind {
        Kind::Int32 | Kind::Int64 | Kind::Double | Kind::Decimal { .. } => Some(TextType::Number),
        Kind::Bool => Some(TextType::Bool),
        Kind::Uuid(UuidOrder::Standard) => Some(TextType::Uuid),
        Kind::ObjectId => Some(TextType::ObjectId),
        Kind::String | Kind::Category => Some(TextType::String),
        _ => None,
    };
    // Of a column that is never NULL nobody could tell the default from a value.
    kinds.extend(usual.filter(|_| !field.required).map(|usual| Kind::Text { usual }));
    kinds
}

/// A value as it is in a document.
fn with_raw<V>(value: Bson, with: impl FnOnce(RawValue<'_>) -> V) -> Option<V> {
    let document = doc! { "v": value }.to_vec().ok()?;
    let element = Elements::new(&document).ok()?.next()?.ok()?;
    Some(with(element.value))
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::*;
    use crate::infer::{InferOptions, infer};

    fn conflicts(schema: &Schema, extra: &[&str]) -> Vec<Conflict> {
        let mut found = Conflicts::new(DateRange::WIDE);
        extra.iter().enumerate().for_each(|(row, text)| found.add(schema, text, row).unwrap());
        found.found().cloned().collect()
    }

    fn kinds(kind: Kind, values: &[&str]) -> Vec<(Kind, bool)> {
        let schema = Schema::new(vec![Field::new("_id", Kind::Int64), Field::new("v", kind)]);
        let values: Vec<String> = values.iter().map(|value| format!("{{\"v\":{value}}}")).collect();
        let found = conflicts(&schema, &values.iter().map(String::as_str).collect::<Vec<_>>());
        let wider = found.first().map(Conflict::wider).unwrap_or_default();
        wider.into_iter().map(|wider| (wider.kind, wider.of_plain_numbers)).collect()
    }

    #[test]
    fn numbers_become_wider_numbers_before_they_become_text() {
        let text = |usual| Kind::Text { usual };
        let number = text(TextType::Number);
        let (long, double) = (r#"{"$numberLong":"5000000000"}"#, r#"{"$numberDouble":"2.5"}"#);
        let decimal = |scale| Kind::Decimal { scale };
        assert_eq!(
            kinds(Kind::Int32, &[long]),
            [(Kind::Int64, false), (Kind::Double, false), (decimal(7), false), (number.clone(), false)]
        );
        let from_long = [(Kind::Double, true), (decimal(7), false), (number.clone(), false)];
        assert_eq!(kinds(Kind::Int64, &[double]), from_long);
        assert_eq!(kinds(Kind::Int64, &["null"]), []);
        let money = r#"{"$numberDecimal":"19.99"}"#;
        assert_eq!(
            kinds(Kind::Int64, &[double, money]),
            [(decimal(8), false), (Kind::Double, true), (number.clone(), false)]
        );
        assert_eq!(kinds(Kind::Int64, &[double, "\"x\""]), [(number.clone(), false)]);
        assert_eq!(kinds(Kind::Double, &["\"x\""]), [(number.clone(), true)]);
        assert_eq!(
            kinds(decimal(2), &[r#"{"$numberDecimal":"0.125"}"#]),
            [(decimal(9), true), (number, true)]
        );
    }

    #[test]
    fn what_clickhouse_writes_like_zenith_becomes_text() {
        let text = |usual| vec![(Kind::Text { usual }, false)];
        let number = r#"{"$numberInt":"5"}"#;
        assert_eq!(kinds(Kind::Bool, &[number]), text(TextType::Bool));
        assert_eq!(kinds(Kind::String, &[number, r#"{"a":true}"#]), text(TextType::String));
        assert_eq!(kinds(Kind::ObjectId, &["\"x\""]), text(TextType::ObjectId));
        assert_eq!(kinds(Kind::Uuid(UuidOrder::Standard), &["\"x\""]), text(TextType::Uuid));
        let array = Kind::Array(Box::new(Kind::Int64));
        for kind in [Kind::Date, Kind::Timestamp, Kind::ObjectIdFixed, Kind::Document(Vec::new()), array] {
            assert_eq!(kinds(kind, &["\"x\""]), []);
        }
    }

    #[test]
    fn chosen_types_and_columns_that_are_never_null_stay() {
        let given = crate::GivenType { name: "UInt8".to_owned(), limit: None };
        let of = |field| {
            let schema = Schema::new(vec![field]);
            conflicts(&schema, &[r#"{"v":"x"}"#]).first().map(Conflict::wider)
        };
        let field = Field::new("v", Kind::Int64);
        assert_eq!(of(Field { given: Some(given), ..field.clone() }), Some(Vec::new()));
        assert_eq!(of(field.clone().required()), Some(Vec::new()));
        let twin = Some(crate::Twin { name: "v_text".to_owned(), usual: TextType::String });
        assert_eq!(of(Field { twin: twin.clone(), ..field }), Some(Vec::new()));
        // The elements of an array have no twin.
        let array = Field { twin, ..Field::new("v", Kind::Array(Box::new(Kind::Bool))) };
        let found = conflicts(&Schema::new(vec![array]), &[r#"{"v":{"$elements":{"0":"x"}}}"#]);
        assert_eq!(found[0].wider().len(), 1);
    }

    #[test]
    fn parts_and_elements_are_found_by_their_keys() {
        let document =
            rawdoc! { "_id": 1, "customer": { "age": 7 }, "items": [{ "price": 3 }], "sizes": [1], "n": 1 };
        let schema = infer([document.as_bytes()], &InferOptions::default()).schema;
        let texts = [
            r#"{"n":"x","customer":{"age":"x","new":1}}"#,
            r#"{"items":{"$elements":{"1":{"price":{"$numberDouble":"2.5"}}}},"sizes":{"$elements":{"0":true}}}"#,
            // A list of one, a value in place of a list, and one in place of a document.
            r#"{"sizes":{"$numberInt":"3"}}"#,
            r#"{"items":"none","customer":"nobody"}"#,
        ];
        let found = conflicts(&schema, &texts);
        let paths: Vec<(String, usize)> = found.iter().map(|found| (found.path(), found.row)).collect();
        let expected =
            [("customer", 3), ("customer.age", 0), ("items", 3), ("items.price", 1), ("n", 0), ("sizes", 1)];
        assert_eq!(paths, expected.map(|(path, row)| (path.to_owned(), row)));
        let price = found.iter().find(|found| found.path() == "items.price").unwrap();
        assert_eq!((&price.kind, price.wider()[0].kind.clone()), (&Kind::Int64, Kind::Double));
        let wide =
            rawdoc! { "_id": 1, "customer": { "age": 7 }, "items": [{ "price": 3.5 }], "sizes": [1], "n": 1 };
        let expected = infer([wide.as_bytes()], &InferOptions::default()).schema;
        assert_eq!(price.with_kind(&schema, &Kind::Double), expected);
        let sizes = found.iter().find(|found| found.path() == "sizes").unwrap();
        let widened = sizes.with_kind(&schema, &sizes.wider()[0].kind);
        assert_eq!(widened.fields[3].kind, Kind::Array(Box::new(Kind::Text { usual: TextType::Number })));
        assert!(
            found
                .iter()
                .filter(|found| ["customer", "items"].contains(&&*found.path()))
                .all(|found| found.wider().is_empty())
        );
    }
}
