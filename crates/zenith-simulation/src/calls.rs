//! The calls of the engine that a fate is drawn for.

use crate::scenario::Weather;

/// A call of the engine to what outlives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    // Of the source.
    Preflight,
    Sample,
    MaxId,
    Partitions,
    Open,
    Read,
    Watch,
    NextChanges,
    LookUp,
    Now,
    // Of the sink.
    Describe,
    Create,
    AddColumns,
    ModifyColumns,
    Purge,
    Insert,
    InsertLetters,
    Count,
    Query,
    Publish,
    Truncate,
    Drop,
    // Of the state.
    Look,
    Note,
    BeginIntent,
    CommitIntent,
    AbandonIntent,
    Advance,
    Reset,
    BeginSnapshot,
    FinishPartitions,
    FinishSnapshot,
}

/// Which end of the time between an intent and its checkpoint a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Begins,
    Ends,
}

impl Call {
    pub(crate) fn end(self) -> Option<End> {
        match self {
            Call::BeginIntent => Some(End::Begins),
            Call::CommitIntent | Call::AbandonIntent | Call::Reset => Some(End::Ends),
            _ => None,
        }
    }

    /// Whether a trace has it, even if nothing goes wrong.
    pub(crate) fn is_told(self) -> bool {
        use Call::*;
        let of_sink = matches!(
            self,
            Create | AddColumns | ModifyColumns | Purge | Insert | InsertLetters | Publish | Truncate | Drop
        );
        let of_intents = matches!(self, BeginIntent | CommitIntent | AbandonIntent | Advance | Reset);
        let of_snapshot = matches!(self, BeginSnapshot | FinishPartitions | FinishSnapshot);
        self == Watch || of_sink || of_intents || of_snapshot
    }

    /// How many in a hundred fail, and whether that may be after they have had their effect: a store in a file of one's
    /// own fails before.
    pub(crate) fn faults(self, weather: &Weather) -> (u32, bool) {
        use Call::*;
        match self {
            Preflight | Sample | MaxId | Partitions | Open | Read | Watch | NextChanges | LookUp | Now => {
                (weather.source_faults, true)
            }
            Describe | Create | AddColumns | ModifyColumns | Purge | Insert | InsertLetters | Count
            | Query | Publish | Truncate | Drop => (weather.sink_faults, true),
            Look | Note | BeginIntent | CommitIntent | AbandonIntent | Advance | Reset | BeginSnapshot
            | FinishPartitions | FinishSnapshot => (weather.state_faults, false),
        }
    }
}
