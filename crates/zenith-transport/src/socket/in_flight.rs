//! Pages that an insert which was given up has lent to the kernel.
//!
//! `sendfile` and `splice` put references to pages into the socket, not copies. On the loopback device they wait in the
//! receiver's queue even after TCP has acknowledged them and our end is closed. If the future of an insert
//! is dropped or runs into a timeout, ClickHouse may still read them, and may even commit the insert. Were
//! the memory reused by then, it would commit other rows than those its token stands for, and the repeat
//! with the same token would be swallowed.
//!
//! So the memory waits here until ClickHouse has answered or closed the connection, or the kernel has given
//! the connection up.

use std::mem::ManuallyDrop;

use tokio::runtime::Handle;

use super::connection::Connection;
use super::exchange::Answer;
use crate::frame::Piece;

/// Pieces that must not return to the pool while someone may read them.
///
/// Dropped without [`InFlightPages::release`] they are never returned: a leak is harmless, another insert's rows
/// under this one's token are not.
struct InFlightPages(ManuallyDrop<Vec<Piece>>);

impl InFlightPages {
    fn release(self) {
        drop(ManuallyDrop::into_inner(self.0));
    }
}

/// Keeps `pieces` in the background until they can no longer be read from `connection`.
pub(super) fn keep_until_read(connection: Connection, answer: impl Answer, pieces: Vec<Piece>) {
    let lent = InFlightPages(ManuallyDrop::new(pieces));
    match Handle::try_current() {
        Ok(runtime) => {
            runtime.spawn(wait(connection, answer, lent));
        }
        // Without a runtime nothing can be waited for; the process is about to end.
        Err(_) => {
            let _unreturned = lent;
        }
    }
}

async fn wait(mut connection: Connection, mut answer: impl Answer, lent: InFlightPages) {
    // The server takes the end of the stream for the end of a request it has only a part of.
    let _ = connection.end_sending().await;
    let mut buf = vec![0; 4096];
    while !answer.is_done() {
        match connection.read(&mut buf).await {
            Ok(0) | Err(_) => break,
            Ok(read) if answer.feed(&buf[..read]).is_err() => break,
            Ok(_) => {}
        }
    }
    lent.release();
}
