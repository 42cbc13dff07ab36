//! The limits of batches, and the results of documents that give no row.

use std::ops::Range;

use zenith_memory::MemoryError;

use zenith_bson::RawError;

/// How large the batches of a decoder are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecoderOptions {
    /// Most rows of a batch.
    pub rows_max: usize,
    /// Most bytes of a batch, all its buffers together.
    pub bytes_max: usize,
}

/// A document that could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadDocument {
    /// Where it lies in the bytes given to [`Decoder::append`](super::Decoder::append).
    pub range: Range<usize>,
    /// What is wrong with it.
    pub reason: BadReason,
}

/// Why a document has no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadReason {
    /// Its bytes are not BSON.
    #[error(transparent)]
    Malformed(#[from] RawError),
    /// The rows that its array is unwound into would take more memory than there is for one document.
    #[error("the elements of its array, each with all other fields of the document, take more than 64 MiB")]
    TooManyRows,
}

/// Why decoding cannot continue.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The pool could not give the memory of a batch.
    #[error("no memory for a record batch")]
    Memory(#[from] MemoryError),
    /// A single document needs more memory than can be addressed.
    #[error("a document of {bytes} bytes does not fit the memory of the pool")]
    DocumentTooLarge {
        /// Size of the BSON document.
        bytes: usize,
    },
    /// The columns need more memory than a batch may have, before it has any row.
    #[error(
        "the columns of this collection need more than the {bytes} bytes a batch may have: raise the memory budget"
    )]
    TooManyColumns {
        /// Bytes of a batch.
        bytes: usize,
    },
    /// A document's `_id` does not fit the key column. A wider one is needed: there are no rows without their key.
    #[error("the _id {id} is {found}, which the key column does not hold")]
    Key {
        /// The `_id` as Extended JSON; empty if the document has none.
        id: String,
        /// Its type, in the words of `$type`; `missing` if the document has none.
        found: &'static str,
    },
    /// The columns do not make a record batch: a defect of the decoder.
    #[error("the decoded columns are inconsistent")]
    Arrow(#[from] arrow_schema::ArrowError),
}

/// The error of a document whose key does not fit.
pub(super) fn key_mismatch(document: &[u8], tag: Option<u8>) -> DecodeError {
    let found = tag.map_or("missing", zenith_bson::tag::name);
    DecodeError::Key { id: crate::extended_json::id_text(document), found }
}
