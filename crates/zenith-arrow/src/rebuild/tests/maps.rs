//! Documents whose keys are data, in columns of maps.

use bson::{Bson, Document, doc};
use proptest::prelude::*;

use super::{field, there_and_back};
use crate::extended_json::arbitrary::{document, scalar};
use crate::schema::{EXTRA_COLUMN, Field, Kind, NOTES_COLUMN, Schema, TextType};
use crate::{GivenType, Limit, equal};

fn map(kind: Kind, required: bool, limit: Option<Limit>) -> Kind {
    let given = Some(GivenType { name: "T".to_owned(), limit });
    Kind::Map(Box::new(Field { given, required, ..Field::new("value", kind) }))
}

/// At the top level, in a document, and in the documents of an array.
fn everywhere(kind: &Kind, keep_nulls: bool) -> Schema {
    let inner = || Kind::Document(vec![field("m", kind.clone())]);
    let fields = vec![
        field("_id", Kind::Int64),
        field("m", kind.clone()),
        field("d", inner()),
        field("l", Kind::Array(Box::new(inner()))),
    ];
    Schema { keep_nulls, ..Schema::new(fields) }
}

fn comes_back(schema: &Schema, values: &[Bson]) -> Result<(), TestCaseError> {
    let documents: Vec<Document> = (0_i64..)
        .zip(values)
        .map(|(id, m)| doc! { "_id": id, "m": m, "d": { "m": m }, "l": [{ "m": m }, {}, Bson::Null, { "m": m }] })
        .collect();
    let (_, rebuilt) = there_and_back(schema, &documents);
    for (document, rebuilt) in documents.iter().zip(&rebuilt) {
        equal(document, rebuilt, schema.keep_nulls)
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
    }
    Ok(())
}

fn kinds() -> impl Strategy<Value = Kind> {
    let limits = prop::option::of(Just(Limit::Integers { first: 0, last: 10 }));
    let kind = prop::sample::select(vec![
        Kind::Int64,
        Kind::Double,
        Kind::Decimal { scale: 2 },
        Kind::Bool,
        Kind::Date,
    ]);
    let kinds = (kind, limits).prop_map(|(kind, limit)| (limit.filter(|_| kind == Kind::Int64), kind));
    let texts =
        vec![Kind::String, Kind::Text { usual: TextType::Number }, Kind::Uuid(crate::UuidOrder::Standard)];
    let texts = prop::sample::select(texts).prop_map(|kind| (None, kind));
    let limited = Just((Some(Limit::OneOf(vec!["true".to_owned(), "1".to_owned()])), Kind::String));
    (prop_oneof![kinds, texts, limited], any::<bool>())
        .prop_map(|((limit, kind), required)| map(kind, required, limit))
}

#[test]
fn maps_show_what_fits_and_the_rest_is_kept_under_its_key() {
    let schema = |required| {
        let fields = vec![field("_id", Kind::Int64), field("m", map(Kind::Int64, required, None))];
        Schema { keep_nulls: true, ..Schema::new(fields) }
    };
    let documents = [doc! { "_id": 1, "m": { "b": 2, "a": "x", "c": Bson::Null, "$oid": "7", "": 0.5 } }];
    for (required, expected) in [(true, "b=2 $oid=7"), (false, "b=2 a= c= $oid=7 =")] {
        let (batch, rebuilt) = there_and_back(&schema(required), &documents);
        let (keys, values) = super::column::entries(&Kind::Json, batch.column(1), 0).ok().unwrap();
        let shown = (0..keys.len()).map(|at| {
            let key = super::column::text(&keys, at).ok().flatten().unwrap();
            let value = super::column::scalar_value(&Kind::Int64, &values, at).ok().unwrap();
            format!("{key}={}", value.map_or_else(String::new, |value| value.to_string()))
        });
        assert_eq!(shown.collect::<Vec<_>>().join(" "), expected);
        let text = |name: &str| {
            super::column::text(batch.column_by_name(name).unwrap(), 0).ok().flatten().unwrap().to_owned()
        };
        assert_eq!(text(EXTRA_COLUMN), r#"{"m":{"a":"x","":{"$numberDouble":"0.5"}}}"#);
        let null = if required { r#""c":"null","# } else { "" };
        assert_eq!(text(NOTES_COLUMN), format!(r#"{{"m":{{"$literal":{{{null}"$oid":"string"}}}}}}"#));
        equal(&documents[0], &rebuilt[0], true).unwrap();
    }
}

#[test]
fn empty_maps_are_told_from_missing_ones() {
    let values = [Bson::Null, doc! {}.into(), doc! { "a": Bson::Null }.into(), 5.into(), bson::bson!([1])];
    for required in [false, true] {
        for keep_nulls in [false, true] {
            let schema = everywhere(&map(Kind::Int64, required, None), keep_nulls);
            comes_back(&schema, &values).unwrap();
            let (_, rebuilt) = there_and_back(&schema, &[doc! { "_id": 1, "d": {} }]);
            equal(&doc! { "_id": 1, "d": {} }, &rebuilt[0], keep_nulls).unwrap();
        }
    }
}

proptest! {
    #[test]
    fn documents_come_back_through_maps(
        documents in prop::collection::vec(document(), 1..6),
        scalars in prop::collection::vec(prop::collection::vec(("[a-z$.]{0,4}", scalar()), 0..6), 1..6),
        kind in kinds(),
        keep_nulls in any::<bool>(),
    ) {
        let scalars = scalars.into_iter().map(|pairs| pairs.into_iter().collect::<Document>());
        let values: Vec<Bson> = documents.into_iter().chain(scalars).map(Bson::Document).collect();
        comes_back(&everywhere(&kind, keep_nulls), &values)?;
    }
}
