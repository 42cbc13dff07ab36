//! What outlives a crash: the source with its history, and the seeded fate of every call.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bson::RawDocumentBuf;
use tokio::sync::Notify;
use zenith_engine::extract::MemorySource;

use crate::calls::{Call, End};
use crate::history::{Entry, History};
use crate::random::Random;
use crate::scenario::{Among, Scenario, Weather};

/// Calls of one life after which it goes in circles.
const CALLS_MAX: u32 = 20_000;
/// Torn inserts of one seed: nobody kills a server in just that moment more often.
const TORN_MAX: u32 = 3;

/// Everything that the source, the sink and the store of a seed share.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) scenario: Scenario,
    pub(crate) memory: MemorySource,
    state: Mutex<State>,
    crash: Notify,
}

#[derive(Debug)]
struct State {
    random: Random,
    weather: Weather,
    history: History,
    /// Steps of the source that may be made in this life.
    steps_left: u32,
    calls: u32,
    /// Calls that the crash counts.
    counted: u32,
    intent_is_open: bool,
    crashed: bool,
    torn: bool,
    /// Torn inserts of all lives.
    torn_inserts: u32,
    faults: u32,
    /// The first promise that was broken.
    broken: Option<String>,
    /// Tokens by the order in which they came up: a trace is to be the same each time.
    tokens: HashMap<String, usize>,
    trace: Option<Vec<String>>,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Pass,
    FailBefore,
    FailAfter,
    /// Of inserts: the token is noted, the rows are lost.
    Torn,
    CrashBefore,
    CrashAfter,
}

impl World {
    pub(crate) fn new(scenario: Scenario, random: Random, is_traced: bool) -> World {
        let mut random = random;
        let history = History::new(&scenario, random.fork());
        World {
            memory: history.source(),
            scenario,
            state: Mutex::new(State {
                random,
                weather: Weather::default(),
                history,
                steps_left: 0,
                calls: 0,
                counted: 0,
                intent_is_open: false,
                crashed: false,
                torn: false,
                torn_inserts: 0,
                faults: 0,
                broken: None,
                tokens: HashMap::new(),
                trace: is_traced.then(Vec::new),
            }),
            crash: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a life with so many steps of the source.
    pub(crate) fn begin(&self, weather: Weather, steps: u32) {
        let mut state = self.state();
        state.weather = weather;
        state.steps_left = steps;
        (state.calls, state.counted, state.intent_is_open) = (0, 0, false);
        (state.crashed, state.torn) = (false, false);
    }

    /// Returns once the process has died.
    pub(crate) async fn crashed(&self) {
        loop {
            let told = self.crash.notified();
            if self.state().crashed {
                return;
            }
            told.await;
        }
    }

    /// One call: maybe late, maybe in vain, maybe the last one of this life.
    pub(crate) async fn call<T, E>(
        &self,
        call: Call,
        detail: impl FnOnce(&World) -> String,
        effect: impl Future<Output = Result<T, E>>,
        error: impl FnOnce(bool) -> E,
    ) -> Result<T, E> {
        let fate = self.fate(call).await;
        if call.is_told() || fate != Fate::Pass {
            self.tell(|| format!("{call:?} {}{}", detail(self), fate.words()));
        }
        match fate {
            Fate::FailBefore => return Err(error(false)),
            Fate::CrashBefore => self.die().await,
            Fate::Pass | Fate::FailAfter | Fate::Torn | Fate::CrashAfter => {}
        }
        let result = effect.await;
        match fate {
            Fate::CrashAfter => self.die().await,
            Fate::FailAfter | Fate::Torn if result.is_ok() => return Err(error(true)),
            _ => {}
        }
        self.ended(call, result.is_ok());
        result
    }

    /// As [`World::call`], for an insert whose effect depends on its fate.
    pub(crate) async fn fate_of_insert(&self, call: Call, detail: impl FnOnce(&World) -> String) -> Fate {
        let fate = self.fate(call).await;
        self.tell(|| format!("{call:?} {}{}", detail(self), fate.words()));
        if fate == Fate::CrashBefore {
            self.die().await;
        }
        fate
    }

    /// The process is dead: whoever waits here waits until the runtime goes.
    pub(crate) async fn die(&self) {
        self.state().crashed = true;
        self.crash.notify_one();
        std::future::pending().await
    }

    async fn fate(&self, call: Call) -> Fate {
        let (steps, delay, fate) = {
            let mut state = self.state();
            let state = &mut *state;
            state.calls += 1;
            if state.calls > CALLS_MAX {
                state.broken.get_or_insert_with(|| format!("more than {CALLS_MAX} calls in one life"));
                state.crashed = true;
                self.crash.notify_one();
            }
            let (random, weather) = (&mut state.random, &state.weather);
            let steps = u32::from(random.percent(weather.changes)) * random.between(1, 3);
            let delay = random.percent(weather.delays).then(|| random.pick(0, &[0, 1, 20, 120, 700]));
            (steps, delay, state.draw(call))
        };
        for _ in 0..steps {
            self.step();
        }
        match delay {
            Some(0) => tokio::task::yield_now().await,
            Some(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
            None => {}
        }
        fate
    }

    fn ended(&self, call: Call, is_done: bool) {
        match call.end() {
            Some(End::Begins) if is_done => self.state().intent_is_open = true,
            Some(End::Ends) if is_done => self.state().intent_is_open = false,
            _ => {}
        }
    }

    /// Something happens at the source, unless enough has happened in this life.
    pub(crate) fn step(&self) -> bool {
        let mut state = self.state();
        if state.steps_left == 0 {
            return false;
        }
        state.steps_left -= 1;
        let told = state.history.step(&self.scenario, &self.memory);
        drop(state);
        self.tell(|| format!("    the source: {told}"));
        true
    }

    /// The documents of these keys as they are now, all or those that match, at most so many.
    pub(crate) fn documents(
        &self,
        (after, to): (i64, i64),
        filtered: bool,
        most: usize,
    ) -> Vec<(i64, RawDocumentBuf)> {
        let state = self.state();
        let documents =
            state.history.documents.range(after.saturating_add(1)..=to.max(after.saturating_add(1)));
        let documents = documents.filter(|(id, document)| **id <= to && (!filtered || document.matches));
        documents.take(most).map(|(id, document)| (*id, document.raw.clone())).collect()
    }

    /// All documents that can be decoded: by `_id` their number.
    pub(crate) fn numbers(&self) -> BTreeMap<(i64, i64), i64> {
        self.with_history(History::numbers)
    }

    pub(crate) fn with_history<T>(&self, look: impl FnOnce(&History) -> T) -> T {
        look(&self.state().history)
    }

    /// All changes so far.
    pub(crate) fn log(&self) -> Vec<Entry> {
        self.state().history.log.clone()
    }

    /// Notes the first promise that was broken, and ends the life.
    pub(crate) fn broken(&self, what: impl FnOnce() -> String) {
        let mut state = self.state();
        state.broken.get_or_insert_with(what);
        state.crashed = true;
        self.crash.notify_one();
    }

    pub(crate) fn what_is_broken(&self) -> Option<String> {
        self.state().broken.clone()
    }

    /// Whether a token of rows was noted in this life without them.
    pub(crate) fn has_torn(&self) -> bool {
        self.state().torn
    }

    /// Calls that failed, of all lives.
    pub(crate) fn faults(&self) -> u32 {
        self.state().faults
    }

    /// Calls this token by its number.
    pub(crate) fn name_of(&self, token: &str) -> String {
        let mut state = self.state();
        let next = state.tokens.len() + 1;
        let number = *state.tokens.entry(token.to_owned()).or_insert(next);
        format!("#{number}")
    }

    pub(crate) fn is_traced(&self) -> bool {
        self.state().trace.is_some()
    }

    pub(crate) fn tell(&self, line: impl FnOnce() -> String) {
        if self.is_traced() {
            let line = line();
            self.state().trace.iter_mut().for_each(|trace| trace.push(line.clone()));
        }
    }

    pub(crate) fn take_trace(&self) -> Vec<String> {
        self.state().trace.take().unwrap_or_default()
    }

    /// A number from `least` to `most`, of the fate's own sequence.
    pub(crate) fn between(&self, least: u32, most: u32) -> u32 {
        self.state().random.between(least, most)
    }
}

impl State {
    fn draw(&mut self, call: Call) -> Fate {
        let is_counted = |among| match among {
            Among::All => true,
            Among::IntentToCommit => self.intent_is_open || call.end() == Some(End::Begins),
            Among::Letters => call == Call::InsertLetters,
        };
        if let Some(crash) = self.weather.crash
            && is_counted(crash.among)
        {
            self.counted += 1;
            if self.counted == crash.nth + 1 {
                return if crash.after_effect { Fate::CrashAfter } else { Fate::CrashBefore };
            }
        }
        let is_insert = matches!(call, Call::Insert | Call::InsertLetters);
        let may_tear = is_insert && self.torn_inserts < TORN_MAX;
        if may_tear && self.random.percent(self.weather.torn_inserts) {
            self.torn_inserts += 1;
            self.torn |= call == Call::Insert;
            self.faults += 1;
            return Fate::Torn;
        }
        let (faults, may_be_late) = call.faults(&self.weather);
        if !self.random.percent(faults) {
            return Fate::Pass;
        }
        self.faults += 1;
        if may_be_late && self.random.percent(50) { Fate::FailAfter } else { Fate::FailBefore }
    }
}

impl Fate {
    fn words(self) -> &'static str {
        match self {
            Fate::Pass => "",
            Fate::FailBefore => ": fails",
            Fate::FailAfter => ": done, but the answer is lost",
            Fate::Torn => ": the token is noted, the rows and the answer are lost",
            Fate::CrashBefore => ": CRASH before it",
            Fate::CrashAfter => ": CRASH after it",
        }
    }
}
