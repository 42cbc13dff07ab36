//! Raw BSON to Extended JSON, appended to a byte buffer as it is walked.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zenith_bson::{DEPTH_MAX, Element, Elements, RawError, RawValue, tag};

use super::plain_text::iso_date;
use super::text::{write_display, write_double, write_string};
use super::{LITERAL_KEY, is_reserved_key};
use crate::schema::DUPLICATES_KEY;

/// Which of the two formats of Extended JSON is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// A wrapper identifies every type.
    Canonical,
    /// Numbers are plain, and dates of four-digit years are ISO 8601.
    Relaxed,
}

/// Appends one value as relaxed Extended JSON, from which [`parse_value`](super::parse_value) makes an equal value.
///
/// # Errors
///
/// As [`write_value`].
pub fn write_relaxed(out: &mut Vec<u8>, value: RawValue<'_>) -> Result<(), RawError> {
    value_at(out, value, Format::Relaxed, 1)
}

/// Appends one value as canonical Extended JSON; the text is valid UTF-8.
///
/// # Errors
///
/// [`RawError`] where the bytes are not a BSON value or hold text that is not UTF-8. What has been appended
/// until then is incomplete: cut it off.
pub fn write_value(out: &mut Vec<u8>, value: RawValue<'_>) -> Result<(), RawError> {
    value_at(out, value, Format::Canonical, 1)
}

/// Appends a whole document as canonical Extended JSON, see the [module](super) for the grammar.
///
/// # Errors
///
/// As [`write_value`].
pub fn write_document(out: &mut Vec<u8>, document: &[u8]) -> Result<(), RawError> {
    document_at(out, document, Format::Canonical, 1)
}

/// Whether some key of the document itself is reserved; embedded documents do not count.
///
/// # Errors
///
/// [`RawError`] where the bytes are not a BSON document.
pub fn has_reserved_key(document: &[u8]) -> Result<bool, RawError> {
    for element in Elements::new(document)? {
        if is_reserved_key(element?.key) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn value_at(out: &mut Vec<u8>, value: RawValue<'_>, format: Format, depth: usize) -> Result<(), RawError> {
    match value.tag {
        tag::NULL => out.extend_from_slice(b"null"),
        tag::UNDEFINED => out.extend_from_slice(br#"{"$undefined":true}"#),
        tag::MIN_KEY => out.extend_from_slice(br#"{"$minKey":1}"#),
        tag::MAX_KEY => out.extend_from_slice(br#"{"$maxKey":1}"#),
        tag::DOCUMENT => return document_at(out, value.bytes, format, depth),
        tag::ARRAY => return array_at(out, value.bytes, format, depth),
        _ if format == Format::Relaxed && plain(out, value) => {}
        _ => return scalar_at(out, value, format, depth),
    }
    Ok(())
}

/// Writes a number or a date as the relaxed format has it; `false`, and nothing done, for anything it wraps.
fn plain(out: &mut Vec<u8>, value: RawValue<'_>) -> bool {
    if let Some(value) = value.as_integer() {
        write_display(out, format_args!("{value}"));
        return true;
    }
    if let Some(value) = value.as_f64().filter(|value| value.is_finite()) {
        write_double(out, value);
        return true;
    }
    if let Some(text) = value.as_date_ms().and_then(iso_date) {
        write_display(out, format_args!(r#"{{"$date":"{text}"}}"#));
        return true;
    }
    false
}

/// Every type whose value takes bytes; bytes of the wrong shape are reported, not guessed at.
fn scalar_at(out: &mut Vec<u8>, value: RawValue<'_>, format: Format, depth: usize) -> Result<(), RawError> {
    if let Some(value) = value.as_bool() {
        out.extend_from_slice(if value { b"true" } else { b"false" });
    } else if let Some(value) = value.as_i32() {
        write_display(out, format_args!(r#"{{"$numberInt":"{value}"}}"#));
    } else if let Some(value) = value.as_i64() {
        write_display(out, format_args!(r#"{{"$numberLong":"{value}"}}"#));
    } else if let Some(value) = value.as_f64() {
        out.extend_from_slice(br#"{"$numberDouble":""#);
        write_double(out, value);
        out.extend_from_slice(br#""}"#);
    } else if let Some(bytes) = value.as_decimal_bytes() {
        let value = bson::Decimal128::from_bytes(bytes);
        write_display(out, format_args!(r#"{{"$numberDecimal":"{value}"}}"#));
    } else if let Some(milliseconds) = value.as_date_ms() {
        write_display(out, format_args!(r#"{{"$date":{{"$numberLong":"{milliseconds}"}}}}"#));
    } else if let Some(value) = value.as_timestamp() {
        let (seconds, increment) = (value >> 32, value & u64::from(u32::MAX));
        write_display(out, format_args!(r#"{{"$timestamp":{{"t":{seconds},"i":{increment}}}}}"#));
    } else if let Some(id) = value.as_object_id() {
        write_object_id(out, id);
    } else if let Some((subtype, data)) = value.as_binary() {
        write_binary(out, subtype, data);
    } else if let Some(text) = value.as_str_bytes() {
        if value.tag == tag::SYMBOL {
            wrapped(out, br#"{"$symbol":"#, text)?;
            out.push(b'}');
        } else {
            write_string(out, text)?;
        }
    } else {
        return rare_at(out, value, format, depth);
    }
    Ok(())
}

/// Types that documents of today hardly have.
fn rare_at(out: &mut Vec<u8>, value: RawValue<'_>, format: Format, depth: usize) -> Result<(), RawError> {
    if let Some((pattern, options)) = value.as_regex() {
        wrapped(out, br#"{"$regularExpression":{"pattern":"#, pattern)?;
        wrapped(out, br#","options":"#, options)?;
        out.extend_from_slice(b"}}");
    } else if let Some(code) = value.as_code_bytes() {
        wrapped(out, br#"{"$code":"#, code)?;
        out.push(b'}');
    } else if let Some((code, scope)) = value.as_code_with_scope() {
        wrapped(out, br#"{"$code":"#, code)?;
        out.extend_from_slice(br#","$scope":"#);
        document_at(out, scope, format, depth + 1)?;
        out.push(b'}');
    } else if let Some((namespace, id)) = value.as_db_pointer() {
        wrapped(out, br#"{"$dbPointer":{"$ref":"#, namespace)?;
        out.extend_from_slice(br#","$id":"#);
        write_object_id(out, id);
        out.extend_from_slice(b"}}");
    } else {
        return Err(RawError::UnknownTag(value.tag));
    }
    Ok(())
}

fn wrapped(out: &mut Vec<u8>, opening: &[u8], text: &[u8]) -> Result<(), RawError> {
    out.extend_from_slice(opening);
    write_string(out, text)
}

fn write_object_id(out: &mut Vec<u8>, id: [u8; 12]) {
    let id = bson::oid::ObjectId::from_bytes(id);
    write_display(out, format_args!(r#"{{"$oid":"{id}"}}"#));
}

fn write_binary(out: &mut Vec<u8>, subtype: u8, data: &[u8]) {
    out.extend_from_slice(br#"{"$binary":{"base64":""#);
    let start = out.len();
    out.resize(start + base64::encoded_len(data.len(), true).unwrap_or_default(), 0);
    // The room is exact, so encoding into it cannot fail.
    let _ = STANDARD.encode_slice(data, &mut out[start..]);
    write_display(out, format_args!(r#"","subType":"{subtype:02x}"}}}}"#));
}

fn array_at(out: &mut Vec<u8>, array: &[u8], format: Format, depth: usize) -> Result<(), RawError> {
    if depth > DEPTH_MAX {
        return Err(RawError::TooDeep);
    }
    out.push(b'[');
    for (index, element) in Elements::new(array)?.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        value_at(out, element?.value, format, depth + 1)?;
    }
    out.push(b']');
    Ok(())
}

fn document_at(out: &mut Vec<u8>, document: &[u8], format: Format, depth: usize) -> Result<(), RawError> {
    if depth > DEPTH_MAX {
        return Err(RawError::TooDeep);
    }
    let literal = has_reserved_key(document)?;
    let repeated = repeated_keys(document)?;
    out.push(b'{');
    if repeated.is_empty() {
        if literal {
            write_display(out, format_args!(r#""{LITERAL_KEY}":{{"#));
        }
        let mut first = true;
        for element in Elements::new(document)? {
            pair_at(out, element?, &mut first, format, depth)?;
        }
    } else {
        write_display(out, format_args!(r#""{DUPLICATES_KEY}":["#));
        let mut first = true;
        for (index, element) in Elements::new(document)?.enumerate() {
            if repeated.binary_search(&index).is_ok() {
                separate(out, &mut first);
                out.push(b'{');
                pair_at(out, element?, &mut true, format, depth)?;
                out.push(b'}');
            }
        }
        out.extend_from_slice(b"],");
        if literal {
            write_display(out, format_args!(r#""{LITERAL_KEY}":{{"#));
        }
        let mut first = true;
        for (index, element) in Elements::new(document)?.enumerate() {
            if repeated.binary_search(&index).is_err() {
                pair_at(out, element?, &mut first, format, depth)?;
            }
        }
    }
    out.extend_from_slice(if literal { b"}}" } else { b"}" });
    Ok(())
}

fn pair_at(
    out: &mut Vec<u8>,
    element: Element<'_>,
    first: &mut bool,
    format: Format,
    depth: usize,
) -> Result<(), RawError> {
    separate(out, first);
    write_string(out, element.key)?;
    out.push(b':');
    value_at(out, element.value, format, depth + 1)
}

fn separate(out: &mut Vec<u8>, first: &mut bool) {
    if !std::mem::take(first) {
        out.push(b',');
    }
}

/// Positions, in order, of the elements whose key comes again later in the document.
pub(crate) fn repeated_keys(document: &[u8]) -> Result<Vec<usize>, RawError> {
    let mut keys = Vec::new();
    for (index, element) in Elements::new(document)?.enumerate() {
        keys.push((element?.key, index));
    }
    // Sorted by key and position, every element but the last of a run of equal keys is an earlier one.
    keys.sort_unstable();
    let mut repeated: Vec<usize> =
        keys.array_windows().filter(|[this, next]| this.0 == next.0).map(|[this, _]| this.1).collect();
    repeated.sort_unstable();
    Ok(repeated)
}
