//! Writer and parser against the specification's examples and against each other.

use bson::{Bson, Document, doc};
use proptest::prelude::*;
use zenith_bson::{Elements, RawError, validate};

use super::arbitrary::{document, raw_document, value};
use super::*;

fn written(document: &Document) -> String {
    let mut out = Vec::new();
    write_document(&mut out, &document.to_vec().unwrap()).unwrap();
    String::from_utf8(out).unwrap()
}

/// As text, because a NaN is not equal to itself.
fn same(left: &Bson, right: &Bson) -> bool {
    format!("{left:?}") == format!("{right:?}")
}

#[test]
fn canonical_forms() {
    let document = doc! {
        "int": 1, "long": 2_i64, "double": 1.0, "big": 1.2345678921232e18, "nan": f64::NAN, "zero": -0.0,
        "text": "a\"\\\n\u{1}é", "oid": bson::oid::ObjectId::from_bytes([10; 12]),
        "date": bson::DateTime::from_millis(-1), "binary": bson::Binary {
            subtype: bson::spec::BinarySubtype::UserDefined(0x81), bytes: vec![255, 0, 1, 2] },
        "array": [1, Bson::Null, true], "timestamp": bson::Timestamp { time: 4_000_000_000, increment: 1 },
        "decimal": "1.20E+3".parse::<bson::Decimal128>().unwrap(),
    };
    assert_eq!(
        written(&document),
        concat!(
            r#"{"int":{"$numberInt":"1"},"long":{"$numberLong":"2"},"double":{"$numberDouble":"1.0"},"#,
            r#""big":{"$numberDouble":"1.2345678921232E+18"},"nan":{"$numberDouble":"NaN"},"#,
            r#""zero":{"$numberDouble":"-0.0"},"text":"a\"\\\n\u0001é","#,
            r#""oid":{"$oid":"0a0a0a0a0a0a0a0a0a0a0a0a"},"date":{"$date":{"$numberLong":"-1"}},"#,
            r#""binary":{"$binary":{"base64":"/wABAg==","subType":"81"}},"#,
            r#""array":[{"$numberInt":"1"},null,true],"timestamp":{"$timestamp":{"t":4000000000,"i":1}},"#,
            r#""decimal":{"$numberDecimal":"1.20E+3"}}"#
        )
    );
}

#[test]
fn strings_of_any_length_are_escaped_where_need_be() {
    for len in 0..40 {
        for special in ["", "\"", "\\", "\n", "\u{1}", "\u{1f}", "\u{7f}", "é", "日"] {
            for at in 0..=len {
                let text = ["x".repeat(at), special.to_owned(), " ".repeat(len - at)].concat();
                let mut out = Vec::new();
                write_string(&mut out, text.as_bytes()).unwrap();
                assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
            }
        }
    }
    assert_eq!(write_string(&mut Vec::new(), b"0123456789abcdef\xFF"), Err(RawError::InvalidUtf8));
}

#[test]
fn positions_are_decimal() {
    for position in [0, 9, 10, 99, 100, 1_234_567_890, usize::MAX] {
        let mut out = Vec::new();
        write_position(&mut out, position);
        assert_eq!(String::from_utf8(out).unwrap(), position.to_string());
    }
}

#[test]
fn reserved_and_repeated_keys() {
    assert_eq!(written(&doc! { "$oid": "x" }), r#"{"$literal":{"$oid":"x"}}"#);
    assert_eq!(written(&doc! { "$set": "x", "$ref": "y" }), r#"{"$set":"x","$ref":"y"}"#);
    let cases = [
        (
            raw_document(&[("a", true.into()), ("b", false.into()), ("a", Bson::Null)]),
            r#"{"$duplicates":[{"a":true}],"b":false,"a":null}"#,
            doc! { "b": false, "a": Bson::Null },
        ),
        (
            raw_document(&[("$duplicates", true.into()), ("$duplicates", false.into())]),
            r#"{"$duplicates":[{"$duplicates":true}],"$literal":{"$duplicates":false}}"#,
            doc! { "$duplicates": false },
        ),
    ];
    for (raw, text, last) in cases {
        let mut out = Vec::new();
        write_document(&mut out, &raw).unwrap();
        assert_eq!(std::str::from_utf8(&out).unwrap(), text);
        assert_eq!(parse_document(text).unwrap(), last);
    }
    let json = Json::parse(r#"{"$duplicates":[{"a":true},{"$oid":1}],"a":null}"#).unwrap();
    let keys: Vec<_> = Container::of(&json).unwrap().unwrap().duplicates().map(|(key, _)| key).collect();
    assert_eq!(keys, ["a", "$oid"]);
}

#[test]
fn relaxed_forms_are_read() {
    let relaxed = r#" { "a" : 1, "b": 1.5, "c": 3000000000, "d": 1e3, "e": -0, "f": 9300000000000000000,
        "g": {"$date": "1970-01-01T00:00:01Z"}, "h": {"$uuid": "00112233-4455-6677-8899-aabbccddeeff"} } "#;
    let read = parse_document(relaxed).unwrap();
    let expected = doc! { "a": 1, "b": 1.5, "c": 3_000_000_000_i64, "d": 1000.0, "e": -0.0, "f": 9.3e18,
    "g": bson::DateTime::from_millis(1000), "h": bson::Binary { subtype: bson::spec::BinarySubtype::Uuid,
        bytes: (0..16).map(|byte| byte * 0x11).collect() } };
    assert!(same(&read.into(), &expected.into()));
}

#[test]
fn malformed_text_is_refused() {
    for text in [
        "{",
        "[1,]",
        "{\"a\"}",
        "01",
        "1.",
        "\"\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\u{1}\"",
        "tru",
        "",
        "{} x",
        "\"\\u00e\"",
        "\"\\u00é\"",
        "-",
        "{\"a\":1,}",
        "1e",
        "\"\\x\"",
    ] {
        assert!(matches!(parse_value(text), Err(JsonError::Syntax { .. })), "{text}");
    }
    for text in [
        r#"{"$oid":"x"}"#,
        r#"{"$oid":"0a0a0a0a0a0a0a0a0a0a0a0a","a":1}"#,
        r#"{"$numberInt":1}"#,
        r#"{"$scope":{}}"#,
        r#"{"$literal":{},"a":1}"#,
        r#"{"$duplicates":1}"#,
        r#"{"$numberDouble":"inf"}"#,
        r#"{"$missing":true}"#,
        r#"{"$regularExpression":{"pattern":"\u0000","options":""}}"#,
    ] {
        assert!(matches!(parse_value(text), Err(JsonError::Wrapper { .. })), "{text}");
    }
    assert_eq!(parse_document("[]"), Err(JsonError::NotAnObject));
    assert!(parse_value(&"[".repeat(1_000_000)).is_err());
}

#[test]
fn invalid_utf8_is_an_error() {
    let mut bytes = doc! { "a": "xyz" }.to_vec().unwrap();
    bytes[11] = 0xFF;
    assert_eq!(write_document(&mut Vec::new(), &bytes), Err(RawError::InvalidUtf8));
}

#[test]
fn as_deep_as_documents_go() {
    let deep = (0..250).fold(doc! { "$oid": 1 }, |inner, level| {
        if level % 2 == 0 {
            doc! { "$oid": inner }
        } else {
            doc! { "a": inner }
        }
    });
    assert_eq!(parse_document(&written(&deep)).unwrap(), deep);
    let too_deep = (0..300).fold(doc! {}, |inner, _| doc! { "a": inner });
    let bytes = too_deep.to_vec().unwrap();
    assert_eq!(write_document(&mut Vec::new(), &bytes), Err(RawError::TooDeep));
}

proptest! {
    #[test]
    fn parser_is_the_inverse_of_the_writer(document in document()) {
        let text = written(&document);
        let read = Bson::Document(parse_document(&text).unwrap());
        prop_assert!(same(&read, &document.clone().into()), "{text}\n{read:?}\n{document:?}");
        validate(&document.to_vec().unwrap()).unwrap();
    }

    #[test]
    fn mixed_ids_stay_apart(value in value()) {
        let bytes = doc! { "_id": value.clone() }.to_vec().unwrap();
        let raw = Elements::new(&bytes).unwrap().next().unwrap().unwrap().value;
        let mut out = Vec::new();
        mixed_id_text(raw, &mut out).unwrap();
        let read = mixed_id_value(std::str::from_utf8(&out).unwrap());
        prop_assert!(same(&read, &value), "{value:?} {read:?}");
    }

    #[test]
    fn never_panics(text in "[\\[\\]{}:,\"a$oid0-9eE.+\\\\u\\-]{0,30}") {
        let _ = parse_value(&text);
        let _ = mixed_id_value(&text);
    }

    #[test]
    fn doubles_read_back(value in any::<f64>()) {
        let mut out = Vec::new();
        write_double(&mut out, value);
        let text = std::str::from_utf8(&out).unwrap();
        prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), value.to_bits());
        prop_assert!(text.contains(['.', 'E', 'n', 'N']));
    }
}

/// Column and overlay of a document.
fn split(document: &Document) -> (String, String) {
    let (mut column, mut overlay) = (Vec::new(), Vec::new());
    let rejected = split_json_column(&mut column, &mut overlay, &document.to_vec().unwrap(), false).unwrap();
    assert_eq!(rejected, !overlay.is_empty());
    (String::from_utf8(column).unwrap(), String::from_utf8(overlay).unwrap())
}

#[test]
fn json_columns_hold_what_comes_back() {
    let cases = [
        (
            doc! { "a": 1, "b": i64::MAX, "c": 1.0, "d": "x", "e": true },
            r#"{"a":1,"b":9223372036854775807,"c":1.0,"d":"x","e":true}"#,
            "",
        ),
        (doc! {}, "{}", "{}"),
        (doc! { "a": Bson::Null }, "{}", r#"{"a":null}"#),
        (doc! { "a": Bson::Null, "b": 1 }, r#"{"b":1}"#, ""),
        (
            doc! { "a": { "b": {}, "c": 1 }, "x.y": 1, "": 1 },
            r#"{"a":{"c":1}}"#,
            r#"{"a":{"b":{}},"x.y":{"$numberInt":"1"},"":{"$numberInt":"1"}}"#,
        ),
        (doc! { "a": { "b.c": 1 } }, "{}", r#"{"a":{"b.c":{"$numberInt":"1"}}}"#),
        (doc! { "$oid": "x", "a": 1 }, r#"{"a":1}"#, r#"{"$literal":{"$oid":"x"}}"#),
        (
            doc! { "a": [1, 2], "b": [], "c": [[1.5], [2.5]], "d": [{ "x": 1 }], "e": ["x"] },
            r#"{"a":[1,2],"b":[],"c":[[1.5],[2.5]],"d":[{"x":1}],"e":["x"]}"#,
            "",
        ),
        (doc! { "a": [1, 2.5] }, "{}", r#"{"a":[{"$numberInt":"1"},{"$numberDouble":"2.5"}]}"#),
        (doc! { "a": [Bson::Null] }, "{}", r#"{"a":[null]}"#),
        (doc! { "a": [{}] }, "{}", r#"{"a":[{}]}"#),
        (doc! { "a": [[]] }, "{}", r#"{"a":[[]]}"#),
        (
            doc! { "a": [{ "b": 9_007_199_254_740_993_i64 }] },
            "{}",
            r#"{"a":[{"b":{"$numberLong":"9007199254740993"}}]}"#,
        ),
        (
            doc! { "a": 2_f64.powi(60), "b": f64::NAN },
            r#"{"b":{"$numberDouble":"NaN"}}"#,
            r#"{"a":{"$numberDouble":"1.152921504606847E+18"}}"#,
        ),
    ];
    for (document, column, overlay) in cases {
        assert_eq!(split(&document), (column.to_owned(), overlay.to_owned()), "{document:?}");
    }
    let repeated = raw_document(&[("a", 1.into()), ("a", true.into())]);
    let (mut column, mut overlay) = (Vec::new(), Vec::new());
    assert_eq!(split_json_column(&mut column, &mut overlay, &repeated, false), Ok(true));
    assert_eq!(
        (column, overlay),
        (b"{}".to_vec(), br#"{"$duplicates":[{"a":{"$numberInt":"1"}}],"a":true}"#.to_vec())
    );
    let (mut column, mut overlay) = (Vec::new(), Vec::new());
    let nulls = doc! { "a": Bson::Null, "b": 1 }.to_vec().unwrap();
    assert_eq!(split_json_column(&mut column, &mut overlay, &nulls, true), Ok(true));
    assert_eq!((column, overlay), (br#"{"b":1}"#.to_vec(), br#"{"a":null}"#.to_vec()));
}

#[test]
fn json_columns_are_bounded_in_depth() {
    let deep = (1..40).fold(doc! { "a": 1 }, |inner, _| doc! { "a": inner });
    let (column, overlay) = split(&deep);
    assert_eq!(column, "{}");
    assert_eq!(parse_document(&overlay).unwrap(), deep);
}
