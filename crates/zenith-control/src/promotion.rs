//! What was moved from `_zenith_extra` into columns, or would be, for people and for machines.

use std::collections::BTreeMap;

use serde::Serialize;
use zenith_engine::Promotion;
use zenith_engine::state::Mismatches;

use crate::mismatches::{counted, fields};
use crate::text::table;

/// Paths of values that are left where they are, by name.
const LEFT_NAMED: usize = 10;

#[derive(Serialize)]
struct PromotionJson<'a> {
    table: &'a str,
    applied: bool,
    fields: Vec<FieldJson<'a>>,
    late_fields: &'a [String],
    rows: u64,
    statement: &'a str,
    /// Values by path.
    left_out: &'a BTreeMap<String, u64>,
    extra_values: &'a BTreeMap<String, BTreeMap<String, u64>>,
}

#[derive(Serialize)]
struct FieldJson<'a> {
    path: &'a str,
    clickhouse_type: &'a str,
    twin: Option<&'a str>,
    values: u64,
}

/// As one JSON object.
pub fn json(promotion: &Promotion, of: &str, applied: bool) -> String {
    let fields = promotion.fields.iter().map(|field| FieldJson {
        path: &field.path,
        clickhouse_type: &field.column_type,
        twin: field.twin.as_deref(),
        values: field.values,
    });
    let json = PromotionJson {
        table: of,
        applied,
        fields: fields.collect(),
        late_fields: &promotion.late,
        rows: promotion.rows,
        statement: &promotion.statement,
        left_out: &promotion.left_out,
        extra_values: &promotion.mismatches,
    };
    // Maps with string keys and plain numbers always serialise.
    serde_json::to_string(&json).unwrap_or_default()
}

/// In words.
pub fn text(promotion: &Promotion, of: &str, applied: bool) -> String {
    let mut text = String::new();
    if !promotion.fields.is_empty() {
        let rows: Vec<Vec<String>> = promotion
            .fields
            .iter()
            .map(|field| {
                let twin = field.twin.as_ref().map_or_else(String::new, |twin| format!(", others in {twin}"));
                vec![field.path.clone(), format!("{}{twin}", field.column_type), field.values.to_string()]
            })
            .collect();
        text.push_str(&table(&["field", "ClickHouse", "values"], &rows));
    }
    if !promotion.late.is_empty() {
        let late = promotion.late.join(", ");
        text.push_str(&format!("columns that came later than values in _zenith_extra: {late}\n"));
    }
    if !promotion.left_out.is_empty() {
        let named: Vec<String> = promotion
            .left_out
            .iter()
            .take(LEFT_NAMED)
            .map(|(path, values)| format!("{path} ({})", counted(*values, "value")))
            .collect();
        let more = promotion.left_out.len().saturating_sub(LEFT_NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        text.push_str(&format!(
            "left in _zenith_extra: {}{more}; --field PATH takes one that looks like data\n",
            named.join(", ")
        ));
    }
    if !promotion.mismatches.is_empty() {
        let mismatches = Mismatches { values: promotion.mismatches.clone(), ..Mismatches::default() };
        text.push_str("values that the columns cannot show stay in _zenith_extra:\n");
        text.push_str(&fields(&mismatches));
    }
    let rows = counted(promotion.rows, "row");
    text.push_str(&match (promotion.is_empty(), applied) {
        (true, _) => format!("_zenith_extra of {of} has no values that a column could show\n"),
        (false, true) if promotion.statement.is_empty() => format!("{rows} of {of} written again\n"),
        (false, true) => format!("{}\n{rows} of {of} written again\n", promotion.statement),
        (false, false) => {
            format!("{rows} of {of} would be written again\nnothing was changed (--apply does it)\n")
        }
    });
    text
}
