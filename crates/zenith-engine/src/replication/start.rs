//! Where a pipeline begins to follow.

use super::position::Position;

/// What a pipeline needs to follow.
pub(super) struct Follower {
    pub(super) schema: zenith_arrow::Schema,
    pub(super) position: Position,
    pub(super) rows: u64,
    pub(super) intents: Vec<zenith_state::Intent>,
    pub(super) epoch: u64,
}
