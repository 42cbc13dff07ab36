//! One pipeline, as its checkpoint, its snapshot and its last runs have it.

use std::time::{Duration, SystemTime};

use zenith_engine::Mode;
use zenith_engine::state::{self, INTERRUPTED, Outcome, PipelineRecord, Run, SqliteStore, StateStore as _};

use super::rates::rate;
use crate::config::applied;
use crate::mismatches::Counted;
use crate::time;

/// Runs that are looked at for the last error.
const RUNS: u32 = 20;

/// What a pipeline is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It has never run.
    New,
    /// A `zenith run` is under way and has not begun with it.
    Waiting,
    /// The collection is being read whole.
    Snapshot,
    /// Changes are applied as they come.
    Following,
    /// It stands still until it is resumed.
    Paused,
    /// It was stopped, and goes on with the next `zenith run`.
    Stopped,
    /// It has done what it was to do.
    Done,
    /// It could not go on.
    Failed,
    /// The process that ran it ended without a word.
    Interrupted,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::New => "new",
            State::Waiting => "waiting",
            State::Snapshot => "snapshot",
            State::Following => "following",
            State::Paused => "paused",
            State::Stopped => "stopped",
            State::Done => "done",
            State::Failed => "failed",
            State::Interrupted => "interrupted",
        }
    }
}

/// An error, and when.
#[derive(Clone, Debug)]
pub struct Failed {
    pub at: SystemTime,
    pub message: String,
}

/// One pipeline at one moment.
#[derive(Clone, Debug)]
pub struct Pipeline {
    pub name: String,
    /// `source.collection`.
    pub from: String,
    /// `target.table`.
    pub to: String,
    pub mode: String,
    pub state: State,
    /// Parts of the snapshot that are done, and parts.
    pub snapshot: Option<(usize, usize)>,
    /// The source's clock minus its time at the checkpoint.
    pub lag: Option<Duration>,
    /// An estimate: the recent rate for as long as the lag.
    pub lag_events: Option<f64>,
    /// On average since the run began that is under way; displays that stay know better.
    pub rows_per_second: Option<f64>,
    /// Rows of the run under way.
    pub run_rows: Option<u64>,
    /// Rows written since the pipeline was begun.
    pub rows: u64,
    /// When the checkpoint was saved.
    pub checkpoint: Option<SystemTime>,
    pub last_error: Option<Failed>,
    pub mismatches: Counted,
}

impl Pipeline {
    /// Reads what the state knows of a pipeline.
    pub async fn read(
        store: &SqliteStore,
        record: &PipelineRecord,
        running: bool,
        now: SystemTime,
    ) -> state::Result<Pipeline> {
        let name = &record.name;
        let checkpoint = store.checkpoint(name).await?;
        let snapshot = store.snapshot(name).await?;
        let runs = store.runs(Some(name), RUNS).await?;
        let settings = applied::pipeline(record).ok();
        let mode = settings.as_ref().map(|pipeline| pipeline.settings.mode);
        let part = |text: &str| text.to_owned();
        let (collection, table) = settings.as_ref().map_or_else(
            || (part("?"), part("?")),
            |pipeline| (pipeline.settings.collection.clone(), part(pipeline.table())),
        );

        let open = runs.iter().find(|run| run.outcome.is_none()).filter(|_| running);
        // The checkpoint counts what came by changes, the parts of the snapshot what was there before.
        let parts = snapshot.iter().flat_map(|snapshot| &snapshot.partitions);
        let snapshot_rows = parts.map(|part| part.rows).sum::<u64>();
        let began = snapshot.as_ref().map(|snapshot| snapshot.started);
        let rows = snapshot_rows + checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.rows);
        let snapshot = snapshot.filter(|snapshot| snapshot.consistent_after.is_none()).map(|snapshot| {
            let done = snapshot.partitions.iter().filter(|partition| partition.done).count();
            (done, snapshot.partitions.len())
        });
        let state = state_of(record, &runs, running, snapshot.is_some() || mode == Some(Mode::Full));
        // A table that is loaded whole now and then is not behind in between.
        let lag = checkpoint.as_ref().and_then(|checkpoint| checkpoint.source_time);
        let lag = lag.filter(|_| mode != Some(Mode::Full)).map(|time| time::ago(time, now));
        let rows_per_second = open.and_then(|run| {
            // Reading a collection whole is faster than anything that happens to it, and would blow up the estimate.
            let whole =
                if state == State::Following && began > Some(run.started) { snapshot_rows } else { 0 };
            rate(run.figures.rows.saturating_sub(whole), time::ago(run.started, now))
        });
        let mut pipeline = Pipeline {
            name: name.clone(),
            from: format!("{}.{collection}", record.source),
            to: format!("{}.{table}", record.target),
            mode: mode.map_or("?", Mode::name).to_owned(),
            state,
            snapshot,
            lag,
            lag_events: None,
            rows_per_second: None,
            run_rows: open.map(|run| run.figures.rows),
            rows: if rows > 0 { rows } else { runs.first().map_or(0, |run| run.figures.rows) },
            checkpoint: checkpoint.map(|checkpoint| checkpoint.saved),
            last_error: runs.iter().find_map(|run| {
                let message = run.error.clone()?;
                Some(Failed { at: run.ended.unwrap_or(run.started), message })
            }),
            mismatches: Counted::read(store, name, now).await?,
        };
        if let Some(rate) = rows_per_second {
            pipeline.set_rate(rate);
        }
        Ok(pipeline)
    }

    /// Takes over a rate, and what follows from it.
    pub fn set_rate(&mut self, rows_per_second: f64) {
        self.rows_per_second = Some(rows_per_second);
        self.lag_events = self.lag.map(|lag| (lag.as_secs_f64() * rows_per_second).round());
    }
}

fn state_of(record: &PipelineRecord, runs: &[Run], running: bool, reads_whole: bool) -> State {
    let last = runs.first();
    match last.map(|run| run.outcome) {
        Some(None) if running && reads_whole => State::Snapshot,
        Some(None) if running => State::Following,
        _ if record.paused => State::Paused,
        Some(None) => State::Interrupted,
        Some(Some(Outcome::Failed)) => match last.and_then(|run| run.error.as_deref()) {
            Some(INTERRUPTED) if running => State::Waiting,
            Some(INTERRUPTED) => State::Interrupted,
            _ => State::Failed,
        },
        Some(Some(Outcome::Done)) => State::Done,
        Some(Some(Outcome::Stopped)) | None if running => State::Waiting,
        Some(Some(Outcome::Stopped)) => State::Stopped,
        None => State::New,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(outcome: Option<Option<Outcome>>, error: Option<&str>, paused: bool, running: bool) -> State {
        let record = PipelineRecord {
            name: "p".to_owned(),
            source: "s".to_owned(),
            target: "t".to_owned(),
            settings: "{}".to_owned(),
            paused,
        };
        let run = outcome.map(|outcome| Run {
            id: 1,
            pipeline: "p".to_owned(),
            mode: "changes".to_owned(),
            version: "1".to_owned(),
            started: SystemTime::UNIX_EPOCH,
            ended: None,
            outcome,
            figures: state::Figures::default(),
            error: error.map(str::to_owned),
        });
        state_of(&record, run.as_slice(), running, false)
    }

    #[test]
    fn states() {
        let (failed, stopped) = (Some(Some(Outcome::Failed)), Some(Some(Outcome::Stopped)));
        for (outcome, error, paused, running, expected) in [
            (None, None, false, false, State::New),
            (None, None, false, true, State::Waiting),
            (Some(None), None, false, true, State::Following),
            (Some(None), None, true, true, State::Following),
            (Some(None), None, false, false, State::Interrupted),
            (Some(None), None, true, false, State::Paused),
            (stopped, None, false, false, State::Stopped),
            (stopped, None, false, true, State::Waiting),
            (stopped, None, true, true, State::Paused),
            (failed, Some("no"), false, true, State::Failed),
            (failed, Some(INTERRUPTED), false, false, State::Interrupted),
            (failed, Some(INTERRUPTED), false, true, State::Waiting),
            (Some(Some(Outcome::Done)), None, false, true, State::Done),
        ] {
            assert_eq!(
                state(outcome, error, paused, running),
                expected,
                "{outcome:?} {error:?} {paused} {running}"
            );
        }
    }
}
