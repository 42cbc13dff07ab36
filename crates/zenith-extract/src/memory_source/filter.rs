//! Which documents in memory a query matches: those of which fields of the top level have the values that it names. What an
//! operator means is for servers to know.

use std::sync::Arc;

use bson::{RawBsonRef, RawDocument, RawDocumentBuf};

use crate::ExtractError;

/// Queries, all of which have to match.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    queries: Vec<Arc<RawDocumentBuf>>,
}

impl Filter {
    /// With one more query.
    pub(super) fn and(&self, query: &RawDocument) -> Result<Filter, ExtractError> {
        let unusable = |reason: String| ExtractError::Filter { reason };
        for field in query {
            let (key, value) = field.map_err(|error| unusable(error.to_string()))?;
            let key = key.as_str();
            let is_operator = |key: &str| key.starts_with('$');
            let has_operator = value
                .as_document()
                .is_some_and(|inner| inner.into_iter().flatten().any(|(key, _)| is_operator(key.as_str())));
            if is_operator(key) || key.contains('.') || has_operator {
                return Err(unusable(format!(
                    "documents in memory are only compared by equal fields, not by {key:?}"
                )));
            }
        }
        let mut queries = self.queries.clone();
        queries.push(Arc::new(query.to_owned()));
        Ok(Filter { queries })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queries.is_empty()
    }

    pub(super) fn matches(&self, document: &RawDocument) -> bool {
        let equals = |key: &str, value: RawBsonRef<'_>| {
            document.get(key).is_ok_and(|found| found.is_some_and(|found| found == value))
        };
        let fields = self.queries.iter().flat_map(|query| query.iter().flatten());
        fields.into_iter().all(|(key, value)| equals(key.as_str(), value))
    }
}
