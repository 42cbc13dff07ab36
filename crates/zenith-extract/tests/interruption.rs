//! Connections that are cut and cursors that are taken away: what can continue continues exactly, the rest says so.

use std::time::Duration;

use bson::{Bson, Document, RawDocumentBuf, doc};
use futures_util::TryStreamExt;
use mongodb::Client;
use zenith_extract::{
    DocumentReader, ExtractError, MongoSource, Namespace, PartitionStrategy, ReadOptions, ReplyBudget,
    Source, Transport, test_suite,
};
use zenith_memory::Pool;

use crate::proxy::Proxy;
use crate::servers::{self, MIB};

const BOTH: [Transport; 2] = [Transport::Driver, Transport::Direct];

async fn behind_a_proxy(transport: Transport) -> (Proxy, MongoSource, Namespace, Vec<RawDocumentBuf>) {
    let uri = servers::uri().await;
    let documents = test_suite::documents(20_000);
    let namespace = servers::fill(&uri, documents.clone()).await;
    let proxy = Proxy::start(&uri).await;
    let source = MongoSource::connect(&proxy.uri()).await.unwrap().with_transport(transport);
    (proxy, source, namespace, documents)
}

#[tokio::test]
async fn a_range_goes_on_where_its_connection_was_cut() {
    for transport in BOTH {
        let (proxy, source, namespace, expected) = behind_a_proxy(transport).await;
        let partition = servers::whole(&source, &namespace).await;
        for limit in [700_000, 1_100_001] {
            proxy.cut_after(limit);
            let before = proxy.cuts();
            let found =
                servers::read(&source, &partition, 100_000).await.map_err(|(_, error)| error).unwrap();
            assert!(proxy.cuts() >= before + 3, "the proxy did not cut");
            assert!(found.documents == expected, "{transport:?}: {} documents", found.documents.len());
            assert_eq!(found.landed > 0, transport == Transport::Direct);
        }
    }
}

#[tokio::test]
async fn a_natural_scan_says_that_it_was_cut() {
    for transport in BOTH {
        let (proxy, source, namespace, _) = behind_a_proxy(transport).await;
        let natural = source.partitions(&namespace, 1, PartitionStrategy::Natural).await.unwrap().remove(0);
        proxy.cut_after(1_000_000);
        let (found, error) = servers::read(&source, &natural, 100_000).await.unwrap_err();
        let ExtractError::Interrupted { documents, .. } = &error else { panic!("{error}") };
        assert_eq!(usize::try_from(*documents).unwrap(), found.documents.len());
        assert!(error.is_transient() && !error.is_input());
        // Without the cuts the same partition is read from its beginning.
        proxy.cut_after(0);
        assert_eq!(servers::read(&source, &natural, 100_000).await.unwrap().documents.len(), 20_000);
    }
}

#[tokio::test]
async fn a_range_goes_on_after_its_cursor_was_killed() {
    for transport in BOTH {
        let uri = servers::uri().await;
        let expected = test_suite::documents(20_000);
        let namespace = servers::fill(&uri, expected.clone()).await;
        let source = MongoSource::connect(&uri).await.unwrap().with_transport(transport);
        let pool = Pool::new(4 * MIB).unwrap();
        let options = ReadOptions::new(ReplyBudget::new(pool)).with_batch_bytes(50_000);
        let partition = servers::whole(&source, &namespace).await;
        let mut reader = source.open(&partition, options).await.unwrap();
        let (mut found, mut killed) = (Vec::new(), 0);
        let client = servers::client(&uri).await;
        while let Some(batch) = reader.next().await.unwrap() {
            found.extend(batch.documents().map(|bytes| RawDocumentBuf::from_bytes(bytes.to_vec()).unwrap()));
            if killed < 3 {
                killed += kill_cursors(&client, &namespace).await;
            }
        }
        assert!(killed >= 3, "no cursor was there to kill");
        assert!(found == expected, "{transport:?}: {} documents", found.len());
    }
}

/// A reader that is dropped leaves no cursor behind.
#[tokio::test]
async fn an_abandoned_scan_closes_its_cursor() {
    for transport in BOTH {
        let uri = servers::uri().await;
        let namespace = servers::fill(&uri, test_suite::documents(20_000)).await;
        let source = MongoSource::connect(&uri).await.unwrap().with_transport(transport);
        let options =
            ReadOptions::new(ReplyBudget::new(Pool::new(4 * MIB).unwrap())).with_batch_bytes(50_000);
        let partition = servers::whole(&source, &namespace).await;
        let mut reader = source.open(&partition, options).await.unwrap();
        reader.next().await.unwrap().unwrap();
        drop(reader);
        let client = servers::client(&uri).await;
        for attempt in 0.. {
            if cursors(&client, &namespace).await.is_empty() {
                break;
            }
            assert!(attempt < 100, "{transport:?}: a cursor is still open");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Reading on as if a dropped collection had ended would be a loss nobody notices.
#[tokio::test]
async fn a_collection_dropped_on_the_way_is_an_error() {
    for transport in BOTH {
        let uri = servers::uri().await;
        let namespace = servers::fill(&uri, test_suite::documents(20_000)).await;
        let source = MongoSource::connect(&uri).await.unwrap().with_transport(transport);
        let options =
            ReadOptions::new(ReplyBudget::new(Pool::new(4 * MIB).unwrap())).with_batch_bytes(50_000);
        let partition = servers::whole(&source, &namespace).await;
        let mut reader = source.open(&partition, options).await.unwrap();
        reader.next().await.unwrap().unwrap();
        let client = servers::client(&uri).await;
        servers::collection(&client, &namespace).drop().await.unwrap();
        let error = loop {
            match reader.next().await {
                Ok(batch) => {
                    assert!(batch.is_some(), "{transport:?}: the scan ended as if nothing had happened")
                }
                Err(error) => break error,
            }
        };
        assert!(!error.is_transient(), "{error}");
    }
}

/// Nor does a collection made again under the same name carry on a scan of the one before.
#[tokio::test]
async fn a_collection_replaced_while_disconnected_is_an_error() {
    for transport in BOTH {
        let (proxy, source, namespace, _) = behind_a_proxy(transport).await;
        let partition = servers::whole(&source, &namespace).await;
        let options =
            ReadOptions::new(ReplyBudget::new(Pool::new(4 * MIB).unwrap())).with_batch_bytes(50_000);
        let mut reader = source.open(&partition, options).await.unwrap();
        reader.next().await.unwrap().unwrap();
        proxy.cut_after(1);
        let client = servers::client(&servers::uri().await).await;
        servers::collection(&client, &namespace).drop().await.unwrap();
        servers::create(&client, &namespace, doc! {}).await;
        let uncut = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(500)).await;
            proxy.cut_after(0);
        });
        let error = loop {
            match reader.next().await {
                Ok(batch) => {
                    assert!(batch.is_some(), "{transport:?}: the scan ended as if nothing had happened")
                }
                Err(error) => break error,
            }
        };
        assert!(!error.is_transient() && error.to_string().contains("dropped"), "{error}");
        uncut.await.unwrap();
    }
}

/// Open cursors on a collection, whether or not they work at the moment.
async fn cursors(client: &Client, namespace: &Namespace) -> Vec<i64> {
    let pipeline = [
        doc! { "$currentOp": { "idleCursors": true, "allUsers": true } },
        doc! { "$match": { "ns": namespace.to_string(), "cursor.cursorId": { "$exists": true } } },
    ];
    let found: Vec<Document> =
        client.database("admin").aggregate(pipeline).await.unwrap().try_collect().await.unwrap();
    found
        .iter()
        .filter_map(|op| op.get_document("cursor").ok()?.get("cursorId").and_then(Bson::as_i64))
        .collect()
}

async fn kill_cursors(client: &Client, namespace: &Namespace) -> usize {
    let found = cursors(client, namespace).await;
    if found.is_empty() {
        return 0;
    }
    let command = doc! { "killCursors": &namespace.collection, "cursors": found };
    let reply = client.database(&namespace.database).run_command(command).await.unwrap();
    reply.get_array("cursorsKilled").unwrap().len()
}
