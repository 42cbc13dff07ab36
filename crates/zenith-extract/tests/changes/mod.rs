//! Change streams of real servers: the suite, and what only a real server can do.

mod suite;
mod writer;
