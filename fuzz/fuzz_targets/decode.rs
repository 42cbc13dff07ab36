//! The decoder against arbitrary bytes: it never panics, every document becomes a row or is reported as bad,
//! and a row gives back the document that the `bson` crate reads from the same bytes.
//!
//! An input is two bytes of choices, then documents one after the other as they stand in a reply of MongoDB. Bytes
//! that cannot be divided into documents are handed over as one, which a reader would have refused.
//!
//! Run it with `cargo +nightly fuzz run decode` (`cargo install cargo-fuzz`).
#![no_main]

use std::ops::Range;
use std::sync::LazyLock;

use arrow_array::RecordBatch;
use bson::{Document, RawDocument};
use libfuzzer_sys::{Corpus, fuzz_target};
use zenith_arrow::infer::{DecimalAs, IdTypes, InferOptions, Mixed, ObjectIdAs, infer};
use zenith_bson::{DEPTH_MAX, Elements, RawError, tag, utf8, validate};
use zenith_arrow::{Decoder, DecoderOptions, Kind, Schema, UuidOrder, equal, rebuild};
use zenith_memory::Pool;

/// One pool for all runs: making one takes longer than a run.
static POOL: LazyLock<Pool> = LazyLock::new(|| Pool::new(64 << 20).expect("the pool is mapped"));
/// Levels of nesting that the `bson` crate's recursion is trusted with.
const DEPTH_COMPARED: usize = 64;

/// What the first two bytes decide.
struct Choices {
    infer: InferOptions,
    decoder: DecoderOptions,
    /// Documents the schema is inferred from; the others come as a surprise.
    sample: usize,
    /// Whether the decoder sees the sample before it begins.
    learn: bool,
}

impl Choices {
    fn of(first: u8, second: u8) -> Choices {
        let bit = |byte: u8, n: u8| byte & (1 << n) != 0;
        Choices {
            infer: InferOptions {
                object_id: if bit(first, 0) { ObjectIdAs::Fixed } else { ObjectIdAs::Hex },
                decimal: if bit(first, 1) { DecimalAs::Text } else { DecimalAs::Decimal },
                keep_nulls: bit(first, 2),
                uuid_legacy: match first >> 3 & 3 {
                    0 => UuidOrder::PythonLegacy,
                    1 => UuidOrder::JavaLegacy,
                    2 => UuidOrder::CSharpLegacy,
                    _ => UuidOrder::Standard,
                },
                id: match first >> 5 & 3 {
                    0 => IdTypes::One,
                    1 => IdTypes::Several,
                    _ => IdTypes::Unknown,
                },
                leaves_max: if bit(first, 7) { 3 } else { 4_000 },
                // A key that holds every `_id`, as one that does not ends decoding.
                key: Some(Kind::MixedId),
                mixed: match second >> 6 {
                    0 => Mixed::Text,
                    1 => Mixed::Majority,
                    _ => Mixed::Twin,
                },
                ..InferOptions::default()
            },
            decoder: DecoderOptions {
                rows_max: if bit(second, 0) { 2 } else { 1_000 },
                bytes_max: if bit(second, 1) { 16 << 10 } else { 1 << 20 },
            },
            learn: bit(second, 2),
            sample: usize::from(second >> 3 & 7),
        }
    }
}

fuzz_target!(|input: &[u8]| -> Corpus {
    let [first, second, bytes @ ..] = input else { return Corpus::Reject };
    let choices = Choices::of(*first, *second);
    let documents = divide(bytes);
    let sample = || documents.iter().take(choices.sample).map(|range| &bytes[range.clone()]);
    let schema = infer(sample(), &choices.infer).schema;
    assert!(schema.fields.first().is_some_and(|field| field.name == "_id"), "{schema:?}");

    let mut decoder = Decoder::new(&schema, &POOL, choices.decoder);
    if choices.learn {
        decoder
            .learn(bytes, documents.iter().take(choices.sample).cloned())
            .expect("the sample is learned from");
    }
    let (batches, bad) = decode(&mut decoder, bytes, &documents);
    account(&schema, bytes, &documents, &batches, &bad);
    drop((batches, decoder));
    assert_eq!(POOL.stats().in_use, 0, "memory has not come back to the pool");
    Corpus::Keep
});

/// Where documents lie, by their length prefixes. The last one takes what is left.
fn divide(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut start = 0;
    while start < bytes.len() {
        let left = bytes.len() - start;
        let prefix = bytes[start..].first_chunk().map(|prefix| i32::from_le_bytes(*prefix));
        let length = prefix
            .and_then(|length| usize::try_from(length).ok())
            .filter(|length| (5..left).contains(length));
        let end = start + length.unwrap_or(left);
        ranges.push(start..end);
        start = end;
    }
    ranges
}

fn decode(decoder: &mut Decoder, bytes: &[u8], documents: &[Range<usize>]) -> (Vec<RecordBatch>, Vec<Bad>) {
    let (mut batches, mut bad) = (Vec::new(), Vec::new());
    let mut left = documents.iter().cloned();
    loop {
        let mut note = |document: zenith_arrow::BadDocument| bad.push((document.range, document.reason));
        match decoder.append(bytes, &mut left, &mut note).expect("memory suffices") {
            Some(batch) => batches.push(batch),
            None => break,
        }
    }
    batches.extend(decoder.finish().expect("a batch is sealed"));
    (batches, bad)
}

type Bad = (Range<usize>, RawError);

/// Every document is a row or bad, in order, and each row is its document.
fn account(schema: &Schema, bytes: &[u8], documents: &[Range<usize>], batches: &[RecordBatch], bad: &[Bad]) {
    let mut rows = batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| (batch, row)));
    let mut bad = bad.iter().peekable();
    for range in documents {
        let document = &bytes[range.clone()];
        if let Some((_, reason)) = bad.next_if(|(place, _)| place == range) {
            assert!(validate(document).is_err(), "a valid document was reported as bad: {reason}");
            continue;
        }
        let mut document = document.to_vec();
        blank_idle_names(&mut document, schema.keep_nulls);
        let (batch, row) = rows.next().expect("a document is neither a row nor bad");
        assert_eq!(validate(&document), Ok(()), "a document that is not valid became a row");
        let rebuilt = rebuild(schema, batch, row).unwrap_or_else(|error| panic!("{error:?}\n{schema:?}"));
        if let Some(expected) = by_the_bson_crate(&document)
            && let Err(difference) = equal(&expected, &rebuilt, schema.keep_nulls)
        {
            panic!("{difference}\nexpected {expected:?}\nrebuilt  {rebuilt:?}\nschema {schema:?}");
        }
    }
    assert!(rows.next().is_none() && bad.next().is_none(), "more rows or bad documents than documents");
}

/// Makes those names text that the decoder need not look at: of array elements, which are only positions, and of
/// nulls where they count as missing.
fn blank_idle_names(document: &mut [u8], keep_nulls: bool) {
    let mut names = Vec::new();
    let walk = Walk { start: document.as_ptr().addr(), keep_nulls };
    walk.find_idle_names(document, false, 1, &mut names);
    for name in names {
        document[name].fill(b'0');
    }
}

struct Walk {
    /// Address of the document.
    start: usize,
    keep_nulls: bool,
}

impl Walk {
    fn find_idle_names(&self, level: &[u8], is_array: bool, depth: usize, names: &mut Vec<Range<usize>>) {
        let elements = Elements::new(level).into_iter().flatten();
        for element in elements.map_while(Result::ok).filter(|_| depth <= DEPTH_MAX) {
            let is_idle = is_array || (element.value.tag == tag::NULL && !self.keep_nulls);
            if is_idle && utf8(element.key).is_err() {
                let from = element.key.as_ptr().addr() - self.start;
                names.push(from..from + element.key.len());
            }
            let inside = match element.value.tag {
                tag::DOCUMENT | tag::ARRAY => Some(element.value.bytes),
                _ => element.value.as_code_with_scope().map(|(_, scope)| scope),
            };
            if let Some(inside) = inside {
                self.find_idle_names(inside, element.value.tag == tag::ARRAY, depth + 1, names);
            }
        }
    }
}

/// The document as the driver's own library reads it, if it does.
fn by_the_bson_crate(document: &[u8]) -> Option<Document> {
    let deepest = document.windows(2).filter(|pair| matches!(pair[0], 0x03 | 0x04 | 0x0F)).count();
    if deepest > DEPTH_COMPARED {
        return None;
    }
    Document::try_from(RawDocument::from_bytes(document).ok()?).ok()
}
