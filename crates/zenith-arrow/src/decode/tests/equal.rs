//! The decoder makes of every document what the slow one makes of it.

use bson::{Bson, Document, doc};
use proptest::prelude::*;
use proptest::sample::Index;
use zenith_bson::{RawError, validate};
use zenith_memory::Pool;

use super::slow::{Cell, Row, expected, repeats};
use super::{Decoder, DecoderOptions, Reply, decode};
use crate::DecodeError;
use crate::extended_json::arbitrary::{document, raw_document, value, varied};
use crate::infer::{DecimalAs, IdTypes, InferOptions, ObjectIdAs, infer};
use crate::{Field, Kind, Schema, UuidOrder};

const AMPLE: DecoderOptions = DecoderOptions { rows_max: 1_000, bytes_max: 8 << 20 };

/// Every document of the replies is a row or bad, in order, and every row is what the slow decoder says.
fn compare(schema: &Schema, replies: &[Reply], options: DecoderOptions) -> Result<(), TestCaseError> {
    let pool = Pool::new(64 << 20).unwrap();
    let replies = &with_keys(schema, replies, &pool)?;
    let (rows, bad) = decode(schema, replies, &pool, options);
    prop_assert_eq!(pool.stats().in_use, 0);
    let mut rows = rows.into_iter();
    for (reply, bad) in replies.iter().zip(&bad) {
        let mut bad = bad.iter().peekable();
        for range in &reply.ranges {
            let bytes = &reply.bytes[range.clone()];
            let valid = validate(bytes);
            if let Some(bad) = bad.next_if(|bad| bad.range == *range) {
                prop_assert!(valid.is_err(), "{} is no reason for {bytes:?}", bad.reason);
                continue;
            }
            // Names of array elements are not looked at, nor those of nulls that count as missing.
            prop_assert!(matches!(valid, Ok(()) | Err(RawError::InvalidUtf8)), "{valid:?} became a row");
            let row = rows.next().ok_or_else(|| TestCaseError::fail("a document is lost"))?;
            if let Ok(document) = Document::from_reader(bytes) {
                compare_row(schema, &document, repeats(bytes, false), row)?;
            }
        }
        prop_assert!(bad.next().is_none());
    }
    prop_assert!(rows.next().is_none());
    Ok(())
}

/// The documents without those whose keys the key column does not hold, which decoding ends with.
fn with_keys(schema: &Schema, replies: &[Reply], pool: &Pool) -> Result<Vec<Reply>, TestCaseError> {
    let mut kept = Vec::new();
    for reply in replies {
        let mut documents = Vec::new();
        for bytes in reply.documents() {
            let mut decoder = Decoder::new(schema, pool, AMPLE);
            let all = 0..bytes.len();
            match decoder.append(bytes, &mut std::iter::once(all), &mut |_| {}) {
                Err(DecodeError::Key { .. }) => {
                    let document = Document::from_reader(bytes).ok();
                    let fits = document.is_some_and(|document| expected(schema, &document).is_some());
                    prop_assert!(!fits || repeats(bytes, false), "the key column holds the key of {bytes:?}");
                }
                Err(error) => return Err(TestCaseError::fail(error.to_string())),
                Ok(_) => documents.push(bytes),
            }
        }
        kept.push(Reply::of(documents));
    }
    Ok(kept)
}

fn compare_row(schema: &Schema, document: &Document, repeats: bool, row: Row) -> Result<(), TestCaseError> {
    let Row { cells: mut found, extra, notes } = row;
    let Some((mut expected, whole)) = expected(schema, document) else {
        return Err(TestCaseError::fail(format!("a row without its key: {document:?} {schema:?}")));
    };
    // The `bson` crate sorts the options of regular expressions.
    if repeats || format!("{document:?}").contains("Regex") {
        forget_texts_of(&schema.fields, &mut found);
        forget_texts_of(&schema.fields, &mut expected);
    }
    prop_assert_eq!(&found, &expected, "{:?}\n{:?}\n{}\n{}", document, schema, extra, notes);
    if !repeats {
        let said = !extra.is_empty() || !notes.is_empty();
        prop_assert_eq!(said, !whole, "{:?}\n{:?}\n{}\n{}", document, schema, extra, notes);
    }
    Ok(())
}

/// Texts of Extended JSON tell what the `bson` crate's documents do not: repeated keys, for one.
fn forget_texts(kind: &Kind, cell: &mut Cell) {
    match (kind, &mut *cell) {
        (Kind::Json | Kind::MixedId | Kind::Text { .. }, _) => *cell = Cell::Any,
        // Whose order tells which of several values of a key came last.
        (Kind::Map(_), _) => *cell = Cell::Any,
        (Kind::Document(fields), Cell::Tuple(cells)) => forget_texts_of(fields, cells),
        (Kind::Array(element), Cell::List(cells)) => {
            cells.iter_mut().for_each(|cell| forget_texts(element, cell));
        }
        _ => {}
    }
}

fn forget_texts_of(fields: &[Field], cells: &mut [Cell]) {
    let mut cells = cells.iter_mut();
    for field in fields {
        forget_texts(&field.kind, cells.next().unwrap());
        if field.twin.is_some() {
            *cells.next().unwrap() = Cell::Any;
        }
    }
}

fn compare_documents(documents: &[Vec<u8>]) {
    let reply = Reply::of(documents.iter().map(Vec::as_slice));
    compare(&reply.schema(), &[reply], AMPLE).unwrap();
}

#[test]
fn arrays_with_keys_that_are_no_positions() {
    // The short cut must not take a zero in a value for the end of a longer key.
    for key in ["0", "", "1", "00", "position", "a key longer than most"] {
        let items: Vec<(&str, Bson)> = (0..30).map(|_| (key, Bson::Int32(256))).collect();
        let array = raw_document(&items);
        let mut bytes = doc! { "_id": 1 }.to_vec().unwrap();
        bytes.pop();
        bytes.extend_from_slice(b"\x04list\0");
        bytes.extend_from_slice(&array);
        bytes.push(0);
        let length = u32::try_from(bytes.len()).unwrap();
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        let plain = doc! { "_id": 1, "list": vec![256; 30] }.to_vec().unwrap();
        compare_documents(&[plain, bytes.clone(), bytes]);
    }
}

#[test]
fn text_that_is_not_utf8_is_found_in_its_document() {
    let plain = |text: &str| doc! { "_id": 1, "a": text, "b": [text, text], "c": { "d": text } };
    let bytes = |text: &str| plain(text).to_vec().unwrap();
    let split = |from: &[u8], to: &[u8]| {
        let document = bytes(std::str::from_utf8(from).unwrap());
        let at = document.windows(from.len()).position(|window| window == from).unwrap();
        let mut document = document;
        document[at..at + from.len()].copy_from_slice(to);
        document
    };
    // The two halves of a character stand next to each other in the column.
    let halves = [split(b"xy", b"x\xC3"), split(b"xy", b"\xA9y")];
    compare_documents(&[bytes("naïve"), halves[0].clone(), halves[1].clone(), bytes("日本")]);
    let reply = Reply::of(halves.iter().map(Vec::as_slice));
    let schema = Reply::of_documents([&plain("")]).schema();
    let pool = Pool::new(8 << 20).unwrap();
    let (rows, bad) = decode(&schema, std::slice::from_ref(&reply), &pool, AMPLE);
    assert_eq!((rows.len(), bad[0].len()), (0, 2));
    assert!(bad[0].iter().all(|bad| bad.reason == RawError::InvalidUtf8.into()));
    compare(&schema, &[reply], AMPLE).unwrap();
}

#[test]
fn every_cut_and_every_single_changed_byte() {
    let document = doc! {
        "_id": 7, "text": "a text", "n": 1_i64, "f": 0.5, "b": true, "at": bson::DateTime::from_millis(0),
        "id": bson::oid::ObjectId::from_bytes([9; 12]), "in": { "x": "y", "z": 2 }, "list": ["p", "", "q"],
        "long": "more than thirty-two bytes, which are copied in another way", "a_key_longer_than_one_word": 3,
    };
    let bytes = document.to_vec().unwrap();
    let schema = Reply::of_documents([&document]).schema();
    for place in 0..bytes.len() {
        for change in [0, 1, 0x7F, 0x80, 0xFF] {
            let mut changed = bytes.clone();
            changed[place] = change;
            let reply = Reply::of([bytes.as_slice(), &changed, &bytes]);
            compare(&schema, &[reply], AMPLE).unwrap();
        }
        let reply = Reply::of([bytes.as_slice(), &bytes[..place], &bytes]);
        compare(&schema, &[reply, Reply::of([&bytes[..place]])], AMPLE).unwrap();
    }
}

fn options() -> impl Strategy<Value = InferOptions> {
    let id = prop::sample::select(vec![IdTypes::Unknown, IdTypes::Several, IdTypes::One]);
    let order = prop::sample::select(vec![
        UuidOrder::Standard,
        UuidOrder::PythonLegacy,
        UuidOrder::JavaLegacy,
        UuidOrder::CSharpLegacy,
    ]);
    let leaves_max = prop::sample::select(vec![2, 8, 1_000]);
    (any::<[bool; 3]>(), id, order, leaves_max).prop_map(
        |([object_id, decimal, keep_nulls], id, uuid_legacy, leaves_max)| InferOptions {
            object_id: if object_id { ObjectIdAs::Hex } else { ObjectIdAs::Fixed },
            decimal: if decimal { DecimalAs::Decimal } else { DecimalAs::Text },
            uuid_legacy,
            keep_nulls,
            id,
            leaves_max,
            ..InferOptions::default()
        },
    )
}

/// How a document's bytes differ from those of a plain one.
#[derive(Clone, Debug)]
struct Damage {
    repeated: Vec<(Index, Bson)>,
    moved: Option<(Index, Index)>,
    changed: Vec<(Index, u8)>,
    cut: Option<Index>,
}

fn damage() -> impl Strategy<Value = Damage> {
    let repeated = prop::collection::vec((any::<Index>(), value()), 0..2);
    let changed = prop::collection::vec((any::<Index>(), any::<u8>()), 0..3);
    let (moved, cut) =
        (prop::option::of(any::<(Index, Index)>()), prop::option::weighted(0.1, any::<Index>()));
    (repeated, moved, prop::option::weighted(0.4, changed), cut).prop_map(
        |(repeated, moved, changed, cut)| Damage {
            repeated,
            moved,
            changed: changed.unwrap_or_default(),
            cut,
        },
    )
}

impl Damage {
    fn apply(&self, document: &Document) -> Vec<u8> {
        let mut pairs: Vec<(&str, Bson)> =
            document.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
        if let (Some((from, to)), false) = (self.moved, pairs.is_empty()) {
            let pair = pairs.remove(from.index(pairs.len()));
            pairs.insert(to.index(pairs.len() + 1), pair);
        }
        for (place, value) in self.repeated.iter().filter(|_| !document.is_empty()) {
            pairs.push((pairs[place.index(pairs.len())].0, value.clone()));
        }
        let mut bytes = raw_document(&pairs);
        for (place, byte) in &self.changed {
            let place = place.index(bytes.len());
            bytes[place] = *byte;
        }
        bytes.truncate(self.cut.map_or(bytes.len(), |cut| cut.index(bytes.len())));
        bytes
    }
}

/// Makes maps of some documents: each die says whether, of what kind, and whether its values may be NULL.
fn with_maps(fields: &mut [Field], dice: &mut impl Iterator<Item = (bool, usize, bool)>) {
    for field in fields {
        if let Kind::Document(parts) = &mut field.kind {
            match dice.next() {
                Some((true, kind, required)) => {
                    let kinds = [Kind::Int64, Kind::String, Kind::Double, Kind::Bool, TEXT];
                    let value = Field { required, ..Field::new("value", kinds[kind].clone()) };
                    field.kind = Kind::Map(Box::new(value));
                }
                _ => with_maps(parts, dice),
            }
        }
    }
}

/// Texts of any type.
const TEXT: Kind = Kind::Text { usual: crate::schema::TextType::String };

proptest! {
    /// Documents that are alike, as those of a collection are, some of them damaged, in replies of any size.
    #[test]
    fn documents_alike_are_decoded_as_the_slow_decoder_does(
        base in document(),
        others in prop::collection::vec(
            (document(), prop::collection::vec(any::<u8>(), 40), prop::option::weighted(0.3, damage())),
            1..20,
        ),
        reply_documents in 1..8_usize,
        rows_max in prop::sample::select(vec![1, 3, 1_000]),
        bytes_max in prop::sample::select(vec![4 << 10, 8 << 20]),
        options in options(),
        maps in prop::collection::vec((any::<bool>(), 0..5_usize, any::<bool>()), 0..6),
    ) {
        let documents: Vec<Vec<u8>> = others
            .iter()
            .enumerate()
            .map(|(index, (other, dice, damage))| {
                // Most documents are as the one before, else there would be no short cut to test.
                let alike = if dice[0] < 100 { base.clone() } else { varied(&base, &mut dice.iter().copied(), other) };
                let mut document = doc! { "_id": i64::try_from(index).unwrap() };
                document.extend(alike);
                damage.as_ref().map_or_else(|| document.to_vec().unwrap(), |damage| damage.apply(&document))
            })
            .collect();
        let sample = documents.iter().map(Vec::as_slice).filter(|bytes| validate(bytes).is_ok()).take(5);
        let mut schema = infer(sample, &options).schema;
        with_maps(&mut schema.fields, &mut maps.into_iter());
        let replies: Vec<Reply> =
            documents.chunks(reply_documents).map(|chunk| Reply::of(chunk.iter().map(Vec::as_slice))).collect();
        compare(&schema, &replies, DecoderOptions { rows_max, bytes_max })?;
    }
}
