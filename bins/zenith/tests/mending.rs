//! `reload` and `reset`: what people do when a table is not as it should be.

use bson::rawdoc;

use crate::harness::Bench;
use crate::home::{Home, stop};

#[tokio::test(flavor = "multi_thread")]
async fn reload_replaces_the_table() {
    let bench = Bench::new("reload").await;
    bench.fill("orders", (0..10).map(|n| rawdoc! { "_id": n, "item": "tea" })).await;
    let home = Home::between(&bench);
    home.configure(&[("orders", "collection = \"orders\"")]);
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();
    bench.ask("TRUNCATE TABLE orders").await;

    let dry = home.run(&["reload", "orders", "--dry-run"]).await.succeeded();
    assert!(dry.stdout.contains("replace the table orders in one step, and drop its 0 rows"), "{dry:?}");
    assert_eq!(bench.ask("SELECT count() FROM orders_current").await, "0");
    let json = home.json(&["reload", "orders", "--dry-run"]).await;
    assert_eq!((&json["documents"], &json["table_rows"]), (&10.into(), &0.into()));

    let child = home.start(&[]).await;
    let refused = home.run(&["reload", "orders"]).await;
    assert!(
        refused.code == Some(2) && refused.stderr.contains("while `zenith run` is under way"),
        "{refused:?}"
    );
    stop(child).await;

    let ended = home.run(&["reload", "orders"]).await.succeeded();
    assert!(ended.stdout.starts_with("10 rows in "), "{ended:?}");
    assert_eq!(bench.ask("SELECT count() FROM orders_current").await, "10");
    bench.fill("orders", [rawdoc! { "_id": 10, "item": "tea" }]).await;
    home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(bench.ask("SELECT count() FROM orders_current").await, "11");
    let ended = home.run(&["reload", "order"]).await;
    assert!(ended.code == Some(2) && ended.stderr.contains("did you mean orders?"), "{ended:?}");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reset_goes_on_from_elsewhere() {
    let bench = Bench::new("reset").await;
    bench.fill("orders", (0..10).map(|n| rawdoc! { "_id": n, "item": "tea" })).await;
    let home = Home::between(&bench);
    home.configure(&[("orders", "collection = \"orders\"")]);
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();

    let ended = home.run(&["reset", "orders", "--from", "now"]).await;
    assert!(ended.code == Some(2) && ended.stderr.contains("--yes"), "{ended:?}");
    let dry = home.run(&["reset", "orders", "--from", "beginning", "--dry-run"]).await.succeeded();
    assert!(dry.stdout.contains("begins anew") && dry.stdout.contains("nothing was changed"), "{dry:?}");
    let wrong = home.run(&["reset", "orders", "--from", "yesterday", "--yes"]).await;
    assert!(wrong.code == Some(2) && wrong.stderr.contains("2026-01-31T12:00:00Z"), "{wrong:?}");

    // What happens before `now` is left out, what comes after it is not.
    bench.fill("orders", [rawdoc! { "_id": 10, "item": "tea" }]).await;
    home.run(&["reset", "orders", "--from", "now", "--yes"]).await.succeeded();
    bench.fill("orders", [rawdoc! { "_id": 11, "item": "tea" }]).await;
    home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(bench.ask("SELECT count() FROM orders_current").await, "11");
    home.run(&["reset", "orders", "--from", "beginning", "--yes"]).await.succeeded();
    home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(bench.ask("SELECT count() FROM orders_current").await, "12");

    let child = home.start(&[]).await;
    let refused = home.run(&["reset", "orders", "--from", "now", "--yes"]).await;
    assert!(
        refused.code == Some(2) && refused.stderr.contains("while `zenith run` is under way"),
        "{refused:?}"
    );
    stop(child).await;
    bench.remove().await;
}
