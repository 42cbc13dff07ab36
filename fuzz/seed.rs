//! Writes the seed corpus of the target `decode`: `cargo run --example seed`, in this folder.

use std::error::Error;
use std::fs;
use std::path::Path;

use bson::oid::ObjectId;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, DateTime, Decimal128, Document, JavaScriptCodeWithScope, Regex, Timestamp, doc};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/decode");
    fs::create_dir_all(&folder)?;
    for (name, choices, documents) in values()?.into_iter().chain(shapes()) {
        let mut bytes = choices.to_vec();
        for document in documents {
            bytes.extend(document.to_vec()?);
        }
        fs::write(folder.join(name), bytes)?;
    }
    // Documents that no library writes: a key twice, text that is not UTF-8, names that are not but do not count, a
    // length that lies.
    let twice = b"\x18\0\0\0\x10_id\0\x01\0\0\0\x10a\0\x02\0\0\0\x0aa\0\0";
    let not_text = b"\x17\0\0\0\x10_id\0\x01\0\0\0\x02s\0\x02\0\0\0\xff\0\0";
    let idle = b"\x20\0\0\0\x10_id\0\x01\0\0\0\x0a\xff\0\x04l\0\x0c\0\0\0\x10\xff\0\x01\0\0\0\0\0";
    let liar = b"\x12\0\0\0\x03d\0\xff\0\0\0\x10a\0\x01\0\0\0";
    for (name, document) in
        [("twice", &twice[..]), ("not_text", not_text), ("idle_names", idle), ("liar", liar)]
    {
        fs::write(folder.join(name), [&[0x60, 0x08], document, document].concat())?;
    }
    Ok(())
}

type Seed = (&'static str, [u8; 2], Vec<Document>);

/// Values of all types.
fn values() -> Result<Vec<Seed>, Box<dyn Error>> {
    let binary = |subtype, bytes: &[u8]| Bson::Binary(Binary { subtype, bytes: bytes.to_vec() });
    let id = |byte| ObjectId::from_bytes([byte; 12]);
    let decimal = |text: &str| text.parse::<Decimal128>();
    Ok(vec![
        (
            "scalars",
            [0x60, 0x08],
            vec![
                doc! { "_id": id(1), "i": 1, "l": 2_i64, "d": 1.5, "s": "text", "b": true, "n": Bson::Null },
                doc! { "_id": id(2), "i": 3_i64, "l": 2, "d": -0.0, "s": "naïve", "b": false },
            ],
        ),
        (
            "rare",
            [0x04, 0x08],
            vec![
                doc! { "_id": 1, "m": Bson::MinKey, "x": Bson::MaxKey, "u": Bson::Undefined, "s": Bson::Symbol("s".into()) },
                doc! { "_id": 2, "c": Bson::JavaScriptCode("f()".into()), "r": Bson::RegularExpression(Regex {
                    pattern: "^a".try_into()?, options: "im".try_into()?,
                }) },
                doc! { "_id": 3, "w": JavaScriptCodeWithScope { code: "g()".into(), scope: doc! { "a": 1 } } },
            ],
        ),
        (
            "numbers",
            [0x01, 0x18],
            vec![
                doc! { "_id": 1_i64, "v": decimal("1.50")?, "w": i64::MAX },
                doc! { "_id": 2_i64, "v": decimal("-9.99E+40")?, "w": 0.5 },
                doc! { "_id": 3_i64, "v": decimal("NaN")?, "w": f64::INFINITY },
            ],
        ),
        (
            "binary",
            [0x00, 0x14],
            vec![
                doc! { "_id": "a", "u": binary(BinarySubtype::Uuid, &[7; 16]), "o": binary(BinarySubtype::UuidOld, &[8; 16]) },
                doc! { "_id": "b", "u": binary(BinarySubtype::Generic, b"x"), "o": binary(BinarySubtype::BinaryOld, b"yz") },
            ],
        ),
        (
            "times",
            [0x60, 0x10],
            vec![
                doc! { "_id": DateTime::from_millis(0), "t": Timestamp { time: 1, increment: 2 }, "at": DateTime::from_millis(-1) },
                doc! { "_id": DateTime::from_millis(1), "t": Bson::Null, "at": DateTime::from_millis(i64::MAX) },
            ],
        ),
    ])
}

/// Documents inside documents, keys of all kinds, many keys.
fn shapes() -> Vec<Seed> {
    vec![
        (
            "nested",
            [0x64, 0x0C],
            vec![
                doc! { "_id": 1, "d": { "a": 1, "e": { "b": "x", "l": [1, 2, 3] } }, "l": [{ "k": 1 }, { "k": 2, "m": true }] },
                doc! { "_id": 2, "d": { "e": {} }, "l": [] },
                doc! { "_id": 3, "d": [1], "l": { "k": 1 }, "ll": [[1], [], [2, "three"]] },
            ],
        ),
        (
            "mixed",
            [0x20, 0x3D],
            vec![
                doc! { "_id": 1, "v": 1, "a.b": 1, "$k": "x", "": 2 },
                doc! { "_id": "two", "v": "text", "a": { "b": 2 }, "_zenith_extra": 1 },
                doc! { "_id": { "k": 3 }, "v": [1, "x", Bson::Null], "$oid": "no" },
                doc! { "v": { "$oid": "000000000000000000000000" } },
            ],
        ),
        (
            "many_keys",
            [0xE0, 0x08],
            vec![(0..40).map(|n| (format!("k{n}"), Bson::Int32(n))).collect::<Document>()],
        ),
    ]
}
