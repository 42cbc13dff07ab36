//! The field that something is said of: by the name of its column, or by the dotted path of a part of a document.

use zenith_arrow::schema::ID_KEY;
use zenith_arrow::{Field, Kind, Schema};

/// A field, and whether it is a part of a column and none itself.
pub(super) struct Place<'s> {
    pub(super) field: &'s mut Field,
    pub(super) is_part: bool,
}

/// Finds the field, or makes one of this kind where the sample has none.
///
/// # Errors
/// Why there can be none, in words that follow the name.
pub(super) fn place<'s>(
    schema: &'s mut Schema,
    name: &str,
    kind: impl FnOnce() -> Kind,
) -> Result<Place<'s>, String> {
    let keys: Option<Vec<String>> =
        schema.keys_of(name).map(|keys| keys.into_iter().map(str::to_owned).collect());
    let keys = keys.unwrap_or_else(|| keys_of(&schema.fields, name));
    let (mut fields, mut is_part) = (&mut schema.fields, false);
    let Some((last, parents)) = keys.split_last() else { return Err("names no field".to_owned()) };
    for parent in parents {
        if parent == ID_KEY && !is_part {
            return Err("is a part of _id, which is one column".to_owned());
        }
        let at = position(fields, parent, || Kind::Document(Vec::new()));
        let Some(field) = fields.get_mut(at) else { return Err("names no field".to_owned()) };
        is_part |= field.flat.is_none();
        let there = field.kind.to_string();
        let Some(parts) = parts(&mut field.kind) else {
            return Err(format!(
                "is a part of {parent}, whose column ({there}) has no parts of their own types"
            ));
        };
        fields = parts;
    }
    let at = position(fields, last, kind);
    match fields.get_mut(at) {
        Some(field) => Ok(Place { field, is_part }),
        None => Err("names no field".to_owned()),
    }
}

/// What there is at the place, without making anything.
pub(super) fn find<'s>(schema: &'s Schema, name: &str) -> Option<&'s Field> {
    if let Some(field) = schema.column(name) {
        return Some(field);
    }
    let mut fields = &schema.fields[..];
    let mut found = None;
    for key in keys_of(&schema.fields, name) {
        let field = fields.iter().find(|field| field.name == key)?;
        found = Some(field);
        fields = field.kind.parts();
    }
    found
}

/// The place of a field in its document, at the end of which it comes where there is none.
fn position(fields: &mut Vec<Field>, name: &str, kind: impl FnOnce() -> Kind) -> usize {
    fields.iter().position(|field| field.name == name).unwrap_or_else(|| {
        fields.push(Field::new(name, kind()));
        fields.len() - 1
    })
}

/// The keys that a path spells. Keys may have dots themselves: the longest one that there is counts.
fn keys_of(fields: &[Field], path: &str) -> Vec<String> {
    let is_at = |field: &&Field| {
        path.strip_prefix(field.name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let known = fields.iter().filter(is_at).max_by_key(|field| field.name.len());
    let first = known.map_or_else(|| path.split('.').next().unwrap_or(path), |field| field.name.as_str());
    let mut keys = vec![first.to_owned()];
    if let Some(rest) = path.get(first.len() + 1..).filter(|rest| !rest.is_empty()) {
        keys.extend(keys_of(known.map_or(&[], |field| field.kind.parts()), rest));
    }
    keys
}

fn parts(kind: &mut Kind) -> Option<&mut Vec<Field>> {
    match kind {
        Kind::Document(fields) => Some(fields),
        Kind::Array(element) => parts(element),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_by_their_paths_and_made_where_there_are_none() {
        let lines = Kind::Array(Box::new(Kind::Document(vec![Field::new("a.b", Kind::Bool)])));
        let mut schema = Schema::new(vec![Field::new("lines", lines), Field::new("n", Kind::Int64)]);
        let mut at = |name: &str| {
            let found = place(&mut schema, name, || Kind::Date);
            found.map(|place| (place.field.name.clone(), place.field.kind.clone(), place.is_part))
        };
        assert_eq!(at("lines.a.b"), Ok(("a.b".to_owned(), Kind::Bool, true)));
        assert_eq!(at("n"), Ok(("n".to_owned(), Kind::Int64, false)));
        assert_eq!(at("lines.new"), Ok(("new".to_owned(), Kind::Date, true)));
        assert_eq!(at("new.in.it"), Ok(("it".to_owned(), Kind::Date, true)));
        assert!(at("n.part").unwrap_err().contains("no parts"));
        assert!(at("_id.part").unwrap_err().contains("_id"));
        assert_eq!(schema.fields.len(), 3);
        assert!(find(&schema, "lines.new").is_some() && find(&schema, "lines.other").is_none());
    }
}
