//! What takes a while is asked of the run that holds the state.

use std::time::Duration;

use tokio::time::Instant;
use zenith_engine::state::StateStore as _;

use super::desk::Desk;
use super::output::{Output, Standing};
use crate::asking::{self, Stands};
use crate::connect;
use crate::failure::{Failure, code};
use crate::requests::Asked;

pub async fn ask(desk: &Desk, name: &str, asked: &Asked) -> Result<Output, Failure> {
    if matches!(asked, Asked::BeginAnew { .. }) {
        return Err(Failure::known(code::REFUSED, "a pipeline begins anew when a configuration is applied"));
    }
    connect::pipeline(&desk.config().await?, name)?;
    let id = asking::ask(&desk.change().await?, name, asked).await?;
    Ok(Standing::Asked(id).into())
}

pub async fn look(
    desk: &Desk,
    id: i64,
    name: &str,
    asked: &Asked,
    since: Duration,
) -> Result<Output, Failure> {
    let now = Instant::now();
    // The process that holds the state takes it for certain, whatever is said of the time that has passed.
    let begun = if desk.is_within() { now } else { now.checked_sub(since).unwrap_or(now) };
    let store = desk.change().await?;
    let standing = match asking::look(&store, &desk.places, (id, begun), name, asked).await? {
        Stands::Open => Standing::Open,
        Stands::Taken(progress) => Standing::Taken(serde_json::from_str(&progress).unwrap_or_default()),
        Stands::Ended(end) => match asking::answered(&end)? {
            Ok(answer) => Standing::Done(answer),
            Err(sentence) => Standing::Stopped(sentence),
        },
    };
    Ok(standing.into())
}

pub async fn cancel(desk: &Desk, id: i64) -> Result<Output, Failure> {
    desk.change().await?.cancel_request(id).await?;
    Ok(Output::default())
}
