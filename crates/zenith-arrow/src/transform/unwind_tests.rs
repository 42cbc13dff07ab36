//! Unwound documents, by both ways.

use bson::{Bson, Document, RawDocumentBuf, doc};

use super::*;

fn raw(document: &Document) -> Vec<u8> {
    RawDocumentBuf::try_from(document).unwrap().as_bytes().to_vec()
}

/// What a document is unwound into.
fn unwound(path: &str, document: &Document) -> Vec<Document> {
    of_bytes(path, &raw(document))
}

fn of_bytes(path: &str, bytes: &[u8]) -> Vec<Document> {
    let unwind = Unwind::new(path).unwrap();
    let all = unwind.applied(bytes).unwrap();
    assert_eq!(unwind.plain(bytes).unwrap().as_ref(), Some(&all), "{path}");
    let extent = unwind.extent(bytes).unwrap();
    assert_eq!(extent.documents, all.len());
    assert!(extent.bytes >= all.iter().map(Vec::len).sum());
    for whole in &all {
        zenith_bson::validate(whole).unwrap();
    }
    all.iter().map(|whole| Document::from_reader(&whole[..]).unwrap()).collect()
}

#[test]
fn each_element_takes_the_place_of_the_array() {
    let order = doc! { "_id": 7, "items": [{ "sku": 1 }, null, [2, 3]], "to": "x" };
    assert_eq!(
        unwound("items", &order),
        [
            doc! { "_id": 7, "items": { "sku": 1 }, "to": "x", "items_index": 1_i64 },
            doc! { "_id": 7, "items": null, "to": "x", "items_index": 2_i64 },
            doc! { "_id": 7, "items": [2, 3], "to": "x", "items_index": 3_i64 },
        ]
    );
    let deep = doc! { "_id": 7, "a": { "b": { "c": ["x", "y"], "d": 1 }, "e": 2 }, "f": 3 };
    assert_eq!(
        unwound("a.b.c", &deep),
        [
            doc! { "_id": 7, "a": { "b": { "c": "x", "d": 1 }, "e": 2 }, "f": 3, "c_index": 1_i64 },
            doc! { "_id": 7, "a": { "b": { "c": "y", "d": 1 }, "e": 2 }, "f": 3, "c_index": 2_i64 },
        ]
    );
}

#[test]
fn a_document_without_elements_stays_one() {
    for (items, left) in [
        (None, None),
        (Some(Bson::Null), Some(Bson::Null)),
        (Some(Bson::Array(Vec::new())), None),
        (Some(Bson::Int32(5)), Some(Bson::Int32(5))),
        (Some(doc! { "sku": 1 }.into()), Some(doc! { "sku": 1 }.into())),
    ] {
        let document = |items: Option<Bson>| {
            let mut document = doc! { "_id": 1 };
            document.extend(items.map(|items| ("items".to_owned(), items)));
            document.insert("z", 1);
            document
        };
        let mut expected = document(left);
        expected.insert("items_index", 0_i64);
        assert_eq!(unwound("items", &document(items)), [expected]);
    }
    // An array of documents is no document that the path could lead through.
    let through = doc! { "_id": 1, "a": [{ "b": [1, 2] }] };
    assert_eq!(unwound("a.b", &through).len(), 1);
}

#[test]
fn of_repeated_keys_the_last_is_unwound() {
    let element = |key: &str, items: Bson| {
        let document = raw(&doc! { key: items });
        document[4..document.len() - 1].to_vec()
    };
    let fields = [
        element("items", Bson::Int32(5)),
        element("items", vec![1, 2].into()),
        element("items_index", Bson::Int32(9)),
    ]
    .concat();
    let length = i32::try_from(fields.len() + 5).unwrap();
    let bytes = [&length.to_le_bytes()[..], &fields, &[0]].concat();
    let all = of_bytes("items", &bytes);
    let last: Vec<(Bson, Bson)> = all
        .into_iter()
        .map(|mut whole| (whole.remove("items").unwrap(), whole.remove("items_index").unwrap()))
        .collect();
    assert_eq!(last, [(1.into(), 1_i64.into()), (2.into(), 2_i64.into())]);
}

#[test]
fn paths_lead_to_one_array() {
    assert!(Unwind::new("*.items").unwrap_err().to_string().contains("write its path out"));
    assert!(Unwind::new("a..b").is_err() && Unwind::new("").is_err() && Unwind::new("_id.a").is_err());
    assert_eq!(Unwind::index_of("order.items"), "items_index");
    let unwind = Unwind::new("order.items").unwrap();
    assert_eq!(unwind.first_key(), b"order");
    assert!(unwind.finds_array(&raw(&doc! { "order": { "items": [] } })));
    assert!(!unwind.finds_array(&raw(&doc! { "order": [] })));
    assert!(unwind.applied(b"\x05\0\0\0\x01").is_err());
}
