//! Inference over samples made for one rule each, over a real data set, and over anything.

use bson::{Bson, Document, doc};
use proptest::prelude::*;

use super::*;
use crate::schema::{Field, Kind};

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
fn lattice() {
    let (int, long, double) = (Bson::Int32(1), Bson::Int64(2), Bson::Double(0.5));
    assert_eq!(kind_of([int.clone(), int.clone()]), Some(Kind::Int32));
    assert_eq!(kind_of([int.clone(), long.clone()]), Some(Kind::Int64));
    assert_eq!(kind_of([long.clone(), double.clone(), Bson::Null]), Some(Kind::Double));
    assert_eq!(kind_of([Bson::Int64((1 << 53) + 1), Bson::Double(1.0)]), Some(Kind::Int64));
    assert_eq!(kind_of([Bson::Int64(1 << 60), Bson::Int64(i64::MIN), Bson::Double(1.0)]), Some(Kind::Double));
    assert_eq!(kind_of([int.clone(), decimal("1.50")]), Some(Kind::Decimal { scale: 2 }));
    assert_eq!(
        kind_of([decimal("12345678901234567890"), decimal("1E-30"), int.clone()]),
        Some(Kind::Decimal { scale: 0 })
    );
    assert_eq!(kind_of([decimal("1E+50"), decimal("0.001")]), Some(Kind::Decimal { scale: 3 }));
    assert_eq!(kind_of([double.clone(), double.clone(), decimal("1.5")]), Some(Kind::Double));
    assert_eq!(kind_of([Bson::Symbol("a".into()), "b".into()]), Some(Kind::String));
    assert_eq!(kind_of(["a".into(), int.clone(), long]), Some(Kind::Int64));
    assert_eq!(kind_of([Bson::Null, Bson::MinKey, Bson::Undefined]), None);
    assert_eq!(
        kind_of([Bson::DateTime(bson::DateTime::from_millis(1)), true.into(), true.into()]),
        Some(Kind::Bool)
    );
    assert_eq!(kind_of([doc! {}.into()]), None);
    assert_eq!(kind_of([Bson::Array(vec![]), Bson::Array(vec![Bson::Null])]), None);
    assert_eq!(
        kind_of([bson::bson!([[1], []])]),
        Some(Kind::Array(Box::new(Kind::Array(Box::new(Kind::Int32)))))
    );
    assert_eq!(kind_of([Bson::Array(vec![]), Bson::Array(vec![]), "a".into()]), Some(Kind::String));
}

#[test]
fn binaries() {
    let binary = |subtype: u8, length: usize| {
        Bson::Binary(bson::Binary { subtype: subtype.into(), bytes: vec![0; length] })
    };
    assert_eq!(kind_of([binary(4, 16)]), Some(Kind::Uuid(UuidOrder::Standard)));
    assert_eq!(kind_of([binary(3, 16)]), Some(Kind::Uuid(UuidOrder::PythonLegacy)));
    assert_eq!(kind_of([binary(4, 15)]), Some(Kind::Binary { subtype: 4 }));
    assert_eq!(kind_of([binary(0, 16), binary(5, 16), binary(5, 16)]), Some(Kind::Binary { subtype: 5 }));
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
    assert_eq!(id(vec![1.into()], IdTypes::One), Kind::Int32);
    assert_eq!(id(vec![1.into(), 0.5.into()], IdTypes::Unknown), Kind::MixedId);
    assert_eq!(id(vec![1.0.into(), 0.5.into()], IdTypes::Unknown), Kind::Double);
    assert_eq!(id(vec![decimal("1.5")], IdTypes::Unknown), Kind::DecimalText);
    assert_eq!(id(vec![decimal("1.5"), 1.into()], IdTypes::Unknown), Kind::MixedId);
    assert_eq!(id(vec![doc! { "a": 1 }.into()], IdTypes::One), Kind::MixedId);
    assert_eq!(id(vec![Bson::Null, 1.into()], IdTypes::Unknown), Kind::MixedId);
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
            ("z".to_owned(), Kind::Int32),
            ("c".to_owned(), Kind::Document(vec![Field::new("x.y", Kind::Int32)])),
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
    let by_day = (10..20).map(|n| Bson::Document(doc! { format!("2024-05-{n}"): 1 }));
    assert_eq!(kind_of(by_day), Some(Kind::Json));
    let rating = (0..10).map(|_| Bson::Document(doc! { "1": 1, "2": 1, "3": 1, "4": 1, "5": 1 }));
    assert!(matches!(kind_of(rating), Some(Kind::Document(_))));
    let by_number = (0..10).map(|n| Bson::Document(doc! { n.to_string(): 1 }));
    assert_eq!(kind_of(by_number), Some(Kind::Json));
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
    #[test]
    fn never_panics_and_keeps_its_promises(
        documents in prop::collection::vec(crate::extended_json::arbitrary::document(), 0..6),
        leaves_max in 0..20_usize,
    ) {
        let inference = inferred(&documents, &InferOptions { leaves_max, ..InferOptions::default() });
        prop_assert_eq!(&inference.schema.fields[0].name, "_id");
        let leaves: usize = inference.schema.fields.iter().map(|field| field.kind.leaves()).sum();
        prop_assert_eq!(leaves, inference.fields.len());
        prop_assert!(leaves <= leaves_max.max(1));
        let _ = inference.schema.to_arrow();
    }
}
