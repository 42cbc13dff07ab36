//! Documents that match a query and no others: in copies, in tables that are kept in step, and in what is compared with them.

use std::time::Duration;

use bson::{Document, RawDocumentBuf, doc, rawdoc};
use futures_util::TryStreamExt;
use zenith_testkit::dump;

use crate::harness::{Bench, run, zenith};
use crate::home::{Home, stop};

const FILTER: &str = r#"{"state": {"$ne": "draft"}}"#;

fn filter() -> Document {
    doc! { "state": { "$ne": "draft" } }
}

fn state(n: i32) -> &'static str {
    ["draft", "open", "paid", "draft"][usize::try_from(n % 4).unwrap()]
}

/// Half of them drafts, which have a field that no other has.
fn orders(range: std::ops::Range<i32>) -> impl Iterator<Item = RawDocumentBuf> {
    range.map(|n| {
        let mut order = rawdoc! { "_id": n, "state": state(n), "total": n, "mail": format!("m{n}") };
        if state(n) == "draft" {
            order.append(bson::cstr!("editor"), format!("editor {n}"));
        }
        order
    })
}

/// The `_id`s that the source has for a query, and the states of these.
async fn wanted(bench: &Bench, query: Document) -> String {
    let orders = bench.databases.mongodb.collection::<Document>("orders");
    let found: Vec<Document> =
        orders.find(query).sort(doc! { "_id": 1 }).await.unwrap().try_collect().await.unwrap();
    let line = |order: &Document| {
        format!("{}\t{}\n", order.get_i32("_id").unwrap(), order.get_str("state").unwrap_or("\\N"))
    };
    found.iter().map(line).collect::<String>().trim_end().to_owned()
}

async fn shown(bench: &Bench, table: &str) -> String {
    bench.ask(&format!("SELECT _id, state FROM {table} ORDER BY _id")).await.trim_end().to_owned()
}

/// Whether the table has what the source says, and `zenith verify` finds the same.
async fn is_in_step(bench: &Bench, home: &Home) {
    assert_eq!(shown(bench, "orders_current").await, wanted(bench, filter()).await);
    home.run(&["verify", "orders"]).await.succeeded();
}

async fn columns(bench: &Bench, table: &str) -> String {
    let question = format!(
        "SELECT arrayStringConcat(groupArray(name), ' ') FROM system.columns WHERE database = currentDatabase() AND table = \
         '{table}'"
    );
    bench.ask(&question).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_has_the_documents_that_match() {
    let bench = Bench::new("filters_copy").await;
    bench.fill("orders", orders(0..2_000)).await;
    let copy = async |more: &[&str]| {
        run(bench.copy("orders", &[&["--filter", FILTER], more].concat())).await.succeeded()
    };
    let planned = copy(&["--dry-run", "--json"]).await.json();
    assert_eq!((&planned["documents"], &planned["filter"]), (&1_000.into(), &FILTER.into()));
    let planned = copy(&["--dry-run"]).await;
    assert!(planned.stdout.contains(&format!("that match {FILTER}")), "{planned:?}");
    // One scan, several, a sample of a part, and a table that is loaded in place.
    for (table, more) in [
        ("one", &["--readers", "1"][..]),
        ("several", &["--readers", "4"]),
        ("sampled", &["--sample", "64"]),
        ("in_place", &["--strategy", "truncate"]),
    ] {
        let ended = copy(&[&["--table", table, "--json"], more].concat()).await.json();
        assert_eq!(ended["rows"], 1_000, "{table}");
        assert_eq!(shown(&bench, table).await, wanted(&bench, filter()).await, "{table}");
        assert_eq!(
            columns(&bench, table).await,
            "_id state total mail _zenith_extra _zenith_notes",
            "{table}"
        );
    }
    // The filter comes first: it names fields as MongoDB has them, whatever becomes of them.
    copy(&["--table", "less", "--exclude", "state", "--mask", "mail=redact", "--rename", "total=sum"]).await;
    let question = "SELECT count(), sum(sum), countIf(mail = '****') FROM less";
    let total: i32 = (0..2_000).filter(|n| state(*n) != "draft").sum();
    assert_eq!(bench.ask(question).await, format!("1000\t{total}\t1000"));
    bench
        .databases
        .mongodb
        .create_collection("paid")
        .view_on("orders")
        .pipeline([doc! { "$match": { "state": "paid" } }])
        .await
        .unwrap();
    let of_view = ["--filter", r#"{"_id": {"$lt": 100}}"#];
    run(bench.copy("paid", &of_view)).await.succeeded();
    assert_eq!(bench.ask("SELECT count(), uniqExact(state) FROM paid").await, "25\t1");
    let none = ["--filter", r#"{"state": "lost"}"#, "--table", "nothing"];
    run(bench.copy("orders", &none)).await.succeeded();
    assert_eq!(bench.ask("SELECT count() FROM nothing").await, "0");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_cannot_be_used_is_told_before_anything_is_written() {
    let bench = Bench::new("filters_bad").await;
    bench.fill("orders", orders(0..20)).await;
    let refused = [
        ("{'state': 1}", "JSON"),
        (r#"["state"]"#, "no query"),
        (r#"{"$where": "true"}"#, "$where"),
        (r#"{"$text": {"$search": "x"}}"#, "$text"),
        (r#"{"at": {"$near": [0, 0]}}"#, "$near"),
        (r#"{"$expr": {"$lt": ["$at", "$$NOW"]}}"#, "$$NOW"),
        (r#"{"$expr": {"$lt": [{"$rand": {}}, 0.5]}}"#, "$rand"),
    ];
    let of_server = [
        (r#"{"state": {"$foo": 1}}"#, "unknown operator: $foo"),
        (r#"{"$collation": {"locale": "de"}}"#, "$collation"),
        (r#"{"$expr": {"$foo": 1}}"#, "$foo"),
        (r#"{"state": {"$in": 1}}"#, "$in"),
    ];
    for (filter, part) in refused.into_iter().chain(of_server) {
        for more in [&[][..], &["--dry-run"]] {
            let ended = run(bench.copy("orders", &[&["--filter", filter], more].concat())).await;
            assert!(ended.code == Some(2) && ended.stderr.contains(part), "{filter}: {ended:?}");
            assert!(ended.stderr.contains("filter") && ended.stderr.lines().count() == 1, "{ended:?}");
        }
    }
    let home = Home::between(&bench);
    let configure = |filter: &str, more: &str| {
        home.configure(&[("orders", &format!("collection = \"orders\"\n{more}filter = '''{filter}'''"))]);
    };
    for (filter, part) in refused {
        configure(filter, "");
        for command in [&["check"][..], &["apply", "--yes"]] {
            let ended = home.run(command).await;
            assert!(ended.code == Some(2) && ended.stderr.contains(part), "{filter}: {ended:?}");
            assert!(ended.stderr.contains("line 9") && ended.stderr.lines().count() == 1, "{ended:?}");
        }
    }
    configure(FILTER, "mode = \"change-log\"\n");
    let ended = home.run(&["apply", "--yes"]).await;
    assert!(
        ended.code == Some(2) && ended.stderr.contains("line 10") && ended.stderr.contains("change log"),
        "{ended:?}"
    );
    assert!(!home.has("state.sqlite"));
    for (filter, part) in of_server {
        configure(filter, "");
        let ended = home.run(&["check"]).await;
        let told =
            ended.stdout.lines().filter(|line| line.contains('✗') || line.contains(part)).collect::<Vec<_>>();
        assert!(
            ended.code == Some(2) && told.iter().any(|line| line.contains("line 9") && line.contains(part)),
            "{ended:?}"
        );
    }
    home.apply().await;
    let ended = home.run(&["run", "--once"]).await;
    assert!(ended.code != Some(0) && ended.stderr.contains("$in"), "{ended:?}");
    assert_eq!(bench.tables().await.iter().filter(|table| !table.starts_with("zenith_")).count(), 0);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orders.bson");
    dump::write(&path, [orders(0..9).flat_map(RawDocumentBuf::into_bytes).collect::<Vec<u8>>()]).unwrap();
    let (from, to) = (format!("file:{}", path.display()), bench.to());
    let ended = run(zenith(&["copy", "--from", &from, "--to", &to, "--filter", FILTER])).await;
    assert!(ended.code == Some(2) && ended.stderr.contains("a dump has no server"), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    bench.remove().await;
}

/// Documents that stop and begin to match in each way, and others that stay what they are.
async fn change(bench: &Bench) {
    let orders_there = bench.databases.mongodb.collection::<Document>("orders");
    let set = async |id: i32, state: &str| {
        orders_there.update_one(doc! { "_id": id }, doc! { "$set": { "state": state } }).await.unwrap();
    };
    let replace = async |id: i32, state: &str| {
        let order = doc! { "state": state, "total": -1, "mail": "new" };
        orders_there.replace_one(doc! { "_id": id }, order).await.unwrap();
    };
    set(1, "draft").await;
    set(0, "open").await;
    set(4, "draft").await;
    set(5, "paid").await;
    replace(9, "draft").await;
    replace(8, "open").await;
    replace(12, "draft").await;
    replace(13, "paid").await;
    // Stops to match and begins again, and the other way round.
    for state in ["draft", "open"] {
        set(17, state).await;
    }
    for state in ["open", "draft"] {
        set(16, state).await;
    }
    for id in [2, 3] {
        orders_there.delete_one(doc! { "_id": id }).await.unwrap();
    }
    // Gone, and back as one that does not match; or that does.
    orders_there.delete_many(doc! { "_id": { "$in": [21, 22, 24] } }).await.unwrap();
    orders_there.insert_one(doc! { "_id": 21, "state": "draft" }).await.unwrap();
    orders_there.insert_one(doc! { "_id": 22, "state": "paid" }).await.unwrap();
    orders_there.insert_one(doc! { "_id": 24, "state": "draft" }).await.unwrap();
    orders_there.update_one(doc! { "_id": 26 }, doc! { "$unset": { "state": 1 } }).await.unwrap();
    orders_there.update_one(doc! { "_id": 28 }, doc! { "$unset": { "state": 1 } }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stops_to_match_leaves_the_table_and_what_begins_to_match_comes() {
    let bench = Bench::new("filters_changes").await;
    bench.fill("orders", orders(0..400)).await;
    let home = Home::between(&bench);
    home.configure(&[("orders", &format!("collection = \"orders\"\nfilter = '{FILTER}'"))]);
    let checked = home.run(&["check"]).await.succeeded();
    assert!(checked.stdout.contains("about 200 documents that match"), "{checked:?}");
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();
    is_in_step(&bench, &home).await;
    assert!(!columns(&bench, "orders").await.contains("editor"));

    // What was written while nothing ran.
    change(&bench).await;
    bench.fill("orders", orders(400..440)).await;
    let before = bench.ask("SELECT count() FROM orders WHERE _id >= 400").await;
    assert_eq!(before, "0");
    home.run(&["run", "--once"]).await.succeeded();
    is_in_step(&bench, &home).await;
    // A new document that does not match leaves no mark.
    let new = "SELECT count(), countIf(_zenith_deleted = 1) FROM orders WHERE _id >= 400";
    assert_eq!(bench.ask(new).await, "20\t0");
    // Drafts that are none any more bring their fields along.
    assert!(columns(&bench, "orders").await.contains("editor"));

    // The same while it runs, in a transaction and by many at once.
    let running = home.start(&[]).await;
    let orders_there = bench.databases.mongodb.collection::<Document>("orders");
    let set = doc! { "$set": { "state": "draft" } };
    orders_there.update_many(doc! { "_id": { "$gte": 100, "$lt": 200 } }, set).await.unwrap();
    let set = doc! { "$set": { "state": "open" } };
    orders_there.update_many(doc! { "_id": { "$gte": 200, "$lt": 300 } }, set).await.unwrap();
    let mut session = bench.databases.mongodb.client().start_session().await.unwrap();
    session.start_transaction().await.unwrap();
    orders_there.delete_one(doc! { "_id": 301 }).session(&mut session).await.unwrap();
    orders_there.insert_one(doc! { "_id": 301, "state": "draft" }).session(&mut session).await.unwrap();
    orders_there.insert_one(doc! { "_id": 501, "state": "open" }).session(&mut session).await.unwrap();
    session.commit_transaction().await.unwrap();
    home.until("the table is in step", async || {
        shown(&bench, "orders_current").await == wanted(&bench, filter()).await
    })
    .await;
    stop(running).await.succeeded();
    is_in_step(&bench, &home).await;

    // Verify asks for what matches, and for nothing else.
    bench.ask("INSERT INTO orders (_id, state, _zenith_version) VALUES (3, 'draft', 1), (103, 'open', 18446744073709551615)").await;
    let ended = home.run(&["verify", "orders"]).await;
    assert!(ended.code == Some(1) && ended.stdout.contains("103"), "{ended:?}");
    home.run(&["reload", "orders"]).await.succeeded();
    is_in_step(&bench, &home).await;
    let verified = home.run(&["verify", "orders", "--sample", "50"]).await.succeeded();
    assert!(verified.stdout.contains("equal: a sample of "), "{verified:?}");
    bench.remove().await;
}

/// Writes what a seed says.
struct Writer {
    seed: u32,
    next: i32,
}

impl Writer {
    fn random(&mut self, below: u32) -> i32 {
        self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        i32::try_from((self.seed >> 8) % below).unwrap()
    }

    async fn write(&mut self, bench: &Bench) {
        let orders = bench.databases.mongodb.collection::<Document>("orders");
        let (id, state) = (doc! { "_id": self.random(400) }, state(self.random(4)));
        match self.random(5) {
            0 => {
                self.next += 1;
                orders.insert_one(doc! { "_id": self.next, "state": state }).await.unwrap();
            }
            1 => {
                orders.delete_one(id).await.unwrap();
            }
            2 => {
                orders.replace_one(id, doc! { "state": state, "total": 1 }).upsert(true).await.unwrap();
            }
            _ => {
                orders.update_one(id, doc! { "$set": { "state": state } }).await.unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_stays_in_step_through_kills() {
    let bench = Bench::new("filters_kills").await;
    bench.fill("orders", orders(0..300)).await;
    let home = Home::between(&bench);
    home.configure(&[(
        "orders",
        &format!("collection = \"orders\"\nfilter = '{FILTER}'\nflush_interval = \"20ms\"\nflush_rows = 50"),
    )]);
    home.apply().await;
    let mut writer = Writer { seed: 7, next: 1_000 };
    for round in 0..8 {
        let mut running = home.command(&["run"]).spawn().unwrap();
        for _ in 0..12 {
            for _ in 0..25 {
                writer.write(&bench).await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if round % 4 == 3 {
            stop(running).await;
        } else {
            running.kill().await.unwrap();
        }
    }
    home.run(&["run", "--once"]).await.succeeded();
    is_in_step(&bench, &home).await;
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_filter_loads_the_table_again() {
    let bench = Bench::new("filters_other").await;
    bench.fill("orders", orders(0..200)).await;
    let home = Home::between(&bench);
    let configure = |filter: &str| {
        home.configure(&[("orders", &format!("collection = \"orders\"\n{filter}"))]);
    };
    configure("");
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(shown(&bench, "orders_current").await, wanted(&bench, doc! {}).await);
    for (line, query) in [
        (format!("filter = '{FILTER}'"), filter()),
        (r#"filter = '{"total": {"$gte": 150}}'"#.to_owned(), doc! { "total": { "$gte": 150 } }),
        (String::new(), doc! {}),
    ] {
        configure(&line);
        let applied = home.apply().await;
        assert!(applied.stdout.contains("it starts over"), "{applied:?}");
        home.run(&["run", "--once"]).await.succeeded();
        assert_eq!(shown(&bench, "orders_current").await, wanted(&bench, query).await, "{line}");
        home.run(&["verify", "orders"]).await.succeeded();
        let applied = home.apply().await;
        assert!(!applied.stdout.contains("it starts over"), "{applied:?}");
    }
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_modes_have_what_matches_when_they_read_it() {
    let bench = Bench::new("filters_modes").await;
    bench.fill("orders", orders(0..300)).await;
    let home = Home::between(&bench);
    let settings = |more: &str| format!("collection = \"orders\"\nfilter = '{FILTER}'\n{more}");
    home.configure(&[
        ("cursor", &settings("mode = \"id-cursor\"\ntable = \"cursor\"\nsettle = \"0s\"")),
        ("full", &settings("mode = \"full\"\ntable = \"full\"")),
    ]);
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();
    // The newest match, then the newest do not.
    for range in [300..342, 342..344] {
        bench.fill("orders", orders(range)).await;
        home.run(&["run", "--once"]).await.succeeded();
        for table in ["cursor", "full"] {
            assert_eq!(shown(&bench, table).await, wanted(&bench, filter()).await, "{table}");
            home.run(&["verify", table]).await.succeeded();
        }
    }
    let running = home.start(&[]).await;
    bench.fill("orders", orders(344..399)).await;
    home.until("the cursor has read on", async || {
        shown(&bench, "cursor").await == wanted(&bench, filter()).await
    })
    .await;
    stop(running).await;
    let planned = home.run(&["reload", "cursor", "--dry-run"]).await.succeeded();
    assert!(planned.stdout.contains("about 200 documents"), "{planned:?}");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelines_of_several_collections_share_a_filter() {
    let bench = Bench::new("filters_several").await;
    bench.fill("orders", orders(0..40)).await;
    bench.fill("offers", orders(0..80)).await;
    let home = Home::between(&bench);
    home.configure(&[("shop", &format!("collections = [\"*\"]\nfilter = '{FILTER}'"))]);
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();
    let question = "SELECT (SELECT count() FROM orders_current), (SELECT count() FROM offers_current)";
    assert_eq!(bench.ask(question).await, "20\t40");
    let copied = ["--collection", "offers", "--filter", FILTER, "--table", "copy_{collection}", "--json"];
    let ended = run(bench.copy("orders", &copied)).await.succeeded().json();
    assert_eq!(ended["rows"], 60);
    bench.remove().await;
}
