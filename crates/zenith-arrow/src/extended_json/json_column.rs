//! An embedded document as the text of a JSON column, and what such a column would not give back.
//!
//! A ClickHouse `JSON` column stores each path apart, with a type per value, and makes text of them again.
//! The text here holds only what comes back the same in value; the rest goes to an overlay in the language
//! of the [module](super). Checked against ClickHouse 26.7, whose settings have to be
//! `input_format_try_infer_dates=0`, `input_format_try_infer_datetimes=0` and
//! `input_format_json_try_infer_numbers_from_strings=0` on insert (else text that looks like a date comes
//! back as another text) and `output_format_json_quote_64bit_integers=0` on reading.
//!
//! | in the column | as |
//! | --- | --- |
//! | bool, string, integer, finite double | plain JSON; a double always with a point or an exponent |
//! | symbol, date, ObjectId, decimal, NaN, … | the wrapper object of canonical Extended JSON |
//! | array of scalars of one kind, or of objects that fit whole | array |
//!
//! | in the overlay | because the column |
//! | --- | --- |
//! | keys that are empty, have a dot or are reserved | reads a path, or a wrapper, into them |
//! | documents with repeated keys, whole | keeps one of them |
//! | documents without any value, as `{}` or with their nulls | drops them |
//! | integral doubles from ±2^53 on | shows as many digits as needed to distinguish floats, then zeros |
//! | integers beyond ±2^53 inside arrays | may store them as floats, next to an array of floats |
//! | arrays of mixed kinds, with nulls, with empty arrays or over [`ARRAY_LEVEL_MAX`] arrays deep | merges their types |
//! | code with scope | drops an empty scope |
//! | documents below level [`LEVEL_MAX`] | grows a path for each of their values |
//!
//! A null in a document is the same as a missing value unless explicit nulls are kept apart.

use zenith_bson::{Elements, RawError, RawValue, tag};

use super::text::{write_display, write_double, write_string};
use super::write::{repeated_keys, write_document, write_value};
use super::{LITERAL_KEY, is_reserved_key};

/// Levels of documents inside a JSON column; what is deeper goes to the overlay.
pub const LEVEL_MAX: usize = 32;
/// Arrays directly inside arrays: enough for the coordinates of GeoJSON, few enough types for one path.
pub const ARRAY_LEVEL_MAX: usize = 4;
/// Every integer up to here, of either sign, is a float as well.
const EXACT_MAX: i64 = 1 << 53;

/// Appends to `column` the text of `document` for a JSON column, always an object, and to `overlay` what
/// that text leaves out: nothing, or an object shaped like the document. Nulls count as missing unless
/// `keep_nulls`.
///
/// Returns whether anything went to the overlay.
///
/// # Errors
///
/// [`RawError`] where the bytes are not BSON or hold text that is not UTF-8; both texts are incomplete then.
pub fn split_json_column(
    column: &mut Vec<u8>,
    overlay: &mut Vec<u8>,
    document: &[u8],
    keep_nulls: bool,
) -> Result<bool, RawError> {
    Splitter { column, overlay, keep_nulls }.whole(document)
}

struct Splitter<'a> {
    column: &'a mut Vec<u8>,
    overlay: &'a mut Vec<u8>,
    keep_nulls: bool,
}

/// What became of a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Placed {
    /// It is in the column whole.
    Column,
    /// Its place in the overlay has been written, and perhaps a part of it in the column.
    Overlay,
    /// Neither: a null that counts as missing.
    Nowhere,
}

impl Splitter<'_> {
    fn whole(&mut self, document: &[u8]) -> Result<bool, RawError> {
        let start = self.column.len();
        let placed = self.document(document, 1)?;
        if self.column.len() == start {
            self.column.extend_from_slice(b"{}");
        }
        Ok(placed == Placed::Overlay)
    }

    /// Writes a document to both sides; to the column only if something of it stands there.
    fn document(&mut self, document: &[u8], level: usize) -> Result<Placed, RawError> {
        if level > LEVEL_MAX || !has_value(document)? || !repeated_keys(document)?.is_empty() {
            write_document(self.overlay, document)?;
            return Ok(Placed::Overlay);
        }
        let (column_start, overlay_start) = (self.column.len(), self.overlay.len());
        let mut reserved = false;
        for element in Elements::new(document)? {
            let element = element?;
            let (column, overlay) = (self.column.len(), self.overlay.len());
            self.column.push(if column == column_start { b'{' } else { b',' });
            self.overlay.push(if overlay == overlay_start { b'{' } else { b',' });
            write_string(self.column, element.key)?;
            write_string(self.overlay, element.key)?;
            self.column.push(b':');
            self.overlay.push(b':');
            let (column_value, key) = (self.column.len(), element.key);
            let placed = if key.is_empty() || key.contains(&b'.') || is_reserved_key(key) {
                self.rejected(element.value)?
            } else {
                self.value(element.value, level)?
            };
            if self.column.len() == column_value {
                self.column.truncate(column);
            }
            if placed == Placed::Overlay {
                reserved |= is_reserved_key(key);
            } else {
                self.overlay.truncate(overlay);
            }
        }
        if self.column.len() > column_start {
            self.column.push(b'}');
        }
        if self.overlay.len() == overlay_start {
            return Ok(Placed::Column);
        }
        self.overlay.push(b'}');
        if reserved {
            let literal = format!("{{\"{LITERAL_KEY}\":");
            self.overlay.splice(overlay_start..overlay_start, literal.into_bytes());
            self.overlay.push(b'}');
        }
        Ok(Placed::Overlay)
    }

    fn rejected(&mut self, value: RawValue<'_>) -> Result<Placed, RawError> {
        if value.is_null() && !self.keep_nulls {
            return Ok(Placed::Nowhere);
        }
        write_value(self.overlay, value)?;
        Ok(Placed::Overlay)
    }

    fn value(&mut self, value: RawValue<'_>, level: usize) -> Result<Placed, RawError> {
        let start = self.column.len();
        let fits = match value.tag {
            tag::DOCUMENT => return self.document(value.bytes, level + 1),
            tag::ARRAY => self.array(value.bytes, level)?,
            _ => plain(self.column, value, i64::MAX)?.is_some(),
        };
        if fits {
            return Ok(Placed::Column);
        }
        self.column.truncate(start);
        self.rejected(value)
    }

    /// Writes an array to the column; whether all of it fits, else what is written has to be cut off.
    fn array(&mut self, array: &[u8], level: usize) -> Result<bool, RawError> {
        if Elements::new(array)?.next().is_none() {
            self.column.extend_from_slice(b"[]");
            return Ok(true);
        }
        Ok(self.elements(array, level, 1)?.is_some())
    }

    /// What all elements have in common; `None` if nothing, or if one of them does not fit.
    fn elements(&mut self, array: &[u8], level: usize, arrays: usize) -> Result<Option<Class>, RawError> {
        let mut class = None;
        for element in Elements::new(array)? {
            let value = element?.value;
            self.column.push(if class.is_none() { b'[' } else { b',' });
            let this = match value.tag {
                tag::DOCUMENT if self.fits_whole(value.bytes, level)? => Some(Class::Object),
                tag::ARRAY if arrays < ARRAY_LEVEL_MAX => {
                    self.elements(value.bytes, level, arrays + 1)?.and_then(Class::in_array)
                }
                tag::DOCUMENT | tag::ARRAY => None,
                _ => plain(self.column, value, EXACT_MAX)?,
            };
            if this.is_none() || class.is_some_and(|class| Some(class) != this) {
                return Ok(None);
            }
            class = this;
        }
        self.column.push(b']');
        Ok(class)
    }

    /// Writes a document inside an array to the column; `false` if anything of it does not fit there.
    fn fits_whole(&mut self, document: &[u8], level: usize) -> Result<bool, RawError> {
        let mut overlay = Vec::new();
        let mut inside = Splitter { column: self.column, overlay: &mut overlay, keep_nulls: self.keep_nulls };
        Ok(inside.document(document, level + 1)? == Placed::Column && integers_fit(document)?)
    }
}

/// What the elements of an array have to have in common.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Bool,
    Integer,
    Double,
    String,
    Object,
    /// Arrays of as many levels of scalars of one kind.
    Array {
        levels: usize,
        of: Scalar,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scalar {
    Bool,
    Integer,
    Double,
    String,
}

impl Class {
    /// An array of this; none of objects, which would multiply the types of one path.
    fn in_array(self) -> Option<Class> {
        let of = match self {
            Class::Bool => Scalar::Bool,
            Class::Integer => Scalar::Integer,
            Class::Double => Scalar::Double,
            Class::String => Scalar::String,
            Class::Array { levels, of } => return Some(Class::Array { levels: levels + 1, of }),
            Class::Object => return None,
        };
        Some(Class::Array { levels: 1, of })
    }
}

/// Writes a scalar as JSON; `None`, and perhaps a part written, where the column would not give it back.
fn plain(column: &mut Vec<u8>, value: RawValue<'_>, integer_max: i64) -> Result<Option<Class>, RawError> {
    if let Some(value) = value.as_bool() {
        column.extend_from_slice(if value { b"true" } else { b"false" });
        return Ok(Some(Class::Bool));
    }
    if let Some(value) = value.as_integer() {
        write_display(column, format_args!("{value}"));
        return Ok((value.unsigned_abs() <= integer_max.unsigned_abs() || integer_max == i64::MAX)
            .then_some(Class::Integer));
    }
    if let Some(value) = value.as_f64()
        && value.is_finite()
    {
        write_double(column, value);
        let shown_as_integer = value.abs() >= 9_007_199_254_740_992.0;
        return Ok((!shown_as_integer).then_some(Class::Double));
    }
    match value.tag {
        tag::STRING => {
            write_string(column, value.as_str_bytes().unwrap_or_default())?;
            Ok(Some(Class::String))
        }
        tag::NULL | tag::CODE_WITH_SCOPE => Ok(None),
        _ => write_value(column, value).map(|()| Some(Class::Object)),
    }
}

/// Whether a document has any value but nulls.
fn has_value(document: &[u8]) -> Result<bool, RawError> {
    for element in Elements::new(document)? {
        if !element?.value.is_null() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether every integer in a document, at every level, is a float as well. The document fits a JSON
/// column, so its depth is bounded.
fn integers_fit(document: &[u8]) -> Result<bool, RawError> {
    for element in Elements::new(document)? {
        let value = element?.value;
        let fits = match value.tag {
            tag::DOCUMENT | tag::ARRAY => integers_fit(value.bytes)?,
            _ => value.as_integer().is_none_or(|value| value.unsigned_abs() <= EXACT_MAX.unsigned_abs()),
        };
        if !fits {
            return Ok(false);
        }
    }
    Ok(true)
}
