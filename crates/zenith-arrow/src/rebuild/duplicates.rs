//! The earlier values of repeated keys that an extra column keeps.

use bson::Bson;

use crate::extended_json::{Container, Json, JsonError, to_bson};

/// An earlier value of a key that comes again later in its document.
#[derive(Clone, Debug, PartialEq)]
pub struct Duplicate {
    /// Keys, and positions in arrays, from the top to the document that has the key.
    pub path: Vec<String>,
    /// The key.
    pub key: String,
    /// The value.
    pub value: Bson,
}

/// The earlier values of repeated keys noted in the text of an extra column, in order within each document.
/// Those inside such a value are not looked for.
///
/// # Errors
///
/// [`JsonError`] where the text is not an overlay.
pub fn duplicates(extra: &str) -> Result<Vec<Duplicate>, JsonError> {
    let mut found = Vec::new();
    if !extra.is_empty() {
        walk(&Json::parse(extra)?, &mut Vec::new(), &mut found)?;
    }
    Ok(found)
}

fn walk(json: &Json<'_>, path: &mut Vec<String>, found: &mut Vec<Duplicate>) -> Result<(), JsonError> {
    let mut inside = |key: String, json: &Json<'_>| {
        path.push(key);
        walk(json, path, found)?;
        path.pop();
        Ok(())
    };
    if let Json::Array(items) = json {
        return items.iter().enumerate().try_for_each(|(index, item)| inside(index.to_string(), item));
    }
    let Some(container) = Container::of(json)? else { return Ok(()) };
    container.pairs().try_for_each(|(key, value)| inside(key.to_owned(), value))?;
    for (key, value) in container.duplicates() {
        found.push(Duplicate { path: path.clone(), key: key.to_owned(), value: to_bson(value)? });
    }
    Ok(())
}
