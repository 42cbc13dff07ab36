//! One life of the process after another over the same source, target and state; the runtime of a life dies with it.

use std::sync::Arc;
use std::time::Duration;

use zenith_engine::state::{Connector, MemoryStore, PipelineRecord, Role, StateStore};
use zenith_engine::{EngineError, Outcome, Pipeline, Pool, ReloadOptions, Replicator, SyncPipeline, Until};

use crate::history::namespace;
use crate::judge::{Reached, is_whole};
use crate::scenario::{Errand, Kind, Life, Weather};
use crate::sink::{SimulatedSink, TABLE};
use crate::source::SimulatedSource;
use crate::store::SimulatedStore;
use crate::world::World;

/// The memory of a replicator, so small that its shares are, too.
pub(crate) const MEMORY: usize = 16 << 20;
/// Of virtual time: whatever waits, waits for less.
const LIFE_MAX: Duration = Duration::from_secs(3600);

/// How a life ended.
enum Death {
    Crashed,
    Ended(Vec<EngineError>),
    Stuck,
}

/// The lives of one seed.
pub(crate) struct Lives {
    world: Arc<World>,
    sink: Arc<SimulatedSink>,
    store: Arc<SimulatedStore>,
    pool: Pool,
    /// Of crashes.
    pub(crate) crashes: u32,
    /// Whether a reload has begun that has not come to its end.
    is_reload_open: bool,
}

impl Lives {
    pub(crate) fn new(world: Arc<World>, pool: Pool) -> Result<Lives, String> {
        let memory = MemoryStore::new();
        runtime()?.block_on(register(&memory)).map_err(|error| error.to_string())?;
        Ok(Lives {
            sink: Arc::new(SimulatedSink::new(Arc::clone(&world))),
            store: Arc::new(SimulatedStore::new(Arc::clone(&world), memory)),
            world,
            pool,
            crashes: 0,
            is_reload_open: false,
        })
    }

    /// All lives, the last one without faults; the promise that was broken, if one was.
    pub(crate) fn run(&mut self) -> Result<(), String> {
        let scenario = self.world.scenario.clone();
        let shares = u32::try_from(scenario.lives.len()).unwrap_or(u32::MAX) + 1;
        let mut copies = Vec::new();
        for (number, life) in (1..).zip(&scenario.lives) {
            self.world.tell(|| format!("life {number}: {:?}", life.errand));
            self.world.begin(life.weather.clone(), scenario.steps / shares);
            // While the process was away.
            for _ in 0..self.world.between(0, 2) {
                self.world.step();
            }
            if scenario.kind == Kind::Reload {
                while self.world.step() {}
                copies.push(self.world.numbers());
            }
            self.live(life)?;
            if scenario.kind == Kind::Reload {
                is_whole(&self.sink, &copies)?;
            }
        }
        self.world.tell(|| "the last life, in which nothing fails".to_owned());
        self.world.begin(Weather::default(), scenario.steps.div_ceil(shares));
        while self.world.step() {}
        if self.is_reload_open && scenario.kind == Kind::IdCursor {
            self.live(&Life { errand: Errand::ReloadPipeline, weather: Weather::default() })?;
        }
        let errand = if scenario.kind == Kind::Reload { Errand::Copy } else { Errand::CatchUp };
        let last = Life { errand, weather: Weather::default() };
        self.live(&last)?;
        let reached = Reached {
            world: &self.world,
            sink: &self.sink,
            state: &self.store.memory,
            began: self.store.began(),
        };
        runtime()?.block_on(reached.judge())
    }

    fn live(&mut self, life: &Life) -> Result<(), String> {
        let runtime = runtime()?;
        self.is_reload_open |= life.errand == Errand::ReloadPipeline;
        let death = runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.world.crashed() => Death::Crashed,
                () = tokio::time::sleep(LIFE_MAX) => Death::Stuck,
                ended = self.errand(life.errand) => Death::Ended(ended),
            }
        });
        // With it go all tasks, each where it waits.
        drop(runtime);
        if let Some(broken) = self.world.what_is_broken() {
            return Err(broken);
        }
        match death {
            Death::Crashed => self.crashes += 1,
            Death::Stuck => return Err(format!("nothing came of {:?} in an hour", life.errand)),
            Death::Ended(errors) => {
                if errors.is_empty() && life.errand == Errand::ReloadPipeline {
                    self.is_reload_open = false;
                }
                for error in errors {
                    self.world.tell(|| format!("    it ended: {}", told(&error)));
                    if !self.is_expected(life, &error) {
                        return Err(format!("{:?} failed: {}", life.errand, told(&error)));
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether an error comes of the faults of this life.
    fn is_expected(&self, life: &Life, error: &EngineError) -> bool {
        let weather = &life.weather;
        match error {
            EngineError::Source(error) | EngineError::Reading(error) => {
                weather.source_faults > 0 && error.is_transient()
            }
            EngineError::Stream(error) => weather.source_faults > 0 && error.is_transient(),
            EngineError::Sink(error) | EngineError::Writing(error) => {
                (weather.sink_faults > 0 || weather.torn_inserts > 0) && error.is_transient()
            }
            EngineError::State(error) => weather.state_faults > 0 && error.is_transient(),
            // It asks for the reload to be done again: the table still has its rows.
            EngineError::Setting { setting: "the table", .. } => self.is_reload_open,
            // A load counts the rows it has written.
            EngineError::Reconcile { .. } => self.world.has_torn(),
            _ => false,
        }
    }

    /// Does what a life is for; the errors it ended with.
    async fn errand(&self, errand: Errand) -> Vec<EngineError> {
        if errand == Errand::Copy {
            return match self.copy().await {
                Ok(()) => Vec::new(),
                Err(error) => vec![error],
            };
        }
        let replicator = match self.replicator() {
            Ok(replicator) => replicator,
            Err(error) => return vec![error],
        };
        let ended = match errand {
            Errand::ReloadPipeline => replicator.reload(TABLE).await.map(|_| Vec::new()),
            Errand::CatchUp => replicator.run(Until::CaughtUp).await,
            Errand::Follow | Errand::Copy => self.follow(&replicator).await,
        };
        match ended {
            Ok(outcomes) => outcomes.into_iter().filter_map(|outcome| outcome.error).collect(),
            Err(error) => vec![error],
        }
    }

    fn replicator(&self) -> Result<Replicator<SimulatedSource, SimulatedSink, SimulatedStore>, EngineError> {
        let source = SimulatedSource::new(Arc::clone(&self.world));
        let replicator = Replicator::new(source, Arc::clone(&self.store), self.pool.clone());
        let mut replicator = replicator.with_memory(MEMORY);
        replicator.add(SyncPipeline {
            name: TABLE.to_owned(),
            namespace: namespace(),
            table: TABLE.to_owned(),
            sink: Arc::clone(&self.sink),
            settings: self.world.scenario.settings.clone(),
        })?;
        Ok(replicator)
    }

    /// Follows while things happen at the source, and for a while after.
    async fn follow(
        &self,
        replicator: &Replicator<SimulatedSource, SimulatedSink, SimulatedStore>,
    ) -> Result<Vec<Outcome>, EngineError> {
        let stop = replicator.stop_handle();
        let happen = async {
            loop {
                let most = if self.world.scenario.slow_loads { 4_000 } else { 400 };
                let pause = self.world.between(0, most);
                tokio::time::sleep(Duration::from_millis(pause.into())).await;
                if !self.world.step() {
                    break;
                }
            }
            let pause = self.world.between(0, 3000);
            tokio::time::sleep(Duration::from_millis(pause.into())).await;
            self.world.tell(|| "    it is asked to stop".to_owned());
            stop.stop();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            ended = replicator.run(Until::Stopped) => ended,
            () = happen => Ok(Vec::new()),
        }
    }

    async fn copy(&self) -> Result<(), EngineError> {
        let scenario = &self.world.scenario;
        let mut table = scenario.settings.options.clone();
        table.readers = Some(scenario.readers);
        let options = ReloadOptions { table, decoders: scenario.readers, ..ReloadOptions::default() };
        let pipeline = Pipeline::builder()
            .source(SimulatedSource::new(Arc::clone(&self.world)))
            .sink(Arc::clone(&self.sink))
            .pool(self.pool.clone())
            .namespace(namespace())
            .table(TABLE)
            .options(options)
            .build()?;
        pipeline.run().await.map(|_| ())
    }
}

/// An error without the name of a table that another run would name otherwise.
fn told(error: &EngineError) -> String {
    match error {
        EngineError::Reconcile { read, written, dead_letters, counted, .. } => format!(
            "a load does not agree: {read} read, {written} written, {dead_letters} dead letters, {counted} counted"
        ),
        error => zenith_engine::sentence(error),
    }
}

/// A runtime of one thread, whose time passes when everybody waits.
fn runtime() -> Result<tokio::runtime::Runtime, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.map_err(|error| format!("there is no runtime: {error}"))
}

/// Notes the pipeline in the state.
async fn register(state: &MemoryStore) -> zenith_engine::state::Result<()> {
    for (name, role) in [("from", Role::Source), ("to", Role::Target)] {
        let connector =
            Connector { name: name.to_owned(), role, uri: "memory://".to_owned(), options: String::new() };
        state.put_connector(&connector).await?;
    }
    let record = PipelineRecord {
        name: TABLE.to_owned(),
        source: "from".to_owned(),
        target: "to".to_owned(),
        settings: String::new(),
        paused: false,
    };
    state.put_pipeline(&record).await
}
