//! One pass over a file that finds out everything but the documents.

use bson::{RawBson, RawDocument, RawDocumentBuf};

use super::input::{DataFile, FileState};
use super::parts::Span;
use super::pieces::{Filled, Pieces, to_u64};
use super::spread::{Spread, evenly};
use crate::batch::{SequenceFrame, document_id};
use crate::{ExtractError, IdTypes, Namespace};

/// Bytes read at once.
const BUFFER_BYTES: usize = 1024 * 1024;
/// The pass checks for cancellation after this many buffers.
const BUFFERS_A_TURN: usize = 32;
/// Places to divide a file at.
const PLACES: usize = 8192;
/// The most a sample may hold, in bytes.
const SAMPLE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Documents that are taken however large they are: one of 16 MB alone would say little.
const ENOUGH: usize = 3;

/// What a pass over a file has found.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) file: DataFile,
    state: FileState,
    pub(super) documents: u64,
    /// Bytes of BSON.
    pub(super) bytes: u64,
    /// Offsets at which documents begin, spread evenly; none for a compressed file, which cannot be read from the
    /// middle.
    pub(super) places: Vec<u64>,
    /// The types of `_id` that come first and last in BSON order, unless a document has none.
    pub(super) id_types: Option<IdTypes>,
    /// `_id` of the last document.
    pub(super) last_id: Option<RawBson>,
    sample: Vec<RawDocumentBuf>,
    /// As many as were asked for.
    sampled: usize,
}

impl Survey {
    /// Whether the file is as it was.
    pub(super) fn is_of(&self, file: &DataFile) -> Result<bool, ExtractError> {
        Ok(self.file == *file && self.state == file.state()?)
    }

    /// Whether it can give a sample of so many documents.
    pub(super) fn has_sample_of(&self, documents: usize) -> bool {
        documents <= self.sampled || to_u64(self.sample.len()) == self.documents
    }

    /// So many documents, or about as many as may be held.
    pub(super) fn sample(&self, documents: usize) -> Vec<RawDocumentBuf> {
        evenly(&self.sample, documents).cloned().collect()
    }
}

/// Memory to read into.
#[derive(Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
}

impl Buffer {
    pub(super) fn bytes(&mut self) -> &mut [u8] {
        self.grow(BUFFER_BYTES);
        &mut self.bytes
    }

    /// Makes room for a document of so many bytes.
    pub(super) fn grow(&mut self, bytes: usize) {
        if self.bytes.len() < bytes {
            self.bytes.resize(bytes, 0);
        }
    }
}

/// Does something that waits for a file on a thread that may wait.
pub(super) async fn blocking<T: Send + 'static>(
    namespace: &Namespace,
    work: impl FnOnce() -> Result<T, ExtractError> + Send + 'static,
) -> Result<T, ExtractError> {
    let stopped = |_| ExtractError::ReaderStopped { namespace: namespace.clone() };
    tokio::task::spawn_blocking(work).await.map_err(stopped)?
}

/// Passes over a file, keeping `sample` of its documents.
pub(super) async fn survey(
    namespace: &Namespace,
    file: DataFile,
    sample: usize,
) -> Result<Survey, ExtractError> {
    let mut pass = blocking(namespace, move || Pass::begin(file, sample)).await?;
    loop {
        // In turns, so that nobody reads on after whoever wanted to know has left.
        match blocking(namespace, move || pass.go_on()).await? {
            Progress::More(unfinished) => pass = unfinished,
            Progress::Done(survey) => return Ok(survey),
        }
    }
}

/// What came of a turn.
enum Progress {
    More(Box<Pass>),
    Done(Survey),
}

/// A pass under way.
struct Pass {
    file: DataFile,
    state: FileState,
    pieces: Pieces,
    buffer: Buffer,
    documents: u64,
    places: Spread<u64>,
    sample: Sampler,
    ids: Ids,
    /// The last document so far.
    last: Vec<u8>,
}

impl Pass {
    fn begin(file: DataFile, sample: usize) -> Result<Box<Pass>, ExtractError> {
        Ok(Box::new(Pass {
            state: file.state()?,
            pieces: Pieces::open(file.clone(), Span::WHOLE)?,
            file,
            buffer: Buffer::default(),
            documents: 0,
            places: Spread::new(PLACES),
            sample: Sampler::new(sample),
            ids: Ids::default(),
            last: Vec::new(),
        }))
    }

    fn go_on(mut self: Box<Pass>) -> Result<Progress, ExtractError> {
        for _ in 0..BUFFERS_A_TURN {
            let start = self.pieces.offset();
            match self.pieces.fill(self.buffer.bytes())? {
                Filled::Documents(frame) => self.see(start, frame),
                Filled::Larger(bytes) => self.buffer.grow(bytes),
                Filled::End => return Ok(Progress::Done(self.end())),
            }
        }
        Ok(Progress::More(self))
    }

    fn see(&mut self, mut start: u64, frame: SequenceFrame) {
        let bytes = self.buffer.bytes();
        for document in frame.documents(bytes) {
            self.places.offer(|| start);
            self.sample.see(document);
            self.ids.see(document);
            start += to_u64(document.len());
        }
        self.documents += to_u64(frame.len);
        self.last.clear();
        self.last.extend_from_slice(&bytes[frame.last..frame.byte_len]);
    }

    fn end(self) -> Survey {
        let (places, _) = self.places.finish();
        Survey {
            documents: self.documents,
            bytes: self.pieces.offset(),
            places: if self.file.is_compressed { Vec::new() } else { places },
            id_types: self.ids.types(),
            last_id: document_id(&self.last).map(RawBson::from),
            sampled: self.sample.wanted,
            sample: self.sample.finish(&self.last),
            file: self.file,
            state: self.state,
        }
    }
}

/// Keeps documents for a sample, bounded in number and bytes.
struct Sampler {
    wanted: usize,
    documents: Spread<RawDocumentBuf>,
    bytes: usize,
}

impl Sampler {
    fn new(wanted: usize) -> Sampler {
        Sampler { wanted, documents: Spread::new(wanted.saturating_mul(2)), bytes: 0 }
    }

    fn see(&mut self, document: &[u8]) {
        // Length and end have been looked at, and there is no more that can be wrong.
        let owned = || RawDocumentBuf::from_bytes(document.to_vec()).unwrap_or_default();
        if !self.documents.offer(owned) {
            return;
        }
        // Of those that have gone it knows only when it looks.
        self.bytes += document.len();
        if self.bytes > 2 * SAMPLE_BYTES_MAX {
            self.bytes = size(self.documents.kept());
        }
        while self.bytes > 2 * SAMPLE_BYTES_MAX && self.documents.kept().len() > ENOUGH {
            self.documents.thin();
            self.bytes = size(self.documents.kept());
        }
    }

    /// The sample, with the last document of all.
    fn finish(self, last: &[u8]) -> Vec<RawDocumentBuf> {
        let wanted = self.wanted;
        let (mut documents, has_last) = self.documents.finish();
        if !has_last && let Ok(last) = RawDocumentBuf::from_bytes(last.to_vec()) {
            documents.push(last);
        }
        let bytes = size(evenly(&documents, wanted));
        let affordable = match bytes > SAMPLE_BYTES_MAX {
            // The average stands for all; the sample is an aim and no limit.
            true => (wanted.min(documents.len()) * (SAMPLE_BYTES_MAX / 1024) / (bytes / 1024)).max(ENOUGH),
            false => wanted,
        };
        evenly(&documents, affordable).cloned().collect()
    }
}

fn size<'a>(documents: impl IntoIterator<Item = &'a RawDocumentBuf>) -> usize {
    documents.into_iter().map(|document| document.as_bytes().len()).sum()
}

/// What is known of the types of all `_id`s.
#[derive(Default)]
struct Ids {
    /// The types whose classes come first and last in BSON order.
    ends: Option<IdTypes>,
    /// Whether a document has none.
    is_missing: bool,
}

impl Ids {
    fn see(&mut self, document: &[u8]) {
        // One that cannot be read becomes a dead letter and no row.
        let Ok(id) = RawDocument::from_bytes(document).and_then(|document| document.get("_id")) else {
            return;
        };
        let Some(kind) = id.map(|id| id.element_type()) else {
            self.is_missing = true;
            return;
        };
        let ends = self.ends.get_or_insert(IdTypes { smallest: kind, largest: kind });
        if kind != ends.smallest {
            ends.take_in(kind);
        }
    }

    fn types(&self) -> Option<IdTypes> {
        self.ends.filter(|_| !self.is_missing)
    }
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;
    use bson::spec::ElementType;

    use super::*;

    fn sample_of(sizes: impl IntoIterator<Item = usize>, wanted: usize) -> Vec<RawDocumentBuf> {
        let mut sampler = Sampler::new(wanted);
        let mut last = RawDocumentBuf::default();
        for (id, size) in (0_i32..).zip(sizes) {
            last = rawdoc! { "_id": id, "text": "x".repeat(size) };
            sampler.see(last.as_bytes());
        }
        sampler.finish(last.as_bytes())
    }

    #[test]
    fn samples_are_bounded_in_number_and_bytes_and_have_both_ends() {
        let ids = |documents: &[RawDocumentBuf]| -> Vec<i32> {
            documents.iter().map(|document| document.get_i32("_id").unwrap()).collect()
        };
        assert_eq!(ids(&sample_of([1; 3], 10)), [0, 1, 2]);
        let many = ids(&sample_of(std::iter::repeat_n(10, 100_000), 1_000));
        assert_eq!((many.len(), many[0], many[999]), (1_000, 0, 99_999));
        assert!(many.windows(2).all(|pair| (50..200).contains(&(pair[1] - pair[0]))), "{many:?}");
        let large = sample_of(std::iter::repeat_n(1 << 20, 100), 1_000);
        assert!((4..=9).contains(&large.len()), "{}", large.len());
        assert_eq!((ids(&large)[0], *ids(&large).last().unwrap()), (0, 99));
        // Large ones at the end push small ones out.
        let mixed = sample_of([vec![10; 20_000], vec![4 << 20; 12]].concat(), 10_000);
        assert!(size(&mixed) < 24 << 20, "{}", size(&mixed));
        let huge = sample_of([12 << 20; 5], 1_000);
        assert_eq!((huge.len(), ids(&huge)[0], ids(&huge)[2]), (3, 0, 4));
    }

    #[test]
    fn types_of_all_ids_count_not_those_of_both_ends() {
        let types = |documents: &[RawDocumentBuf]| {
            let mut ids = Ids::default();
            documents.iter().for_each(|document| ids.see(document.as_bytes()));
            ids.types()
        };
        let (number, text) = (rawdoc! { "_id": 1 }, rawdoc! { "_id": "a" });
        let types_of = types(&[number.clone(), text, number.clone()]).unwrap();
        assert_eq!((types_of.smallest, types_of.largest), (ElementType::Int32, ElementType::String));
        assert!(types(&[rawdoc! { "_id": 1.5 }, number.clone()]).unwrap().is_numeric());
        assert_eq!(types(&[number, rawdoc! { "a": 1 }]), None);
        assert_eq!(types(&[]), None);
    }
}
