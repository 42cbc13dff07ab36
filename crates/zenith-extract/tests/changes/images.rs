//! Images of documents are asked for where they are kept, and only there: looking for each costs the server.

use std::time::Duration;

use bson::{Document, doc};
use zenith_extract::change_test_suite::ChangeWriter;
use zenith_extract::{ChangeReader, ChangeSource, MongoSource, Namespace, StartAt, WatchOptions};

use super::writer::Writer;
use super::{BOTH, numbered, watching};
use crate::servers;

/// The `$changeStream` stage of a stream that concerns the collection.
///
/// Asked again until the server names it: between two requests a cursor is neither idle nor part of an operation.
async fn stage(writer: &Writer, namespace: &Namespace) -> Document {
    let pipeline = vec![
        doc! { "$currentOp": { "idleCursors": true, "allUsers": true } },
        doc! { "$match": { "cursor.originatingCommand.pipeline.0.$changeStream": { "$exists": true } } },
    ];
    let command = doc! { "aggregate": 1, "pipeline": pipeline, "cursor": {} };
    let wanted = format!("{:?}", namespace.collection);
    for _ in 0..1_000 {
        let reply = writer.client.database("admin").run_command(command.clone()).await.unwrap();
        let cursors = reply.get_document("cursor").unwrap().get_array("firstBatch").unwrap();
        let mut pipelines = cursors.iter().map(|cursor| {
            let cursor = cursor.as_document().unwrap().get_document("cursor").unwrap();
            cursor.get_document("originatingCommand").unwrap().get_array("pipeline").unwrap()
        });
        if let Some(stages) = pipelines.find(|stages| format!("{stages:?}").contains(&wanted)) {
            return stages[0].as_document().unwrap().get_document("$changeStream").unwrap().clone();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the server names no change stream of {namespace}");
}

#[tokio::test]
async fn they_are_asked_for_only_where_they_are_kept() {
    let uri = servers::uri().await;
    for transport in BOTH {
        let source = MongoSource::connect(&uri).await.unwrap().with_transport(transport);
        for (kept, wanted) in [(false, false), (false, true), (true, false), (true, true)] {
            let namespace = servers::fill(&uri, numbered(0..1)).await;
            let writer = Writer { client: servers::client(&uri).await };
            if kept {
                writer.keep_images(&namespace).await;
            }
            let options = WatchOptions { images: wanted, ..watching(&namespace, StartAt::Now) };
            let mut reader = source.watch(options).await.unwrap();
            reader.next().await.unwrap();
            let asked = stage(&writer, &namespace).await.contains_key("fullDocument");
            assert_eq!(asked, kept && wanted, "kept {kept}, wanted {wanted}, {transport:?}");
        }
    }
}
