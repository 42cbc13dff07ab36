//! The tables of several collections: a template with `{collection}` and `{db}` in it.

use std::collections::BTreeMap;

use zenith_engine::Namespace;

/// The template where none is given.
pub const DEFAULT: &str = "{collection}";

const COLLECTION: &str = "{collection}";
const DATABASE: &str = "{db}";

/// What is wrong with a template that has to give each collection a name of its own, in the rest of a sentence.
pub fn check(template: &str) -> Result<(), String> {
    let rest = template.replace(COLLECTION, "").replace(DATABASE, "");
    if rest.contains(['{', '}']) {
        return Err(format!(
            "cannot be {template:?}: only {COLLECTION} and {DATABASE} stand for something in braces"
        ));
    }
    if !template.contains(COLLECTION) {
        return Err(format!(
            "cannot be {template:?}, which would be one name for all the collections: write {COLLECTION} in it, as in \
             {:?}",
            format!("{template}_{COLLECTION}")
        ));
    }
    Ok(())
}

/// The name that a template gives to what is of a collection.
pub fn name(template: &str, namespace: &Namespace) -> String {
    let mut name = String::new();
    let mut rest = template;
    // One pass: a collection may have braces in its own name.
    while let Some(at) = rest.find('{') {
        let (before, from) = rest.split_at(at);
        name.push_str(before);
        rest = match (from.strip_prefix(COLLECTION), from.strip_prefix(DATABASE)) {
            (Some(after), _) => {
                name.push_str(&namespace.collection);
                after
            }
            (None, Some(after)) => {
                name.push_str(&namespace.database);
                after
            }
            (None, None) => {
                name.push('{');
                &from[1..]
            }
        };
    }
    name + rest
}

/// Two collections whose tables would be one, in a sentence that ends without advice.
pub fn collision<'n>(names: impl IntoIterator<Item = (&'n Namespace, &'n str)>) -> Option<String> {
    let mut taken: BTreeMap<&str, &Namespace> = BTreeMap::new();
    for (namespace, table) in names {
        if let Some(other) = taken.insert(table, namespace) {
            return Some(format!("the collections {other} and {namespace} would both be the table {table}"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_of_collections_and_databases() {
        let orders = Namespace::new("shop", "orders");
        for (template, expected) in [
            ("{collection}", "orders"),
            ("{db}_{collection}", "shop_orders"),
            ("raw_{collection}_{collection}", "raw_orders_orders"),
        ] {
            assert_eq!(check(template), Ok(()));
            assert_eq!(name(template, &orders), expected);
        }
        assert_eq!(name("{collection}{db}", &Namespace::new("d", "{db}")), "{db}d");
        assert!(check("orders").unwrap_err().contains("\"orders_{collection}\""));
        assert!(check("{table}_{collection}").unwrap_err().contains("only {collection} and {db}"));
    }

    #[test]
    fn collections_of_one_table_are_told() {
        let (one, other) = (Namespace::new("a", "t"), Namespace::new("b", "t"));
        let sentence = collision([(&one, "t"), (&other, "t")]).unwrap();
        assert_eq!(sentence, "the collections a.t and b.t would both be the table t");
        assert_eq!(collision([(&one, "a_t"), (&other, "b_t")]), None);
    }
}
