//! The test suite every sink runs.
