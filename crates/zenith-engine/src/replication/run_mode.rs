//! How long a run goes on, and how long it waits for a server.

use std::time::Duration;

use crate::retry::RetryBudget;

/// The mode of one run of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunMode {
    /// Until it is stopped. It waits for a server for ever.
    Follow {
        /// Whether other pipelines hang on the same stream, or its memory.
        shared: bool,
    },
    /// Until everything that existed at the beginning is in the table.
    CatchUp {
        /// How long it waits for a server.
        timeout: Duration,
    },
}

impl RunMode {
    /// Whether the run ends by itself.
    pub(crate) fn ends(self) -> bool {
        matches!(self, RunMode::CatchUp { .. })
    }

    /// Whether other pipelines wait for this one.
    pub(crate) fn is_shared(self) -> bool {
        self == RunMode::Follow { shared: true }
    }

    /// The same for a pipeline that has no part in the stream of others.
    pub(crate) fn alone(self) -> RunMode {
        match self {
            RunMode::Follow { .. } => RunMode::Follow { shared: false },
            RunMode::CatchUp { .. } => self,
        }
    }

    /// How long to try something again in this run.
    pub(crate) fn retry_budget(self) -> RetryBudget {
        match self {
            RunMode::Follow { .. } => RetryBudget::new(None),
            RunMode::CatchUp { timeout } => RetryBudget::new(Some(timeout)),
        }
    }

    /// How long to try something again with the target: one that is away keeps no other pipeline waiting for long.
    pub(crate) fn retry_budget_of_target(self) -> RetryBudget {
        self.retry_budget().together(self.is_shared())
    }
}
