//! The suite, for all stores.

use zenith_state::{MemoryStore, state_test_suite};

use crate::support::{Database, Folder};

state_test_suite!(memory, MemoryStore::new());
state_test_suite!(sqlite, Folder::new());
state_test_suite!(postgres, Database::new().await);
