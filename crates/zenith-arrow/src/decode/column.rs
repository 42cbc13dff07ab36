//! One column: where its values lie, and the life of its buffers from batch to batch.
//!
//! Other modules append values: [`expected`](super::expected) for those the column was made for,
//! [`append`](super::append) for any.

use zenith_bson::{RawValue, tag};
use zenith_memory::Pool;

use super::append::Value;
use super::buffers::{Arena, Bits, Bytes, Fixed};
use super::context::{Context, RowError};
use super::document::DocumentNode;
use super::list::ListNode;
use super::map::MapNode;
use super::overflow::{Key, Odd};
use super::tally::Tally;
use super::twin::TwinColumn;
use crate::fit::{self, MismatchReason};
use crate::schema::{Blank, DateRange, Limit, TextType};
use crate::{Field, Kind, UuidOrder};

/// What holds for all columns of a decoder.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) pool: &'a Pool,
    /// Explicit nulls are distinguished from missing fields.
    pub(super) keep_nulls: bool,
    pub(super) dates: DateRange,
}

/// A column being filled.
///
/// What each value needs lies in front and close together, what is asked for where a value does not fit stands apart:
/// with many columns, each line of the cache counts.
#[repr(C)]
pub(super) struct Column {
    /// Items so far.
    pub(super) len: usize,
    pub(super) storage: Storage,
    pub(super) validity: Bits<true>,
    pub(super) about: Box<About>,
    /// Holds keys, which are never NULL.
    pub(super) required: bool,
    /// Does not hold every value of its kind.
    pub(super) limited: bool,
    /// Which items that show nothing are noted.
    pub(super) noted: Noted,
}

/// What is asked for where a value does not fit.
pub(super) struct About {
    /// The key, of values of maps that of the current one; none of elements.
    name: Option<Vec<u8>>,
    /// The number that mismatches are counted under.
    field: u32,
    /// Which values of its kind it holds.
    pub(super) limit: Option<Limit>,
    /// What it holds, if it has no parts.
    leaf: Option<Kind>,
    dates: DateRange,
    /// The text of values that the column does not hold.
    pub(super) twin: Option<TwinColumn>,
    /// Of a column of elements, how many there were before the current array.
    pub(super) first: usize,
    /// A document whose parts are columns of their own.
    pub(super) is_flat: bool,
    /// What it holds, if it takes what texts say.
    pub(super) cast: Option<Kind>,
}

/// What has to be noted of an item that shows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Noted {
    pub(super) missing: bool,
    pub(super) null: bool,
    pub(super) empty: bool,
}

impl Noted {
    fn of(blank: Blank, keep_nulls: bool) -> Noted {
        let noted = |state: Blank| !state.is_as(blank, keep_nulls);
        Noted { missing: noted(Blank::Missing), null: noted(Blank::Null), empty: noted(Blank::Empty) }
    }
}

/// The values of a column, by kind.
pub(super) enum Storage {
    ObjectId(Bytes),
    ObjectIdFixed(Fixed<12>),
    MixedId(Bytes),
    Bool(Bits<false>),
    Int32(Fixed<4>),
    /// Whether the fast path expects 32-bit integers.
    Int64(Fixed<8>, bool),
    Double(Fixed<8>),
    Decimal(Fixed<16>, u8),
    DecimalText(Bytes),
    String(Bytes),
    Date(Fixed<8>, DateRange),
    Timestamp(Fixed<8>),
    Uuid(Fixed<16>, UuidOrder),
    Binary(Bytes, u8),
    Document(Box<DocumentNode>),
    List(Box<ListNode>),
    Map(Box<MapNode>),
    Json(Bytes),
    Text(Bytes, TextType),
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
            | Storage::Json($buffers)
            | Storage::Text($buffers, _) => $action,
            Storage::ObjectIdFixed($buffers) => $action,
            Storage::Bool($buffers) => $action,
            Storage::Int32($buffers) => $action,
            Storage::Int64($buffers, _)
            | Storage::Double($buffers)
            | Storage::Date($buffers, _)
            | Storage::Timestamp($buffers) => $action,
            Storage::Decimal($buffers, _) => $action,
            Storage::Uuid($buffers, _) => $action,
            Storage::Document($buffers) => $action,
            Storage::List($buffers) => $action,
            Storage::Map($buffers) => $action,
        }
    };
}

impl Column {
    /// The column of a key in the document at `path`.
    pub(super) fn field(field: &Field, path: &[u8], rules: Rules<'_>, tally: &mut Tally) -> Column {
        let path = join(path, field.name.as_bytes());
        let number = tally.field(&path);
        let mut column = Column::new(&field.kind, &path, number, rules, tally);
        column.about.name = Some(field.name.as_bytes().to_vec());
        column.about.cast = field.cast().cloned();
        column.about.is_flat = field.flat_parts().is_some();
        column.noted = match field.has_required() {
            true => Noted { missing: true, null: true, empty: true },
            false => Noted::of(field.blank, rules.keep_nulls),
        };
        column.about.limit = field.limit().cloned();
        column.limited = column.about.limit.is_some();
        column.about.twin = field.twin.as_ref().map(|twin| TwinColumn::new(twin.usual, rules.pool));
        column
    }

    /// The column of the elements of the array at `path`, of which those that show nothing are null or empty.
    pub(super) fn element(
        kind: &Kind,
        path: &[u8],
        number: u32,
        rules: Rules<'_>,
        tally: &mut Tally,
    ) -> Column {
        let mut column = Column::new(kind, path, number, rules, tally);
        column.noted.null = kind.is_never_null();
        column
    }

    /// The column of the values of the map at `path`.
    pub(super) fn entry(
        value: &Field,
        path: &[u8],
        number: u32,
        rules: Rules<'_>,
        tally: &mut Tally,
    ) -> Column {
        let mut column = Column::new(&value.kind, path, number, rules, tally);
        column.about.name = Some(Vec::new());
        column.about.cast = value.cast().cloned();
        column.about.limit = value.limit().cloned();
        column.limited = column.about.limit.is_some();
        column
    }

    /// Gives the current item this key.
    pub(super) fn rename(&mut self, key: &[u8]) {
        let name = self.about.name.get_or_insert_default();
        name.clear();
        name.extend_from_slice(key);
    }

    fn new(kind: &Kind, path: &[u8], number: u32, rules: Rules<'_>, tally: &mut Tally) -> Column {
        let pool = rules.pool;
        let bytes = || Bytes::new(pool);
        let storage = match kind {
            Kind::ObjectId => Storage::ObjectId(bytes()),
            Kind::ObjectIdFixed => Storage::ObjectIdFixed(Fixed::new(pool)),
            Kind::MixedId => Storage::MixedId(bytes()),
            Kind::Bool => Storage::Bool(Bits::new(pool)),
            Kind::Int32 => Storage::Int32(Fixed::new(pool)),
            Kind::Int64 => Storage::Int64(Fixed::new(pool), true),
            Kind::Double => Storage::Double(Fixed::new(pool)),
            Kind::Decimal { scale } => Storage::Decimal(Fixed::new(pool), *scale),
            Kind::DecimalText => Storage::DecimalText(bytes()),
            Kind::String | Kind::Category => Storage::String(bytes()),
            Kind::Date => Storage::Date(Fixed::new(pool), rules.dates),
            Kind::Timestamp => Storage::Timestamp(Fixed::new(pool)),
            Kind::Uuid(order) => Storage::Uuid(Fixed::new(pool), *order),
            Kind::Binary { subtype } => Storage::Binary(bytes(), *subtype),
            Kind::Json => Storage::Json(bytes()),
            Kind::Text { usual } => Storage::Text(bytes(), *usual),
            Kind::Document(fields) => {
                Storage::Document(Box::new(DocumentNode::new(fields, path, rules, tally)))
            }
            Kind::Array(element) => {
                Storage::List(Box::new(ListNode::new(element, path, number, rules, tally)))
            }
            Kind::Map(value) => Storage::Map(Box::new(MapNode::new(value, path, number, rules, tally))),
        };
        let leaf = (!kind.has_parts()).then(|| kind.clone());
        Column {
            storage,
            validity: Bits::new(pool),
            len: 0,
            required: false,
            limited: false,
            noted: Noted::default(),
            about: Box::new(About {
                name: None,
                field: number,
                limit: None,
                leaf,
                dates: rules.dates,
                twin: None,
                first: 0,
                is_flat: false,
                cast: None,
            }),
        }
    }

    /// The key or position of the current item in its document or array.
    pub(super) fn key(&self) -> Key<'_> {
        match &self.about.name {
            Some(name) => Key::Name(name),
            None => Key::Position(self.len - self.about.first),
        }
    }

    /// The number that mismatches are counted under.
    pub(super) fn number(&self) -> u32 {
        self.about.field
    }

    /// Writes the value of the current item to the extra text.
    #[cold]
    pub(super) fn overflow(
        &self,
        cx: &mut Context<'_>,
        value: Value,
        mismatch: Option<MismatchReason>,
    ) -> Result<(), RowError> {
        let raw = RawValue { tag: value.tag, bytes: &cx.bytes[value.at..value.next] };
        let mismatch = mismatch.or_else(|| fit::leaf(self.about.leaf.as_ref()?, raw, self.about.dates));
        let mismatch = mismatch.unwrap_or(match self.about.limit {
            Some(_) => MismatchReason::OutOfRange,
            None => MismatchReason::OtherType(value.tag),
        });
        cx.overflow.value(self.key(), raw, self.about.field, mismatch)
    }

    /// Writes a note on the current item.
    pub(super) fn note(&self, cx: &mut Context<'_>, word: &str) -> Result<(), RowError> {
        cx.overflow.word(self.key(), word)
    }

    /// Ends an item of parts that shows nothing, or of which something was written since `before`: that is put behind the
    /// item's key.
    #[inline(never)]
    pub(super) fn note_parts(&self, cx: &mut Context<'_>, before: Odd) -> Result<(), RowError> {
        let odd = cx.overflow.odd;
        if odd.has_entries_since(before) {
            cx.overflow.nest(before, self.key(), matches!(self.storage, Storage::List(_)))
        } else if odd != before && self.noted.empty {
            self.note(cx, Blank::Empty.word())
        } else {
            Ok(())
        }
    }

    /// Whether the fast path may take values: it knows of no limits.
    pub(super) fn has_fast_path(&self) -> bool {
        !self.limited
    }

    /// Makes the fast path expect values of this type, if it can; whether it expected others before.
    pub(super) fn expect(&mut self, type_tag: u8) -> bool {
        match (&mut self.storage, type_tag) {
            (Storage::Int64(_, narrow), tag::INT32 | tag::INT64) => {
                let wanted = type_tag == tag::INT32;
                std::mem::replace(narrow, wanted) != wanted
            }
            _ => false,
        }
    }

    /// The BSON type most values of this column are expected to have.
    pub(super) fn expected_tag(&self) -> u8 {
        match &self.storage {
            Storage::ObjectId(_) | Storage::ObjectIdFixed(_) | Storage::MixedId(_) => tag::OBJECT_ID,
            Storage::Bool(_) => tag::BOOLEAN,
            Storage::Int32(_) => tag::INT32,
            Storage::Int64(_, true) => tag::INT32,
            Storage::Int64(_, false) => tag::INT64,
            Storage::Double(_) => tag::DOUBLE,
            Storage::Decimal(..) | Storage::DecimalText(_) => tag::DECIMAL128,
            Storage::String(_) | Storage::Text(..) => tag::STRING,
            Storage::Date(..) => tag::DATE,
            Storage::Timestamp(_) => tag::TIMESTAMP,
            Storage::Uuid(..) | Storage::Binary(..) => tag::BINARY,
            Storage::Document(_) | Storage::Map(_) | Storage::Json(_) => tag::DOCUMENT,
            Storage::List(_) => tag::ARRAY,
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
            | Storage::Json(bytes)
            | Storage::Text(bytes, _) => bytes.items.truncate(len),
            Storage::Bool(bits) => bits.truncate(len),
            Storage::Document(node) => node.truncate(len),
            Storage::List(node) => node.truncate(len),
            Storage::Map(node) => node.truncate(len),
            // Items of fixed size lie where their number says; what is behind the last one is never read.
            Storage::ObjectIdFixed(_)
            | Storage::Int32(_)
            | Storage::Int64(..)
            | Storage::Double(_)
            | Storage::Decimal(..)
            | Storage::Date(..)
            | Storage::Timestamp(_)
            | Storage::Uuid(..) => {}
        }
        self.validity.truncate(len);
        self.len = self.len.min(len);
        if let Some(twin) = &mut self.about.twin {
            twin.truncate(len);
        }
    }

    /// Whether all text appended since the last check is UTF-8.
    pub(super) fn check_utf8(&mut self) -> bool {
        let own = match &mut self.storage {
            Storage::ObjectId(bytes)
            | Storage::MixedId(bytes)
            | Storage::DecimalText(bytes)
            | Storage::String(bytes)
            | Storage::Json(bytes)
            | Storage::Text(bytes, _) => bytes.items.check_utf8(),
            Storage::Document(node) => node.check_utf8(),
            Storage::List(node) => node.element.check_utf8(),
            Storage::Map(node) => node.check_utf8(),
            _ => true,
        };
        own && self.about.twin.as_mut().is_none_or(|twin| twin.check_utf8())
    }

    /// Bytes of the pool that [`Column::begin`] takes for a batch of `rows` rows.
    pub(super) fn room(&self, rows: usize) -> usize {
        let twin = self.about.twin.as_ref().map_or(0, |twin| twin.room(rows));
        each!(&self.storage, buffers => buffers.room(rows)) + self.validity.room(rows) + twin
    }

    /// Makes room for a batch of `rows` rows.
    pub(super) fn begin(&mut self, arena: &mut Arena, rows: usize) -> Result<(), RowError> {
        self.len = 0;
        self.validity.begin(arena, rows)?;
        if let Some(twin) = &mut self.about.twin {
            twin.begin(arena, rows)?;
        }
        each!(&mut self.storage, buffers => buffers.begin(arena, rows))
    }

    /// Gives all buffers back to the pool.
    pub(super) fn clear(&mut self, pool: &Pool) {
        self.len = 0;
        self.validity.clear(pool);
        if let Some(twin) = &mut self.about.twin {
            twin.clear(pool);
        }
        each!(&mut self.storage, buffers => buffers.clear(pool));
    }
}

/// The dotted path of a key in the document at `path`.
pub(super) fn join(path: &[u8], key: &[u8]) -> Vec<u8> {
    if path.is_empty() { key.to_vec() } else { [path, b".", key].concat() }
}

/// How many buffers the columns of a field have at most.
pub(super) fn buffers_of(field: &Field) -> usize {
    buffers(&field.kind) + if field.twin.is_some() { 3 } else { 0 }
}

/// How many buffers the columns of `kind` have at most.
fn buffers(kind: &Kind) -> usize {
    match kind {
        Kind::Document(fields) => fields.iter().map(buffers_of).sum(),
        Kind::Array(element) => 1 + buffers(element),
        // Offsets of the maps, and offsets and bytes of the keys.
        Kind::Map(value) => 3 + buffers_of(value),
        // Validity, offsets and values.
        _ => 3,
    }
}
