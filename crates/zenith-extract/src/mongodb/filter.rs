//! The query that documents of a source have to match, in the commands that read them.

use std::sync::Arc;

use bson::raw::cstr;
use bson::{Document, RawDocument, RawDocumentBuf, doc, rawdoc};

use crate::ExtractError;

/// Which documents are read: all, or those that a query matches.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter(Option<Arc<Query>>);

#[derive(Debug)]
struct Query {
    raw: RawDocumentBuf,
    /// The same for commands that are not built raw.
    document: Document,
}

impl Filter {
    /// With one more query.
    pub(super) fn with(&self, query: &RawDocument) -> Result<Filter, ExtractError> {
        let raw = self.and(query.to_owned());
        let document = Document::try_from(&*raw)
            .map_err(|error| ExtractError::Filter { reason: format!("it is no BSON: {error}") })?;
        Ok(Filter(Some(Arc::new(Query { raw, document }))))
    }

    pub(super) fn raw(&self) -> Option<&RawDocument> {
        self.0.as_deref().map(|query| &*query.raw)
    }

    pub(super) fn document(&self) -> Option<&Document> {
        self.0.as_deref().map(|query| &query.document)
    }

    /// What matches a condition and this.
    pub(super) fn and(&self, condition: RawDocumentBuf) -> RawDocumentBuf {
        match self.raw() {
            None => condition,
            Some(query) => rawdoc! { "$and": [condition, query.to_owned()] },
        }
    }

    /// The same of a condition that is not raw.
    pub(super) fn and_document(&self, condition: Document) -> Document {
        match self.document() {
            None => condition,
            Some(query) => doc! { "$and": [condition, query.clone()] },
        }
    }

    /// Has a command that has no filter read only what matches.
    pub(super) fn add_to(&self, command: &mut RawDocumentBuf) {
        if let Some(query) = self.raw() {
            command.append(cstr!("filter"), query);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_joined() {
        let one = Filter::default().with(&rawdoc! { "a": 1 }).unwrap();
        assert_eq!(one.raw(), Some(&*rawdoc! { "a": 1 }));
        let both = one.with(&rawdoc! { "b": { "$gt": 2 } }).unwrap();
        assert_eq!(both.document(), Some(&doc! { "$and": [{ "b": { "$gt": 2 } }, { "a": 1 }] }));
        assert_eq!(one.and(rawdoc! { "_id": 5 }), rawdoc! { "$and": [{ "_id": 5 }, { "a": 1 }] });
        assert_eq!(Filter::default().and(rawdoc! { "_id": 5 }), rawdoc! { "_id": 5 });
    }
}
