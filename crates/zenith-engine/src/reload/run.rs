//! A reload as its caller sees it: a plan, and what it does.

use zenith_extract::Source;
use zenith_transport::Sink;

use super::execute::execute;
use super::plan::{ReloadPlan, plan};
use crate::layout::LoadMetadata;
use crate::load::findings::Findings;
use crate::{Pipeline, Result, Strategy, Summary};

impl<S: Source, K: Sink + 'static> Pipeline<S, K> {
    /// Looks at both ends, samples the collection and says what a run would do. Writes nothing.
    ///
    /// # Errors
    /// Everything that would keep a run from succeeding and can be known before it.
    pub async fn plan(&self) -> Result<ReloadPlan> {
        plan(self, &Findings::default()).await
    }

    /// Reloads the table: [`Pipeline::plan`], then [`Pipeline::execute`].
    ///
    /// # Errors
    /// As those.
    pub async fn run(&self) -> Result<Summary> {
        let plan = self.plan().await?;
        self.execute(&plan).await
    }

    /// Executes a plan.
    ///
    /// # Errors
    /// [`Stopped`](crate::EngineError::Stopped) after [`stop`](crate::StopHandle::stop); otherwise what went wrong.
    /// With the swap strategy the old table is then as it was, and the shadow table is dropped.
    pub async fn execute(&self, plan: &ReloadPlan) -> Result<Summary> {
        if plan.strategy == Strategy::Truncate {
            plan.complete_table(&*self.sink, &self.table).await?;
        }
        execute(self, plan, LoadMetadata::None).await
    }
}
