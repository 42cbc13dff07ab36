//! What changes, as it changes: server-sent events.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::stream::{Stream, unfold};
use serde_json::json;
use tokio::sync::{broadcast, watch};

use super::caller::Reader;
use super::pipelines::{Counts, Shown};
use crate::error::ErrorBody;
use crate::log::LogEntry;
use crate::server::{Server, stopped};
use crate::watch::Look;

/// Between two signs of life where nothing happens.
const ALIVE_EVERY: Duration = Duration::from_secs(10);

/// `pipelines`: `{at, counts, ok, pipelines: [those that changed], removed: [names]}`, at first with all of them; `log`: a line
/// of the log. A line that begins with a colon comes every ten seconds where nothing happens.
#[utoipa::path(get, path = "/events", tag = "server", operation_id = "listen", responses((status = 200, description = "What was asked for", content_type = "text/event-stream", body = String), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn events(
    _: Reader,
    State(server): State<Server>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    server.watch.attend();
    let listening = Listening {
        looks: server.watch.looks(),
        lines: server.served.log.listen(),
        stop: server.stop.subscribe(),
        known: HashMap::new(),
        is_first: true,
        server,
    };
    let stream = unfold(listening, |mut listening| async move {
        let event = listening.next().await?;
        Some((Ok(event), listening))
    });
    Sse::new(stream).keep_alive(KeepAlive::new().interval(ALIVE_EVERY))
}

/// One who listens.
struct Listening {
    server: Server,
    looks: watch::Receiver<Arc<Look>>,
    lines: broadcast::Receiver<LogEntry>,
    stop: watch::Receiver<bool>,
    /// What has been sent of each pipeline.
    known: HashMap<String, Shown>,
    is_first: bool,
}

impl Listening {
    /// The next event; `None` once the server stops.
    async fn next(&mut self) -> Option<Event> {
        if self.is_first {
            let look = self.server.watch.look(super::pipelines::AGE).await;
            self.looks.borrow_and_update();
            self.is_first = false;
            if let Some(event) = self.changed(&look, true) {
                return Some(event);
            }
        }
        loop {
            // As long as somebody listens, somebody watches.
            tokio::select! {
                () = stopped(&mut self.stop) => return None,
                changed = self.looks.changed() => {
                    changed.ok()?;
                    let look = self.looks.borrow_and_update().clone();
                    self.server.watch.keep_attending();
                    if let Some(event) = self.changed(&look, false) {
                        return Some(event);
                    }
                }
                line = self.lines.recv() => match line {
                    Ok(line) => return Event::default().event("log").json_data(line).ok(),
                    // Those that were missed are in the log.
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                },
            }
        }
    }

    fn changed(&mut self, look: &Look, always: bool) -> Option<Event> {
        let mut changed = Vec::new();
        for pipeline in &look.report.pipelines {
            let shown = Shown::of(pipeline, look, &self.server);
            if self.known.get(&pipeline.name) != Some(&shown) {
                self.known.insert(pipeline.name.clone(), shown.clone());
                changed.push(shown);
            }
        }
        let is_gone = |name: &String| look.pipeline(name).is_none();
        let removed: Vec<String> = self.known.keys().filter(|name| is_gone(name)).cloned().collect();
        removed.iter().for_each(|name| {
            self.known.remove(name);
        });
        if changed.is_empty() && removed.is_empty() && !always {
            return None;
        }
        let data = json!({
            "at": look.report.at,
            "ok": look.report.ok,
            "counts": Counts::of(&look.report.pipelines),
            "pipelines": changed,
            "removed": removed,
        });
        Event::default().event("pipelines").json_data(data).ok()
    }
}
