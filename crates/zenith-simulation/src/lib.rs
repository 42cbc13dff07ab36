//! The engine over memory, with faults by a seed.
//!
//! A seed stands for a collection and what happens to it, for the settings of a pipeline, and for some lives of the
//! process: in each some calls fail, take a while or never answer, and most lives end with a crash at some call. Source,
//! target and state outlive the crash with what they had acknowledged. After the last life one more catches up, in which
//! nothing fails, and the tables must have what the source says. Everything runs on one thread with virtual time, so that
//! a seed is the same run each time, and a thousand take a second.
//!
//! | part | what it is |
//! | --- | --- |
//! | `scenario` | what a seed stands for |
//! | `world`, `calls` | the fate of every call, and what happens meanwhile |
//! | `history` | the collection and its changes |
//! | `source`, `sink`, `store` | the three ends that outlive a crash |
//! | `purge` | rows of documents that are gone leave the table |
//! | `lives` | the lives of the process |
//! | `judge`, `rows` | what has to be true of the tables |

mod calls;
mod history;
mod judge;
mod lives;
mod purge;
mod random;
mod rows;
mod scenario;
mod sink;
mod source;
mod store;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use zenith_engine::Pool;
use zenith_engine::simulation::{Simulation, simulate};

use crate::lives::Lives;
use crate::random::Random;
use crate::scenario::Scenario;
use crate::world::World;

pub use scenario::Kind;
pub use zenith_engine::simulation::DeliberateBug;

/// The memory that the seeds of a thread share.
const POOL_BYTES: usize = 64 << 20;

/// Runs seeds, one after the other, on the thread that has made it.
#[derive(Debug)]
pub struct Laboratory {
    pool: Pool,
    bug: Option<DeliberateBug>,
}

/// What came of a seed.
#[derive(Clone, Debug)]
pub struct Run {
    /// What it simulates.
    pub kind: Kind,
    /// Lives that ended with a crash.
    pub crashes: u32,
    /// Calls that failed.
    pub faults: u32,
    /// Changes at the source.
    pub changes: usize,
    /// The promise that was broken.
    pub broken: Option<String>,
    /// What happened, where that was to be kept.
    pub trace: Vec<String>,
}

impl Laboratory {
    /// A laboratory whose engine has this bug.
    ///
    /// # Errors
    /// A sentence, where the system has no memory.
    pub fn new(bug: Option<DeliberateBug>) -> Result<Laboratory, String> {
        let pool = Pool::new(POOL_BYTES).map_err(|error| error.to_string())?;
        Ok(Laboratory { pool, bug })
    }

    /// Runs one seed.
    #[must_use]
    pub fn run(&self, seed: u64) -> Run {
        self.simulate(seed, false)
    }

    /// Runs one seed and keeps what happens.
    #[must_use]
    pub fn trace(&self, seed: u64) -> Run {
        self.simulate(seed, true)
    }

    fn simulate(&self, seed: u64, is_traced: bool) -> Run {
        simulate(Simulation { inline: true, bug: self.bug });
        let mut random = Random::new(seed);
        let scenario = Scenario::new(seed, &mut random);
        let kind = scenario.kind;
        let world = Arc::new(World::new(scenario, random.fork(), is_traced));
        let lives = Lives::new(Arc::clone(&world), self.pool.clone());
        let (crashes, result) = match lives {
            Ok(mut lives) => {
                let result = catch_unwind(AssertUnwindSafe(|| lives.run()));
                (lives.crashes, result.unwrap_or_else(|_| Err("something has panicked".to_owned())))
            }
            Err(error) => (0, Err(error)),
        };
        simulate(Simulation::default());
        Run {
            kind,
            crashes,
            faults: world.faults(),
            changes: world.log().len(),
            broken: result.err(),
            trace: world.take_trace(),
        }
    }
}
