//! An existing table decides about what is inferred: a column, and each part of one, keeps its type while nearly all values
//! fit it, so that the types of a table do not change from one copy to the next with every odd value.
//!
//! The walk goes through what is there, what is inferred, and the values of the sample, side by side. Where both are
//! documents, or both arrays, each part is judged for itself; where they are not, the whole is.

use zenith_arrow::infer::{Found, InferOptions};
use zenith_arrow::schema::{ID_KEY, TextType};
use zenith_arrow::{Field, Kind, Schema, Twin, UuidOrder};
use zenith_transport::TableInfo;
use zenith_transport::ddl::{Dialect, TypeParts, column_type, parts, same_values};

use super::given::text_type;

/// The share of a field's values that has to fit what is there for it to keep its type.
const HELD_LEAST: f64 = 0.95;
/// The most digits after the point.
const SCALE_MAX: u8 = 38;

/// What the columns of a table are held against.
pub(super) struct TypeAdoption<'a> {
    pub(super) table: &'a TableInfo,
    pub(super) dialect: Dialect,
    pub(super) sample: &'a [&'a [u8]],
    /// How columns are chosen from it.
    pub(super) options: &'a InferOptions,
    /// The table may get other columns: then numbers get one that holds them all.
    pub(super) replace: bool,
    /// Columns keep their types only where they hold everything.
    pub(super) exact: bool,
    /// Whether the sample is the whole collection: a single odd value in one that is not says nothing of the others.
    pub(super) is_whole: bool,
}

/// Gives fields the kind of the column that the table has for them, where nearly all of the sample fits it.
pub(super) fn adopt_table_types(schema: &mut Schema, adoption: &TypeAdoption<'_>) {
    let columns = adoption.table.columns.iter();
    let there: Vec<_> = columns.map(|there| (there.name.clone(), there.data_type.as_str())).collect();
    let taken: Vec<String> = schema.columns().map(|field| field.column_name().to_owned()).collect();
    let there = Level { there: &there, taken: &taken };
    let found = Found::documents(adoption.sample.iter().copied());
    let kept: Vec<Field> = schema
        .fields
        .iter()
        .map(|field| match field.name.as_str() {
            ID_KEY => adoption.key(field, &there, &found),
            _ => adoption.field(field, &there, &found),
        })
        .collect();
    let mut leaves: usize = schema.fields.iter().map(Field::leaves).sum();
    for (field, kept) in schema.fields.iter_mut().zip(kept) {
        // A document that is one column so that there are not too many stays one.
        let with = leaves - field.leaves() + kept.leaves();
        if with <= leaves.max(adoption.options.leaves_max) {
            (*field, leaves) = (kept, with);
        }
    }
}

/// Whether a column of this type is as it is made for the field.
pub(crate) fn is_column_of(field: &Field, there: &str, dialect: Dialect) -> bool {
    let arrow = Schema::new(vec![Field { twin: None, ..field.clone() }]).to_arrow();
    let wanted = arrow.fields().first().map(|arrow| column_type(arrow, dialect));
    wanted.is_some_and(|wanted| wanted.is_ok_and(|wanted| same_values(there, &wanted)))
}

/// A kind without parts that has this type.
pub(super) fn scalar(there: &str, is_of: &impl Fn(&Kind, &str) -> bool) -> Option<Kind> {
    let text = Kind::Text { usual: TextType::String };
    std::iter::once(text).chain(scalars(TextType::String)).find(|kind| is_of(kind, there))
}

/// The columns of a table, or the elements of a tuple.
struct Level<'a> {
    /// The names and types that are there.
    there: &'a [(String, &'a str)],
    /// The names of the columns as inferred.
    taken: &'a [String],
}

impl Level<'_> {
    fn position(&self, name: &str) -> Option<usize> {
        self.there.iter().position(|(there, _)| there == name)
    }

    /// The type of this name.
    fn column(&self, name: &str) -> Option<&str> {
        self.there.iter().find(|(there, _)| there == name).map(|(_, data_type)| *data_type)
    }
}

impl TypeAdoption<'_> {
    /// A key column holds every key.
    fn key(&self, field: &Field, place: &Level<'_>, found: &Found<'_>) -> Field {
        let is_there = |kind: &Kind| {
            let of = |there| self.is_of(Field::new(ID_KEY, kind.clone()), there);
            place.column(ID_KEY).is_some_and(of)
        };
        let holds_all = |kind: &Kind| found.inside(ID_KEY).share_held(kind, self.options.dates) >= 1.0;
        let mut wider = [Kind::Double, Kind::MixedId].into_iter();
        let kept = match is_there(&field.kind) {
            true => None,
            false => wider.find(|kind| is_there(kind) && holds_all(kind)),
        };
        Field { kind: kept.unwrap_or_else(|| field.kind.clone()), ..field.clone() }
    }

    /// A field as it goes on; `found` are the documents it is in.
    fn field(&self, field: &Field, place: &Level<'_>, found: &Found<'_>) -> Field {
        let mut kept = field.clone();
        if let Some(parts) = kept.flat_parts_mut() {
            let found = found.inside(&field.name);
            parts.iter_mut().for_each(|part| *part = self.field(part, place, &found));
            return kept;
        }
        let Some(there) = place.column(field.column_name()) else { return kept };
        let are_arrays =
            (matches!(kept.kind, Kind::Array(_)), matches!(parts(there), TypeParts::Elements(_)));
        if self.options.flat.is_some() && are_arrays.0 != are_arrays.1 {
            // Whether arrays are arrays or text has been said.
            return kept;
        }
        if !self.is_kind_of(&field.kind, there) {
            kept.kind = self.kind(&field.kind, there, &found.inside(&field.name));
        }
        if self.goes_on(&kept.kind, there) {
            self.adopt_twin(&mut kept, place, found);
        }
        kept
    }

    /// The kind for these values, where this one is inferred and this type is there.
    fn kind(&self, inferred: &Kind, there: &str, found: &Found<'_>) -> Kind {
        if self.is_kind_of(inferred, there) {
            return inferred.clone();
        }
        let kept = match (parts(there), inferred) {
            (TypeParts::Fields(there), Kind::Document(fields)) => {
                return self.document(fields, &there, found);
            }
            (TypeParts::Elements(there), Kind::Array(element)) => {
                let elements = found.elements(!matches!(**element, Kind::Array(_)));
                return Kind::Array(Box::new(self.kind(element, there, &elements)));
            }
            (TypeParts::Fields(fields), _) => {
                let documents = found.only_documents();
                self.inferred_document(&fields, &documents).map(|kind| self.kind(&kind, there, &documents))
            }
            (TypeParts::Elements(_), _) => {
                let arrays = found.only_arrays();
                let kind = arrays.kind(self.options).filter(|kind| matches!(kind, Kind::Array(_)));
                kind.map(|kind| self.kind(&kind, there, &arrays))
            }
            (TypeParts::None | TypeParts::Entries(..), _) => {
                let mut kinds = scalars(text_type(inferred)).filter(|kind| self.is_kind_of(kind, there));
                return kinds
                    .find(|kind| self.holds(kind, inferred, found))
                    .unwrap_or_else(|| inferred.clone());
            }
        };
        kept.filter(|kind| self.holds(kind, inferred, found)).unwrap_or_else(|| inferred.clone())
    }

    /// Each field judged for itself, in the order that is there; new ones come last.
    fn document(&self, fields: &[Field], there: &[(String, &str)], found: &Found<'_>) -> Kind {
        let taken: Vec<String> = fields.iter().map(|field| field.column_name().to_owned()).collect();
        let place = Level { there, taken: &taken };
        let mut kept: Vec<Field> = fields.iter().map(|field| self.field(field, &place, found)).collect();
        kept.sort_by_key(|field| place.position(&field.name).unwrap_or(usize::MAX));
        Kind::Document(kept)
    }

    /// The kind of documents alone. Where their keys are data by now, the fields are those that are there.
    fn inferred_document(&self, there: &[(String, &str)], documents: &Found<'_>) -> Option<Kind> {
        match documents.kind(self.options)? {
            Kind::Json => {
                let field = |(name, _): &(String, &str)| {
                    documents.inside(name).kind(self.options).map(|kind| Field::new(name, kind))
                };
                let fields: Vec<Field> = there.iter().filter_map(field).collect();
                (!fields.is_empty()).then_some(Kind::Document(fields))
            }
            kind => Some(kind).filter(|kind| matches!(kind, Kind::Document(_))),
        }
    }

    fn is_of(&self, field: Field, there: &str) -> bool {
        is_column_of(&field, there, self.dialect)
    }

    /// Whether values of the kind have just this type, in a column or a part of one.
    fn is_kind_of(&self, kind: &Kind, there: &str) -> bool {
        self.is_of(Field::new("value", kind.clone()), there)
    }

    /// Whether a column of this kind is what is there, but for its parts.
    fn goes_on(&self, kind: &Kind, there: &str) -> bool {
        match kind {
            Kind::Document(_) => matches!(parts(there), TypeParts::Fields(_)),
            Kind::Array(_) => matches!(parts(there), TypeParts::Elements(_)),
            leaf => self.is_kind_of(leaf, there),
        }
    }

    /// Whether what is there, of this kind, holds enough to be kept.
    fn holds(&self, kind: &Kind, inferred: &Kind, found: &Found<'_>) -> bool {
        let all = self.exact || self.replace && is_number(kind) && is_number(inferred);
        if all { found.share_held(kind, self.options.dates) >= 1.0 } else { self.holds_most(kind, found) }
    }

    /// Whether nearly all values fit, as far as the sample can tell.
    fn holds_most(&self, kind: &Kind, found: &Found<'_>) -> bool {
        let dates = self.options.dates;
        found.share_held(kind, dates) >= HELD_LEAST || !self.is_whole && found.not_held(kind, dates) <= 1
    }

    /// A column without a twin keeps doing without one, and one with a twin keeps it.
    fn adopt_twin(&self, field: &mut Field, place: &Level<'_>, found: &Found<'_>) {
        match &field.twin {
            // A column of text shows what its values have been text for so far.
            Some(twin)
                if place.column(&twin.name).is_none()
                    && matches!(field.kind, Kind::String | Kind::Category) =>
            {
                field.kind = Kind::Text { usual: TextType::String };
                field.twin = None;
            }
            Some(twin) if place.column(&twin.name).is_none() => {
                let found = found.inside(&field.name);
                let holds = match self.exact {
                    true => found.share_held(&field.kind, self.options.dates) >= 1.0,
                    false => self.holds_most(&field.kind, &found),
                };
                if holds {
                    field.twin = None;
                }
            }
            None => {
                let name = format!("{}_text", field.column_name());
                let is_twin = place.column(&name).is_some_and(|there| same_values(there, "Nullable(String)"));
                if is_twin && !place.taken.contains(&name) {
                    field.twin = Some(Twin { name, usual: TextType::String });
                }
            }
            Some(_) => {}
        }
    }
}

fn is_number(kind: &Kind) -> bool {
    matches!(kind, Kind::Int32 | Kind::Int64 | Kind::Double | Kind::Decimal { .. })
}

/// Kinds that a column without parts may have had before, those that hold more of a type later.
pub(crate) fn scalars(usual: TextType) -> impl Iterator<Item = Kind> {
    let uuids =
        [UuidOrder::Standard, UuidOrder::PythonLegacy, UuidOrder::JavaLegacy, UuidOrder::CSharpLegacy];
    [Kind::Int32, Kind::Int64, Kind::Double]
        .into_iter()
        .chain((0..=SCALE_MAX).map(|scale| Kind::Decimal { scale }))
        .chain([Kind::Bool, Kind::Date, Kind::Timestamp, Kind::ObjectIdFixed])
        .chain(uuids.map(Kind::Uuid))
        .chain([Kind::Json, Kind::ObjectId, Kind::DecimalText, Kind::String, Kind::Text { usual }])
}

#[cfg(test)]
mod tests {
    use bson::{Bson, bson, doc};

    use super::*;

    fn table(columns: &[(&str, &str)]) -> TableInfo {
        TableInfo::of_columns(columns.iter().copied())
    }

    /// The field `n` of a table with these columns, for documents with these values.
    fn adopted(field: Field, columns: &[(&str, &str)], values: &[Bson], replace: bool) -> Field {
        adopted_of(field, columns, values, replace, true)
    }

    fn adopted_of(
        field: Field,
        columns: &[(&str, &str)],
        values: &[Bson],
        replace: bool,
        is_whole: bool,
    ) -> Field {
        let documents: Vec<Vec<u8>> =
            values.iter().map(|value| doc! { "n": value.clone() }.to_vec().unwrap()).collect();
        let sample: Vec<&[u8]> = documents.iter().map(Vec::as_slice).collect();
        let mut schema = Schema::new(vec![field]);
        let adoption = TypeAdoption {
            table: &table(columns),
            dialect: Dialect::of_version((26, 7)),
            sample: &sample,
            options: &InferOptions::default(),
            replace,
            exact: false,
            is_whole,
        };
        adopt_table_types(&mut schema, &adoption);
        schema.fields.remove(0)
    }

    fn kind(kind: Kind, there: &str, values: &[Bson]) -> Kind {
        adopted(Field::new("n", kind), &[("n", there)], values, false).kind
    }

    fn mostly(usual: Bson, odd: Bson) -> Vec<Bson> {
        (0..100).map(|n| if n < 97 { usual.clone() } else { odd.clone() }).collect()
    }

    #[test]
    fn columns_keep_their_types_while_nearly_all_values_fit() {
        let ints = mostly(1.into(), 2.into());
        assert_eq!(kind(Kind::Int64, "Nullable(Float64)", &ints), Kind::Double);
        assert_eq!(kind(Kind::Int64, "Nullable(Int32)", &ints), Kind::Int32);
        assert_eq!(kind(Kind::Int64, "Nullable(String)", &ints), Kind::Text { usual: TextType::Number });
        assert_eq!(kind(Kind::String, "Nullable(Int32)", &mostly("x".into(), "y".into())), Kind::String);
        let halves = mostly(1.into(), 0.5.into());
        assert_eq!(kind(Kind::Double, "Nullable(Int64)", &halves), Kind::Int64);
        let list = Kind::Array(Box::new(Kind::Int64));
        let lists = mostly(vec![1].into(), vec![2].into());
        assert_eq!(kind(list, "Array(Nullable(Float64))", &lists), Kind::Array(Box::new(Kind::Double)));
        // What was text shows everything, and goes on doing so.
        let mostly_words = mostly("x".into(), 1.into());
        let twin = Some(Twin { name: "n_text".to_owned(), usual: TextType::Number });
        let with = Field { twin, ..Field::new("n", Kind::String) };
        let kept = adopted(with, &[("n", "Nullable(String)")], &mostly_words, false);
        assert_eq!((kept.kind, kept.twin), (Kind::Text { usual: TextType::String }, None));
        // A table that may get other columns gets one that holds all numbers.
        let replaced = adopted(Field::new("n", Kind::Double), &[("n", "Nullable(Int64)")], &halves, true);
        assert_eq!(replaced.kind, Kind::Double);
    }

    #[test]
    fn an_odd_value_of_a_rare_field_leaves_its_column_as_it_is() {
        let of = |values: &[Bson], is_whole| {
            let field = Field::new("n", Kind::String);
            adopted_of(field, &[("n", "Nullable(Int64)")], values, false, is_whole).kind
        };
        for values in [&[Bson::from("x")][..], &["x".into(), 1.into()], &["x".into(), 1.into(), 2.into()]] {
            assert_eq!(of(values, false), Kind::Int64, "{values:?}");
            assert_eq!(of(values, true), Kind::String, "{values:?}");
        }
        assert_eq!(of(&["x".into(), "y".into(), 1.into()], false), Kind::String);
    }

    fn document<const N: usize>(fields: [(&str, Kind); N]) -> Kind {
        Kind::Document(fields.into_iter().map(|(name, kind)| Field::new(name, kind)).collect())
    }

    #[test]
    fn parts_of_documents_keep_theirs() {
        let list = |kind| Kind::Array(Box::new(kind));
        let values = |odd: Bson| mostly(bson!({ "a": 1, "b": "x" }), bson!({ "a": odd, "b": "x" }));
        let inferred = || document([("new", Kind::Bool), ("b", Kind::String), ("a", Kind::Double)]);
        // The order is that of the table, and new fields come last.
        let kept = || document([("a", Kind::Int64), ("b", Kind::String), ("new", Kind::Bool)]);
        let tuple = "Tuple(a Nullable(Int64), gone Nullable(Bool), b Nullable(String))";
        assert_eq!(kind(inferred(), tuple, &values(0.5.into())), kept());
        let lists: Vec<Bson> = values(0.5.into()).into_iter().map(|value| bson!([value, null])).collect();
        let array = format!("Array({tuple})");
        assert_eq!(kind(list(inferred()), &array, &lists), list(kept()));
        let deeper: Vec<Bson> = lists.iter().map(|list| bson!({ "l": list })).collect();
        let deep = format!("Tuple(l {array})");
        assert_eq!(
            kind(document([("l", list(inferred()))]), &deep, &deeper),
            document([("l", list(kept()))])
        );
        // Where too many do not fit, the others are kept all the same.
        let many: Vec<Bson> = (0..100).map(|n| bson!({ "a": f64::from(n) / 8.0, "b": "x" })).collect();
        let widened = document([("a", Kind::Double), ("b", Kind::String), ("new", Kind::Bool)]);
        assert_eq!(kind(inferred(), tuple, &many), widened);
    }

    #[test]
    fn kinds_that_change_are_judged_as_a_whole() {
        let tuple = "Tuple(a Nullable(Int64), b Nullable(Bool))";
        let usual = || bson!({ "a": 1, "b": true });
        let text = || Kind::Text { usual: TextType::Object };
        let fields = || document([("a", Kind::Int64), ("b", Kind::Bool)]);
        let few = mostly(usual(), "x".into());
        assert_eq!(kind(text(), tuple, &few), fields());
        let tenth: Vec<Bson> = (0..100).map(|n| if n % 10 == 0 { "x".into() } else { usual() }).collect();
        assert_eq!(kind(text(), tuple, &tenth), text());
        let list = || Kind::Array(Box::new(fields()));
        let lists = mostly(bson!([usual()]), "x".into());
        assert_eq!(kind(text(), &format!("Array({tuple})"), &lists), list());
        assert_eq!(kind(list(), tuple, &lists), list());
        assert_eq!(kind(fields(), &format!("Array({tuple})"), &few), fields());
        // Keys that begin to be data in a few documents.
        let mut odd = doc! { "a": 1 };
        odd.extend((0..300).map(|n| (format!("k{n}"), Bson::from(n))));
        let documents: Vec<Bson> =
            (0..5_000).map(|n| if n == 7 { odd.clone().into() } else { usual() }).collect();
        assert_eq!(kind(Kind::Json, tuple, &documents), fields());
        assert_eq!(kind(Kind::Json, tuple, &documents[..100]), Kind::Json);
        assert_eq!(kind(fields(), "JSON", &documents), Kind::Json);
    }

    #[test]
    fn twins_stay_and_come_as_the_table_has_them() {
        let twin = || Some(Twin { name: "n_text".to_owned(), usual: TextType::String });
        let odd = mostly(1.into(), "x".into());
        let with = Field { twin: twin(), ..Field::new("n", Kind::Int64) };
        assert_eq!(adopted(with.clone(), &[("n", "Nullable(Int64)")], &odd, false).twin, None);
        let half: Vec<Bson> = (0..100).map(|n| if n % 2 == 0 { 1.into() } else { "x".into() }).collect();
        assert_eq!(adopted(with, &[("n", "Nullable(Int64)")], &half, false).twin, twin());
        let both = [("n", "Nullable(Int64)"), ("n_text", "Nullable(String)")];
        assert_eq!(adopted(Field::new("n", Kind::Int64), &both, &[1.into()], false).twin, twin());
    }
}
