//! One column: where its values lie, and how a BSON value gets there.

use zenith_memory::Pool;

use super::buffers::{Arena, Bits, Bytes, Fixed};
use super::context::{Context, Stop};
use super::convert;
use super::document::DocumentNode;
use super::list::ListNode;
use super::text;
use crate::raw::{Decimal, RawError, tag};
use crate::{Kind, UuidOrder};

/// What became of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is in the column.
    Value,
    /// The column holds nothing: the value was null, or the extra column has it.
    Nothing,
}

/// A column being filled.
pub(super) struct Column {
    pub(super) storage: Storage,
    pub(super) validity: Bits<true>,
    /// Items so far.
    pub(super) len: usize,
    /// Cannot be NULL, so that a missing value has to be noted.
    pub(super) required: bool,
}

/// The values of a column, by kind.
pub(super) enum Storage {
    ObjectId(Bytes),
    ObjectIdFixed(Fixed<12>),
    MixedId(Bytes),
    Bool(Bits<false>),
    Int32(Fixed<4>),
    Int64(Fixed<8>),
    Double(Fixed<8>),
    Decimal(Fixed<16>, u8),
    DecimalText(Bytes),
    String(Bytes),
    Date(Fixed<8>),
    Timestamp(Fixed<8>),
    Uuid(Fixed<16>, UuidOrder),
    Binary(Bytes, u8),
    Json(Bytes),
    Document(Box<DocumentNode>),
    List(Box<ListNode>),
}

/// Does the same with the buffers of a column, whatever its kind.
macro_rules! each {
    ($storage:expr, $buffers:ident => $action:expr) => {
        match $storage {
            Storage::ObjectId($buffers)
            | Storage::MixedId($buffers)
            | Storage::DecimalText($buffers)
            | Storage::String($buffers)
            | Storage::Binary($buffers, _)
            | Storage::Json($buffers) => $action,
            Storage::ObjectIdFixed($buffers) => $action,
            Storage::Bool($buffers) => $action,
            Storage::Int32($buffers) => $action,
            Storage::Int64($buffers)
            | Storage::Double($buffers)
            | Storage::Date($buffers)
            | Storage::Timestamp($buffers) => $action,
            Storage::Decimal($buffers, _) => $action,
            Storage::Uuid($buffers, _) => $action,
            Storage::Document($buffers) => $action,
            Storage::List($buffers) => $action,
        }
    };
}

impl Column {
    pub(super) fn new(kind: &Kind, pool: &Pool) -> Column {
        let bytes = || Bytes::new(pool);
        let storage = match kind {
            Kind::ObjectId => Storage::ObjectId(bytes()),
            Kind::ObjectIdFixed => Storage::ObjectIdFixed(Fixed::new(pool)),
            Kind::MixedId => Storage::MixedId(bytes()),
            Kind::Bool => Storage::Bool(Bits::new(pool)),
            Kind::Int32 => Storage::Int32(Fixed::new(pool)),
            Kind::Int64 => Storage::Int64(Fixed::new(pool)),
            Kind::Double => Storage::Double(Fixed::new(pool)),
            Kind::Decimal { scale } => Storage::Decimal(Fixed::new(pool), *scale),
            Kind::DecimalText => Storage::DecimalText(bytes()),
            Kind::String | Kind::Category => Storage::String(bytes()),
            Kind::Date => Storage::Date(Fixed::new(pool)),
            Kind::Timestamp => Storage::Timestamp(Fixed::new(pool)),
            Kind::Uuid(order) => Storage::Uuid(Fixed::new(pool), *order),
            Kind::Binary { subtype } => Storage::Binary(bytes(), *subtype),
            Kind::Json => Storage::Json(bytes()),
            Kind::Document(fields) => Storage::Document(Box::new(DocumentNode::new(fields, pool))),
            Kind::Array(element) => Storage::List(Box::new(ListNode::new(element, pool))),
        };
        Column { storage, validity: Bits::new(pool), len: 0, required: false }
    }

    /// Appends the value of type `tag` at `at` and returns the position after it.
    ///
    /// A value that does not fit is skipped: the column gets a null and the row is marked dirty, or,
    /// inside an array, [`Stop::Misfit`] is returned.
    #[inline(always)]
    pub(super) fn append(
        &mut self,
        cx: &mut Context<'_>,
        type_tag: u8,
        at: usize,
        limit: usize,
    ) -> Result<(usize, Outcome), Stop> {
        let next = match (&mut self.storage, type_tag) {
            (Storage::String(buf), tag::STRING) => {
                let (start, len) = cx.string(at, limit)?;
                if cx.strict && simdutf8::basic::from_utf8(&cx.bytes[start..start + len]).is_err() {
                    return Err(Stop::Malformed(RawError::InvalidUtf8));
                }
                buf.push(cx.arena, cx.bytes, start, len)?;
                start + len + 1
            }
            (Storage::Int32(buf), tag::INT32) => {
                let value = cx.read(at, limit)?;
                buf.push(cx.arena, value)?;
                at + 4
            }
            (Storage::Int64(buf), tag::INT64)
            | (Storage::Double(buf), tag::DOUBLE)
            | (Storage::Timestamp(buf), tag::TIMESTAMP) => {
                let value = cx.read(at, limit)?;
                buf.push(cx.arena, value)?;
                at + 8
            }
            (Storage::ObjectId(buf), tag::OBJECT_ID) => {
                let value = cx.read(at, limit)?;
                buf.push_with(cx.arena, |out| text::object_id_hex(value, out))?;
                at + 12
            }
            (Storage::Date(buf), tag::DATE) => {
                let value = cx.read(at, limit)?;
                if !convert::date_fits(i64::from_le_bytes(value)) {
                    return self.append_misfit(cx, at + 8);
                }
                buf.push(cx.arena, value)?;
                at + 8
            }
            (Storage::Bool(buf), tag::BOOLEAN) => {
                match cx.read::<1>(at, limit)? {
                    [0] => {}
                    [1] => buf.flip(cx.arena, self.len)?,
                    [other] => return Err(Stop::Malformed(RawError::Boolean(other))),
                }
                at + 1
            }
            (Storage::Document(node), tag::DOCUMENT) => {
                let (next, any) = node.append(cx, at, limit)?;
                self.len += 1;
                if !any {
                    // Nothing in the columns tells an empty document from a missing one.
                    cx.misfit()?;
                }
                return Ok((next, Outcome::Value));
            }
            (Storage::List(node), tag::ARRAY) => {
                let next = node.append(cx, at, limit)?;
                self.len += 1;
                return Ok((next, Outcome::Value));
            }
            _ => return self.append_rare(cx, type_tag, at, limit),
        };
        self.len += 1;
        Ok((next, Outcome::Value))
    }

    /// Everything but the expected type: nulls, conversions, misfits, and the kinds that are rare.
    #[inline(never)]
    fn append_rare(
        &mut self,
        cx: &mut Context<'_>,
        type_tag: u8,
        at: usize,
        limit: usize,
    ) -> Result<(usize, Outcome), Stop> {
        if type_tag == tag::NULL && !matches!(self.storage, Storage::MixedId(_)) {
            if cx.keep_nulls {
                cx.misfit()?;
            }
            self.append_missing(cx)?;
            return Ok((at, Outcome::Nothing));
        }
        let next = cx.skip_value(type_tag, at, limit)?;
        let fits = match (&mut self.storage, type_tag) {
            (Storage::Int32(buf), tag::INT64) => push_if(
                cx.arena,
                buf,
                i32::try_from(i64::from_le_bytes(cx.read(at, limit)?)).ok().map(i32::to_le_bytes),
            )?,
            (Storage::Int32(buf), tag::DOUBLE) => {
                let value = convert::integral(f64::from_le_bytes(cx.read(at, limit)?));
                push_if(cx.arena, buf, value.and_then(|v| i32::try_from(v).ok()).map(i32::to_le_bytes))?
            }
            (Storage::Int64(buf), tag::INT32) => {
                let value = i64::from(i32::from_le_bytes(cx.read(at, limit)?));
                push_if(cx.arena, buf, Some(value.to_le_bytes()))?
            }
            (Storage::Int64(buf), tag::DOUBLE) => {
                let value = convert::integral(f64::from_le_bytes(cx.read(at, limit)?));
                push_if(cx.arena, buf, value.map(i64::to_le_bytes))?
            }
            (Storage::Double(buf), tag::INT32) => {
                let value = f64::from(i32::from_le_bytes(cx.read(at, limit)?));
                push_if(cx.arena, buf, Some(value.to_le_bytes()))?
            }
            (Storage::Double(buf), tag::INT64) => {
                let value = convert::exact_double(i64::from_le_bytes(cx.read(at, limit)?));
                push_if(cx.arena, buf, value.map(f64::to_le_bytes))?
            }
            (Storage::Decimal(buf, scale), tag::DECIMAL128) => {
                let value = Decimal::from_bytes(cx.read(at, limit)?).to_scaled(*scale);
                push_if(cx.arena, buf, value.map(i128::to_le_bytes))?
            }
            (Storage::Decimal(buf, scale), tag::INT32) => {
                let value = i64::from(i32::from_le_bytes(cx.read(at, limit)?));
                push_if(cx.arena, buf, convert::integer_as_decimal(value, *scale).map(i128::to_le_bytes))?
            }
            (Storage::Decimal(buf, scale), tag::INT64) => {
                let value = i64::from_le_bytes(cx.read(at, limit)?);
                push_if(cx.arena, buf, convert::integer_as_decimal(value, *scale).map(i128::to_le_bytes))?
            }
            (Storage::String(buf), tag::SYMBOL) => {
                let (start, len) = cx.string(at, limit)?;
                if cx.strict && simdutf8::basic::from_utf8(&cx.bytes[start..start + len]).is_err() {
                    return Err(Stop::Malformed(RawError::InvalidUtf8));
                }
                buf.push(cx.arena, cx.bytes, start, len)?;
                true
            }
            (Storage::ObjectIdFixed(buf), tag::OBJECT_ID) => {
                let value = cx.read(at, limit)?;
                push_if(cx.arena, buf, Some(value))?
            }
            (Storage::Uuid(buf, order), tag::BINARY) => {
                let value = if next - at == 21 && cx.bytes[at + 4] == order.subtype() {
                    Some(order.reorder(cx.read(at + 5, limit)?))
                } else {
                    None
                };
                push_if(cx.arena, buf, value)?
            }
            (Storage::Binary(buf, subtype), tag::BINARY) if cx.bytes[at + 4] == *subtype => {
                let data = cx.binary_data(at, next)?;
                buf.push(cx.arena, cx.bytes, data, next - data)?;
                true
            }
            (Storage::DecimalText(_) | Storage::MixedId(_) | Storage::Json(_), _) => {
                return self.append_text(cx, type_tag, at, next);
            }
            _ => false,
        };
        if !fits {
            return self.append_misfit(cx, next);
        }
        self.len += 1;
        Ok((next, Outcome::Value))
    }

    /// Kinds that are stored as text made from the value.
    fn append_text(
        &mut self,
        cx: &mut Context<'_>,
        type_tag: u8,
        at: usize,
        next: usize,
    ) -> Result<(usize, Outcome), Stop> {
        let value = &cx.bytes[at..next];
        let scratch = &mut *cx.scratch;
        scratch.clear();
        let (buf, made) = match &mut self.storage {
            Storage::DecimalText(buf) => (buf, text::decimal(type_tag, value, scratch)?),
            Storage::MixedId(buf) => (buf, text::mixed_id(type_tag, value, scratch)?),
            Storage::Json(buf) => (buf, text::json(type_tag, value, scratch, cx.keep_nulls)?),
            _ => return self.append_misfit(cx, next),
        };
        match made {
            text::Made::Whole => {}
            // What the text cannot say is for the extra column.
            text::Made::Partly if cx.arrays > 0 => return Err(Stop::Misfit),
            text::Made::Partly => cx.dirty = true,
            text::Made::Not => return self.append_misfit(cx, next),
        }
        buf.push(cx.arena, cx.scratch, 0, cx.scratch.len())?;
        self.len += 1;
        Ok((next, Outcome::Value))
    }

    #[cold]
    fn append_misfit(&mut self, cx: &mut Context<'_>, next: usize) -> Result<(usize, Outcome), Stop> {
        cx.misfit()?;
        self.append_blank(cx)?;
        Ok((next, Outcome::Nothing))
    }

    /// Appends a row for a missing or null field.
    #[inline]
    pub(super) fn append_missing(&mut self, cx: &mut Context<'_>) -> Result<(), Stop> {
        if self.required || self.holds_array() {
            // An array or key cannot be NULL in the target, so "missing" has to be noted.
            cx.misfit()?;
        }
        self.append_blank(cx)
    }

    fn holds_array(&self) -> bool {
        match &self.storage {
            Storage::List(_) => true,
            Storage::Document(node) => node.holds_array,
            _ => false,
        }
    }

    /// Appends an item that holds nothing.
    pub(super) fn append_blank(&mut self, cx: &mut Context<'_>) -> Result<(), Stop> {
        let arena = &mut *cx.arena;
        match &mut self.storage {
            Storage::ObjectId(buf)
            | Storage::MixedId(buf)
            | Storage::DecimalText(buf)
            | Storage::String(buf)
            | Storage::Binary(buf, _) => buf.push(arena, &[], 0, 0)?,
            Storage::ObjectIdFixed(buf) => buf.push(arena, [0; 12])?,
            Storage::Bool(_) => {}
            Storage::Int32(buf) => buf.push(arena, [0; 4])?,
            Storage::Int64(buf) | Storage::Double(buf) | Storage::Date(buf) | Storage::Timestamp(buf) => {
                buf.push(arena, [0; 8])?;
            }
            Storage::Decimal(buf, _) | Storage::Uuid(buf, _) => buf.push(arena, [0; 16])?,
            Storage::Json(buf) => {
                buf.push(arena, b"{}", 0, 2)?;
                self.len += 1;
                return Ok(());
            }
            Storage::Document(node) => {
                node.append_blank(cx)?;
                self.len += 1;
                return Ok(());
            }
            Storage::List(node) => {
                node.append_empty(cx)?;
                self.len += 1;
                return Ok(());
            }
        }
        self.validity.flip(cx.arena, self.len)?;
        self.len += 1;
        Ok(())
    }

    /// Whether an element of an array of this kind may be null.
    pub(super) fn element_nullable(&self) -> bool {
        !matches!(self.storage, Storage::Document(_) | Storage::List(_) | Storage::Json(_))
    }

    pub(super) fn as_document(&mut self) -> Option<&mut DocumentNode> {
        match &mut self.storage {
            Storage::Document(node) => Some(node),
            _ => None,
        }
    }

    /// Drops all items from `len` on.
    pub(super) fn truncate(&mut self, len: usize) {
        each!(&mut self.storage, buffers => buffers.truncate(len));
        self.validity.truncate(len);
        self.len = self.len.min(len);
    }

    /// Whether all strings appended since the last check are UTF-8.
    pub(super) fn check_utf8(&mut self) -> bool {
        match &mut self.storage {
            Storage::String(buf) => buf.check_utf8(),
            Storage::Document(node) => node.check_utf8(),
            Storage::List(node) => node.element.check_utf8(),
            _ => true,
        }
    }

    /// Bytes a row of the batch took lately, in all buffers of this column.
    pub(super) fn per_row(&self) -> f64 {
        each!(&self.storage, buffers => buffers.per_row()) + self.validity.per_row()
    }

    /// Gives all buffers back to the pool.
    pub(super) fn clear(&mut self, pool: &Pool) {
        self.len = 0;
        self.validity.clear(pool);
        each!(&mut self.storage, buffers => buffers.clear(pool));
    }

    /// Makes room for a batch of `rows` rows.
    pub(super) fn begin(&mut self, arena: &mut Arena, rows: usize) -> Result<(), Stop> {
        self.len = 0;
        self.validity.begin(arena, rows)?;
        each!(&mut self.storage, buffers => buffers.begin(arena, rows))
    }
}

#[inline]
fn push_if<const N: usize>(
    arena: &mut Arena,
    buf: &mut Fixed<N>,
    item: Option<[u8; N]>,
) -> Result<bool, Stop> {
    match item {
        Some(item) => buf.push(arena, item).map(|()| true),
        None => Ok(false),
    }
}
