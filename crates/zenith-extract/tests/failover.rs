//! The primary dies in the middle of a scan: the scan continues at the next one.

use bson::{RawDocumentBuf, doc};
use zenith_extract::{
    DocumentReader, ExtractError, MongoSource, Namespace, PartitionStrategy, ReadOptions, ReplyBudget,
    Source, Transport, test_suite,
};
use zenith_memory::Pool;
use zenith_testkit::ReplicaSet;

use crate::servers::{self, MIB};

#[tokio::test]
async fn a_range_goes_on_at_the_next_primary() {
    let mut set = ReplicaSet::start(3).await.unwrap();
    let client = set.client().await.unwrap();
    let namespace = Namespace::new("shop", "orders");
    let expected = test_suite::documents(20_000);
    // On all members, so that whichever is elected has them.
    let command = doc! { "create": &namespace.collection };
    client.database(&namespace.database).run_command(command).await.unwrap();
    let concern = mongodb::options::WriteConcern::nodes(3);
    servers::collection(&client, &namespace).insert_many(&expected).write_concern(concern).await.unwrap();

    let secondaries = MongoSource::connect(&format!("{}&readPreference=secondary", set.uri())).await.unwrap();
    let partition = servers::whole(&secondaries, &namespace).await;
    let found = servers::read(&secondaries, &partition, 100_000).await.unwrap();
    assert!(found.documents == expected && found.landed == found.batches);

    let mut readers = Vec::new();
    let source = MongoSource::connect(&set.uri()).await.unwrap();
    for transport in [Transport::Driver, Transport::Direct] {
        let source = source.clone().with_transport(transport);
        let options =
            ReadOptions::new(ReplyBudget::new(Pool::new(4 * MIB).unwrap())).with_batch_bytes(50_000);
        let mut reader = source.open(&partition, options).await.unwrap();
        let first = reader.next().await.unwrap().unwrap();
        readers.push((transport, reader, owned(&first)));
    }
    let parts = source.partitions(&namespace, 2, PartitionStrategy::Natural).await.unwrap();
    assert_eq!(parts.len(), 2);
    let options = ReadOptions::new(ReplyBudget::new(Pool::new(4 * MIB).unwrap())).with_batch_bytes(50_000);
    let mut records = source.open(&parts[0], options).await.unwrap();
    records.next().await.unwrap().unwrap();
    set.kill_primary().await.unwrap();
    for (transport, mut reader, mut found) in readers {
        while let Some(batch) = reader.next().await.unwrap() {
            found.extend(owned(&batch));
        }
        assert!(found == expected, "{transport:?}: {} documents", found.len());
    }
    // The next primary numbers its records for itself.
    let error = loop {
        match records.next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("records of another member were read"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, ExtractError::Interrupted { .. }) && error.is_transient(), "{error:?}");
}

fn owned(batch: &zenith_extract::DocumentBatch) -> Vec<RawDocumentBuf> {
    batch.documents().map(|bytes| RawDocumentBuf::from_bytes(bytes.to_vec()).unwrap()).collect()
}
