//! Has the run under way do something, and waits for its answer.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use zenith_engine::state::{Outcome, Request, RequestEnd, StateStore};

use crate::failure::Failure;
use crate::requests::{Answer, Asked, Refusal, encode};
use crate::state::Places;

/// Between two looks at a request.
pub const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long a request may wait to be taken.
const TAKEN_WITHIN: Duration = Duration::from_secs(15);

/// Asks, and returns the number of the request.
pub async fn ask(store: &impl StateStore, pipeline: &str, asked: &Asked) -> Result<i64, Failure> {
    Ok(store.add_request(pipeline, asked.action(), &encode(asked)).await?)
}

/// How a request stands.
pub enum Stands {
    /// Nobody has taken it yet.
    Open,
    /// It is being carried out; this is how far it is, as [`HowFar`](crate::requests::HowFar).
    Taken(String),
    /// It has ended.
    Ended(RequestEnd),
}

/// Looks at a request that was made at `begun`.
///
/// # Errors
/// When nobody takes it, or the run that was to take it has ended; then it is cancelled.
pub async fn look(
    store: &impl StateStore,
    places: &Places,
    (id, begun): (i64, Instant),
    pipeline: &str,
    asked: &Asked,
) -> Result<Stands, Failure> {
    // In this order: a run that ends says first what became of its requests.
    let is_held = places.is_held().await?;
    let done = asked.done();
    let Some(Request { taken, progress, end, .. }) = store.request(id).await? else {
        let removed = format!("the request that {pipeline} be {done} was removed from the state; ask again");
        return Err(Failure::Failed(removed));
    };
    if let Some(end) = end {
        return Ok(Stands::Ended(end));
    }
    let gone = match (is_held, taken) {
        (true, Some(_)) => return Ok(Stands::Taken(progress)),
        (true, None) if begun.elapsed() <= TAKEN_WITHIN => return Ok(Stands::Open),
        (true, None) => format!(
            "{pipeline} was not {done}: the process that has the state {} did not take the request within {} s; try \
             again when it has ended, if it is no `zenith run`",
            places.state,
            TAKEN_WITHIN.as_secs()
        ),
        (false, _) => format!(
            "{pipeline} was not {done}: the `zenith run` that was asked has ended; the same command does it now"
        ),
    };
    store.cancel_request(id).await?;
    Err(Failure::Failed(gone))
}

/// What a request that has ended was answered; of one that was stopped, the sentence about that.
pub fn answered(end: &RequestEnd) -> Result<Result<Answer, String>, Failure> {
    let unreadable = |_| Failure::Failed("the answer of `zenith run` is that of another version".to_owned());
    if end.outcome == Outcome::Done {
        return Ok(Ok(serde_json::from_str(&end.result).map_err(unreadable)?));
    }
    let refusal: Refusal = serde_json::from_str(&end.result).map_err(unreadable)?;
    match end.outcome {
        Outcome::Failed => Err(refusal.into()),
        _ => Ok(Err(refusal.message)),
    }
}

/// Waits until a request was carried out.
pub async fn wait(
    store: &impl StateStore,
    places: &Places,
    id: i64,
    pipeline: &str,
    asked: &Asked,
) -> Result<Answer, Failure> {
    let begun = Instant::now();
    loop {
        sleep(LOOK_EVERY).await;
        if let Stands::Ended(end) = look(store, places, (id, begun), pipeline, asked).await? {
            return answered(&end)?.map_err(Failure::Failed);
        }
    }
}
