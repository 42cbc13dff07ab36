//! How a table that is there differs from the one a collection needs, column by column.

use std::fmt::Write as _;

use zenith_transport::TableInfo;
use zenith_transport::ddl::same_type;

use super::ColumnPlan;
use crate::Strategy;

/// What tables are created with.
const ENGINE: &str = "MergeTree";
const SORTING_KEY: &str = "_id";

/// One line a column that differs; `None` if rows of the new columns fit the table and fill it.
pub(super) fn difference(columns: &[ColumnPlan], table: &TableInfo, strategy: Strategy) -> Option<String> {
    let mut lines = String::new();
    for column in columns {
        match table.columns.iter().find(|there| there.name == column.name) {
            None => {
                let _ = writeln!(
                    lines,
                    "  + {} {}: the collection has it, the table does not",
                    column.name, column.target_type
                );
            }
            Some(there) if !same_values(&there.data_type, &column.target_type) => {
                let _ = writeln!(
                    lines,
                    "  ~ {}: the table has {}, the collection needs {}",
                    column.name, there.data_type, column.target_type
                );
            }
            Some(_) => {}
        }
    }
    for there in &table.columns {
        let computed = !matches!(there.default_kind.as_str(), "" | "DEFAULT");
        if computed && strategy == Strategy::Swap {
            let _ = writeln!(
                lines,
                "  - {} ({}): the new table would not have it",
                there.name, there.default_kind
            );
        }
        if !computed && columns.iter().all(|column| column.name != there.name) {
            let _ = writeln!(
                lines,
                "  - {} {}: the table has it, the collection does not",
                there.name, there.data_type
            );
        }
    }
    if strategy == Strategy::Swap {
        // The new table takes the place of the old one, so what people made of that would be gone.
        if table.engine != ENGINE {
            let _ = writeln!(
                lines,
                "  ~ engine: the table has {}, the new one would have {ENGINE}",
                table.engine
            );
        }
        if table.sorting_key != SORTING_KEY {
            let key = &table.sorting_key;
            let _ = writeln!(
                lines,
                "  ~ sorting key: the table has ({key}), the new one would have ({SORTING_KEY})"
            );
        }
    }
    lines.pop();
    (!lines.is_empty()).then_some(lines)
}

/// Whether columns of the two types take the same values. A dictionary is only a way to store them, and
/// whether it pays is guessed from a sample, which may say one thing today and another tomorrow.
fn same_values(there: &str, wanted: &str) -> bool {
    same_type(&without_dictionaries(there), &without_dictionaries(wanted))
}

fn without_dictionaries(data_type: &str) -> String {
    const OPEN: &str = "LowCardinality(";
    let mut rest = data_type.to_owned();
    while let Some(start) = rest.find(OPEN) {
        let inside = start + OPEN.len();
        let mut depth = 1_u32;
        let closing = rest[inside..].char_indices().find(|(_, character)| {
            match character {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            depth == 0
        });
        let Some((length, _)) = closing else { break };
        let values = rest[inside..inside + length].to_owned();
        rest.replace_range(start..=inside + length, &values);
    }
    rest
}

#[cfg(test)]
mod tests {
    use zenith_transport::ColumnInfo;

    use super::*;

    fn column(name: &str, target_type: &str) -> ColumnPlan {
        ColumnPlan {
            name: name.into(),
            bson_type: String::new(),
            target_type: target_type.into(),
            present: 1.0,
        }
    }

    fn table(columns: &[(&str, &str, &str)]) -> TableInfo {
        TableInfo {
            columns: columns
                .iter()
                .map(|(name, data_type, kind)| ColumnInfo {
                    name: (*name).into(),
                    data_type: (*data_type).into(),
                    default_kind: (*kind).into(),
                })
                .collect(),
            engine: "MergeTree".into(),
            sorting_key: "_id".into(),
            comment: String::new(),
            rows: 0,
        }
    }

    #[test]
    fn spelling_order_and_computed_columns_are_no_difference() {
        let wanted = [
            column("_id", "String"),
            column("t", "Tuple(`a` Nullable(Int32))"),
            column("tags", "Array(LowCardinality(Nullable(String)))"),
        ];
        let there = table(&[
            ("tags", "Array(Nullable(String))", ""),
            ("t", "Tuple(a Nullable(Int32))", ""),
            ("_id", "String", ""),
            ("day", "Date", "MATERIALIZED"),
        ]);
        assert_eq!(difference(&wanted, &there, Strategy::Truncate), None);
        let lost = difference(&wanted, &there, Strategy::Swap).unwrap();
        assert!(lost.contains("day (MATERIALIZED)") && lost.lines().count() == 1, "{lost}");
    }

    #[test]
    fn every_column_that_differs_has_its_line() {
        let wanted = [column("_id", "String"), column("n", "Nullable(Int64)"), column("new", "Bool")];
        let there = table(&[("_id", "String", ""), ("n", "Nullable(Int32)", ""), ("old", "Bool", "")]);
        let text = difference(&wanted, &there, Strategy::Swap).unwrap();
        assert_eq!(text.lines().count(), 3, "{text}");
        for part in ["+ new Bool", "~ n: the table has Nullable(Int32)", "- old Bool"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
