//! What of pipelines is noted that have not begun: why they could not, and what they wait for.

use std::time::SystemTime;

use zenith_engine::state::{self, Condition, Outcome, RunEnd, RunStart, Since, StateStore};

use crate::config::applied;

/// Notes that a pipeline could not begin, as a run that failed.
pub async fn note_refusal(store: &impl StateStore, pipeline: &str, sentence: &str) -> state::Result<()> {
    let now = SystemTime::now();
    let record = store.pipelines().await?.into_iter().find(|record| record.name == pipeline);
    let mode =
        record.and_then(|record| applied::pipeline(&record).ok()).map(|pipeline| pipeline.settings.mode);
    let begun = RunStart {
        pipeline: pipeline.to_owned(),
        mode: mode.unwrap_or_default().name().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: now,
    };
    let run = store.start_run(&begun).await?;
    let ended = RunEnd {
        ended: now,
        outcome: Outcome::Failed,
        figures: state::Figures::default(),
        error: Some(sentence.to_owned()),
    };
    store.finish_run(run, &ended).await
}

/// Notes that pipelines wait to begin.
pub async fn note_waiting(
    store: &impl StateStore,
    pipelines: impl IntoIterator<Item = String>,
    reason: &str,
    since: SystemTime,
) -> state::Result<()> {
    let known = store.conditions().await?;
    let waiting = Some(Since { reason: reason.to_owned(), since });
    let noted = SystemTime::now();
    let of = |name: String| {
        let before = known.iter().find(|(known, _)| *known == name);
        let before = before.map_or_else(|| Condition::new(noted), |(_, condition)| condition.clone());
        (name, Condition { waiting: waiting.clone(), noted, ..before })
    };
    let conditions: Vec<_> = pipelines.into_iter().map(of).collect();
    store.note_conditions(&conditions).await
}
