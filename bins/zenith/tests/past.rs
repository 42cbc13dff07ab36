//! Change logs that begin with a snapshot: the collection as it was at any time since.

use std::time::Duration;

use bson::{Document, Timestamp, doc, rawdoc};
use futures_util::TryStreamExt as _;
use mongodb::Collection;
use zenith_testkit::data::random::Random;

use crate::harness::Bench;
use crate::home::{Home, stop};
use crate::tables::ends;

const LOG: &str = "collection = \"items\"\nmode = \"change-log\"\nsnapshot = true\n";
/// Writes of one seed, and after how many the process is killed.
const STEPS: usize = 150;
const BETWEEN_KILLS: usize = 45;

fn items(bench: &Bench) -> Collection<Document> {
    bench.databases.mongodb.collection("items")
}

/// A collection that keeps images, or does not.
async fn create(bench: &Bench, images: bool) {
    items(bench).drop().await.unwrap();
    let create = doc! { "create": "items", "changeStreamPreAndPostImages": { "enabled": images } };
    bench.databases.mongodb.run_command(create).await.unwrap();
    let documents = (0..400).map(|n| rawdoc! { "_id": n, "n": n, "s": "first", "tags": ["a"] });
    bench.fill("items", documents).await;
}

/// The collection as it was after a write.
struct Moment {
    time: Timestamp,
    rows: String,
}

impl Moment {
    /// Nobody else writes: what is read now is what was written up to this time.
    async fn now(bench: &Bench) -> Moment {
        let found: Vec<Document> =
            items(bench).find(doc! {}).sort(doc! { "_id": 1 }).await.unwrap().try_collect().await.unwrap();
        let reply = bench.databases.mongodb.run_command(doc! { "ping": 1 }).await.unwrap();
        let row = |document: &Document| {
            let text = document.get_str("s").unwrap_or("\\N");
            let tags: Vec<String> = document
                .get_array("tags")
                .map(|tags| tags.iter().map(|tag| format!("'{}'", tag.as_str().unwrap())).collect())
                .unwrap_or_default();
            let [id, n] = ["_id", "n"].map(|name| document.get_i32(name).unwrap());
            format!("{id}\t{n}\t{text}\t[{}]", tags.join(","))
        };
        let rows: Vec<String> = found.iter().map(row).collect();
        Moment { time: reply.get_timestamp("operationTime").unwrap(), rows: rows.join("\n") }
    }

    fn version(&self) -> u64 {
        u64::from(self.time.time) << 32 | u64::from(self.time.increment)
    }
}

/// One write of any kind, to any document.
async fn write(items: &Collection<Document>, random: &mut Random, next: &mut i32) {
    let id = i32::try_from(random.below(500)).unwrap();
    let known = doc! { "_id": id };
    match random.below(10) {
        0..2 => {
            *next += 1;
            items.insert_one(doc! { "_id": *next, "n": *next, "tags": ["new", "b"] }).await.unwrap();
        }
        2..4 => drop(items.delete_one(known).await.unwrap()),
        4 => {
            let replaced = doc! { "n": id, "s": "replaced" };
            items.replace_one(known, replaced).upsert(true).await.unwrap();
        }
        5 => {
            let mut session = items.client().start_session().await.unwrap();
            session.start_transaction().await.unwrap();
            items.delete_one(known.clone()).session(&mut session).await.unwrap();
            let again = doc! { "_id": id, "n": -1, "s": "in a transaction" };
            items.insert_one(again).session(&mut session).await.unwrap();
            let others = doc! { "_id": { "$gt": id, "$lt": id + 20 } };
            let update = doc! { "$inc": { "n": 1_000 } };
            items.update_many(others, update).session(&mut session).await.unwrap();
            session.commit_transaction().await.unwrap();
        }
        6 => {
            let update = doc! { "$unset": { "s": "" }, "$push": { "tags": "c" }, "$set": { "later": id } };
            items.update_one(known, update).await.unwrap();
        }
        _ => {
            let update = doc! { "$inc": { "n": 1 }, "$set": { "s": format!("s{}", random.below(100)) } };
            items.update_one(known, update).await.unwrap();
        }
    }
}

/// The version from which on the view shows something.
async fn since(bench: &Bench, view: &str) -> u64 {
    let question = format!(
        "SELECT extract(as_select, 'moment < (\\\\d+)') FROM system.tables WHERE database = currentDatabase() AND name = '{view}'"
    );
    bench.ask(&question).await.parse().unwrap()
}

async fn shows(bench: &Bench, view: &str, moment: &Moment, at: &str) {
    let question = format!("SELECT _id, n, s, tags FROM {view}(at = '{at}') ORDER BY _id");
    assert_eq!(bench.ask(&question).await, moment.rows, "{view} at {at}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_shows_the_collection_as_it_was_whatever_is_killed() {
    let bench = Bench::new("past").await;
    for (seed, (protocol, to)) in (11..).zip(ends(&bench).await) {
        create(&bench, true).await;
        let mut home = Home::new();
        home.set("MONGO", bench.from());
        home.set("CLICKHOUSE", &to);
        home.configure(&[("items", &format!("{LOG}table = \"{protocol}\""))]);
        let checked = home.run(&["check"]).await.succeeded();
        assert!(checked.stdout.contains("_at will be created, exact"), "{checked:?}");
        home.apply().await;
        let (mut random, mut next) = (Random::of_document(seed, 0), 1_000);
        let mut moments = vec![Moment::now(&bench).await];
        // The first load is killed, and begins anew.
        let mut running = home.start(&[]).await;
        for step in 0..STEPS {
            write(&items(&bench), &mut random, &mut next).await;
            moments.push(Moment::now(&bench).await);
            if step == 1 || step % BETWEEN_KILLS == BETWEEN_KILLS - 1 {
                running.kill().await.unwrap();
                running = home.start(&[]).await;
            }
            if step == 5 {
                // It is made when nothing can begin anew any more.
                let view = format!("{protocol}_at");
                let is_there = async || bench.tables().await.contains(&view);
                home.until("the view is there", is_there).await;
            }
        }
        // What is written in a later second is not of the time before it.
        let before = Moment::now(&bench).await;
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        write(&items(&bench), &mut random, &mut next).await;
        moments.push(Moment::now(&bench).await);
        stop(running).await.succeeded();
        home.run(&["run", "--once"]).await.succeeded();
        let view = format!("{protocol}_at");
        let since = since(&bench, &view).await;
        let known: Vec<&Moment> = moments.iter().filter(|moment| moment.version() >= since).collect();
        assert!(known.len() > STEPS / 2, "{} of {} moments", known.len(), moments.len());
        for moment in &known {
            shows(&bench, &view, moment, &moment.version().to_string()).await;
        }
        // By the clock: of a second all changes count.
        let at = bson::DateTime::from_millis(i64::from(before.time.time) * 1000 + 500);
        shows(&bench, &view, &before, &at.try_to_rfc3339_string().unwrap()).await;
        shows(&bench, &view, moments.last().unwrap(), "2100-01-01 00:00:00").await;
        let question = format!(
            "SELECT countIf(_zenith_operation = 'snapshot') BETWEEN 395 AND 405, uniqExact(_id, _zenith_version, \
             _zenith_index) = count(), maxIf(_zenith_version, _zenith_operation = 'snapshot') < minIf(_zenith_version, \
             _zenith_operation != 'snapshot') FROM {protocol}"
        );
        assert_eq!(bench.ask(&question).await, "1\t1\t1", "{protocol}");
        let later = format!("SELECT count(later) > 0 FROM {view}(at = '{}')", moments[STEPS].version());
        assert_eq!(bench.ask(&later).await, "1", "{protocol}");
        let early = format!("SELECT count() FROM {view}(at = '2001-01-01 00:00:00')");
        let refused = bench.databases.clickhouse.query(&early).await.unwrap_err().to_string();
        assert!(refused.contains("shows the collection as it was since"), "{refused}");
        let verified = home.run(&["verify", "items"]).await.succeeded();
        assert!(verified.stdout.contains("equal"), "{verified:?}");
    }
    bench.remove().await;
}

/// What `verify` says of a log, whose view is told not to be exact.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_compared_by_its_newest_rows() {
    let bench = Bench::new("past_verified").await;
    create(&bench, false).await;
    let home = Home::between(&bench);
    home.configure(&[("items", &format!("{LOG}view = \"items before\""))]);
    let checked = home.run(&["check"]).await.succeeded();
    assert!(
        checked.stdout.contains("items before will be created; documents of updates are looked up"),
        "{checked:?}"
    );
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();
    let (mut random, mut next) = (Random::of_document(5, 0), 1_000);
    for _ in 0..60 {
        write(&items(&bench), &mut random, &mut next).await;
    }
    home.run(&["run", "--once"]).await.succeeded();
    home.run(&["verify", "items"]).await.succeeded();
    let moment = Moment::now(&bench).await;
    shows(&bench, "`items before`", &moment, &moment.version().to_string()).await;
    // A dropped view comes back, and what others made keeps its name.
    bench.ask("DROP VIEW `items before`").await;
    home.run(&["run", "--once"]).await.succeeded();
    shows(&bench, "`items before`", &moment, &moment.version().to_string()).await;
    bench.ask("DROP VIEW `items before`").await;
    bench.ask("CREATE VIEW `items before` AS SELECT 1 AS x").await;
    for arguments in [&["check"][..], &["run", "--once"]] {
        let ended = home.run(arguments).await;
        let told = ended.stdout.clone() + &ended.stderr;
        assert!(ended.code != Some(0) && told.contains("which Zenith did not make"), "{ended:?}");
    }
    assert_eq!(bench.ask("SELECT * FROM `items before`").await, "1");
    bench.ask("DROP VIEW `items before`").await;
    bench.ask("ALTER TABLE items DELETE WHERE _id IN (7, 8) SETTINGS mutations_sync = 2").await;
    bench
        .ask("INSERT INTO items (_id, n, _zenith_operation, _zenith_version) VALUES (70000, 1, 'insert', 1)")
        .await;
    let ended = home.run(&["verify", "items"]).await;
    assert!(ended.code == Some(1) && ended.stdout.contains("70000"), "{ended:?}");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_keeps_its_changes() {
    let bench = Bench::new("past_kept").await;
    create(&bench, false).await;
    let home = Home::between(&bench);
    home.configure(&[("items", LOG)]);
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();
    items(&bench).delete_many(doc! { "_id": { "$lt": 10 } }).await.unwrap();
    home.run(&["run", "--once"]).await.succeeded();
    let count = "SELECT count(), countIf(_zenith_operation = 'snapshot') FROM items";
    assert_eq!(bench.ask(count).await, "410\t400");
    let refused = home.run(&["reload", "items"]).await;
    assert!(
        refused.code != Some(0) && refused.stderr.contains("begins with another snapshot"),
        "{refused:?}"
    );
    // From its beginning, or by a state that knows nothing of it, the log is not begun again over its changes.
    home.run(&["reset", "items", "--from", "beginning", "--yes"]).await.succeeded();
    let other = Home::between(&bench);
    other.configure(&[("items", LOG)]);
    other.apply().await;
    for home in [&home, &other] {
        for arguments in [&["check"][..], &["run", "--once"]] {
            let ended = home.run(arguments).await;
            let told = ended.stdout.clone() + &ended.stderr;
            assert!(ended.code != Some(0) && told.contains("has changes already"), "{ended:?}");
        }
    }
    assert_eq!(bench.ask(count).await, "410\t400");
    bench.ask("DROP TABLE items").await;
    home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(bench.ask(count).await, "390\t390");
    // A place of before: some changes are left out, and the view is no longer kept.
    items(&bench).delete_one(doc! { "_id": 20 }).await.unwrap();
    let views = "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = 'items_at'";
    assert_eq!(bench.ask(views).await, "1");
    home.run(&["reset", "items", "--from", "now", "--yes"]).await.succeeded();
    assert_eq!(bench.ask(views).await, "0");
    home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(bench.ask(views).await, "0");
    let checked = home.run(&["check"]).await.succeeded();
    assert!(checked.stdout.contains("items_at is not kept"), "{checked:?}");
    assert!(home.run(&["verify", "items"]).await.stderr.contains("was not reset"));
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_refused_where_a_view_would_show_what_is_gone() {
    let bench = Bench::new("past_refused").await;
    let home = Home::between(&bench);
    for (settings, part) in [
        ("snapshot = true", "only a change log"),
        ("snapshot = true\nmode = \"change-log\"\ndeletes = \"ignore\"", "not have every change"),
        ("snapshot = true\nmode = \"change-log\"\non_drop = \"truncate\"", "drop of a collection"),
        ("mode = \"change-log\"\nview = \"v\"", "a change log with snapshot = true"),
    ] {
        home.configure(&[("items", &format!("collection = \"items\"\n{settings}"))]);
        let ended = home.run(&["apply", "--yes"]).await;
        assert!(ended.code == Some(2) && ended.stderr.contains(part), "{ended:?}");
        assert!(ended.stderr.contains("line ") && ended.stderr.lines().count() == 1, "{ended:?}");
    }
    home.configure(&[
        ("items", LOG),
        ("others", "collection = \"items\"\ntable = \"items_at\"\nmode = \"full\""),
    ]);
    let ended = home.run(&["apply", "--yes"]).await;
    assert!(ended.code == Some(2) && ended.stderr.contains("would both be items_at"), "{ended:?}");
    bench.remove().await;
}
