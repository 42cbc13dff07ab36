//! Failures as those see them whom they concern.

use zenith_arrow::DecodeError;

use crate::{EngineError, Mode, PipelineSettings, Strategy};

impl EngineError {
    /// The same failure of a plan, with what helps a pipeline instead of a single copy.
    pub(crate) fn of_pipeline(mut self, pipeline: &str, settings: &PipelineSettings) -> EngineError {
        if let EngineError::TableDiffers { advice, is_ours, .. } = &mut self {
            *advice = match (settings.mode, settings.options.strategy) {
                _ if !*is_ours => "It was not made by Zenith: name another table (table = \"…\")".to_owned(),
                (Mode::ChangeLog, _) => "Name another table (table = \"…\")".to_owned(),
                _ if settings.refused_load().is_some() => {
                    "It keeps rows of documents that are gone, and is not loaded again: name another table (table = \"…\"), or \
                     let these rows go with deletes = \"tombstone\" and zenith reload"
                        .to_owned()
                }
                (Mode::Full, Strategy::Truncate) => {
                    "strategy = \"swap\" puts a new table in its place; or name another one (table = \"…\")"
                        .to_owned()
                }
                _ => format!(
                    "zenith reload {pipeline} puts a new table in its place; or name another one (table = \"…\")"
                ),
            };
        }
        self
    }

    /// What decoding documents of a collection failed with.
    pub(crate) fn decoding(namespace: &impl ToString, source: DecodeError) -> EngineError {
        let namespace = namespace.to_string();
        match source {
            DecodeError::Key { id, found } => EngineError::Key { namespace, id, found },
            source => EngineError::Decode { namespace, source },
        }
    }
}
