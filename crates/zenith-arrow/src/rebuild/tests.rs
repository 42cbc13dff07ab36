//! Rows made by hand and by the decoder, and what comes back out of them.

mod casts;
mod flat;
mod maps;
mod promoted;

use std::sync::Arc;

use arrow_array::types::{Int8Type, UInt32Type};
use arrow_array::*;
use arrow_buffer::{OffsetBuffer, i256};
use arrow_schema::{DataType, Field as ArrowField};
use bson::{Bson, doc};
use proptest::prelude::*;
use zenith_memory::Pool;

use super::*;
use crate::extended_json::arbitrary::{document, raw_document, varied};
use crate::infer::{DecimalAs, Flat, IdTypes, InferOptions, ObjectIdAs, infer};
use crate::schema::{Field, Kind, UuidOrder};
use crate::{Decoder, DecoderOptions};

fn field(name: &str, kind: Kind) -> Field {
    Field::new(name, kind)
}

fn one(array: impl Array + 'static) -> ArrayRef {
    Arc::new(array)
}

/// A row with one column `v` and this extra text, rebuilt.
fn row(kind: Kind, array: ArrayRef, extra: &str, keep_nulls: bool) -> Result<Document, RebuildError> {
    let batch = RecordBatch::try_from_iter([
        ("v", array),
        (EXTRA_COLUMN, one(BinaryArray::from(vec![extra.as_bytes()]))),
    ]);
    rebuild(&Schema { keep_nulls, ..Schema::new(vec![field("v", kind)]) }, &batch.unwrap(), 0)
}

fn value(kind: Kind, array: ArrayRef) -> Option<Bson> {
    row(kind, array, "", false).unwrap().remove("v")
}

#[test]
fn equivalent_arrow_types() {
    let text = Some(Bson::String("ab".into()));
    let dictionary: DictionaryArray<Int8Type> = ["ab"].into_iter().collect();
    let arrays = [
        one(StringArray::from(vec!["ab"])),
        one(LargeStringArray::from(vec!["ab"])),
        one(StringViewArray::from(vec!["ab"])),
        one(BinaryArray::from(vec![&b"ab"[..]])),
        one(LargeBinaryArray::from(vec![&b"ab"[..]])),
        one(dictionary),
        one(DictionaryArray::<UInt32Type>::new(
            vec![1].into(),
            one(BinaryArray::from(vec![&b"x"[..], b"ab"])),
        )),
    ];
    for array in arrays {
        assert_eq!(value(Kind::String, array.clone()), text, "{array:?}");
    }
    let dictionary: DictionaryArray<Int8Type> = [None::<&str>].into_iter().collect();
    assert_eq!(value(Kind::String, one(dictionary)), None);
    for array in
        [one(BooleanArray::from(vec![true])), one(UInt8Array::from(vec![1])), one(Int8Array::from(vec![1]))]
    {
        assert_eq!(value(Kind::Bool, array), Some(true.into()));
    }
    for array in
        [one(Int32Array::from(vec![7])), one(UInt64Array::from(vec![7])), one(Int16Array::from(vec![7]))]
    {
        assert_eq!(value(Kind::Int32, array.clone()), Some(7.into()));
        assert_eq!(value(Kind::Int64, array), Some(7_i64.into()));
    }
    let date = Some(Bson::DateTime(bson::DateTime::from_millis(5_000)));
    let dates = [
        one(TimestampSecondArray::from(vec![5])),
        one(TimestampMillisecondArray::from(vec![5_000]).with_timezone("UTC")),
        one(TimestampMicrosecondArray::from(vec![5_000_000])),
        one(TimestampNanosecondArray::from(vec![5_000_000_000])),
    ];
    for array in dates {
        assert_eq!(value(Kind::Date, array), date);
    }
    let decimal = Some(Bson::Decimal128("-1.50".parse().unwrap()));
    let narrow = Decimal128Array::from(vec![-150]).with_precision_and_scale(38, 2).unwrap();
    let wide = Decimal256Array::from(vec![i256::from_i128(-150)]).with_precision_and_scale(76, 2).unwrap();
    assert_eq!(value(Kind::Decimal { scale: 2 }, one(narrow)), decimal);
    assert_eq!(value(Kind::Decimal { scale: 2 }, one(wide)), decimal);
    let long = Decimal128Array::from(vec![12 * 10_i128.pow(35)]).with_precision_and_scale(38, 6).unwrap();
    assert_eq!(
        value(Kind::Decimal { scale: 6 }, one(long)),
        Some(Bson::Decimal128("1.2E+30".parse().unwrap()))
    );
    let id = Some(Bson::ObjectId(bson::oid::ObjectId::from_bytes([10; 12])));
    let fixed = FixedSizeBinaryArray::try_from_iter([[10_u8; 12]].into_iter()).unwrap();
    for array in [
        one(fixed),
        one(BinaryArray::from(vec![&[10; 12][..]])),
        one(StringArray::from(vec!["0a".repeat(12)])),
    ] {
        assert_eq!(value(Kind::ObjectId, array.clone()), id);
        assert_eq!(value(Kind::ObjectIdFixed, array), id);
    }
    let bytes: Vec<u8> = (0..16).collect();
    let legacy = vec![7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8];
    let uuid =
        Some(Bson::Binary(bson::Binary { subtype: bson::spec::BinarySubtype::UuidOld, bytes: legacy }));
    let fixed = FixedSizeBinaryArray::try_from_iter([bytes].into_iter()).unwrap();
    for array in [one(fixed), one(StringArray::from(vec!["00010203-0405-0607-0809-0a0b0c0d0e0f"]))] {
        assert_eq!(value(Kind::Uuid(UuidOrder::JavaLegacy), array), uuid);
    }
    let timestamp = Bson::Timestamp(bson::Timestamp { time: 4_000_000_000, increment: 9 });
    assert_eq!(
        value(Kind::Timestamp, one(UInt64Array::from(vec![(4_000_000_000 << 32) | 9]))),
        Some(timestamp)
    );
    assert_eq!(value(Kind::MixedId, one(StringArray::from(vec![r#"{"$numberInt":"1"}"#]))), Some(1.into()));
    assert_eq!(value(Kind::Json, one(StringArray::from(vec!["{}"]))), None);
    assert_eq!(
        value(Kind::Json, one(StringArray::from(vec![r#"{"b":-0,"a":{"$numberLong":"1"}}"#]))),
        Some(doc! { "b": -0.0, "a": 1_i64 }.into())
    );
}

#[test]
fn faults_name_their_column() {
    let kind = Kind::Document(vec![field("a", Kind::Array(Box::new(Kind::Int32)))]);
    let inner = StringArray::from(vec!["x"]);
    let item = Arc::new(ArrowField::new("item", DataType::Utf8, true));
    let list = ListArray::new(item, OffsetBuffer::from_lengths([1]), one(inner), None);
    let columns =
        StructArray::from(vec![(Arc::new(ArrowField::new("a", list.data_type().clone(), false)), one(list))]);
    let error = row(kind, one(columns), "", false).unwrap_err();
    assert_eq!(error.to_string(), "column `v.a.[]` is Utf8, which holds no int");
    let error = row(Kind::Int32, one(Int64Array::from(vec![i64::MAX])), "", false).unwrap_err();
    assert_eq!(error.to_string(), "column `v` has a value that is no int");
    assert!(matches!(
        row(Kind::Int32, one(Int32Array::from(vec![1])), "[]", false),
        Err(RebuildError::Extra(_))
    ));
    assert!(matches!(
        row(Kind::Int32, one(Int32Array::from(vec![1])), "{", false),
        Err(RebuildError::Extra(_))
    ));
    let batch = RecordBatch::try_from_iter([("w", one(Int32Array::from(vec![1])))]).unwrap();
    let schema = Schema::new(vec![field("v", Kind::Int32)]);
    assert!(matches!(rebuild(&schema, &batch, 0), Err(RebuildError::MissingColumn { .. })));
    assert!(matches!(rebuild(&schema, &batch, 1), Err(RebuildError::NoSuchRow { row: 1, rows: 1 })));
}

#[test]
fn overlay_wins() {
    let kind = Kind::Document(vec![field("a", Kind::Int32), field("b", Kind::Int32)]);
    let column = |a: Option<i32>, b: Option<i32>| {
        let part = |name, value| {
            (Arc::new(ArrowField::new(name, DataType::Int32, true)), one(Int32Array::from(vec![value])))
        };
        one(StructArray::from(vec![part("a", a), part("b", b)]))
    };
    let rebuilt = |a, b, extra| row(kind.clone(), column(a, b), extra, false).unwrap();
    assert_eq!(rebuilt(None, None, ""), doc! {});
    assert_eq!(rebuilt(None, None, r#"{"v":{}}"#), doc! { "v": {} });
    assert_eq!(
        rebuilt(Some(1), None, r#"{"v":{"b":"x","c":{"$numberInt":"2"}},"w":[true]}"#),
        doc! { "v": { "a": 1, "b": "x", "c": 2 }, "w": [true] }
    );
    assert_eq!(
        rebuilt(Some(1), None, r#"{"v":{"$literal":{"$oid":"x"}}}"#),
        doc! { "v": { "a": 1, "$oid": "x" } }
    );
    assert_eq!(rebuilt(Some(1), Some(2), r#"{"v":null}"#), doc! {});
    assert_eq!(rebuilt(Some(1), Some(2), r#"{"v":{"a":{"$missing":true}}}"#), doc! { "v": { "b": 2 } });
    assert_eq!(rebuilt(Some(1), Some(2), r#"{"v":"text"}"#), doc! { "v": "text" });
    let kept = row(kind.clone(), column(Some(1), None), r#"{"v":{"b":null},"w":null}"#, true).unwrap();
    assert_eq!(kept, doc! { "v": { "a": 1, "b": Bson::Null }, "w": Bson::Null });
    // An object where the column is no document is a value of its own.
    assert_eq!(
        row(Kind::Int32, one(Int32Array::from(vec![1])), r#"{"v":{"a":true}}"#, false).unwrap(),
        doc! { "v": { "a": true } }
    );
    let json = one(StringArray::from(vec![r#"{"a":{"b":1}}"#]));
    assert_eq!(
        row(Kind::Json, json, r#"{"v":{"a":{"x.y":{}},"n":{}}}"#, false).unwrap(),
        doc! { "v": { "a": { "b": 1, "x.y": {} }, "n": {} } }
    );
}

#[test]
fn earlier_values_of_repeated_keys() {
    let extra = r#"{"$duplicates":[{"a":true},{"a":false}],"d":[{"$duplicates":[{"b":null}],"b":true}]}"#;
    let found = duplicates(extra).unwrap();
    let top = |value: bool| Duplicate { path: vec![], key: "a".into(), value: value.into() };
    let inner = Duplicate { path: vec!["d".into(), "0".into()], key: "b".into(), value: Bson::Null };
    assert_eq!(found, [inner, top(true), top(false)]);
    assert_eq!(duplicates("").unwrap(), []);
}

#[test]
fn equality_in_value() {
    let decimal = |text: &str| Bson::Decimal128(text.parse().unwrap());
    let same = |left: Bson, right: Bson| equal(&doc! { "v": left }, &doc! { "v": right }, false).is_ok();
    assert!(same(1.into(), 1_i64.into()) && same(1.into(), 1.0.into()) && same(1.into(), decimal("1.00")));
    assert!(
        same((1_i64 << 60).into(), 2_f64.powi(60).into()) && !same(i64::MAX.into(), 2_f64.powi(63).into())
    );
    assert!(
        same(f64::NAN.into(), f64::NAN.into())
            && !same(0.0.into(), (-0.0).into())
            && !same(0.into(), (-0.0).into())
    );
    assert!(same(decimal("1.0"), decimal("1.00")) && same(decimal("-0"), decimal("0E+3")));
    assert!(same(decimal("NaN"), decimal("NaN")) && !same(decimal("Infinity"), decimal("-Infinity")));
    assert!(!same(decimal("NaN"), f64::NAN.into()) && same(1.5.into(), decimal("1.5")));
    assert!(same(Bson::Symbol("a".into()), "a".into()) && !same("1".into(), 1.into()));
    assert!(equal(&doc! { "a": 1, "b": Bson::Null }, &doc! { "a": 1 }, false).is_ok());
    assert!(equal(&doc! { "a": 1, "b": Bson::Null }, &doc! { "a": 1 }, true).is_err());
    assert!(equal(&doc! { "a": [Bson::Null] }, &doc! { "a": [] }, false).is_err());
    let difference =
        equal(&doc! { "a": { "b": [1, { "c": 2 }] } }, &doc! { "a": { "b": [1, { "c": 3 }] } }, false);
    let difference = difference.unwrap_err();
    assert_eq!(difference.to_string(), "differ at `a.b.1.c`: Some(Int32(2)) against Some(Int32(3))");
}

/// Documents through a schema inferred from some of them, the decoder, and back.
fn round_trip(documents: &[Vec<u8>], samples: usize, options: &InferOptions) -> Result<(), TestCaseError> {
    let schema = infer(documents.iter().take(samples).map(Vec::as_slice), options).schema;
    let pool = Pool::new(64 << 20).unwrap();
    let mut decoder = Decoder::new(&schema, &pool, DecoderOptions { rows_max: 1_000, bytes_max: 8 << 20 });
    let bytes: Vec<u8> = documents.concat();
    let mut at = 0;
    let ranges: Vec<_> = documents
        .iter()
        .map(|document| {
            at += document.len();
            at - document.len()..at
        })
        .collect();
    let mut ranges = ranges.into_iter();
    let mut batches = Vec::new();
    while let Some(batch) = decoder.append(&bytes, &mut ranges, &mut |bad| panic!("{bad:?}")).unwrap() {
        batches.push(batch);
    }
    batches.extend(decoder.finish().unwrap());
    let rows = batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| (batch, row)));
    let mut count = 0;
    for ((batch, row), document) in rows.zip(documents) {
        let original = Document::from_reader(document.as_slice()).unwrap();
        let rebuilt = rebuild(&schema, batch, row).unwrap();
        let extra = batch.column_by_name(EXTRA_COLUMN).unwrap();
        let extra = column::text(extra, row).ok().flatten().unwrap_or_default();
        let notes = batch.column_by_name(NOTES_COLUMN).unwrap();
        let notes = column::text(notes, row).ok().flatten().unwrap_or_default();
        if let Err(difference) = equal(&original, &rebuilt, schema.keep_nulls) {
            return Err(TestCaseError::fail(format!(
                "{difference}\n{original:?}\n{rebuilt:?}\n{extra}\n{notes}\n{schema:?}"
            )));
        }
        count += 1;
    }
    prop_assert_eq!(count, documents.len());
    Ok(())
}

#[test]
fn repeated_keys_round_trip() {
    let documents = [
        raw_document(&[
            ("_id", 1.into()),
            ("a", true.into()),
            ("d", doc! { "x": 1 }.into()),
            ("a", 2.into()),
        ]),
        raw_document(&[
            ("_id", 2.into()),
            ("a", 3.into()),
            ("d", doc! { "x": 1, "y": [1] }.into()),
            ("d", doc! {}.into()),
        ]),
    ];
    round_trip(&documents, 2, &InferOptions::default()).unwrap();
}

#[test]
fn doubles_of_more_digits_than_decimals_have_round_trip() {
    let documents = [-6.285_298_647_600_35e34, 9.876_543_210_123e37, 12_345_678_901_234_567e20]
        .map(|double| doc! { "_id": 1, "a": [double, 113_856_766_892_452_817_i64] }.to_vec().unwrap());
    let schema = infer(documents.iter().take(1).map(Vec::as_slice), &InferOptions::default()).schema;
    let decimal = Kind::Array(Box::new(Kind::Decimal { scale: 1 }));
    assert_eq!(schema.fields.iter().find(|field| field.name == "a").unwrap().kind, decimal);
    round_trip(&documents, 1, &InferOptions::default()).unwrap();
}

fn options() -> impl Strategy<Value = InferOptions> {
    let id = prop::sample::select(vec![IdTypes::Unknown, IdTypes::Several]);
    let levels = prop::sample::select(vec![0, 1, usize::MAX]);
    (any::<[bool; 4]>(), id, prop::sample::select(vec![1, 5, 1_000]), levels).prop_map(
        |([object_id, decimal, keep_nulls, arrays_as_text], id, leaves_max, levels)| InferOptions {
            // No key of the documents has this in it, so that no two columns have one name.
            flat: (levels > 0).then(|| Flat { separator: "\u{1}".to_owned(), levels, arrays_as_text }),
            object_id: if object_id { ObjectIdAs::Hex } else { ObjectIdAs::Fixed },
            decimal: if decimal { DecimalAs::Decimal } else { DecimalAs::Text },
            uuid_legacy: UuidOrder::CSharpLegacy,
            keep_nulls,
            id,
            leaves_max,
            ..InferOptions::default()
        },
    )
}

/// The row of one document by a schema.
fn decoded(schema: &Schema, document: &[u8]) -> RecordBatch {
    let options = DecoderOptions { rows_max: 10, bytes_max: 8 << 20 };
    let mut decoder = Decoder::new(schema, &Pool::new(64 << 20).unwrap(), options);
    let range = 0..document.len();
    assert!(
        decoder
            .append(document, &mut std::iter::once(range), &mut |bad| panic!("{bad:?}"))
            .unwrap()
            .is_none()
    );
    decoder.finish().unwrap().unwrap()
}

/// Rows of before a table got columns for fields of other documents, which show nothing there.
fn earlier_rows_stay(
    earlier: &[Vec<u8>],
    later: &[Vec<u8>],
    options: &InferOptions,
) -> Result<(), TestCaseError> {
    let schema = infer(earlier.iter().take(1).map(Vec::as_slice), options).schema;
    let grown = promoted::grown(&schema, later.iter().map(|document| decoded(&schema, document)), options);
    for document in earlier {
        let original = Document::from_reader(document.as_slice()).unwrap();
        let row = decoded(&schema, document);
        let before = promoted::as_before(&row, &grown);
        let rebuilt = rebuild(&grown, &before, 0).unwrap();
        if let Err(difference) = equal(&original, &rebuilt, schema.keep_nulls) {
            let extra = row.column_by_name(EXTRA_COLUMN).unwrap();
            return Err(TestCaseError::fail(format!(
                "{difference}\n{original:?}\n{rebuilt:?}\n{extra:?}\n{grown:?}"
            )));
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn rows_of_before_a_column_was_added_stay_what_they_were(
        base in document(),
        others in prop::collection::vec((document(), prop::collection::vec(any::<u8>(), 40)), 1..6),
        more in prop::collection::vec(document(), 1..4),
        options in options(),
    ) {
        let bytes = |(index, mut document): (usize, Document)| {
            document.insert("_id", i64::try_from(index).unwrap());
            document.to_vec().unwrap()
        };
        let alike = others.iter().map(|(other, dice)| varied(&base, &mut dice.iter().copied(), other));
        let earlier: Vec<_> = std::iter::once(base.clone()).chain(alike).enumerate().map(bytes).collect();
        let others = others.into_iter().map(|(other, _)| other);
        let new = more.into_iter().chain(others).enumerate().map(bytes);
        let later: Vec<_> = new.chain(earlier.iter().cloned()).collect();
        earlier_rows_stay(&earlier, &later, &options)?;
    }

    #[test]
    fn nothing_is_lost_of_documents_alike(
        base in document(),
        others in prop::collection::vec((document(), prop::collection::vec(any::<u8>(), 40)), 1..8),
        options in options(),
    ) {
        let alike = others.iter().map(|(other, dice)| varied(&base, &mut dice.iter().copied(), other));
        let documents: Vec<Vec<u8>> = std::iter::once(base.clone())
            .chain(alike)
            .enumerate()
            .map(|(index, mut document)| {
                document.insert("_id", i64::try_from(index).unwrap());
                document.to_vec().unwrap()
            })
            .collect();
        round_trip(&documents, 3, &options)?;
    }

    #[test]
    fn nothing_is_lost(
        documents in prop::collection::vec(document(), 1..6),
        samples in 1..6_usize,
        options in options(),
    ) {
        // `_id`s are what they are in a collection: all there, and of the types the sample shows.
        let documents: Vec<Vec<u8>> = documents
            .into_iter()
            .enumerate()
            .map(|(index, mut document)| {
                document.insert("_id", i64::try_from(index).unwrap());
                document.to_vec().unwrap()
            })
            .collect();
        round_trip(&documents, samples, &options)?;
    }
}

/// Documents as rows of a schema, and what comes back out of them.
fn there_and_back(schema: &Schema, documents: &[Document]) -> (RecordBatch, Vec<Document>) {
    let pool = Pool::new(16 << 20).unwrap();
    let mut decoder = Decoder::new(schema, &pool, DecoderOptions { rows_max: 100, bytes_max: 4 << 20 });
    let (mut bytes, mut ranges) = (Vec::new(), Vec::new());
    for document in documents {
        let start = bytes.len();
        bytes.extend(document.to_vec().unwrap());
        ranges.push(start..bytes.len());
    }
    assert!(decoder.append(&bytes, &mut ranges.into_iter(), &mut |_| {}).unwrap().is_none());
    let batch = decoder.finish().unwrap().unwrap();
    let rebuilt = (0..documents.len()).map(|row| rebuild(schema, &batch, row).unwrap()).collect();
    (batch, rebuilt)
}

#[test]
fn columns_that_are_never_null_show_defaults_and_give_nothing_for_them() {
    let fields = vec![
        field("_id", Kind::Int64),
        field("n", Kind::Int64).required(),
        field("s", Kind::String).required(),
        field("d", Kind::Date).required(),
    ];
    let schema = Schema { keep_nulls: true, ..Schema::new(fields) };
    let documents = [
        doc! { "_id": 1_i64, "n": 5_i64, "s": "x", "d": bson::DateTime::from_millis(7) },
        doc! { "_id": 2_i64 },
        doc! { "_id": 3_i64, "n": Bson::Null, "s": Bson::Null, "d": Bson::Null },
        doc! { "_id": 4_i64, "n": 0_i64, "s": "", "d": bson::DateTime::from_millis(0) },
        doc! { "_id": 5_i64, "n": "five", "s": 6, "d": 7.5 },
    ];
    let (batch, rebuilt) = there_and_back(&schema, &documents);
    assert_eq!(batch.column_by_name("n").unwrap().null_count(), 0);
    for (document, rebuilt) in documents.iter().zip(&rebuilt) {
        equal(document, rebuilt, true).unwrap_or_else(|error| panic!("{error:?}"));
    }
}

#[test]
fn columns_hold_what_is_within_their_limits_and_the_rest_comes_back_all_the_same() {
    let given = |name: &str, kind, limit| Field {
        given: Some(crate::GivenType { name: "T".to_owned(), limit: Some(limit) }),
        ..field(name, kind)
    };
    let limits = [
        ("n", Kind::Int64, crate::Limit::Integers { first: 0, last: 255 }),
        ("p", Kind::Decimal { scale: 2 }, crate::Limit::Digits { precision: 4, scale: 2 }),
        ("d", Kind::Date, crate::Limit::Dates { step_ms: 1000, first_ms: 0, last_ms: 10_000 }),
        ("u", Kind::String, crate::Limit::Uuid),
    ];
    let mut fields = vec![field("_id", Kind::Int64)];
    fields.extend(limits.into_iter().map(|(name, kind, limit)| given(name, kind, limit)));
    let schema = Schema::new(fields);
    let date = |ms| bson::DateTime::from_millis(ms);
    let uuid = "0190163d-8694-739b-aea5-966c26f8ad91";
    let documents = [
        doc! { "_id": 1_i64, "n": 255, "p": 99.99, "d": date(3000), "u": uuid },
        doc! { "_id": 2_i64, "n": 256, "p": 100, "d": date(3001), "u": "none" },
        doc! { "_id": 3_i64, "n": -1, "p": 1.005, "d": date(11_000), "u": uuid.to_uppercase() },
        doc! { "_id": 4_i64, "n": "x", "p": Bson::Null, "u": 1 },
    ];
    let (batch, rebuilt) = there_and_back(&schema, &documents);
    for name in schema.fields.iter().skip(1).map(|field| &field.name) {
        assert_eq!(batch.column_by_name(name).unwrap().null_count(), 3, "{name}");
    }
    for (document, rebuilt) in documents.iter().zip(&rebuilt) {
        equal(document, rebuilt, false).unwrap_or_else(|error| panic!("{error:?}"));
    }
    // A column that is never NULL has a text that the target takes.
    let fields = vec![field("_id", Kind::Int64), given("u", Kind::String, crate::Limit::Uuid).required()];
    let (batch, rebuilt) = there_and_back(&Schema::new(fields), &documents[3..]);
    let texts = batch.column_by_name("u").unwrap();
    let texts = texts.as_any().downcast_ref::<StringArray>().unwrap();
    assert_eq!(texts.value(0), crate::Limit::Uuid.blank());
    assert_eq!(rebuilt[0].get("u"), Some(&1.into()));
}
