//! The batches of a part of a file, read straight into the pool.

use std::mem;

use super::input::DataFile;
use super::parts::Span;
use super::pieces::{Filled, Pieces};
use super::survey::blocking;
use crate::batch::Memory;
use crate::{DocumentBatch, DocumentReader, ExtractError, Namespace, ReadOptions};

/// The reader of one partition of a [`crate::FileSource`].
#[derive(Debug)]
pub struct FileReader {
    namespace: Namespace,
    options: ReadOptions,
    end: u64,
    state: State,
    /// The bytes the next document needs, if a batch has too few for it.
    needed: usize,
}

enum State {
    New(DataFile, u64),
    Open(Pieces),
    /// Another thread reads; it stays so where a call was given up in the middle.
    Busy,
    Ended,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            State::New(..) => "New",
            State::Open(_) => "Open",
            State::Busy => "Busy",
            State::Ended => "Ended",
        })
    }
}

impl FileReader {
    pub(super) fn new(namespace: Namespace, file: DataFile, span: Span, options: ReadOptions) -> FileReader {
        let state = State::New(file, span.start);
        FileReader { namespace, options, end: span.end, state, needed: 0 }
    }

    /// Bytes that are not delivered yet.
    fn left(&self) -> u64 {
        match &self.state {
            State::New(_, start) => self.end.saturating_sub(*start),
            State::Open(pieces) => self.end.saturating_sub(pieces.offset()),
            State::Busy => u64::MAX,
            State::Ended => 0,
        }
    }
}

impl DocumentReader for FileReader {
    async fn next(&mut self) -> Result<Option<DocumentBatch>, ExtractError> {
        loop {
            let left = self.left();
            if left == 0 {
                self.state = State::Ended;
                return Ok(None);
            }
            let size = self.options.batch_bytes.min(usize::try_from(left).unwrap_or(usize::MAX));
            let size = size.max(self.needed).max(1);
            let mut share = self.options.reply_budget.reserve(size).await?;
            let mut bytes = share.allocate(size)?;
            let (state, end) = (mem::replace(&mut self.state, State::Busy), self.end);
            let work = move || {
                let mut pieces = match state {
                    State::New(file, start) => Pieces::open(file, Span { start, end })?,
                    State::Open(pieces) => pieces,
                    State::Busy | State::Ended => return Ok(None),
                };
                let filled = pieces.fill(&mut bytes)?;
                Ok(Some((pieces, bytes, filled)))
            };
            let Some((pieces, bytes, filled)) = blocking(&self.namespace, work).await? else {
                return Err(ExtractError::ReaderStopped { namespace: self.namespace.clone() });
            };
            self.state = State::Open(pieces);
            match filled {
                Filled::Documents(frame) => {
                    self.needed = 0;
                    let memory = Memory::Landed { bytes, _share: share };
                    return Ok(Some(DocumentBatch::back_to_back(memory, frame)));
                }
                Filled::Larger(needed) => self.needed = needed,
                // The survey has found more.
                Filled::End => return Err(ExtractError::Replaced { namespace: self.namespace.clone() }),
            }
        }
    }
}
