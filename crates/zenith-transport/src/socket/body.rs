//! What is sent, a window at a time.
//!
//! A body that lies in memory is one window. One that is made on the way, because it is re-laid or
//! compressed, has many, each as large as its maker keeps in memory.

use std::io;

use crate::frame::Piece;

/// The bytes of a request, as pieces.
pub(crate) trait Body: Send {
    /// Puts the next pieces in place of those in `window`, which have been sent; none at the end.
    fn refill(&mut self, window: &mut Vec<Piece>) -> io::Result<()>;
}

/// A body that is all there.
#[derive(Debug)]
pub(crate) struct Whole(pub(crate) Vec<Piece>);

impl Body for Whole {
    fn refill(&mut self, window: &mut Vec<Piece>) -> io::Result<()> {
        window.clear();
        window.append(&mut self.0);
        Ok(())
    }
}

/// One body after another.
#[derive(Debug)]
pub(crate) struct Chain<A, B>(pub(crate) A, pub(crate) B);

impl<A: Body, B: Body> Body for Chain<A, B> {
    fn refill(&mut self, window: &mut Vec<Piece>) -> io::Result<()> {
        self.0.refill(window)?;
        if window.is_empty() { self.1.refill(window) } else { Ok(()) }
    }
}
