//! The table its user wants: keys, partitions, indices and columns, as ClickHouse has them.

use bson::{DateTime, RawDocumentBuf, doc, rawdoc};
use tokio::process::Command;

use crate::harness::{Bench, run, zenith};
use crate::home::Home;

/// Of three tenants and some months; every tenth lacks its tenant, every eleventh its date, one has null, one a number.
pub fn orders(range: std::ops::Range<i32>) -> impl Iterator<Item = RawDocumentBuf> {
    range.map(|n| {
        let mut document = rawdoc! { "_id": n, "n": n };
        match n {
            7 => document.append(bson::cstr!("tenant"), bson::RawBson::Null),
            8 => document.append(bson::cstr!("tenant"), 8),
            n if n % 10 == 0 => {}
            n => document.append(bson::cstr!("tenant"), format!("t{}", n % 3)),
        }
        if n % 11 != 0 {
            document.append(
                bson::cstr!("at"),
                DateTime::from_millis(1_700_000_000_000 + i64::from(n) * 86_400_000),
            );
        }
        document
    })
}

async fn of_table(bench: &Bench, table: &str, what: &str) -> String {
    let question =
        format!("SELECT {what} FROM system.tables WHERE database = currentDatabase() AND name = '{table}'");
    bench.ask(&question).await
}

pub async fn type_of(bench: &Bench, table: &str, column: &str) -> String {
    let question = format!(
        "SELECT type FROM system.columns WHERE database = currentDatabase() AND table = '{table}' AND name = '{column}'"
    );
    bench.ask(&question).await
}

/// Commands for either protocol: the table's name, and the address.
pub async fn ends(bench: &Bench) -> [(&'static str, String); 2] {
    [("http", bench.to()), ("native", bench.to_natively().await)]
}

pub fn copy_to(bench: &Bench, to: &str, table: &str, more: &[&str]) -> Command {
    let ends = ["copy", "--from", bench.from(), "--collection", "orders", "--to", to, "--table", table];
    zenith(&[&ends[..], more].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_has_the_key_and_the_partitions_that_are_asked_for() {
    let bench = Bench::new("tables_copy").await;
    bench.fill("orders", orders(0..200)).await;
    for (table, to) in ends(&bench).await {
        let shape = [
            "--order-by=tenant",
            "--order-by=toDate(at)",
            "--primary-key=tenant",
            "--partition-by=toYYYYMM(at)",
            "--setting=index_granularity=256",
            "--comment=orders of all",
            "--index=by_n=n TYPE minmax GRANULARITY 1",
            "--projection=by_n=SELECT * ORDER BY n",
            "--column=n=COMMENT 'a number' CODEC(Delta(8), ZSTD(1))",
            "--column=day=Date MATERIALIZED toDate(at)",
        ];
        let copy = |more: &[&str]| run(copy_to(&bench, &to, table, more));
        let dry = copy(&[&shape[..], &["--dry-run"]].concat()).await.succeeded();
        assert!(dry.stdout.contains("ORDER BY (tenant, toDate(at), `_id`)"), "{dry:?}");
        assert_eq!(bench.tables().await.iter().filter(|name| name.starts_with(table)).count(), 0, "{dry:?}");
        // The second replaces the first.
        for _ in 0..2 {
            copy(&shape).await.succeeded();
            let keys = of_table(&bench, table, "sorting_key, primary_key, partition_key, comment").await;
            assert_eq!(keys, "tenant, toDate(at), _id\ttenant\ttoYYYYMM(at)\torders of all");
        }
        let create = bench.ask(&format!("SHOW CREATE TABLE {table} FORMAT TSVRaw")).await;
        for part in [
            "INDEX by_n n TYPE minmax GRANULARITY 1",
            "PROJECTION by_n",
            "index_granularity = 256",
            "`n` Nullable(Int64) COMMENT 'a number' CODEC(Delta(8), ZSTD(1))",
            "`day` Date MATERIALIZED toDate(at)",
        ] {
            assert!(create.contains(part), "{part}: {create}");
        }
        assert_eq!(
            type_of(&bench, table, "tenant").await.replace("LowCardinality(String)", "String"),
            "String"
        );
        assert!(type_of(&bench, table, "at").await.starts_with("DateTime64(3"));
        let question = format!("SELECT count(), countIf(day = toDate(at)) FROM {table} WHERE tenant = 't1'");
        assert_eq!(bench.ask(&question).await, "59\t59");
        let question = format!(
            "SELECT tenant, toUnixTimestamp64Milli(at), _zenith_notes, _zenith_extra FROM {table} WHERE _id IN (0, 7, 8) \
             ORDER BY _id FORMAT TSVRaw"
        );
        let rows = bench.ask(&question).await;
        let rows: Vec<&str> = rows.lines().collect();
        assert_eq!(rows[0], "\t0\t{\"tenant\":\"missing\",\"at\":\"missing\"}\t", "{rows:?}");
        assert_eq!(rows[1], "\t1700604800000\t{\"tenant\":\"null\"}\t", "{rows:?}");
        assert_eq!(rows[2], "\t1700691200000\t\t{\"tenant\":{\"$numberInt\":\"8\"}}", "{rows:?}");
        let refused = copy(&["--order-by=at"]).await;
        assert!(refused.code == Some(2) && refused.stderr.contains("sorting key"), "{refused:?}");
        copy(&["--order-by=at", "--partition-by=", "--primary-key=at", "--replace"]).await.succeeded();
        let keys = of_table(&bench, table, "sorting_key, primary_key, partition_key").await;
        assert_eq!(keys, "at, _id\tat\t");
        let truncate = copy(&["--order-by=n", "--strategy=truncate"]).await;
        assert!(truncate.code == Some(2) && truncate.stderr.contains("sorting key"), "{truncate:?}");
    }
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_of_many_partitions_succeeds() {
    let bench = Bench::new("tables_partitions").await;
    bench.fill("orders", (0..600).map(|n| rawdoc! { "_id": n, "shop": n % 300 })).await;
    for (table, to) in ends(&bench).await {
        for strategy in ["swap", "truncate"] {
            let more = ["--partition-by=shop", "--strategy", strategy];
            run(copy_to(&bench, &to, table, &more)).await.succeeded();
            let question = format!("SELECT count(), uniqExact(_partition_id), sum(shop) FROM {table}");
            assert_eq!(bench.ask(&question).await, format!("600\t300\t{}", 299 * 300));
        }
    }
    bench.remove().await;
}

const SHAPE: &str = "[pipelines.orders.table]\nname = \"shaped\"\norder_by = [\"tenant\", \"toDate(at)\"]\npartition_by = \
                     \"toYYYYMM(at)\"\ncomment = \"for all\"\n[pipelines.orders.table.settings]\nindex_granularity = 128\n\
                     [pipelines.orders.table.indexes]\nby_n = \"n TYPE minmax\"\n[pipelines.orders.columns.n]\ncodec = \"ZSTD(3)\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn pipelines_of_rows_that_stay_have_any_key() {
    let bench = Bench::new("tables_modes").await;
    bench.fill("orders", orders(0..100)).await;
    for (mode, key) in [
        ("full", "tenant, toDate(at), _id"),
        ("id-cursor", "tenant, toDate(at), _id"),
        ("change-log", "tenant, toDate(at), _id, _zenith_version, _zenith_index"),
    ] {
        for (protocol, to) in ends(&bench).await {
            bench.ask("DROP TABLE IF EXISTS shaped").await;
            let mut home = Home::new();
            home.set("MONGO", bench.from());
            home.set("CLICKHOUSE", &to);
            home.configure(&[(
                "orders",
                &format!("collection = \"orders\"\nmode = \"{mode}\"\nsettle = \"0s\"\n{SHAPE}"),
            )]);
            let checked = home.run(&["check"]).await.succeeded();
            assert!(bench.tables().await.iter().all(|table| !table.starts_with("shaped")), "{checked:?}");
            home.apply().await;
            home.run(&["run", "--once"]).await.succeeded();
            let orders = bench.databases.mongodb.collection::<bson::Document>("orders");
            orders.insert_one(doc! { "_id": 1_000, "tenant": "new" }).await.unwrap();
            orders.insert_one(doc! { "_id": 1_001 }).await.unwrap();
            orders.delete_one(doc! { "_id": 1_001 }).await.unwrap();
            home.run(&["run", "--once"]).await.succeeded();
            let at = format!("{mode} {protocol}");
            let keys =
                of_table(&bench, "shaped", "sorting_key, partition_key, comment LIKE 'for all%'").await;
            assert_eq!(keys, format!("{key}\ttoYYYYMM(at)\t1"), "{at}");
            assert_eq!(bench.ask("SELECT _id FROM shaped WHERE tenant = 'new'").await, "1000", "{at}");
            let create = bench.ask("SHOW CREATE TABLE shaped FORMAT TSVRaw").await;
            for part in ["INDEX by_n n TYPE minmax", "CODEC(ZSTD(3))", "index_granularity = 128"] {
                assert!(create.contains(part), "{at}: {create}");
            }
            if mode == "change-log" {
                let question =
                    "SELECT groupArray(_zenith_operation), any(tenant) FROM shaped WHERE _id = 1001";
                assert_eq!(bench.ask(question).await, "['insert','delete']\t", "{at}");
            } else {
                let verified = home.run(&["verify", "orders"]).await;
                assert_eq!(verified.code, Some(0), "{at}: {verified:?}");
            }
            let checked = home.run(&["check"]).await.succeeded();
            assert!(!checked.stdout.contains("sorting key"), "{at}: {checked:?}");
            orders.delete_one(doc! { "_id": 1_000 }).await.unwrap();
        }
    }
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_kept_in_step_has_what_is_safe() {
    let bench = Bench::new("tables_changes").await;
    bench.fill("orders", orders(0..100)).await;
    for (protocol, to) in ends(&bench).await {
        bench.ask("DROP TABLE IF EXISTS orders").await;
        let mut home = Home::new();
        home.set("MONGO", bench.from());
        home.set("CLICKHOUSE", &to);
        let pipeline =
            |settings: &str| home.configure(&[("orders", &format!("collection = \"orders\"\n{settings}"))]);
        for (settings, parts) in [(
            "[pipelines.orders.table]\nttl = \"toDateTime(at) + INTERVAL 1 DAY\"",
            &["line 10", "ttl", "return"][..],
        )] {
            pipeline(settings);
            let refused = home.run(&["apply", "--yes"]).await;
            assert_eq!(refused.code, Some(2), "{refused:?}");
            assert!(parts.iter().all(|part| refused.stderr.contains(part)), "{parts:?}: {refused:?}");
        }
        pipeline(
            "nullable = \"auto\"\n[pipelines.orders.table]\norder_by = [\"cityHash64(_id)\"]\npartition_by = \"_id % 4\"\n\
             comment = \"x\"\n[pipelines.orders.table.indexes]\nby_tenant = \"tenant TYPE bloom_filter\"\n\
             [pipelines.orders.table.projections]\nby_n = \"SELECT * ORDER BY n\"\n[pipelines.orders.columns]\n\
             n = \"CODEC(ZSTD(3))\"\nday = \"Nullable(Date) MATERIALIZED toDate(at)\"\n",
        );
        home.apply().await;
        home.run(&["run", "--once"]).await.succeeded();
        let orders = bench.databases.mongodb.collection::<bson::Document>("orders");
        orders
            .update_many(doc! { "_id": { "$lt": 50 } }, doc! { "$set": { "tenant": "moved" } })
            .await
            .unwrap();
        orders
            .update_many(doc! { "_id": { "$in": [60, 61] } }, doc! { "$unset": { "n": "" } })
            .await
            .unwrap();
        orders.delete_many(doc! { "_id": { "$gte": 90 } }).await.unwrap();
        home.run(&["run", "--once"]).await.succeeded();
        assert_eq!(type_of(&bench, "orders", "n").await, "Int64", "{protocol}");
        assert!(type_of(&bench, "orders", "at").await.starts_with("Nullable"), "{protocol}");
        let keys = of_table(&bench, "orders", "sorting_key, partition_key").await;
        assert_eq!(keys, "cityHash64(_id), _id\t_id % 4", "{protocol}");
        let question = "SELECT count(), countIf(tenant = 'moved'), sum(n) FROM orders_current";
        assert_eq!(bench.ask(question).await, format!("90\t50\t{}", 89 * 45 - 121), "{protocol}");
        let question = "SELECT n, _zenith_notes FROM orders_current WHERE _id = 61 FORMAT TSVRaw";
        assert_eq!(bench.ask(question).await, "0\t{\"n\":\"missing\"}", "{protocol}");
        bench.ask("OPTIMIZE TABLE orders FINAL").await;
        home.run(&["verify", "orders"]).await.succeeded();
        home.run(&["reload", "orders"]).await.succeeded();
        home.run(&["verify", "orders"]).await.succeeded();
        assert_eq!(bench.ask("SELECT count() FROM orders_current").await, "90", "{protocol}");
        bench.ask("DROP TABLE orders").await;
        bench.databases.mongodb.collection::<bson::Document>("orders").drop().await.unwrap();
        bench.fill("orders", self::orders(0..100)).await;
    }
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clickhouse_refuses_is_told_with_its_line() {
    let bench = Bench::new("tables_refused").await;
    bench.fill("orders", orders(0..20)).await;
    let home = Home::between(&bench);
    for (settings, parts) in [
        ("order_by = [\"tenant\", \"nothing\"]", &["line 10", "order by", "nothing"][..]),
        ("order_by = [\"f(n\"]", &["line 10", "order_by", "bracket"]),
        ("partition_by = \"toYYYYMM(n, 'x')\"", &["line 10", "partition by"]),
        ("[pipelines.orders.table.indexes]\ni = \"n TYPE nothing\"", &["line 10", "indexes", "nothing"]),
        ("[pipelines.orders.table.settings]\nno_such = 1", &["line 10", "settings", "no_such"]),
        ("[pipelines.orders.columns.n]\ncodec = \"Nothing(1)\"", &["line 10", "columns", "Nothing"]),
        ("[pipelines.orders.columns.n]\nkind = \"Int8\"", &["line 11", "kind", "codec"]),
        ("[pipelines.orders.table]\norder = [\"n\"]", &["line 11", "order", "order_by"]),
        (
            "[pipelines.orders.columns.day]\nmaterialized = \"toDate(assumeNotNull(n) / throwIf(n IS NULL))\"",
            &["line 10", "columns"],
        ),
        ("[pipelines.orders.columns.n]\nalias = \"1\"", &["line 10", "columns", "documents have a field"]),
    ] {
        home.configure(&[("orders", &format!("collection = \"orders\"\nmode = \"full\"\n{settings}"))]);
        let checked = home.run(&["check"]).await;
        assert_eq!(checked.code, Some(2), "{settings}: {checked:?}");
        let said = format!("{}{}", checked.stdout, checked.stderr);
        assert!(parts.iter().all(|part| said.contains(part)), "{parts:?}: {said}");
        assert_eq!(bench.tables().await, Vec::<String>::new(), "{settings}");
    }
    home.configure(&[("orders", "collection = \"orders\"\nmode = \"full\"\norder_by = [\"nothing\"]")]);
    home.apply().await;
    let ran = home.run(&["run", "--once"]).await;
    assert!(ran.code == Some(2) && ran.stderr.contains("nothing"), "{ran:?}");
    assert_eq!(bench.tables().await, Vec::<String>::new(), "{ran:?}");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_makes_another_key_and_keeps_additions() {
    let bench = Bench::new("tables_reload").await;
    bench.fill("orders", orders(0..50)).await;
    let home = Home::between(&bench);
    home.configure(&[("orders", "collection = \"orders\"\nmode = \"full\"")]);
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();
    bench.ask("ALTER TABLE orders ADD INDEX of_mine n TYPE minmax GRANULARITY 1").await;
    let shape =
        "collection = \"orders\"\nmode = \"full\"\norder_by = [\"tenant\"]\npartition_by = \"toYYYYMM(at)\"";
    home.configure(&[("orders", shape)]);
    let checked = home.run(&["check"]).await.succeeded();
    assert!(
        checked.stdout.contains("the table has (_id), the new one would have (tenant, _id)"),
        "{checked:?}"
    );
    let applied = home.apply().await;
    assert!(
        applied.stdout.contains("order_by") && applied.stdout.contains("zenith reload orders"),
        "{applied:?}"
    );
    home.run(&["reload", "orders"]).await.succeeded();
    let keys = of_table(&bench, "orders", "sorting_key, partition_key").await;
    assert_eq!(keys, "tenant, _id\ttoYYYYMM(at)");
    assert!(bench.ask("SHOW CREATE TABLE orders").await.contains("INDEX of_mine"));
    home.run(&["verify", "orders"]).await.succeeded();
    // A key that nothing says any more is not lost in silence.
    home.configure(&[("orders", "collection = \"orders\"\nmode = \"full\"")]);
    home.apply().await;
    let refused = home.run(&["reload", "orders"]).await;
    assert!(refused.code == Some(2) && refused.stderr.contains("order_by"), "{refused:?}");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_has_the_engine_that_is_asked_for() {
    let bench = Bench::new("tables_engine").await;
    bench.fill("orders", orders(0..100)).await;
    for (protocol, to) in ends(&bench).await {
        let engine = ["--engine", "ReplacingMergeTree"];
        run(copy_to(&bench, &to, protocol, &engine)).await.succeeded();
        assert_eq!(of_table(&bench, protocol, "engine").await, "ReplacingMergeTree");
        // A table of another engine is told, and replaced on request.
        let other = run(copy_to(&bench, &to, protocol, &["--engine", "MergeTree"])).await;
        assert!(
            other.code == Some(2) && other.stderr.contains("engine: the table has ReplacingMergeTree"),
            "{other:?}"
        );
        run(copy_to(&bench, &to, protocol, &["--engine", "MergeTree", "--replace"])).await.succeeded();
        assert_eq!(of_table(&bench, protocol, "engine").await, "MergeTree");
    }
    let home = Home::between(&bench);
    let cursor = "collection = \"orders\"\ntable = \"cursor\"\nmode = \"id-cursor\"\nsettle = \"0s\"\n";
    let current = "collection = \"orders\"\n";
    home.configure(&[
        ("cursor", &format!("{cursor}engine = \"ReplacingMergeTree\"")),
        ("orders", &format!("{current}[pipelines.orders.table]\nengine = \"ReplacingMergeTree\"")),
    ]);
    home.run(&["check"]).await.succeeded();
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(of_table(&bench, "cursor", "engine").await, "ReplacingMergeTree");
    let full = of_table(&bench, "orders", "engine_full").await;
    assert!(full.starts_with("ReplacingMergeTree(_zenith_version, _zenith_deleted) ORDER BY _id"), "{full}");
    for name in ["cursor", "orders"] {
        home.run(&["reload", name]).await.succeeded();
        home.run(&["run", "--once"]).await.succeeded();
        home.run(&["verify", name]).await.succeeded();
        assert_eq!(of_table(&bench, name, "engine").await, "ReplacingMergeTree");
    }
    home.configure(&[("cursor", cursor), ("orders", current)]);
    let checked = home.run(&["check"]).await.succeeded();
    assert!(checked.stdout.contains("exists and has the columns"), "{checked:?}");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn engines_that_do_not_suit_are_refused_with_their_line() {
    let bench = Bench::new("tables_engine_refused").await;
    bench.fill("orders", orders(0..20)).await;
    let home = Home::between(&bench);
    for (engine, part) in [
        ("SummingMergeTree", "keep the rows"),
        ("MergeTree", "newest row of a document"),
        ("ReplacingMergeTree(n)", "leave them out"),
        ("ReplicatedReplacingMergeTree('/one', 'r')", "path of its own in Keeper"),
        ("ReplacingMergeTree(", "a name with its arguments"),
    ] {
        home.configure(&[("orders", &format!("collection = \"orders\"\nengine = \"{engine}\""))]);
        let ended = home.run(&["apply", "--yes"]).await;
        assert!(ended.code == Some(2) && ended.stderr.contains(part), "{ended:?}");
        assert!(ended.stderr.contains("line 9") && ended.stderr.lines().count() == 1, "{ended:?}");
    }
    // What only ClickHouse knows, it says before anything is made.
    for (engine, part) in [
        ("ReplicatedReplacingMergeTree('/tables/{table}', 'r')", "ZooKeeper"),
        ("SharedReplacingMergeTree", "Unknown table engine"),
    ] {
        home.configure(&[("orders", &format!("collection = \"orders\"\nengine = \"{engine}\""))]);
        let ended = home.run(&["check"]).await;
        assert!(ended.code == Some(2) && ended.stdout.contains(part), "{ended:?}");
        assert!(ended.stdout.contains("line 9") && ended.stdout.contains("engine"), "{ended:?}");
        let copied = run(copy_to(&bench, &bench.to(), "orders", &["--engine", engine])).await;
        assert!(copied.code == Some(2) && copied.stderr.contains(part), "{copied:?}");
    }
    assert!(bench.tables().await.is_empty());
    bench.remove().await;
}
