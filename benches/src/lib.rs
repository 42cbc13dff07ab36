//! What the benches share: documents as a reply of the server has them, and the ways to put bytes on a socket.

pub mod documents;
pub mod sending;

pub use documents::Documents;
