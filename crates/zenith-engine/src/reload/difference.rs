//! How a table that is there differs from the one a collection needs, column by column.

use std::fmt::Write as _;

use zenith_transport::TableInfo;
use zenith_transport::ddl::same_type;

use super::ColumnPlan;

/// One line a column that differs; `None` if rows of the new columns fit the table and fill it.
pub(super) fn difference(columns: &[ColumnPlan], table: &TableInfo) -> Option<String> {
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
            Some(there) if !same_type(&there.data_type, &column.target_type) => {
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
        if !computed && columns.iter().all(|column| column.name != there.name) {
            let _ = writeln!(
                lines,
                "  - {} {}: the table has it, the collection does not",
                there.name, there.data_type
            );
        }
    }
    lines.pop();
    (!lines.is_empty()).then_some(lines)
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
        let wanted = [column("_id", "String"), column("t", "Tuple(`a` Nullable(Int32))")];
        let there = table(&[
            ("t", "Tuple(a Nullable(Int32))", ""),
            ("_id", "String", ""),
            ("day", "Date", "MATERIALIZED"),
        ]);
        assert_eq!(difference(&wanted, &there), None);
    }

    #[test]
    fn every_column_that_differs_has_its_line() {
        let wanted = [column("_id", "String"), column("n", "Nullable(Int64)"), column("new", "Bool")];
        let there = table(&[("_id", "String", ""), ("n", "Nullable(Int32)", ""), ("old", "Bool", "")]);
        let text = difference(&wanted, &there).unwrap();
        assert_eq!(text.lines().count(), 3, "{text}");
        for part in ["+ new Bool", "~ n: the table has Nullable(Int32)", "- old Bool"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
