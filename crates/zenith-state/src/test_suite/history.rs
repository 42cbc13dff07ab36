//! Of the history.

use super::{StoreLocation, moment};
use crate::{AuditEntry, Figures, Outcome, RUNS_MAX, Run, RunEnd, RunStart, StateError, StateStore};

fn start(pipeline: &str, seconds: u64) -> RunStart {
    RunStart {
        pipeline: pipeline.into(),
        mode: "change stream".into(),
        version: "0.1.0".into(),
        started: moment(seconds),
    }
}

/// The largest possible ones, and others, all different.
const LAST: Figures = Figures { rows: u64::MAX, bytes: 1 << 40, extra_values: 7, dead_letters: 5 };

fn end(outcome: Outcome, error: Option<&str>) -> RunEnd {
    RunEnd { ended: moment(60), outcome, figures: LAST, error: error.map(Into::into) }
}

/// A run is there from its beginning, and keeps how it ended. It needs no pipeline.
pub async fn a_run_is_told(place: &impl StoreLocation) {
    let store = place.open().await;
    for (outcome, error) in
        [(Outcome::Done, None), (Outcome::Stopped, None), (Outcome::Failed, Some("it's \u{1F980}"))]
    {
        let id = store.start_run(&start("p", 1)).await.expect("begun");
        let mut expected = Run {
            id,
            pipeline: "p".into(),
            mode: "change stream".into(),
            version: "0.1.0".into(),
            started: moment(1),
            ended: None,
            outcome: None,
            figures: Figures::default(),
            error: None,
        };
        assert_eq!(store.runs(None, 1).await.expect("read"), [expected.clone()]);
        store.finish_run(id, &end(outcome, error)).await.expect("ended");
        expected.ended = Some(moment(60));
        expected.outcome = Some(outcome);
        expected.figures = LAST;
        expected.error = error.map(Into::into);
        assert_eq!(store.runs(None, 1).await.expect("read"), [expected]);
    }
}

/// A pipeline that fails again and again does not fill the store, and takes nothing of another.
pub async fn old_runs_are_forgotten(place: &impl StoreLocation) {
    let store = place.open().await;
    let other = store.start_run(&start("q", 1)).await.expect("begun");
    for _ in 0..RUNS_MAX + 2 {
        store.start_run(&start("p", 2)).await.expect("begun");
    }
    let runs = store.runs(Some("p"), u32::MAX).await.expect("read");
    assert_eq!(runs.len(), RUNS_MAX as usize);
    assert_eq!(store.runs(Some("q"), 9).await.expect("read").first().map(|run| run.id), Some(other));
}

/// Who changed what is told, newest first.
pub async fn changes_are_audited(place: &impl StoreLocation) {
    let store = place.open().await;
    assert_eq!(store.audit(9).await.expect("read"), []);
    let entry = |second: u64| AuditEntry {
        at: moment(second),
        who: "ada".into(),
        address: "127.0.0.1".into(),
        action: "pause".into(),
        subject: "it's \u{1F980}".into(),
        details: second.to_string(),
    };
    for second in 1..=3 {
        store.note_audit(&entry(second)).await.expect("noted");
    }
    let newest: Vec<AuditEntry> =
        store.audit(2).await.expect("read").into_iter().map(|(_, entry)| entry).collect();
    assert_eq!(newest, [entry(3), entry(2)]);
    let ids: Vec<i64> = store.audit(9).await.expect("read").into_iter().map(|(id, _)| id).collect();
    assert!(ids.is_sorted_by(|one, other| one > other) && ids.len() == 3, "{ids:?}");
}

/// What alerts told is empty at first, and then what was noted last.
pub async fn what_alerts_told_replaces_earlier_ones(place: &impl StoreLocation) {
    let store = place.open().await;
    assert_eq!(store.alerts().await.expect("read"), "");
    for told in ["[1]", "it's \u{1F980}", ""] {
        store.set_alerts(told).await.expect("noted");
        assert_eq!(store.alerts().await.expect("read"), told);
    }
}

/// Figures are noted until the end; what a run says of its end counts most.
pub async fn figures_of_a_run_are_noted(place: &impl StoreLocation) {
    let store = place.open().await;
    let id = store.start_run(&start("p", 1)).await.expect("begun");
    let figures = async || {
        let run = store.runs(None, 1).await.expect("read").remove(0);
        (run.figures, run.outcome)
    };
    let noted = Figures { rows: 10, bytes: 1000, extra_values: 2, dead_letters: 1 };
    store.touch_run(id, noted).await.expect("noted");
    assert_eq!(figures().await, (noted, None));
    store.finish_run(id, &end(Outcome::Failed, Some("interrupted"))).await.expect("ended");
    store.touch_run(id, noted).await.expect("nothing to note any more");
    assert_eq!(figures().await, (LAST, Some(Outcome::Failed)));
    store.finish_run(id, &end(Outcome::Done, None)).await.expect("it knows better");
    assert_eq!(store.runs(None, 1).await.expect("read")[0].error, None);
}

/// The newest come first, of one pipeline or of all, and no more than wanted.
pub async fn the_newest_runs_come_first(place: &impl StoreLocation) {
    let store = place.open().await;
    let mut ids = Vec::new();
    for (pipeline, seconds) in [("a", 3), ("b", 2), ("a", 1), ("b", 0)] {
        ids.push(store.start_run(&start(pipeline, seconds)).await.expect("begun"));
    }
    assert!(ids.is_sorted_by(|one, next| one < next), "{ids:?}");
    let numbers = async |pipeline, limit| -> Vec<i64> {
        store.runs(pipeline, limit).await.expect("read").iter().map(|run| run.id).collect()
    };
    assert_eq!(numbers(None, 10).await, [ids[3], ids[2], ids[1], ids[0]]);
    assert_eq!(numbers(None, 2).await, [ids[3], ids[2]]);
    assert_eq!(numbers(Some("a"), u32::MAX).await, [ids[2], ids[0]]);
    assert_eq!(numbers(Some("a"), 1).await, [ids[2]]);
    assert!(numbers(None, 0).await.is_empty() && numbers(Some("c"), 9).await.is_empty());
}

/// There is no end to what was not begun.
pub async fn an_unknown_run_is_missing(place: &impl StoreLocation) {
    let store = place.open().await;
    let error = store.finish_run(77, &end(Outcome::Done, None)).await.expect_err("no such run");
    assert!(matches!(&error, StateError::Missing { what: "run", name } if name == "77"), "{error:?}");
    assert!(matches!(store.touch_run(77, LAST).await, Err(StateError::Missing { .. })));
}
