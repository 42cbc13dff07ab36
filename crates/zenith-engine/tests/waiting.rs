//! A target that is away while something is written is waited for, whatever that is. In memory, with time that passes
//! by itself.

use std::sync::Arc;
use std::time::Duration;

use bson::{RawDocumentBuf, rawdoc};
use zenith_engine::extract::MemorySource;
use zenith_engine::state::{MemoryStore, StateStore as _};
use zenith_engine::transport::sink::memory::Fault;
use zenith_engine::{MemorySink, Namespace, PipelineSettings, Pool, Replicator, SyncPipeline, Until};

const LETTERS: &str = "zenith_dead_letters";

/// A document with a string that is not UTF-8.
fn damaged(id: i32) -> RawDocumentBuf {
    let mut bytes = rawdoc! { "_id": id, "text": "ab" }.into_bytes();
    let at = bytes.windows(2).position(|two| two == b"ab").unwrap();
    bytes[at] = 0xFF;
    RawDocumentBuf::from_bytes(bytes).unwrap()
}

#[tokio::test(start_paused = true)]
async fn letters_wait_for_their_target_as_rows_do() {
    let namespace = Namespace::new("shop", "orders");
    let documents = (0..10).map(|id| rawdoc! { "_id": id, "text": "good" }).collect();
    let source = MemorySource::new().with_collection(namespace.clone(), documents);
    let sink = MemorySink::new();
    let state = Arc::new(MemoryStore::new());
    let mut replicator = Replicator::new(source.clone(), Arc::clone(&state), Pool::new(32 << 20).unwrap());
    replicator
        .add(SyncPipeline {
            name: "orders".to_owned(),
            namespace: namespace.clone(),
            table: "orders".to_owned(),
            sink: Arc::new(sink.clone()),
            settings: PipelineSettings::default(),
        })
        .unwrap();
    let replicator = Arc::new(replicator);
    let stop = replicator.stop_handle();
    let running = tokio::spawn({
        let replicator = Arc::clone(&replicator);
        async move { replicator.run(Until::Stopped).await.unwrap() }
    });
    let rows = |table: &str| sink.batches(table).iter().map(|batch| batch.num_rows()).sum::<usize>();
    while rows("orders") < 10 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // More failures in a row than one insert is tried for.
    sink.fail_next((0..12).map(|_| Fault::Before));
    source.push_insert(&namespace, damaged(100));
    for _ in 0..6_000 {
        if rows(LETTERS) == 1 || running.is_finished() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(rows(LETTERS), 1);
    stop.stop();
    let outcomes = running.await.unwrap();
    assert!(outcomes.iter().all(|outcome| outcome.error.is_none()), "{outcomes:?}");
    assert!(state.open_intents("orders").await.unwrap().is_empty());
}
