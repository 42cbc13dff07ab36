//! The derived names of a pipeline, and the view that shows the current documents of a table of versions.

use zenith_extract::{ChangeSource, Source};
use zenith_state::StateStore;
use zenith_transport::ddl::CurrentView;
use zenith_transport::{Sink, TransportError};

use super::context::Context;
use crate::Result;
use crate::layout::Layout;
use crate::names::{ViewState, current_view, letters_fit, view_state};

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
        let table = match columns {
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

    fn current_view(&self, view: &str) -> CurrentView {
        current_view(view, &self.table, self.layout() == Layout::Marked { moves: true })
    }

    /// Makes the view anew if somebody dropped it, and says whether it did. Asks once.
    pub(super) async fn renew_view(&self) -> Result<bool> {
        let Some(view) = self.settings.view_of(&self.table) else { return Ok(false) };
        let object = self.sink.object(&view).await?;
        if view_state(object.as_ref(), &view, &self.table, None)? != ViewState::Missing {
            return Ok(false);
        }
        match self.sink.admin().create_view(&self.current_view(&view), false).await {
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

    /// Creates the view if it is missing, and has it show the columns the table has now.
    pub(super) async fn keep_view(&self) -> Result<()> {
        let Some(view) = self.settings.view_of(&self.table) else { return Ok(()) };
        let state = self.look_at_view(&view, true).await?;
        if state == ViewState::Fits {
            return Ok(());
        }
        let view = self.current_view(&view);
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
