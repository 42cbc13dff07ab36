//! The type tags of BSON 1.1, in the words of its specification.

/// 64-bit float.
pub const DOUBLE: u8 = 0x01;
/// UTF-8 string.
pub const STRING: u8 = 0x02;
/// Embedded document.
pub const DOCUMENT: u8 = 0x03;
/// Array.
pub const ARRAY: u8 = 0x04;
/// Binary data.
pub const BINARY: u8 = 0x05;
/// Undefined (deprecated).
pub const UNDEFINED: u8 = 0x06;
/// ObjectId.
pub const OBJECT_ID: u8 = 0x07;
/// Boolean.
pub const BOOLEAN: u8 = 0x08;
/// UTC date and time in milliseconds.
pub const DATE: u8 = 0x09;
/// Null.
pub const NULL: u8 = 0x0A;
/// Regular expression.
pub const REGEX: u8 = 0x0B;
/// DBPointer (deprecated).
pub const DB_POINTER: u8 = 0x0C;
/// JavaScript code.
pub const CODE: u8 = 0x0D;
/// Symbol (deprecated).
pub const SYMBOL: u8 = 0x0E;
/// JavaScript code with scope (deprecated).
pub const CODE_WITH_SCOPE: u8 = 0x0F;
/// 32-bit integer.
pub const INT32: u8 = 0x10;
/// Timestamp of the replication log.
pub const TIMESTAMP: u8 = 0x11;
/// 64-bit integer.
pub const INT64: u8 = 0x12;
/// 128-bit decimal float.
pub const DECIMAL128: u8 = 0x13;
/// Sorts before every other value.
pub const MIN_KEY: u8 = 0xFF;
/// Sorts after every other value.
pub const MAX_KEY: u8 = 0x7F;

/// Whether a BSON type has this tag.
#[must_use]
pub const fn is_known(tag: u8) -> bool {
    matches!(tag, DOUBLE..=DECIMAL128 | MIN_KEY | MAX_KEY)
}

/// The name MongoDB's `$type` operator has for a type, for people to read.
#[must_use]
pub const fn name(tag: u8) -> &'static str {
    match tag {
        DOUBLE => "double",
        STRING => "string",
        DOCUMENT => "object",
        ARRAY => "array",
        BINARY => "binData",
        UNDEFINED => "undefined",
        OBJECT_ID => "objectId",
        BOOLEAN => "bool",
        DATE => "date",
        NULL => "null",
        REGEX => "regex",
        DB_POINTER => "dbPointer",
        CODE => "javascript",
        SYMBOL => "symbol",
        CODE_WITH_SCOPE => "javascriptWithScope",
        INT32 => "int",
        TIMESTAMP => "timestamp",
        INT64 => "long",
        DECIMAL128 => "decimal",
        MIN_KEY => "minKey",
        MAX_KEY => "maxKey",
        _ => "unknown",
    }
}
