//! The walk against the bson crate's own encoder, and against any bytes at all.

use bson::{Bson, Decimal128, doc};
use proptest::prelude::*;

use super::*;

fn bytes(document: &bson::Document) -> Vec<u8> {
    document.to_vec().unwrap()
}

#[test]
fn walks_every_type() {
    let document = doc! {
        "double": 1.5, "string": "text", "document": { "a": 1 }, "array": [1, 2],
        "binary": Bson::Binary(bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: vec![1, 2] }),
        "old": Bson::Binary(bson::Binary { subtype: bson::spec::BinarySubtype::BinaryOld, bytes: vec![1, 2] }),
        "undefined": Bson::Undefined, "oid": bson::oid::ObjectId::from_bytes([7; 12]), "bool": true,
        "date": bson::DateTime::from_millis(-5), "null": Bson::Null,
        "regex": Bson::RegularExpression(bson::Regex {
            pattern: "a+".to_owned().try_into().unwrap(), options: "i".to_owned().try_into().unwrap() }),
        "code": Bson::JavaScriptCode("f()".into()), "symbol": Bson::Symbol("s".into()),
        "scope": Bson::JavaScriptCodeWithScope(bson::JavaScriptCodeWithScope {
            code: "g()".into(), scope: doc! { "x": 1 } }),
        "int": 5, "timestamp": bson::Timestamp { time: 2, increment: 3 }, "long": 6_i64,
        "decimal": "1.50".parse::<Decimal128>().unwrap(), "min": Bson::MinKey, "max": Bson::MaxKey,
    };
    let bytes = bytes(&document);
    validate(&bytes).unwrap();
    let elements: Vec<_> = Elements::new(&bytes).unwrap().map(Result::unwrap).collect();
    assert_eq!(elements.len(), document.len());
    // One element follows the other, without a gap and up to the end.
    assert!(elements.windows(2).all(|pair| pair[0].range().end == pair[1].start));
    assert_eq!((elements[0].start, elements.last().unwrap().range().end), (4, bytes.len() - 1));
    for element in &elements {
        assert_eq!(&bytes[element.value_range()], element.value.bytes);
        assert_eq!(
            (bytes[element.start], &bytes[element.start + 1..][..element.key.len()]),
            (element.value.tag, element.key)
        );
        assert!(tag::is_known(element.value.tag) && tag::name(element.value.tag) != "unknown");
        let alone = element.value.in_document(element.key).unwrap();
        assert_eq!(validate(&alone), Ok(()));
        assert_eq!(alone[4..alone.len() - 1], bytes[element.range()]);
    }
    let value = |key: &str| elements.iter().find(|e| e.key == key.as_bytes()).unwrap().value;
    assert_eq!(value("double").as_f64(), Some(1.5));
    assert_eq!(value("string").as_str_bytes(), Some(&b"text"[..]));
    assert_eq!(value("symbol").as_str_bytes(), Some(&b"s"[..]));
    assert_eq!(Elements::new(value("document").as_document_bytes().unwrap()).unwrap().count(), 1);
    assert_eq!(Elements::new(value("array").as_array_bytes().unwrap()).unwrap().count(), 2);
    assert_eq!(value("binary").as_binary(), Some((0, &[1, 2][..])));
    assert_eq!(value("old").as_binary(), Some((2, &[1, 2][..])));
    assert_eq!(value("oid").as_object_id(), Some([7; 12]));
    assert_eq!(value("bool").as_bool(), Some(true));
    assert_eq!(value("date").as_date_ms(), Some(-5));
    assert!(value("null").is_null());
    assert_eq!(value("regex").as_regex(), Some((&b"a+"[..], &b"i"[..])));
    assert_eq!(value("code").as_code_bytes(), Some(&b"f()"[..]));
    let (code, scope) = value("scope").as_code_with_scope().unwrap();
    assert_eq!((code, Elements::new(scope).unwrap().count()), (&b"g()"[..], 1));
    assert_eq!(
        (value("int").as_i32(), value("int").as_i64(), value("int").as_integer()),
        (Some(5), None, Some(5))
    );
    assert_eq!(value("timestamp").as_timestamp(), Some((2 << 32) | 3));
    assert_eq!(value("long").as_integer(), Some(6));
    assert_eq!(
        value("decimal").as_decimal(),
        Some(Decimal::Finite { negative: false, coefficient: 150, exponent: -2 })
    );
}

#[test]
fn refuses_broken_frames() {
    let good = bytes(&doc! { "a": "text", "b": true });
    let length = i32::try_from(good.len()).unwrap();
    assert_eq!(Elements::new(&good[..good.len() - 1]).unwrap_err(), RawError::Length(length));
    assert_eq!(Elements::new(&[]).unwrap_err(), RawError::Truncated);
    assert_eq!(Elements::new(&[4, 0, 0, 0]).unwrap_err(), RawError::Length(4));
    assert_eq!(Elements::new(&[5, 0, 0, 0, 1]).unwrap_err(), RawError::Terminator);
    let broken = |at: usize, byte: u8| {
        let mut copy = good.clone();
        copy[at] = byte;
        validate(&copy)
    };
    assert_eq!(broken(4, 0x14), Err(RawError::UnknownTag(0x14)));
    assert_eq!(broken(7, 0), Err(RawError::Length(0)));
    assert_eq!(broken(7, 4), Err(RawError::Terminator));
    assert_eq!(broken(7, 200), Err(RawError::Truncated));
    assert_eq!(broken(11, 0xFF), Err(RawError::InvalidUtf8));
    assert_eq!(broken(good.len() - 2, 2), Err(RawError::Boolean(2)));
    // A zero tag before the end closes the document too early.
    assert_eq!(broken(4, 0), Err(RawError::UnknownTag(0)));
}

#[test]
fn places_are_of_the_bytes_around_a_document() {
    let document = bytes(&doc! { "a": "text", "_id": 5, "b": { "_id": 6 } });
    let around = [b"before", &document[..], b"behind"].concat();
    let range = 6..6 + document.len();
    let id = Elements::within(&around, range.clone()).unwrap().find_key(b"_id").unwrap();
    assert_eq!(&around[id.range()], b"\x10_id\0\x05\0\0\0");
    assert_eq!(&around[id.value_range()], b"\x05\0\0\0");
    let inner = Elements::within(&around, range).unwrap().find_key(b"b").unwrap();
    let id = Elements::within(&around, inner.value_range()).unwrap().find_key(b"_id").unwrap();
    assert_eq!(&around[id.value_range()], b"\x06\0\0\0");
    assert_eq!(Elements::within(&around, 6..around.len() + 1).unwrap_err(), RawError::Truncated);
    assert!(Elements::new(&document).unwrap().find_key(b"c").is_none());
}

#[test]
fn lengths_are_enough_where_values_are_checked_by_others() {
    let good = bytes(&doc! { "a": "text", "b": true, "_id": 5 });
    let mut broken = good.clone();
    let at = good.iter().position(|&byte| byte == b'b').unwrap() + 2;
    broken[at] = 2;
    broken[at - 4] = b'!';
    assert!(Elements::new(&broken).unwrap().find_key(b"_id").is_none());
    let found: Vec<_> =
        Elements::new(&broken).unwrap().lengths_only().map(|element| element.unwrap().value).collect();
    assert_eq!((found[0].as_str_bytes(), found[1].as_bool(), found[2].as_i32()), (None, Some(true), Some(5)));
    broken[7] = 200;
    assert_eq!(Elements::new(&broken).unwrap().lengths_only().next(), Some(Err(RawError::Truncated)));
}

#[test]
fn frames_are_measured() {
    assert_eq!(document_len(&[5, 0, 0, 0, 0, 1]), Ok(5));
    assert_eq!(document_len(&[5, 0, 0, 0]), Err(RawError::Truncated));
    assert_eq!(document_len(&[4, 0, 0, 0, 0]), Err(RawError::Length(4)));
    assert_eq!(document_len(&[255; 5]), Err(RawError::Length(-1)));
    assert_eq!(document_len(&[5, 0, 0, 0, 1]), Err(RawError::Terminator));
}

#[test]
fn depth_is_bounded() {
    let nested = |levels: usize| (1..levels).fold(doc! {}, |inner, _| doc! { "a": inner });
    assert_eq!(validate(&bytes(&nested(DEPTH_MAX))), Ok(()));
    assert_eq!(validate(&bytes(&nested(DEPTH_MAX + 1))), Err(RawError::TooDeep));
}

proptest! {
    #[test]
    fn never_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), frame in any::<bool>()) {
        if frame && bytes.len() >= 5 {
            let length = bytes.len();
            bytes[..4].copy_from_slice(&i32::try_from(length).unwrap().to_le_bytes());
            bytes[length - 1] = 0;
            bytes[4] %= 0x14;
        }
        let _ = validate(&bytes);
    }

    #[test]
    fn names_end_at_the_first_zero_byte(bytes in proptest::collection::vec(0_u8..4, 0..20)) {
        prop_assert_eq!(cstring_len(&bytes), bytes.iter().position(|&byte| byte == 0));
    }

    #[test]
    fn never_panics_on_a_broken_document(at in 4_usize..60, byte in any::<u8>()) {
        let mut copy = bytes(&doc! {
            "s": "text", "d": { "a": [1, "x"] }, "c": Bson::JavaScriptCodeWithScope(
                bson::JavaScriptCodeWithScope { code: "g".into(), scope: doc! { "x": 1 } }), "b": true });
        let index = at % copy.len();
        copy[index] = byte;
        let _ = validate(&copy);
        let Ok(elements) = Elements::new(&copy) else { return Ok(()) };
        for element in elements.lengths_only().flatten() {
            prop_assert!(element.range().end < copy.len());
            prop_assert_eq!(&copy[element.value_range()], element.value.bytes);
        }
    }

    #[test]
    fn decimal_agrees_with_bson(negative in any::<bool>(), coefficient in 0..10_u128.pow(34), exponent in -6176..=6111_i32) {
        let decimal = Decimal::Finite { negative, coefficient, exponent };
        let raw = decimal.to_bytes().unwrap();
        prop_assert_eq!(Decimal::from_bytes(raw), decimal);
        let parsed: Decimal128 = format!("{}{coefficient}E{exponent}", if negative { "-" } else { "" }).parse().unwrap();
        prop_assert_eq!(parsed.bytes(), raw);
    }

    #[test]
    fn scaled_decimal(value in any::<i64>(), places in 0..6_i32) {
        let decimal = Decimal::Finite { negative: value < 0, coefficient: value.unsigned_abs().into(), exponent: -places };
        prop_assert_eq!(decimal.to_scaled(6), Some(i128::from(value) * 10_i128.pow(u32::try_from(6 - places).unwrap())));
    }
}
