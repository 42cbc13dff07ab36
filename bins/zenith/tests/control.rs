//! The control plane as another program uses it: what the commands do, as data.

use std::path::Path;

use bson::rawdoc;
use zenith_control::config::applied::Applied;
use zenith_control::config::export;
use zenith_control::operations::apply::{self, Absent, Planned};
use zenith_control::operations::{connectors, pipelines, schema};
use zenith_control::state::{Places, StateArgs};
use zenith_engine::Pool;
use zenith_engine::state::{MemoryStore, Role, StateStore as _};

use crate::harness::Bench;

const PATH: &str = "zenith.toml";

/// What a text would change.
async fn planned(text: &str, now: &Applied, absent: Absent) -> Planned {
    let config = apply::read(text, Path::new(PATH), now, absent).unwrap();
    apply::plan(config, now, text, Path::new(PATH)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelines_are_looked_at_before_they_are_applied() {
    let bench = Bench::new("control").await;
    bench.fill("orders", (0..10).map(|n| rawdoc! { "_id": n, "item": "tea" })).await;
    let pool = Pool::new(32 << 20).unwrap();
    let ends = "source = \"shop\"\ntarget = \"warehouse\"\n";
    let text = format!(
        "[sources.shop]\nuri = {:?}\n[targets.warehouse]\nuri = {:?}\n[pipelines.orders]\n{ends}collection = \"orders\"\n",
        bench.from(),
        bench.to()
    );
    let plan = planned(&text, &Applied::default(), Absent::Removed).await;
    let listed = plan.difference.listed();
    assert_eq!(listed.iter().map(|change| change.kind).collect::<Vec<_>>(), ["source", "target", "pipeline"]);

    let inferred = schema::inferred(&plan.config, "orders", &pool).await.unwrap();
    assert!(inferred.ddl.contains("ReplacingMergeTree") && inferred.documents == Some(10), "{inferred:?}");
    let item = inferred.columns.iter().find(|column| column.name == "item").unwrap();
    assert!(item.column_type.contains("String") && item.present >= 1.0, "{item:?}");
    assert!(bench.tables().await.is_empty(), "nothing was made");

    let source = connectors::test("shop", Role::Source, &plan.config.sources["shop"], &pool).await;
    assert!(source.ok && source.server.as_deref().is_some_and(|it| it.contains("replica set")), "{source:?}");
    let target = connectors::test("warehouse", Role::Target, &plan.config.targets["warehouse"], &pool).await;
    assert!(target.ok && target.missing.is_empty() && target.databases.len() == 1, "{target:?}");
    let mut nowhere = plan.config.targets["warehouse"].clone();
    nowhere.uri = "http://127.0.0.1:1/d".to_owned();
    let nowhere = connectors::test("nowhere", Role::Target, &nowhere, &pool).await;
    assert!(!nowhere.ok && nowhere.missing.len() == 1, "{nowhere:?}");
    let found = connectors::collections("shop", &plan.config.sources["shop"], None).await.unwrap();
    assert_eq!((found.len(), found[0].name.as_str(), found[0].documents), (1, "orders", Some(10)));

    let folder = tempfile::tempdir().unwrap();
    let place =
        StateArgs { state: Some(folder.path().join("state.sqlite").display().to_string()), file: None };
    let places = Places::find(&place).unwrap();
    let store = MemoryStore::new();
    apply::commit(&store, &plan, &places, false).await.unwrap();
    let now = Applied::read(&store).await.unwrap();
    let exported = export::text(&now.config().unwrap());
    assert!(planned(&exported, &now, Absent::Removed).await.difference.is_empty(), "{exported}");
    let new = format!("[pipelines.people]\n{ends}collection = \"users\"\n");
    let more = planned(&new, &now, Absent::Kept).await.difference.listed();
    assert_eq!(more.iter().map(|it| (it.what, it.name.as_str())).collect::<Vec<_>>(), [("add", "people")]);

    pipelines::set_paused(&store, &now, "orders", true).await.unwrap();
    let paused = Applied::read(&store).await.unwrap();
    assert!(paused.pipelines[0].paused && pipelines::list(&paused)[0].paused);
    assert!(
        pipelines::toml(&paused.pipelines[0]).unwrap().starts_with("[pipelines.orders]\nsource = \"shop\"\n")
    );
    pipelines::remove(&store, &paused, "orders").await.unwrap();
    assert!(store.pipelines().await.unwrap().is_empty());
    bench.remove().await;
}
