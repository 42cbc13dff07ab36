//! One of several collections: planned, copied, and how that ended.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use zenith_engine::transport::ClickHouseSink;
use zenith_engine::{EngineError, Namespace, Pipeline, Pool, Progress, ReloadOptions, ReloadPlan, Summary};

use crate::copy;
use crate::exit::{self, Failure};
use zenith_control::allowed::Allowed;
use zenith_control::collections::listing::Catalogue;

/// One collection and its table.
#[derive(Clone, Debug)]
pub struct Job {
    pub namespace: Namespace,
    pub table: String,
}

/// What all copies share.
pub struct Shared<S> {
    source: S,
    pub sink: Arc<ClickHouseSink>,
    pub pool: Pool,
    /// Bytes of the pool for each of them.
    share: usize,
    options: ReloadOptions,
    /// Whether they are only planned.
    pub is_dry: bool,
    /// The counters of those under way, by their tables.
    under_way: Mutex<BTreeMap<String, Arc<Progress>>>,
}

/// How a copy ended.
pub struct Copied {
    pub job: Job,
    pub end: End,
}

pub enum End {
    /// What would be done.
    Planned(Planned),
    Done(Box<Summary>),
    Failed(Failure),
    /// By a signal; with a sentence if something was left behind.
    Stopped(Option<String>),
}

/// What of a plan is told; the plan has a sample of the documents.
pub struct Planned {
    pub documents: Option<u64>,
    pub source_bytes: Option<u64>,
    pub columns: usize,
    /// Of the table that is there.
    pub table_rows: Option<u64>,
}

impl From<&ReloadPlan> for Planned {
    fn from(plan: &ReloadPlan) -> Planned {
        let size = plan.source.collection.size;
        Planned {
            documents: size.map(|size| size.documents),
            source_bytes: size.map(|size| size.bytes),
            columns: plan.columns.len(),
            table_rows: plan.existing.as_ref().map(|table| table.rows),
        }
    }
}

impl<S> Shared<S> {
    pub fn new(
        source: S,
        sink: Arc<ClickHouseSink>,
        pool: Pool,
        share: usize,
        options: ReloadOptions,
    ) -> Shared<S> {
        Shared { source, sink, pool, share, options, is_dry: false, under_way: Mutex::default() }
    }

    /// Rows that copies under way have written.
    pub fn rows_under_way(&self) -> u64 {
        self.under_way().values().map(|progress| progress.snapshot().rows_written).sum()
    }

    fn under_way(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Progress>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Copied {
    /// Why it failed, if it did.
    pub fn failure(&self) -> Option<&Failure> {
        match &self.end {
            End::Failed(failure) => Some(failure),
            End::Planned(_) | End::Done(_) | End::Stopped(_) => None,
        }
    }

    pub fn rows(&self) -> u64 {
        match &self.end {
            End::Done(summary) => summary.rows,
            End::Planned(_) | End::Failed(_) | End::Stopped(_) => 0,
        }
    }

    /// What of it did not fit more than is allowed.
    pub fn exceeded(&self, allowed: &Allowed) -> Vec<String> {
        let End::Done(summary) = &self.end else { return Vec::new() };
        let mismatches = summary.mismatches();
        allowed.exceeded(&summary.table, mismatches.values_total(), mismatches.documents_total())
    }
}

/// Copies one collection, until that is done or stopped.
pub async fn copy<S: Catalogue>(job: Job, shared: &Shared<S>, mut stopped: watch::Receiver<bool>) -> Copied {
    let end = match attempt(&job, shared, &mut stopped).await {
        Ok(end) => end,
        Err(EngineError::Stopped) => End::Stopped(None),
        Err(error @ EngineError::StoppedLeaving { .. }) => End::Stopped(Some(error.to_string())),
        Err(error) => End::Failed(exit::of_copy(&error)),
    };
    shared.under_way().remove(&job.table);
    Copied { job, end }
}

async fn attempt<S: Catalogue>(
    job: &Job,
    shared: &Shared<S>,
    stopped: &mut watch::Receiver<bool>,
) -> Result<End, EngineError> {
    let pipeline = Pipeline::builder()
        .source(shared.source.apart())
        .sink(Arc::clone(&shared.sink))
        .pool(shared.pool.clone())
        .share(shared.share)
        .namespace(job.namespace.clone())
        .table(&job.table)
        .options(shared.options.clone())
        .build()?;
    shared.under_way().insert(job.table.clone(), pipeline.progress());
    let look = async {
        let plan = Box::pin(pipeline.plan()).await?;
        if shared.options.replace && plan.is_followed() {
            return Ok(Err(copy::followed(&plan)));
        }
        zenith_engine::table_is_free(&*shared.sink, &job.table).await?;
        Ok::<_, EngineError>(Ok(plan))
    };
    let plan = tokio::select! {
        plan = look => plan?,
        () = stop(stopped) => return Ok(End::Stopped(None)),
    };
    let plan = match plan {
        Ok(plan) => plan,
        Err(message) => return Ok(End::Failed(Failure::Input(message))),
    };
    if shared.is_dry {
        return Ok(End::Planned(Planned::from(&plan)));
    }
    for leftover in &plan.leftovers {
        tracing::warn!("an earlier copy left the table {leftover} behind; drop it if no copy is running");
    }
    let mut load = Box::pin(pipeline.execute(&plan));
    let summary = tokio::select! {
        summary = &mut load => summary?,
        () = stop(stopped) => {
            pipeline.stop_handle().stop();
            load.await?
        }
    };
    tracing::info!(table = summary.table, rows = summary.rows, inserts = summary.inserts, "copied");
    Ok(End::Done(Box::new(summary)))
}

/// Returns once all copies are to stop.
async fn stop(stopped: &mut watch::Receiver<bool>) {
    if stopped.wait_for(|stopped| *stopped).await.is_err() {
        std::future::pending::<()>().await;
    }
}
