//! The fast path: the value a column was made for, copied with as few steps as possible.
//!
//! What is not quite as expected is declined (`None`) with nothing done, and [`append`](super::append) finds
//! out what it is: whether it is a value of another type, bytes that are not BSON, or a buffer that is full.
//! So nothing here has to say why.

use super::buffers::Bytes;
use super::column::{Column, Storage};
use super::context::{Context, RowError, SLACK, parts};
use super::text;
use crate::schema::TextType;

impl Column {
    /// Appends the value at the front of `value`, which has the type of [`Column::expected_tag`], and
    /// returns what follows it; `None` if it is declined.
    ///
    /// `value` reaches [`SLACK`] bytes behind the current level. A value of fixed size is not checked to end before
    /// them: the caller sees that it did not.
    #[inline(always)]
    pub(super) fn append_expected<'a>(
        &mut self,
        cx: &mut Context<'_>,
        value: &'a [u8],
    ) -> Result<Option<&'a [u8]>, RowError> {
        let index = self.len;
        // One jump by the kind: what else there is to know of a column is asked for behind it.
        let after = match &mut self.storage {
            Storage::String(buf) => push_string(buf, value),
            Storage::Text(buf, usual) if *usual == TextType::String => push_string(buf, value),
            Storage::Int32(buf) => fixed(value, |item| buf.set(index, item)),
            Storage::Int64(buf, narrow) => integer(value, *narrow, |item| buf.set(index, item)),
            Storage::Double(buf) | Storage::Timestamp(buf) => fixed(value, |item| buf.set(index, item)),
            Storage::Date(buf, dates) => {
                fixed(value, |item| dates.holds(i64::from_le_bytes(item)) && buf.set(index, item))
            }
            Storage::ObjectId(buf) => fixed(value, |id| buf.items.push_array(&text::object_id_hex(id))),
            Storage::ObjectIdFixed(buf) => fixed(value, |id| buf.set(index, id)),
            Storage::Bool(buf) => fixed(value, |[bit]| bit <= 1 && buf.set(index, bit == 1)),
            Storage::Document(_) => parts(value, |parts| self.append_document(cx, parts))?,
            Storage::List(_) => parts(value, |parts| self.append_list(cx, parts))?,
            _ => None,
        };
        // A branch of its own for what is declined, so that the others count without asking whether they took a value.
        let Some(after) = after else { return Ok(None) };
        self.len += 1;
        Ok(Some(after))
    }

    /// Appends the document of these parts, behind which there are [`SLACK`] bytes; the caller counts it.
    #[inline(never)]
    pub(super) fn append_document(&mut self, cx: &mut Context<'_>, parts: &[u8]) -> Result<(), RowError> {
        let before = cx.overflow.odd;
        if let Storage::Document(node) = &mut self.storage
            && node.append_parts(cx, parts, SLACK)?
        {
            self.note_parts(cx, before)?;
        }
        Ok(())
    }

    /// Appends the array of these parts, behind which there are [`SLACK`] bytes; the caller counts it.
    #[inline(never)]
    fn append_list(&mut self, cx: &mut Context<'_>, parts: &[u8]) -> Result<(), RowError> {
        let before = cx.overflow.odd;
        if let Storage::List(node) = &mut self.storage
            && node.append_parts(cx, parts, SLACK)?
        {
            self.note_parts(cx, before)?;
        }
        Ok(())
    }
}

/// Gives the `N` bytes at the front of `value` to `push`; what follows, if it took them.
#[inline(always)]
fn fixed<const N: usize>(value: &[u8], push: impl FnOnce([u8; N]) -> bool) -> Option<&[u8]> {
    let (item, after) = value.split_first_chunk()?;
    push(*item).then_some(after)
}

/// Gives the integer at the front of `value`, of 4 or 8 bytes, to `push`; what follows, if it took it.
#[inline(always)]
fn integer(value: &[u8], narrow: bool, push: impl FnOnce([u8; 8]) -> bool) -> Option<&[u8]> {
    if narrow {
        fixed(value, |item| push(i64::from(i32::from_le_bytes(item)).to_le_bytes()))
    } else {
        fixed(value, push)
    }
}

/// Appends the string at the front of `value`; what follows, if it was taken.
#[inline(always)]
fn push_string<'a>(buf: &mut Bytes, value: &'a [u8]) -> Option<&'a [u8]> {
    string(value).and_then(|(string, len, after)| buf.items.push(string, len).then_some(after))
}

/// The string at the front of `value`: where its bytes begin, how many there are, and what follows its NUL.
#[inline(always)]
fn string(value: &[u8]) -> Option<(&[u8], usize, &[u8])> {
    let (prefix, text) = value.split_first_chunk()?;
    let size = u32::from_le_bytes(*prefix) as usize;
    let left = text.len().checked_sub(SLACK)?;
    // The NUL is counted, so that a size of 0 wraps around and is too large as well.
    let len = size.wrapping_sub(1);
    if len >= left {
        return None;
    }
    let (&nul, after) = text.get(len..)?.split_first()?;
    (nul == 0).then_some((text, len, after))
}
