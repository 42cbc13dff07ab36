//! Conditions, requests, identities, the audit, and what alerts have told, in memory.

use std::collections::{BTreeMap, VecDeque};
use std::time::SystemTime;

use crate::{AUDIT_MAX, AuditEntry, Condition, Identity, Request, RequestEnd, Result, StateError};

#[derive(Debug, Default)]
pub(super) struct Operation {
    pub(super) conditions: BTreeMap<String, Condition>,
    pub(super) identities: BTreeMap<String, Identity>,
    /// What alerts have told.
    pub(super) alerts: String,
    /// In order of their numbers.
    requests: Vec<Request>,
    /// In order of their numbers.
    pub(super) audit: VecDeque<(i64, AuditEntry)>,
}

impl Operation {
    /// A pipeline is set back.
    pub(super) fn forget_progress(&mut self, pipeline: &str) {
        if let Some(condition) = self.conditions.get_mut(pipeline) {
            condition.applied_to = None;
        }
    }

    pub(super) fn forget(&mut self, pipeline: &str) {
        self.conditions.remove(pipeline);
        self.identities.remove(pipeline);
    }

    pub(super) fn note_audit(&mut self, entry: &AuditEntry) {
        let id = self.audit.back().map_or(1, |(id, _)| id + 1);
        self.audit.push_back((id, entry.clone()));
        while self.audit.len() > AUDIT_MAX as usize {
            self.audit.pop_front();
        }
    }

    pub(super) fn add(&mut self, pipeline: &str, action: &str, arguments: &str) -> i64 {
        let id = self.requests.last().map_or(0, |request| request.id) + 1;
        self.requests.push(Request {
            id,
            pipeline: pipeline.to_owned(),
            action: action.to_owned(),
            arguments: arguments.to_owned(),
            requested: SystemTime::now(),
            taken: None,
            cancelled: false,
            progress: String::new(),
            end: None,
        });
        id
    }

    pub(super) fn open(&self) -> Vec<Request> {
        self.requests.iter().filter(|request| request.end.is_none()).cloned().collect()
    }

    pub(super) fn request(&self, id: i64) -> Option<&Request> {
        self.requests.iter().find(|request| request.id == id)
    }

    fn request_mut(&mut self, id: i64) -> Option<&mut Request> {
        self.requests.iter_mut().find(|request| request.id == id)
    }

    pub(super) fn take(&mut self, id: i64) -> bool {
        let free =
            |request: &&mut Request| request.taken.is_none() && request.end.is_none() && !request.cancelled;
        let Some(request) = self.request_mut(id).filter(free) else { return false };
        request.taken = Some(SystemTime::now());
        true
    }

    pub(super) fn note(&mut self, id: i64, progress: &str) {
        if let Some(request) = self.request_mut(id).filter(|request| request.end.is_none()) {
            progress.clone_into(&mut request.progress);
        }
    }

    pub(super) fn cancel(&mut self, id: i64) {
        if let Some(request) = self.request_mut(id) {
            request.cancelled = true;
        }
    }

    pub(super) fn end(&mut self, id: i64, end: &RequestEnd) -> Result<()> {
        let missing = || StateError::Missing { what: "request", name: id.to_string() };
        self.request_mut(id).ok_or_else(missing)?.end = Some(end.clone());
        Ok(())
    }
}
