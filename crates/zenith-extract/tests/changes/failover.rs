//! The primary dies: the stream continues at the next one, without a gap.

use bson::doc;
use zenith_extract::change_test_suite::read;
use zenith_extract::{ChangeSource, MongoSource, Namespace, ReplyBudget, StartAt};
use zenith_memory::Pool;
use zenith_testkit::ReplicaSet;

use super::{BOTH, assert_numbered, numbered, watching};
use crate::servers::{self, MIB};

#[tokio::test]
async fn a_stream_goes_on_at_the_next_primary() {
    let mut set = ReplicaSet::start(3).await.unwrap();
    let client = set.client().await.unwrap();
    let namespace = Namespace::new("shop", "orders");
    let command = doc! { "create": &namespace.collection };
    client.database(&namespace.database).run_command(command).await.unwrap();
    let source = MongoSource::connect(&set.uri()).await.unwrap();
    let mut readers = Vec::new();
    for transport in BOTH {
        let source = source.clone().with_transport(transport);
        readers.push((source.watch(watching(&namespace, StartAt::Now)).await.unwrap(), Vec::new()));
    }
    let concern = mongodb::options::WriteConcern::majority();
    let insert = async |ids| {
        let collection = servers::collection(&client, &namespace);
        collection.insert_many(numbered(ids)).write_concern(concern.clone()).await.unwrap();
    };
    let reply_budget = ReplyBudget::new(Pool::new(4 * MIB).unwrap());
    let ids = [bson::RawBson::Int32(3)];
    insert(0..300).await;
    for (reader, seen) in &mut readers {
        *seen = read(reader, 300).await;
    }
    source.lookup(&namespace, &ids, None, &reply_budget).await.unwrap();
    // Where the connection string sends reads to secondaries, changes are read there as well.
    let secondaries = MongoSource::connect(&format!("{}&readPreference=secondary", set.uri())).await.unwrap();
    for transport in BOTH {
        let source = secondaries.clone().with_transport(transport);
        let from = StartAt::Time(readers[0].1[0].time);
        let seen = read(&mut source.watch(watching(&namespace, from)).await.unwrap(), 300).await;
        assert_numbered(&seen, 0..300);
        let after = Some(source.now().await.unwrap());
        assert_eq!(source.lookup(&namespace, &ids, after, &reply_budget).await.unwrap()[0].len(), 1);
    }
    set.kill_primary().await.unwrap();
    // Asked of a server that has gone: it is looked for anew.
    let found = source.lookup(&namespace, &ids, Some(readers[0].1[299].time), &reply_budget).await.unwrap();
    assert_eq!(found[0].len(), 1);
    set.primary().await.unwrap();
    insert(300..400).await;
    for (reader, seen) in &mut readers {
        let missing = 400 - seen.len();
        seen.extend(read(reader, missing).await);
        assert_numbered(seen, 0..400);
    }
}
