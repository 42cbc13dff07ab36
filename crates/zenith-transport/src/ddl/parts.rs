//! What a type is made of.

use super::pieces::{At, Piece, pieces};
use super::unquoted;

/// The parts of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeParts<'t> {
    /// It has none, or none with names.
    None,
    /// The type of the elements of an array.
    Elements(&'t str),
    /// The types of the keys and the values of a map.
    Entries(&'t str, &'t str),
    /// The names and types of the elements of a tuple, in order.
    Fields(Vec<(String, &'t str)>),
}

/// The parts of a type, as the server spells it.
#[must_use]
pub fn parts(data_type: &str) -> TypeParts<'_> {
    let Some(found) = pieces(data_type) else { return TypeParts::None };
    match &found[..] {
        [At { what: Piece::Word("Array"), .. }, At { what: Piece::Group(element), .. }] => {
            TypeParts::Elements(element.trim())
        }
        [At { what: Piece::Word("Map"), .. }, At { what: Piece::Group(entries), .. }] => {
            pair(entries).map_or(TypeParts::None, |(key, value)| TypeParts::Entries(key, value))
        }
        [At { what: Piece::Word("Tuple"), .. }, At { what: Piece::Group(elements), .. }] => {
            fields(elements).map_or(TypeParts::None, TypeParts::Fields)
        }
        _ => TypeParts::None,
    }
}

/// `Type, Type`.
fn pair(entries: &str) -> Option<(&str, &str)> {
    let found = pieces(entries)?;
    let comma = found.iter().find(|piece| piece.what == Piece::Sign(','))?;
    Some((entries.get(..comma.start)?.trim(), entries.get(comma.end..)?.trim()))
}

/// `name Type, name Type, …`; `None` if one has no name.
fn fields(elements: &str) -> Option<Vec<(String, &str)>> {
    let found = pieces(elements)?;
    let each = found.split(|piece| piece.what == Piece::Sign(','));
    each.map(|field| {
        let [name, rest @ ..] = field else { return None };
        let (first, last) = (rest.first()?, rest.last()?);
        let name = match (name.what, first.what) {
            (Piece::Word(name), Piece::Word(_)) => name.to_owned(),
            (Piece::Quoted(name), Piece::Word(_)) => unquoted(name)?.0,
            _ => return None,
        };
        Some((name, elements.get(first.start..last.end)?))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tuples_and_arrays_have_parts() {
        let tuple = parts(
            "Tuple(a Nullable(Decimal(38, 2)), `b, \\`c` Array(Tuple(`x` String, y Int8)), Array JSON)",
        );
        let TypeParts::Fields(fields) = tuple else { panic!("{tuple:?}") };
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, part)| (name.as_str(), *part)).collect();
        assert_eq!(
            fields,
            [
                ("a", "Nullable(Decimal(38, 2))"),
                ("b, `c", "Array(Tuple(`x` String, y Int8))"),
                ("Array", "JSON")
            ]
        );
        let map = "Map(LowCardinality(String), Nullable(Decimal(9, 2)))";
        let entries = TypeParts::Entries("LowCardinality(String)", "Nullable(Decimal(9, 2))");
        assert_eq!(parts(map), entries);
        assert_eq!(parts("Array(Array(Int8))"), TypeParts::Elements("Array(Int8)"));
    }

    #[test]
    fn other_types_have_none() {
        for text in [
            "String",
            "Nullable(Int64)",
            "Tuple(Int8, String)",
            "Tuple(Array(Int8))",
            "Array(",
            "Tuple()",
            "",
        ] {
            assert_eq!(parts(text), TypeParts::None, "{text}");
        }
    }
}
