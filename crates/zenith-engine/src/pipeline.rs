//! A pipeline: a source, a sink, and what goes from one to the other.

use std::pin::Pin;
use std::sync::Arc;

use zenith_arrow::Schema;
use zenith_extract::{Namespace, ReadConcern, Source};
use zenith_memory::Pool;
use zenith_transport::Sink;

use crate::batch_transform::{Added, BatchTransform};
use crate::layout::Layout;
use crate::table_shape::Refusal;
use crate::{EngineError, Progress, ReloadOptions, Result, StopHandle};

/// One collection and the table it becomes.
pub struct Pipeline<S, K> {
    pub(crate) source: Arc<S>,
    pub(crate) sink: Arc<K>,
    pub(crate) namespace: Namespace,
    pub(crate) table: String,
    pub(crate) pool: Pool,
    pub(crate) options: ReloadOptions,
    /// What it is called in the state, if it is there.
    pub(crate) name: Option<String>,
    /// By what marks name it, which a new table has in its comment.
    pub(crate) owner: Option<String>,
    pub(crate) layout: Layout,
    /// Columns that a program adds to rows.
    pub(crate) added: Added,
    /// What is told of columns that a load has added, before its table is shown.
    pub(crate) note: Option<Note>,
    pub(crate) read_concern: ReadConcern,
    /// Whether the pipeline replaces tables without being asked to. It then replaces only what Zenith made, and only
    /// if it can keep all additions.
    pub(crate) guarded: bool,
    pub(crate) progress: Arc<Progress>,
    pub(crate) stop: StopHandle,
}

type Noting = dyn Fn(Schema) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> + Send + Sync;

/// Who keeps the columns of a table.
pub(crate) struct Note(Box<Noting>);

impl Note {
    pub(crate) fn new<F>(note: impl Fn(Schema) -> F + Send + Sync + 'static) -> Note
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        Note(Box::new(move |schema| Box::pin(note(schema))))
    }

    pub(crate) async fn note(&self, schema: Schema) -> Result<()> {
        (self.0)(schema).await
    }
}

/// Collects what a [`Pipeline`] needs.
pub struct PipelineBuilder<S, K> {
    source: S,
    sink: K,
    namespace: Option<Namespace>,
    table: Option<String>,
    pool: Option<Pool>,
    share: Option<usize>,
    options: ReloadOptions,
    added: Added,
}

/// The state of a builder before [`PipelineBuilder::source`] and [`PipelineBuilder::sink`].
pub struct Unset(());

impl Pipeline<Unset, Unset> {
    /// A builder of a pipeline.
    #[must_use]
    pub fn builder() -> PipelineBuilder<Unset, Unset> {
        PipelineBuilder {
            source: Unset(()),
            sink: Unset(()),
            namespace: None,
            table: None,
            pool: None,
            share: None,
            options: ReloadOptions::default(),
            added: Added::default(),
        }
    }
}

impl<S, K> PipelineBuilder<S, K> {
    /// The source of the documents.
    pub fn source<T: Source>(self, source: T) -> PipelineBuilder<T, K> {
        let PipelineBuilder { sink, namespace, table, pool, share, options, added, .. } = self;
        PipelineBuilder { source, sink, namespace, table, pool, share, options, added }
    }

    /// The sink of the rows.
    pub fn sink<T: Sink + 'static>(self, sink: T) -> PipelineBuilder<S, T> {
        let PipelineBuilder { source, namespace, table, pool, share, options, added, .. } = self;
        PipelineBuilder { source, sink, namespace, table, pool, share, options, added }
    }

    /// The collection to read.
    #[must_use]
    pub fn namespace(mut self, namespace: Namespace) -> Self {
        self.namespace = Some(namespace);
        self
    }

    /// The table to write; by default the name of the collection.
    #[must_use]
    pub fn table(mut self, table: impl Into<String>) -> Self {
        self.table = Some(table.into());
        self
    }

    /// The memory to use. Give the sink the same pool, so that it can send from it without copying.
    ///
    /// Without it a pool of [`ReloadOptions::memory`] bytes is made; with it that option has no effect.
    #[must_use]
    pub fn pool(mut self, pool: Pool) -> Self {
        self.pool = Some(pool);
        self
    }

    /// Limits the pipeline to these bytes of the pool, so that several may use one pool side by side.
    #[must_use]
    pub fn share(mut self, bytes: usize) -> Self {
        self.share = Some(bytes);
        self
    }

    /// Columns that are added to the rows.
    #[must_use]
    pub fn transform(mut self, transform: Arc<dyn BatchTransform>) -> Self {
        self.added = Added(Some(transform));
        self
    }

    /// The options of the copy.
    #[must_use]
    pub fn options(mut self, options: impl Into<ReloadOptions>) -> Self {
        self.options = options.into();
        self
    }
}

impl<S: Source, K: Sink + 'static> PipelineBuilder<S, K> {
    /// The pipeline.
    ///
    /// # Errors
    /// [`EngineError::Setting`] for settings that are missing or cannot work.
    pub fn build(mut self) -> Result<Pipeline<S, K>> {
        if let Some(pool) = &self.pool {
            self.options.memory = self.share.unwrap_or(usize::MAX).min(pool.budget());
        }
        self.options.check()?;
        let missing = |setting, reason: &str| EngineError::Setting {
            setting,
            value: "empty".to_owned(),
            reason: reason.to_owned(),
        };
        let namespace =
            self.namespace.ok_or_else(|| missing("the namespace", "say which collection to read"))?;
        let table = self.table.unwrap_or_else(|| namespace.collection.clone());
        if table.is_empty() {
            return Err(missing("the table", "say which table to write"));
        }
        self.options.check_names(&table)?;
        if let Some(Refusal { setting, value, reason }) = self.options.shape.refused_constant() {
            return Err(EngineError::Setting { setting, value, reason });
        }
        self.options.shape = self.options.shape.with_constants(&namespace.database, &namespace.collection);
        self.options.shape = self.options.table.shape_of(&self.options.shape);
        let source = self.options.table.filtered(&self.source)?.unwrap_or(self.source);
        Ok(Pipeline {
            source: Arc::new(source),
            sink: Arc::new(self.sink),
            namespace,
            table,
            pool: match self.pool {
                Some(pool) => pool,
                None => Pool::new(self.options.memory)?,
            },
            options: self.options,
            name: None,
            owner: None,
            layout: Layout::Rows,
            added: self.added,
            note: None,
            read_concern: ReadConcern::Configured,
            guarded: false,
            progress: Arc::new(Progress::default()),
            stop: StopHandle::new(),
        })
    }
}

impl<S: Source, K: Sink + 'static> Pipeline<S, K> {
    /// The counters of the run.
    #[must_use]
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// A handle to stop the run with.
    #[must_use]
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }
}
