//! Documents of one reply or one piece of a file: the bytes as they were received, and where each document
//! lies in them.
//!
//! The framing (where documents begin and end) is checked once, when the batch is made, so that iterating
//! cannot fail. The contents of documents are not read, except `_id` of the first and the last.

mod array;
mod ranges;
mod sequence;

use std::fmt;
use std::ops::Range;

use bson::{RawBsonRef, RawDocument};
use mongodb::raw_batch_cursor::RawBatch;
use zenith_memory::PoolBuf;

pub use array::Documents;
use array::Framing;
pub(crate) use array::{FramingError, array_frame, array_of};
pub use ranges::Ranges;
pub(crate) use sequence::{SequenceFrame, sequence_frame};

use crate::error::{ExtractError, FailureKind};
use crate::reply_budget::BudgetPermit;

/// Documents of one reply, or of one piece of a file. Dropping it returns its memory to the pool.
pub struct DocumentBatch {
    memory: Memory,
    /// The elements of the BSON array, without its length and terminator; or the documents, if there is no array.
    elements: Range<usize>,
    framing: Framing,
    len: usize,
    byte_len: usize,
    /// Where the last document begins, in the same bytes as `elements`.
    last: usize,
}

/// Whose bytes they are. Heap memory carries the share of the pool's budget it stands for.
pub(crate) enum Memory {
    /// Landed in the pool: a reply, or a piece of a file.
    Landed { bytes: PoolBuf, _share: BudgetPermit },
    /// A reply of the driver.
    Driver { reply: RawBatch, _share: BudgetPermit },
    /// Made in memory.
    Heap { bytes: Vec<u8>, _share: BudgetPermit },
}

impl Memory {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Memory::Landed { bytes, .. } => bytes,
            Memory::Driver { reply, .. } => reply.as_raw_document().as_bytes(),
            Memory::Heap { bytes, .. } => bytes,
        }
    }
}

impl DocumentBatch {
    /// Takes the BSON array that occupies `array` of the bytes of `memory`, and checks its framing.
    pub(crate) fn new(memory: Memory, array: Range<usize>) -> Result<DocumentBatch, FramingError> {
        let bytes = memory.bytes();
        let slice = bytes.get(array.clone()).ok_or(FramingError::Truncated)?;
        let frame = array_frame(slice)?;
        let at = array.start;
        Ok(DocumentBatch {
            elements: at + frame.elements.start..at + frame.elements.end,
            framing: Framing::Array,
            len: frame.len,
            byte_len: frame.byte_len,
            last: at + frame.last,
            memory,
        })
    }

    /// Takes the documents that stand back to back at the start of `memory`, where `frame` has found them.
    pub(crate) fn back_to_back(memory: Memory, frame: SequenceFrame) -> DocumentBatch {
        DocumentBatch {
            elements: 0..frame.byte_len,
            framing: Framing::BackToBack,
            len: frame.len,
            byte_len: frame.byte_len,
            last: frame.last,
            memory,
        }
    }

    /// Documents that stand back to back in the first `used` bytes of a buffer: how your own source hands them
    /// over. `permit` is the one that the buffer was allocated of ([`BudgetPermit::allocate`]).
    ///
    /// # Errors
    /// [`ExtractError::Other`] of the kind [`FailureKind::Permanent`] where the bytes are not whole documents.
    pub fn of_documents(
        bytes: PoolBuf,
        used: usize,
        permit: BudgetPermit,
    ) -> Result<DocumentBatch, ExtractError> {
        let (frame, rest) = sequence_frame(bytes.get(..used).unwrap_or_default());
        if let Some(error) = rest {
            let message =
                format!("the documents that a source hands over are not BSON back to back: {error}");
            return Err(ExtractError::other(FailureKind::Permanent, message));
        }
        Ok(DocumentBatch::back_to_back(Memory::Landed { bytes, _share: permit }, frame))
    }

    /// The documents in order, each as its BSON bytes, borrowed from the reply.
    #[must_use]
    pub fn documents(&self) -> Documents<'_> {
        Documents::new(self.documents_bytes(), self.len, self.framing)
    }

    /// Where each document lies in [`DocumentBatch::documents_bytes`], in order.
    #[must_use]
    pub fn ranges(&self) -> Ranges<'_> {
        Ranges::new(self.documents())
    }

    /// How many documents there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The size of the documents together, in bytes.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.byte_len
    }

    /// What it occupies in memory, in bytes.
    pub(crate) fn memory_len(&self) -> usize {
        self.memory.bytes().len()
    }

    /// The documents as they came, each of a server's reply after a type byte and its index as text.
    #[must_use]
    pub fn documents_bytes(&self) -> &[u8] {
        self.memory.bytes().get(self.elements.clone()).unwrap_or_default()
    }

    /// `_id` of the first document, unless it has none (a view may leave it out).
    #[must_use]
    pub fn first_id(&self) -> Option<RawBsonRef<'_>> {
        document_id(self.documents().next()?)
    }

    /// `_id` of the last document, unless it has none.
    #[must_use]
    pub fn last_id(&self) -> Option<RawBsonRef<'_>> {
        if self.len == 0 {
            return None;
        }
        document_id(self.memory.bytes().get(self.last..self.elements.end)?)
    }

    /// Leaves out the first document, which a resumed scan reads twice.
    pub(crate) fn skip_first(&mut self) {
        let mut documents = self.documents();
        let Some(first) = documents.next().map(<[u8]>::len) else { return };
        let rest = documents.bytes().len();
        self.elements.start = self.elements.end - rest;
        self.len -= 1;
        self.byte_len -= first;
    }
}

impl fmt::Debug for DocumentBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DocumentBatch").field("len", &self.len).field("byte_len", &self.byte_len).finish()
    }
}

/// `_id` of a document whose end may be followed by other bytes.
pub(crate) fn document_id(bytes: &[u8]) -> Option<RawBsonRef<'_>> {
    let len = array::document_len(bytes).ok()?;
    RawDocument::from_bytes(bytes.get(..len)?).ok()?.get("_id").ok()?
}
