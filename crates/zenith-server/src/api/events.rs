//! What changes, as it changes: server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::unfold;
use serde_json::{Value, json};
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, sleep_until};

use super::caller::Reader;
use super::pipelines::{Counts, Shown};
use crate::error::{ApiError, ApiResult, ErrorBody, Kind};
use crate::log::LogEntry;
use crate::news;
use crate::places::{Listening, Seat};
use crate::server::{Server, stopped};
use crate::watch::Look;

/// Between two signs of life where nothing happens.
const ALIVE_EVERY: Duration = Duration::from_secs(10);
/// A sign of life.
const ALIVE: &[u8] = b":\n\n";

/// `pipelines`: `{at, counts, ok, templates, pipelines, removed: [names]}`, at first with all pipelines, then with those that changed: their
/// names and the fields that differ; `log`: a line of the log. A line that begins with a colon comes every ten seconds where
/// nothing happens. A stream that cannot be read as fast as things happen is ended.
#[utoipa::path(get, path = "/events", tag = "server", operation_id = "listen", responses((status = 200, description = "What was asked for", content_type = "text/event-stream", body = String), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn events(
    _: Reader,
    State(server): State<Server>,
    Extension(seat): Extension<Arc<Seat>>,
) -> ApiResult<Response> {
    let Some(place) = seat.listen() else {
        return Err(ApiError::new(Kind::TooMany, "too many listen already")
            .remedy("close other pages of this server, or ask again later"));
    };
    server.watch.attend();
    let listener = Listener {
        looks: server.watch.looks(),
        lines: server.served.log.listen(),
        stop: server.stop.subscribe(),
        number: None,
        waiting: VecDeque::new(),
        silent_since: Instant::now(),
        server,
        _place: place,
    };
    let stream = unfold(listener, |mut listener| async move {
        let event = listener.next().await?;
        listener.silent_since = Instant::now();
        Some((Ok::<Bytes, Infallible>(event), listener))
    });
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-cache")];
    Ok((headers, Body::from_stream(stream)).into_response())
}

/// One who listens.
struct Listener {
    server: Server,
    looks: watch::Receiver<Arc<Look>>,
    lines: broadcast::Receiver<LogEntry>,
    stop: watch::Receiver<bool>,
    /// The last event about pipelines that was sent.
    number: Option<u64>,
    /// Events that are to be sent.
    waiting: VecDeque<Bytes>,
    /// When the last event was sent.
    silent_since: Instant,
    _place: Listening,
}

impl Listener {
    /// The next event; `None` once the server stops.
    async fn next(&mut self) -> Option<Bytes> {
        if self.number.is_none() {
            // What was seen last is sent at once; what has changed since follows, as soon as it is seen.
            let look = self.server.watch.last().await;
            let (number, whole) = self.server.news.whole(&look, &about(&look), || self.shown(&look));
            self.number = Some(number);
            return Some(whole);
        }
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            // As long as somebody listens, somebody watches.
            tokio::select! {
                () = stopped(&mut self.stop) => return None,
                changed = self.looks.changed() => {
                    changed.ok()?;
                    self.look_at_news()?;
                }
                () = sleep_until(self.silent_since + ALIVE_EVERY) => return Some(Bytes::from_static(ALIVE)),
                line = self.lines.recv() => match line {
                    Ok(line) => return Some(news::text("log", &serde_json::to_value(line).ok()?)),
                    // Those that were missed are in the log.
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                },
            }
        }
    }

    /// Takes what the last look has; `None` if it is too late for that.
    fn look_at_news(&mut self) -> Option<()> {
        let look = self.looks.borrow_and_update().clone();
        self.server.watch.keep_attending();
        let number = self.number?;
        let (number, events) = self.server.news.since(number, &look, &about(&look), || self.shown(&look))?;
        self.number = Some(number);
        self.waiting.extend(events);
        Some(())
    }

    fn shown(&self, look: &Look) -> Vec<(String, Shown)> {
        let of = |pipeline: &zenith_control::status::json::PipelineJson| {
            (pipeline.name.clone(), Shown::of(pipeline, look, &self.server))
        };
        look.report.pipelines.iter().map(of).collect()
    }
}

fn about(look: &Look) -> Value {
    json!({
        "ok": look.report.ok,
        "counts": Counts::of(&look.report.pipelines),
        "templates": look.report.templates,
    })
}
