//! A pipeline of several collections: how many pipelines it has, and what keeps new ones from coming.

use std::time::SystemTime;

use zenith_engine::state::{PipelineRecord, Since};

use super::condition::{Conditions, is_current};
use crate::config::applied::{self, Applied};
use crate::time;

/// One pipeline of several collections at one moment.
#[derive(Clone, Debug)]
pub struct Template {
    /// Its name.
    pub name: String,
    /// `source`, and the patterns.
    pub from: String,
    /// The target.
    pub to: String,
    /// How many pipelines it has.
    pub pipelines: usize,
    /// Why collections cannot be looked for, or one of them not followed.
    pub waiting: Option<Since>,
}

impl Template {
    /// Reads what the state knows of it.
    pub fn read(
        record: &PipelineRecord,
        applied: &Applied,
        conditions: &Conditions,
        running: bool,
        at: SystemTime,
    ) -> Template {
        let patterns = applied::pipeline(record).map(|it| it.settings.collections).unwrap_or_default();
        let condition = conditions.of(&record.name).filter(|condition| running && is_current(condition, at));
        Template {
            name: record.name.clone(),
            from: format!("{}.({})", record.source, patterns.join(", ")),
            to: record.target.clone(),
            pipelines: applied.meant(&record.name).count(),
            waiting: condition.and_then(|condition| condition.waiting.clone()),
        }
    }

    /// What is not well about it.
    pub fn complaint(&self, at: SystemTime) -> Option<String> {
        let Since { reason, since } = self.waiting.as_ref()?;
        Some(format!("{} is not complete for {}: {reason}", self.name, time::duration(time::ago(*since, at))))
    }

    /// What is to be said of it, where there is something.
    pub fn line(&self) -> Option<String> {
        (self.pipelines == 0)
            .then(|| format!("{}: no collection of {} has been found yet", self.name, self.from))
    }
}
