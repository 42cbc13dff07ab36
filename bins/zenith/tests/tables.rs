//! The table its user wants: keys, partitions, indices and columns, as ClickHouse has them.

use bson::{DateTime, RawDocumentBuf, doc, rawdoc};
use tokio::process::Command;
use zenith_testkit::TestServers;

use crate::harness::{Bench, run, zenith};
use crate::home::Home;

/// Of three tenants and some months; every tenth lacks its tenant, every eleventh its date, one has null, one a number.
fn orders(range: std::ops::Range<i32>) -> impl Iterator<Item = RawDocumentBuf> {
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

async fn type_of(bench: &Bench, table: &str, column: &str) -> String {
    let question = format!(
        "SELECT type FROM system.columns WHERE database = currentDatabase() AND table = '{table}' AND name = '{column}'"
    );
    bench.ask(&question).await
}

/// Commands for either protocol: the table's name, and the address.
async fn ends(bench: &Bench) -> [(&'static str, String); 2] {
    let address = TestServers::shared().await.clickhouse_native();
    let native = format!("clickhouse://{address}/{}", bench.databases.clickhouse.database());
    [("http", bench.to()), ("native", native)]
}

fn copy_to(bench: &Bench, to: &str, table: &str, more: &[&str]) -> Command {
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
        for (settings, parts) in [
            ("order_by = [\"tenant\", \"_id\"]", &["line 9", "order_by", "change-log"][..]),
            (
                "[pipelines.orders.table]\npartition_by = \"toYYYYMM(at)\"",
                &["line 10", "partition_by", "only _id"],
            ),
            (
                "[pipelines.orders.table]\nttl = \"toDateTime(at) + INTERVAL 1 DAY\"",
                &["line 10", "ttl", "return"],
            ),
        ] {
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

const COLUMNS: &str = "[pipelines.orders.columns]\nprice = \"Decimal(9, 2) CODEC(ZSTD(1))\"\nquantity = \"UInt8 NOT NULL\"\n\
                       seconds = \"DateTime('Europe/Berlin')\"\nday = \"Date\"\nnanos = \"DateTime64(9, 'UTC')\"\n\
                       key = \"UUID\"\naddress = \"IPv4\"\nsix = \"IPv6\"\nstate = \"Enum('new', 'paid' = 7)\"\n\
                       code = \"LowCardinality(String)\"\nparts = \"String\"\nany = \"JSON\"\nlater = \"Nullable(Int64)\"\n\
                       [pipelines.orders.columns.name]\nlow_cardinality = true\nnullable = false\n";

/// One that fits, and one of which nothing does.
fn typed() -> [bson::Document; 3] {
    let date = |ms| DateTime::from_millis(ms);
    let fits = doc! {
        "_id": 1, "price": 12.5, "quantity": 200, "seconds": date(1_700_000_000_000), "day": date(1_699_920_000_000),
        "nanos": date(1_700_000_000_123), "key": "0190163d-8694-739b-aea5-966c26f8ad91", "address": "10.0.0.1",
        "six": "2001:db8::1", "state": "paid", "code": 7, "parts": { "a": [1, { "b": true }] }, "any": { "x": 1 },
        "name": "n",
    };
    let not = doc! {
        "_id": 2, "price": 1.005, "quantity": 256, "seconds": date(1_700_000_000_001), "day": date(-1),
        "nanos": date(32_503_680_000_000), "key": "0190163D-8694-739B-AEA5-966C26F8AD91", "address": "10.0.0.300",
        "six": "::ffff:10.0.0.1", "state": "sold", "code": "x", "parts": [1], "any": [1], "later": "soon", "name": 5,
    };
    [fits, not, doc! { "_id": 3, "quantity": bson::Bson::Null }]
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_have_the_types_that_are_asked_for_in_every_mode() {
    let bench = Bench::new("tables_types").await;
    let orders = bench.databases.mongodb.collection::<bson::Document>("orders");
    orders.insert_many(typed()).await.unwrap();
    for mode in ["full", "id-cursor", "changes", "change-log"] {
        for (protocol, to) in ends(&bench).await {
            let at = format!("{mode} {protocol}");
            bench.ask("DROP TABLE IF EXISTS orders").await;
            let mut home = Home::new();
            home.set("MONGO", bench.from());
            home.set("CLICKHOUSE", &to);
            let pipeline = format!("collection = \"orders\"\nmode = \"{mode}\"\nsettle = \"0s\"\n{COLUMNS}");
            home.configure(&[("orders", &pipeline)]);
            home.run(&["check"]).await.succeeded();
            home.apply().await;
            home.run(&["run", "--once"]).await.succeeded();
            // Changes find these, too.
            orders.delete_many(doc! { "_id": { "$gt": 3 } }).await.unwrap();
            for (id, mut document) in (4..).zip(typed()) {
                document.insert("_id", id);
                orders.insert_one(document).await.unwrap();
            }
            home.run(&["run", "--once"]).await.succeeded();
            for (column, data_type) in [
                ("price", "Nullable(Decimal(9, 2))"),
                ("quantity", "UInt8"),
                ("seconds", "Nullable(DateTime(\\'Europe/Berlin\\'))"),
                ("state", "Nullable(Enum8(\\'new\\' = 1, \\'paid\\' = 7))"),
                ("code", "LowCardinality(Nullable(String))"),
                ("name", "LowCardinality(String)"),
                ("later", "Nullable(Int64)"),
                ("any", "JSON"),
            ] {
                assert_eq!(type_of(&bench, "orders", column).await, data_type, "{at} {column}");
            }
            let (rows, only) = match mode {
                "change-log" => ("_id = 4", "AND _zenith_operation = 'insert'"),
                _ => ("_id IN (1, 4)", ""),
            };
            let from = if mode == "changes" { "orders_current" } else { "orders" };
            let question = format!(
                "SELECT DISTINCT price, quantity, toUnixTimestamp(seconds), day, toString(nanos), key, address, six, state, \
                 code, parts, any.x, name, later FROM {from} WHERE {rows} {only} FORMAT TSVRaw"
            );
            assert_eq!(
                bench.ask(&question).await,
                "12.5\t200\t1700000000\t2023-11-14\t2023-11-14 22:13:20.123000000\t0190163d-8694-739b-aea5-966c26f8ad91\t\
                 10.0.0.1\t2001:db8::1\tpaid\t7\t{\"a\":[1,{\"b\":true}]}\t1\tn\t\\N",
                "{at}"
            );
            let question = format!(
                "SELECT price, quantity, seconds, day, nanos, key, address, six, state, code, later, name FROM {from} WHERE \
                 _id = 5 {only} FORMAT TSVRaw"
            );
            let nothing = "\\N\t0\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\tx\t\\N\t5";
            assert_eq!(bench.ask(&question).await, nothing, "{at}");
            let question =
                format!("SELECT quantity, _zenith_notes FROM {from} WHERE _id = 6 {only} FORMAT TSVRaw");
            let noted = bench.ask(&question).await;
            assert!(
                noted.contains("\"quantity\":\"null\"") && noted.contains("\"name\":\"missing\""),
                "{at}: {noted}"
            );
            if mode != "change-log" {
                home.run(&["verify", "orders"]).await.succeeded();
            }
            if mode == "changes" {
                orders.delete_one(doc! { "_id": 5 }).await.unwrap();
                home.run(&["run", "--once"]).await.succeeded();
                home.run(&["reload", "orders"]).await.succeeded();
                home.run(&["verify", "orders"]).await.succeeded();
            }
            home.run(&["check"]).await.succeeded();
        }
    }
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_gives_types_and_counts_what_does_not_fit() {
    let bench = Bench::new("tables_copied_types").await;
    bench.fill("orders", (0..3_000).map(|n| rawdoc! { "_id": n, "n": n, "price": n })).await;
    for (table, to) in ends(&bench).await {
        let more = [
            "--column=n=UInt8",
            "--column=price=Decimal(18, 4) CODEC(ZSTD(1))",
            "--order-by=price",
            "--json",
        ];
        // The second keeps what the first has made.
        for _ in 0..2 {
            let copied = run(copy_to(&bench, &to, table, &more)).await.succeeded();
            assert_eq!(copied.json()["extra_values"]["n"]["out of range"], 3_000 - 256, "{copied:?}");
            assert!(!copied.stderr.contains("starts over"), "{copied:?}");
            assert_eq!(type_of(&bench, table, "n").await, "Nullable(UInt8)");
            assert_eq!(type_of(&bench, table, "price").await, "Decimal(18, 4)");
            let question =
                format!("SELECT count(n), sum(n), sum(price), countIf(_zenith_extra != '') FROM {table}");
            assert_eq!(bench.ask(&question).await, "256\t32640\t4498500\t2744");
        }
        for (column, part) in
            [("n=Float32", "Float64"), ("n=Map(String, Int8)", "Decimal"), ("_id=Int8", "_id")]
        {
            let refused = run(copy_to(&bench, &to, table, &["--column", column])).await;
            assert!(refused.code == Some(2) && refused.stderr.contains(part), "{refused:?}");
        }
    }
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_yet_to_be_made_gets_the_table() {
    let bench = Bench::new("tables_database").await;
    bench.fill("orders", orders(0..20)).await;
    let database = format!("{}_made", bench.databases.clickhouse.database());
    let mut home = Home::new();
    home.set("MONGO", bench.from());
    home.set("CLICKHOUSE", &bench.to().replace(bench.databases.clickhouse.database(), &database));
    for mode in ["changes", "full", "change-log"] {
        let settings = "[pipelines.orders.columns]\ntenant = \"Enum('t0', 't1')\"\nn = \"Decimal(5)\"\nday = \"Nullable(Date) \
                        MATERIALIZED toDate(at)\"";
        home.configure(&[("orders", &format!("collection = \"orders\"\nmode = \"{mode}\"\n{settings}"))]);
        home.run(&["check"]).await.succeeded();
        home.apply().await;
        for _ in 0..2 {
            home.run(&["run", "--once"]).await.succeeded();
        }
        let question = format!(
            "SELECT count() > 0 FROM system.columns WHERE database = '{database}' AND name = 'tenant' AND type = \
             'Nullable(Enum8(\\'t0\\' = 1, \\'t1\\' = 2))'"
        );
        assert_eq!(bench.ask(&question).await, "1", "{mode}");
        if mode != "change-log" {
            home.run(&["verify", "orders"]).await.succeeded();
        }
        bench.ask(&format!("DROP DATABASE {database} SYNC")).await;
        std::fs::remove_file(home.folder.path().join("state.sqlite")).unwrap();
    }
    bench.remove().await;
}

/// Columns for new fields, and values that move into columns, leave the others as they are.
#[tokio::test(flavor = "multi_thread")]
async fn chosen_columns_stay_while_others_come() {
    let bench = Bench::new("tables_evolving").await;
    let document = |id: i32| {
        doc! { "_id": id, "n": id, "tenant": "a", "key": format!("0190163d-8694-739b-aea5-966c26f8ad{id:02}") }
    };
    let orders = bench.databases.mongodb.collection::<bson::Document>("orders");
    let columns = "[pipelines.orders.columns]\nn = \"UInt8\"\nkey = \"UUID\"\ntenant = \"String NOT NULL\"\n";
    for (mode, more) in
        [("changes", ""), ("id-cursor", "order_by = [\"n\"]"), ("change-log", "order_by = [\"n\"]")]
    {
        bench.ask("DROP TABLE IF EXISTS orders").await;
        let _ = orders.drop().await;
        orders.insert_many((0..20).map(document)).await.unwrap();
        let home = Home::between(&bench);
        let settings =
            format!("collection = \"orders\"\nmode = \"{mode}\"\nsettle = \"0s\"\n{more}\n{columns}");
        home.configure(&[("orders", &settings)]);
        home.apply().await;
        home.run(&["run", "--once"]).await.succeeded();
        for (id, on_new_field) in [(20, "add"), (21, "extra")] {
            home.configure(&[(
                "orders",
                &settings.replace("mode", &format!("on_new_field = \"{on_new_field}\"\nmode")),
            )]);
            home.apply().await;
            let mut odd = document(id);
            odd.extend(doc! { format!("new{id}"): id, "n": id * 13 });
            orders.insert_one(odd).await.unwrap();
            home.run(&["run", "--once"]).await.succeeded();
        }
        let from = if mode == "changes" { "orders_current" } else { "orders" };
        let promoted = home.run(&["schema", "promote", "orders", "--apply"]).await;
        assert_eq!(promoted.code, Some(0), "{mode}: {promoted:?}");
        let question = format!(
            "SELECT n, tenant, toString(key), new20, new21 FROM {from} WHERE _id IN (20, 21) ORDER BY _id FORMAT TSVRaw"
        );
        let key = "0190163d-8694-739b-aea5-966c26f8ad";
        let expected = match more {
            // 273 does not fit, and a column of a key is never NULL.
            "" => format!("\\N\ta\t{key}20\t20\t\\N\n\\N\ta\t{key}21\t\\N\t21"),
            _ => format!("0\ta\t{key}20\t20\t\\N\n0\ta\t{key}21\t\\N\t21"),
        };
        assert_eq!(bench.ask(&question).await, expected, "{mode}");
        assert_eq!(type_of(&bench, "orders", "tenant").await, "String", "{mode}");
        if mode != "change-log" {
            home.run(&["verify", "orders"]).await.succeeded();
        }
    }
    bench.remove().await;
}
