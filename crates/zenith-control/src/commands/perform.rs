//! Which function carries which command out.

use super::command::{Call, Command};
use super::desk::Desk;
use super::output::Output;
use super::{apply, connectors, history, letters, pipelines, reload, requests, reset, schema, status};
use crate::config::export;
use crate::failure::Failure;
use crate::text::Paint;

impl Desk {
    /// Carries a command out.
    ///
    /// # Errors
    /// If it could not be carried out, and there is nothing to be printed of it.
    pub async fn perform(&self, call: &Call) -> Result<Output, Failure> {
        let Call { command, view } = call;
        let paint = Paint::with_colours(view.colours);
        match command {
            Command::Status(wanted) => status::status(self, wanted, *view, paint).await,
            Command::History { name, limit } => history::history(self, name.as_deref(), *limit, *view).await,
            Command::Connectors => connectors::list(self, *view).await,
            Command::TestConnector { name } => connectors::test(self, name, *view, paint).await,
            Command::Pipelines => pipelines::list(self, *view).await,
            Command::Pipeline { name } => pipelines::show(self, name, *view).await,
            Command::Pause { name, paused } => pipelines::set_paused(self, name, *paused, *view).await,
            Command::Remove { name, dry_run } => pipelines::remove(self, name, *dry_run).await,
            Command::Schema { name } => schema::show(self, name, *view).await,
            Command::Promotable { name, fields } => schema::promotable(self, name, fields, *view).await,
            Command::Letters { name, limit } => letters::list(self, name.as_deref(), *limit, *view).await,
            Command::Letter { id } => letters::show(self, id, *view).await,
            Command::Retry(wanted) => letters::retry(self, wanted, *view).await,
            Command::Purge(wanted) => letters::purge(self, wanted, *view).await,
            Command::Apply(wanted) => apply::apply(self, wanted, paint).await,
            Command::Export => {
                Ok(Output::text(export::text(&self.applied().await?.config().map_err(Failure::Input)?)))
            }
            Command::ReloadPlan { name } => reload::plan(self, name, *view).await,
            Command::ResetPlan { name, from } => reset::plan(self, name, from).await,
            Command::Ask { name, asked } => requests::ask(self, name, asked).await,
            Command::Look { id, name, asked, since } => requests::look(self, *id, name, asked, *since).await,
            Command::Cancel { id, .. } => requests::cancel(self, *id).await,
        }
    }
}
