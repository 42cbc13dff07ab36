//! UUIDs by whoever wrote them, and strings that are not UTF-8.

use bson::spec::BinarySubtype;
use bson::{Binary, Bson, Document, RawDocumentBuf, Uuid, doc};
use zenith_engine::state::StateStore;
use zenith_engine::{PipelineSettings, TableOptions, UuidLegacy};

use super::{Shown, copied, followed, raw};
use crate::incremental::Follow;

/// The UUID, of subtype 3, as drivers of old wrote it.
fn legacy(text: &str, writer: UuidLegacy) -> Bson {
    let mut bytes = Uuid::parse_str(text).unwrap().bytes();
    match writer {
        UuidLegacy::Java => {
            bytes[..8].reverse();
            bytes[8..].reverse();
        }
        UuidLegacy::Csharp => {
            bytes[..4].reverse();
            bytes[4..6].reverse();
            bytes[6..8].reverse();
        }
        UuidLegacy::Python => {}
    }
    Bson::Binary(Binary { subtype: BinarySubtype::UuidOld, bytes: bytes.to_vec() })
}

fn modern(text: &str) -> Bson {
    Bson::Binary(Uuid::parse_str(text).unwrap().into())
}

fn text(n: i32) -> String {
    format!("00112233-4455-6677-8899-aabbccdd{n:04x}")
}

#[tokio::test(flavor = "multi_thread")]
async fn uuids_of_old_drivers_are_the_right_ones() {
    let by = |name: &str, uuid_legacy: UuidLegacy| {
        let document = |n: i32| {
            let uuid = legacy(&text(n), uuid_legacy);
            doc! { "_id": uuid.clone(), "n": n, "u": uuid.clone(), "in": [{ "u": uuid.clone() }], "list": [uuid] }
        };
        Shown::new(name, (0..150).map(document))
            .later((100..200).map(document))
            .settings(PipelineSettings {
                options: TableOptions { uuid_legacy, ..TableOptions::default() },
                ..PipelineSettings::default()
            })
            .says(
                "toTypeName(_id) = 'UUID' AND toTypeName(any(u)) = 'Nullable(UUID)'"
                    .replace("(_id)", "(any(_id))")
                    .as_str(),
                1,
            )
            .says("countIf(u = _id AND has(list, _id) AND in[1].u = _id)", 200)
            .says("anyIf(toString(_id), n = 16)", text(16))
            .says(&format!("anyIf(n, u = '{}')", text(120)), 120)
            .says("uniqExact(_id)", 200)
            .says("countIf(_zenith_extra != '')", 0)
    };
    let all = [by("Java", UuidLegacy::Java), by("C#", UuidLegacy::Csharp), by("Python", UuidLegacy::Python)];
    copied(&all).await;
    followed(&all).await;
}

/// In one field those of one subtype are in the column, and the others in text.
#[tokio::test(flavor = "multi_thread")]
async fn uuids_of_two_subtypes_are_all_shown() {
    let mixed = |name: &str, share: i32, uuid_legacy: UuidLegacy| {
        let document = |n: i32| {
            let new = n % 100 < share;
            doc! { "_id": n, "u": if new { modern(&text(n)) } else { legacy(&text(n), uuid_legacy) } }
        };
        Shown::new(name, (0..200).map(document))
            .settings(PipelineSettings {
                options: TableOptions { uuid_legacy, ..TableOptions::default() },
                ..PipelineSettings::default()
            })
            .says("countIf(_zenith_extra != '')", 0)
    };
    copied(&[
        mixed("mostly new", 70, UuidLegacy::Java)
            .says("count(u)", 140)
            .says("countIf(u_text IS NOT NULL)", 60)
            .says(&format!("anyIf(_id, u = '{}')", text(165)), 165),
        mixed("mostly old", 30, UuidLegacy::Java)
            .says("count(u)", 140)
            .says(&format!("anyIf(_id, u = '{}')", text(165)), 165)
            .says(&format!("anyIf(_id, u_text = '{}')", text(125)), 125),
        mixed("half", 50, UuidLegacy::Java)
            .says("count(u)", 200)
            .says(&format!("anyIf(_id, u = '{}')", text(125)), 125),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rare_uuid_of_another_subtype_is_named_as_such() {
    let settings = PipelineSettings {
        options: TableOptions { uuid_legacy: UuidLegacy::Java, ..TableOptions::default() },
        ..PipelineSettings::default()
    };
    let follow = Follow::new("subtypes", settings).await;
    let old = |n: i32| raw(&doc! { "_id": n, "u": legacy(&text(n), UuidLegacy::Java) });
    follow.bench.fill("items", (0..200).map(old)).await;
    follow.catch_up_well().await;
    follow.bench.fill("items", [raw(&doc! { "_id": 900, "u": modern(&text(9)) })]).await;
    follow.catch_up_well().await;
    let counted = follow.state.mismatches("items", None).await.unwrap();
    assert_eq!(counted.values["u"]["is binary(4)"], 1, "{counted:?}");
    let extra = follow.query("SELECT _id FROM items_current WHERE JSONHas(_zenith_extra, 'u')").await;
    assert_eq!(extra, "900");
    follow.assert_equal("items_current").await;
    follow.bench.remove().await;
}

/// The document with the `@` at the end of its name replaced by a byte that is a letter in Latin-1 and nothing in UTF-8.
fn latin(document: &Document) -> RawDocumentBuf {
    let mut bytes = raw(document).into_bytes();
    if let Some(at) = bytes.windows(3).position(|three| three[0] == b'f' && three[1..] == *b"@\0") {
        bytes[at + 1] = 0xE9;
    }
    RawDocumentBuf::from_bytes(bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn strings_that_are_not_utf8_leave_no_stale_row() {
    for native in [false, true] {
        let mut follow = Follow::new("latin", PipelineSettings::default()).await;
        follow.bench.native = native;
        let name = |n: i32| if n % 50 == 10 { "caf@" } else { "cafe" };
        let document = |n: i32| doc! { "_id": n, "name": name(n), "n": n };
        let documents = (0..150).map(|n| latin(&document(n)));
        follow.bench.fill("items", documents).await;
        follow.catch_up_well().await;
        let sql = "SELECT count(), sum(n), countIf(name = 'cafe') FROM items_current FORMAT CSV";
        assert_eq!(follow.query(sql).await, "147,10995,147");
        let letters = "SELECT arraySort(groupUniqArray(id)) FROM zenith_dead_letters";
        assert_eq!(follow.query("SELECT uniqExact(id) FROM zenith_dead_letters").await, "3");

        let collection = follow.bench.collection("items");
        let replace = async |n: i32, text: &str| {
            let document = latin(&doc! { "_id": n, "name": text, "n": 1_000 });
            collection.replace_one(doc! { "_id": n }, document).await.unwrap();
            follow.catch_up_well().await;
        };
        replace(7, "caf@").await;
        assert_eq!(follow.query(sql).await, "146,10988,146", "the row from before is gone");
        assert!(follow.query(letters).await.contains('7'));
        replace(7, "tea").await;
        replace(10, "tea").await;
        assert_eq!(follow.query(sql).await, "148,12988,146");
        let counted = follow.state.mismatches("items", None).await.unwrap();
        assert!(counted.documents.values().sum::<u64>() >= 4, "{counted:?}");
        follow.bench.remove().await;
    }
}
