//! Readiness and the watchdog of systemd; nothing happens where it does not listen.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::api::probes::reasons;
use crate::server::Server;

/// Between two looks at whether everything runs.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Says once that the service is ready: when every pipeline runs that should. Then says that it lives, until dropped.
pub async fn keep(server: &Server) {
    let watchdog = sd_notify::watchdog_enabled().map(|within| within / 2);
    let mut is_ready = false;
    loop {
        if !is_ready && reasons(&server.watch.look(LOOK_EVERY).await).is_empty() {
            is_ready = true;
            tell(&[NotifyState::Ready]);
        }
        if watchdog.is_some() {
            tell(&[NotifyState::Watchdog]);
        }
        let pause = watchdog.unwrap_or(Duration::from_secs(3600));
        tokio::time::sleep(if is_ready { pause } else { LOOK_EVERY.min(pause) }).await;
    }
}

/// Says that the service stops.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd cannot be told");
    }
}
