//! Whether the table that is there may take the rows of a load, or be replaced by a new one.

use std::borrow::Cow;

use zenith_arrow::schema::EXTRA_COLUMN;
use zenith_transport::{ServerInfo, TableInfo};

use super::choose::keeps_columns;
use super::columns::ColumnPlan;
use super::difference::{Wanted, difference};
use super::keep;
use crate::policies::OnNewField;
use crate::{EngineError, Pipeline, Result, Strategy};

/// Whether the strategy works in the target's database, and the table that is there may take the rows or be replaced.
pub(super) fn check_target<S, K>(
    pipeline: &Pipeline<S, K>,
    target: &ServerInfo,
    existing: Option<&TableInfo>,
    columns: &[ColumnPlan],
    differences: &[String],
) -> Result<()> {
    let options = &pipeline.options;
    if options.table.strategy == Strategy::Swap && !target.exchanges_atomically {
        return Err(EngineError::Setting {
            setting: "the strategy",
            value: "swap".to_owned(),
            reason: format!(
                "the database {} cannot exchange tables; use one with the engine Atomic, or the strategy truncate",
                target.database
            ),
        });
    }
    let Some(table) = existing else { return Ok(()) };
    if !table.engine.ends_with("MergeTree") && table.engine != "Memory" {
        return Err(EngineError::NotATable { table: pipeline.table.clone(), engine: table.engine.clone() });
    }
    if options.replace && options.table.strategy == Strategy::Swap {
        return Ok(());
    }
    let wanted = &Wanted {
        columns,
        differences,
        may_add: may_add(pipeline, existing, columns),
        engine: engine_of(pipeline, existing),
        adds: keep::is_of_user(table),
    };
    let mut compared = Cow::Borrowed(table);
    if keeps_columns(pipeline, table) || keep::is_of_user(table) {
        compared
            .to_mut()
            .columns
            .retain(|there| wanted.columns.iter().any(|column| column.name == there.name));
    }
    // Columns that stay are not widened for the rows that come.
    let strategy = if keep::stays(pipeline, table) { Strategy::Truncate } else { options.table.strategy };
    match difference(wanted, &compared, strategy, pipeline.layout) {
        None => refuse_rows_of_user(pipeline, table),
        Some(difference) => Err(EngineError::TableDiffers {
            table: pipeline.table.clone(),
            namespace: pipeline.namespace.to_string(),
            difference,
            is_ours: keep::is_ours(table, &pipeline.namespace),
            advice: "Name another table, or allow the table to be replaced".to_owned(),
        }),
    }
}

/// Refuses to have a copy replace rows that Zenith did not write.
fn refuse_rows_of_user<S, K>(pipeline: &Pipeline<S, K>, table: &TableInfo) -> Result<()> {
    let options = &pipeline.options;
    let is_written_by_us = table.columns.iter().any(|column| column.name == EXTRA_COLUMN);
    if !pipeline.guarded
        && options.table.strategy == Strategy::Swap
        && keep::is_of_user(table)
        && !is_written_by_us
        && table.rows > 0
    {
        return Err(EngineError::NameTaken {
            name: pipeline.table.clone(),
            what: "a table with rows that Zenith did not write".to_owned(),
            wanted: format!("the rows of {}", pipeline.namespace),
            setting: "--table NAME, or have its rows replaced with --replace",
        });
    }
    Ok(())
}

/// Whether new fields may have columns in the place of a table that lacks them: that of a copy, which makes a new one each time.
fn may_add<S, K>(pipeline: &Pipeline<S, K>, existing: Option<&TableInfo>, columns: &[ColumnPlan]) -> bool {
    let options = &pipeline.options.table;
    !pipeline.guarded
        && options.strategy == Strategy::Swap
        && options.on_new_field == OnNewField::Add
        && existing.is_some_and(|table| {
            let names = columns.iter().map(|column| column.name.as_str());
            keep::is_ours(table, &pipeline.namespace) && !keep::is_of_other_shape(table, names)
        })
}

/// The engine that the table is to have.
fn engine_of<'a, S, K>(pipeline: &'a Pipeline<S, K>, existing: Option<&'a TableInfo>) -> &'a str {
    match existing {
        Some(table) if !pipeline.layout.has_versions() && keep::stays(pipeline, table) => &table.engine,
        _ => pipeline.options.shape.engine.as_deref().unwrap_or(pipeline.layout.engine_name()),
    }
}
