//! Where commands are carried out: beside a state, or in the process that holds it.

use std::sync::{Arc, Mutex};

use zenith_engine::state::DynStateStore;

use crate::config::Config;
use crate::config::applied::Applied;
use crate::connect;
use crate::failure::{Failure, code};
use crate::memory::Memory;
use crate::state::Places;
use crate::status::rates::Rates;

/// Entries of a list in one answer to another machine.
const ANSWERED_MAX: u16 = 1_000;

/// What the process has that holds the state.
#[derive(Clone)]
struct Held {
    store: DynStateStore,
    memory: Memory,
}

/// A place to carry commands out. Clones are the same place.
#[derive(Clone)]
pub struct Desk {
    pub(super) places: Places,
    held: Option<Held>,
    pub(super) rates: Arc<Mutex<Rates>>,
}

impl Desk {
    /// Beside the state, whether or not somebody holds it.
    pub fn beside(places: Places) -> Desk {
        Desk { places, held: None, rates: Arc::default() }
    }

    /// In the process that holds the state.
    pub fn within(places: Places, store: DynStateStore, memory: Memory) -> Desk {
        Desk { places, held: Some(Held { store, memory }), rates: Arc::default() }
    }

    /// Where the state and the configuration are.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// The state, for looking.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub async fn look(&self) -> Result<DynStateStore, Failure> {
        match &self.held {
            Some(held) => Ok(held.store.clone()),
            None => Ok(DynStateStore::new(self.places.look().await?)),
        }
    }

    /// The state, for short changes.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub async fn change(&self) -> Result<DynStateStore, Failure> {
        match &self.held {
            Some(held) => Ok(held.store.clone()),
            None => Ok(DynStateStore::new(self.places.change().await?)),
        }
    }

    /// Memory for what is done beside the pipelines: that of the process that holds them, or a budget of its own.
    ///
    /// # Errors
    /// If the budget is too small.
    pub(super) async fn memory(&self, config: &Config) -> Result<Memory, Failure> {
        match &self.held {
            Some(held) => Ok(held.memory.clone()),
            None => Ok(Memory::of_one(connect::loading_pool(None, &self.places, &config.targets).await?)),
        }
    }

    /// How many entries of a list are given at most: what is asked for, and little enough for an answer to another machine.
    pub(super) fn at_most<N: Ord + From<u16>>(&self, limit: N) -> N {
        if self.is_within() { limit.min(ANSWERED_MAX.into()) } else { limit }
    }

    /// Whether some process runs the pipelines.
    ///
    /// # Errors
    /// If the state cannot be asked.
    pub async fn is_running(&self) -> Result<bool, Failure> {
        match self.held {
            Some(_) => Ok(true),
            None => self.places.is_held().await,
        }
    }

    /// Whether this process does.
    pub(super) fn is_within(&self) -> bool {
        self.held.is_some()
    }

    /// What is applied.
    ///
    /// # Errors
    /// If there is no state.
    pub async fn applied(&self) -> Result<Applied, Failure> {
        Ok(Applied::read(&self.look().await?).await?)
    }

    /// What is applied, as a configuration with pipelines.
    ///
    /// # Errors
    /// If nothing is applied, or this version does not understand it.
    pub async fn config(&self) -> Result<Config, Failure> {
        let applied = self.applied().await?;
        if applied.is_idle() {
            return Err(Failure::known(
                code::NOTHING_APPLIED,
                "no pipelines were applied: write a zenith.toml (zenith init), then zenith apply",
            ));
        }
        applied.config().map_err(Failure::Input)
    }
}
