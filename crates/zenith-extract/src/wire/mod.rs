//! MongoDB's wire protocol, as much of it as reading collections takes.
//!
//! Everything here parses bytes of a server that may be hostile or cut off: lengths are checked before they are used,
//! and damage is an error.

mod cursor_reply;

pub(crate) use cursor_reply::CursorReply;
