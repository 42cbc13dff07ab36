//! Tables on all servers of a cluster. The server of these tests knows no cluster: a proxy takes `ON CLUSTER` out of the
//! statements on their way, and notes which had it.

use std::sync::{Arc, Mutex};

use bson::{Document, doc, rawdoc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{Bench, run};
use crate::home::Home;
use crate::tables::copy_to;

const CLUSTER: &[u8] = b" ON CLUSTER `all of them`";
/// In the name of an engine that this server does not have.
const SHARED: &[u8] = b"ENGINE = Shared";

/// Statements that changed something, as they came.
type Seen = Arc<Mutex<Vec<String>>>;

/// Writes blanks over each of `what`, so that lengths stay.
fn blank(bytes: &mut [u8], what: &[u8], kept: usize) {
    while let Some(at) = bytes.windows(what.len()).position(|window| window == what) {
        bytes[at + kept..at + what.len()].fill(b' ');
    }
}

fn note(bytes: &[u8], seen: &Seen) {
    let text = String::from_utf8_lossy(bytes);
    let body = text.split_once("\r\n\r\n").map_or(&*text, |(_, body)| body);
    let changes = ["CREATE ", "ALTER ", "DROP ", "EXCHANGE ", "RENAME ", "TRUNCATE ", "DELETE ", "OPTIMIZE "];
    if changes.iter().any(|verb| body.starts_with(verb)) {
        seen.lock().unwrap().push(body.to_owned());
    }
}

/// The address of a server that does not heed the cluster.
async fn proxy(to: String, seen: Seen) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (to, seen) = (to.clone(), Arc::clone(&seen));
            tokio::spawn(async move {
                let Ok(server) = TcpStream::connect(to).await else { return };
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
                let mut bytes = vec![0; 1 << 20];
                while let Ok(read @ 1..) = from_client.read(&mut bytes).await {
                    let bytes = &mut bytes[..read];
                    note(bytes, &seen);
                    blank(bytes, CLUSTER, 0);
                    blank(bytes, SHARED, b"ENGINE = ".len());
                    if to_server.write_all(bytes).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_about_tables_are_for_the_whole_cluster() {
    let bench = Bench::new("clustered").await;
    bench.fill("orders", (0..50).map(|n| rawdoc! { "_id": n, "n": n, "in": { "a": n } })).await;
    let url = bench.to();
    let (_, rest) = url.split_once("://").unwrap();
    let (host, database) = rest.split_once('/').unwrap();
    let seen = Seen::default();
    let to = format!("http://{}/{database}", proxy(host.to_owned(), Arc::clone(&seen)).await);
    let mut home = Home::new();
    home.set("MONGO", bench.from());
    home.set("CLICKHOUSE", &to);
    home.configure(&[(
        "orders",
        "collection = \"orders\"\n[pipelines.orders.table]\non_cluster = \"all of them\"\n\
         engine = \"SharedReplacingMergeTree\"",
    )]);
    home.run(&["check"]).await.succeeded();
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();
    let orders = bench.databases.mongodb.collection::<Document>("orders");
    orders.update_one(doc! { "_id": 1 }, doc! { "$set": { "new": 1, "in.b": 2 } }).await.unwrap();
    home.run(&["run", "--once"]).await.succeeded();
    home.run(&["reload", "orders"]).await.succeeded();
    home.run(&["verify", "orders"]).await.succeeded();
    let more = ["--on-cluster=all of them", "--engine=SharedMergeTree"];
    for _ in 0..2 {
        run(copy_to(&bench, &to, "copied", &more)).await.succeeded();
    }
    assert_eq!(bench.ask("SELECT count(), sum(new) FROM copied").await, "50\t1");
    let seen = seen.lock().unwrap().clone();
    // What Zenith keeps beside the tables is of the server that it writes to, and so are single rows.
    let own = ["zenith_dead_letters", "zenith_owners", "_zenith_owners", "DELETE FROM"];
    let (with, without): (Vec<&String>, Vec<&String>) =
        seen.iter().partition(|statement| statement.contains(" ON CLUSTER `all of them`"));
    let missing: Vec<_> = without
        .iter()
        .filter(|sql| !own.iter().any(|part| sql.lines().next().unwrap().contains(part)))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
    for kind in [
        "CREATE TABLE ",
        "DROP TABLE ",
        "EXCHANGE TABLES ",
        "RENAME TABLE ",
        "ALTER TABLE ",
        "CREATE OR REPLACE VIEW ",
    ] {
        assert!(with.iter().any(|sql| sql.starts_with(kind)), "{kind}: {with:#?}");
    }
    for part in ["ADD COLUMN", "MODIFY COLUMN", "RESET SETTING", "MODIFY COMMENT"] {
        assert!(with.iter().any(|sql| sql.contains(part)), "{part}: {with:#?}");
    }
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_wants_an_engine_with_replicas_and_a_server_that_knows_it() {
    let bench = Bench::new("clustered_not").await;
    bench.fill("orders", (0..5).map(|n| rawdoc! { "_id": n, "n": n })).await;
    for (engine, said) in [
        ("MergeTree", "on cluster cannot be all of them"),
        ("ReplicatedMergeTree('/{uuid}', '{replica}')", "all of them"),
    ] {
        let more = ["--on-cluster=all of them", &format!("--engine={engine}")];
        let refused = run(bench.copy("orders", &more)).await;
        assert!(refused.code != Some(0) && refused.stderr.contains(said), "{engine}: {refused:?}");
    }
    assert!(bench.tables().await.is_empty());
    bench.remove().await;
}
