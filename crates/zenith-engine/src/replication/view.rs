//! The derived names of a pipeline, and the view over its table: the documents as they are, or as they were at a time.

use zenith_extract::{ChangeSource, Source};
use zenith_state::StateStore;
use zenith_transport::ddl::View;
use zenith_transport::{Sink, TransportError};

use super::context::Context;
use super::prepare::decode_time;
use super::version::version_of;
use crate::Result;
use crate::layout::Layout;
use crate::names::{ViewState, current_view, letters_fit, log_view, log_view_state, view_state};

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Context<S, K, T> {
    /// Refuses to begin where a name is taken by what Zenith did not make. Writes nothing.
    pub(super) async fn guard_names(&self) -> Result<()> {
        self.tell_leftovers().await;
        if let Some(view) = self.settings.view_of(&self.table) {
            self.look_at_view(&view, false).await?;
        }
        self.look_at_dead_letters().await.map(|_| ())
    }

    /// What is to be done about the view; with `columns`, also whether it shows those that the table has.
    pub(super) async fn look_at_view(&self, view: &str, columns: bool) -> Result<ViewState> {
        let object = self.retrying(|| self.sink.object(view)).await?;
        if columns && let Some(View::At(wanted)) = self.view(view).await? {
            return log_view_state(object.as_ref(), &wanted);
        }
        let table = match columns && self.layout().has_versions() {
            true => self.retrying(|| self.sink.object(&self.table)).await?,
            false => None,
        };
        view_state(object.as_ref(), view, &self.table, table.as_ref())
    }

    /// Whether there is a table for dead letters.
    pub(super) async fn look_at_dead_letters(&self) -> Result<bool> {
        let name = &self.settings.options.dead_letters;
        let object = self.retrying(|| self.sink.object(name)).await?;
        letters_fit(object.as_ref(), name, "dead_letters = \"NAME\"")?;
        Ok(object.is_some())
    }

    /// Makes the view anew if somebody dropped it, and says whether it did. Asks once.
    pub(super) async fn renew_view(&self) -> Result<bool> {
        let Some(view) = self.settings.view_of(&self.table) else { return Ok(false) };
        let object = self.sink.object(&view).await?;
        if view_state(object.as_ref(), &view, &self.table, None)? != ViewState::Missing {
            return Ok(false);
        }
        let Some(wanted) = self.view(&view).await? else { return Ok(false) };
        match self.sink.admin().create_view(&wanted, false).await {
            Ok(()) => {
                tracing::warn!(
                    pipeline = self.name,
                    "the view {view} was missing and has been created again"
                );
                Ok(true)
            }
            // A sink that has no views has no readers of them either.
            Err(TransportError::Unsupported { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The view of this name as it is to be; none over a log that has not all changes since a snapshot.
    async fn view(&self, name: &str) -> Result<Option<View>> {
        if self.layout().has_versions() {
            let hides = self.layout() == Layout::Marked { moves: true };
            return Ok(Some(View::Current(current_view(name, &self.table, hides))));
        }
        let since = self.log_begins().await?;
        Ok(since.map(|since| View::At(log_view(name, &self.table, since))))
    }

    /// Drops the view over a log, which is about to lack changes; a next start makes it again if it does not come to that.
    pub(super) async fn drop_view_of_log(&self) -> Result<()> {
        let Some(view) = self.settings.view_of(&self.table).filter(|_| self.layout() == Layout::Log) else {
            return Ok(());
        };
        let Some(View::At(wanted)) = self.view(&view).await? else { return Ok(()) };
        let object = self.retrying(|| self.sink.object(&view)).await?;
        match log_view_state(object.as_ref(), &wanted) {
            // It is somebody else's.
            Err(_) | Ok(ViewState::Missing) => Ok(()),
            Ok(ViewState::Fits | ViewState::Stale) => {
                self.retrying(|| self.sink.drop_table(&view)).await?;
                tracing::warn!(
                    pipeline = self.name,
                    "the view {view} was dropped: the log lacks changes from now on"
                );
                Ok(())
            }
        }
    }

    /// The version at which the snapshot was complete that a log begins with. A reset leaves changes out, and forgets it.
    pub(crate) async fn log_begins(&self) -> Result<Option<u64>> {
        let snapshot = self.state.snapshot(&self.name).await?;
        Ok(snapshot.and_then(|snapshot| decode_time(&snapshot.consistent_after?)).map(version_of))
    }

    /// Whether updates come with the document as it was after them.
    pub(super) async fn has_images(&self) -> Result<bool> {
        Ok(self.uses_images() && self.source.preflight(&self.namespace).await?.collection.pre_and_post_images)
    }

    /// Creates the view if it is missing, and has it show the columns the table has now.
    pub(super) async fn keep_view(&self) -> Result<()> {
        let Some(view) = self.settings.view_of(&self.table) else { return Ok(()) };
        let state = self.look_at_view(&view, true).await?;
        if state == ViewState::Fits {
            return Ok(());
        }
        let Some(view) = self.view(&view).await? else { return Ok(()) };
        self.retrying(|| async {
            match self.sink.admin().create_view(&view, state == ViewState::Stale).await {
                // A sink that has no views has no readers of them either.
                Err(TransportError::Unsupported { .. }) => Ok(()),
                done => done,
            }
        })
        .await
    }
}
