//! Names of columns that are not those of their fields.

/// The first pair that cannot be used, and what is wrong with it in words that follow it. Parts of documents have columns of
/// their own where these `are_flat`.
pub(crate) fn mistake(rename: &[(String, String)], are_flat: bool) -> Option<(String, &'static str)> {
    let pairs = rename.iter().enumerate();
    pairs
        .filter_map(|(at, (field, column))| {
            let before = rename.get(..at).unwrap_or_default();
            let reason = if field == "_id" || column == "_id" {
                "is about _id, which is the key of the table and keeps its name"
            } else if field.contains('.') && !are_flat {
                "names a part of a document: only fields of the top level have columns of their own, unless shape = \"flat\""
            } else if column.is_empty() || column.contains(['.', '\0']) {
                "gives a column no name, or one with a dot, which would be taken for a part of another column"
            } else if column.starts_with("_zenith_") || TAKEN.contains(&column.as_str()) {
                "gives a column a name that Zenith or ClickHouse has a column of its own for"
            } else if before.iter().any(|(other, _)| other == field) {
                "renames a field a second time"
            } else if before.iter().any(|(_, other)| other == column) {
                "gives a second column the same name"
            } else {
                return None;
            };
            Some((format!("{field}={column}"), reason))
        })
        .next()
}

/// Names that ClickHouse has columns for in every table.
const TAKEN: [&str; 3] = ["_row_exists", "_block_number", "_block_offset"];

/// `FIELD=COLUMN`; names of fields may have `=` in them.
#[cfg(feature = "clap")]
pub(crate) fn rename(text: &str) -> Result<(String, String), String> {
    let (field, column) = text
        .rsplit_once('=')
        .filter(|(field, _)| !field.is_empty())
        .ok_or_else(|| "write it as FIELD=COLUMN, as in custID=customer_id".to_owned())?;
    Ok((field.to_owned(), column.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::mistake;

    #[test]
    fn names_that_cannot_be_given_are_told() {
        let of = |pairs: &[(&str, &str)]| {
            let pairs: Vec<_> =
                pairs.iter().map(|(field, column)| ((*field).to_owned(), (*column).to_owned())).collect();
            mistake(&pairs, false)
        };
        assert_eq!(of(&[("a", "b"), ("b", "a"), ("c", "d")]), None);
        for (pairs, pair, part) in [
            (&[("a", "b"), ("_id", "id")][..], "_id=id", "_id"),
            (&[("a", "_id")], "a=_id", "_id"),
            (&[("a.b", "c")], "a.b=c", "top level"),
            (&[("a", "b.c")], "a=b.c", "dot"),
            (&[("a", "")], "a=", "no name"),
            (&[("a", "_zenith_version")], "a=_zenith_version", "of its own"),
            (&[("a", "b"), ("a", "c")], "a=c", "second time"),
            (&[("a", "c"), ("b", "c")], "b=c", "same name"),
        ] {
            let (found, reason) = of(pairs).unwrap();
            assert!(found == pair && reason.contains(part), "{found} {reason}");
        }
        assert_eq!(mistake(&[("a.b".to_owned(), "c".to_owned())], true), None);
    }
}
