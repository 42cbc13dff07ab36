//! Holds the groups to what is desired: starts those that are missing, stops and starts those whose records changed.

mod again;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use zenith_engine::state::{self, Mismatches};
use zenith_engine::{Mode, Phase, PipelineProgress, Until};

use super::desired::{self, Desired, Group, Member};
use super::discovery::Discovery;
use super::group::{self, View};
use super::history;
use super::requests::{Answered, Requests, Seat};
use super::restarts::Restarts;
use super::running::{Running, Views};
use super::schedules::Schedules;
use super::shared::{Ended, Shared};
use crate::config::applied;
use crate::databases::Databases;
use crate::failure::Failure;

/// Between two looks at what was applied.
const POLL: Duration = Duration::from_secs(1);
/// Looks at what was applied between two looks for new collections.
const POLLS_PER_DISCOVERY: u32 = 4;

/// How often pipelines join a group before all of it begins anew: then they have one stream again.
const JOINS_MAX: u32 = 8;

/// How everything ended.
#[derive(Debug, PartialEq)]
pub enum End {
    /// Nothing is left to be done.
    Done,
    /// Some of it, or all, could not go on; each has been told about.
    Failed {
        /// Whether all failures are something to be corrected first.
        input: bool,
    },
}

/// Holds the groups of a run to what is desired.
pub struct Supervisor {
    shared: Shared,
    names: Vec<String>,
    databases: Databases,
    /// Held by a look for new collections, which may wait for a source.
    discovery: Arc<Mutex<Discovery>>,
    groups: BTreeMap<String, Running>,
    tasks: JoinSet<(String, Vec<Ended>)>,
    views: Views,
    /// Pipelines that read a collection whole and have done so; they are not begun again beside others.
    done: Vec<Member>,
    /// Pipelines that could not go on, by name, as far as they are still desired.
    failures: BTreeMap<String, Failure>,
    /// Errors that have been told, so that each is told once.
    told: HashSet<(String, String)>,
    done_so_far: BTreeMap<String, (u64, Mismatches)>,
    requests: Requests,
    restarts: Restarts,
    /// Pipelines that have failed, and have been loaded since by a request.
    loaded: HashSet<String>,
    schedules: Schedules,
}

impl Supervisor {
    /// A run that has not begun; `names` leaves out all others, unless it is empty.
    pub fn new(shared: Shared, names: Vec<String>, discovery: Discovery) -> Supervisor {
        Supervisor {
            shared,
            names,
            databases: Databases::default(),
            discovery: Arc::new(Mutex::new(discovery)),
            groups: BTreeMap::new(),
            tasks: JoinSet::new(),
            views: Views::default(),
            done: Vec::new(),
            failures: BTreeMap::new(),
            told: HashSet::new(),
            done_so_far: BTreeMap::new(),
            requests: Requests::begun_now(),
            restarts: Restarts::default(),
            loaded: HashSet::new(),
            schedules: Schedules::default(),
        }
    }

    /// The groups that run, for displays.
    pub fn views(&self) -> Views {
        self.views.clone()
    }

    /// Rows that pipelines have written, and what did not fit, of those that have ended.
    pub fn done_so_far(&self) -> &BTreeMap<String, (u64, Mismatches)> {
        &self.done_so_far
    }

    /// Runs until nothing is left to be done. May be dropped at any await: then [`Supervisor::stop`].
    pub async fn run(&mut self) -> Result<End, Failure> {
        let mut polls = 0;
        if self.shared.stays {
            // A run that ends has looked before it began.
            self.discover();
        }
        let mut desired = self.desired().await?;
        self.refuse(&desired).await;
        self.look_at_schedules(&desired).await;
        self.hold(&desired);
        loop {
            tokio::select! {
                () = tokio::time::sleep(POLL) => {}
                Some(ended) = self.tasks.join_next() => match ended {
                    Ok((source, ended)) => self.ended(&source, ended),
                    Err(error) => return Err(Failure::Failed(format!(
                        "a replicator ended unexpectedly ({error}); please report this"
                    ))),
                },
            }
            self.tell_failures();
            self.serve().await;
            if self.shared.until == Until::CaughtUp {
                if self.tasks.is_empty() && self.requests.is_empty() {
                    return Ok(self.end().await);
                }
                continue;
            }
            polls += 1;
            self.shared.memory.rest();
            if polls % POLLS_PER_DISCOVERY == 0 {
                self.discover();
            }
            match self.desired().await {
                Ok(now) => desired = now,
                // The pipelines themselves find out whether the state can still be written.
                Err(error) => {
                    tracing::warn!(%error, "the applied configuration cannot be read; continuing as before");
                    continue;
                }
            }
            self.refuse(&desired).await;
            self.look_at_schedules(&desired).await;
            self.join(&desired).await;
            if self.shared.stays {
                self.try_again(&desired).await;
            }
            self.hold(&desired);
            if !self.shared.stays
                && self.tasks.is_empty()
                && self.requests.is_empty()
                && desired.paused.is_empty()
                && self.schedules.is_empty()
                && !self.discovery.lock().await.may_find()
                && self.is_over(&desired)
            {
                return Ok(self.end().await);
            }
        }
    }

    async fn desired(&mut self) -> state::Result<Desired> {
        let mut desired =
            desired::read(&self.shared.store, &self.names, &mut self.databases, &self.shared.pool).await?;
        desired.leave_out(&self.requests.held_back());
        for (name, group) in &mut desired.groups {
            let Some(running) = self.groups.get(name) else { continue };
            let Some(replicator) = running.view.replicator() else { continue };
            // One that was reset by its own run is no other.
            for member in &mut group.members {
                let is_same = |known: &&Member| known.pipeline.name == member.pipeline.name;
                if let Some(known) = running.group.members.iter().find(is_same)
                    && replicator.knows_epoch(&member.pipeline.name, member.epoch)
                {
                    member.epoch = known.epoch;
                }
            }
        }
        Ok(desired)
    }

    /// Carries out what commands ask.
    async fn serve(&mut self) {
        let seat = |pipeline: &str| {
            let mut groups = self.groups.values().filter(|running| !running.ended);
            let is_in = |running: &&Running| {
                running.group.members.iter().any(|member| member.pipeline.name == pipeline)
            };
            match groups.find(is_in).map(|running| running.view.replicator()) {
                Some(Some(replicator)) if replicator.has(pipeline) => Seat::Group(replicator),
                Some(None) => Seat::Nowhere,
                // It could not be built, or has been read whole already.
                Some(Some(_)) | None => Seat::Outside,
            }
        };
        match self.requests.look(&self.shared, seat).await {
            Ok(answered) => answered.into_iter().for_each(|answered| self.answered(answered)),
            Err(error) => tracing::warn!(%error, "requests of commands cannot be read or answered"),
        }
    }

    /// A load that was asked for says more of a pipeline than what it did before.
    fn answered(&mut self, answered: Answered) {
        let Answered { pipeline, started, loaded } = answered;
        match loaded {
            Some(Err(failure)) if self.schedules.has(&pipeline) => {
                self.tell(&pipeline, &failure.with_code());
                self.failures.insert(pipeline, failure);
            }
            Some(Ok(())) => {
                self.forget_failure(&pipeline);
                self.loaded.insert(pipeline);
            }
            _ if started => self.forget_failure(&pipeline),
            _ => {}
        }
    }

    fn forget_failure(&mut self, pipeline: &str) {
        self.failures.remove(pipeline);
        self.told.retain(|(told, _)| told != pipeline);
    }

    /// Stops all groups and waits for them; what they were doing is saved by then.
    pub async fn stop(&mut self) {
        for running in self.groups.values() {
            running.stop.send_replace(true);
        }
        while let Some(ended) = self.tasks.join_next().await {
            if let Ok((source, ended)) = ended {
                self.ended(&source, ended);
            }
        }
        if let Err(error) = self.requests.stop(&self.shared).await {
            tracing::warn!(%error, "requests of commands cannot be answered");
        }
    }

    /// Looks for new collections, unless that is being done: a source that is away keeps nobody else waiting.
    fn discover(&self) {
        let Ok(mut discovery) = Arc::clone(&self.discovery).try_lock_owned() else { return };
        let store = self.shared.store.clone();
        tokio::spawn(async move {
            if let Err(failure) = discovery.look(&store).await {
                tracing::warn!(error = failure.message(), "new collections cannot be looked for");
            }
        });
    }

    /// Tells of pipelines that cannot be run beside others, once, and notes it as a run that failed.
    async fn refuse(&mut self, desired: &Desired) {
        for (name, sentence) in &desired.refused {
            let failure = Failure::Input(sentence.clone());
            if self.failures.insert(name.clone(), failure.clone()) == Some(failure) {
                continue;
            }
            self.tell(name, sentence);
            let noted = history::note_refusal(&self.shared.store, name, sentence).await;
            if let Err(error) = noted {
                tracing::warn!(%error, pipeline = name, "the refusal cannot be noted in the history");
            }
        }
    }

    /// Lets pipelines join groups that only have others beside those they had: nobody has to stop for them.
    async fn join(&mut self, desired: &Desired) {
        for (name, group) in &desired.groups {
            let Some(running) = self.groups.get_mut(name) else { continue };
            if running.group == *group
                || running.ended
                || running.joins == JOINS_MAX
                || *running.stop.borrow()
            {
                continue;
            }
            let new = running.group.joining(group);
            // One that a command works at waits until that is done.
            if new.is_empty() || new.iter().any(|member| self.requests.is_outside(&member.pipeline.name)) {
                continue;
            }
            let Some(failed) = running.view.join(&new, &self.shared).await else { continue };
            running.joins += 1;
            running.group = group.clone();
            for member in new {
                let name = &member.pipeline.name;
                self.forget_failure(name);
                tracing::info!(pipeline = name, "joining");
            }
            for Ended { name, failure, .. } in failed {
                let Some(failure) = failure else { continue };
                self.note_failure(name, failure);
            }
        }
    }

    /// Begins pipelines again whose time has come, unless the run ends once everything was done.
    async fn look_at_schedules(&mut self, desired: &Desired) {
        if self.shared.until == Until::CaughtUp {
            return;
        }
        let (requests, progress) = (&self.requests, self.views.progress());
        let is_busy = |name: &str| {
            let rests = |phase: Phase| matches!(phase, Phase::Ended | Phase::Failed);
            requests.has(name) || progress.iter().any(|shown| shown.name == name && !rests(shown.phase))
        };
        if let Err(error) = self.schedules.look(&self.shared.store, desired, is_busy).await {
            tracing::warn!(%error, "schedules cannot be followed");
        }
    }

    fn note_failure(&mut self, pipeline: String, failure: Failure) {
        self.tell(&pipeline, &failure.with_code());
        self.failures.insert(pipeline, failure);
    }

    /// Starts, stops and restarts.
    fn hold(&mut self, desired: &Desired) {
        let gone: Vec<String> =
            self.groups.keys().filter(|name| !desired.groups.contains_key(*name)).cloned().collect();
        for name in gone {
            self.let_go(&name);
        }
        for (name, group) in &desired.groups {
            // One that is worked at beside its group joins it afterwards.
            let inside = group.without(|member| self.requests.is_outside(&member.pipeline.name));
            let is_held = |running: &Running| {
                !running.begins_again && (running.group == *group || running.group == inside)
            };
            if self.groups.get(name).is_some_and(is_held) {
                continue;
            }
            let waiting = self.waiting(name, &inside);
            // One that has to stop first is started by a later look.
            if self.let_go(name) && !inside.members.is_empty() {
                self.start(name, &inside, &waiting);
            }
        }
        self.failures.retain(|name, _| {
            desired.refused.contains_key(name)
                || desired
                    .groups
                    .values()
                    .any(|group| group.members.iter().any(|member| member.pipeline.name == *name))
        });
    }

    /// Asks a group to stop, and forgets it once it has; says whether it has.
    fn let_go(&mut self, name: &str) -> bool {
        let Some(running) = self.groups.get(name) else { return true };
        if !running.ended {
            running.stop.send_replace(true);
            return false;
        }
        self.groups.remove(name);
        self.views.with(|views| views.remove(name));
        true
    }

    /// Starts a group, but for those that wait for their time.
    fn start(&mut self, name: &str, group: &Group, waiting: &HashSet<String>) {
        let (stop, stopped) = watch::channel(false);
        let view = View::default();
        self.views.with(|views| views.insert(name.to_owned(), view.clone()));
        let done: HashSet<String> = group
            .members
            .iter()
            .filter(|member| {
                let rests = self.done.contains(member) || self.schedules.rests(member);
                rests || waiting.contains(&member.pipeline.name)
            })
            .map(|member| member.pipeline.name.clone())
            .collect();
        for member in group.members.iter().filter(|member| !done.contains(&member.pipeline.name)) {
            self.forget_failure(&member.pipeline.name);
            self.loaded.remove(&member.pipeline.name);
            tracing::info!(pipeline = member.pipeline.name, source = name, "starting");
        }
        let (group_now, view_now) = (group.clone(), view.clone());
        let running =
            Running { group: group_now, stop, view: view_now, ended: false, begins_again: false, joins: 0 };
        self.groups.insert(name.to_owned(), running);
        let (name, group, shared) = (name.to_owned(), group.clone(), self.shared.clone());
        self.tasks.spawn(async move {
            let ended = group::keep(&name, &group, &done, &shared, &view, stopped).await;
            (name, ended)
        });
    }

    fn ended(&mut self, source: &str, ended: Vec<Ended>) {
        for pipeline in ended {
            let (rows, mismatches) = self.done_so_far.entry(pipeline.name.clone()).or_default();
            *rows += pipeline.rows;
            mismatches.add_bounded(&pipeline.mismatches);
            match pipeline.failure {
                Some(failure) => self.note_failure(pipeline.name, failure),
                None if pipeline.done => self.note_done(source, &pipeline.name),
                None => {}
            }
        }
        if let Some(running) = self.groups.get_mut(source) {
            running.ended = true;
        }
    }

    /// A collection that has been read whole need not be read again because another pipeline is paused.
    fn note_done(&mut self, source: &str, name: &str) {
        let Some(running) = self.groups.get(source) else { return };
        let member = running.group.members.iter().find(|member| member.pipeline.name == name);
        let is_whole = |member: &&Member| {
            applied::pipeline(&member.pipeline).is_ok_and(|pipeline| pipeline.settings.mode == Mode::Full)
        };
        if let Some(member) = member.filter(is_whole) {
            self.done.push(member.clone());
        }
    }

    /// A pipeline may fail while the others of its source go on.
    fn tell_failures(&mut self) {
        let views = self.groups.values().map(|running| running.view.clone());
        for Ended { name, failure, .. } in views.flat_map(|view| view.take_not_begun()).collect::<Vec<_>>() {
            if let Some(failure) = failure {
                self.note_failure(name, failure);
            }
        }
        let progress: Vec<PipelineProgress> =
            self.groups.values().flat_map(|running| running.view.progress()).collect();
        for pipeline in progress.iter().filter(|pipeline| pipeline.phase == Phase::Failed) {
            if let Some(error) = &pipeline.last_error {
                self.tell(&pipeline.name, error);
            }
        }
    }

    fn tell(&mut self, pipeline: &str, error: &str) {
        // What the engine's display says may be shorter than the error with its causes.
        let is_told = self
            .told
            .iter()
            .any(|(name, told)| name == pipeline && (error.starts_with(told) || told.starts_with(error)));
        if !is_told {
            self.shared.notices.tell(Some(pipeline), error);
            self.told.insert((pipeline.to_owned(), error.to_owned()));
        }
    }

    /// Whether all groups that are desired have ended by themselves.
    fn is_over(&self, desired: &Desired) -> bool {
        desired.groups.iter().all(|(name, group)| {
            self.groups.get(name).is_some_and(|running| running.ended && running.group == *group)
        })
    }

    async fn end(&self) -> End {
        let discovery = self.discovery.lock().await;
        let mut failures = self.failures.values().chain(discovery.failures()).peekable();
        if failures.peek().is_none() {
            return End::Done;
        }
        End::Failed { input: failures.all(Failure::is_input) }
    }
}
