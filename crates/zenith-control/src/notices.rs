//! What a run says to those who watch it, apart from the log.

use std::fmt;
use std::sync::Arc;

/// Takes sentences about pipelines as they happen: printed by the command, kept for the page by the server.
#[derive(Clone)]
pub struct Notices(Arc<Take>);

type Take = dyn Fn(Option<&str>, &str) + Send + Sync;

impl Notices {
    /// Calls `take` with the pipeline, source or template that a sentence is about, and the sentence.
    pub fn new(take: impl Fn(Option<&str>, &str) + Send + Sync + 'static) -> Notices {
        Notices(Arc::new(take))
    }

    /// Tells all who watch.
    pub fn tell(&self, about: Option<&str>, sentence: &str) {
        (self.0)(about, sentence);
    }
}

impl fmt::Debug for Notices {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Notices")
    }
}
