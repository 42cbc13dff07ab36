//! How a table that is there differs from the one a collection needs, column by column.

use std::fmt::Write as _;

use zenith_arrow::schema::{EXTRA_COLUMN, NOTES_COLUMN};
use zenith_transport::TableInfo;
use zenith_transport::ddl::same_values;

use super::columns::ColumnPlan;
use super::keep::{is_computed, stays};
use crate::layout::Layout;
use crate::table_shape::is_same;
use crate::{Pipeline, Strategy, notes};

/// What a collection needs.
pub(super) struct Wanted<'a> {
    pub(super) columns: &'a [ColumnPlan],
    /// What [`key_differences`] says.
    pub(super) differences: &'a [String],
    /// Whether the new table may have columns that the old one lacks.
    pub(super) may_add: bool,
    /// The engine of the table.
    pub(super) engine: &'a str,
    /// Whether the table gets the columns that it lacks for what fits no other.
    pub(super) adds: bool,
}

/// How the key and the partitions of a table differ from those that it is to have, in words; `tried` is a table of the wanted
/// shape, where one is wanted and could be tried.
pub(super) fn key_differences<S, K>(
    pipeline: &Pipeline<S, K>,
    existing: Option<&TableInfo>,
    tried: Option<&TableInfo>,
) -> Vec<String> {
    let (shape, layout) = (&pipeline.options.shape, pipeline.layout);
    let Some(table) = existing else { return Vec::new() };
    // Rows that nothing takes the place of may lie in any order.
    if stays(pipeline, table) && !layout.has_versions() {
        return Vec::new();
    }
    let mut differences = Vec::new();
    let usual = layout.sorting_key().join(", ");
    let says_key = shape.says_key(layout.rows());
    let is_replaced = pipeline.options.table.strategy == Strategy::Swap || layout != Layout::Rows;
    let key = match tried {
        Some(tried) if says_key => Some(&tried.sorting_key),
        // In a table that is written in place, rows of other layouts would never be replaced.
        _ => (!says_key && is_replaced).then_some(&usual),
    };
    if let Some(key) = key.filter(|key| **key != table.sorting_key) {
        let there = &table.sorting_key;
        differences.push(format!("sorting key: the table has ({there}), the new one would have ({key})"));
    }
    let partitions = |table: &TableInfo| table.additions.as_ref()?.partition_by.clone();
    if let Some(tried) = tried.filter(|_| shape.partition_by.is_some()) {
        let (there, wanted) = (partitions(table), partitions(tried));
        if there != wanted {
            let words = |by: Option<String>| by.map_or_else(|| "none".to_owned(), |by| format!("by {by}"));
            let (there, wanted) = (words(there), words(wanted));
            differences.push(format!("partitions: the table has {there}, the new one would have {wanted}"));
        }
    }
    differences
}

/// One line a column that differs; `None` if rows of the new columns fit the table and fill it.
pub(super) fn difference(
    wanted: &Wanted<'_>,
    table: &TableInfo,
    strategy: Strategy,
    layout: Layout,
) -> Option<String> {
    let columns = wanted.columns;
    let mut lines = String::new();
    for column in columns {
        let is_added = wanted.adds && beside_documents(&column.name);
        let is_there = table.columns.iter().any(|there| there.name == column.name);
        if is_added && !is_there {
            continue;
        }
        if let Some(line) = column_difference(column, table, strategy, wanted.may_add) {
            let _ = writeln!(lines, "  {line}");
        }
    }
    for there in &table.columns {
        // What has a default or is computed is the user's: a new table gets it as well.
        if there.default_kind.is_empty() && columns.iter().all(|column| column.name != there.name) {
            let _ = writeln!(
                lines,
                "  - {} {}: the table has it, the collection does not",
                there.name, there.data_type
            );
        }
    }
    // In a table that is written in place, rows of other layouts would never be replaced.
    if strategy == Strategy::Swap || layout != Layout::Rows {
        // The new table takes the place of the old one, so what people made of that would be gone.
        if !is_same(&table.engine, wanted.engine) {
            let (there, engine) = (&table.engine, wanted.engine);
            let _ = writeln!(lines, "  ~ engine: the table has {there}, the new one would have {engine}");
        }
    }
    // By other columns than these a row of before could count, or one that is gone be shown.
    if wanted.adds && layout.has_versions() && table.hidden_by.as_deref() != layout.tombstones() {
        let columns = layout.versions().join(", ");
        let _ =
            writeln!(lines, "  ~ engine: the table needs {engine}({columns})", engine = layout.engine_name());
    }
    for difference in wanted.differences {
        let _ = writeln!(lines, "  ~ {difference}");
    }
    lines.pop();
    (!lines.is_empty()).then_some(lines)
}

/// Whether a column is for what fits no other.
pub(super) fn beside_documents(column: &str) -> bool {
    [EXTRA_COLUMN, NOTES_COLUMN].contains(&column)
}

/// What the table has in the place of a column.
fn column_difference(
    column: &ColumnPlan,
    table: &TableInfo,
    strategy: Strategy,
    may_add: bool,
) -> Option<String> {
    let (name, wanted) = (&column.name, &column.target_type);
    match table.columns.iter().find(|there| there.name == *name) {
        // It is added, or comes with the new table.
        None if name == NOTES_COLUMN && notes::are_missing(&table.columns) => None,
        None if may_add => None,
        None => Some(format!("+ {name} {wanted}: the collection has it, the table does not")),
        Some(there) if is_computed(&there.default_kind) => Some(format!(
            "~ {name}: the table computes it ({}), the collection has a field of that name",
            there.default_kind
        )),
        Some(there) if strategy == Strategy::Swap && widened(&there.data_type, wanted) => None,
        Some(there) if !same_values(&there.data_type, wanted) => {
            Some(format!("~ {name}: the table has {}, the collection needs {wanted}", there.data_type))
        }
        Some(_) => None,
    }
}

/// Whether the new column differs only in wider integers. The new table takes every value the old one had, and the
/// next sample may well show wider ones than the last: no reason to refuse a reload.
fn widened(there: &str, wanted: &str) -> bool {
    let wide = |data_type: &str| data_type.replace("Int32", "Int64");
    there.contains("Int32") && same_values(&wide(there), &wide(wanted))
}

#[cfg(test)]
mod tests {
    use zenith_transport::ColumnInfo;

    use super::*;

    fn differs(columns: &[ColumnPlan], table: &TableInfo, strategy: Strategy) -> Option<String> {
        difference(
            &Wanted { columns, differences: &[], engine: "MergeTree", adds: false, may_add: false },
            table,
            strategy,
            Layout::Rows,
        )
    }

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
            additions: Some(zenith_transport::ddl::Additions::default()),
            hidden_by: None,
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
        for strategy in [Strategy::Truncate, Strategy::Swap] {
            assert_eq!(differs(&wanted, &there, strategy), None);
        }
        let computed = table(&[("_id", "String", ""), ("t", "Tuple(a Nullable(Int32))", "ALIAS")]);
        let text = differs(&wanted[..2], &computed, Strategy::Swap).unwrap();
        assert!(text.contains("~ t: the table computes it") && text.lines().count() == 1, "{text}");
    }

    #[test]
    fn every_column_that_differs_has_its_line() {
        let wanted = [column("_id", "String"), column("n", "Nullable(String)"), column("new", "Bool")];
        let there = table(&[("_id", "String", ""), ("n", "Nullable(Int32)", ""), ("old", "Bool", "")]);
        let text = differs(&wanted, &there, Strategy::Swap).unwrap();
        assert_eq!(text.lines().count(), 3, "{text}");
        for part in ["+ new Bool", "~ n: the table has Nullable(Int32)", "- old Bool"] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn a_table_of_an_earlier_version_may_lack_the_notes() {
        let wanted =
            [column("_id", "String"), column("_zenith_extra", "String"), column("_zenith_notes", "String")];
        let there = table(&[("_id", "String", ""), ("_zenith_extra", "String", "")]);
        for strategy in [Strategy::Truncate, Strategy::Swap] {
            assert_eq!(differs(&wanted, &there, strategy), None);
            let others = table(&[("_id", "String", "")]);
            let text = differs(&wanted, &others, strategy).unwrap();
            assert!(text.contains("+ _zenith_extra") && text.contains("+ _zenith_notes"), "{text}");
        }
    }

    #[test]
    fn a_new_table_may_have_wider_integers_and_an_old_one_may_not_get_them() {
        let wanted = [column("_id", "String"), column("n", "Array(Nullable(Int64))")];
        let there = table(&[("_id", "String", ""), ("n", "Array(Nullable(Int32))", "")]);
        assert_eq!(differs(&wanted, &there, Strategy::Swap), None);
        assert!(differs(&wanted, &there, Strategy::Truncate).unwrap().contains("~ n"));
        let narrower = table(&[("_id", "String", ""), ("n", "Array(Nullable(Int64))", "")]);
        let wanted = [column("_id", "String"), column("n", "Array(Nullable(Int32))")];
        assert!(differs(&wanted, &narrower, Strategy::Swap).is_some());
    }
}
