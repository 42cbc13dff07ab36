//! Has a pipeline go on somewhere else than where it is.

use std::time::{SystemTime, UNIX_EPOCH};

use bson::{RawDocumentBuf, Timestamp, rawdoc};
use zenith_extract::{ChangeReader, ChangeSource, ResumeToken, Source, StartAt, WatchOptions};
use zenith_state::StateStore;
use zenith_transport::Sink;

use super::context::Context;
use super::position::Position;
use crate::policies::Mode;
use crate::{EngineError, Result};

/// The position at which a pipeline continues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResetTo {
    /// With the next change; changes since the checkpoint are left out.
    Now,
    /// As if the pipeline had never run.
    Beginning,
    /// With the changes of this time.
    Time(SystemTime),
    /// Right after this resume token: its `_data`, or all of it as JSON.
    Token(String),
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Context<S, K, T> {
    /// Moves the checkpoint of a pipeline that does not run, as [`Replicator::reset`](super::Replicator::reset) does.
    pub(super) async fn reset(&self, to: ResetTo) -> Result<()> {
        let (context, name) = (self, self.name.as_str());
        if !context.settings.mode.follows_changes() {
            return context.reset_without_stream(to).await;
        }
        let from = match to {
            ResetTo::Beginning if context.settings.mode == Mode::Changes || context.settings.snapshot => {
                context.refuse_load().await?;
                context.drop_view_of_log().await?;
                return Ok(context.state.reset(name, None).await?);
            }
            ResetTo::Beginning => {
                return Err(wrong(
                    "the beginning",
                    "a change log without a snapshot begins with a time, a token, or now",
                ));
            }
            ResetTo::Now => StartAt::Now,
            ResetTo::Time(time) => {
                StartAt::Time(cluster_time(time).ok_or_else(|| wrong("that time", "no server knows it"))?)
            }
            ResetTo::Token(text) => {
                StartAt::Token(token(&text).ok_or_else(|| wrong(&text, "it is no resume token"))?)
            }
        };
        let snapshot = context.state.snapshot(name).await?;
        if snapshot.is_some_and(|snapshot| snapshot.consistent_after.is_none()) {
            return Err(wrong(
                "that one",
                "the collection has not been read whole yet, and the rest of it would be left out: let it finish, or reset \
                 --from beginning",
            ));
        }
        let is_new = context.state.schemas(name).await?.is_empty();
        let namespaces = vec![context.namespace.clone()];
        let found = context.source.change_preflight(&namespaces).await?;
        let mut options = WatchOptions::new(found.scope, namespaces, context.memory.lookups().clone());
        options.from = from.clone();
        // Reading from it shows whether the server still knows the place.
        let mut reader = context.source.watch(options).await?;
        let (opened, time) = reader.opened();
        reader.next().await?;
        let place = match from {
            StartAt::Token(token) => token,
            _ => opened,
        };
        let rows = context.state.checkpoint(name).await?.map_or(0, |saved| saved.rows);
        let checkpoint = Position::new(place).checkpoint(rows, None)?;
        if is_new {
            context.make_table_unread().await?;
        }
        context.drop_view_of_log().await?;
        context.state.reset(name, Some(&checkpoint)).await?;
        context.forget_target().await?;
        if is_new && context.settings.mode == Mode::Changes {
            context.note_read(time).await?;
        }
        Ok(())
    }

    async fn reset_without_stream(&self, to: ResetTo) -> Result<()> {
        let table = self.retrying(|| self.sink.describe(&self.table)).await?;
        let rows = table.map_or(0, |table| table.rows);
        match to {
            ResetTo::Beginning if rows == 0 => Ok(self.state.reset(&self.name, None).await?),
            ResetTo::Beginning => Err(wrong(
                "the beginning",
                "the table has rows, and all documents would be appended to them: zenith reload empties it first",
            )),
            _ => {
                Err(wrong("this one", "a pipeline without a change stream can only begin from the beginning"))
            }
        }
    }
}

fn wrong(value: &str, reason: &str) -> EngineError {
    EngineError::Setting { setting: "the place", value: value.to_owned(), reason: reason.to_owned() }
}

fn cluster_time(time: SystemTime) -> Option<Timestamp> {
    let seconds = time.duration_since(UNIX_EPOCH).ok()?.as_secs();
    Some(Timestamp { time: u32::try_from(seconds).ok()?, increment: 1 })
}

/// A token from its `_data`, or from JSON around it.
fn token(text: &str) -> Option<ResumeToken> {
    let data = match serde_json::from_str::<serde_json::Value>(text) {
        Ok(value) => value.get("_data")?.as_str()?.to_owned(),
        Err(_) => text.trim().to_owned(),
    };
    let is_hex = !data.is_empty() && data.bytes().all(|byte| byte.is_ascii_hexdigit());
    let document: RawDocumentBuf = rawdoc! { "_data": data };
    if is_hex { ResumeToken::new(document).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_taken_bare_and_as_json() {
        let bare = token("8263A1B2C3").unwrap();
        assert_eq!(token("{\"_data\": \"8263A1B2C3\"}"), Some(bare));
        assert_eq!(token("yesterday"), None);
        assert_eq!(token("{}"), None);
    }
}
