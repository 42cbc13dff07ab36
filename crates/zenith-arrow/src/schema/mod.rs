//! The schema of a collection: which column each field has, and of what kind.
//!
//! It is made by [`infer`](mod@crate::infer) from a sample, gives the Arrow schema the decoder fills, and is
//! what [`rebuild`](crate::rebuild()) needs to turn rows back into documents. It says nothing of DDL.

mod arrow;
mod flat;
mod given;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use given::{GivenType, Limit};

/// Name of the column that holds the values that no other column can.
pub const EXTRA_COLUMN: &str = "_zenith_extra";
/// Name of the column that distinguishes missing, null and empty values, and the types of texts.
pub const NOTES_COLUMN: &str = "_zenith_notes";
/// Key of a document's identity, whose column is the sorting key and never null.
pub const ID_KEY: &str = "_id";
/// Key under which the extra column keeps earlier values of repeated keys, in order.
pub const DUPLICATES_KEY: &str = "$duplicates";
/// The note on an empty array of a field that has no column.
pub const EMPTY_ARRAY: &str = "[]";
/// The note on an empty document of a field that has no column.
pub const EMPTY_DOCUMENT: &str = "{}";
/// Key under which the extra and the notes column address the elements of an array, by their position.
pub const ELEMENTS_KEY: &str = "$elements";
/// Field metadata key of strings that repeat so much that the target should keep a dictionary of them.
pub const CATEGORY_METADATA_KEY: &str = "zenith.category";
/// Field metadata key of the BSON type that a column was made for.
pub const BSON_METADATA_KEY: &str = "zenith.bson";
/// Field metadata key of the type that a column is given, where it is not that of its kind.
pub const TYPE_METADATA_KEY: &str = "zenith.type";

/// The columns of a collection, `_id` first; the extra and the notes column are implied and come last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// One field per key of the documents.
    pub fields: Vec<Field>,
    /// Whether an explicit `null` is distinguished from a missing field.
    pub keep_nulls: bool,
    /// The dates that a date column holds.
    #[serde(default)]
    pub dates: DateRange,
    /// Whether what is decoded are not documents, but documents that have these as their value of
    /// [`WHOLE_KEY`](crate::WHOLE_KEY).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub whole: bool,
}

impl Schema {
    /// A schema in which null and missing are the same, and dates are those of every server.
    #[must_use]
    pub fn new(fields: Vec<Field>) -> Schema {
        Schema { fields, keep_nulls: false, dates: DateRange::default(), whole: false }
    }

    /// Texts that are kept in another form, and have to be read as texts: names of columns, and of parts of columns with dots
    /// between them and no mark for the elements of arrays.
    #[must_use]
    pub fn texts_in_other_forms(&self) -> Vec<String> {
        let mut texts = Vec::new();
        self.columns().for_each(|column| texts_of(column, "", &mut texts));
        texts
    }
}

fn texts_of(field: &Field, parent: &str, texts: &mut Vec<String>) {
    let name = format!("{parent}{}", field.column_name());
    let parts = format!("{name}.");
    field.kind.parts().iter().for_each(|part| texts_of(part, &parts, texts));
    let value = if let Kind::Map(value) = &field.kind { value } else { field };
    if value.limit().is_some_and(Limit::is_of_texts) {
        texts.push(name);
    }
}

/// The dates that a date column holds, as milliseconds since 1970-01-01 UTC, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DateRange {
    /// The first one.
    pub first_ms: i64,
    /// The last one.
    pub last_ms: i64,
}

impl DateRange {
    /// 0001-01-01 to 9999-12-31: what servers of today hold.
    pub const WIDE: DateRange = DateRange { first_ms: -62_135_596_800_000, last_ms: 253_402_300_799_999 };

    /// Whether a date is in the range.
    #[inline]
    #[must_use]
    pub fn holds(self, ms: i64) -> bool {
        (self.first_ms..=self.last_ms).contains(&ms)
    }
}

impl Default for DateRange {
    /// 1900-01-01 to 2299-12-31: what every server holds.
    fn default() -> DateRange {
        DateRange { first_ms: -2_208_988_800_000, last_ms: 10_413_791_999_999 }
    }
}

/// One key of a document and the column it goes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "SavedField")]
pub struct Field {
    /// The key in the document, which is also the name of the column or tuple element, unless that has one of its own.
    pub name: String,
    /// The name of the column, where it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// What the column holds.
    pub kind: Kind,
    /// What a blank in the column means where the notes column says nothing of it.
    pub blank: Blank,
    /// The twin column: text, for values that the column does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub twin: Option<Twin>,
    /// Whether the column is never NULL: where the document has no value for it, it shows the default of its type, and the
    /// notes column says so.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// The type that the column is given; by default that of its kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given: Option<GivenType>,
    /// Of a document whose parts are columns of their own, what stands between its name and theirs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flat: Option<String>,
}

impl Field {
    /// A field without a twin, whose blanks mean what they mean where nothing is known of them.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: Kind) -> Field {
        Field {
            name: name.into(),
            column: None,
            kind,
            blank: Blank::Missing,
            twin: None,
            required: false,
            given: None,
            flat: None,
        }
    }

    /// The name of the column.
    #[must_use]
    pub fn column_name(&self) -> &str {
        self.column.as_deref().unwrap_or(&self.name)
    }

    /// Which of the values of its kind the column holds, where it does not hold them all.
    #[must_use]
    pub fn limit(&self) -> Option<&Limit> {
        self.given.as_ref()?.limit.as_ref()
    }

    /// What the column holds, if it shows what texts say: numbers, dates or bools of a type that was given.
    #[must_use]
    pub fn cast(&self) -> Option<&Kind> {
        let is_cast = matches!(
            self.kind,
            Kind::Int32 | Kind::Int64 | Kind::Double | Kind::Decimal { .. } | Kind::Bool | Kind::Date
        );
        self.given.as_ref().filter(|_| is_cast).map(|_| &self.kind)
    }

    /// The same as a column that is never NULL, if its kind can be: documents, arrays and `JSON` show nothing in their own
    /// way.
    ///
    /// It has no twin: beside a text there, nobody could tell the default in the column from a value. Strings among others
    /// become a column of text, which shows them all.
    #[must_use]
    pub fn required(self) -> Field {
        match (self.kind, self.twin) {
            (kind, twin) if kind.is_never_null() => Field { kind, twin, ..self },
            (Kind::String | Kind::Category, Some(_)) => {
                Field { kind: Kind::Text { usual: TextType::String }, twin: None, required: true, ..self }
            }
            (kind, _) => Field { kind, twin: None, required: true, ..self },
        }
    }
}

/// A field as the state stores it. Those of version 0.1 say nothing of blanks: theirs were noted in the extra column,
/// except those of empty arrays.
#[derive(Deserialize)]
struct SavedField {
    name: String,
    column: Option<String>,
    kind: Kind,
    blank: Option<Blank>,
    twin: Option<Twin>,
    #[serde(default)]
    required: bool,
    given: Option<GivenType>,
    flat: Option<String>,
}

impl From<SavedField> for Field {
    fn from(saved: SavedField) -> Field {
        let before = if matches!(saved.kind, Kind::Array(_)) { Blank::Empty } else { Blank::Missing };
        let SavedField { name, column, kind, blank, twin, required, given, flat } = saved;
        Field { blank: blank.unwrap_or(before), name, column, kind, twin, required, given, flat }
    }
}

/// What a field is that shows nothing: `NULL`, `[]`, `{}`, or a tuple of such.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blank {
    /// The document has no such key.
    #[default]
    Missing,
    /// The value is null.
    Null,
    /// The value is an empty array, or a document without any value that a column shows.
    Empty,
}

impl Blank {
    /// As the notes column has it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Blank::Missing => "missing",
            Blank::Null => "null",
            Blank::Empty => "empty",
        }
    }

    /// Whether a field in the state `self` shows as one of the state `usual` is taken to be.
    #[must_use]
    pub fn is_as(self, usual: Blank, keep_nulls: bool) -> bool {
        self == usual || !keep_nulls && self != Blank::Empty && usual != Blank::Empty
    }
}

/// A twin column: nullable text, which shows the values that the typed column does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Twin {
    /// Its name.
    pub name: String,
    /// The type of its texts where the notes column says nothing of it.
    pub usual: TextType,
}

/// What the text of a value was made from. Each has a text of its own, and each text of a type stands for one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TextType {
    /// A string or symbol, as it is.
    String,
    /// Any number, in plain decimal.
    Number,
    /// `true` or `false`.
    Bool,
    /// A date, as ISO 8601.
    Date,
    /// An ObjectId, as 24 hex digits.
    ObjectId,
    /// A UUID of subtype 4, in its usual form.
    Uuid,
    /// A document, as relaxed Extended JSON.
    Object,
    /// An array, as relaxed Extended JSON.
    Array,
    /// Any other value, as canonical Extended JSON.
    Other,
}

impl TextType {
    /// All of them.
    pub const ALL: [TextType; 9] = [
        TextType::String,
        TextType::Number,
        TextType::Bool,
        TextType::Date,
        TextType::ObjectId,
        TextType::Uuid,
        TextType::Object,
        TextType::Array,
        TextType::Other,
    ];

    /// As the notes column has it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            TextType::String => "string",
            TextType::Number => "number",
            TextType::Bool => "bool",
            TextType::Date => "date",
            TextType::ObjectId => "objectId",
            TextType::Uuid => "uuid",
            TextType::Object => "object",
            TextType::Array => "array",
            TextType::Other => "other",
        }
    }

    /// The type that [`TextType::word`] names.
    #[must_use]
    pub fn of_word(word: &str) -> Option<TextType> {
        TextType::ALL.into_iter().find(|text_type| text_type.word() == word)
    }
}

/// What a column holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// ObjectId as 24 lower-case hex digits.
    ObjectId,
    /// ObjectId as its 12 bytes.
    ObjectIdFixed,
    /// The `_id` of a collection with several types of `_id`: strings as they are, ObjectIds as hex,
    /// anything else as canonical Extended JSON.
    MixedId,
    /// Boolean.
    Bool,
    /// 32-bit integer; wider integers and integral doubles that fit are taken in as well.
    Int32,
    /// 64-bit integer; integral doubles that fit are taken in as well.
    Int64,
    /// 64-bit float; integers that it holds exactly are taken in as well.
    Double,
    /// Decimal with 38 digits, `scale` of them after the point; integers that fit are taken in as well.
    Decimal {
        /// Digits after the point, 0 to 38.
        scale: u8,
    },
    /// Decimal128 as its exact text.
    DecimalText,
    /// UTF-8 string or symbol.
    String,
    /// String or symbol whose values repeat: stored with a dictionary where the target has that.
    Category,
    /// Milliseconds since 1970-01-01 UTC, within the [`DateRange`] of the schema.
    Date,
    /// BSON timestamp, seconds in the upper and increment in the lower 32 bits.
    Timestamp,
    /// 16-byte UUID of one binary subtype.
    Uuid(UuidOrder),
    /// Bytes of one binary subtype.
    Binary {
        /// The BSON binary subtype; values of another one go to the extra column.
        subtype: u8,
    },
    /// Embedded document with known keys.
    Document(Vec<Field>),
    /// Array whose elements are all of one kind.
    Array(Box<Kind>),
    /// Embedded document whose keys are data, and whose values are all of one type that somebody has given it. The field
    /// says what the values are; where it is not required, they may be NULL.
    Map(Box<Field>),
    /// Embedded document with unbounded keys, as JSON text.
    Json,
    /// Values of several types, each as its text.
    Text {
        /// The type of a text where the notes column says nothing of it.
        usual: TextType,
    },
}

/// How the 16 bytes of a UUID are ordered in BSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UuidOrder {
    /// Subtype 4: most significant byte first.
    #[default]
    Standard,
    /// Subtype 3 as older Python drivers wrote it: the same order as subtype 4.
    PythonLegacy,
    /// Subtype 3 as older Java drivers wrote it: each half reversed.
    JavaLegacy,
    /// Subtype 3 as older C# drivers wrote it: the first three groups reversed.
    CSharpLegacy,
}

impl UuidOrder {
    /// The binary subtype values of this order carry.
    #[must_use]
    pub const fn subtype(self) -> u8 {
        match self {
            UuidOrder::Standard => 4,
            UuidOrder::PythonLegacy | UuidOrder::JavaLegacy | UuidOrder::CSharpLegacy => 3,
        }
    }

    /// Turns BSON bytes into standard order; applied twice it is the identity.
    #[must_use]
    pub fn reorder(self, mut bytes: [u8; 16]) -> [u8; 16] {
        match self {
            UuidOrder::Standard | UuidOrder::PythonLegacy => {}
            UuidOrder::JavaLegacy => {
                bytes[..8].reverse();
                bytes[8..].reverse();
            }
            UuidOrder::CSharpLegacy => {
                bytes[..4].reverse();
                bytes[4..6].reverse();
                bytes[6..8].reverse();
            }
        }
        bytes
    }
}

impl Kind {
    /// The fields of documents of this kind, or of documents that are elements of it.
    #[must_use]
    pub fn parts(&self) -> &[Field] {
        match self {
            Kind::Document(fields) => fields,
            Kind::Array(element) => element.parts(),
            _ => &[],
        }
    }

    /// Whether it is made of columns of other kinds.
    pub(crate) fn has_parts(&self) -> bool {
        matches!(self, Kind::Document(_) | Kind::Array(_) | Kind::Map(_))
    }

    /// Whether its columns show nothing in their own way, and are never NULL.
    #[must_use]
    pub fn is_never_null(&self) -> bool {
        self.has_parts() || *self == Kind::Json
    }

    /// Number of leaf columns.
    #[must_use]
    pub fn leaves(&self) -> usize {
        match self {
            Kind::Map(_) => 2,
            Kind::Document(fields) => fields.iter().map(Field::leaves).sum(),
            Kind::Array(element) => element.leaves(),
            _ => 1,
        }
    }
}

impl Field {
    /// Number of leaf columns, the twin among them.
    #[must_use]
    pub fn leaves(&self) -> usize {
        self.kind.leaves() + usize::from(self.twin.is_some())
    }
}

impl fmt::Display for Kind {
    /// The name of the BSON type, as `zenith copy --dry-run` shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::ObjectId | Kind::ObjectIdFixed => f.write_str("objectId"),
            Kind::MixedId => f.write_str("mixed"),
            Kind::Bool => f.write_str("bool"),
            Kind::Int32 => f.write_str("int"),
            Kind::Int64 => f.write_str("long"),
            Kind::Double => f.write_str("double"),
            Kind::Decimal { .. } | Kind::DecimalText => f.write_str("decimal"),
            Kind::String | Kind::Category => f.write_str("string"),
            Kind::Date => f.write_str("date"),
            Kind::Timestamp => f.write_str("timestamp"),
            Kind::Uuid(order) => write!(f, "binary({})", order.subtype()),
            Kind::Binary { subtype } => write!(f, "binary({subtype})"),
            Kind::Document(fields) => write!(f, "object({} keys)", fields.len()),
            Kind::Array(element) => write!(f, "array of {element}"),
            Kind::Map(value) => write!(f, "map of {}", value.kind),
            Kind::Json => f.write_str("object(unbounded keys)"),
            Kind::Text { .. } => f.write_str("several types"),
        }
    }
}
