//! Texts in columns of numbers, dates and bools whose types were given.

use bson::{Bson, Document, doc};
use proptest::prelude::*;

use super::{field, there_and_back};
use crate::schema::{EXTRA_COLUMN, Field, Kind, Schema};
use crate::{GivenType, Limit, equal};

const KINDS: [Kind; 7] = [
    Kind::Int32,
    Kind::Int64,
    Kind::Double,
    Kind::Decimal { scale: 2 },
    Kind::Decimal { scale: 36 },
    Kind::Bool,
    Kind::Date,
];

fn given(kind: Kind, limit: Option<Limit>) -> Field {
    let inner = Field { given: Some(GivenType { name: "T".to_owned(), limit }), ..field("v", kind) };
    field("d", Kind::Document(vec![inner]))
}

/// Each text through a column of each kind, alone and as a part of a document.
fn come_back(values: &[Bson], limit: Option<&Limit>) {
    for kind in KINDS {
        let schema = Schema::new(vec![field("_id", Kind::Int64), given(kind.clone(), limit.cloned())]);
        let documents: Vec<Document> =
            (0_i64..).zip(values).map(|(id, v)| doc! { "_id": id, "d": { "v": v } }).collect();
        let (_, rebuilt) = there_and_back(&schema, &documents);
        for (document, rebuilt) in documents.iter().zip(&rebuilt) {
            equal(document, rebuilt, false).unwrap_or_else(|error| panic!("{kind:?} {error}"));
        }
    }
}

#[test]
fn texts_come_back_as_they_were() {
    let texts = [
        "12",
        "-12",
        "007",
        "+5",
        "0",
        "-0",
        "1.5",
        "1.50",
        "0.1",
        ".5",
        "1e3",
        "1E+3",
        "9007199254740993",
        "1e400",
        "0.000001",
        "0.0000000000000000000000000000000001",
        "123456789012345678901234567890",
        "NaN",
        "Infinity",
        "",
        "x",
        "true",
        "True",
        "false",
        "2024-05-06",
        "2024-05-06 07:08:09",
        "2024-05-06T07:08:09Z",
        "2024-05-06T07:08:09.120Z",
        "9999-12-31",
        "2024-05-06T07:08:09.123456Z",
        "2024-02-31",
        "12 ",
    ];
    let values: Vec<Bson> =
        texts.iter().map(|&text| text.into()).chain([12.into(), true.into(), Bson::Null]).collect();
    come_back(&values, None);
    come_back(&values, Some(&Limit::Integers { first: 0, last: 10 }));
    come_back(&values, Some(&Limit::Dates { step_ms: 1000, first_ms: 0, last_ms: i64::MAX }));
}

#[test]
fn columns_show_what_texts_say_and_only_other_forms_are_kept_beside_them() {
    let schema = Schema::new(vec![field("_id", Kind::Int64), given(Kind::Int64, None)]);
    let documents = ["12", "012", "x"].map(|text| doc! { "_id": 1_i64, "d": { "v": text } });
    let (batch, _) = there_and_back(&schema, &documents);
    let shown = super::column::structure(batch.column(1)).ok().unwrap().column(0).clone();
    let shown = shown.as_any().downcast_ref::<arrow_array::Int64Array>().unwrap().iter().collect::<Vec<_>>();
    assert_eq!(shown, [Some(12), Some(12), None]);
    let extra = batch.column_by_name(EXTRA_COLUMN).unwrap();
    let text = |row| super::column::text(extra, row).ok().flatten().unwrap_or_default();
    assert_eq!((text(0), text(1), text(2)), ("", r#"{"d":{"v":"012"}}"#, r#"{"d":{"v":"x"}}"#));
}

proptest! {
    #[test]
    fn any_text_comes_back(texts in prop::collection::vec("[-+]?[0-9]{0,24}(\\.[0-9]{0,20})?(e[-+]?[0-9]{1,3})?", 1..20)) {
        let values: Vec<Bson> = texts.into_iter().map(Bson::String).collect();
        come_back(&values, None);
    }
}
