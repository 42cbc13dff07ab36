//! The scalars of JSON as text: strings with their escapes, numbers that read back exactly.

use std::io::Write as _;

use zenith_bson::{RawError, utf8};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends `text` as a JSON string, quotes included.
///
/// # Errors
///
/// [`RawError::InvalidUtf8`]; nothing has been appended then.
pub fn write_string(out: &mut Vec<u8>, text: &[u8]) -> Result<(), RawError> {
    if is_plain(text) {
        out.reserve(text.len() + 2);
        out.push(b'"');
        out.extend_from_slice(text);
        out.push(b'"');
        return Ok(());
    }
    utf8(text)?;
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = rest.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain);
        let Some((&byte, after)) = special.split_first() else { break };
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                let digit = |nibble: u8| HEX[usize::from(nibble & 0xF)];
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(control >> 4), digit(control)]);
            }
        }
        rest = after;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
    Ok(())
}

/// Whether text is ASCII without anything to escape, as most keys and values are.
fn is_plain(text: &[u8]) -> bool {
    let is_plain = |byte: u8| (0x20..0x80).contains(&byte) & (byte != b'"') & (byte != b'\\');
    let (chunks, rest) = text.as_chunks::<16>();
    // All bytes of a chunk at once, whatever the first says.
    chunks.iter().all(|chunk| chunk.iter().fold(true, |plain, &byte| plain & is_plain(byte)))
        && rest.iter().all(|&byte| is_plain(byte))
}

/// Appends a double so that it reads back to the same bits (a NaN's payload aside) and never looks like an
/// integer: `1.0`, `1.5E+300`, `-0.0`, `NaN`, `Infinity`, `-Infinity`. The last three are not JSON numbers.
pub fn write_double(out: &mut Vec<u8>, value: f64) {
    if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"Infinity" } else { b"-Infinity" });
        return;
    }
    let start = out.len();
    // Rust's shortest text that reads back to the same number; it has a point or an exponent.
    write_display(out, format_args!("{value:?}"));
    if let Some(at) = out[start..].iter().position(|&byte| byte == b'e') {
        let at = start + at;
        out[at] = b'E';
        if out.get(at + 1) != Some(&b'-') {
            out.insert(at + 1, b'+');
        }
    }
}

/// Appends the decimal digits of a position.
pub(crate) fn write_position(out: &mut Vec<u8>, mut position: usize) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b"0123456789"[position % 10];
        position /= 10;
        if position == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// Appends what `Display` gives; writing to memory cannot fail.
pub(crate) fn write_display(out: &mut Vec<u8>, arguments: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(arguments);
}
