//! What this process knows of its marks in the target: which tables it holds, and in which of its lives.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::time::Instant;

/// One life of the process, as far as marks show it.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) id: String,
    pub(super) host: String,
    /// Whether it has been told that tables cannot be marked.
    pub(super) is_told: AtomicBool,
}

impl Life {
    pub(super) fn begin() -> Life {
        let host = nix::sys::utsname::uname().map(|name| name.nodename().to_string_lossy().into_owned());
        Life {
            id: bson::Uuid::new().to_string(),
            host: host.unwrap_or_default(),
            is_told: AtomicBool::new(false),
        }
    }
}

/// What this process knows of the mark of one table.
#[derive(Debug)]
pub(crate) struct Ownership {
    pub(super) life: Arc<Life>,
    /// By what the marks name the pipeline of this state.
    pub(super) owner: OnceLock<String>,
    hold: Mutex<Hold>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Hold {
    /// Nothing has been marked.
    No,
    /// The mark is ours.
    Held {
        taken: Option<i64>,
        renewed: Instant,
        /// Whether the run has ended, so that it is to be given back.
        has_ended: bool,
    },
    /// Another life has taken the table.
    Lost { life: String },
}

impl Ownership {
    pub(super) fn new(life: &Arc<Life>) -> Ownership {
        Ownership { life: Arc::clone(life), owner: OnceLock::new(), hold: Mutex::new(Hold::No) }
    }

    /// By what the marks name the pipeline, if any are made.
    pub(crate) fn owner(&self) -> Option<&str> {
        self.owner.get().map(String::as_str)
    }

    /// The run has ended; the table is given back with the next renewal.
    pub(super) fn end(&self) {
        self.with(|hold| {
            if let Hold::Held { has_ended, .. } = hold {
                *has_ended = true;
            }
        });
    }

    pub(super) fn with<V>(&self, change: impl FnOnce(&mut Hold) -> V) -> V {
        change(&mut self.hold.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn hold(&self) -> Hold {
        self.with(|hold| hold.clone())
    }
}
