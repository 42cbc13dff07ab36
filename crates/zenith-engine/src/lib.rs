//! The engine: full reload, progress, retry policy.
