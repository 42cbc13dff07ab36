//! Takes the state and finds out what there is to run. Nothing is created where nothing was applied.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytesize::ByteSize;
use zenith_engine::state::{AnyStore, DynStateStore, PipelineRecord, StateError};
use zenith_engine::{Until, sentence};

use super::desired::is_named;
use super::discovery::Discovery;
use super::environment::{self, Environment};
use super::shared::Shared;
use super::supervisor::Supervisor;
use crate::config::applied::Applied;
use crate::connect::{self, no_pipeline};
use crate::failure::Failure;
use crate::memory::Memory;
use crate::notices::Notices;
use crate::state::Places;

/// Between two attempts to take the state over.
const STAND_BY: Duration = Duration::from_millis(250);

/// What is to be run, and how.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Only these pipelines, or those of these templates; all if it is empty.
    pub names: Vec<String>,
    /// Memory for data on its way, in place of what the configuration says.
    pub memory: Option<ByteSize>,
    /// Until when.
    pub until: Until,
    /// Whether to go on where nothing is left to be done, also from the beginning, and to try what failed again.
    pub stays: bool,
}

/// A run that can begin.
pub struct Opened {
    /// Holds the pipelines to what is applied.
    pub supervisor: Supervisor,
    /// What all of them share.
    pub shared: Shared,
    /// What is about to run, in words.
    pub greeting: String,
    /// The state, to be given back at the end.
    pub held: Arc<AnyStore>,
}

/// Takes the state, which no other process may have then.
///
/// # Errors
/// If another process has the state, if nothing was applied, if a name is unknown, or if the pool cannot be made.
pub async fn open(places: &Places, wanted: Wanted, notices: Notices) -> Result<Opened, Failure> {
    let applied = match places.look().await {
        Ok(store) => Applied::read(&store).await?,
        Err(_) if places.state.is_absent().await => Applied::default(),
        // One to be brought up to date can be read once it has been opened for writing.
        Err(_) => Applied::read(&places.change().await?).await?,
    };
    let by_environment = !places.has_file() && environment::decides(&applied);
    if applied.is_idle() && !by_environment && !wanted.stays {
        return Err(Failure::Input(nothing_to_run(places)));
    }
    let Wanted { names, memory, until, stays } = wanted;
    let is_known = |name: &&String| applied.names().any(|known| known == *name) || by_environment;
    if let Some(name) = names.iter().find(|name| !is_known(name)) {
        return Err(no_pipeline(name, applied.names()));
    }
    let targets = if by_environment { BTreeMap::from([environment::target()]) } else { applied.targets() };
    let pool = connect::loading_pool(memory, places, &targets).await?;
    let held = Arc::new(hold(places, until, &notices).await?);
    let store = DynStateStore::new(Arc::clone(&held));
    let environment = match by_environment {
        true => Some(Environment::open(&store).await?),
        false => None,
    };
    let mut discovery = Discovery::new(environment, notices.clone());
    // One that stays answers meanwhile, and looks until it has found them.
    if !stays {
        discovery.look(&store).await?;
    }
    let is_meant = |record: &&PipelineRecord| names.is_empty() || is_named(&names, record);
    let pipelines = Applied::read(&store).await?.pipelines.iter().filter(is_meant).count();
    let greeting = format!(
        "running {pipelines} {}; the state is {}",
        if pipelines == 1 { "pipeline" } else { "pipelines" },
        places.state
    );
    let greeting = match (pipelines, discovery.may_find()) {
        (0, true) => format!("{greeting}; waiting for the first collection"),
        _ => greeting,
    };
    let memory = Memory::new(pool.clone());
    let shared = Shared { store, pool, memory, until, stays, notices };
    let supervisor = Supervisor::new(shared.clone(), names, discovery);
    Ok(Opened { supervisor, shared, greeting, held })
}

/// Takes the state. Of one that several machines share, the lease is waited for: until then this process stands by.
async fn hold(places: &Places, until: Until, notices: &Notices) -> Result<AnyStore, Failure> {
    let mut told = false;
    loop {
        match places.state.open().await {
            Err(error) if until == Until::Stopped && may_come(&error, told) => {
                if !told {
                    notices.tell(None, &format!("standing by: {}", sentence(&error)));
                    told = true;
                }
                tokio::time::sleep(STAND_BY).await;
            }
            opened => return Ok(opened?),
        }
    }
}

/// Whether the state may be had later: of a process that stands by already, whatever passes by itself.
fn may_come(error: &StateError, stands_by: bool) -> bool {
    let is_taken = matches!(error, StateError::Leased { .. } | StateError::Fenced { .. });
    is_taken || (stands_by && error.is_transient())
}

fn nothing_to_run(places: &Places) -> String {
    let state = &places.state;
    if places.has_file() {
        return format!(
            "no pipelines were applied to the state {state}: {} is here, so apply it with `zenith apply`",
            places.file.display()
        );
    }
    format!(
        "no pipelines were applied to the state {state}: write a configuration with `zenith init` and apply it, or set \
         ZENITH_SOURCE and ZENITH_TARGET to keep a whole database in step"
    )
}
