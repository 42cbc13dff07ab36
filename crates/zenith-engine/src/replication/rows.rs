//! Which rows a batch of changes makes, and their decoding: from replies, and from documents that were looked up.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use arrow_array::RecordBatch;
use bson::{RawBson, RawDocument};
use zenith_arrow::{BadDocument, DecodeError, Decoder};
use zenith_extract::DocumentBatch;

use super::event::{Event, EventKind, Span};
use super::position::Position;
use crate::layout::{Layout, MetadataColumns, RowMetadata};
use crate::load::dead_letters::RejectedDocument;

/// A row to be decoded: a document in one of several buffers, and its metadata.
pub(super) struct Row {
    /// The event whose reply, or the look-up whose batch, holds the document.
    buffer: usize,
    span: Span,
    metadata: RowMetadata,
    /// The change it is of, whose key stands for the document where that cannot be decoded.
    event: usize,
}

impl Row {
    /// A document with nothing but the `_id` of its document.
    pub(super) fn key<'e>(&self, events: &'e [Event]) -> &'e [u8] {
        events.get(self.event).map_or(&[], |event| event.key.of(event.batch.bytes()))
    }

    /// The version of its change.
    pub(super) fn version(&self) -> u64 {
        self.metadata.version
    }

    /// The same row, of the document at this place of another buffer.
    pub(super) fn of_document(self, range: Range<usize>) -> Row {
        Row { buffer: 0, span: Span::from(range), ..self }
    }

    /// Whether it marks as deleted what was not deleted, but cannot be decoded.
    fn is_mark(&self) -> bool {
        self.metadata.deleted && self.metadata.operation != EventKind::Delete.operation()
    }
}

/// The rows of a batch of changes.
pub(super) struct Rows<'a> {
    events: &'a [Event],
    /// Those whose document came with the change, and those of documents that are gone.
    pub(super) ready: Vec<Row>,
    /// Those that mark documents as gone which did not come with a change: the table has their values. They stand for the key.
    pub(super) marks: Vec<Row>,
    /// Those whose document is to be looked up, by `_id` as an element. Until it is found, they stand for its key.
    wanted: HashMap<&'a [u8], Vec<Row>>,
    /// The version of the newest of these.
    pub(super) newest: u64,
}

impl<'a> Rows<'a> {
    /// The rows of changes that come after `from`. With `judged` the source has to say of every document whether it is one of the
    /// table.
    pub(super) fn of(layout: Layout, from: &Position, events: &'a [Event], judged: bool) -> Rows<'a> {
        let numbers = numbers(from, events);
        let mut rows =
            Rows { events, ready: Vec::new(), marks: Vec::new(), wanted: HashMap::new(), newest: 0 };
        let known =
            if matches!(layout, Layout::Marked { .. }) { last_documents(events) } else { HashMap::new() };
        for at in kept(layout, events) {
            let (Some(event), Some(&index)) = (events.get(at), numbers.get(at)) else { continue };
            let metadata = RowMetadata {
                operation: event.kind.operation(),
                version: event.version,
                index,
                deleted: event.kind == EventKind::Delete,
            };
            let row = |span| Row { buffer: at, span, metadata, event: at };
            match event.document.filter(|_| !judged) {
                Some(document) => rows.ready.push(row(document)),
                None if event.kind.has_document() => {
                    rows.newest = rows.newest.max(event.version);
                    // Most documents change once in a batch, and in most tables only the last change counts.
                    let of_id = rows.wanted.entry(event.id()).or_insert_with(|| Vec::with_capacity(1));
                    of_id.push(row(event.key));
                }
                None => match known.get(event.id()) {
                    Some(&(before, document)) => {
                        rows.ready.push(Row { buffer: before, span: document, metadata, event: at });
                    }
                    None if matches!(layout, Layout::Marked { .. }) => rows.marks.push(row(event.key)),
                    None => rows.ready.push(row(event.key)),
                },
            }
        }
        rows
    }

    /// The `_id`s of the documents to be looked up.
    pub(super) fn wanted_ids(&self) -> impl Iterator<Item = RawBson> {
        let events = self.wanted.values().filter_map(|rows| self.events.get(rows.first()?.buffer));
        events.filter_map(|event| {
            let key = RawDocument::from_bytes(event.key.of(event.batch.bytes())).ok()?;
            key.get("_id").ok()?.map(Into::into)
        })
    }

    /// Takes the rows of these documents. Of those that are gone by now a deletion is on its way.
    pub(super) fn take_found(&mut self, found: &[DocumentBatch]) -> Vec<Row> {
        let mut rows = Vec::new();
        for (buffer, batch) in found.iter().enumerate() {
            for range in batch.ranges() {
                let document = batch.documents_bytes().get(range.clone()).unwrap_or_default();
                let wanted = id_element(document).and_then(|id| self.wanted.remove(id));
                let span = Span::from(range);
                rows.extend(wanted.into_iter().flatten().map(|row| Row { buffer, span, ..row }));
            }
        }
        rows
    }

    /// The rows of documents that were not found, with nothing but their key.
    pub(super) fn into_gone(self) -> Vec<Row> {
        self.wanted.into_values().flatten().collect()
    }

    /// Rows that mark as deleted the documents that were not found, as they are none of the table's, or gone.
    ///
    /// A new document has no row before its first change; if it has changed since, that change is on its way. Rows of it may be
    /// there if it was another one before.
    pub(super) fn into_unmatched(self) -> Vec<Row> {
        let mut changes: HashMap<&[u8], usize> = HashMap::with_capacity(self.events.len());
        for event in self.events {
            *changes.entry(event.id()).or_default() += 1;
        }
        let is_new = |row: &Row| {
            self.events.get(row.event).is_some_and(|event| {
                event.kind == EventKind::Insert
                    && changes.get(event.id()).is_some_and(|changes| *changes == 1)
            })
        };
        let mut rows: Vec<Row> = self.wanted.into_values().flatten().filter(|row| !is_new(row)).collect();
        rows.sort_unstable_by_key(|row| row.event);
        for row in &mut rows {
            row.metadata =
                RowMetadata { operation: EventKind::Delete.operation(), deleted: true, ..row.metadata };
        }
        rows
    }
}

/// The indexes of the changes that make rows, in order.
fn kept(layout: Layout, events: &[Event]) -> Vec<usize> {
    if !layout.has_versions() {
        return (0..events.len()).collect();
    }
    let mut last: HashMap<&[u8], usize> = HashMap::with_capacity(events.len());
    for (index, event) in events.iter().enumerate() {
        last.insert(event.id(), index);
    }
    let mut kept: Vec<usize> = last.into_values().collect();
    kept.sort_unstable();
    kept
}

/// The last document that came with a change, by its `_id`, and the change.
fn last_documents(events: &[Event]) -> HashMap<&[u8], (usize, Span)> {
    let with_document = events.iter().enumerate();
    with_document.filter_map(|(at, event)| Some((event.id(), (at, event.document?)))).collect()
}

/// The number of each change within its version.
fn numbers(from: &Position, events: &[Event]) -> Vec<u32> {
    let (mut version, mut index) = (from.version, from.index);
    let number = |event: &Event| {
        if event.version != version {
            (version, index) = (event.version, 0);
        }
        index += 1;
        index - 1
    };
    events.iter().map(number).collect()
}

/// What is decoded in one go.
pub(super) enum Piece {
    Events(Arc<Vec<Event>>, Vec<Row>),
    LookedUp(Vec<DocumentBatch>, Vec<Row>),
    /// Documents of rows of the table.
    Rebuilt(Vec<u8>, Vec<Row>),
}

/// What came of a batch of changes.
pub(super) struct Decoded {
    /// The rows, if there are any.
    pub(super) batch: Option<RecordBatch>,
    /// Whether they are more than one batch holds. What there is of them is then of no use.
    pub(super) is_too_much: bool,
    pub(super) letters: Vec<RejectedDocument>,
    /// The changes that the rows stand for, but for those that mark as deleted what became a letter.
    pub(super) documents: usize,
    /// The changes of these, and their metadata: an older row of the document is not to stay as if it were its newest.
    bad: Vec<(usize, RowMetadata)>,
    /// Values that went to the extra column, by field and reason.
    pub(super) extra: BTreeMap<String, BTreeMap<String, u64>>,
}

/// A batch of changes that is being decoded.
pub(super) struct Decoding {
    decoder: Decoder,
    layout: Layout,
    columns: MetadataColumns,
    rows: usize,
    /// Whether the documents at hand are those of rows of the table.
    is_rebuilt: bool,
    out: Decoded,
}

impl Decoding {
    pub(super) fn new(decoder: Decoder, layout: Layout, rows: usize) -> Decoding {
        Decoding {
            decoder,
            layout,
            columns: MetadataColumns::new(layout, rows),
            rows,
            is_rebuilt: false,
            out: Decoded {
                batch: None,
                is_too_much: false,
                letters: Vec::new(),
                documents: 0,
                bad: Vec::new(),
                extra: BTreeMap::new(),
            },
        }
    }

    /// Decodes rows, those of one buffer in one go. Blocks while there is no memory.
    pub(super) fn step(&mut self, piece: &Piece) -> Result<(), DecodeError> {
        match piece {
            Piece::Events(events, rows) => {
                let bytes = |buffer: usize| events.get(buffer).map_or(&[][..], |event| event.batch.bytes());
                self.rows(rows, bytes)
            }
            Piece::LookedUp(batches, rows) => {
                let bytes =
                    |buffer: usize| batches.get(buffer).map_or(&[][..], DocumentBatch::documents_bytes);
                self.rows(rows, bytes)
            }
            Piece::Rebuilt(bytes, rows) => {
                self.is_rebuilt = true;
                let done = self.rows(rows, |_| bytes.as_slice());
                self.is_rebuilt = false;
                done
            }
        }
    }

    fn rows<'a>(&mut self, rows: &[Row], bytes_of: impl Fn(usize) -> &'a [u8]) -> Result<(), DecodeError> {
        let same = |a: &Row, b: &Row| std::ptr::eq(bytes_of(a.buffer).as_ptr(), bytes_of(b.buffer).as_ptr());
        for run in rows.chunk_by(same) {
            if let Some(first) = run.first() {
                self.run(run, bytes_of(first.buffer))?;
            }
        }
        Ok(())
    }

    fn run(&mut self, run: &[Row], bytes: &[u8]) -> Result<(), DecodeError> {
        if self.out.batch.is_some() {
            self.out.is_too_much = true;
            return Ok(());
        }
        let mut ranges = run.iter().map(|row| row.span.range());
        let mut bad = HashMap::new();
        let mut is_bad = |document: BadDocument| {
            bad.insert(document.range.start, document.reason);
        };
        let full = match self.is_rebuilt {
            false => self.decoder.append(bytes, &mut ranges, &mut is_bad)?,
            true => self.decoder.append_rebuilt(bytes, &mut ranges, &mut is_bad)?,
        };
        let taken = run.len() - ranges.len();
        let mut unwound = self.decoder.rows_of_documents().map(|rows| rows.iter().copied());
        for row in run.iter().take(taken) {
            match bad.get(&row.span.range().start) {
                None => {
                    let rows = unwound.as_mut().and_then(Iterator::next).unwrap_or(1);
                    (0..rows).for_each(|_| self.columns.push(row.metadata));
                    self.out.documents += usize::from(!row.is_mark());
                }
                // Whose document is gone, nobody would look for its letter.
                Some(_) if row.metadata.deleted && matches!(self.layout, Layout::Marked { .. }) => {
                    self.out.bad.push((row.event, row.metadata));
                }
                Some(reason) => {
                    let metadata = row.metadata;
                    let letter = RejectedDocument::new(row.span.of(bytes), reason.to_string());
                    self.out.letters.push(letter.of_change(
                        metadata.version,
                        metadata.operation,
                        metadata.index,
                    ));
                    self.out.bad.push((row.event, metadata));
                }
            }
        }
        if let Some(batch) = full {
            self.seal(&batch)?;
            self.out.is_too_much = ranges.len() > 0;
        }
        Ok(())
    }

    /// Rows that mark as deleted what could not be decoded so far, each of the version of its change. Where the key itself
    /// cannot be decoded, no row of it has ever been written.
    pub(super) fn take_bad(&mut self, events: &[Event]) -> Vec<Row> {
        let bad = std::mem::take(&mut self.out.bad);
        if !self.layout.has_versions() {
            return Vec::new();
        }
        let key = |(event, metadata): (usize, RowMetadata)| {
            let span = events.get(event)?.key;
            let key = span.of(events.get(event)?.batch.bytes());
            zenith_bson::validate(key).ok()?;
            Some(Row { buffer: event, span, metadata: RowMetadata { deleted: true, ..metadata }, event })
        };
        bad.into_iter().filter_map(key).collect()
    }

    fn seal(&mut self, batch: &RecordBatch) -> Result<(), DecodeError> {
        let columns = std::mem::replace(&mut self.columns, MetadataColumns::new(self.layout, self.rows));
        let whole = columns.append_to(batch).map_err(|_| {
            arrow_schema::ArrowError::SchemaError("the metadata columns do not fit the documents".to_owned())
        })?;
        self.out.batch = Some(whole);
        Ok(())
    }

    pub(super) fn is_too_much(&self) -> bool {
        self.out.is_too_much
    }

    pub(super) fn finish(mut self) -> (Decoder, Result<Decoded, DecodeError>) {
        let sealed = match self.decoder.finish() {
            // Rows beyond a batch that is full already.
            Ok(Some(_)) if self.out.batch.is_some() => {
                self.out.is_too_much = true;
                Ok(())
            }
            Ok(Some(batch)) => self.seal(&batch),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        self.out.extra = self.decoder.take_counts().by_field();
        (self.decoder, sealed.map(|()| self.out))
    }
}

/// `_id` of a document as an element: its type, its name and its value.
fn id_element(document: &[u8]) -> Option<&[u8]> {
    document.get(zenith_bson::Elements::new(document).ok()?.find_key(b"_id")?.range())
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;
    use zenith_extract::{
        DocumentReader, MemorySource, Namespace, PartitionStrategy, ReadOptions, ReplyBudget, Source,
    };
    use zenith_memory::Pool;

    use super::*;

    /// The documents as a look-up brings them.
    async fn found(documents: Vec<bson::RawDocumentBuf>) -> DocumentBatch {
        let namespace: Namespace = "d.c".parse().unwrap();
        let source = MemorySource::new().with_collection(namespace.clone(), documents);
        let partitions = source.partitions(&namespace, 1, PartitionStrategy::Natural).await.unwrap();
        let options = ReadOptions::new(ReplyBudget::new(Pool::new(1024 * 1024).unwrap()));
        source.open(&partitions[0], options).await.unwrap().next().await.unwrap().unwrap()
    }

    /// A document makes all rows that wait for it, once, whichever look-up finds it; the others are gone.
    #[tokio::test]
    async fn what_is_not_found_is_gone() {
        let [a, b, c] = [1, 2, 3].map(|id| rawdoc! { "_id": id });
        let row = |version| Row {
            buffer: 0,
            span: Span::default(),
            metadata: RowMetadata { operation: "update", version, index: 0, deleted: false },
            event: 0,
        };
        let wanted = [(&a, vec![row(1), row(4)]), (&b, vec![row(2)]), (&c, vec![row(3)])];
        let wanted = wanted.map(|(key, rows)| (id_element(key.as_bytes()).unwrap(), rows));
        let mut rows =
            Rows { events: &[], ready: Vec::new(), marks: Vec::new(), wanted: wanted.into(), newest: 4 };
        let versions = |rows: Vec<Row>| {
            let mut versions: Vec<_> = rows.iter().map(|row| (row.metadata.version, row.buffer)).collect();
            versions.sort_unstable();
            versions
        };
        let first = [found(vec![rawdoc! { "_id": 9 }]).await, found(vec![a.clone()]).await];
        assert_eq!(versions(rows.take_found(&first)), [(1, 1), (4, 1)]);
        let second = [found(vec![a.clone(), b.clone()]).await];
        assert_eq!(versions(rows.take_found(&second)), [(2, 0)]);
        assert_eq!(versions(rows.into_gone()), [(3, 0)]);
    }

    #[test]
    fn an_id_is_the_same_in_a_key_and_in_its_document() {
        let key = rawdoc! { "_id": 5 };
        let document = rawdoc! { "a": "b", "_id": 5, "c": 1 };
        assert_eq!(id_element(document.as_bytes()), Some(&b"\x10_id\0\x05\0\0\0"[..]));
        assert_eq!(id_element(document.as_bytes()), id_element(key.as_bytes()));
        assert_eq!(id_element(b"\x05\0\0\0\0"), None);
    }
}
