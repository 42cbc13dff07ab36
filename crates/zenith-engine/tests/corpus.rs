//! The BSON conformance vectors, inserted byte for byte and copied, where they are present.

use bson::{Document, RawDocumentBuf};
use serde_json::Value;
use zenith_engine::arrow::{Decoder, DecoderOptions, Field, Kind, Schema};
use zenith_engine::{Pool, ReloadOptions, TableOptions};

use crate::harness::Bench;

fn corpus() -> Vec<(String, Value)> {
    let files = zenith_testkit::bson_corpus().unwrap();
    files.into_iter().map(|(name, file)| (name.replace('-', "_"), file)).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect()
}

/// The document with `_id` in front, or in place of its own: the vectors were not made for a collection.
fn numbered(document: &[u8], id: i32) -> RawDocumentBuf {
    let mut out = vec![0; 4];
    out.extend_from_slice(b"\x10_id\0");
    out.extend_from_slice(&id.to_le_bytes());
    for element in zenith_bson::Elements::new(document).unwrap() {
        let element = element.unwrap();
        if element.key == b"_id" {
            continue;
        }
        out.push(element.value.tag);
        out.extend_from_slice(element.key);
        out.push(0);
        out.extend_from_slice(element.value.bytes);
    }
    out.push(0);
    let size = i32::try_from(out.len()).unwrap();
    out[..4].copy_from_slice(&size.to_le_bytes());
    RawDocumentBuf::from_bytes(out).unwrap()
}

fn cases<'a>(file: &'a Value, kind: &str) -> Vec<&'a Value> {
    file[kind].as_array().map(|cases| cases.iter().collect()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn valid_vectors_are_rebuilt() {
    let bench = Bench::new("corpus").await;
    let mut vectors = 0;
    for (name, file) in corpus() {
        let mut documents = Vec::new();
        let mut expected = Vec::new();
        for case in cases(&file, "valid") {
            let id = i32::try_from(documents.len()).unwrap();
            documents.push(numbered(&bytes(case["canonical_bson"].as_str().unwrap()), id));
            expected.push((id, case));
        }
        if documents.is_empty() {
            continue; // Only texts that cannot be parsed: nothing that could be stored.
        }
        vectors += documents.len();
        bench.fill(&name, documents).await;
        let (plan, summary) = bench.round_trip(&name, ReloadOptions::default()).await;
        assert_eq!(summary.dead_letters, 0, "{name}");
        // Exact text for decimals too: what the vectors say is the canonical form.
        let options = ReloadOptions {
            table: TableOptions {
                decimal: zenith_engine::DecimalAs::Text,
                keep_nulls: true,
                ..TableOptions::default()
            },
            replace: true,
            ..ReloadOptions::default()
        };
        let (exact_plan, _) = bench.round_trip(&name, options).await;
        assert_eq!(plan.sampled, exact_plan.sampled);
        for (id, document) in bench.rebuilt(&name, &exact_plan).await {
            let number: i32 = id.trim_start_matches("number ").parse().unwrap();
            let case = expected[usize::try_from(number).unwrap()].1;
            matches_canonical(&name, case, document);
        }
    }
    assert!(vectors == 0 || vectors > 300, "only {vectors} vectors");
    bench.remove().await;
}

/// The rebuilt document, as Extended JSON, says what the vector's canonical Extended JSON says.
fn matches_canonical(name: &str, case: &Value, mut rebuilt: Document) {
    rebuilt.remove("_id");
    // A vector or two has the key `$regex`, which nobody can tell from the old wrapper of that name: there the
    // bytes say what is wanted.
    let canonical = case["canonical_extjson"].as_str().unwrap();
    let mut wanted = zenith_engine::arrow::extended_json::parse_document(canonical).unwrap_or_else(|error| {
        assert!(canonical.contains("\"$regex\""), "{name}: {canonical}: {error:?}");
        let bytes = bytes(case["canonical_bson"].as_str().unwrap());
        Document::try_from(RawDocumentBuf::from_bytes(bytes).unwrap()).unwrap()
    });
    wanted.remove("_id");
    if let Err(difference) = zenith_engine::arrow::equal(&wanted, &rebuilt, true) {
        panic!("{name}: {}: {difference:?}\nwanted  {wanted}\nrebuilt {rebuilt}", case["description"]);
    }
}

/// What is not BSON is reported, and neither panics nor disturbs its neighbours.
#[test]
fn broken_vectors_become_bad_documents() {
    let fields = ["d", "a", "x", "i", "b", "t", "$regex", "utf8"].map(|name| Field::new(name, Kind::String));
    let schema = Schema::new(fields.into());
    let pool = Pool::new(16 << 20).unwrap();
    for (name, file) in corpus() {
        for case in cases(&file, "decodeErrors") {
            let broken = bytes(case["bson"].as_str().unwrap());
            let good = bson::rawdoc! { "a": "before" };
            let mut input = good.as_bytes().to_vec();
            input.extend_from_slice(&broken);
            let middle = good.as_bytes().len()..input.len();
            input.extend_from_slice(good.as_bytes());
            let last = middle.end..input.len();
            let options = DecoderOptions { rows_max: 100, bytes_max: 1 << 20 };
            let mut decoder = Decoder::new(&schema, &pool, options);
            let mut bad = Vec::new();
            let mut ranges = [0..good.as_bytes().len(), middle.clone(), last].into_iter();
            decoder.append(&input, &mut ranges, &mut |document| bad.push(document.range)).unwrap();
            let batch = decoder.finish().unwrap().unwrap();
            assert_eq!((bad, batch.num_rows()), (vec![middle], 2), "{name}: {}", case["description"]);
        }
    }
}

/// The same vectors through both servers: what MongoDB takes is copied or kept as a dead letter, and counted.
#[tokio::test(flavor = "multi_thread")]
async fn broken_vectors_that_mongodb_takes_become_rows_or_dead_letters() {
    let bench = Bench::new("corpus_broken").await;
    let collection = bench.collection("broken");
    let (mut offered, mut taken) = (0, 0);
    for (_, file) in corpus() {
        for case in cases(&file, "decodeErrors") {
            offered += 1;
            // Most are refused here or by the server: their very framing is broken.
            let Ok(document) = RawDocumentBuf::from_bytes(bytes(case["bson"].as_str().unwrap())) else {
                continue;
            };
            if collection.insert_one(document).await.is_ok() {
                taken += 1;
            }
        }
    }
    assert!(offered == 0 || taken > 0, "MongoDB took none of {offered} broken documents");
    if taken > 0 {
        bench.fill("broken", [bson::rawdoc! { "_id": 1, "a": "good" }]).await;
        let (_, summary) = bench.copy("broken", ReloadOptions::default()).await;
        assert_eq!(summary.rows + summary.dead_letters, taken + 1, "of {offered} MongoDB took {taken}");
        assert!(summary.rows >= 1);
    }
    bench.remove().await;
}
