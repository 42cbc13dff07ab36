//! Connections that wait for their next request.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A connection that may be used again.
pub trait Reuse {
    /// Whether another request may be sent on it.
    fn is_usable(&self) -> bool;
}

/// The idle connections of one client.
#[derive(Debug)]
pub struct Idle<C> {
    connections: Mutex<Vec<C>>,
    len_max: usize,
}

impl<C: Reuse> Idle<C> {
    /// For at most so many.
    #[must_use]
    pub fn new(len_max: usize) -> Idle<C> {
        Idle { connections: Mutex::new(Vec::new()), len_max }
    }

    /// The connection used last, if one can still be used; those that cannot are closed.
    #[must_use]
    pub fn take(&self) -> Option<C> {
        let mut connections = self.connections();
        while let Some(connection) = connections.pop() {
            if connection.is_usable() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection, unless there are enough.
    pub fn give(&self, connection: C) {
        let mut connections = self.connections();
        if connections.len() < self.len_max {
            connections.push(connection);
        }
    }

    /// Closes all of them: their server may be gone.
    pub fn clear(&self) {
        self.connections().clear();
    }

    fn connections(&self) -> MutexGuard<'_, Vec<C>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Numbered(u8, bool);

    impl Reuse for Numbered {
        fn is_usable(&self) -> bool {
            self.1
        }
    }

    #[test]
    fn the_last_usable_one_is_taken_and_no_more_are_kept_than_may_be() {
        let idle = Idle::new(3);
        for (number, is_usable) in [(1, true), (2, true), (3, false), (4, true)] {
            idle.give(Numbered(number, is_usable));
        }
        assert_eq!(idle.take(), Some(Numbered(2, true)), "3 was closed, and 4 was one too many");
        idle.clear();
        assert_eq!(idle.take(), None);
    }
}
