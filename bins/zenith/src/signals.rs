//! SIGINT and SIGTERM: the first asks the run to stop, the second ends the process at once.

use tokio::signal::unix::{Signal, SignalKind, signal};
use zenith_engine::StopHandle;

use crate::exit;

/// Stops the run at the first signal.
pub fn watch(stop: StopHandle) {
    let (Ok(interrupt), Ok(terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        tracing::warn!("signals cannot be caught: stopping will not clean up");
        return;
    };
    tokio::spawn(async move {
        let (mut interrupt, mut terminate) = (interrupt, terminate);
        any(&mut interrupt, &mut terminate).await;
        eprintln!("zenith: stopping; once more to stop at once");
        stop.stop();
        any(&mut interrupt, &mut terminate).await;
        // Nothing is cleaned up: that is what the second signal asks for.
        #[expect(clippy::disallowed_methods)]
        std::process::exit(i32::from(exit::STOPPED));
    });
}

async fn any(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
