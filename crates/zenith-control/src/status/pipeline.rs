//! One pipeline, as its checkpoint, its snapshot and its last runs have it.

use std::time::{Duration, SystemTime};

use zenith_engine::state::{
    self, AnyStore, Checkpoint, INTERRUPTED, Outcome, PipelineRecord, Run, Since, Snapshot, StateStore as _,
};
use zenith_engine::{Mode, PipelineSettings};

use super::condition::{Conditions, Headroom, is_current};
use super::rates::rate;
use crate::config::{self, applied};
use crate::mismatches::Counted;
use crate::{schedule, time};

/// Runs that are looked at for the last error.
const RUNS: u32 = 20;
/// How long a run that comes after failures goes well before its pipeline is taken for recovered, at least and at most.
const RECOVERS_MIN: Duration = Duration::from_secs(10);
const RECOVERS_MAX: Duration = Duration::from_secs(600);

/// What a pipeline is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It has never run.
    New,
    /// A `zenith run` is under way, and it cannot begin or go on at the moment.
    Waiting,
    /// The collection is being read whole.
    Snapshot,
    /// Changes are applied as they come.
    Following,
    /// It stands still until it is resumed.
    Paused,
    /// It was stopped, and continues with the next `zenith run`.
    Stopped,
    /// It has done what it was to do.
    Done,
    /// It could not go on.
    Failed,
    /// The process that ran it ended without a word.
    Interrupted,
}

impl State {
    /// The word for it.
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
    /// When.
    pub at: SystemTime,
    /// In a sentence.
    pub message: String,
}

/// One pipeline at one moment.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// Its name.
    pub name: String,
    /// `source.collection`.
    pub from: String,
    /// `target.table`.
    pub to: String,
    /// Its mode.
    pub mode: String,
    /// What it is doing.
    pub state: State,
    /// The pipeline of several collections that it belongs to.
    pub template: Option<String>,
    /// Whether it is to stand still.
    pub paused: bool,
    /// Parts of the snapshot that are done, and parts.
    pub snapshot: Option<(usize, usize)>,
    /// What it waits for.
    pub waiting: Option<Since>,
    /// Why its table follows its collection no more.
    pub detached: Option<Since>,
    /// The source's time up to which the table is complete.
    pub complete_to: Option<SystemTime>,
    /// The source's clock minus that; `None` where it is unknown, or there is none.
    pub lag: Option<Duration>,
    /// Whether the table is to be like its collection at all times.
    pub is_kept_in_step: bool,
    /// When the run began that is under way.
    pub begun: Option<SystemTime>,
    /// How long until its place in the oplog is lost, and the least that is well.
    pub headroom: Option<Headroom>,
    /// Active parts of the table.
    pub parts: Option<u64>,
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
    /// When it begins again, if it does so by itself.
    pub next_run: Option<SystemTime>,
    /// The last error.
    pub last_error: Option<Failed>,
    /// Since when it fails, or waits, without a break.
    pub failing_since: Option<SystemTime>,
    /// How long the run under way has to last before the pipeline is taken for recovered from the failures before it.
    pub recovers_in: Duration,
    /// What did not fit.
    pub mismatches: Counted,
}

impl Pipeline {
    /// Reads what the state knows of a pipeline.
    pub async fn read(
        store: &AnyStore,
        record: &PipelineRecord,
        conditions: &Conditions,
        running: bool,
        now: SystemTime,
    ) -> state::Result<Pipeline> {
        let records = Records::read(store, &record.name).await?;
        let settings = applied::pipeline(record).ok();
        let mode = settings.as_ref().map(|pipeline| pipeline.settings.mode);
        let (collection, table) = settings.as_ref().map_or(("?", "?"), ends);
        let condition = conditions.of(&record.name);
        let current = condition.filter(|it| running && is_current(it, now));
        let waiting = current.and_then(|it| it.waiting.clone());
        let parts_done = records.parts_done();
        let reads_whole = records.reads_whole(settings.as_ref().map(|pipeline| &pipeline.settings));
        let waits = waiting.is_some() && !record.paused;
        let state =
            if waits { State::Waiting } else { state_of(record, &records.runs, running, reads_whole) };
        // A table that is loaded whole now and then is not behind in between.
        let is_kept_in_step = mode != Some(Mode::Full);
        let applied = current.and_then(|condition| condition.applied_to);
        let complete_to = records.complete_to(applied).filter(|_| is_kept_in_step);
        let open = records.open().filter(|_| running);
        let headroom = settings.as_ref().and_then(|it| records.headroom(it, conditions, &record.source, now));
        let mut pipeline = Pipeline {
            name: record.name.clone(),
            from: format!("{}.{collection}", record.source),
            to: format!("{}.{table}", record.target),
            mode: mode.map_or("?", Mode::name).to_owned(),
            state,
            template: Some(applied::member_of(record)).filter(|name| !name.is_empty()),
            paused: record.paused,
            snapshot: parts_done,
            lag: complete_to.map(|to| time::ago(to, condition.map_or(now, |it| it.source_time(now)))),
            complete_to,
            is_kept_in_step,
            begun: open.map(|run| run.started),
            headroom,
            parts: condition.and_then(|condition| condition.parts),
            detached: condition.and_then(|condition| condition.detached.clone()),
            lag_events: None,
            rows_per_second: None,
            run_rows: open.map(|run| run.figures.rows),
            rows: records.rows(),
            checkpoint: records.checkpoint.as_ref().map(|checkpoint| checkpoint.saved),
            next_run: settings.as_ref().filter(|_| !record.paused).and_then(|of| records.next_run(of, now)),
            last_error: records.last_error(waiting.as_ref()),
            failing_since: records.failing_since(waiting.as_ref()),
            recovers_in: recovers_in(&records.runs),
            waiting,
            mismatches: Counted::read(store, &record.name, now).await?,
        };
        if let Some(rate) = open.and_then(|run| records.rate(run, state, now)) {
            pipeline.set_rate(rate);
        }
        Ok(pipeline)
    }

    /// That its table follows its collection no more, if it does not, and what to do.
    pub fn detachment(&self, now: SystemTime) -> Option<String> {
        let Since { reason, since } = self.detached.as_ref()?;
        let (name, lasts) = (&self.name, time::duration(time::ago(*since, now)));
        Some(format!(
            "{name} follows its collection no more, as {reason} {lasts} ago: zenith reload {name} continues with the \
             collection of that name"
        ))
    }

    /// Takes over a rate, and what follows from it.
    pub fn set_rate(&mut self, rows_per_second: f64) {
        self.rows_per_second = Some(rows_per_second);
        self.lag_events = self.lag.map(|lag| (lag.as_secs_f64() * rows_per_second).round());
    }
}

/// The collection and the table.
fn ends(pipeline: &config::Pipeline) -> (&str, &str) {
    (&pipeline.settings.collection, pipeline.table())
}

/// What the state has of a pipeline.
struct Records {
    checkpoint: Option<Checkpoint>,
    snapshot: Option<Snapshot>,
    runs: Vec<Run>,
}

impl Records {
    async fn read(store: &AnyStore, name: &str) -> state::Result<Records> {
        Ok(Records {
            checkpoint: store.checkpoint(name).await?,
            snapshot: store.snapshot(name).await?,
            runs: store.runs(Some(name), RUNS).await?,
        })
    }

    /// When a pipeline that has begun once begins again, if it does so by itself.
    fn next_run(&self, of: &config::Pipeline, now: SystemTime) -> Option<SystemTime> {
        schedule::next(&of.settings, Some(self.runs.first()?.started), now)
    }

    /// The run under way, if any is.
    fn open(&self) -> Option<&Run> {
        self.runs.iter().find(|run| run.outcome.is_none())
    }

    /// The snapshot, while it is being read.
    fn reading(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref().filter(|snapshot| snapshot.consistent_after.is_none())
    }

    fn parts_done(&self) -> Option<(usize, usize)> {
        let partitions = &self.reading()?.partitions;
        Some((partitions.iter().filter(|partition| partition.done).count(), partitions.len()))
    }

    /// Whether its run reads the collection whole. Of a load that comes before all changes nothing is noted until it is done.
    fn reads_whole(&self, settings: Option<&PipelineSettings>) -> bool {
        let before_changes = self.checkpoint.is_none() && settings.is_some_and(begins_with_load);
        before_changes
            || self.parts_done().is_some()
            || settings.is_some_and(|settings| settings.mode == Mode::Full)
    }

    /// The source's time at the checkpoint.
    fn applied_to(&self) -> Option<SystemTime> {
        self.checkpoint.as_ref().and_then(|checkpoint| checkpoint.source_time)
    }

    /// The source's time up to which the table is complete. While the collection is being read, that is no time after the
    /// reading began.
    fn complete_to(&self, applied: Option<SystemTime>) -> Option<SystemTime> {
        // The run knows more than it has saved.
        self.reading().map_or_else(|| self.applied_to().max(applied), |snapshot| Some(snapshot.started))
    }

    fn snapshot_rows(&self) -> u64 {
        self.snapshot.iter().flat_map(|snapshot| &snapshot.partitions).map(|part| part.rows).sum()
    }

    /// Rows written so far: the checkpoint counts what came by changes, the parts of the snapshot what was there before.
    fn rows(&self) -> u64 {
        let rows = self.snapshot_rows() + self.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.rows);
        if rows > 0 { rows } else { self.runs.first().map_or(0, |run| run.figures.rows) }
    }

    fn last_error(&self, waiting: Option<&Since>) -> Option<Failed> {
        if let Some(waiting) = waiting {
            return Some(Failed { at: waiting.since, message: waiting.reason.clone() });
        }
        self.runs.iter().find_map(|run| {
            let message = run.error.clone()?;
            Some(Failed { at: run.ended.unwrap_or(run.started), message })
        })
    }

    fn headroom(
        &self,
        pipeline: &config::Pipeline,
        conditions: &Conditions,
        source: &str,
        now: SystemTime,
    ) -> Option<Headroom> {
        let settings = Some(&pipeline.settings).filter(|settings| settings.mode.follows_changes())?;
        let left = conditions.headroom(source, self.applied_to()?, now)?;
        Some(Headroom { left, least: settings.min_headroom })
    }

    /// The end of the first of the runs that failed one after the other, if the last one did.
    fn failing_since(&self, waiting: Option<&Since>) -> Option<SystemTime> {
        let failed = self.runs.iter().take_while(|run| run.outcome == Some(Outcome::Failed));
        let first = failed.last().map(|run| run.ended.unwrap_or(run.started));
        first.or_else(|| waiting.map(|waiting| waiting.since))
    }

    fn rate(&self, run: &Run, state: State, now: SystemTime) -> Option<f64> {
        // Reading a collection whole is faster than anything that happens to it, and would blow up the estimate.
        let began = self.snapshot.as_ref().map(|snapshot| snapshot.started);
        let is_in_run = state == State::Following && began > Some(run.started);
        let whole = if is_in_run { self.snapshot_rows() } else { 0 };
        rate(run.figures.rows.saturating_sub(whole), time::ago(run.started, now))
    }
}

/// Twice as long as any of the runs that failed one after the other before the one under way: one that fails so long after
/// each start has not recovered before that. `runs` are newest first.
fn recovers_in(runs: &[Run]) -> Duration {
    let before = runs.iter().skip_while(|run| run.outcome.is_none());
    let failed = before.take_while(|run| run.outcome == Some(Outcome::Failed));
    // When a run ended that a crash ended is not known.
    let known = failed.filter(|run| run.error.as_deref() != Some(INTERRUPTED));
    let lasted = known.filter_map(|run| run.ended.map(|ended| time::ago(run.started, ended)));
    lasted.max().unwrap_or_default().saturating_mul(2).clamp(RECOVERS_MIN, RECOVERS_MAX)
}

/// Whether a pipeline reads its collection before it follows it.
fn begins_with_load(settings: &PipelineSettings) -> bool {
    match settings.mode {
        Mode::Changes => true,
        Mode::ChangeLog => settings.snapshot,
        Mode::Full | Mode::IdCursor => false,
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
impl Pipeline {
    /// One that has failed, in tests of what is made of it.
    pub(crate) fn failed(name: &str) -> Pipeline {
        let error = Failed { at: SystemTime::UNIX_EPOCH, message: "no".to_owned() };
        Pipeline {
            name: name.to_owned(),
            from: "s.c".to_owned(),
            to: "t.c".to_owned(),
            mode: Mode::Changes.name().to_owned(),
            state: State::Failed,
            template: None,
            paused: false,
            snapshot: None,
            waiting: None,
            detached: None,
            complete_to: None,
            lag: None,
            is_kept_in_step: true,
            begun: None,
            headroom: None,
            parts: None,
            lag_events: None,
            rows_per_second: None,
            run_rows: None,
            rows: 0,
            checkpoint: None,
            next_run: None,
            last_error: Some(error),
            failing_since: Some(SystemTime::UNIX_EPOCH),
            recovers_in: RECOVERS_MIN,
            mismatches: Counted::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(outcome: Option<Outcome>, error: Option<&str>) -> Run {
        Run {
            id: 1,
            pipeline: "p".to_owned(),
            mode: "changes".to_owned(),
            version: "1".to_owned(),
            started: SystemTime::UNIX_EPOCH,
            ended: None,
            outcome,
            figures: state::Figures::default(),
            error: error.map(str::to_owned),
        }
    }

    #[test]
    fn a_pipeline_has_recovered_once_it_runs_for_longer_than_it_did_before_it_failed() {
        let lasted = |outcome, seconds| Run {
            ended: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)),
            ..run(Some(outcome), Some("no"))
        };
        let failed = |seconds| lasted(Outcome::Failed, seconds);
        let open = run(None, None);
        for (before, expected) in [
            (vec![], 10),
            (vec![failed(0), failed(2)], 10),
            // It fails 15 s after each start.
            (vec![failed(15), failed(14), failed(16), failed(3)], 32),
            (vec![failed(15), lasted(Outcome::Stopped, 200), failed(100)], 30),
            (vec![failed(1), failed(900_000)], 600),
            (vec![Run { error: Some(INTERRUPTED.to_owned()), ..failed(900) }], 10),
        ] {
            let runs: Vec<Run> = std::iter::once(open.clone()).chain(before).collect();
            assert_eq!(recovers_in(&runs).as_secs(), expected, "{runs:?}");
        }
    }

    fn state(outcome: Option<Option<Outcome>>, error: Option<&str>, paused: bool, running: bool) -> State {
        let record = PipelineRecord {
            name: "p".to_owned(),
            source: "s".to_owned(),
            target: "t".to_owned(),
            settings: "{}".to_owned(),
            paused,
        };
        let run = outcome.map(|outcome| run(outcome, error));
        state_of(&record, run.as_slice(), running, false)
    }

    #[test]
    fn a_load_before_all_changes_reads_the_collection() {
        let mut records = Records { checkpoint: None, snapshot: None, runs: Vec::new() };
        let settings = |mode, snapshot| PipelineSettings { mode, snapshot, ..PipelineSettings::default() };
        let of_modes = |records: &Records| {
            let modes = [
                (Mode::Changes, false),
                (Mode::ChangeLog, true),
                (Mode::ChangeLog, false),
                (Mode::IdCursor, false),
                (Mode::Full, false),
            ];
            modes.map(|(mode, snapshot)| records.reads_whole(Some(&settings(mode, snapshot))))
        };
        assert_eq!(of_modes(&records), [true, true, false, false, true]);
        let (position, order) = (Vec::new(), Vec::new());
        let saved = SystemTime::UNIX_EPOCH;
        records.checkpoint = Some(Checkpoint { position, order, source_time: None, rows: 0, saved });
        assert_eq!(of_modes(&records), [false, false, false, false, true]);
        assert!(!records.reads_whole(None));
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
