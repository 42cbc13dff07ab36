//! One column: where its values lie, and the life of its buffers from batch to batch.
//!
//! How values get there stands elsewhere: [`expected`](super::expected) for those the column was made for,
//! [`append`](super::append) for any.

use zenith_memory::Pool;

use super::buffers::{Arena, Bits, Bytes, Fixed};
use super::context::Stop;
use super::document::DocumentNode;
use super::list::ListNode;
use crate::raw::tag;
use crate::{Kind, UuidOrder};

/// A column being filled.
pub(super) struct Column {
    /// Items so far.
    pub(super) len: usize,
    pub(super) storage: Storage,
    pub(super) validity: Bits<true>,
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
    Document(Box<DocumentNode>),
    List(Box<ListNode>),
    Json(Bytes),
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

    /// The BSON type most values of this column are expected to have.
    pub(super) fn expected_tag(&self) -> u8 {
        match &self.storage {
            Storage::ObjectId(_) | Storage::ObjectIdFixed(_) | Storage::MixedId(_) => tag::OBJECT_ID,
            Storage::Bool(_) => tag::BOOLEAN,
            Storage::Int32(_) => tag::INT32,
            Storage::Int64(_) => tag::INT64,
            Storage::Double(_) => tag::DOUBLE,
            Storage::Decimal(..) | Storage::DecimalText(_) => tag::DECIMAL128,
            Storage::String(_) => tag::STRING,
            Storage::Date(_) => tag::DATE,
            Storage::Timestamp(_) => tag::TIMESTAMP,
            Storage::Uuid(..) | Storage::Binary(..) => tag::BINARY,
            Storage::Document(_) | Storage::Json(_) => tag::DOCUMENT,
            Storage::List(_) => tag::ARRAY,
        }
    }

    pub(super) fn holds_array(&self) -> bool {
        match &self.storage {
            Storage::List(_) => true,
            Storage::Document(node) => node.holds_array,
            _ => false,
        }
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
        match &mut self.storage {
            Storage::ObjectId(bytes)
            | Storage::MixedId(bytes)
            | Storage::DecimalText(bytes)
            | Storage::String(bytes)
            | Storage::Binary(bytes, _)
            | Storage::Json(bytes) => bytes.items.truncate(len),
            Storage::Bool(bits) => bits.truncate(len),
            Storage::Document(node) => node.truncate(len),
            Storage::List(node) => node.truncate(len),
            // Items of fixed size lie where their number says; what is behind the last one is not looked at.
            Storage::ObjectIdFixed(_)
            | Storage::Int32(_)
            | Storage::Int64(_)
            | Storage::Double(_)
            | Storage::Decimal(..)
            | Storage::Date(_)
            | Storage::Timestamp(_)
            | Storage::Uuid(..) => {}
        }
        self.validity.truncate(len);
        self.len = self.len.min(len);
    }

    /// Whether all text appended since the last check is UTF-8.
    pub(super) fn check_utf8(&mut self) -> bool {
        match &mut self.storage {
            Storage::ObjectId(bytes)
            | Storage::MixedId(bytes)
            | Storage::DecimalText(bytes)
            | Storage::String(bytes)
            | Storage::Json(bytes) => bytes.items.check_utf8(),
            Storage::Document(node) => node.check_utf8(),
            Storage::List(node) => node.element.check_utf8(),
            _ => true,
        }
    }

    /// Bytes of the pool that [`Column::begin`] takes for a batch of `rows` rows.
    pub(super) fn room(&self, rows: usize) -> usize {
        each!(&self.storage, buffers => buffers.room(rows)) + self.validity.room(rows)
    }

    /// Makes room for a batch of `rows` rows.
    pub(super) fn begin(&mut self, arena: &mut Arena, rows: usize) -> Result<(), Stop> {
        self.len = 0;
        self.validity.begin(arena, rows)?;
        each!(&mut self.storage, buffers => buffers.begin(arena, rows))
    }

    /// Gives all buffers back to the pool.
    pub(super) fn clear(&mut self, pool: &Pool) {
        self.len = 0;
        self.validity.clear(pool);
        each!(&mut self.storage, buffers => buffers.clear(pool));
    }
}
