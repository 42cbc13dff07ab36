//! A table that is there steers what is inferred: a column keeps its type while nearly all values fit it, so that the
//! types of a table do not change from one copy to the next with every odd value.

use zenith_arrow::infer::share_held;
use zenith_arrow::schema::TextType;
use zenith_arrow::{DateRange, Field, Kind, Schema, Twin, UuidOrder};
use zenith_transport::TableInfo;
use zenith_transport::ddl::{Dialect, column_type};

use super::difference::same_values;

/// The share of a field's values that has to fit the column there is for it to keep its type.
const HELD_LEAST: f64 = 0.95;
/// The most digits after the point.
const SCALE_MAX: u8 = 38;

/// What the columns of a table are held against.
pub(super) struct Steering<'a> {
    pub(super) table: &'a TableInfo,
    pub(super) dialect: Dialect,
    pub(super) sample: &'a [&'a [u8]],
    pub(super) dates: DateRange,
    /// The table may get other columns: then numbers get one that holds them all.
    pub(super) replace: bool,
    /// Columns keep their types only where they hold everything.
    pub(super) exact: bool,
}

/// Gives fields the kind of the column that the table has for them, where nearly all of the sample fits it.
pub(super) fn steer(schema: &mut Schema, steering: &Steering<'_>) {
    let others: Vec<String> = schema.fields.iter().map(|field| field.name.clone()).collect();
    for field in &mut schema.fields {
        let Some(there) = steering.column(&field.name) else { continue };
        let is_key = field.name == "_id";
        if !steering.is_of(field, there)
            && let Some(kind) =
                candidates(field, is_key).find(|kind| steering.keeps(field, kind, there, is_key))
        {
            field.kind = kind;
        }
        if !is_key && steering.is_of(field, there) {
            steering.steer_twin(field, &others);
        }
    }
}

impl Steering<'_> {
    /// The type of the table's column of this name.
    fn column(&self, name: &str) -> Option<&str> {
        self.table.columns.iter().find(|there| there.name == *name).map(|there| there.data_type.as_str())
    }

    fn is_of(&self, field: &Field, there: &str) -> bool {
        let arrow = Schema::new(vec![Field { twin: None, ..field.clone() }]).to_arrow();
        let wanted = arrow.fields().first().map(|arrow| column_type(arrow, self.dialect));
        wanted.is_some_and(|wanted| wanted.is_ok_and(|wanted| same_values(there, &wanted)))
    }

    /// Whether the table's column is of this kind and goes on being so.
    fn keeps(&self, field: &Field, kind: &Kind, there: &str, is_key: bool) -> bool {
        if !self.is_of(&Field { kind: kind.clone(), ..field.clone() }, there) {
            return false;
        }
        let held = share_held(self.sample.iter().copied(), &field.name, kind, self.dates);
        let all = is_key || self.exact || self.replace && is_number(kind) && is_number(&field.kind);
        held >= if all { 1.0 } else { HELD_LEAST }
    }

    /// A column without a twin keeps doing without one, and one with a twin keeps it.
    fn steer_twin(&self, field: &mut Field, others: &[String]) {
        match &field.twin {
            // A column of text shows what its values have been text for so far.
            Some(twin) if self.column(&twin.name).is_none() && field.kind == Kind::String => {
                field.kind = Kind::Text { usual: TextType::String };
                field.twin = None;
            }
            Some(twin) if self.column(&twin.name).is_none() => {
                let held = share_held(self.sample.iter().copied(), &field.name, &field.kind, self.dates);
                if held >= if self.exact { 1.0 } else { HELD_LEAST } {
                    field.twin = None;
                }
            }
            None => {
                let name = format!("{}_text", field.name);
                let is_twin = self.column(&name).is_some_and(|there| same_values(there, "Nullable(String)"));
                if is_twin && !others.contains(&name) {
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

/// Kinds that the column of a field may have had before.
fn candidates(field: &Field, is_key: bool) -> Box<dyn Iterator<Item = Kind>> {
    if is_key {
        return Box::new([Kind::Double, Kind::MixedId].into_iter());
    }
    match &field.kind {
        Kind::Document(_) => {
            let widened = [to_long as fn(&mut Kind), to_double].map(|widen| {
                let mut kind = field.kind.clone();
                each_leaf(&mut kind, widen);
                kind
            });
            Box::new(widened.into_iter().chain([Kind::Json, Kind::Text { usual: TextType::Object }]))
        }
        Kind::Array(element) => {
            let usual = text_type(element);
            Box::new(
                scalars(usual)
                    .map(|kind| Kind::Array(Box::new(kind)))
                    .chain([Kind::Text { usual: TextType::Array }]),
            )
        }
        kind => Box::new(scalars(text_type(kind))),
    }
}

/// Kinds without parts, those that hold more of a type later.
fn scalars(usual: TextType) -> impl Iterator<Item = Kind> {
    let uuids =
        [UuidOrder::Standard, UuidOrder::PythonLegacy, UuidOrder::JavaLegacy, UuidOrder::CSharpLegacy];
    [Kind::Int32, Kind::Int64, Kind::Double]
        .into_iter()
        .chain((0..=SCALE_MAX).map(|scale| Kind::Decimal { scale }))
        .chain([Kind::Bool, Kind::Date, Kind::Timestamp, Kind::ObjectIdFixed])
        .chain(uuids.map(Kind::Uuid))
        .chain([Kind::ObjectId, Kind::DecimalText, Kind::String, Kind::Text { usual }])
}

/// The type of text that values of a kind usually have.
fn text_type(kind: &Kind) -> TextType {
    match kind {
        Kind::Int32 | Kind::Int64 | Kind::Double | Kind::Decimal { .. } | Kind::DecimalText => {
            TextType::Number
        }
        Kind::Bool => TextType::Bool,
        Kind::Date => TextType::Date,
        Kind::ObjectId | Kind::ObjectIdFixed => TextType::ObjectId,
        Kind::Uuid(UuidOrder::Standard) => TextType::Uuid,
        Kind::Document(_) | Kind::Json => TextType::Object,
        Kind::Array(_) => TextType::Array,
        Kind::String | Kind::Category | Kind::MixedId => TextType::String,
        Kind::Text { usual } => *usual,
        Kind::Timestamp | Kind::Uuid(_) | Kind::Binary { .. } => TextType::Other,
    }
}

fn to_long(kind: &mut Kind) {
    if *kind == Kind::Int32 {
        *kind = Kind::Int64;
    }
}

fn to_double(kind: &mut Kind) {
    if matches!(kind, Kind::Int32 | Kind::Int64) {
        *kind = Kind::Double;
    }
}

fn each_leaf(kind: &mut Kind, change: fn(&mut Kind)) {
    match kind {
        Kind::Document(fields) => fields.iter_mut().for_each(|field| each_leaf(&mut field.kind, change)),
        Kind::Array(element) => each_leaf(element, change),
        leaf => change(leaf),
    }
}

#[cfg(test)]
mod tests {
    use bson::{Bson, doc};
    use zenith_transport::ColumnInfo;

    use super::*;

    fn table(columns: &[(&str, &str)]) -> TableInfo {
        TableInfo {
            columns: columns
                .iter()
                .map(|(name, data_type)| ColumnInfo {
                    name: (*name).to_owned(),
                    data_type: (*data_type).to_owned(),
                    default_kind: String::new(),
                })
                .collect(),
            engine: "MergeTree".to_owned(),
            sorting_key: "_id".to_owned(),
            comment: String::new(),
            rows: 0,
            additions: None,
        }
    }

    /// The field `n` of a table with these columns, for documents with these values.
    fn steered(field: Field, columns: &[(&str, &str)], values: &[Bson], replace: bool) -> Field {
        let documents: Vec<Vec<u8>> =
            values.iter().map(|value| doc! { "n": value.clone() }.to_vec().unwrap()).collect();
        let sample: Vec<&[u8]> = documents.iter().map(Vec::as_slice).collect();
        let mut schema = Schema::new(vec![field]);
        let steering = Steering {
            table: &table(columns),
            dialect: Dialect::of_version((26, 7)),
            sample: &sample,
            dates: DateRange::default(),
            replace,
            exact: false,
        };
        steer(&mut schema, &steering);
        schema.fields.remove(0)
    }

    fn kind(kind: Kind, there: &str, values: &[Bson]) -> Kind {
        steered(Field::new("n", kind), &[("n", there)], values, false).kind
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
        let kept = steered(with, &[("n", "Nullable(String)")], &mostly_words, false);
        assert_eq!((kept.kind, kept.twin), (Kind::Text { usual: TextType::String }, None));
        // A table that may get other columns gets one that holds all numbers.
        let replaced = steered(Field::new("n", Kind::Double), &[("n", "Nullable(Int64)")], &halves, true);
        assert_eq!(replaced.kind, Kind::Double);
    }

    #[test]
    fn twins_stay_and_come_as_the_table_has_them() {
        let twin = || Some(Twin { name: "n_text".to_owned(), usual: TextType::String });
        let odd = mostly(1.into(), "x".into());
        let with = Field { twin: twin(), ..Field::new("n", Kind::Int64) };
        assert_eq!(steered(with.clone(), &[("n", "Nullable(Int64)")], &odd, false).twin, None);
        let half: Vec<Bson> = (0..100).map(|n| if n % 2 == 0 { 1.into() } else { "x".into() }).collect();
        assert_eq!(steered(with, &[("n", "Nullable(Int64)")], &half, false).twin, twin());
        let both = [("n", "Nullable(Int64)"), ("n_text", "Nullable(String)")];
        assert_eq!(steered(Field::new("n", Kind::Int64), &both, &[1.into()], false).twin, twin());
    }
}
