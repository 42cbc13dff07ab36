//! What was moved from `_zenith_extra` into columns, or would be, for people and for machines.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;
use zenith_engine::state::{Mismatches, StateStore};
use zenith_engine::{Pool, Promotion};

use crate::config::Config;
use crate::connect;
use crate::failure::Failure;
use crate::mismatches::{counted, fields};
use crate::text::table;

/// Paths of values that are left where they are, by name.
const LEFT_NAMED: usize = 10;

/// What a promotion does, or would do, for machines.
#[derive(Debug, Serialize, ToSchema)]
pub struct PromotionJson {
    table: String,
    /// Whether it was done.
    applied: bool,
    fields: Vec<FieldJson>,
    late_fields: Vec<String>,
    rows: u64,
    statement: String,
    /// Values by path.
    left_out: BTreeMap<String, u64>,
    extra_values: BTreeMap<String, BTreeMap<String, u64>>,
}

/// A column that values are moved into.
#[derive(Debug, Serialize, ToSchema)]
pub struct FieldJson {
    path: String,
    clickhouse_type: String,
    twin: Option<String>,
    values: u64,
}

impl PromotionJson {
    /// Of a promotion in a table.
    pub fn new(promotion: &Promotion, of: &str, applied: bool) -> PromotionJson {
        let fields = promotion.fields.iter().map(|field| FieldJson {
            path: field.path.clone(),
            clickhouse_type: field.column_type.clone(),
            twin: field.twin.clone(),
            values: field.values,
        });
        PromotionJson {
            table: of.to_owned(),
            applied,
            fields: fields.collect(),
            late_fields: promotion.late.clone(),
            rows: promotion.rows,
            statement: promotion.statement.clone(),
            left_out: promotion.left_out.clone(),
            extra_values: promotion.mismatches.clone(),
        }
    }
}

/// What promoting would do to a pipeline, of these paths alone if there are any. Writes nothing.
///
/// # Errors
/// If there is no such pipeline, or an end cannot be asked.
pub async fn dry_run(
    config: &Config,
    store: impl StateStore,
    name: &str,
    fields: &[String],
    pool: &Pool,
) -> Result<Promotion, Failure> {
    let single = connect::single(config, name, store, pool).await?;
    Ok(single.keeper.promotable(name, fields).await?)
}

/// As one JSON object.
pub fn json(promotion: &Promotion, of: &str, applied: bool) -> String {
    // Maps with string keys and plain numbers always serialise.
    serde_json::to_string(&PromotionJson::new(promotion, of, applied)).unwrap_or_default()
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
