//! Connections that wait for their next request.

use std::sync::{Mutex, PoisonError};

/// Whether another request may be sent on an idle connection.
pub(crate) trait Reuse {
    fn is_usable(&self) -> bool;
}

/// The idle connections of one client.
#[derive(Debug)]
pub(crate) struct Idle<C> {
    connections: Mutex<Vec<C>>,
    len_max: usize,
}

impl<C: Reuse> Idle<C> {
    pub(crate) fn new(len_max: usize) -> Idle<C> {
        Idle { connections: Mutex::new(Vec::new()), len_max }
    }

    /// The connection used last, if one can still be used; those that cannot are closed.
    pub(crate) fn take(&self) -> Option<C> {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(connection) = connections.pop() {
            if connection.is_usable() {
                return Some(connection);
            }
        }
        None
    }

    pub(crate) fn give(&self, connection: C) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if connections.len() < self.len_max {
            connections.push(connection);
        }
    }
}
