//! One change stream for all pipelines of a deployment: it is read once, and each pipeline receives its events.

use std::sync::Arc;
use std::time::SystemTime;

use async_channel::Sender;
use zenith_extract::{ChangeBatch, ChangeReader, ExtractError, Namespace};

use super::clock::SourceClock;
use super::event::{EventBatch, Wanted, events_of};
use super::version::system_time;
use crate::StopHandle;
use crate::retry::RetryBudget;

/// A pipeline that listens.
pub(super) struct Route {
    pub(super) namespace: Namespace,
    /// The position up to which events were delivered.
    pub(super) order: Vec<u8>,
    /// The changes that its table is told of.
    pub(super) wanted: Wanted,
    pub(super) events: Sender<EventBatch>,
}

/// How a stream ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// It was stopped, or no pipeline listens any more.
    Quietly,
    /// It cannot be read on.
    Failed(ExtractError),
}

/// Reads the stream until it is stopped, fails, or no pipeline listens.
///
/// Each delivered reply renews the retry budget.
///
/// A pipeline that is slow keeps the others waiting once the memory of the stream is used up.
pub(super) async fn fan_out<R: ChangeReader>(
    mut reader: R,
    mut routes: Vec<Route>,
    stop: &StopHandle,
    clock: &SourceClock,
    retry_budget: &mut RetryBudget,
) -> Ended {
    loop {
        if routes.is_empty() {
            return Ended::Quietly;
        }
        let batch = tokio::select! {
            biased;
            () = stop.stopped() => return Ended::Quietly,
            batch = reader.next() => match batch {
                Ok(batch) => Arc::new(batch),
                Err(error) => return Ended::Failed(error),
            },
        };
        let source_time = source_time(&batch, clock);
        let mut index = 0;
        while let Some(route) = routes.get(index) {
            let of_pipeline = match events_of(&batch, &route.namespace, &route.order, route.wanted) {
                Ok(events) => events,
                Err(error) => return Ended::Failed(error),
            };
            let of_route =
                EventBatch { events: of_pipeline, after: batch.token_after().clone(), source_time };
            let sent = tokio::select! {
                biased;
                () = stop.stopped() => return Ended::Quietly,
                sent = route.events.send(of_route) => sent,
            };
            match sent {
                Ok(()) => index += 1,
                // That pipeline has ended.
                Err(_) => drop(routes.swap_remove(index)),
            }
        }
        retry_budget.renew();
    }
}

/// The source's time up to which nothing is missing: now, if the server had nothing more to say; else that of the place reached.
fn source_time(batch: &ChangeBatch, clock: &SourceClock) -> Option<SystemTime> {
    let reached = batch.token_after().cluster_time()?;
    match batch.operation_time() {
        Some(newest) if newest <= reached => Some(clock.now()),
        _ if batch.is_empty() => Some(clock.now()),
        _ => Some(system_time(reached)),
    }
}
