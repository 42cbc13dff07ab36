//! Connections that wait for their next request.

use std::sync::{Mutex, PoisonError};

use super::connection::Connection;

/// The idle connections of one client.
#[derive(Debug)]
pub(super) struct Idle {
    connections: Mutex<Vec<Connection>>,
    len_max: usize,
}

impl Idle {
    pub(super) fn new(len_max: usize) -> Idle {
        Idle { connections: Mutex::new(Vec::new()), len_max }
    }

    /// The connection used last, if one can still be used; those that cannot are closed.
    pub(super) fn take(&self) -> Option<Connection> {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(connection) = connections.pop() {
            if connection.is_usable() {
                return Some(connection);
            }
        }
        None
    }

    pub(super) fn give(&self, connection: Connection) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if connections.len() < self.len_max {
            connections.push(connection);
        }
    }
}
