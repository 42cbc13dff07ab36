//! Texts in columns of numbers, dates and bools that somebody has given their types: the column shows what the text says.
//!
//! A text as Zenith would write the value is noted as one. Any other one, as `007` or `2024-05-06`, is in the extra column as
//! well.

use bson::{Bson, doc};
use zenith_bson::{Elements, RawValue, tag};

use super::append::Value;
use super::column::Column;
use super::context::{Context, RowError};
use crate::extended_json::{plain_text, text_of_kind};
use crate::fit::MismatchReason;
use crate::schema::TextType;

impl Column {
    /// Appends what a text says; `false`, and nothing done, if that is no value of the column.
    #[cold]
    pub(super) fn append_cast(&mut self, cx: &mut Context<'_>, value: Value) -> Result<bool, RowError> {
        let raw = RawValue { tag: value.tag, bytes: &cx.bytes[value.at..value.next] };
        let Some((said, is_usual)) =
            self.about.cast.as_ref().and_then(|kind| said(raw, |text| text_of_kind(kind, text)))
        else {
            return Ok(false);
        };
        // A key of one letter stands in front of the value, and a NUL behind it.
        let (at, next) = (7, said.len() - 1);
        let cast = Value { tag: said[4], at, next };
        let mut inner = Context {
            bytes: &said,
            arena: &mut *cx.arena,
            overflow: &mut *cx.overflow,
            scratch: &mut *cx.scratch,
            strict: cx.strict,
            is_careful: cx.is_careful,
            is_fast: false,
            keep_nulls: cx.keep_nulls,
            ignores: cx.ignores,
        };
        // What is said of it has the number of the item that it is.
        let item = self.len;
        if !self.append_fitting(&mut inner, cast, next)? {
            return Ok(false);
        }
        self.len = item;
        if is_usual {
            self.note(cx, TextType::String.word())?;
        } else {
            self.overflow(cx, value, Some(MismatchReason::OtherForm))?;
        }
        self.len = item + 1;
        Ok(true)
    }
}

/// A document of nothing but the value that a text says, and whether that is written so.
fn said(value: RawValue<'_>, read: impl FnOnce(&str) -> Option<Bson>) -> Option<(Vec<u8>, bool)> {
    let text = std::str::from_utf8(value.as_str_bytes()?).ok()?;
    let said = doc! { "v": read(text)? }.to_vec().ok()?;
    let element = Elements::new(&said).ok()?.next()?.ok()?;
    if matches!(element.value.tag, tag::STRING | tag::NULL) {
        return None;
    }
    let mut written = Vec::new();
    plain_text(element.value, &mut written).ok()?;
    Some((said, written == text.as_bytes() && written.len() <= USUAL_MAX))
}

/// Numbers of more digits are not written in the same way by all types.
const USUAL_MAX: usize = 30;
