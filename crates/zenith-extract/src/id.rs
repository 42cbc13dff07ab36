//! What the smallest and the largest `_id` say about the types of all.

use bson::spec::ElementType;
use bson::{RawBson, rawdoc};

/// The BSON types of the smallest and the largest `_id` of a collection that is not empty.
///
/// BSON order puts all values of one class (numbers; strings and symbols; ObjectIds; …) before those of the next, so two
/// ends of one class leave no room for another between them. Two index look-ups decide it, at any size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdTypes {
    /// The type of the smallest `_id`.
    pub smallest: ElementType,
    /// The type of the largest `_id`.
    pub largest: ElementType,
}

impl IdTypes {
    /// Whether every `_id` is of one class of types.
    #[must_use]
    pub fn one_class(&self) -> bool {
        class(self.smallest) == class(self.largest)
    }

    /// The type of every `_id`, where two look-ups are enough to know it.
    ///
    /// `None` for different classes, and for numbers (int32, int64, double and Decimal128 mix in one order; that they
    /// are numbers is what [`IdTypes::one_class`] says). Strings may still hide the deprecated symbol.
    #[must_use]
    pub fn single(&self) -> Option<ElementType> {
        (self.one_class() && !self.is_numeric()).then_some(self.smallest)
    }

    /// Widens them to those of a collection that has an `_id` of this type, too.
    pub(crate) fn take_in(&mut self, kind: ElementType) {
        if class(kind) < class(self.smallest) {
            self.smallest = kind;
        }
        if class(kind) > class(self.largest) {
            self.largest = kind;
        }
    }

    /// Whether every `_id` is a number.
    #[must_use]
    pub fn is_numeric(&self) -> bool {
        self.one_class() && class(self.smallest) == class(ElementType::Int32)
    }
}

/// Whether two values are the same to the byte: NaN is itself, 1 and 1.0 are two.
pub(crate) fn same(one: &RawBson, other: &RawBson) -> bool {
    let bytes = |value: &RawBson| rawdoc! { "": value.as_raw_bson_ref() }.into_bytes();
    bytes(one) == bytes(other)
}

/// The place of a type's class in BSON order, as in the server's `canonicalizeBSONType`.
pub(crate) fn class(kind: ElementType) -> u8 {
    match kind {
        ElementType::MinKey => 0,
        ElementType::Undefined => 1,
        ElementType::Null => 5,
        ElementType::Int32 | ElementType::Int64 | ElementType::Double | ElementType::Decimal128 => 10,
        ElementType::String | ElementType::Symbol => 15,
        ElementType::EmbeddedDocument => 20,
        ElementType::Array => 25,
        ElementType::Binary => 30,
        ElementType::ObjectId => 35,
        ElementType::Boolean => 40,
        ElementType::DateTime => 45,
        ElementType::Timestamp => 47,
        ElementType::RegularExpression => 50,
        ElementType::DbPointer => 55,
        ElementType::JavaScriptCode => 60,
        ElementType::JavaScriptCodeWithScope => 65,
        ElementType::MaxKey => 127,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_the_same_to_the_byte() {
        let nan = RawBson::Double(f64::NAN);
        assert!(same(&nan, &nan));
        assert!(!same(&RawBson::Int32(1), &RawBson::Int64(1)));
    }

    #[test]
    fn ends_of_one_class_decide() {
        let types = |smallest, largest| IdTypes { smallest, largest };
        assert_eq!(types(ElementType::ObjectId, ElementType::ObjectId).single(), Some(ElementType::ObjectId));
        assert_eq!(types(ElementType::Int32, ElementType::Int32).single(), None);
        assert!(types(ElementType::Int32, ElementType::Double).is_numeric());
        assert!(!types(ElementType::Int32, ElementType::ObjectId).one_class());
    }
}
