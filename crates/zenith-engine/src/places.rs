//! Where rows of one document stand in a table kept in step whose sorting key has more than `_id`.
//!
//! Rows of equal keys replace each other, and a document whose key changes leaves its row behind. So Zenith has to know which
//! columns say where a row stands: those that its sorting key and its partition are made of. Each of them is itself a part of
//! the key, at its end where it is not at another place of it. Then rows of equal keys are equal in all of them, and always in
//! one partition.

use std::collections::BTreeSet;

use zenith_arrow::schema::ID_KEY as KEY;
use zenith_transport::ddl::{Element, expressions, identifier, names_in};

/// The index by which the rows of a document are found.
const INDEX: &str = "zenith_by_id";

/// The columns beside `_id` that say where a row stands, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    columns: Vec<String>,
    /// Whether the table is divided, so that an insert may land in part.
    in_parts: bool,
}

impl Places {
    /// Those of a table; `None` where nothing but `_id` says where a row stands in its sorting key.
    ///
    /// # Errors
    /// A column that is no part of the key, of which a part or the partition is made.
    pub(crate) fn of(
        sorting_key: &str,
        partition_by: Option<&str>,
    ) -> std::result::Result<Option<Places>, String> {
        let key = parts(sorting_key);
        if key.iter().all(|part| others(part).is_empty()) {
            return Ok(None);
        }
        let columns: BTreeSet<String> =
            key.iter().map(String::as_str).chain(partition_by).flat_map(others).collect();
        match columns.iter().find(|column| !has(&key, column)) {
            Some(column) => Err(column.clone()),
            None => Ok(Some(Places {
                columns: columns.into_iter().collect(),
                in_parts: partition_by.is_some_and(|partition_by| !partition_by.is_empty()),
            })),
        }
    }

    pub(crate) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Whether the table is divided, so that an insert may land in part.
    pub(crate) fn in_parts(&self) -> bool {
        self.in_parts
    }
}

/// Adds to a key the columns that parts of it and the partition are made of.
pub(crate) fn complete(key: &mut Vec<String>, partition_by: Option<&str>) {
    let columns: BTreeSet<String> =
        key.iter().map(String::as_str).chain(partition_by).flat_map(others).collect();
    for column in columns {
        if !has(key, &column) {
            key.push(identifier(&column));
        }
    }
}

/// The columns of an expression beside `_id`.
pub(crate) fn others(expression: &str) -> BTreeSet<String> {
    let mut names = names_in(expression);
    names.remove(KEY);
    names
}

/// Why rows cannot be found again by an expression of a key.
pub(crate) fn refusal(expression: &str, is_computed: impl Fn(&str) -> bool) -> Option<&'static str> {
    let names = others(expression);
    if names.iter().any(|name| name.starts_with("_zenith_")) {
        return Some(
            "in the mode changes each row of a document has other values in the columns of Zenith, so that none would take the \
             place of another: take fields of the documents",
        );
    }
    names.iter().any(|name| is_computed(name)).then_some(
        "in the mode changes a row is found again by the fields that its key is made of: write the expression in place of the \
         computed column, as in order_by = [\"toDate(at)\"]",
    )
}

/// The index of a table with such a key.
pub(crate) fn index() -> Element {
    Element {
        name: index_name(),
        sql: format!("INDEX {INDEX} {} TYPE bloom_filter(0.01) GRANULARITY 1", identifier(KEY)),
    }
}

/// As additions of a table have it.
pub(crate) fn index_name() -> String {
    format!("index {INDEX}")
}

/// The parts of a key, with or without parentheses around them.
fn parts(key: &str) -> Vec<String> {
    let inside = key.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    // `(a + b) * (c)` begins and ends with one as well, and is no list inside.
    let all = inside.and_then(expressions).or_else(|| expressions(key)).unwrap_or_default();
    all.into_iter().map(str::to_owned).collect()
}

fn has(key: &[String], column: &str) -> bool {
    key.iter().any(|part| part == column || *part == identifier(column))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_that_a_key_is_made_of_say_where_rows_stand() {
        let of =
            |key: &str, partition| Places::of(key, partition).map(|places| places.map(|all| all.columns));
        let columns = |all: &[&str]| Ok(Some(all.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()));
        assert_eq!(of("user_id, ts, _id", None), columns(&["ts", "user_id"]));
        assert_eq!(of("(`user id`, `_id`)", None), columns(&["user id"]));
        assert_eq!(of("toDate(at), _id, at", Some("toYYYYMM(at)")), columns(&["at"]));
        assert_eq!(of("cityHash64(_id), _id", Some("_id % 16")), Ok(None));
        // As always: FINAL looks into all partitions.
        assert_eq!(of("_id", Some("toYYYYMM(at)")), Ok(None));
        assert_eq!(of("toDate(at), _id", None), Err("at".to_owned()));
        assert_eq!(of("tenant, _id", Some("toYYYYMM(at)")), Err("at".to_owned()));
    }

    #[test]
    fn keys_are_completed_by_what_they_are_made_of() {
        let completed = |key: &[&str], partition| {
            let mut key: Vec<String> = key.iter().map(|&part| part.to_owned()).collect();
            complete(&mut key, partition);
            key.join(", ")
        };
        assert_eq!(completed(&["user_id", "ts", "`_id`"], None), "user_id, ts, `_id`");
        assert_eq!(
            completed(&["tenant", "toDate(at)", "`_id`"], Some("toYYYYMM(at)")),
            "tenant, toDate(at), `_id`, `at`"
        );
        assert_eq!(completed(&["`_id`"], Some("region")), "`_id`, `region`");
        assert_eq!(completed(&["cityHash64(_id)", "`_id`"], Some("_id % 4")), "cityHash64(_id), `_id`");
    }
}
