//! How many of the values counted at a path a column would hold, by the types of their texts.

use std::ops::{Index, IndexMut};

use super::census::Values;
use super::numbers;
use crate::schema::{Kind, TextType, UuidOrder};

/// A count for each type of text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally([u64; TextType::ALL.len()]);

impl Tally {
    pub(super) fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// What is left of these without others.
    pub(super) fn without(mut self, others: &Tally) -> Tally {
        self.0.iter_mut().zip(others.0).for_each(|(count, others)| *count = count.saturating_sub(others));
        self
    }

    /// The type with the highest count; of equals the first.
    pub(super) fn most(&self) -> TextType {
        let types = TextType::ALL.into_iter().rev();
        types.max_by_key(|&text_type| self[text_type]).unwrap_or(TextType::String)
    }
}

impl Index<TextType> for Tally {
    type Output = u64;

    fn index(&self, text_type: TextType) -> &u64 {
        &self.0[text_type as usize]
    }
}

impl IndexMut<TextType> for Tally {
    fn index_mut(&mut self, text_type: TextType) -> &mut u64 {
        &mut self.0[text_type as usize]
    }
}

/// The type of text that a binary value has.
fn binary_text(subtype: u8, is_uuid: bool) -> TextType {
    if is_uuid && subtype == UuidOrder::Standard.subtype() { TextType::Uuid } else { TextType::Other }
}

impl Values {
    /// All values that are not null.
    pub(super) fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for (text_type, count) in [
            (TextType::String, self.strings),
            (TextType::Number, self.numbers() + self.decimals),
            (TextType::Bool, self.booleans),
            (TextType::Date, self.dates),
            (TextType::ObjectId, self.object_ids),
            (TextType::Object, self.documents),
            (TextType::Array, self.arrays),
            (TextType::Other, self.timestamps + self.others),
        ] {
            tally[text_type] += count;
        }
        for (&(subtype, is_uuid), count) in &self.binaries {
            tally[binary_text(subtype, is_uuid)] += count;
        }
        tally
    }

    /// Whether a lone value beside the arrays counts as a list of one: at least half of the values are arrays.
    pub(super) fn takes_lone_values(&self) -> bool {
        self.arrays * 2 >= self.count()
    }

    /// The values that a column of this kind holds. A document or an array counts as held with any contents.
    pub(super) fn held(&self, kind: &Kind) -> Tally {
        let mut held = Tally::default();
        match kind {
            Kind::ObjectId | Kind::ObjectIdFixed => held[TextType::ObjectId] = self.object_ids,
            Kind::MixedId | Kind::Text { .. } => held = self.tally(),
            Kind::Bool => held[TextType::Bool] = self.booleans,
            Kind::Int32 | Kind::Int64 | Kind::Double | Kind::Decimal { .. } | Kind::DecimalText => {
                held[TextType::Number] = numbers::held(self, kind);
            }
            Kind::String | Kind::Category => held[TextType::String] = self.strings,
            Kind::Date => held[TextType::Date] = self.dates - self.far_dates,
            Kind::Timestamp => held[TextType::Other] = self.timestamps,
            Kind::Uuid(order) => {
                let subtype = order.subtype();
                let count = self.binaries.get(&(subtype, true)).copied().unwrap_or_default();
                held[binary_text(subtype, true)] = count;
            }
            Kind::Binary { subtype } => {
                for is_uuid in [false, true] {
                    let count = self.binaries.get(&(*subtype, is_uuid)).copied().unwrap_or_default();
                    held[binary_text(*subtype, is_uuid)] += count;
                }
            }
            Kind::Document(_) | Kind::Map(_) | Kind::Json => held[TextType::Object] = self.documents,
            Kind::Array(element) => {
                if self.takes_lone_values() && !matches!(**element, Kind::Array(_)) {
                    held = self.held(element);
                }
                held[TextType::Array] = self.arrays;
            }
        }
        held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tallies_count_by_type() {
        let mut all = Tally::default();
        for (count, text_type) in (1..).zip(TextType::ALL) {
            all[text_type] = count;
        }
        assert_eq!((all.total(), all.most()), (45, TextType::Other));
        let mut others = Tally::default();
        others[TextType::Other] = 8;
        assert_eq!(all.without(&others).most(), TextType::Array);
        assert_eq!(Tally::default().most(), TextType::String);
    }
}
