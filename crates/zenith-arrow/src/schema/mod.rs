//! The schema of a collection: which column each field has, and of what kind.
//!
//! It is made by [`infer`](mod@crate::infer) from a sample, gives the Arrow schema the decoder fills, and is
//! what [`rebuild`](crate::rebuild()) needs to turn rows back into documents. It says nothing of DDL.

mod arrow;

use std::fmt;

use serde::{Deserialize, Serialize};

/// Name of the column that holds what no other column can.
pub const EXTRA_COLUMN: &str = "_zenith_extra";
/// Key of a document's identity, whose column is the sorting key and never null.
pub const ID_KEY: &str = "_id";
/// Key under which the extra column keeps earlier values of repeated keys, in order.
pub const DUPLICATES_KEY: &str = "$duplicates";
/// Field metadata key of strings that repeat so much that the target should keep a dictionary of them.
pub const CATEGORY_METADATA_KEY: &str = "zenith.category";
/// Field metadata key that tells which BSON type a column was made for.
pub const BSON_METADATA_KEY: &str = "zenith.bson";

/// The columns of a collection, `_id` first; the extra column is implied and comes last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// One field per column.
    pub fields: Vec<Field>,
    /// Whether an explicit `null` is noted in the extra column, apart from a missing field.
    pub keep_nulls: bool,
}

/// One key of a document and the column it goes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// The key in the document, which is also the name of the column or tuple element.
    pub name: String,
    /// What the column holds.
    pub kind: Kind,
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
    /// Milliseconds since 1970-01-01 UTC, within 1900-01-01 … 2299-12-31.
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
    /// Embedded document with unbounded keys, as JSON text.
    Json,
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
    /// Whether a column of this kind has no way to say "missing", because it contains an array.
    ///
    /// ClickHouse arrays cannot be NULL: such a column shows `[]`, and the extra column notes `null`.
    #[must_use]
    pub fn holds_array(&self) -> bool {
        match self {
            Kind::Array(_) => true,
            Kind::Document(fields) => fields.iter().any(|field| field.kind.holds_array()),
            _ => false,
        }
    }

    /// Number of leaf columns.
    #[must_use]
    pub fn leaves(&self) -> usize {
        match self {
            Kind::Document(fields) => fields.iter().map(|field| field.kind.leaves()).sum(),
            Kind::Array(element) => element.leaves(),
            _ => 1,
        }
    }
}

impl fmt::Display for Kind {
    /// The BSON type in words, as `zenith copy --dry-run` shows it.
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
            Kind::Json => f.write_str("object(unbounded keys)"),
        }
    }
}
