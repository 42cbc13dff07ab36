//! The last values of documents that are gone, where their rows stay and say so.
//!
//! A deletion carries nothing but `_id`. Its row is that of the document as the table has it, which is asked when every batch
//! before is durable.
//!
//! **Repeated inserts.** What has landed of an insert has the version of the deletion, and the values that the row before it had:
//! an answer that has it in it is the same. A row with a higher version is that of a later change, which has been applied
//! before: the deletion has no part in the table then.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use zenith_arrow::Schema;
use zenith_extract::{ChangeSource, Source};
use zenith_state::StateStore;
use zenith_transport::{RowSet, Scalar, Selection, Sink};

use super::context::Context;
use super::values::as_type;
use super::write::until_taken;
use crate::layout::{KEY, Layout, RowMetadata, hides_deletions};
use crate::load::key::{is_one_of, key};
use crate::load::keys::Keys;
use crate::load::refusal::Refused;
use crate::promotion::{self, Decoding, Piece, blocking};
use crate::{EngineError, Result};

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Context<S, K, T> {
    /// The documents that the table has the newest rows of, each up to a version; the keys are documents with nothing but their
    /// `_id`.
    ///
    /// # Errors
    /// When the sink cannot be asked, and that does not pass.
    pub(super) async fn last_documents(
        &self,
        schema: &Arc<Schema>,
        keys: Vec<(Vec<u8>, u64)>,
    ) -> Result<Vec<Option<Vec<u8>>>> {
        let maker = Keys::new(schema, self.memory.pool(), self.memory.batch_bytes());
        let (keys, versions): (Vec<Vec<u8>>, Vec<u64>) = keys.into_iter().unzip();
        let keys = blocking(move || maker.of(&keys.iter().map(Vec::as_slice).collect::<Vec<_>>())).await??;
        let mut found = self.newest_documents(schema, keys.iter().flatten().cloned().collect()).await?;
        let of = |(key, most): (Option<Scalar>, u64)| {
            let (version, document) = found.remove(&key?)?;
            (version <= most).then_some(document)
        };
        Ok(keys.into_iter().zip(versions).map(of).collect())
    }

    /// The newest rows of these keys as documents, with their versions.
    async fn newest_documents(
        &self,
        schema: &Arc<Schema>,
        keys: Vec<Scalar>,
    ) -> Result<HashMap<Scalar, (u64, Vec<u8>)>> {
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let columns = self.layout().schema(&schema.to_arrow());
        let selection = &Selection {
            table: self.table.clone(),
            columns: columns.fields().iter().map(|field| field.name().clone()).collect(),
            texts: schema.texts_in_other_forms(),
            rows: RowSet::Merged,
            filter: is_one_of(keys),
            ..Selection::default()
        };
        let select = |_| async move { self.sink.admin().select(selection).await.map_err(EngineError::Sink) };
        let page = until_taken(self, select).await?.ok_or_else(|| EngineError::TableGone {
            table: self.table.clone(),
            pipeline: self.name.clone(),
        })?;
        let key_type = columns.field_with_name(KEY).map(|field| field.data_type().clone());
        let mut ids = Vec::new();
        for batch in &page {
            for row in 0..batch.num_rows() {
                let key = key(batch, row)?;
                ids.push(match &key_type {
                    Ok(key_type) => as_type(key.clone(), key_type).unwrap_or(key),
                    Err(_) => key,
                });
            }
        }
        let schema = Arc::clone(schema);
        let pieces = blocking(move || promotion::rebuilt(&schema, &page)).await?;
        let pieces = pieces.map_err(|reason| EngineError::NotPossible {
            doing: format!("keeping the rows of {} whose documents are gone", self.table),
            reason,
        })?;
        let mut found: HashMap<Scalar, (u64, Vec<u8>)> = HashMap::with_capacity(ids.len());
        for (id, piece) in ids.into_iter().zip(pieces) {
            let version = piece.metadata.version;
            if found.get(&id).is_none_or(|(known, _)| *known <= version) {
                found.insert(id, (version, piece.document));
            }
        }
        Ok(found)
    }

    /// The newest row of a document whose row has been refused, of the version of that, which says that the document is gone;
    /// `None` if there is none.
    pub(super) async fn marked(&self, schema: &Schema, refused: &Refused) -> Result<Option<RecordBatch>> {
        let (schema, id) = (Arc::new(schema.clone()), key(&refused.row, 0)?);
        let found = self.newest_documents(&schema, vec![id]).await?;
        let newest = found.into_values().next().filter(|(version, _)| *version <= refused.version());
        let Some((_, document)) = newest else { return Ok(None) };
        let decoding = Decoding { ignores: false, ..self.decoding(&schema) };
        let metadata =
            RowMetadata { operation: "delete", version: refused.version(), index: 0, deleted: true };
        let (row, ..) = promotion::decode_first(decoding, &[Piece { document, metadata, of: () }])?;
        Ok(Some(row))
    }

    /// Refuses a table whose engine hides the rows that are to be kept.
    pub(super) async fn guard_marks(&self) -> Result<()> {
        if !matches!(self.layout(), Layout::Marked { .. }) {
            return Ok(());
        }
        let table = self.retrying(|| self.sink.describe(&self.table)).await?;
        if !hides_deletions(table.as_ref()) {
            return Ok(());
        }
        Err(EngineError::NotPossible {
            doing: format!("keeping the table {} of the pipeline {} in step", self.table, self.name),
            reason: format!(
                "its engine hides rows of documents that are gone, which deletes = \"mark\" is to show: zenith reload {} makes \
                 one that does not",
                self.name
            ),
        })
    }
}
