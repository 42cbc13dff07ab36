//! What is true of PostgreSQL alone: formats, leases, addresses, a server that goes away, and the way to SQLite and back.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use zenith_state::postgres::{LASTS, MARGIN};
use zenith_state::{
    AnyStore, Checkpoint, Figures, Intent, Mismatches, PostgresAddress, PostgresStore, RunStart, Snapshot,
    StateError, StatePlace, StateStore,
};
use zenith_testkit::services::postgres::{PostgresOptions, PostgresServer, ask, database};
use zenith_testkit::services::postgres_tls::front;
use zenith_testkit::tls::Certificate;

use crate::fixture;
use crate::support::{Database, Folder, apply};

/// What the format of SQLite of the same time holds.
const SAME_AS: [usize; 1] = [6];

#[tokio::test]
async fn every_format_is_read() {
    for (number, same_as) in (1..).zip(SAME_AS) {
        let uri = database("format").await;
        let fixture = format!("{}/test-data/postgres-v{number}.sql", env!("CARGO_MANIFEST_DIR"));
        ask(&uri, &std::fs::read_to_string(fixture).unwrap()).unwrap();
        let store = PostgresStore::open(&PostgresAddress::parse(&uri).unwrap()).await.unwrap();
        fixture::check(&store, same_as).await;
        store.reset("orders", None).await.unwrap();
        assert_eq!(store.epoch("orders").await.unwrap(), 3);
    }
}

#[tokio::test]
async fn fixtures_are_what_is_written_today() {
    let place = Database::new().await;
    let store = PostgresStore::open(&place.0).await.unwrap();
    fixture::fill(&store).await;
    fixture::check(&store, fixture::NEWEST).await;
    assert_eq!(place.ask("SELECT max(version) FROM formats"), SAME_AS.len().to_string());
}

#[tokio::test]
async fn a_later_format_is_refused() {
    let place = Database::new().await;
    PostgresStore::open(&place.0).await.unwrap().close().await.unwrap();
    place.ask("INSERT INTO formats VALUES (99)");
    for error in [
        PostgresStore::open(&place.0).await.unwrap_err(),
        PostgresStore::open_shared(&place.0).await.unwrap_err(),
        PostgresStore::open_read_only(&place.0).await.unwrap_err(),
    ] {
        assert!(matches!(error, StateError::Newer { found: 99, known: 1.., .. }), "{error:?}");
        assert!(error.is_input() && error.to_string().contains("99"), "{error}");
    }
}

#[tokio::test]
async fn tables_of_others_are_left_alone() {
    let place = Database::new().await;
    let absent = PostgresStore::open_read_only(&place.0).await.unwrap_err();
    assert!(matches!(absent, StateError::Absent { .. }), "{absent:?}");
    ask(&place.uri(), "CREATE SCHEMA zenith; CREATE TABLE zenith.theirs (a int)").unwrap();
    let foreign = PostgresStore::open(&place.0).await.unwrap_err();
    assert!(matches!(foreign, StateError::Foreign { .. }), "{foreign:?}");
    let beside = format!("{}?schema=zenith_2", place.uri());
    let store = PostgresStore::open(&PostgresAddress::parse(&beside).unwrap()).await.unwrap();
    apply(&store).await;
}

/// Those who come first at the same time all find the tables.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_may_create_the_state() {
    for _ in 0..3 {
        let place = Database::new().await;
        let tasks: Vec<_> = (0..6)
            .map(|_| {
                let address = place.0.clone();
                tokio::spawn(async move { PostgresStore::open_shared(&address).await.unwrap() })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().pipelines().await.unwrap();
        }
    }
}

#[tokio::test]
async fn checkpoints_move_forward_whoever_writes() {
    let place = Database::new().await;
    let store = PostgresStore::open(&place.0).await.unwrap();
    fixture::fill(&store).await;
    let back = ask(&place.uri(), "UPDATE zenith.checkpoints SET sort_key = '\\x81'").unwrap_err();
    assert!(back.to_string().contains("backwards"), "{back}");
    fixture::check(&store, fixture::NEWEST).await;
}

fn checkpoint(order: u8) -> Checkpoint {
    Checkpoint {
        position: vec![order],
        order: vec![order],
        source_time: None,
        rows: 1,
        saved: std::time::UNIX_EPOCH,
    }
}

fn intent(token: &str) -> Intent {
    Intent {
        pipeline: "p".into(),
        token: token.into(),
        from: vec![1],
        to: vec![2],
        rows: 1,
        created: std::time::UNIX_EPOCH,
    }
}

/// One process has the lease; it outlives its six seconds as long as the process does, and ends when it is given back.
#[tokio::test]
async fn one_process_has_the_lease() {
    let place = Database::new().await;
    let first = PostgresStore::open(&place.0).await.unwrap();
    let started = Instant::now();
    while started.elapsed() < LASTS + Duration::from_secs(2) {
        let error = PostgresStore::open(&place.0).await.unwrap_err();
        assert!(matches!(&error, StateError::Leased { holder, .. } if holder.contains('/')), "{error:?}");
        assert!(error.is_held() && error.is_input(), "{error}");
        assert!(PostgresStore::is_leased(&place.0).await.unwrap());
        sleep(Duration::from_millis(500)).await;
    }
    assert!(first.lease().unwrap().is_usable());
    let lease = first.lease().unwrap();
    first.close().await.unwrap();
    assert!(!lease.is_usable() && !lease.is_lost());
    assert!(!PostgresStore::is_leased(&place.0).await.unwrap());
    let second = PostgresStore::open(&place.0).await.unwrap();
    assert_eq!(place.ask("SELECT term FROM leases"), "2");
    drop(second);
}

/// Who was taken over writes nothing any more, whatever it tries, and what is there stays.
#[tokio::test]
async fn who_has_lost_the_lease_is_fenced() {
    let place = Database::new().await;
    let zombie = PostgresStore::open(&place.0).await.unwrap();
    apply(&zombie).await;
    let run = RunStart {
        pipeline: "p".into(),
        mode: "full".into(),
        version: "1".into(),
        started: std::time::UNIX_EPOCH,
    };
    let id = zombie.start_run(&run).await.unwrap();
    zombie.begin_intent(&intent("a")).await.unwrap();
    let snapshot = Snapshot {
        started: std::time::UNIX_EPOCH,
        version: 1,
        read_from: vec![1],
        partitions: vec![zenith_state::SnapshotPartition {
            index: 0,
            partition: vec![1],
            done: false,
            rows: 0,
        }],
        consistent_after: None,
    };
    zombie.begin_snapshot("p", &snapshot).await.unwrap();
    place.let_the_lease_run_out();
    let owner = PostgresStore::open(&place.0).await.unwrap();
    let none = Mismatches::default();
    for refused in [
        zombie.begin_intent(&intent("b")).await,
        zombie.commit_intent("p", "a", &checkpoint(9), &none).await,
        zombie.abandon_intent("p", "a").await,
        zombie.advance("p", &checkpoint(9)).await,
        zombie.finish_partitions("p", &[(0, 1)], &none).await,
        zombie.finish_snapshot("p", &[1]).await,
        zombie.begin_snapshot("p", &snapshot).await,
        zombie.reset("p", None).await,
        zombie.set_mismatches("p", &none).await,
        zombie.touch_run(id, Figures::default()).await,
        zombie.add_schema("p", &zenith_state::SchemaChange::default()).await.map(drop),
        zombie.set_paused("p", true).await.map(drop),
    ] {
        assert!(matches!(refused, Err(StateError::Fenced { .. })), "{refused:?}");
    }
    assert!(zombie.lease().unwrap().is_lost());
    // It may look, and finds what the other one goes on with.
    assert_eq!(zombie.open_intents("p").await.unwrap(), [intent("a")]);
    assert_eq!(owner.open_intents("p").await.unwrap(), [intent("a")]);
    owner.commit_intent("p", "a", &checkpoint(3), &none).await.unwrap();
    assert_eq!(owner.checkpoint("p").await.unwrap(), Some(checkpoint(3)));
    assert_eq!(owner.snapshot("p").await.unwrap(), Some(snapshot));
    assert_eq!(owner.runs(None, 1).await.unwrap()[0].error.as_deref(), Some(zenith_state::INTERRUPTED));
}

/// A transaction of the one before, begun in time, ends before the lease is taken over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_takeover_waits_for_transactions_under_way() {
    let place = Database::new().await;
    let store = std::sync::Arc::new(PostgresStore::open(&place.0).await.unwrap());
    apply(&*store).await;
    let worker = std::sync::Arc::clone(&store);
    let working = tokio::spawn(async move {
        let mut committed = 0_u8;
        for order in 1..=250 {
            if worker.advance("p", &checkpoint(order)).await.is_err() {
                break;
            }
            committed = order;
        }
        committed
    });
    sleep(Duration::from_millis(100)).await;
    place.let_the_lease_run_out();
    let owner = PostgresStore::open(&place.0).await.unwrap();
    let found = owner.checkpoint("p").await.unwrap().map_or(0, |found| found.order[0]);
    let committed = working.await.unwrap();
    assert_eq!(owner.checkpoint("p").await.unwrap().map_or(0, |found| found.order[0]), found);
    assert_eq!(committed, found, "what was acknowledged is there, and nothing came after the takeover");
}

/// Without the database nothing may be sent from two seconds before the end of the lease on; the store goes on with what
/// is there once the server is back.
#[tokio::test]
async fn a_server_that_goes_away_is_survived() {
    let mut server = PostgresServer::start(PostgresOptions::default()).await.unwrap();
    let address = PostgresAddress::parse(&server.uri("postgres")).unwrap();
    let store = PostgresStore::open(&address).await.unwrap();
    apply(&store).await;
    store.advance("p", &checkpoint(1)).await.unwrap();
    server.kill().unwrap();
    let killed = Instant::now();
    let error = store.advance("p", &checkpoint(2)).await.unwrap_err();
    assert!(error.is_transient() && !error.is_input(), "{error:?}");
    assert!(error.to_string().contains("postgres://zenith@127.0.0.1"), "{error}");
    let lease = store.lease().unwrap();
    while lease.is_usable() {
        assert!(killed.elapsed() < LASTS, "it is over before the lease is");
        sleep(Duration::from_millis(20)).await;
    }
    assert!(killed.elapsed() <= LASTS - MARGIN + Duration::from_secs(1), "{:?}", killed.elapsed());
    server.restart().await.unwrap();
    store.advance("p", &checkpoint(2)).await.unwrap();
    assert_eq!(store.checkpoint("p").await.unwrap(), Some(checkpoint(2)));
}

/// Another machine has to prove who it is; a password is asked for, and never shown.
#[tokio::test]
async fn certificates_and_passwords_are_checked() {
    let folder = Folder::new();
    let certificate = Certificate::create(&folder.folder("tls")).unwrap();
    let other = Certificate::create(&folder.folder("other")).unwrap();
    let authority = |of: &Certificate| of.authority_file().display().to_string();
    let options = PostgresOptions { password: Some("hunter2".into()) };
    let server = PostgresServer::start(options).await.unwrap();
    let port = front(server.port(), &certificate).await.unwrap();
    let at = |host: &str, password: &str, parameters: &str| {
        let uri = format!("postgres://zenith:{password}@{host}:{port}/postgres{parameters}");
        StatePlace::Postgres(Box::new(PostgresAddress::parse(&uri).unwrap()))
    };
    let full = |of: &Certificate| format!("?sslmode=verify-full&sslrootcert={}", authority(of));
    let store = at("localhost", "hunter2", &full(&certificate)).open_shared().await.unwrap();
    apply(&store).await;
    // What wants no TLS is cut off by what demands it.
    let error = at("localhost", "hunter2", "").open_shared().await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    at("127.0.0.1", "hunter2", "?sslmode=require").open_shared().await.unwrap();
    for wrong in [
        at("localhost", "hunter2", &full(&other)),
        // The public authorities.
        at("localhost", "hunter2", "?sslmode=verify-full"),
        at("localhost", "hunter3", &full(&certificate)),
    ] {
        let error = wrong.open_shared().await.unwrap_err();
        assert!(matches!(error, StateError::Refused { .. }) && error.is_input(), "{error:?}");
        for shown in [error.to_string(), format!("{error:?}"), format!("{wrong:?}"), wrong.to_string()] {
            assert!(!shown.contains("hunter"), "{shown}");
        }
    }
}

/// To PostgreSQL and back: nothing is lost, numbers go on, and what is not empty is left alone.
#[tokio::test]
async fn a_state_moves_there_and_back() {
    let folder = Folder::new();
    let sqlite = StatePlace::File(folder.state());
    let postgres = StatePlace::Postgres(Box::new(Database::new().await.0));
    let back = StatePlace::File(folder.file("back.db"));
    let store = sqlite.open().await.unwrap();
    fixture::fill(&store).await;
    let records = store.records().await.unwrap();
    assert!(records > 20, "{records}");
    let moved = postgres.open().await.unwrap();
    assert_eq!(store.copy_to(&moved).await.unwrap(), records);
    fixture::check(&moved, fixture::NEWEST).await;
    let error = store.copy_to(&moved).await.unwrap_err();
    assert!(matches!(error, StateError::NotEmpty { .. }) && error.is_input(), "{error:?}");
    let returned = back.open().await.unwrap();
    assert_eq!(moved.copy_to(&returned).await.unwrap(), records);
    fixture::check(&returned, fixture::NEWEST).await;
    for store in [&moved, &returned] {
        goes_on(store).await;
    }
    fixture::check(&store, fixture::NEWEST).await;
}

async fn goes_on(store: &AnyStore) {
    let newest = store.runs(None, 1).await.unwrap()[0].id;
    let run = RunStart {
        pipeline: "p".into(),
        mode: "full".into(),
        version: "1".into(),
        started: std::time::UNIX_EPOCH,
    };
    assert!(store.start_run(&run).await.unwrap() > newest);
    assert!(store.add_request("orders", "reload", "{}").await.unwrap() > 2);
    let more = Intent { pipeline: "orders".into(), ..intent("more") };
    store.begin_intent(&more).await.unwrap();
    assert_eq!(store.open_intents("orders").await.unwrap().last(), Some(&more));
}
