//! The suite, for both stores.

use zenith_state::{MemoryStore, state_test_suite};

use crate::support::Folder;

state_test_suite!(memory, MemoryStore::new());
state_test_suite!(sqlite, Folder::new());
