//! Requests that need no place beside the other pipelines: a comparison, and beginning anew of what stands still.

use tokio::sync::watch;
use zenith_engine::{EngineError, VerifyOptions};

use super::shared::Shared;
use crate::config::applied::Applied;
use crate::connect::{self, Single};
use crate::failure::Failure;
use crate::memory::Kind;
use crate::operations::apply;
use crate::operations::verification::{self, Verified};
use crate::requests::{Answer, Record};
use crate::text::Paint;

/// Why something did not come to its end.
pub enum Unfinished {
    /// It failed.
    Failure(Failure),
    /// It was stopped: by who asked for it, or with the pipelines of its source.
    Stopped(String),
}

impl From<EngineError> for Unfinished {
    fn from(error: EngineError) -> Unfinished {
        match error {
            EngineError::Stopped | EngineError::StoppedLeaving { .. } => {
                Unfinished::Stopped(error.to_string())
            }
            error => Unfinished::Failure(error.into()),
        }
    }
}

impl From<Failure> for Unfinished {
    fn from(failure: Failure) -> Unfinished {
        Unfinished::Failure(failure)
    }
}

/// Connects both ends of a pipeline by connections of their own, as soon as there is memory for it.
pub async fn single(name: &str, kind: Kind, shared: &Shared) -> Result<Single, Failure> {
    let config = Applied::read(&shared.store).await?.config().map_err(Failure::Input)?;
    connect::single_within(&config, name, shared.store.clone(), shared.memory.part(kind).await).await
}

/// Gives a pipeline that stands still another record, and no progress.
pub async fn begin_anew(name: &str, record: Record, shared: &Shared) -> Result<Answer, Failure> {
    apply::begin_anew(&shared.store, &record.of(name)).await?;
    Ok(Answer::default())
}

/// Compares a collection and its table, while changes go on; a cancelled one ends as [`EngineError::Stopped`].
pub async fn verify(
    name: &str,
    options: VerifyOptions,
    cancel: &mut watch::Receiver<bool>,
    shared: &Shared,
) -> Result<Answer, Unfinished> {
    let cancelled = async |cancel: &mut watch::Receiver<bool>| {
        let _ = cancel.wait_for(|cancelled| *cancelled).await;
    };
    let single = tokio::select! {
        single = single(name, Kind::Comparing, shared) => single?,
        () = cancelled(cancel) => return Err(EngineError::Stopped.into()),
    };
    let found = {
        let mut verify = std::pin::pin!(single.keeper.verify(name, options));
        tokio::select! {
            found = &mut verify => found,
            () = cancelled(cancel) => {
                single.keeper.stop_handle().stop();
                verify.await
            }
        }
    };
    let verified = Verified::of(&single, found?).await;
    let text = verification::text(&verified, Paint::plain());
    let json = crate::requests::encode(&verified.json());
    Ok(Answer { text, json, ..Answer::default() })
}
