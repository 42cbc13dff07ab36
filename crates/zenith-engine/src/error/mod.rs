//! What can stop a pipeline.

mod class;
mod code;

use std::sync::Arc;

use zenith_arrow::DecodeError;
use zenith_extract::ExtractError;
use zenith_memory::MemoryError;
use zenith_state::StateError;
use zenith_transport::TransportError;

pub use crate::sentence::sentence;
/// Why a pipeline did not reach its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The source failed.
    #[error(transparent)]
    Source(#[from] ExtractError),
    /// The sink failed.
    #[error(transparent)]
    Sink(#[from] TransportError),
    /// The source failed while the collection was being read.
    #[error(transparent)]
    Reading(ExtractError),
    /// The sink failed while the table was being loaded.
    #[error(transparent)]
    Writing(TransportError),
    /// Documents could not be turned into record batches.
    #[error("decoding {namespace} failed")]
    Decode {
        /// The collection.
        namespace: String,
        /// What failed.
        #[source]
        source: DecodeError,
    },
    /// The buffer pool could not be made.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// A setting has a value that cannot work. Its name is told in words.
    #[error("{} cannot be {value}: {reason}", .setting.replace('_', " "))]
    Setting {
        /// The setting, as people write it.
        setting: &'static str,
        /// Its value.
        value: String,
        /// Why it cannot work, and what can.
        reason: String,
    },
    /// The target table exists with other columns than the collection needs.
    #[error(
        "the table {table} exists with other columns than {namespace} needs:\n{difference}\nNothing was written. \
         {advice}"
    )]
    TableDiffers {
        /// The table.
        table: String,
        /// The collection.
        namespace: String,
        /// One line a column.
        difference: String,
        /// Whether Zenith made it.
        is_ours: bool,
        /// What helps.
        advice: String,
    },
    /// The target table is there and is nothing that can be exchanged or emptied.
    #[error("{table} exists and is a {engine}, not a table of the MergeTree family: name another table")]
    NotATable {
        /// The name.
        table: String,
        /// What it is.
        engine: String,
    },
    /// A name that Zenith would use is that of something it did not make.
    #[error(
        "{name} is {what}, and {wanted} would take its name: it was left as it is; choose another name with {setting}"
    )]
    NameTaken {
        /// The name.
        name: String,
        /// What has it.
        what: String,
        /// What was to have it.
        wanted: String,
        /// The setting or option that names something else.
        setting: &'static str,
    },
    /// The table has something that the one in its place could not have.
    #[error(
        "the table {table} cannot be replaced by a new one, as that could not have {what} ({reason}); nothing was changed: \
         remove it, or load another table"
    )]
    CannotKeep {
        /// The table.
        table: String,
        /// What cannot be kept.
        what: String,
        /// Why.
        reason: String,
    },
    /// What was asked for is not possible for this pipeline.
    #[error("{doing} is not possible: {reason}")]
    NotPossible {
        /// What was asked for.
        doing: String,
        /// Why it is not, and what is.
        reason: String,
    },
    /// A document could not be decoded, or its row was refused, and the pipeline was told to fail then.
    #[error("the document {id} of {namespace} cannot become a row: {reason}")]
    BadDocument {
        /// The collection.
        namespace: String,
        /// Its `_id` as text.
        id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A materialized view failed while it was given rows that the table has already.
    #[error(
        "the materialized view {view}, which takes the rows of {table}, failed, so that the table may have rows that the \
         view lacks: repair the view or drop it; no row comes twice when the insert is repeated"
    )]
    ViewFailed {
        /// The table.
        table: String,
        /// The view.
        view: String,
        /// What the view said.
        #[source]
        source: Box<TransportError>,
    },
    /// An insert was refused that cannot be tried in parts.
    #[error(
        "{table} refused rows of an insert, and as {why}, the others cannot be sent without them for certain: correct what it \
         refuses; no row comes twice when the insert is repeated"
    )]
    RefusedWhole {
        /// The table.
        table: String,
        /// What keeps it from being tried in parts.
        why: String,
        /// What was refused, and why.
        #[source]
        source: Box<TransportError>,
    },
    /// A constraint refused a deletion while the collection was still being read.
    #[error(
        "a constraint of {table} refuses the row that marks {id} as deleted, and while the collection is still being \
         read it cannot be removed for good: drop the constraint until it has been read, and run {pipeline} again"
    )]
    StillRead {
        /// The pipeline.
        pipeline: String,
        /// The table.
        table: String,
        /// The `_id`, as ClickHouse writes it.
        id: String,
    },
    /// What was read and what was written do not add up.
    #[error(
        "{namespace} and {table} do not agree: {read} documents were read, {written} rows written, \
         {dead_letters} dead letters, and the table holds {counted}; the load cannot be trusted: start it again"
    )]
    Reconcile {
        /// The collection.
        namespace: String,
        /// The table that was loaded.
        table: String,
        /// Documents read.
        read: u64,
        /// Rows acknowledged.
        written: u64,
        /// Documents in the dead letter table.
        dead_letters: u64,
        /// Rows the table says it has.
        counted: u64,
    },
    /// The change stream failed; each of its pipelines gets this error.
    #[error(transparent)]
    Stream(Arc<ExtractError>),
    /// The state store failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// What the state store keeps cannot be used.
    #[error("{reason}")]
    Checkpoint {
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// The table of a pipeline is not there any more, or is another one.
    #[error(
        "the table {table} of the pipeline {pipeline} is gone or has other columns than it was created with: \
         restore it, or load it again with zenith reload {pipeline}"
    )]
    TableGone {
        /// The table.
        table: String,
        /// The pipeline.
        pipeline: String,
    },
    /// A document was read whose `_id` the key column does not hold.
    #[error("{namespace} has an _id that the key column does not hold: {id} ({found})")]
    Key {
        /// The collection.
        namespace: String,
        /// The `_id` as Extended JSON; empty if the document has none.
        id: String,
        /// Its type in the words of `$type`, or `missing`.
        found: &'static str,
    },
    /// A load met values that the sample had not, in more rows than can be called rare.
    #[error(
        "the sample had no values such as those of {what}, and the columns chosen from it do not hold them"
    )]
    Surprise {
        /// The fields, why their values do not fit, and how often.
        what: String,
        /// Documents with such values, and how often each is to be counted.
        documents: Vec<(Vec<u8>, usize)>,
    },
    /// A document came whose `_id` is of another type than the key column.
    #[error(
        "{namespace} now has the _id {id} ({found}), which the key column of {table} cannot hold, so rows could not be \
         told apart; nothing was written of it: {remedy}"
    )]
    KeyMismatch {
        /// The collection.
        namespace: String,
        /// The table.
        table: String,
        /// The `_id` as Extended JSON.
        id: String,
        /// Its type in the words of `$type`.
        found: &'static str,
        /// What helps.
        remedy: String,
    },
    /// The collection went away.
    #[error(
        "{namespace} {what}; {table} keeps its rows, and the pipeline has stopped: {remedy}, on_drop = \"reload\" would \
         have continued by itself"
    )]
    SourceGone {
        /// The collection.
        namespace: String,
        /// How it went.
        what: &'static str,
        /// The table.
        table: String,
        /// What helps.
        remedy: String,
    },
    /// A field without a column, where that is to stop the pipeline.
    #[error(
        "{namespace} has a field {field}, for which {table} has no column: on_new_field = \"add\" adds one, and \
         on_new_field = \"extra\" keeps its values in _zenith_extra"
    )]
    NewField {
        /// The collection.
        namespace: String,
        /// The field.
        field: String,
        /// The table.
        table: String,
    },
    /// A value is not one of those that the column of its field holds, and the settings say to stop then.
    #[error(
        "{namespace} has a value of the type {found} in the field {field} of the document {id}, and its column in {table} is \
         {holds}: on_type_conflict = \"extra\" keeps such values in _zenith_extra, and on_type_conflict = \"widen\" gives the \
         column a wider type where there is one"
    )]
    TypeConflict {
        /// The collection.
        namespace: String,
        /// The field.
        field: Box<str>,
        /// The BSON types of values that the column does not hold.
        found: Box<str>,
        /// The `_id` of a document with such a value.
        id: Box<str>,
        /// The table.
        table: String,
        /// The type of the column.
        holds: Box<str>,
    },
    /// Rows were refused as they are not of the columns that their table has by now.
    #[error("columns of {table} were changed while rows were written to it: try again")]
    ColumnsChanged {
        /// The table.
        table: String,
    },
    /// The source is another one than the pipeline has followed.
    #[error(
        "the source of the pipeline {pipeline} is not the one it has followed: {reason}; nothing was written: correct the \
         address of the source, or let zenith reload {pipeline} load {table} from this one"
    )]
    OtherSource {
        /// The pipeline.
        pipeline: String,
        /// Its table.
        table: String,
        /// How that shows.
        reason: String,
    },
    /// The table is another one than the pipeline has written.
    #[error(
        "the table {table} is not the one that the pipeline {pipeline} has written: {reason}; nothing was written: correct the \
         address of the target, or {remedy}"
    )]
    OtherTarget {
        /// The table.
        table: String,
        /// The pipeline.
        pipeline: String,
        /// How that shows.
        reason: String,
        /// What helps if it is the right one.
        remedy: String,
    },
    /// Somebody else writes the table at the moment.
    #[error("the table {table} is written by another Zenith, {owner}: {remedy}")]
    TableOwned {
        /// The table.
        table: String,
        /// Who writes it, and when it was heard.
        owner: String,
        /// What that means for us, and what helps.
        remedy: String,
    },
    /// The table has no rows, although some were written.
    #[error(
        "the table {table} is empty, although the pipeline {pipeline} has written {rows} rows: it is that of another server, \
         or somebody has emptied it; nothing was written: correct the address of the target, or let zenith reload {pipeline} \
         load it again"
    )]
    TableEmptied {
        /// The table.
        table: String,
        /// The pipeline.
        pipeline: String,
        /// Rows of the checkpoint.
        rows: u64,
    },
    /// The collection went away, and the table is to be loaded from the one that takes its name.
    #[error(
        "{namespace} {what}, and no whole collection of that name is there yet: {table} keeps its rows until one is"
    )]
    SourceAwaited {
        /// The collection.
        namespace: String,
        /// How it went.
        what: &'static str,
        /// The table.
        table: String,
    },
    /// The changes since the checkpoint are not known any more.
    #[error(
        "the changes of {namespace} since the last checkpoint are no longer in the oplog of MongoDB, so the table \
         cannot be brought up to date: zenith reload {pipeline} loads it again (on_history_lost = \"reload\" does it \
         by itself), and a larger oplog keeps it from happening again"
    )]
    HistoryLost {
        /// The pipeline.
        pipeline: String,
        /// The collection.
        namespace: String,
    },
    /// The run was stopped from outside.
    #[error("stopped")]
    Stopped,
    /// The run was stopped from outside, and its shadow table could not be dropped.
    #[error(
        "stopped; the table {shadow} could not be dropped because ClickHouse did not answer: drop it when it does"
    )]
    StoppedLeaving {
        /// The table that stays.
        shadow: String,
    },
    /// A worker ended without a word: a panic, which is a defect.
    #[error("a worker ({worker}) ended unexpectedly; please report this")]
    Worker {
        /// What it did.
        worker: &'static str,
    },
}
