//! The lease of a run: what happens when another process has taken it, and its end.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

pub use zenith_control::state::give_back;
use zenith_engine::state::AnyStore;

use crate::progress::say;

/// Between two looks. A process that stood still for longer than its lease looks before anything else is likely to be sent.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How long the end may wait until it has been told.
const TOLD_WITHIN: Duration = Duration::from_millis(100);
/// What is told.
const LOST: &str = "zenith: the lease of the state is lost, and another process may have taken over: start this one again to stand by";

/// Ends the process at once when its lease is lost, or about to run out: nothing may be sent to a target any more. A thread of its
/// own looks, whatever the others are busy with.
pub fn watch(state: &AnyStore) {
    let Some(lease) = state.lease() else { return };
    // A thread of its own, and an end that waits for nothing: what waits may still send.
    #[allow(clippy::disallowed_methods)]
    let look = move || {
        while !lease.is_lost() {
            thread::sleep(LOOK_EVERY);
        }
        // By another thread, as nobody may be reading what is said.
        let telling = thread::spawn(|| say(LOST));
        let asked = Instant::now();
        while !telling.is_finished() && asked.elapsed() < TOLD_WITHIN {
            thread::sleep(LOOK_EVERY / 10);
        }
        end();
    };
    if let Err(error) = thread::Builder::new().name("lease".to_owned()).spawn(look) {
        say(&format!("zenith: nothing can look after the lease of the state: {error}"));
        end();
    }
}

/// The state of a command that does its work itself, for as long as it has the lease.
pub fn share(state: AnyStore) -> Arc<AnyStore> {
    watch(&state);
    Arc::new(state)
}

/// Ends the process, with all that it is doing.
#[expect(clippy::disallowed_methods)]
fn end() -> ! {
    std::process::exit(1)
}
