//! Columns for fields of a table that has just been loaded which its sample missed, and which were too rare for a load with
//! other columns: they get theirs right away, and their rows are written again.

use std::sync::Arc;

use tokio::time::timeout;
use zenith_arrow::Schema;
use zenith_extract::{ChangeSource, Source};
use zenith_state::{NO_COLUMN, StateStore};
use zenith_transport::{Sink, TransportError};

use super::context::Context;
use super::evolution::ALTER_TIMEOUT;
use super::growth::{column_of, is_of};
use crate::error::sentence;
use crate::policies::OnNewField;
use crate::{EngineError, Result, Summary};

/// All rows with values in the extra column are read for them: no more values than these, or than one row in so many.
const VALUES_MAX: u64 = 10_000;
const SHARE: u64 = 100;

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Context<S, K, T> {
    /// Gives rare fields of a load their columns, and says so in its summary. Where that fails, their values stay in the extra
    /// column.
    pub(super) async fn promote_rare(self: &Arc<Self>, summary: &mut Summary) -> Result<()> {
        let counts = || summary.extra_values.values().flatten();
        let without: u64 = counts().filter(|(reason, _)| *reason == NO_COLUMN).map(|(_, count)| count).sum();
        let all: u64 = counts().map(|(_, count)| count).sum();
        let is_little = all <= VALUES_MAX.max(summary.rows / SHARE);
        if self.settings.on_new_field != OnNewField::Add || without == 0 || !is_little {
            return Ok(());
        }
        match Box::pin(self.promote_found(summary)).await {
            Ok(()) | Err(EngineError::Sink(TransportError::Unsupported { .. })) => Ok(()),
            Err(error @ EngineError::Stopped) => Err(error),
            Err(error) => {
                tracing::warn!(
                    pipeline = self.name,
                    "rare fields of {} get no column: {}; zenith schema promote {} tries again",
                    self.table,
                    sentence(&error),
                    self.name
                );
                Ok(())
            }
        }
    }

    async fn promote_found(self: &Arc<Self>, summary: &mut Summary) -> Result<()> {
        let growth = self.growth(&[]).await?;
        let mut paths = Vec::new();
        for field in growth.promoted {
            if self.may_have_column(&growth.now, &field.path).await? {
                paths.push(field.path);
            }
        }
        if paths.is_empty() {
            return Ok(());
        }
        let promotion = self.promote(&paths).await?;
        tracing::info!(
            pipeline = self.name,
            table = self.table,
            "added columns for fields that the sample missed: {}",
            paths.join(", ")
        );
        let is_moved = |path: &String| paths.iter().any(|moved| is_of(path, moved));
        for (_, reasons) in summary.extra_values.iter_mut().filter(|(path, _)| is_moved(path)) {
            reasons.remove(NO_COLUMN);
        }
        for (path, reasons) in promotion.mismatches {
            summary.extra_values.entry(path).or_default().extend(reasons);
        }
        summary.extra_values.retain(|_, reasons| !reasons.is_empty());
        if let Some(schema) = self.schema().await? {
            summary.schema = schema;
        }
        Ok(())
    }

    /// Whether a field may have a column without being asked for: a column that gains a part is written again.
    async fn may_have_column(&self, schema: &Schema, path: &str) -> Result<bool> {
        let Some(column) = column_of(schema, path) else { return Ok(true) };
        let field = schema.fields.iter().find(|field| field.name == column);
        let columns = [field.map_or(column, |field| field.column_name()).to_owned()];
        let bytes = timeout(ALTER_TIMEOUT, self.sink.admin().column_bytes(&self.table, &columns)).await;
        let most = self.settings.max_rewrite.as_u64();
        Ok(matches!(bytes, Ok(Ok(bytes)) if bytes <= most))
    }
}
