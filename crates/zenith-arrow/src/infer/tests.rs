//! Inference over samples made for one rule each, over a real data set, and over anything.

mod mixed;
mod number;

use bson::{Bson, Document, doc};
use proptest::prelude::*;

use super::*;
use crate::schema::{Blank, Field, Kind};

fn inferred(documents: &[Document], options: &InferOptions) -> Inference {
    let bytes: Vec<Vec<u8>> = documents.iter().map(|document| document.to_vec().unwrap()).collect();
    infer(bytes.iter().map(Vec::as_slice), options)
}

fn kinds(documents: &[Document]) -> Vec<(String, Kind)> {
    let inference = inferred(documents, &InferOptions::default());
    inference.schema.fields.into_iter().map(|Field { name, kind, .. }| (name, kind)).collect()
}

/// The kind of a field `v` with these values.
fn kind_of(values: impl IntoIterator<Item = Bson>) -> Option<Kind> {
    let documents: Vec<_> = values.into_iter().map(|value| doc! { "_id": 1, "v": value }).collect();
    kinds(&documents).into_iter().find(|(name, _)| name == "v").map(|(_, kind)| kind)
}

fn decimal(text: &str) -> Bson {
    Bson::Decimal128(text.parse().unwrap())
}

#[test]
fn types_and_their_columns() {
    let int = Bson::Int32(1);
    let array = |kind| Some(Kind::Array(Box::new(kind)));
    assert_eq!(kind_of([Bson::Symbol("a".into()), "b".into()]), Some(Kind::String));
    assert_eq!(kind_of([Bson::DateTime(bson::DateTime::from_millis(1))]), Some(Kind::Date));
    assert_eq!(kind_of([Bson::Timestamp(bson::Timestamp { time: 1, increment: 1 })]), Some(Kind::Timestamp));
    assert_eq!(kind_of([true.into(), Bson::Null]), Some(Kind::Bool));
    assert_eq!(kind_of([Bson::Null, Bson::MinKey, Bson::Undefined]), None);
    assert_eq!(kind_of([Bson::Null]), None);
    assert_eq!(kind_of([doc! {}.into()]), None);
    assert_eq!(kind_of([Bson::Array(vec![]), Bson::Array(vec![Bson::Null])]), None);
    assert_eq!(kind_of([bson::bson!([[1], []])]), array(Kind::Array(Box::new(Kind::Int64))));
    assert_eq!(kind_of([bson::bson!([int, null, 2])]), array(Kind::Int64));
}

#[test]
fn binaries() {
    let binary = |subtype: u8, length: usize| {
        Bson::Binary(bson::Binary { subtype: subtype.into(), bytes: vec![0; length] })
    };
    assert_eq!(kind_of([binary(4, 16)]), Some(Kind::Uuid(UuidOrder::Standard)));
    assert_eq!(kind_of([binary(3, 16)]), Some(Kind::Uuid(UuidOrder::PythonLegacy)));
    assert_eq!(kind_of([binary(4, 15)]), Some(Kind::Binary { subtype: 4 }));
    assert_eq!(kind_of([binary(5, 16), binary(5, 2)]), Some(Kind::Binary { subtype: 5 }));
    // The one that holds both.
    assert_eq!(kind_of([binary(4, 16), binary(4, 16), binary(4, 2)]), Some(Kind::Binary { subtype: 4 }));
    let options = InferOptions { uuid_legacy: UuidOrder::Standard, ..InferOptions::default() };
    let inference = inferred(&[doc! { "_id": binary(3, 16) }], &options);
    assert_eq!(inference.schema.fields[0].kind, Kind::Binary { subtype: 3 });
}

#[test]
fn ids() {
    let id = |values: Vec<Bson>, id: IdTypes| {
        let documents: Vec<_> = values.into_iter().map(|value| doc! { "_id": value }).collect();
        inferred(&documents, &InferOptions { id, ..InferOptions::default() }).schema.fields.remove(0).kind
    };
    let object_id = Bson::ObjectId(bson::oid::ObjectId::from_bytes([1; 12]));
    assert_eq!(id(vec![], IdTypes::One), Kind::MixedId);
    assert_eq!(id(vec![object_id.clone()], IdTypes::Unknown), Kind::ObjectId);
    assert_eq!(id(vec![object_id.clone()], IdTypes::Several), Kind::MixedId);
    assert_eq!(id(vec![object_id, "a".into()], IdTypes::Unknown), Kind::MixedId);
    assert_eq!(id(vec![1.into(), 2_i64.into()], IdTypes::Unknown), Kind::Int64);
    assert_eq!(id(vec![1.into()], IdTypes::Unknown), Kind::Int64);
    assert_eq!(id(vec![1.into()], IdTypes::One), Kind::Int64);
    assert_eq!(id(vec![1.into(), 0.5.into()], IdTypes::Unknown), Kind::Double);
    assert_eq!(id(vec![((1_i64 << 53) + 1).into(), 0.5.into()], IdTypes::Unknown), Kind::MixedId);
    assert_eq!(id(vec![1.0.into(), 0.5.into()], IdTypes::Unknown), Kind::Double);
    assert_eq!(id(vec![decimal("1.5")], IdTypes::Unknown), Kind::DecimalText);
    assert_eq!(id(vec![decimal("1.5"), 1.into()], IdTypes::Unknown), Kind::MixedId);
    assert_eq!(id(vec![decimal("1.5"), 1.5.into()], IdTypes::Unknown), Kind::MixedId);
    assert_eq!(id(vec![1.into(), "a".into()], IdTypes::Unknown), Kind::MixedId);
    assert_eq!(id(vec![doc! { "a": 1 }.into()], IdTypes::One), Kind::MixedId);
    assert_eq!(id(vec![Bson::Null, 1.into()], IdTypes::Unknown), Kind::MixedId);
    assert_eq!(id(vec![bson::DateTime::from_millis(1).into()], IdTypes::One), Kind::Date);
    // A date that the target does not hold is a key that would be lost.
    assert_eq!(id(vec![bson::DateTime::MAX.into()], IdTypes::One), Kind::MixedId);
    let one = |id, integers, key, values: Vec<Bson>| {
        let documents: Vec<_> = values.into_iter().map(|value| doc! { "_id": value }).collect();
        let options = InferOptions { id, integers, key, ..InferOptions::default() };
        inferred(&documents, &options).schema.fields.remove(0).kind
    };
    let narrow = Integers::Narrow;
    assert_eq!(one(IdTypes::One, narrow, None, vec![1.into()]), Kind::Int32);
    assert_eq!(one(IdTypes::Unknown, narrow, None, vec![1.into()]), Kind::Int64);
    assert_eq!(one(IdTypes::One, narrow, None, vec![1.into(), 1_i64.into()]), Kind::Int64);
    assert_eq!(one(IdTypes::One, narrow, Some(Kind::MixedId), vec![1.into()]), Kind::MixedId);
    assert_eq!(one(IdTypes::Several, narrow, Some(Kind::Double), vec![]), Kind::Double);
}

#[test]
fn names_and_order() {
    let schema = kinds(&[
        doc! { "z": 1, "_id": 1, "": 1, "_zenith_extra": 1, "a.b": 1, "c": { "x.y": 1, "x.z": [1], "null": 1 }, "c.x": 1 },
        doc! { "d.e": [1], "a": [ { "size0": 1, "k": "v" } ] },
    ]);
    let element = Kind::Document(vec![Field::new("k", Kind::String)]);
    assert_eq!(
        schema,
        [
            ("_id".to_owned(), Kind::Int64),
            ("z".to_owned(), Kind::Int64),
            ("c".to_owned(), Kind::Document(vec![Field::new("x.y", Kind::Int64)])),
            ("a".to_owned(), Kind::Array(Box::new(element))),
        ]
    );
}

#[test]
fn keys_that_are_data_become_json() {
    let wide = (0..300).map(|n| (format!("k{n}"), Bson::Int32(1))).collect::<Document>();
    assert_eq!(kind_of([wide.into()]), Some(Kind::Json));
    let sparse = (0..100).map(|n| Bson::Document(doc! { format!("k{n}"): 1 }));
    assert_eq!(kind_of(sparse), Some(Kind::Json));
    let variety = |distinct: i32| {
        kind_of((0..distinct).map(|n| Bson::Document(doc! { format!("k{n}"): 1, format!("k{}", n / 2): 1 })))
    };
    assert!(matches!(variety(63), Some(Kind::Document(_))));
    assert_eq!(variety(64), Some(Kind::Json));
    let by_day = |days: std::ops::Range<i32>| {
        kind_of(days.map(|n| Bson::Document(doc! { format!("2024-05-{n}"): 1 })))
    };
    assert_eq!(by_day(10..20), Some(Kind::Json));
    assert_eq!(by_day(10..13), Some(Kind::Json));
    assert!(matches!(by_day(10..12), Some(Kind::Document(_))));
    // One hash for each document, whatever they hold.
    let hashes = (1..13_u128).map(|n| {
        let hash = format!("{:032x}", n.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C834));
        Bson::Document(doc! { hash: { "level": 1 } })
    });
    assert_eq!(kind_of(hashes), Some(Kind::Json));
    let rating = |documents: usize, keys: i32| {
        let rating: Document = (1..=keys).map(|n| (n.to_string(), Bson::Int32(1))).collect();
        kind_of((0..documents).map(|_| Bson::Document(rating.clone())))
    };
    assert!(matches!(rating(10, 5), Some(Kind::Document(_))));
    assert!(matches!(rating(2, 5), Some(Kind::Document(_))));
    let by_number = (0..10).map(|n| Bson::Document(doc! { n.to_string(): 1 }));
    assert_eq!(kind_of(by_number), Some(Kind::Json));
    for names in [
        ["q1", "q2", "q3", "q4"],
        ["added", "decade", "face", "feed"],
        ["first_name", "last_name", "zip_code", "line_1"],
    ] {
        let document: Document = names.into_iter().map(|name| (name.to_owned(), Bson::Int32(1))).collect();
        let one_each = names.map(|name| Bson::Document(doc! { name: 1 }));
        assert!(matches!(kind_of([document.into()]), Some(Kind::Document(_))), "{names:?}");
        assert!(matches!(kind_of(one_each), Some(Kind::Document(_))), "{names:?}");
    }
    // The top level stays columns whatever its keys are.
    let top = (0..300).map(|n| (format!("k{n}"), Bson::Int32(1))).collect::<Document>();
    assert_eq!(kinds(&[top]).len(), 301);
}

#[test]
fn depth_is_bounded() {
    let documents = (0..30).fold(doc! { "x": 1 }, |inner, _| doc! { "a": inner });
    let mut kind = kinds(&[documents]).remove(1).1;
    let mut levels = 1;
    while let Kind::Document(mut fields) = kind {
        kind = fields.remove(0).kind;
        levels += 1;
    }
    assert_eq!((levels, kind), (LEVEL_MAX, Kind::Json));
    let arrays = (0..30).fold(Bson::Int32(1), |inner, _| Bson::Array(vec![inner]));
    assert_eq!(kind_of([arrays]), None);
}

#[test]
fn leaves_are_bounded() {
    let big = |prefix: &str, keys: usize| {
        (0..keys).map(|n| (format!("{prefix}{n}"), Bson::Int32(1))).collect::<Document>()
    };
    let documents = [
        doc! { "_id": 1, "common": big("a", 20), "rare": big("b", 20), "x": 1, "y": 1 },
        doc! { "_id": 2, "common": big("a", 20), "x": 1 },
    ];
    let names = |leaves_max| {
        let inference = inferred(&documents, &InferOptions { leaves_max, ..InferOptions::default() });
        assert!(inference.fields.len() <= leaves_max.max(1));
        let fields = inference.schema.fields.into_iter();
        fields.map(|field| (field.name, field.kind == Kind::Json)).collect::<Vec<_>>()
    };
    let expect = |fields: &[(&str, bool)]| {
        fields.iter().map(|(name, json)| ((*name).to_owned(), *json)).collect::<Vec<_>>()
    };
    assert_eq!(
        names(30),
        expect(&[("_id", false), ("common", false), ("rare", true), ("x", false), ("y", false)])
    );
    assert_eq!(
        names(6),
        expect(&[("_id", false), ("common", true), ("rare", true), ("x", false), ("y", false)])
    );
    assert_eq!(names(3), expect(&[("_id", false), ("common", true), ("x", false)]));
    assert_eq!(names(0), expect(&[("_id", false)]));
}

/// A twin counts as a column, is removed with its field, and stays where that becomes JSON.
#[test]
fn twins_are_bounded() {
    let big = || (0..20).map(|n| (format!("a{n}"), Bson::Int32(1))).collect::<Document>();
    let documents = [
        doc! { "_id": 1, "x": 1, "d": big(), "y": 1 },
        doc! { "_id": 2, "x": 1, "d": big() },
        doc! { "_id": 3, "x": "a", "d": "b" },
    ];
    let names = |leaves_max| {
        let inference = inferred(&documents, &InferOptions { leaves_max, ..InferOptions::default() });
        let paths: Vec<String> = inference.fields.iter().map(|field| field.path.clone()).collect();
        paths.join(" ")
    };
    assert_eq!(names(30).split(' ').count(), 1 + 2 + 21 + 1);
    assert_eq!(names(6), "_id x x_text d d_text y");
    assert_eq!(names(5), "_id x x_text d d_text");
    assert_eq!(names(4), "_id x x_text");
    assert_eq!(names(2), "_id");
}

#[test]
fn statistics_say_sizes() {
    let documents =
        [doc! { "_id": 1, "s": "ab", "t": ["x", "yyy"], "d": { "e": 1 } }, doc! { "_id": 2, "s": "abcd" }];
    let inference = inferred(&documents, &InferOptions::default());
    let statistics: Vec<_> = inference
        .fields
        .iter()
        .map(|field| (field.path.as_str(), field.values_per_document, field.bytes_per_value))
        .collect();
    assert_eq!(statistics, [("_id", 1.0, 0.0), ("s", 1.0, 3.0), ("t[]", 1.0, 2.0), ("d.e", 0.5, 0.0)]);
    assert_eq!((inference.documents, inference.invalid_documents), (2, 0));
    assert_eq!(infer([&[1, 2, 3][..]], &InferOptions::default()).invalid_documents, 1);
}

/// Shapes of the `world-countries` data set: languages, currencies and native names by code.
#[test]
fn countries() {
    let code = |n: usize| -> String {
        [n / 26 / 26 % 26, n / 26 % 26, n % 26]
            .iter()
            .map(|&d| char::from(b'a' + u8::try_from(d).unwrap()))
            .collect()
    };
    let documents: Vec<_> = (0..250)
        .map(|n| {
            let language = code(n * 7 % 150);
            let translations = (0..23)
                .map(|l| (code(l), bson::bson!({ "official": "x", "common": "y" })))
                .collect::<Document>();
            doc! {
                "_id": i32::try_from(n).unwrap(),
                "name": { "common": "x", "native": { language.clone(): { "common": "x" } } },
                "languages": { language: "x" },
                "translations": translations,
                "latlng": [1.5, 2],
            }
        })
        .collect();
    let kinds = kinds(&documents);
    let kind = |name: &str| &kinds.iter().find(|(key, _)| key == name).unwrap().1;
    assert_eq!(kind("languages"), &Kind::Json);
    assert_eq!(kind("translations").leaves(), 46);
    assert_eq!(kind("latlng"), &Kind::Array(Box::new(Kind::Double)));
    let Kind::Document(fields) = kind("name") else { panic!("a document") };
    assert_eq!(fields[1], Field::new("native", Kind::Json));
}

proptest! {
    /// What the sample says a column would hold is what the decoder puts into it. Of decimals it may be less: zeros at
    /// their ends count as digits.
    #[test]
    fn held_as_decoded(values in prop::collection::vec(crate::extended_json::arbitrary::scalar(), 0..30)) {
        let mut level = Level::default();
        let mut counting = Counting { paths_left: 9, dates: DateRange::default() };
        let documents: Vec<Vec<u8>> = values.iter().map(|value| doc! { "v": value }.to_vec().unwrap()).collect();
        for document in &documents {
            level.add(document, 1, &mut counting).unwrap();
        }
        let mut kinds = vec![
            Kind::ObjectId, Kind::Bool, Kind::Int64, Kind::Double, Kind::DecimalText, Kind::String, Kind::Date,
            Kind::Timestamp, Kind::Uuid(UuidOrder::Standard), Kind::Uuid(UuidOrder::JavaLegacy), Kind::MixedId,
            Kind::Text { usual: crate::schema::TextType::String },
        ];
        kinds.extend([0, 3, 4].map(|subtype| Kind::Binary { subtype }));
        kinds.extend([0, 2, 8, 38].map(|scale| Kind::Decimal { scale }));
        for kind in kinds {
            let mut expected = 0;
            for document in &documents {
                let value = zenith_bson::Elements::new(document).unwrap().next().unwrap().unwrap().value;
                expected += u64::from(!value.is_null() && crate::fit::fits_leaf(&kind, value, DateRange::default()));
            }
            let held = level.get(b"v").map_or(0, |values| values.held(&kind).total());
            let exact = !matches!(kind, Kind::Decimal { .. });
            prop_assert!(held == expected || !exact && held < expected, "{:?}: {} of {}", kind, held, expected);
        }
    }

    #[test]
    fn never_panics_and_keeps_its_promises(
        documents in prop::collection::vec(crate::extended_json::arbitrary::document(), 0..6),
        leaves_max in 0..20_usize,
        keep_nulls in any::<bool>(),
        mixed in prop::sample::select(vec![Mixed::Twin, Mixed::Text, Mixed::Majority]),
    ) {
        let options = InferOptions { leaves_max, keep_nulls, mixed, ..InferOptions::default() };
        let inference = inferred(&documents, &options);
        prop_assert_eq!(&inference.schema.fields[0].name, "_id");
        let leaves: usize = inference.schema.fields.iter().map(Field::leaves).sum();
        prop_assert_eq!(leaves, inference.fields.len());
        prop_assert!(leaves <= leaves_max.max(1));
        prop_assert!(distinct_names(&inference.schema.fields));
        prop_assert!(mixed == Mixed::Twin || !has_twin(&inference.schema.fields));
        let _ = inference.schema.to_arrow();
    }
}

/// Whether all fields of a level and their twins have names of their own, at every level.
fn distinct_names(fields: &[Field]) -> bool {
    let twins = fields.iter().filter_map(|field| field.twin.as_ref().map(|twin| &twin.name));
    let mut names: Vec<&String> = fields.iter().map(|field| &field.name).chain(twins).collect();
    let all = names.len();
    names.sort();
    names.dedup();
    names.len() == all && fields.iter().all(|field| distinct_names(parts(&field.kind)))
}

fn has_twin(fields: &[Field]) -> bool {
    fields.iter().any(|field| field.twin.is_some() || has_twin(parts(&field.kind)))
}

fn parts(kind: &Kind) -> &[Field] {
    match kind {
        Kind::Document(fields) => fields,
        Kind::Array(element) => parts(element),
        _ => &[],
    }
}
