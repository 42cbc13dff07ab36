//! Lays the extra column's overlay over what the columns show.

use bson::{Bson, Document};

use crate::extended_json::{Container, Json, JsonError, MISSING_KEY, to_bson};
use crate::schema::{Field, Kind, Schema};

/// What stands in the place an overlay's value goes to.
#[derive(Clone, Copy)]
enum Place<'s> {
    /// A document with these columns: an object in the overlay adds to it.
    Columns(&'s [Field]),
    /// A JSON column, or a path in one: an object adds to an object.
    Json,
    /// Anything else is replaced.
    Value,
}

impl<'s> Place<'s> {
    fn of(kind: &'s Kind) -> Self {
        match kind {
            Kind::Document(fields) => Place::Columns(fields),
            Kind::Json => Place::Json,
            _ => Place::Value,
        }
    }

    fn inside(self, key: &str) -> Self {
        match self {
            Place::Columns(fields) => fields
                .iter()
                .find(|field| field.name == key)
                .map_or(Place::Value, |field| Place::of(&field.kind)),
            Place::Json => Place::Json,
            Place::Value => Place::Value,
        }
    }
}

/// Puts every value of the overlay in its place.
pub(super) fn lay_over(document: &mut Document, schema: &Schema, text: &str) -> Result<(), JsonError> {
    let json = Json::parse(text)?;
    let container = Container::of(&json)?.ok_or(JsonError::NotAnObject)?;
    pairs(document, Place::Columns(&schema.fields), container, schema.keep_nulls)
}

fn pairs(
    document: &mut Document,
    place: Place<'_>,
    container: Container<'_, '_>,
    keep_nulls: bool,
) -> Result<(), JsonError> {
    for (key, json) in container.pairs() {
        match (json, Container::of(json)?, place.inside(key)) {
            (Json::Null, ..) if keep_nulls => {
                document.insert(key, Bson::Null);
            }
            (Json::Null, ..) => {
                document.remove(key);
            }
            (Json::Object(pairs), None, _) if matches!(pairs.as_slice(), [(key, _)] if key == MISSING_KEY) => {
                document.remove(key);
            }
            (_, Some(container), inside @ (Place::Columns(_) | Place::Json)) => {
                if !matches!(document.get(key), Some(Bson::Document(_))) {
                    document.insert(key, Document::new());
                }
                if let Some(Bson::Document(document)) = document.get_mut(key) {
                    self::pairs(document, inside, container, keep_nulls)?;
                }
            }
            _ => {
                document.insert(key, to_bson(json)?);
            }
        }
    }
    Ok(())
}
