//! What is left of documents, and that both ways leave the same.

use bson::{Bson, Document, RawDocumentBuf, bson, doc, rawdoc};
use proptest::prelude::*;

use super::*;

fn options(include: &[&str], exclude: &[&str], mask: &[(&str, Mask)]) -> TransformOptions {
    let owned = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
    let mask = mask.iter().map(|(path, mask)| ((*path).to_owned(), mask.clone())).collect();
    TransformOptions { include: owned(include), exclude: owned(exclude), mask, whole: false }
}

/// What is left of a document, by either way.
fn left(options: &TransformOptions, document: &[u8]) -> Document {
    let transform = options.of_rows().unwrap().unwrap();
    let left = transform.applied(document).unwrap();
    assert_eq!(left, options.plain().unwrap().unwrap().apply(document).unwrap(), "{options:?}");
    zenith_bson::validate(&left).unwrap();
    assert_eq!(transform.applied(&left).is_ok(), transform.apply(&left, &mut Vec::new()).is_ok());
    Document::from_reader(&left[..]).unwrap()
}

fn left_of(options: &TransformOptions, document: Document) -> Document {
    left(options, &document.to_vec().unwrap())
}

fn text<'d>(document: &'d Document, key: &str) -> &'d str {
    document.get_str(key).unwrap()
}

#[test]
fn excluded_fields_go_through_documents_and_arrays() {
    let document = || {
        doc! {
            "_id": 1,
            "customer": { "name": "n", "password": "p", "internal": 1 },
            "lines": [{ "price": 1, "password": "p" }, 5, [{ "password": "p", "x": 1 }]],
            "internal": { "internal": 2 },
            "customer.password": "p",
        }
    };
    let exclude = |paths: &[&str]| left_of(&options(&[], paths, &[]), document());
    let gone = exclude(&["customer.password", "lines.password"]);
    assert_eq!(gone.get_document("customer").unwrap(), &doc! { "name": "n", "internal": 1 });
    assert_eq!(gone["lines"], bson!([{ "price": 1 }, 5, [{ "x": 1 }]]));
    assert!(!gone.contains_key("customer.password"), "it spells the path");
    let gone = exclude(&["*.internal"]);
    assert_eq!(gone.get_document("internal").unwrap(), &doc! {});
    assert!(!gone.get_document("customer").unwrap().contains_key("internal"));
    assert_eq!(exclude(&["*"]), doc! { "_id": 1 });
    assert_eq!(exclude(&["nothing", "customer.nothing.at.all"]), document());
}

#[test]
fn included_fields_are_all_there_is() {
    let document = doc! {
        "_id": { "a": 1 },
        "a": { "b": 1, "c": { "d": 2, "e": 3 } },
        "list": [{ "b": 1, "x": 2 }, 7, {}],
        "b": 5,
        "a.b": 6,
    };
    let include = |paths: &[&str], exclude: &[&str]| left_of(&options(paths, exclude, &[]), document.clone());
    let id = doc! { "a": 1 };
    assert_eq!(include(&["_id"], &[]), doc! { "_id": id.clone() });
    assert_eq!(include(&["a.b", "b"], &[]), doc! { "_id": id.clone(), "a": { "b": 1 }, "b": 5 });
    assert_eq!(include(&["a"], &["a.c.d"]), doc! { "_id": id.clone(), "a": { "b": 1, "c": { "e": 3 } } });
    assert_eq!(include(&["list.b"], &[]), doc! { "_id": id.clone(), "list": [{ "b": 1 }, {}] });
    assert_eq!(
        include(&["*.b", "a.c.d"], &[]),
        doc! {
            "_id": id.clone(),
            "a": { "b": 1, "c": { "d": 2 } },
            "list": [{ "b": 1 }, {}],
        }
    );
}

#[test]
fn masks_hide_values_of_any_type() {
    let salt = Salt::new(b"pepper");
    let hash = |text: &str| {
        let digest = ring::digest::digest(&ring::digest::SHA256, format!("pepper{text}").as_bytes());
        digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let document = || {
        doc! {
            "_id": 1,
            "card": "4000 1234 5678 9010",
            "list": [{ "card": 12345678901_i64 }, { "card": null }, { "card": "short" }],
            "whole": { "a": [1, 2], "b": "x" },
        }
    };
    let masked = |path: &str, mask: Mask| left_of(&options(&[], &[], &[(path, mask)]), document());
    assert_eq!(text(&masked("card", Mask::Redact), "card"), "****");
    assert_eq!(masked("card", Mask::Null).get("card"), Some(&Bson::Null));
    assert_eq!(text(&masked("card", Mask::Last4), "card"), "****9010");
    assert_eq!(
        masked("list.card", Mask::Last4)["list"],
        bson!([{ "card": "****8901" }, { "card": null }, { "card": "****" }])
    );
    assert_eq!(text(&masked("whole", Mask::Last4), "whole"), "****");
    let sha = masked("card", Mask::Sha256(salt.clone()));
    assert_eq!(text(&sha, "card"), hash("4000 1234 5678 9010"));
    let whole = masked("whole", Mask::Sha256(salt.clone()));
    assert_eq!(text(&whole, "whole"), hash(r#"{"a":[1,2],"b":"x"}"#));
    let number = masked("card", Mask::Hash64(salt));
    let first = u64::from_str_radix(&hash("4000 1234 5678 9010")[..16], 16).unwrap();
    let Some(Bson::Timestamp(stamp)) = number.get("card") else { panic!("{number}") };
    assert_eq!(u64::from(stamp.time) << 32 | u64::from(stamp.increment), first);
}

#[test]
fn what_is_said_first_is_what_is_written_out() {
    let masks = [("*.card", Mask::Null), ("a.card", Mask::Redact)];
    let document = doc! { "_id": 1, "a": { "card": "x" }, "b": { "card": "y", "c": 1 } };
    let left = left_of(&options(&[], &["b.c"], &masks), document);
    assert_eq!(left, doc! { "_id": 1, "a": { "card": "****" }, "b": { "card": null } });
    // What is excluded is not in the hash of the whole.
    let hash = |document: Document| {
        let mask = [("a", Mask::Sha256(Salt::new(b"s")))];
        left_of(&options(&[], &["a.secret"], &mask), document).get_str("a").unwrap().to_owned()
    };
    assert_eq!(hash(doc! { "a": { "x": 1, "secret": 2 } }), hash(doc! { "a": { "x": 1, "secret": 3 } }));
    let spelled = left_of(
        &options(&[], &[], &[("a", Mask::Redact)]),
        doc! { "_id": 1, "a.b": "leads through what is masked", "a": 1 },
    );
    assert_eq!(spelled, doc! { "_id": 1, "a": "****" });
}

#[test]
fn earlier_values_of_repeated_keys_go_as_well() {
    let mut twice = rawdoc! { "_id": 1, "p": "one", "a": 1 }.into_bytes();
    let at = twice.len() - 1;
    let more = rawdoc! { "p": "two", "a": 2 }.into_bytes();
    twice.splice(at.., more[4..].iter().copied());
    let length = i32::try_from(twice.len()).unwrap().to_le_bytes();
    twice.splice(..4, length);
    let options = options(&[], &["p"], &[]);
    let left = options.of_rows().unwrap().unwrap().applied(&twice).unwrap();
    let keys: Vec<_> = zenith_bson::Elements::new(&left).unwrap().map(|it| it.unwrap().key).collect();
    assert_eq!(keys, [&b"_id"[..], b"a", b"a"]);
}

#[test]
fn a_document_without_anything_to_change_is_not_written_again() {
    let options = options(&[], &["a.b", "c.*.d"], &[("m", Mask::Redact)]);
    let transform = options.of_rows().unwrap().unwrap();
    let mut buffer = Vec::new();
    for document in [rawdoc! { "_id": 1, "a": { "c": 1 }, "x": "y" }, rawdoc! { "a": 5, "m": null, "c": [1] }]
    {
        assert_eq!(transform.apply(document.as_bytes(), &mut buffer).unwrap(), None, "{document:?}");
    }
    let documents = [rawdoc! { "a": { "b": 1 }, "x": 1 }, rawdoc! { "c": [{ "z": { "d": 1 } }] }];
    let documents: Vec<&[u8]> = documents.iter().map(|document| document.as_bytes()).collect();
    assert_eq!(options.without_values(documents).unwrap(), ["m"]);
}

#[test]
fn paths_that_cannot_be_used_are_named() {
    for (path, part) in
        [("a..b", "empty key"), ("", "empty key"), ("_id", "_id"), ("_id.x", "_id"), ("a\0", "zero")]
    {
        let error = options(&[], &[path], &[]).of_rows().unwrap_err();
        assert!(error.to_string().contains(part) && error.path == path, "{error}");
    }
    let twice = options(&[], &[], &[("a", Mask::Null), ("a", Mask::Redact)]);
    assert!(twice.of_rows().unwrap_err().to_string().contains("twice"));
    assert!(options(&[], &[], &[]).of_rows().unwrap().is_none());
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[a-c]",
        1 => Just("_id".to_owned()),
        1 => "[a-c]\\.[a-c]",
        1 => Just("a.b.c".to_owned()),
    ]
}

fn value() -> impl Strategy<Value = Bson> {
    let leaf = prop_oneof![
        any::<i32>().prop_map(Bson::Int32),
        "[a-z]{0,12}".prop_map(Bson::String),
        Just(Bson::Null),
        Just(Bson::Undefined),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec((key(), inner.clone()), 0..4)
                .prop_map(|fields| Bson::Document(fields.into_iter().collect())),
            prop::collection::vec(inner, 0..4).prop_map(Bson::Array),
        ]
    })
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(prop_oneof![3 => "[a-c]", 1 => Just("*".to_owned())], 1..4)
        .prop_map(|parts| parts.join("."))
}

fn mask() -> impl Strategy<Value = Mask> {
    prop_oneof![
        Just(Mask::Redact),
        Just(Mask::Null),
        Just(Mask::Last4),
        Just(Mask::Sha256(Salt::new(b"s"))),
        Just(Mask::Hash64(Salt::default())),
    ]
}

proptest! {
    #[test]
    fn both_ways_leave_the_same(
        fields in prop::collection::vec((key(), value()), 0..6),
        include in prop::collection::vec(path(), 0..3),
        exclude in prop::collection::vec(path(), 0..3),
        masks in prop::collection::btree_map(path(), mask(), 0..3),
        whole in any::<bool>(),
    ) {
        let document: Document = fields.into_iter().collect();
        let options = TransformOptions { include, exclude, mask: masks.into_iter().collect(), whole };
        prop_assume!(!options.is_empty());
        left_of(&options, document);
    }

    #[test]
    fn damaged_documents_are_refused_or_changed_alike(
        fields in prop::collection::vec((key(), value()), 1..5),
        exclude in path(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let document: Document = fields.into_iter().collect();
        let mut bytes = document.to_vec().unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let options = TransformOptions { exclude: vec![exclude], ..TransformOptions::default() };
        let transform = options.of_rows().unwrap().unwrap();
        // Neither of them ends early, and what both take is the same but for the keys of elements.
        let read = |bytes: Result<Vec<u8>, RawError>| Document::from_reader(&bytes.ok()?[..]).ok();
        let one = read(transform.applied(&bytes));
        let other = read(options.plain().unwrap().unwrap().apply(&bytes));
        if let (Some(one), Some(other)) = (one, other) {
            prop_assert_eq!(one, other);
        }
    }
}

#[test]
fn arrays_deeper_than_documents_may_be_are_refused() {
    let mut value = bson!([{ "p": 1 }]);
    for _ in 0..zenith_bson::DEPTH_MAX {
        value = Bson::Array(vec![value]);
    }
    let document = RawDocumentBuf::try_from(&doc! { "a": value }).unwrap();
    let options = options(&[], &["a.p"], &[]);
    let transform = options.of_rows().unwrap().unwrap();
    assert_eq!(transform.applied(document.as_bytes()), Err(RawError::TooDeep));
}

#[test]
fn a_whole_document_is_one_value_beside_its_id() {
    let mut whole = options(&[], &["secret"], &[]);
    whole.whole = true;
    let document = doc! { "a": { "secret": 1 }, "_id": 7, "secret": 2, "doc": "d" };
    let expected = doc! { "_id": 7, "doc": { "a": { "secret": 1 }, "_id": 7, "doc": "d" } };
    assert_eq!(left_of(&whole, document.clone()), expected);
    whole.exclude.clear();
    assert!(whole.keeps_values() && !whole.is_empty());
    assert_eq!(left_of(&whole, document.clone()), doc! { "_id": 7, "doc": document });
    assert_eq!(left_of(&whole, doc! {}), doc! { "doc": {} });
    let mut twice = RawDocumentBuf::new();
    twice.append(bson::cstr!("_id"), 1);
    twice.append(bson::cstr!("_id"), 2);
    assert_eq!(left(&whole, twice.as_bytes()).get_i32("_id").unwrap(), 2);
    assert!(whole.of_rows().unwrap().unwrap().applied(&[5, 0, 0, 0, 1]).is_err());
}
