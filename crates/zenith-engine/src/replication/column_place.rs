//! Where the values of a field are in the table.

use zenith_arrow::{Kind, Schema};
use zenith_transport::Part;

/// The column of a field, and the way to it in there.
pub(super) fn place(schema: &Schema, keys: &[String]) -> Option<(String, Vec<Part>)> {
    let (first, mut rest) = keys.split_first()?;
    let mut column = schema.fields.iter().find(|field| field.name == *first)?;
    while let Some(parts) = column.flat_parts() {
        let (key, after) = rest.split_first()?;
        (column, rest) = (parts.iter().find(|field| field.name == *key)?, after);
    }
    let (mut kind, mut parts, mut rest) = (&column.kind, Vec::new(), rest.iter());
    loop {
        kind = match kind {
            Kind::Array(element) => {
                parts.push(Part::Elements);
                element
            }
            Kind::Document(fields) => {
                let key = rest.next()?;
                parts.push(Part::Key(key.clone()));
                &fields.iter().find(|field| field.name == *key)?.kind
            }
            _ => return Some((column.column_name().to_owned(), parts)),
        };
    }
}

#[cfg(test)]
mod tests {
    use zenith_arrow::Field;

    use super::*;

    #[test]
    fn the_way_to_a_number_leads_through_arrays() {
        let item = Kind::Document(vec![Field::new("prices", Kind::Array(Box::new(Kind::Int64)))]);
        let items =
            Field { column: Some("lines".to_owned()), ..Field::new("items", Kind::Array(Box::new(item))) };
        let schema = Schema::new(vec![items]);
        let keys = ["items", "prices"].map(str::to_owned);
        let parts = vec![Part::Elements, Part::Key("prices".to_owned()), Part::Elements];
        assert_eq!(place(&schema, &keys), Some(("lines".to_owned(), parts)));
        assert_eq!(place(&schema, &["other".to_owned()]), None);
    }
}
