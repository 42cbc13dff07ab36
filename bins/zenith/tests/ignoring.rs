//! Fields that the table has no column for are left out.

use bson::{Document, doc, rawdoc};

use crate::evolving::natively;
use crate::harness::Bench;
use crate::home::{Home, stop};

const IGNORE: &str = "collection = \"orders\"\non_new_field = \"ignore\"";

async fn bench(label: &str) -> (Bench, mongodb::Collection<Document>) {
    let bench = Bench::new(label).await;
    let known = |n: i32| {
        rawdoc! { "_id": n, "item": "tea", "customer": { "name": "n" }, "lines": [{ "sku": "a" }], "code": 1 }
    };
    bench.fill("orders", (0..10).map(known)).await;
    let orders = bench.databases.mongodb.collection("orders");
    (bench, orders)
}

/// Documents with keys that no column is for, at every level; one does not fit its column, and one is a document in the place
/// of an array.
fn documents(first: i32) -> Vec<Document> {
    vec![
        doc! { "_id": first, "item": "new", "secret": "x", "customer": { "name": "m", "age": 7 } },
        doc! { "_id": first + 1, "item": "new", "lines": [{ "sku": "b", "secret": 1 }, { "secret": 2 }], "empty": [] },
        doc! { "_id": first + 2, "item": "new", "customer": { "age": 1 }, "code": { "secret": 5 } },
        doc! { "_id": first + 3, "item": "new", "lines": { "sku": "c", "alone": 1 }, "none": null },
    ]
}

async fn shows(bench: &Bench, table: &str, first: i32) {
    let within = format!("FROM {table} WHERE _id >= {first} AND _id < {}", first + 4);
    let columns = "SELECT count() FROM system.columns WHERE database = currentDatabase() AND table = '{}' AND \
                   name LIKE 'secret%'";
    assert_eq!(bench.ask(&columns.replace("{}", table)).await, "0");
    let shown = format!(
        "SELECT groupArray(item), groupArray(customer.name), groupArray(lines.sku) FROM (SELECT * {within} ORDER BY _id)"
    );
    assert_eq!(bench.ask(&shown).await, "['new','new','new','new']\t['m']\t[[],['b',NULL],[],['c']]");
    let extra = format!("SELECT _id - {first}, _zenith_extra {within} AND _zenith_extra != '' ORDER BY _id");
    assert_eq!(
        bench.ask(&extra).await,
        "2\t{\"code\":{\"secret\":{\"$numberInt\":\"5\"}}}\n3\t{\"lines\":{\"sku\":\"c\",\"alone\":{\"$numberInt\":\"1\"}}}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_without_a_column_are_left_out_in_every_mode() {
    let (bench, orders) = bench("ignoring").await;
    let home = natively(&bench).await;
    let of = |mode: &str| {
        format!("{IGNORE}\nmode = \"{mode}\"\ntable = \"{}\"\nsettle = \"0s\"", mode.replace('-', "_"))
    };
    let modes = ["changes", "change-log", "id-cursor"];
    let settings = modes.map(of);
    let pipelines: Vec<(&str, &str)> =
        ["orders", "log", "cursor"].into_iter().zip(settings.iter().map(String::as_str)).collect();
    home.configure(&pipelines);
    home.apply().await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    orders.insert_many(documents(20)).await.unwrap();
    let ended = home.run(&["run", "--once", "--quiet"]).await.succeeded();
    for pipeline in ["orders", "log", "cursor"] {
        let told = ended
            .stderr
            .lines()
            .filter(|line| line.contains("left out") && line.ends_with(&format!("pipeline=\"{pipeline}\"")));
        assert_eq!(told.count(), 1, "{ended:?}");
    }
    assert!(ended.stderr.contains("customer.age") && ended.stderr.contains("secret"), "{ended:?}");
    // While it follows, with a kill in between.
    let mut child = home.start(&["--quiet"]).await;
    home.until("it follows", async || home.pipeline("orders").await["lag_seconds"].is_number()).await;
    orders.insert_many(documents(30)).await.unwrap();
    child.kill().await.unwrap();
    child.wait().await.unwrap();
    let child = home.start(&["--quiet"]).await;
    orders.insert_many(documents(40)).await.unwrap();
    for table in ["changes", "change_log", "id_cursor"] {
        let shown = format!(
            "SELECT countIf(item = 'new') FROM {table}{}",
            if table == "changes" { " FINAL" } else { "" }
        );
        home.until("they are there", async || bench.ask(&shown).await == "12").await;
    }
    stop(child).await.succeeded();
    for table in ["changes_current", "change_log", "id_cursor"] {
        for first in [20, 30, 40] {
            shows(&bench, table, first).await;
        }
    }
    for pipeline in ["orders", "cursor"] {
        let verified = home.run(&["verify", pipeline]).await.succeeded();
        assert!(!verified.stdout.contains("secret") && !verified.stdout.contains("age"), "{verified:?}");
        let status = home.pipeline(pipeline).await.to_string();
        assert!(!status.contains("no column") && !status.contains("secret"), "{status}");
    }
    // Of a load the columns are chosen by what its documents have: these fields are not rare any more.
    home.run(&["reload", "orders"]).await.succeeded();
    assert_eq!(bench.ask("SELECT count(), max(secret) FROM changes_current").await, "22\tx");
    home.run(&["verify", "orders"]).await.succeeded();
    bench.remove().await;
}

/// Rows of a time with another setting, and columns that come later.
#[tokio::test(flavor = "multi_thread")]
async fn rows_of_other_settings_are_equal() {
    let (bench, orders) = bench("ignoring_before").await;
    let home = Home::between(&bench);
    let settings = |policy: &str| format!("collection = \"orders\"\non_new_field = \"{policy}\"");
    let with = async |policy: &str| {
        home.configure(&[("orders", &settings(policy))]);
        home.apply().await;
    };
    with("extra").await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    orders.insert_many(documents(20)).await.unwrap();
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    with("ignore").await;
    orders.insert_many(documents(30)).await.unwrap();
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    home.run(&["verify", "orders"]).await.succeeded();
    // What earlier rows kept becomes a column, which those that left it out have nothing in; the rest stays where it is.
    home.run(&["schema", "promote", "orders", "--field", "secret", "--apply", "--quiet"]).await.succeeded();
    let shown =
        "SELECT countIf(secret = 'x'), countIf(JSONHas(_zenith_extra, 'customer')) FROM orders_current";
    assert_eq!(bench.ask(shown).await, "1\t2");
    orders.insert_many(documents(40)).await.unwrap();
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    assert_eq!(bench.ask(shown).await, "2\t2");
    home.run(&["verify", "orders"]).await.succeeded();
    // With another setting the rows are short of what they are to have.
    with("extra").await;
    assert_eq!(home.run(&["verify", "orders"]).await.code, Some(1));
    home.run(&["reload", "orders", "--quiet"]).await.succeeded();
    home.run(&["verify", "orders"]).await.succeeded();
    bench.remove().await;
}

/// Columns that somebody adds while the pipeline stands still are used by its next run, whatever the policy is.
#[tokio::test(flavor = "multi_thread")]
async fn columns_added_by_hand_are_used() {
    let (bench, orders) = bench("ignoring_by_hand").await;
    let home = natively(&bench).await;
    let of = |name: &str, more: &str| format!("collection = \"orders\"\ntable = \"{name}\"\n{more}");
    let settings = [
        ("ignoring", of("ignoring", "on_new_field = \"ignore\"\nexclude = [\"hidden\"]")),
        ("keeping", of("keeping", "on_new_field = \"extra\"\nrename = { wide = \"broad\" }")),
        ("log", of("log", "mode = \"change-log\"")),
    ];
    let pipelines: Vec<(&str, &str)> =
        settings.iter().map(|(name, settings)| (*name, settings.as_str())).collect();
    home.configure(&pipelines);
    home.apply().await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    orders.insert_one(doc! { "_id": 20, "secret": 1, "wide": 2, "hidden": 3 }).await.unwrap();
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    for table in ["ignoring", "keeping", "log"] {
        bench
            .ask(&format!(
                "ALTER TABLE {table} ADD COLUMN IF NOT EXISTS secret Nullable(Int64), \
                 ADD COLUMN IF NOT EXISTS broad Nullable(Int64), ADD COLUMN hidden_mine Nullable(String), \
                 ADD COLUMN IF NOT EXISTS hidden Nullable(Int64), ADD COLUMN stamp DateTime DEFAULT now()"
            ))
            .await;
    }
    // An integer that alone would make a column of another type; a text that does not fit.
    orders.insert_one(doc! { "_id": 21, "secret": 5, "wide": 6, "broad": 7, "hidden": 8 }).await.unwrap();
    orders.insert_one(doc! { "_id": 22, "secret": "x" }).await.unwrap();
    let ended = home.run(&["run", "--once", "--quiet"]).await.succeeded();
    for table in ["ignoring", "keeping"] {
        assert!(ended.stderr.contains(&format!("columns of {table} were changed by hand")), "{ended:?}");
    }
    let shown =
        "SELECT groupArray(secret), max(broad), max(hidden), countIf(stamp = 0), max(hidden_mine) FROM";
    assert_eq!(bench.ask(&format!("{shown} ignoring_current")).await, "[5]\t7\t\\N\t0\t\\N");
    assert_eq!(bench.ask(&format!("{shown} keeping_current")).await, "[5]\t6\t8\t0\t\\N");
    for pipeline in ["ignoring", "keeping"] {
        home.run(&["verify", pipeline]).await.succeeded();
    }
    // What an earlier row has in the extra column moves there.
    home.run(&["schema", "promote", "keeping", "--apply", "--quiet"]).await.succeeded();
    assert_eq!(bench.ask(&format!("{shown} keeping_current")).await, "[1,5]\t6\t8\t0\t\\N");
    home.run(&["verify", "keeping"]).await.succeeded();
    bench.remove().await;
}
