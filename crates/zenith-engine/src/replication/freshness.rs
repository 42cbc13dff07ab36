//! How pipelines stand, written where their tables are, so that whoever reads a table can see as of when it is.

use std::time::{Duration, SystemTime};

use tokio::time::{Instant, timeout};
use zenith_state::StateStore;
use zenith_transport::ddl::View;
use zenith_transport::status::{self, PipelineStatus};
use zenith_transport::{Insert, Sink, TransportError};

use super::context::Context;
use super::progress::Phase;
use crate::error::sentence;
use crate::{EngineError, Result};

/// Between two looks at the pipelines.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How old a row may become while nothing but time has passed.
const AGE_MAX: Duration = Duration::from_secs(15);
/// How long writing may take.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// What has been written to one table.
#[derive(Debug)]
pub(super) struct Freshness {
    name: String,
    is_made: bool,
    is_told: bool,
    written: Option<(Instant, Vec<PipelineStatus>)>,
}

impl Freshness {
    pub(super) fn new(name: &str) -> Freshness {
        Freshness { name: name.to_owned(), is_made: false, is_told: false, written: None }
    }

    /// Writes the rows of these pipelines if they say something new. Gives back whether to go on with it.
    pub(super) async fn write<S, K: Sink, T: StateStore>(&mut self, contexts: &[&Context<S, K, T>]) -> bool {
        let Some(first) = contexts.first() else { return false };
        let mut rows = Vec::with_capacity(contexts.len());
        for context in contexts {
            match row(context).await {
                Ok(row) => rows.push(row),
                // The pipelines themselves find out whether the state can be read.
                Err(_) => return true,
            }
        }
        if !self.is_due(&rows) {
            return true;
        }
        let written = timeout(WRITE_TIMEOUT, self.write_rows(&*first.sink, &rows)).await;
        match written {
            Ok(Ok(())) => self.written = Some((Instant::now(), rows)),
            Ok(Err(EngineError::Sink(TransportError::Unsupported { .. }))) => return false,
            // It is only for those who look; one that is away is told of by the pipelines.
            Ok(Err(error)) if !error.is_passing() && !self.is_told => {
                self.is_told = true;
                tracing::warn!("{} cannot be written: {}", self.name, sentence(&error));
            }
            _ => {}
        }
        true
    }

    /// Whether the target has the table.
    pub(super) async fn is_there<S, K: Sink, T: StateStore>(&self, contexts: &[&Context<S, K, T>]) -> bool {
        let Some(first) = contexts.first() else { return false };
        first.sink.describe(&status::table(&self.name).name).await.is_ok_and(|table| table.is_some())
    }

    fn is_due(&self, rows: &[PipelineStatus]) -> bool {
        let Some((at, written)) = &self.written else { return true };
        let plain = |row: &PipelineStatus| PipelineStatus {
            complete_to: None,
            lag_seconds: None,
            updated: SystemTime::UNIX_EPOCH,
            ..row.clone()
        };
        at.elapsed() >= AGE_MAX || !rows.iter().map(plain).eq(written.iter().map(plain))
    }

    async fn write_rows<K: Sink>(&mut self, sink: &K, rows: &[PipelineStatus]) -> Result<()> {
        let definition = status::table(&self.name);
        if !self.is_made {
            let view = status::view(&self.name);
            if let Some(object) = sink.object(&self.name).await?
                && !view.is_query_of(&object)
            {
                return Err(EngineError::NameTaken {
                    name: self.name.clone(),
                    what: "not made by Zenith".to_owned(),
                    wanted: "the view that shows how pipelines stand".to_owned(),
                    setting: "status_table = \"NAME\"",
                });
            }
            sink.create(&definition).await?;
            sink.admin().create_view(&View::Current(view), false).await?;
            self.is_made = true;
        }
        let batch = status::batch(rows).map_err(|_| EngineError::Worker { worker: "status of pipelines" })?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let token = format!("{}-{}", self.name, now.as_nanos());
        sink.write(Insert { table: definition.name, batch, token }).await?;
        Ok(())
    }
}

async fn row<S, K, T: StateStore>(context: &Context<S, K, T>) -> Result<PipelineStatus> {
    let progress = context.live.snapshot(&context.name);
    let mismatches = context.state.mismatches(&context.name, None).await?;
    let checkpoint = context.state.checkpoint(&context.name).await?;
    // The checkpoint counts what came by changes, the parts of the snapshot what was there before.
    let snapshot = context.state.snapshot(&context.name).await?;
    let loaded: u64 = snapshot.iter().flat_map(|snapshot| &snapshot.partitions).map(|part| part.rows).sum();
    let complete_to = progress.applied_to.filter(|_| progress.phase != Phase::Snapshot);
    let lag = complete_to.map(|to| context.clock.now().duration_since(to).unwrap_or_default());
    let waiting = progress.waiting.as_ref();
    Ok(PipelineStatus {
        pipeline: context.name.clone(),
        table: context.table.clone(),
        complete_to,
        lag_seconds: lag.map(|lag| lag.as_secs_f64()),
        state: if waiting.is_some() { "waiting" } else { progress.phase.name() }.to_owned(),
        waiting_for: waiting.map_or_else(String::new, |waiting| waiting.reason.clone()),
        rows: checkpoint.map_or(progress.counters.rows_written, |checkpoint| loaded + checkpoint.rows),
        extra_values: mismatches.values_total(),
        dead_letters: mismatches.documents_total(),
        updated: SystemTime::now(),
    })
}
