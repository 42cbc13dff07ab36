//! The view that shows a table of versions as the documents they are versions of.

use zenith_extract::{ChangeSource, Source};
use zenith_state::StateStore;
use zenith_transport::ddl::identifier;
use zenith_transport::{Sink, TransportError};

use super::context::Context;
use crate::Result;
use crate::layout::{DELETED_COLUMN, VERSION_COLUMN};

/// The name of the view over `table`.
pub(super) fn view_name(table: &str) -> String {
    format!("{table}_current")
}

/// Creates the view, or has it show the columns the table has now.
pub(super) async fn create_view<S, K, T>(context: &Context<S, K, T>) -> Result<()>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    let statement = format!(
        "CREATE OR REPLACE VIEW {} AS SELECT * EXCEPT ({}, {}) FROM {} FINAL WHERE {} = 0",
        identifier(&view_name(&context.table)),
        identifier(VERSION_COLUMN),
        identifier(DELETED_COLUMN),
        identifier(&context.table),
        identifier(DELETED_COLUMN),
    );
    context
        .retrying(|| async {
            match context.sink.execute(&statement).await {
                // A sink without a language has no views either.
                Err(TransportError::Unsupported { .. }) => Ok(()),
                done => done,
            }
        })
        .await
}
