//! A sorting key to begin with, as a sample of the documents suggests it.

use std::collections::{HashMap, HashSet};

use zenith_arrow::{Field, Kind};
use zenith_bson::{Elements, tag};

use super::plan::ReloadPlan;

/// Fields that group documents, at the front of a key.
const GROUPS_MAX: usize = 2;
/// Documents of the sample that share one value of such a field, on average.
const GROUP_LEAST: usize = 20;

impl ReloadPlan {
    /// Columns that the table could be sorted by, without the `_id` that comes last: fields that every document of the
    /// sample has and whose values repeat, those with the fewest values first, then the date with the most values. Empty
    /// where the sample shows none.
    #[must_use]
    pub fn suggested_key(&self) -> Vec<KeyPart> {
        let fields = self.schema.fields.iter().filter(|field| is_plain(field));
        let mut values: HashMap<&[u8], Values<'_>> =
            fields.map(|field| (field.name.as_bytes(), Values::of(field))).collect();
        let documents = self.sample.documents();
        for document in &documents {
            for element in Elements::new(document).into_iter().flatten().flatten() {
                if let Some(values) = values.get_mut(element.key).filter(|_| element.value.tag != tag::NULL) {
                    values.present += 1;
                    values.distinct.insert(element.value.bytes);
                }
            }
        }
        let mut known: Vec<Values<'_>> = values.into_values().collect();
        known.retain(|values| values.present == documents.len() && values.distinct.len() > 1);
        known.sort_unstable_by_key(|values| (values.distinct.len(), values.column));
        let (dates, mut grouping): (Vec<_>, Vec<_>) = known.into_iter().partition(|values| values.is_date);
        grouping.retain(|values| values.distinct.len() * GROUP_LEAST <= documents.len());
        // The date with the most values is when something happened, and not when it is due.
        let parts = grouping.into_iter().take(GROUPS_MAX).chain(dates.into_iter().last());
        let part = |values: Values<'_>| KeyPart {
            column: values.column.to_owned(),
            is_date: values.is_date,
            values: values.distinct.len(),
        };
        parts.map(part).collect()
    }
}

/// A column of a sorting key, and what of the sample speaks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPart {
    /// The column.
    pub column: String,
    /// Whether it is a date.
    pub is_date: bool,
    /// How many values the sample has of it.
    pub values: usize,
}

/// The values of one field.
struct Values<'a> {
    column: &'a str,
    is_date: bool,
    /// Documents that have one.
    present: usize,
    distinct: HashSet<&'a [u8]>,
}

impl<'a> Values<'a> {
    fn of(field: &'a Field) -> Values<'a> {
        let is_date = field.kind == Kind::Date;
        Values { column: field.column_name(), is_date, present: 0, distinct: HashSet::new() }
    }
}

/// Whether a field names something or a time, and can be written in a key as it is.
fn is_plain(field: &Field) -> bool {
    let is_suitable = matches!(
        field.kind,
        Kind::ObjectId
            | Kind::ObjectIdFixed
            | Kind::Int32
            | Kind::Int64
            | Kind::String
            | Kind::Category
            | Kind::Uuid(_)
            | Kind::Date
    );
    let name = field.column_name();
    is_suitable
        && field.name != "_id"
        && field.twin.is_none()
        && name.starts_with(|first: char| first == '_' || first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
}
