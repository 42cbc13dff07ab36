//! What every worker of a load knows: its name, its memory, whether it is to stop, and how often to try again.

use std::future::Future;
use std::sync::Arc;

use tracing::Span;
use zenith_extract::Namespace;
use zenith_memory::Pool;
use zenith_transport::TransportError;

use crate::batch_transform::Added;
use crate::mismatches::DeadLetters;
use crate::retry::{AfterInsert, INSERT_TRIES, after_insert};
use crate::{EngineError, OnBadDocument, Pipeline, Progress, Result, StopHandle};

/// Who tries an insert again that has failed for the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeats {
    /// The load, a few times; in the end its rows are counted.
    ByLoad,
    /// The load, a few times, and nobody counts its rows.
    Uncounted,
    /// The pipeline that the changes are of, for as long as it waits for its target; nobody counts its rows.
    ByPipeline,
}

impl Repeats {
    fn tries_max(self) -> u32 {
        match self {
            Repeats::ByLoad | Repeats::Uncounted => INSERT_TRIES,
            Repeats::ByPipeline => 1,
        }
    }
}

/// What every worker of a load knows.
pub(crate) struct LoadContext {
    /// Names this load; part of every token, so that a later load of equal data is not taken for a repeat.
    pub(crate) run: String,
    /// The pipeline it is for; the run, where there is no pipeline.
    pub(crate) pipeline: String,
    /// The table that keeps documents no table could take.
    pub(crate) dead_letters: String,
    pub(crate) namespace: Namespace,
    pub(crate) pool: Pool,
    pub(crate) progress: Arc<Progress>,
    pub(crate) on_bad_document: OnBadDocument,
    /// Whether fields are left out or masked: then dead letters have nothing of a document but its `_id`.
    pub(crate) hides: bool,
    /// Columns that a program adds to rows.
    pub(crate) added: Added,
    /// The column that tells rows of one document apart, if there can be several.
    pub(crate) index: Option<String>,
    /// Those of this load alone; the progress may have those of others, too.
    pub(crate) dead: DeadLetters,
    pub(crate) repeats: Repeats,
    /// Asked from outside.
    pub(crate) stop: StopHandle,
    /// Asked from outside, or by a worker that failed.
    pub(crate) abort: StopHandle,
}

impl LoadContext {
    /// A load of a pipeline, under a name of its own.
    pub(crate) fn of<S, K>(pipeline: &Pipeline<S, K>, run: String) -> LoadContext {
        LoadContext {
            pipeline: pipeline.name.clone().unwrap_or_else(|| run.clone()),
            run,
            namespace: pipeline.namespace.clone(),
            pool: pipeline.pool.clone(),
            progress: Arc::clone(&pipeline.progress),
            on_bad_document: pipeline.options.table.on_bad_document,
            hides: pipeline.options.table.changes_documents(),
            index: pipeline.options.table.index_field(),
            added: pipeline.added.clone(),
            dead_letters: pipeline.options.table.dead_letters.clone(),
            dead: DeadLetters::default(),
            repeats: Repeats::ByLoad,
            stop: pipeline.stop.clone(),
            abort: pipeline.stop.child(),
        }
    }

    /// Names the pipeline on every line of the log that is written inside, once.
    pub(crate) fn span(&self) -> Span {
        let current = Span::current();
        if current.field("pipeline").is_some() {
            return current;
        }
        tracing::error_span!("load", pipeline = self.pipeline, namespace = %self.namespace)
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.abort.is_stopped()
    }

    /// Returns once the load is stopped.
    pub(super) async fn stopped(&self) {
        self.abort.stopped().await;
    }

    /// The outcome of `future`, unless the load is stopped first.
    pub(crate) async fn unless_stopped<T>(&self, future: impl Future<Output = T>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.stopped() => Err(EngineError::Stopped),
            output = future => Ok(output),
        }
    }

    /// Does something with the sink, again and again while its failures are transient.
    pub(crate) async fn repeat<T, F>(&self, mut action: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = std::result::Result<T, TransportError>>,
    {
        let mut tries = 0;
        loop {
            let error = match self.unless_stopped(action()).await? {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            tries += 1;
            let AfterInsert::Repeat(pause) = after_insert(&error, tries, self.repeats.tries_max()) else {
                return Err(error.into());
            };
            tracing::warn!(run = self.run, tries, ?pause, %error, "repeating an insert");
            self.progress.repeated();
            self.abort.pause(pause).await?;
        }
    }
}
