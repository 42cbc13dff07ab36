//! What the process that runs the pipelines noted of how they stand.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use zenith_engine::state::{self, AnyStore, Condition, PipelineRecord, StateStore as _};

use crate::time;

/// A note this old says nothing about now: its process hangs, or runs the pipeline no more.
const OLD: Duration = Duration::from_secs(30);

/// Whether a note is of now.
pub fn is_current(condition: &Condition, now: SystemTime) -> bool {
    time::ago(condition.noted, now) < OLD
}

/// All notes of a state.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    by_pipeline: BTreeMap<String, Condition>,
    /// The oldest change that each source knows, and when that was noted.
    oplogs: BTreeMap<String, (SystemTime, SystemTime)>,
}

impl Conditions {
    /// Reads them.
    pub async fn read(store: &AnyStore, records: &[PipelineRecord]) -> state::Result<Conditions> {
        let mut conditions = Conditions::default();
        for (name, condition) in store.conditions().await? {
            let record = records.iter().find(|record| record.name == name);
            if let (Some(record), Some(oldest)) = (record, condition.oplog_from) {
                let known = conditions.oplogs.entry(record.source.clone());
                let known = known.or_insert((oldest, condition.noted));
                if condition.noted > known.1 {
                    *known = (oldest, condition.noted);
                }
            }
            conditions.by_pipeline.insert(name, condition);
        }
        Ok(conditions)
    }

    /// That of a pipeline.
    pub fn of(&self, pipeline: &str) -> Option<&Condition> {
        self.by_pipeline.get(pipeline)
    }

    /// How far back each source knew changes when it was looked at last.
    pub fn windows(&self, now: SystemTime) -> BTreeMap<String, Duration> {
        let window = |(source, (oldest, noted)): (&String, &(SystemTime, SystemTime))| {
            (source.clone(), time::ago(*oldest, (*noted).min(now)))
        };
        self.oplogs.iter().map(window).collect()
    }

    /// How long until the oplog of a source has forgotten what happened at `place`, if it forgets anything. It goes on
    /// forgetting after it was looked at; how fast, is taken from how far it reached back then.
    pub fn headroom(&self, source: &str, place: SystemTime, now: SystemTime) -> Option<Left> {
        let (oldest, noted) = self.oplogs.get(source)?;
        let oldest = *oldest + time::ago(*noted, now);
        Some(place.duration_since(oldest).map_or(Left::Lost, Left::For))
    }
}

/// How long a place in the oplog is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// For this time, about.
    For(Duration),
    /// It is lost already.
    Lost,
}

/// The headroom of a pipeline.
#[derive(Clone, Copy, Debug)]
pub struct Headroom {
    /// How long its place is kept.
    pub left: Left,
    /// The least that is well.
    pub least: Duration,
}

impl Headroom {
    /// What is not well about it.
    pub fn complaint(&self, pipeline: &str) -> Option<String> {
        let remedy = format!(
            "zenith pipeline resume {pipeline} if it is paused, zenith run if it does not run, or a larger oplog of \
             MongoDB (replSetResizeOplog)"
        );
        match self.left {
            Left::Lost => Some(format!(
                "{pipeline}: MongoDB has forgotten the changes since its checkpoint: zenith reload {pipeline} loads the \
                 table again"
            )),
            Left::For(left) if left < self.least => Some(format!(
                "{pipeline}: MongoDB forgets the changes since its checkpoint in about {}: {remedy}",
                time::duration(left)
            )),
            Left::For(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headroom_shrinks_while_nobody_follows() {
        let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds);
        let mut conditions = Conditions::default();
        assert_eq!(conditions.headroom("shop", at(0), at(0)), None);
        conditions.oplogs.insert("shop".to_owned(), (at(0), at(7200)));
        assert_eq!(
            conditions.headroom("shop", at(3600), at(7200)),
            Some(Left::For(Duration::from_secs(3600)))
        );
        assert_eq!(
            conditions.headroom("shop", at(3600), at(9000)),
            Some(Left::For(Duration::from_secs(1800)))
        );
        assert_eq!(conditions.headroom("shop", at(3600), at(20_000)), Some(Left::Lost));
        let least = Duration::from_secs(2000);
        let complaint = |left| Headroom { left, least }.complaint("orders");
        assert!(complaint(Left::For(least)).is_none());
        assert!(complaint(Left::For(Duration::from_secs(1999))).unwrap().contains("about"));
        assert!(complaint(Left::Lost).unwrap().contains("zenith reload orders"));
    }
}
