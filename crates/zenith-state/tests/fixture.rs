//! The contents of the stored fixtures. Also a module of the example that writes them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use zenith_state::{
    AuditEntry, Checkpoint, Condition, Connector, Figures, Identity, Intent, Mismatches, Outcome,
    PipelineRecord, RequestEnd, Role, Run, RunEnd, RunStart, SchemaChange, Since, Snapshot,
    SnapshotPartition, StateStore,
};

/// The newest format.
pub const NEWEST: usize = 6;

fn moment(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::new(1_750_000_000 + seconds, 987_654_321)
}

fn connectors() -> [Connector; 2] {
    let target = Connector {
        name: "click".into(),
        role: Role::Target,
        uri: "http://default:${file:/run/secrets/clickhouse}@127.0.0.1:8123/shop".into(),
        options: "compression = false\n".into(),
    };
    let source = Connector {
        name: "mongo".into(),
        role: Role::Source,
        uri: "mongodb://app:${MONGO_PASSWORD}@a:27017,b:27017/shop?replicaSet=rs0".into(),
        options: String::new(),
    };
    [target, source]
}

fn pipelines() -> [PipelineRecord; 2] {
    let pipeline = |name: &str, paused| PipelineRecord {
        name: name.into(),
        source: "mongo".into(),
        target: "click".into(),
        settings: "mode = \"change stream\" # \u{1F980}\n".into(),
        paused,
    };
    [pipeline("customers", true), pipeline("orders", false)]
}

fn checkpoint() -> Checkpoint {
    Checkpoint {
        position: (0..=255).collect(),
        order: vec![0x82, 0, 0xff],
        source_time: Some(moment(5)),
        rows: 123_456_789_012,
        saved: moment(6),
    }
}

fn intents() -> [Intent; 2] {
    let intent = |token: &str, from: u8| Intent {
        pipeline: "orders".into(),
        token: token.into(),
        from: vec![from],
        to: vec![from + 1],
        rows: 65_536,
        created: moment(7),
    };
    [intent("orders-2-b", 1), intent("orders-2-a", 2)]
}

fn snapshot() -> Snapshot {
    let partition = |index: u32, done, rows| SnapshotPartition {
        index,
        partition: format!("[{index}, {})", index + 1).into(),
        done,
        rows,
    };
    Snapshot {
        started: moment(2),
        version: u64::MAX - 1,
        read_from: b"token".to_vec(),
        partitions: vec![partition(0, true, 10), partition(1, false, 0)],
        consistent_after: None,
    }
}

/// Format 2 brought them.
fn mismatches(format: usize) -> Mismatches {
    let mut mismatches = Mismatches::default();
    if format >= 2 {
        let reasons = [("is string".to_owned(), u64::MAX >> 2), ("no column".to_owned(), 2)];
        mismatches.values.insert("items.$.\u{1F980}".to_owned(), reasons.into());
        mismatches.documents.insert("BSON text is not valid UTF-8".to_owned(), 3);
    }
    mismatches
}

/// Format 5 brought them.
fn audit(format: usize) -> Vec<AuditEntry> {
    let entry = AuditEntry {
        at: moment(40),
        who: "ada".into(),
        address: "::1".into(),
        action: "pause".into(),
        subject: "orders".into(),
        details: "\u{1F980}".into(),
    };
    if format >= 5 { vec![entry] } else { Vec::new() }
}

/// Format 6 brought it.
fn alerts(format: usize) -> &'static str {
    if format >= 6 { "[\"\u{1F980}\"]" } else { "" }
}

fn runs(format: usize) -> [Run; 3] {
    let (extra_values, dead_letters) = if format >= 2 { (77, 5) } else { (0, 0) };
    let run = |id: i64, outcome, error: Option<&str>| Run {
        id,
        pipeline: "orders".into(),
        mode: "full".into(),
        version: "0.2.0".into(),
        started: moment(10 * id.unsigned_abs()),
        ended: Some(moment(10 * id.unsigned_abs() + 9)),
        outcome: Some(outcome),
        figures: Figures { rows: 1000 * id.unsigned_abs(), bytes: 1 << 40, extra_values, dead_letters },
        error: error.map(Into::into),
    };
    [run(3, Outcome::Stopped, None), run(2, Outcome::Failed, Some("no host")), run(1, Outcome::Done, None)]
}

/// Format 4 brought cause and statement.
fn schemas(format: usize) -> [SchemaChange; 2] {
    let change = |schema: &[u8], cause: &str, statement: &str| {
        let known = |text: &str| if format >= 4 { text.to_owned() } else { String::new() };
        SchemaChange { schema: schema.to_vec(), cause: known(cause), statement: known(statement) }
    };
    [
        change(b"\0\x01", "the table was made", ""),
        change(
            b"{\"fields\":[]}",
            "new fields",
            "ALTER TABLE `orders` ADD COLUMN `\u{1F980}` Nullable(String)",
        ),
    ]
}

/// Format 3 brought them.
fn conditions(format: usize) -> Vec<(String, Condition)> {
    let since = |reason: &str, seconds| Some(Since { reason: reason.to_owned(), since: moment(seconds) });
    let full = Condition {
        waiting: since("ClickHouse at click:8123: Connection refused \u{1F980}", 20),
        detached: since("shop.orders was dropped", 21),
        source_ahead: -1_500_000_000,
        oplog_from: Some(moment(1)),
        parts: Some(u64::MAX),
        // Format 4 brought it.
        applied_to: (format >= 4).then(|| moment(24)),
        noted: moment(22),
    };
    let all = vec![("customers".to_owned(), Condition::new(moment(23))), ("orders".to_owned(), full)];
    if format >= 3 { all } else { Vec::new() }
}

fn identity(format: usize) -> Option<Identity> {
    (format >= 3).then(|| Identity { source: "{\"set\":\"a\"}".into(), target: "{}".into() })
}

/// Writes everything a store can hold into an empty one.
pub async fn fill(store: &impl StateStore) {
    for connector in connectors() {
        store.put_connector(&connector).await.expect("saved");
    }
    for pipeline in pipelines() {
        store.put_pipeline(&pipeline).await.expect("saved");
    }
    store.reset("orders", None).await.expect("reset");
    store.reset("orders", None).await.expect("reset");
    for change in schemas(NEWEST) {
        store.add_schema("orders", &change).await.expect("saved");
    }
    store.advance("orders", &checkpoint()).await.expect("saved");
    for intent in intents() {
        store.begin_intent(&intent).await.expect("noted");
    }
    store.begin_snapshot("orders", &snapshot()).await.expect("saved");
    store
        .begin_snapshot(
            "customers",
            &Snapshot { partitions: Vec::new(), consistent_after: Some(vec![1, 0]), ..snapshot() },
        )
        .await
        .expect("saved");
    store.set_mismatches("orders", &mismatches(NEWEST)).await.expect("counted");
    for run in runs(NEWEST).into_iter().rev() {
        let Run { pipeline, mode, version, started, .. } = run;
        let id = store.start_run(&RunStart { pipeline, mode, version, started }).await.expect("begun");
        let (ended, outcome) = (run.ended.expect("ended"), run.outcome.expect("ended"));
        let end = RunEnd { ended, outcome, figures: run.figures, error: run.error };
        store.finish_run(id, &end).await.expect("ended");
    }
    for entry in audit(NEWEST) {
        store.note_audit(&entry).await.expect("noted");
    }
    store.set_alerts(alerts(NEWEST)).await.expect("noted");
    store.note_conditions(&conditions(NEWEST)).await.expect("noted");
    store.set_identity("orders", &identity(NEWEST).expect("there")).await.expect("noted");
    for action in ["reload", "verify"] {
        store.add_request("orders", action, "{}").await.expect("asked");
    }
    assert!(store.take_request(2).await.expect("taken"));
    let result = "equal".to_owned();
    let end = RequestEnd { ended: moment(30), outcome: Outcome::Done, result };
    store.end_request(2, &end).await.expect("ended");
}

/// Checks that a store holds exactly what [`fill`] wrote when this format was the newest.
#[allow(dead_code)] // The example only writes.
pub async fn check(store: &impl StateStore, format: usize) {
    assert_eq!(store.connectors().await.expect("read"), connectors());
    assert_eq!(store.pipelines().await.expect("read"), pipelines());
    assert_eq!(store.epoch("orders").await.expect("read"), 2);
    assert_eq!(store.epoch("customers").await.expect("read"), 0);
    let schemas = store.schemas("orders").await.expect("read");
    assert!(schemas.iter().all(|schema| (moment(0)..SystemTime::now()).contains(&schema.created)));
    assert_eq!(schemas.iter().map(|schema| schema.version).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(schemas.into_iter().map(|schema| schema.change).collect::<Vec<_>>(), self::schemas(format));
    assert_eq!(store.checkpoint("orders").await.expect("read"), Some(checkpoint()));
    assert_eq!(store.checkpoint("customers").await.expect("read"), None);
    assert_eq!(store.open_intents("orders").await.expect("read"), intents());
    assert_eq!(store.snapshot("orders").await.expect("read"), Some(snapshot()));
    let customers = store.snapshot("customers").await.expect("read").expect("there");
    assert_eq!((customers.partitions.len(), customers.consistent_after), (0, Some(vec![1, 0])));
    assert_eq!(store.mismatches("orders", None).await.expect("read"), mismatches(format));
    assert_eq!(store.mismatches("customers", None).await.expect("read"), Mismatches::default());
    assert_eq!(store.runs(None, 10).await.expect("read"), runs(format));
    let audited = store.audit(10).await.expect("read").into_iter().map(|(_, entry)| entry);
    assert_eq!(audited.collect::<Vec<_>>(), audit(format));
    assert_eq!(store.alerts().await.expect("read"), alerts(format));
    assert_eq!(store.conditions().await.expect("read"), conditions(format));
    assert_eq!(store.identity("orders").await.expect("read"), identity(format));
    assert_eq!(store.identity("customers").await.expect("read"), None);
    let open: Vec<_> = store.open_requests().await.expect("read");
    let open: Vec<_> = open.iter().map(|request| (request.id, &request.action[..])).collect();
    assert_eq!(open, if format >= 3 { vec![(1, "reload")] } else { Vec::new() });
}
