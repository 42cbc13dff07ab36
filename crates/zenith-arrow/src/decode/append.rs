//! Any value into any column: nulls, conversions, mismatches, kinds that are rare, and all that the fast path
//! ([`expected`](super::expected)) has declined. This is where input is judged.

use zenith_bson::{Decimal, RawError, RawValue, tag};

use super::buffers::{Arena, Fixed};
use super::column::{Column, Storage};
use super::context::{Context, RowError};
use super::{convert, text};
use crate::extended_json::MISSING;
use crate::fit::{self, MismatchReason};
use crate::schema::Blank;

impl Column {
    /// Appends the value of type `type_tag` at `at` and returns the position after it.
    ///
    /// A value that does not fit shows as nothing: the column's twin, if it has one, has its text, else the extra
    /// column has it.
    #[inline(never)]
    pub(super) fn append(
        &mut self,
        cx: &mut Context<'_>,
        type_tag: u8,
        at: usize,
        limit: usize,
    ) -> Result<usize, RowError> {
        if type_tag == tag::NULL && !matches!(self.storage, Storage::MixedId(_)) {
            if self.required {
                return Err(RowError::Key(Some(type_tag)));
            }
            cx.overflow.odd.nothings += 1;
            if self.noted.null {
                self.note(cx, Blank::Null.word())?;
            }
            self.append_blank(cx)?;
            return Ok(at);
        }
        match (&self.storage, type_tag) {
            (Storage::Document(_) | Storage::Map(_), tag::DOCUMENT) | (Storage::List(_), tag::ARRAY) => {
                self.append_parts(cx, at, limit)
            }
            _ => self.append_checked(cx, type_tag, at, limit),
        }
    }

    /// Appends the document or array at `at`; returns the position after it.
    fn append_parts(&mut self, cx: &mut Context<'_>, at: usize, limit: usize) -> Result<usize, RowError> {
        let before = cx.overflow.odd;
        let next = match &mut self.storage {
            Storage::Document(node) => node.append(cx, at, limit)?,
            Storage::List(node) => node.append(cx, at, limit)?,
            Storage::Map(node) => node.append(cx, at, limit)?,
            _ => return Ok(at),
        };
        if cx.overflow.odd != before {
            self.note_parts(cx, before)?;
        }
        self.len += 1;
        Ok(next)
    }

    /// Appends a value that is not null and has no columns of its own.
    fn append_checked(
        &mut self,
        cx: &mut Context<'_>,
        type_tag: u8,
        at: usize,
        limit: usize,
    ) -> Result<usize, RowError> {
        let next = cx.skip_value(type_tag, at, limit)?;
        let value = Value { tag: type_tag, at, next };
        let before = cx.overflow.odd;
        if let Storage::List(node) = &mut self.storage {
            if node.append_lone(cx, value, limit)? {
                // The extra column has all of it: no need to say what of it does not fit.
                cx.overflow.undo(before);
                self.overflow(cx, value, Some(MismatchReason::Lone))?;
                self.len += 1;
                return Ok(next);
            }
        } else if self.append_fitting(cx, value, limit)?
            || self.about.cast.is_some() && self.append_cast(cx, value)?
        {
            return Ok(next);
        }
        if self.required {
            return Err(RowError::Key(Some(type_tag)));
        }
        match &mut self.about.twin {
            Some(twin) => {
                cx.scratch.clear();
                let made = text::plain(value.tag, &cx.bytes[at..next], cx.scratch)?;
                twin.push(cx.arena, cx.scratch)?;
                if made != twin.usual {
                    self.note(cx, made.word())?;
                }
            }
            None => {
                cx.overflow.odd.nothings += 1;
                self.overflow(cx, value, None)?;
            }
        }
        self.append_blank(cx)?;
        Ok(next)
    }

    /// Appends a value whose frame has been checked; `false`, and nothing done, if it does not fit.
    pub(super) fn append_fitting(
        &mut self,
        cx: &mut Context<'_>,
        value: Value,
        limit: usize,
    ) -> Result<bool, RowError> {
        if self.limited
            && let Some(limit) = &self.about.limit
        {
            let raw = RawValue { tag: value.tag, bytes: &cx.bytes[value.at..value.next] };
            if !fit::is_within(limit, raw) {
                return Ok(false);
            }
        }
        let fits = match &mut self.storage {
            Storage::Document(node) if value.tag == tag::DOCUMENT => {
                node.append(cx, value.at, limit).map(|_| true)?
            }
            Storage::Map(node) if value.tag == tag::DOCUMENT => {
                node.append(cx, value.at, limit).map(|_| true)?
            }
            Storage::Document(_) | Storage::List(_) | Storage::Map(_) => false,
            Storage::DecimalText(_) | Storage::MixedId(_) | Storage::Json(_) | Storage::Text(..) => {
                self.append_text(cx, value)?
            }
            Storage::Double(_) if self.required && value.tag == tag::DECIMAL128 => false,
            storage => append_scalar(storage, cx, self.len, value)?,
        };
        self.len += usize::from(fits);
        Ok(fits)
    }

    /// Appends to a column whose kind is stored as text made from the value; `false` if there is no such text.
    fn append_text(&mut self, cx: &mut Context<'_>, value: Value) -> Result<bool, RowError> {
        let bytes = &cx.bytes[value.at..value.next];
        cx.scratch.clear();
        match &self.storage {
            Storage::DecimalText(_) if value.tag == tag::DECIMAL128 => text::decimal(bytes, cx.scratch),
            Storage::MixedId(_) => text::mixed_id(value.tag, bytes, cx.scratch)?,
            Storage::Json(_) if value.tag == tag::DOCUMENT => {
                let mut overlay = Vec::new();
                let is_whole = text::json(bytes, cx.scratch, &mut overlay, cx.keep_nulls)?;
                let shows = *cx.scratch != b"{}";
                cx.overflow.odd.nothings += u32::from(!shows);
                if !is_whole {
                    cx.overflow.overlay(self.key(), &overlay, self.number())?;
                } else if !shows && self.noted.empty {
                    self.note(cx, Blank::Empty.word())?;
                }
            }
            Storage::Text(_, usual) => {
                let made = text::plain(value.tag, bytes, cx.scratch)?;
                if made != *usual {
                    self.note(cx, made.word())?;
                }
            }
            _ => return Ok(false),
        }
        match &mut self.storage {
            Storage::DecimalText(buf)
            | Storage::MixedId(buf)
            | Storage::Json(buf)
            | Storage::Text(buf, _) => buf.push(cx.arena, cx.scratch, cx.scratch.len()).map(|()| true),
            _ => Ok(false),
        }
    }

    /// Appends a row for a missing field.
    #[inline]
    pub(super) fn append_missing(&mut self, cx: &mut Context<'_>) -> Result<(), RowError> {
        if self.required {
            let Storage::MixedId(buf) = &mut self.storage else { return Err(RowError::Key(None)) };
            buf.push(cx.arena, MISSING.as_bytes(), MISSING.len())?;
            self.len += 1;
            return Ok(());
        }
        if self.noted.missing {
            self.note(cx, Blank::Missing.word())?;
        }
        self.append_blank(cx)
    }

    /// Appends an item that holds nothing.
    pub(super) fn append_blank(&mut self, cx: &mut Context<'_>) -> Result<(), RowError> {
        let (arena, index) = (&mut *cx.arena, self.len);
        if self.limited
            && let (Storage::String(buf), Some(limit)) = (&mut self.storage, &self.about.limit)
        {
            // A text that is no value of the column would be refused, also under a NULL.
            let blank = limit.blank();
            buf.push(arena, blank.as_bytes(), blank.len())?;
            self.validity.flip(cx.arena, index)?;
            self.len += 1;
            return Ok(());
        }
        let nullable = match &mut self.storage {
            Storage::ObjectId(buf)
            | Storage::MixedId(buf)
            | Storage::DecimalText(buf)
            | Storage::String(buf)
            | Storage::Binary(buf, _)
            | Storage::Text(buf, _) => buf.push_empty(arena).map(|()| true)?,
            Storage::ObjectIdFixed(buf) => buf.put(arena, index, [0; 12]).map(|()| true)?,
            Storage::Bool(_) => true,
            Storage::Int32(buf) => buf.put(arena, index, [0; 4]).map(|()| true)?,
            Storage::Int64(buf, _)
            | Storage::Double(buf)
            | Storage::Date(buf, _)
            | Storage::Timestamp(buf) => buf.put(arena, index, [0; 8]).map(|()| true)?,
            Storage::Decimal(buf, _) | Storage::Uuid(buf, _) => {
                buf.put(arena, index, [0; 16]).map(|()| true)?
            }
            Storage::Json(buf) => buf.push(arena, b"{}", 2).map(|()| false)?,
            Storage::Document(node) => node.append_blank(cx).map(|()| false)?,
            Storage::List(node) => node.append_empty(cx).map(|()| false)?,
            Storage::Map(node) => node.append_empty(cx).map(|()| false)?,
        };
        if nullable {
            self.validity.flip(cx.arena, index)?;
        }
        self.len += 1;
        Ok(())
    }
}

/// A value whose frame has been checked.
#[derive(Clone, Copy)]
pub(super) struct Value {
    pub(super) tag: u8,
    pub(super) at: usize,
    pub(super) next: usize,
}

/// Appends item `index` of a column of scalars; `false`, and nothing done, if the value does not fit it.
fn append_scalar(
    storage: &mut Storage,
    cx: &mut Context<'_>,
    index: usize,
    value: Value,
) -> Result<bool, RowError> {
    let Value { tag, at, next } = value;
    match (storage, tag) {
        (Storage::String(buf), tag::STRING | tag::SYMBOL) => {
            let (start, len) = cx.string(at, next)?;
            if cx.strict && simdutf8::basic::from_utf8(&cx.bytes[start..start + len]).is_err() {
                return Err(RowError::Malformed(RawError::InvalidUtf8));
            }
            buf.push(cx.arena, &cx.bytes[start..], len)?;
            Ok(true)
        }
        (Storage::Int32(buf), _) => {
            let value = integer(cx, value)?.and_then(|value| i32::try_from(value).ok());
            put(cx, buf, index, value.map(i32::to_le_bytes))
        }
        (Storage::Int64(buf, _), _) => put(cx, buf, index, integer(cx, value)?.map(i64::to_le_bytes)),
        (Storage::Double(buf), _) => put(cx, buf, index, double(cx, value)?.map(f64::to_le_bytes)),
        (Storage::Decimal(buf, scale), _) => {
            put(cx, buf, index, decimal(cx, value, *scale)?.map(i128::to_le_bytes))
        }
        (Storage::Timestamp(buf), tag::TIMESTAMP) => put(cx, buf, index, Some(cx.read(at, next)?)),
        (Storage::Date(buf, dates), tag::DATE) => {
            let (value, dates) = (cx.read(at, next)?, *dates);
            put(cx, buf, index, Some(value).filter(|&ms| dates.holds(i64::from_le_bytes(ms))))
        }
        (Storage::Bool(buf), tag::BOOLEAN) => {
            if cx.read(at, next)? == [1] {
                buf.flip(cx.arena, index)?;
            }
            Ok(true)
        }
        (Storage::ObjectId(buf), tag::OBJECT_ID) => {
            let hex = text::object_id_hex(cx.read(at, next)?);
            buf.push(cx.arena, &hex, hex.len())?;
            Ok(true)
        }
        (Storage::ObjectIdFixed(buf), tag::OBJECT_ID) => put(cx, buf, index, Some(cx.read(at, next)?)),
        (Storage::Uuid(buf, order), tag::BINARY) => {
            let is_uuid = next - at == 21 && cx.bytes[at + 4] == order.subtype();
            let uuid = if is_uuid { Some(order.reorder(cx.read(at + 5, next)?)) } else { None };
            put(cx, buf, index, uuid)
        }
        (Storage::Binary(buf, subtype), tag::BINARY) if cx.bytes[at + 4] == *subtype => {
            let data = cx.binary_data(at, next)?;
            buf.push(cx.arena, &cx.bytes[data..], next - data)?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// The integer that is equal to a number, if there is one.
#[inline]
fn integer(cx: &Context<'_>, value: Value) -> Result<Option<i64>, RowError> {
    let Value { tag, at, next } = value;
    Ok(match tag {
        tag::INT32 => Some(i32::from_le_bytes(cx.read(at, next)?).into()),
        tag::INT64 => Some(i64::from_le_bytes(cx.read(at, next)?)),
        tag::DOUBLE => convert::integral(f64::from_le_bytes(cx.read(at, next)?)),
        tag::DECIMAL128 => convert::decimal_as_integer(Decimal::from_bytes(cx.read(at, next)?)),
        _ => None,
    })
}

/// The double that stands for a number, if there is one.
#[inline]
fn double(cx: &Context<'_>, value: Value) -> Result<Option<f64>, RowError> {
    let Value { tag, at, next } = value;
    Ok(match tag {
        tag::INT32 => Some(i32::from_le_bytes(cx.read(at, next)?).into()),
        tag::INT64 => convert::exact_double(i64::from_le_bytes(cx.read(at, next)?)),
        tag::DOUBLE => Some(f64::from_le_bytes(cx.read(at, next)?)),
        tag::DECIMAL128 => convert::decimal_as_double(Decimal::from_bytes(cx.read(at, next)?)),
        _ => None,
    })
}

/// A number as a decimal of this scale, if there is one.
#[inline]
fn decimal(cx: &Context<'_>, value: Value, scale: u8) -> Result<Option<i128>, RowError> {
    let Value { tag, at, next } = value;
    Ok(match tag {
        tag::INT32 => convert::integer_as_decimal(i32::from_le_bytes(cx.read(at, next)?).into(), scale),
        tag::INT64 => convert::integer_as_decimal(i64::from_le_bytes(cx.read(at, next)?), scale),
        tag::DOUBLE => {
            let value = convert::double_as_decimal(f64::from_le_bytes(cx.read(at, next)?));
            value.and_then(|value| value.to_scaled(scale))
        }
        tag::DECIMAL128 => Decimal::from_bytes(cx.read(at, next)?).to_scaled(scale),
        _ => None,
    })
}

#[inline]
fn put<const N: usize>(
    cx: &mut Context<'_>,
    buf: &mut Fixed<N>,
    index: usize,
    item: Option<[u8; N]>,
) -> Result<bool, RowError> {
    let arena: &mut Arena = cx.arena;
    match item {
        Some(item) => buf.put(arena, index, item).map(|()| true),
        None => Ok(false),
    }
}
