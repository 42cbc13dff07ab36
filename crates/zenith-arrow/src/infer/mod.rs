//! A schema for a collection, made from a sample of its documents.
//!
//! First everything in the sample is counted (`census`), then every path gets the column that holds its values
//! (`choose`; `numbers`, `forms` and `keys` for what their names say), then the number of columns is brought within
//! bounds (`limit`). The rules:
//!
//! | values | column |
//! | --- | --- |
//! | int32, int64 | `Int64`; with [`Integers::Narrow`] the wider of those seen |
//! | integers and doubles | the first that holds all: `Double`, `Int64`, `Decimal`; else the one that holds most |
//! | decimals, with or without other numbers | the first that holds all: `Decimal`, `Double`; else the one of these and `Int64` that holds most |
//! | strings and symbols | `String` |
//! | arrays | `Array` of the kind of its elements; none where the sample has no element, or over 16 levels deep |
//! | documents | `Document`, `Json` where the keys are data or over 16 levels deep |
//! | only null, undefined, regular expressions, code, MinKey, … | none |
//!
//! Numbers of all kinds count as one type. Of a field of several types, nulls aside,
//!
//! | values that one type's column holds | column |
//! | --- | --- |
//! | at least 99 % | that one |
//! | more than half | that one, and beside it a twin of text for the values it does not hold |
//! | fewer | text |
//!
//! [`Mixed`] changes the last two rows. Where at least half of the values are arrays, another value of the type of the
//! elements counts as held by the column of arrays. Elements have no twin: text it is where no type has 99 % of them, but
//! for documents and arrays that are more than half. Numbers alone never become text.
//!
//! A `Decimal` has as many digits after the point as the sample needs, and up to 6 more where there is room for as many
//! before the point. A double enters it by its shortest decimal form.
//!
//! Each field records what most documents of the sample have that show nothing in its column ([`Blank`]).
//!
//! A key gets no column where it cannot name one: empty, not UTF-8, starting with `_zenith_`, reserved by the
//! target, or with dots in it while it is not a scalar or stands beside a key that is a part of it.
//! `_id` always comes first, always has a column and neither twin nor text. What no column shows goes to the extra
//! column: nothing is lost, it is only harder to query.
//!
//! [`Blank`]: crate::schema::Blank

mod census;
mod choose;
mod fit;
mod flat;
mod forms;
mod found;
mod keys;
mod limit;
mod numbers;
mod promotable;
mod statistics;
mod widen;

pub use flat::Flat;
pub use found::Found;
pub use promotable::{Promotable, Promoted, Wanted};
pub use statistics::FieldStatistics;
pub use widen::{Conflict, Conflicts, Wider};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::schema::{DateRange, Kind, Schema, UuidOrder};
use census::{Counting, Level};

/// Levels of documents and arrays that get columns of their own; the fields of the top level are the first.
pub const LEVEL_MAX: usize = 16;

/// How ObjectIds are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum ObjectIdAs {
    /// 24 lower-case hex digits.
    #[default]
    Hex,
    /// 12 bytes, `FixedString(12)`.
    Fixed,
}

/// How Decimal128 values are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum DecimalAs {
    /// As numbers with a fixed scale, `Decimal(38, s)`.
    #[default]
    Decimal,
    /// As their exact text.
    #[cfg_attr(feature = "clap", value(name = "string"))]
    #[serde(rename = "string")]
    Text,
}

/// How integers are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Integers {
    /// As `Int64`, so that they may grow.
    #[default]
    Wide,
    /// As `Int32` where the sample has none beyond it.
    Narrow,
}

/// What a field of several types becomes of which no type has nearly all values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Mixed {
    /// A column of the type of more than half of the values, and a column `NAME_text` that shows the others; without such
    /// a type, text.
    #[default]
    Twin,
    /// One column of text.
    Text,
    /// A column of the type that most values have, the others in `_zenith_extra`.
    Majority,
}

/// What is known of the types of `_id` beyond the sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdTypes {
    /// Nothing: the sample decides.
    #[default]
    Unknown,
    /// All `_id`s of the collection have one BSON type.
    One,
    /// There are `_id`s of several BSON types.
    Several,
}

/// Choices that the sample does not make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InferOptions {
    /// How ObjectIds are stored.
    pub object_id: ObjectIdAs,
    /// How decimals are stored.
    pub decimal: DecimalAs,
    /// Byte order of UUIDs of subtype 3; [`UuidOrder::Standard`] leaves them as binary data.
    pub uuid_legacy: UuidOrder,
    /// Whether explicit nulls are distinguished from missing fields; only passed to the schema.
    pub keep_nulls: bool,
    /// Whether `_id`s have one type.
    pub id: IdTypes,
    /// The kind of the key, regardless of the sample.
    pub key: Option<Kind>,
    /// How integers are stored.
    pub integers: Integers,
    /// What fields of several types become.
    pub mixed: Mixed,
    /// The same for single fields, by their dotted path without marks for arrays: `items.price`.
    pub mixed_fields: BTreeMap<String, Mixed>,
    /// Which documents become columns of their parts; by default none.
    pub flat: Option<Flat>,
    /// The names of columns that are not those of their fields, by the dotted paths of these.
    pub columns: BTreeMap<String, String>,
    /// The dates that the target holds; only passed to the schema.
    pub dates: DateRange,
    /// The most leaf columns, the extra column not counted.
    pub leaves_max: usize,
}

impl Default for InferOptions {
    fn default() -> Self {
        Self {
            object_id: ObjectIdAs::default(),
            decimal: DecimalAs::default(),
            uuid_legacy: UuidOrder::PythonLegacy,
            keep_nulls: false,
            id: IdTypes::default(),
            key: None,
            integers: Integers::default(),
            mixed: Mixed::default(),
            mixed_fields: BTreeMap::new(),
            flat: None,
            columns: BTreeMap::new(),
            dates: DateRange::default(),
            leaves_max: 4_000,
        }
    }
}

impl InferOptions {
    /// What a field of several types at this path becomes.
    fn mixed_of(&self, path: &str) -> Mixed {
        self.mixed_fields.get(path).copied().unwrap_or(self.mixed)
    }
}

/// A schema, and figures of the sample that it was made from.
#[derive(Clone, Debug, PartialEq)]
pub struct Inference {
    /// The columns.
    pub schema: Schema,
    /// One entry per leaf column, in the order in which a walk through the schema meets them.
    pub fields: Vec<FieldStatistics>,
    /// Documents that were read.
    pub documents: u64,
    /// Documents of the sample that are not valid BSON and were skipped.
    pub invalid_documents: u64,
    /// Bytes of BSON per valid document, on average; 0 for an empty sample.
    pub average_document_bytes: f64,
}

/// Infers the schema of a collection from raw BSON documents.
///
/// An empty sample gives a schema with nothing but an `_id` of any type. Documents that are not valid BSON are
/// counted and skipped.
pub fn infer<'a>(samples: impl IntoIterator<Item = &'a [u8]>, options: &InferOptions) -> Inference {
    let mut level = Level::default();
    let mut invalid_documents = 0;
    let mut bytes = 0;
    let mut counting = Counting::new(options);
    for document in samples {
        // A document is counted whole or not at all.
        let counted = zenith_bson::validate(document).and_then(|()| level.add(document, 1, &mut counting));
        match counted {
            Ok(()) => bytes += u64::try_from(document.len()).unwrap_or(u64::MAX),
            Err(_) => invalid_documents += 1,
        }
    }
    let mut fields = choose::top_fields(&level, options);
    limit::limit(&mut fields, &level, options.leaves_max.max(1));
    let statistics = statistics::statistics(&fields, &level);
    if let Some(flat) = &options.flat {
        flat.apply(&mut fields, &options.columns);
    }
    Inference {
        fields: statistics,
        schema: Schema { fields, keep_nulls: options.keep_nulls, dates: options.dates, whole: false },
        documents: level.documents,
        invalid_documents,
        average_document_bytes: statistics::as_f64(bytes) / statistics::as_f64(level.documents.max(1)),
    }
}

/// Has documents be columns of their parts, where that is asked for: also those that were not inferred.
pub fn flatten(schema: &mut Schema, options: &InferOptions) {
    if let Some(flat) = &options.flat {
        flat.apply(&mut schema.fields, &options.columns);
    }
}

#[cfg(test)]
mod tests;
