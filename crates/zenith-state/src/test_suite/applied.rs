//! Of connectors, pipelines and schemas.

use super::{StoreLocation, applied, apply, checkpoint, connector, intent, moment, record, schema};
use crate::{PipelineRecord, Role, RunStart, Snapshot, StateError, StateStore};

/// Connectors are kept as they are; the last one of a name counts.
pub async fn connectors_come_back_by_name(place: &impl StoreLocation) {
    let store = place.open().await;
    assert_eq!(store.connectors().await.expect("read"), []);
    let (mut b, a) = (connector("b", Role::Source), connector("a", Role::Target));
    store.put_connector(&b).await.expect("saved");
    store.put_connector(&a).await.expect("saved");
    assert_eq!(store.connectors().await.expect("read"), [a.clone(), b.clone()]);
    b.role = Role::Target;
    b.uri = "http://${USER}:${file:/run/secrets/b}@b".into();
    b.options = "'; DROP TABLE connectors; -- \u{1F980}".into();
    store.put_connector(&b).await.expect("replaced");
    assert_eq!(store.connectors().await.expect("read"), [a, b.clone()]);
    assert!(store.remove_connector("a").await.expect("removed"));
    assert!(!store.remove_connector("a").await.expect("not there"));
    assert_eq!(store.connectors().await.expect("read"), [b]);
}

/// An address with a password is not kept, and the refusal does not repeat it.
pub async fn a_password_in_an_address_is_refused(place: &impl StoreLocation) {
    let store = place.open().await;
    let mut secret = connector("mongo", Role::Source);
    store.put_connector(&secret).await.expect("saved");
    secret.uri = "mongodb://app:hunter2@host/db".into();
    let error = store.put_connector(&secret).await.expect_err("a password");
    assert!(matches!(error, StateError::Secret { .. }) && error.is_input(), "{error:?}");
    for shown in [error.to_string(), format!("{error:?}"), format!("{secret:?}")] {
        assert!(shown.contains("mongo") && !shown.contains("hunter2"), "{shown}");
    }
    assert_eq!(store.connectors().await.expect("read"), [connector("mongo", Role::Source)]);
}

/// What a pipeline uses is neither removed nor turned around.
pub async fn a_connector_in_use_stays(place: &impl StoreLocation) {
    let store = applied(place).await;
    for name in ["mongo", "click"] {
        let error = store.remove_connector(name).await.expect_err("in use");
        assert!(matches!(error, StateError::InUse { .. }) && error.is_input(), "{error:?}");
        assert!(error.to_string().contains("\"p\""), "{error}");
    }
    let turned = connector("mongo", Role::Target);
    assert!(matches!(store.put_connector(&turned).await, Err(StateError::InUse { .. })));
    store.put_connector(&connector("mongo", Role::Source)).await.expect("the same role");
    assert!(store.remove_pipeline("p").await.expect("removed"));
    store.put_connector(&turned).await.expect("free");
    assert!(store.remove_connector("mongo").await.expect("removed"));
}

/// Pipelines are kept as they are; the last one of a name counts.
pub async fn pipelines_come_back_by_name(place: &impl StoreLocation) {
    let store = applied(place).await;
    let a = PipelineRecord { paused: true, settings: String::new(), ..record("a") };
    store.put_pipeline(&a).await.expect("saved");
    assert_eq!(store.pipelines().await.expect("read"), [a, record("p")]);
    let a = PipelineRecord { settings: "new".into(), ..record("a") };
    store.put_pipeline(&a).await.expect("replaced");
    assert_eq!(store.pipelines().await.expect("read"), [a, record("p")]);
}

/// A pipeline is saved only between a source and a target that are there.
pub async fn a_pipeline_needs_its_ends(place: &impl StoreLocation) {
    let store = applied(place).await;
    for (source, target) in [("absent", "click"), ("mongo", "absent"), ("click", "click"), ("mongo", "mongo")]
    {
        let wrong = PipelineRecord { source: source.into(), target: target.into(), ..record("q") };
        let error = store.put_pipeline(&wrong).await.expect_err("no such end");
        assert!(matches!(error, StateError::Missing { .. }) && error.is_input(), "{error:?}");
    }
    assert_eq!(store.pipelines().await.expect("read"), [record("p")]);
}

/// Applying a pipeline again changes its settings and nothing else.
pub async fn a_pipeline_applied_again_keeps_its_progress(place: &impl StoreLocation) {
    let store = applied(place).await;
    store.advance("p", &checkpoint(5)).await.expect("saved");
    store.begin_intent(&intent("p", "t")).await.expect("noted");
    store.add_schema("p", &schema(b"schema")).await.expect("saved");
    store.put_pipeline(&PipelineRecord { settings: "new".into(), ..record("p") }).await.expect("replaced");
    apply(&store).await;
    assert_eq!(store.checkpoint("p").await.expect("read"), Some(checkpoint(5)));
    assert_eq!(store.open_intents("p").await.expect("read"), [intent("p", "t")]);
    assert_eq!(store.schemas("p").await.expect("read").len(), 1);
    assert_eq!(store.epoch("p").await.expect("read"), 0);
}

/// Pausing changes nothing else, and says whether there was something to pause.
pub async fn a_pipeline_is_paused(place: &impl StoreLocation) {
    let store = applied(place).await;
    for paused in [true, true, false] {
        assert!(store.set_paused("p", paused).await.expect("set"));
        assert_eq!(store.pipelines().await.expect("read"), [PipelineRecord { paused, ..record("p") }]);
    }
    assert!(!store.set_paused("absent", true).await.expect("nothing to set"));
}

/// A pipeline is removed with its progress; its history stays, and its name begins another life.
pub async fn a_removed_pipeline_leaves_history_and_epoch(place: &impl StoreLocation) {
    let store = applied(place).await;
    store.put_pipeline(&record("q")).await.expect("saved");
    let snapshot = Snapshot {
        started: moment(0),
        version: 1,
        read_from: vec![1],
        partitions: Vec::new(),
        consistent_after: None,
    };
    for pipeline in ["p", "q"] {
        store.advance(pipeline, &checkpoint(5)).await.expect("saved");
        store.begin_intent(&intent(pipeline, "t")).await.expect("noted");
        store.add_schema(pipeline, &schema(b"schema")).await.expect("saved");
        store.begin_snapshot(pipeline, &snapshot).await.expect("saved");
    }
    let run =
        RunStart { pipeline: "p".into(), mode: "full".into(), version: "1.2.3".into(), started: moment(0) };
    store.start_run(&run).await.expect("begun");
    assert!(store.remove_pipeline("p").await.expect("removed"));
    assert!(!store.remove_pipeline("p").await.expect("not there"));
    assert_eq!(store.pipelines().await.expect("read"), [record("q")]);
    store.put_pipeline(&record("p")).await.expect("saved");
    assert_eq!(store.checkpoint("p").await.expect("read"), None);
    assert_eq!(store.open_intents("p").await.expect("read"), []);
    assert_eq!(store.schemas("p").await.expect("read"), []);
    assert_eq!(store.snapshot("p").await.expect("read"), None);
    assert_eq!(store.epoch("p").await.expect("read"), 1);
    assert_eq!(store.runs(Some("p"), 10).await.expect("read").len(), 1);
    assert_eq!(store.checkpoint("q").await.expect("read"), Some(checkpoint(5)));
    assert_eq!(store.open_intents("q").await.expect("read"), [intent("q", "t")]);
    assert_eq!(store.snapshot("q").await.expect("read"), Some(snapshot));
    assert_eq!(store.epoch("q").await.expect("read"), 0);
}

/// A schema is a version of its own unless it is the newest already.
pub async fn schemas_are_numbered(place: &impl StoreLocation) {
    let store = applied(place).await;
    store.put_pipeline(&record("q")).await.expect("saved");
    for (bytes, version) in [(&b"a"[..], 1), (b"a", 1), (b"", 2), (b"", 2), (b"a", 3)] {
        assert_eq!(store.add_schema("p", &schema(bytes)).await.expect("saved"), version);
    }
    assert_eq!(store.add_schema("q", &schema(b"\0\xff")).await.expect("saved"), 1);
    // Another cause makes it another version, and a statement that comes later is that of the same.
    let of = |cause: &str, statement: &str| crate::SchemaChange {
        cause: cause.to_owned(),
        statement: statement.to_owned(),
        ..schema(b"a")
    };
    for (change, expected) in
        [(of("other", ""), ""), (of("other", "ALTER"), "ALTER"), (of("other", "DROP"), "ALTER")]
    {
        assert_eq!(store.add_schema("p", &change).await.expect("saved"), 4);
        let newest = store.schemas("p").await.expect("read").pop().expect("one");
        assert_eq!((newest.change.cause.as_str(), newest.change.statement.as_str()), ("other", expected));
    }
    let schemas = store.schemas("p").await.expect("read");
    let schemas: Vec<_> = schemas.iter().map(|found| (found.version, &found.change.schema[..])).collect();
    assert_eq!(schemas, [(1, &b"a"[..]), (2, b""), (3, b"a"), (4, b"a")]);
    let q = store.schemas("q").await.expect("read");
    assert_eq!(q[0].change, schema(b"\0\xff"));
    assert!(q[0].created.elapsed().expect("in the past").as_secs() < 60);
    store.reset("p", None).await.expect("reset");
    assert_eq!(store.schemas("p").await.expect("read").len(), 4, "a reset keeps schemas");
}
