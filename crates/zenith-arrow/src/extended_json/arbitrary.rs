//! Documents of every shape, for the property tests of this crate.

use bson::{Bson, Document, doc};
use proptest::prelude::*;

/// Keys that meet each other often, ordinary and awkward ones.
pub(crate) fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-d]",
        2 => "[a-z]{1,8}",
        1 => prop::sample::select(vec![
            "", "a.b", "$oid", "$literal", "$duplicates", "$missing", "$date", "$set", "$ref", "$id", "$scope",
            "$code", "0", "12", "é", "\"", "\\", "\u{1}", "_zenith_extra", "_zenith_x",
        ]).prop_map(str::to_owned),
        1 => "[^\u{0}]{0,6}",
    ]
}

fn decimal() -> impl Strategy<Value = Bson> {
    let finite = (any::<bool>(), 0..10_u128.pow(34), -6176..=6111_i32);
    let plain = (any::<bool>(), 0..1_000_000_u128, -8..=8_i32);
    prop_oneof![
        finite.prop_map(|(negative, coefficient, exponent)| zenith_bson::Decimal::Finite {
            negative,
            coefficient,
            exponent
        }),
        plain.prop_map(|(negative, coefficient, exponent)| zenith_bson::Decimal::Finite {
            negative,
            coefficient,
            exponent
        }),
        any::<bool>().prop_map(|negative| zenith_bson::Decimal::Infinity { negative }),
        Just(zenith_bson::Decimal::NaN),
    ]
    .prop_map(|decimal| Bson::Decimal128(bson::Decimal128::from_bytes(decimal.to_bytes().unwrap())))
}

/// A value that holds no other.
pub(crate) fn scalar() -> impl Strategy<Value = Bson> {
    let text = "[^\u{0}]{0,6}";
    prop_oneof![
        any::<i32>().prop_map(Bson::Int32),
        any::<i64>().prop_map(Bson::Int64),
        (-9..9_i64).prop_map(Bson::Int64),
        any::<f64>().prop_map(Bson::Double),
        prop::sample::select(vec![0.0, -0.0, 1.0, 0.5, 1e16, 1e22, 2_f64.powi(60), f64::NAN, f64::INFINITY])
            .prop_map(Bson::Double),
        any::<bool>().prop_map(Bson::Boolean),
        any::<String>().prop_map(Bson::String),
        prop::sample::select(vec![
            "true",
            "null",
            "{}",
            "{\"$numberInt\":\"1\"}",
            "\"a\"",
            "2020-01-01",
            "1",
            "0123456789abcdef01234567"
        ])
        .prop_map(|text| Bson::String(text.to_owned())),
        any::<[u8; 12]>().prop_map(|id| Bson::ObjectId(bson::oid::ObjectId::from_bytes(id))),
        any::<i64>().prop_map(|date| Bson::DateTime(bson::DateTime::from_millis(date))),
        (0..2_000_000_000_000_i64).prop_map(|date| Bson::DateTime(bson::DateTime::from_millis(date))),
        (any::<u32>(), any::<u32>())
            .prop_map(|(time, increment)| Bson::Timestamp(bson::Timestamp { time, increment })),
        (any::<u8>(), prop::collection::vec(any::<u8>(), 0..20))
            .prop_map(|(subtype, bytes)| Bson::Binary(bson::Binary { subtype: subtype.into(), bytes })),
        (3..5_u8, prop::collection::vec(any::<u8>(), 16))
            .prop_map(|(subtype, bytes)| Bson::Binary(bson::Binary { subtype: subtype.into(), bytes })),
        decimal(),
        Just(Bson::Null),
        Just(Bson::Undefined),
        Just(Bson::MinKey),
        Just(Bson::MaxKey),
        (text, text).prop_map(|(pattern, options)| Bson::RegularExpression(bson::Regex {
            pattern: pattern.try_into().unwrap(),
            options: options.try_into().unwrap()
        })),
        any::<String>().prop_map(Bson::JavaScriptCode),
        any::<String>().prop_map(Bson::Symbol),
        any::<[u8; 12]>().prop_map(|id| {
            let mut bytes = vec![26, 0, 0, 0, 0x0C, b'p', 0, 2, 0, 0, 0, b'n', 0];
            bytes.extend_from_slice(&id);
            bytes.push(0);
            Document::from_reader(bytes.as_slice()).unwrap().remove("p").unwrap()
        }),
    ]
}

/// Any value, up to a few levels deep.
pub(crate) fn value() -> impl Strategy<Value = Bson> {
    scalar().prop_recursive(4, 40, 6, |inner| {
        let document = prop::collection::vec((key(), inner.clone()), 0..6)
            .prop_map(|pairs| pairs.into_iter().collect::<Document>())
            .boxed();
        prop_oneof![
            3 => document.clone().prop_map(Bson::Document),
            2 => prop::collection::vec(inner, 0..5).prop_map(Bson::Array),
            1 => (any::<String>(), document).prop_map(|(code, scope)| Bson::JavaScriptCodeWithScope(
                bson::JavaScriptCodeWithScope { code, scope })),
        ]
    })
}

/// Any document.
pub(crate) fn document() -> impl Strategy<Value = Document> {
    prop::collection::vec((key(), value()), 0..8).prop_map(|pairs| pairs.into_iter().collect())
}

/// The bytes of a document with these pairs, repeated keys and all.
pub(crate) fn raw_document(pairs: &[(&str, Bson)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (key, value) in pairs {
        let one = doc! { *key: value.clone() }.to_vec().unwrap();
        body.extend_from_slice(&one[4..one.len() - 1]);
    }
    let mut bytes = i32::try_from(body.len() + 5).unwrap().to_le_bytes().to_vec();
    bytes.extend_from_slice(&body);
    bytes.push(0);
    bytes
}

/// `document` with some of its values, at any depth, taken out, set to null or replaced, as the dice say.
pub(crate) fn varied(
    document: &Document,
    dice: &mut impl Iterator<Item = u8>,
    replacement: &Document,
) -> Document {
    let mut out = Document::new();
    for (key, value) in document {
        match dice.next().unwrap_or_default() {
            0..20 => {}
            20..30 => {
                out.insert(key, Bson::Null);
            }
            30..60 => {
                out.insert(key, replacement.values().next().cloned().unwrap_or(Bson::Null));
            }
            _ => {
                out.insert(key, varied_value(value, dice, replacement));
            }
        }
    }
    if dice.next().unwrap_or_default() > 240 {
        out.extend(replacement.clone());
    }
    out
}

fn varied_value(value: &Bson, dice: &mut impl Iterator<Item = u8>, replacement: &Document) -> Bson {
    match value {
        Bson::Document(document) => Bson::Document(varied(document, dice, replacement)),
        Bson::Array(items) => Bson::Array(
            items
                .iter()
                .filter_map(|item| match dice.next().unwrap_or_default() {
                    0..20 => None,
                    _ => Some(varied_value(item, dice, replacement)),
                })
                .collect(),
        ),
        scalar => scalar.clone(),
    }
}
