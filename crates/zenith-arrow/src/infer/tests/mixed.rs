//! Fields of several types: typed column, twin, text; and what a blank means.

use super::*;
use crate::schema::{TextType, Twin};

fn with(options: &InferOptions, values: impl IntoIterator<Item = Bson>) -> Option<Field> {
    let documents: Vec<_> = values.into_iter().map(|value| doc! { "_id": 1, "v": value }).collect();
    inferred(&documents, options).schema.fields.into_iter().nth(1)
}

/// A field with so many of each value.
fn field(counts: &[(usize, Bson)]) -> Option<Field> {
    with(&InferOptions::default(), repeated(counts))
}

fn repeated(counts: &[(usize, Bson)]) -> impl Iterator<Item = Bson> {
    counts.iter().flat_map(|(count, value)| std::iter::repeat_n(value.clone(), *count))
}

fn alone(kind: Kind) -> Option<Field> {
    Some(Field::new("v", kind))
}

fn twinned(kind: Kind, usual: TextType) -> Option<Field> {
    let twin = Some(Twin { name: "v_text".into(), usual });
    Some(Field { twin, ..Field::new("v", kind) })
}

fn text(usual: TextType) -> Option<Field> {
    alone(Kind::Text { usual })
}

fn list(kind: Kind) -> Kind {
    Kind::Array(Box::new(kind))
}

#[test]
fn by_how_many_fit() {
    let (int, string, null) = (Bson::Int32(1), Bson::from("a"), Bson::Null);
    let object_id = Bson::ObjectId(bson::oid::ObjectId::from_bytes([1; 12]));
    let date = Bson::DateTime(bson::DateTime::from_millis(1));
    let far = Bson::DateTime(bson::DateTime::MAX);
    let parts = Kind::Document(vec![Field::new("a", Kind::Int64)]);
    let document = Bson::from(doc! { "a": 1 });
    let timestamp = Bson::Timestamp(bson::Timestamp { time: 1, increment: 1 });
    let uuid = |subtype: u8| Bson::Binary(bson::Binary { subtype: subtype.into(), bytes: vec![7; 16] });
    for (counts, expected) in [
        (vec![(99, int.clone()), (1, string.clone())], alone(Kind::Int64)),
        (vec![(98, int.clone()), (1, string.clone())], twinned(Kind::Int64, TextType::String)),
        (vec![(9, int.clone()), (1, string.clone())], twinned(Kind::Int64, TextType::String)),
        (
            vec![(9, int.clone()), (1, string.clone()), (1_000, null.clone())],
            twinned(Kind::Int64, TextType::String),
        ),
        (vec![(51, string.clone()), (49, int.clone())], twinned(Kind::String, TextType::Number)),
        (vec![(50, int.clone()), (50, string.clone())], text(TextType::String)),
        (vec![(3, int.clone()), (1, string.clone()), (2, true.into())], text(TextType::Number)),
        (
            vec![(2, int.clone()), (1, 0.5.into()), (1, decimal("0.5")), (3, string.clone())],
            twinned(Kind::Decimal { scale: 7 }, TextType::String),
        ),
        (vec![(3, date.clone()), (1, far.clone())], twinned(Kind::Date, TextType::Date)),
        (vec![(1, far.clone())], text(TextType::Date)),
        (vec![(5, object_id.clone()), (4, document.clone())], twinned(Kind::ObjectId, TextType::Object)),
        (vec![(5, object_id.clone()), (5, document.clone())], text(TextType::ObjectId)),
        (vec![(4, object_id), (5, document.clone())], twinned(parts, TextType::ObjectId)),
        (vec![(3, timestamp), (2, Bson::MinKey)], twinned(Kind::Timestamp, TextType::Other)),
        (vec![(3, uuid(4)), (2, uuid(3))], twinned(Kind::Uuid(UuidOrder::Standard), TextType::Other)),
        (vec![(2, uuid(4)), (3, uuid(3))], twinned(Kind::Uuid(UuidOrder::PythonLegacy), TextType::Uuid)),
        (vec![(1, uuid(4)), (1, uuid(3))], text(TextType::Uuid)),
        // Types without a column count beside others only.
        (vec![(9, Bson::MinKey)], None),
        (vec![(9, Bson::MinKey), (1, int.clone())], text(TextType::Other)),
        (vec![(1, doc! {}.into()), (1, string)], text(TextType::String)),
    ] {
        assert_eq!(field(&counts), expected, "{counts:?}");
    }
    let wide = InferOptions { dates: crate::schema::DateRange::WIDE, ..InferOptions::default() };
    let last = Bson::DateTime(bson::DateTime::from_millis(253_402_300_799_999));
    assert_eq!(with(&wide, [last.clone()]), alone(Kind::Date));
    assert_eq!(with(&InferOptions::default(), [last]), text(TextType::Date));
}

#[test]
fn lone_values_are_lists_of_one() {
    let tags = bson::bson!(["a", "b"]);
    let parts = Kind::Document(vec![Field::new("a", Kind::Int64)]);
    let documents = bson::bson!([{ "a": 1 }]);
    let empty = Bson::Array(vec![]);
    for (counts, expected) in [
        (vec![(9, tags.clone()), (1, "c".into())], alone(list(Kind::String))),
        (vec![(5, tags.clone()), (5, "c".into())], alone(list(Kind::String))),
        (vec![(4, tags.clone()), (5, "c".into())], twinned(Kind::String, TextType::Array)),
        (vec![(9, tags.clone()), (1, 1.into())], twinned(list(Kind::String), TextType::Number)),
        (vec![(9, tags.clone()), (9, "c".into()), (1, 1.into())], text(TextType::String)),
        (
            vec![(9, tags.clone()), (8, "c".into()), (1, 1.into())],
            twinned(list(Kind::String), TextType::Number),
        ),
        (vec![(9, documents), (1, doc! { "a": 2 }.into())], alone(list(parts))),
        (vec![(1, bson::bson!([[1]])), (1, 1.into())], text(TextType::Number)),
        (vec![(9, bson::bson!([[1]])), (1, 1.into())], twinned(list(list(Kind::Int64)), TextType::Number)),
    ] {
        assert_eq!(field(&counts), expected, "{counts:?}");
    }
    // Where no array has an element, the lone values tell its type.
    let field = field(&[(2, empty), (1, "a".into())]);
    assert_eq!(field.map(|field| (field.kind, field.twin)), Some((list(Kind::String), None)));
}

#[test]
fn elements_of_several_types() {
    let of = |options: &InferOptions, counts: &[(usize, Bson)]| {
        with(options, [Bson::Array(repeated(counts).collect())]).map(|field| {
            assert_eq!(field.twin, None);
            field.kind
        })
    };
    let parts = Kind::Document(vec![Field::new("a", Kind::Int64)]);
    let (document, int, string) = (Bson::from(doc! { "a": 1 }), Bson::Int32(1), Bson::from("a"));
    for (counts, expected, majority) in [
        (vec![(99, int.clone()), (1, string.clone())], Kind::Int64, Kind::Int64),
        (vec![(9, int.clone()), (1, string.clone())], Kind::Text { usual: TextType::Number }, Kind::Int64),
        (vec![(6, document.clone()), (5, string.clone())], parts.clone(), parts.clone()),
        (
            vec![(5, document.clone()), (5, string.clone())],
            Kind::Text { usual: TextType::String },
            Kind::String,
        ),
        (vec![(6, bson::bson!([1])), (5, string.clone())], list(Kind::Int64), list(Kind::Int64)),
    ] {
        assert_eq!(of(&InferOptions::default(), &counts), Some(list(expected)), "{counts:?}");
        let options = InferOptions { mixed: Mixed::Majority, ..InferOptions::default() };
        assert_eq!(of(&options, &counts), Some(list(majority)), "{counts:?}");
    }
    // The fields of elements have twins.
    let field = field(&[(1, bson::bson!([{ "a": 1 }, { "a": 1 }, { "a": "x" }]))]).unwrap();
    let Kind::Array(element) = field.kind else { panic!("an array") };
    let twin = Some(Twin { name: "a_text".into(), usual: TextType::String });
    assert_eq!(*element, Kind::Document(vec![Field { twin, ..Field::new("a", Kind::Int64) }]));
}

#[test]
fn what_the_user_wants() {
    let nine = [(9, Bson::Int32(1)), (1, "a".into())];
    let half = [(5, "a".into()), (5, Bson::Int32(1)), (1, true.into())];
    let nearly = [(99, Bson::Int32(1)), (1, "a".into())];
    for (mixed, of_nine, of_half) in [
        (Mixed::Twin, twinned(Kind::Int64, TextType::String), text(TextType::String)),
        (Mixed::Text, text(TextType::Number), text(TextType::String)),
        (Mixed::Majority, alone(Kind::Int64), alone(Kind::String)),
    ] {
        let options = InferOptions { mixed, ..InferOptions::default() };
        assert_eq!(with(&options, repeated(&nine)), of_nine);
        assert_eq!(with(&options, repeated(&half)), of_half);
        assert_eq!(with(&options, repeated(&nearly)), alone(Kind::Int64));
        let own = BTreeMap::from([("v".to_owned(), mixed)]);
        let options = InferOptions { mixed_fields: own, ..InferOptions::default() };
        assert_eq!(with(&options, repeated(&nine)), of_nine);
    }
    // Paths go through documents and arrays.
    let documents: Vec<_> = [Bson::Int32(1), 1.into(), "a".into()]
        .map(|v| doc! { "_id": 1, "d": { "a": &v, "b": &v }, "l": [{ "a": &v, "b": &v }] })
        .into();
    let paths = ["d.a", "l.b"].map(|path| (path.to_owned(), Mixed::Majority));
    let options = InferOptions { mixed_fields: BTreeMap::from(paths), ..InferOptions::default() };
    let paths: Vec<String> =
        inferred(&documents, &options).fields.into_iter().map(|field| field.path).collect();
    assert_eq!(paths, ["_id", "d.a", "d.b", "d.b_text", "l[].a", "l[].a_text", "l[].b"]);
}

#[test]
fn twins_have_names_of_their_own() {
    let documents = [
        doc! { "_id": 1, "x": 1, "x_text": 1, "y": 1, "y_text.z": 1, "w": 1, "w_text": null, "d": { "x": 1, "x_text": "a" } },
        doc! { "_id": 2, "x": 1, "x_text": 1, "y": 1, "w": 1, "d": { "x": 1 } },
        doc! { "_id": 3, "x": "a", "x_text": "a", "y": "a", "w": "a", "d": { "x": "a" } },
    ];
    let inference = inferred(&documents, &InferOptions::default());
    let paths: Vec<&str> = inference.fields.iter().map(|field| field.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "_id",
            "x",
            "x_text_text",
            "x_text",
            "x_text_text_text",
            "y",
            "y_text_text",
            "y_text.z",
            "w",
            "w_text_text",
            "d.x",
            "d.x_text_text",
            "d.x_text"
        ]
    );
    let shares: Vec<f64> = inference.fields.iter().map(|field| field.values_per_document).collect();
    assert_eq!(shares[1..3], [2.0 / 3.0, 1.0 / 3.0]);
    let columns: Vec<String> =
        inference.schema.to_arrow().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(columns[..5], ["_id", "x", "x_text_text", "x_text", "x_text_text_text"]);
}

#[test]
fn what_a_blank_means() {
    let (tag, string) = (bson::bson!(["a"]), Bson::from("a"));
    let (empty, null) = (Bson::Array(vec![]), Bson::Null);
    let (object, blank) = (Bson::from(doc! { "a": 1 }), Bson::from(doc! { "a": null }));
    // Values, documents without the key; the blank without and with nulls kept.
    for (counts, missing, plain, kept) in [
        (vec![(1, string.clone())], 0, Blank::Missing, Blank::Missing),
        (vec![(1, string.clone()), (2, null.clone())], 1, Blank::Missing, Blank::Null),
        (vec![(1, string.clone()), (1, null.clone())], 1, Blank::Missing, Blank::Missing),
        (vec![(1, tag.clone()), (1, empty.clone())], 0, Blank::Empty, Blank::Empty),
        (vec![(1, tag.clone()), (1, empty.clone())], 1, Blank::Missing, Blank::Missing),
        (vec![(1, tag.clone()), (3, empty.clone()), (2, null.clone())], 2, Blank::Missing, Blank::Empty),
        (vec![(1, tag), (2, empty), (3, null.clone())], 2, Blank::Missing, Blank::Null),
        (vec![(1, object.clone()), (2, blank.clone())], 1, Blank::Empty, Blank::Empty),
        (vec![(1, object.clone()), (1, doc! {}.into())], 1, Blank::Missing, Blank::Missing),
        (vec![(9, object), (1, blank), (1, null)], 0, Blank::Missing, Blank::Null),
    ] {
        let values = repeated(&counts).map(|value| doc! { "_id": 1, "v": value });
        let documents: Vec<Document> =
            values.chain(std::iter::repeat_n(doc! { "_id": 2 }, missing)).collect();
        for (keep_nulls, expected) in [(false, plain), (true, kept)] {
            let options = InferOptions { keep_nulls, ..InferOptions::default() };
            let fields = inferred(&documents, &options).schema.fields;
            assert_eq!(fields[1].blank, expected, "{counts:?}, {missing} missing, {keep_nulls}");
            // The same inside a document of an array.
            let inner: Vec<Bson> = documents.iter().cloned().map(Bson::from).collect();
            let fields = inferred(&[doc! { "_id": 1, "l": inner }], &options).schema.fields;
            let Kind::Array(element) = &fields[1].kind else { panic!("an array") };
            assert_eq!(parts(element)[1].blank, expected, "{counts:?} in an array");
        }
    }
}
