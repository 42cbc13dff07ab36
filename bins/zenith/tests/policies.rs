//! Published data and the BSON conformance vectors in tables of every shape, under every policy for fields and values that come
//! later.

use bson::{Document, RawDocumentBuf};
use futures_util::{StreamExt, stream};
use zenith_testkit::Published;

use crate::harness::Bench;
use crate::home::Home;

/// Documents of one data set, each with a number in the place of its `_id`.
fn numbered(documents: impl IntoIterator<Item = Document>) -> Vec<RawDocumentBuf> {
    let documents = documents.into_iter().zip(0_i32..).map(|(document, id)| {
        let mut numbered = bson::doc! { "_id": id };
        numbered.extend(document.into_iter().filter(|(key, _)| key != "_id"));
        RawDocumentBuf::try_from(&numbered).unwrap()
    });
    documents.collect()
}

/// The valid vectors, where they are present.
fn corpus() -> Vec<RawDocumentBuf> {
    let mut documents = Vec::new();
    for (_, file) in zenith_testkit::bson_corpus().unwrap() {
        for case in file["valid"].as_array().into_iter().flatten() {
            let hex = case["canonical_bson"].as_str().unwrap();
            let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
            let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
            documents.extend(Document::from_reader(bytes.as_slice()));
        }
    }
    // Neighbours are of one type: half of each is there at first.
    let (even, odd): (Vec<_>, Vec<_>) = documents.into_iter().enumerate().partition(|(at, _)| at % 2 == 0);
    numbered(even.into_iter().chain(odd).map(|(_, document)| document))
}

const SHAPES: [&str; 3] = ["columns", "document", "flat"];
const ON_NEW_FIELD: [&str; 4] = ["add", "extra", "ignore", "fail"];
const ON_TYPE_CONFLICT: [&str; 3] = ["extra", "widen", "fail"];

/// Names of pipelines, and their settings.
fn pipelines() -> Vec<(String, String)> {
    let mut pipelines = Vec::new();
    for shape in SHAPES {
        for new in ON_NEW_FIELD {
            for conflict in ON_TYPE_CONFLICT {
                let name = format!("{shape}_{new}_{conflict}");
                // Of a whole document no column comes up later, and none becomes wider.
                if shape == "document"
                    && (new, conflict) != ("add", "extra")
                    && (new, conflict) != ("fail", "fail")
                {
                    continue;
                }
                let settings = format!(
                    "collection = \"items\"\ntable = \"{name}\"\nshape = \"{shape}\"\non_new_field = \"{new}\"\n\
                     on_type_conflict = \"{conflict}\"\nsample = 100\nflat_separator = \"__\"\n"
                );
                pipelines.push((name, settings));
            }
        }
    }
    pipelines
}

/// Those that copy the collection each time anew, where values of other types than those of the sample have no policy.
fn copies() -> Vec<(String, String)> {
    let copies = SHAPES.into_iter().flat_map(|shape| {
        ON_NEW_FIELD.map(|new| {
            let name = format!("copy_{shape}_{new}");
            let settings = format!(
                "collection = \"items\"\ntable = \"{name}\"\nmode = \"full\"\nshape = \"{shape}\"\n\
                 on_new_field = \"{new}\"\nsample = 100\nflat_separator = \"__\"\n"
            );
            (name, settings)
        })
    });
    copies.collect()
}

/// The first half is there when the tables are made, the second half comes as changes.
async fn every_table_shows(data: &str, documents: Vec<RawDocumentBuf>, protocol: &str) {
    for pipelines in [copies(), pipelines()] {
        tables_show(data, documents.clone(), protocol, pipelines).await;
    }
}

async fn tables_show(
    data: &str,
    documents: Vec<RawDocumentBuf>,
    protocol: &str,
    pipelines: Vec<(String, String)>,
) {
    let bench = Bench::new(&format!("policies_{data}")).await;
    let mut home = Home::between(&bench);
    if protocol == "native" {
        home.set("CLICKHOUSE", &bench.to_natively().await);
    }
    let named: Vec<(&str, &str)> =
        pipelines.iter().map(|(name, settings)| (name.as_str(), settings.as_str())).collect();
    home.configure(&named);
    home.apply().await;
    let all = documents.len();
    let mut documents = documents.into_iter();
    bench.fill("items", documents.by_ref().take(all / 2)).await;
    home.run(&["run", "--once", "--quiet"]).await;
    bench.fill("items", documents).await;
    let ended = home.run(&["run", "--once", "--quiet"]).await;
    let verifying = pipelines.iter().map(async |(name, _)| {
        let verified = home.run(&["verify", name]).await;
        if verified.code == Some(0) {
            let rows = if name.starts_with("copy") { name.clone() } else { format!("{name}_current") };
            let shown =
                bench.ask(&format!("SELECT count(), uniqExact(_id), min(_id), max(_id) FROM {rows}")).await;
            assert_eq!(shown, format!("{all}\t{all}\t0\t{}", all - 1), "{data} {name}");
            return 0;
        }
        // What is to stop does so, and says at which field.
        let status = home.json(&["status", name]).await.to_string();
        let is_told = ["on_new_field", "on_type_conflict"].iter().any(|policy| status.contains(policy));
        assert!(name.contains("fail") && is_told, "{data} {name}: {verified:?}\n{status}\n{ended:?}");
        1
    });
    let stopped: usize =
        stream::iter(verifying).buffer_unordered(4).collect::<Vec<usize>>().await.into_iter().sum();
    let fails = pipelines.iter().filter(|(name, _)| name.contains("fail")).count();
    assert!(stopped <= fails, "{data}: {stopped}");
    eprintln!("{data}: {stopped} of {fails} pipelines stopped, as they were to");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn published_data_is_shown_by_tables_of_every_shape_and_policy() {
    for data in Published::ALL {
        let documents = tokio::task::spawn_blocking(move || data.documents()).await.unwrap().unwrap();
        // Of 200,000 flights every fiftieth.
        let (each, protocol) = match data {
            Published::Flights => (50, "native"),
            Published::Movies => (1, "native"),
            Published::Earthquakes | Published::Countries => (1, "http"),
        };
        let documents = documents.into_iter().step_by(each);
        every_table_shows(data.name(), numbered(documents), protocol).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_conformance_vectors_are_shown_by_tables_of_every_shape_and_policy() {
    let documents = corpus();
    if !documents.is_empty() {
        assert!(documents.len() > 300, "{} vectors", documents.len());
        every_table_shows("corpus", documents, "http").await;
    }
}
