//! What a seed stands for: the mode, the settings, and the lives of the process.

use std::fmt;
use std::time::Duration;

use bson::raw::{CStr, cstr};
use zenith_engine::{
    Deletes, Mode, OnNewField, OnTypeConflict, PipelineSettings, Shape, TableOptions, TableShape,
};

use crate::random::Random;

/// The query of scenarios in which documents are left out.
const FILTER: &str = r#"{"k": 1}"#;

/// The field that tables with a key of their own are sorted by.
pub(crate) const KEY_FIELD: &CStr = cstr!("g");

/// The array that is unwound in some scenarios, and the column with the numbers of its elements.
pub(crate) const ARRAY_FIELD: &CStr = cstr!("a");
pub(crate) const ARRAY_INDEX: &str = "a_index";

/// What is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A table of documents as they are, with reloads in between.
    Changes,
    /// A table with a row for each change.
    ChangeLog,
    /// A collection that only grows.
    IdCursor,
    /// Copies that replace the table in one step.
    Reload,
}

impl Kind {
    fn of(seed: u64) -> Kind {
        match seed % 4 {
            0 => Kind::Changes,
            1 => Kind::ChangeLog,
            2 => Kind::IdCursor,
            _ => Kind::Reload,
        }
    }

    fn mode(self) -> Mode {
        match self {
            Kind::Changes => Mode::Changes,
            Kind::ChangeLog => Mode::ChangeLog,
            Kind::IdCursor => Mode::IdCursor,
            Kind::Reload => Mode::Full,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Changes => "changes",
            Kind::ChangeLog => "change-log",
            Kind::IdCursor => "id-cursor",
            Kind::Reload => "reload",
        })
    }
}

/// What one life of the process is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Errand {
    /// Follows until it is stopped.
    Follow,
    /// Ends when it has caught up.
    CatchUp,
    /// Loads the table of the pipeline anew.
    ReloadPipeline,
    /// Copies the collection.
    Copy,
}

/// One life of the process.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) errand: Errand,
    pub(crate) weather: Weather,
}

/// What goes wrong in one life.
#[derive(Clone, Debug, Default)]
pub(crate) struct Weather {
    /// Calls in a hundred that fail for the moment.
    pub(crate) source_faults: u32,
    pub(crate) sink_faults: u32,
    pub(crate) state_faults: u32,
    /// Inserts in a hundred whose token the target notes while their rows are lost, as when it is killed in between.
    pub(crate) torn_inserts: u32,
    /// Calls in a hundred that take a while.
    pub(crate) delays: u32,
    /// Calls in a hundred before which something happens at the source.
    pub(crate) changes: u32,
    pub(crate) crash: Option<Crash>,
}

/// Which calls a crash counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Among {
    All,
    /// Those between an intent and its checkpoint.
    IntentToCommit,
    /// Inserts of dead letters.
    Letters,
}

/// Where the process dies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crash {
    pub(crate) among: Among,
    /// At which of these, from 0.
    pub(crate) nth: u32,
    /// Whether the call has its effect before.
    pub(crate) after_effect: bool,
}

/// What a seed stands for.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) kind: Kind,
    pub(crate) settings: PipelineSettings,
    /// Documents at the beginning.
    pub(crate) documents: u32,
    /// Steps of the source in all.
    pub(crate) steps: u32,
    /// Documents in a hundred that cannot be decoded.
    pub(crate) bad_documents: u32,
    /// Documents in a hundred that have a field which none had at the beginning, or a value of another type.
    pub(crate) new_fields: u32,
    /// Whether only documents that match a query are to be in the table.
    pub(crate) filtered: bool,
    /// Whether the rows of deleted documents stay, with a mark.
    pub(crate) marks: bool,
    /// Documents of one reply of a scan.
    pub(crate) reply_documents: usize,
    /// Parts of a collection that is read by ranges.
    pub(crate) partitions: u32,
    /// Whether each event comes in a reply of its own, so that transactions are torn apart.
    pub(crate) single_events: bool,
    /// Inserts in a hundred whose token the target notes while their rows are lost, as when it is killed in between.
    pub(crate) torn_inserts: u32,
    /// Whether the table is sorted by a field that changes, which a document may lack.
    pub(crate) has_key: bool,
    /// Whether it is divided by that field as well, so that an insert may land in part.
    pub(crate) has_partitions: bool,
    /// Whether documents have an array, of which each element has a row.
    pub(crate) has_array: bool,
    /// Whether inserts of what is read take so long that deletions of later are old when they arrive.
    pub(crate) slow_loads: bool,
    pub(crate) readers: usize,
    pub(crate) lives: Vec<Life>,
}

impl Scenario {
    pub(crate) fn new(seed: u64, random: &mut Random) -> Scenario {
        let kind = Kind::of(seed);
        // A change log has every change.
        let filtered = kind != Kind::ChangeLog && seed / 4 % 5 == 4;
        let has_array = kind != Kind::ChangeLog && seed / 4 % 3 == 2;
        let flush_rows = random.pick(1, &[2, 3, 5, 8, 100]);
        let unwind = has_array.then(|| ARRAY_FIELD.as_str().to_owned());
        let shape = if seed / 20 % 3 == 1 { Shape::Flat } else { Shape::Columns };
        let options = TableOptions { unwind, shape, ..options(filtered, random) };
        let has_key = kind == Kind::Changes && seed.is_multiple_of(8);
        let shape = TableShape {
            order_by: if has_key { vec![KEY_FIELD.as_str().to_owned()] } else { Vec::new() },
            ..TableShape::default()
        };
        let mut settings = PipelineSettings {
            shape,
            mode: kind.mode(),
            // Without a draw, so that the other seeds are what they were.
            snapshot: kind == Kind::ChangeLog && seed / 4 % 2 == 1,
            flush_rows,
            settle: Duration::from_millis(random.pick(0, &[0, 300])),
            on_type_conflict: random.pick(OnTypeConflict::Extra, &[OnTypeConflict::Widen]),
            options,
            ..PipelineSettings::default()
        };
        let torn_inserts = random.pick(0, &[0, 0, 0, 10]);
        let mut lives: Vec<Life> =
            (0..random.between(2, 4)).map(|_| Life::new(kind, torn_inserts, random)).collect();
        // What is lost of a part has to be looked for in all parts.
        let has_partitions = has_key && torn_inserts == 0 && seed.is_multiple_of(16);
        let marks = kind == Kind::Changes && !filtered && seed / 4 % 3 == 1;
        if marks {
            mark(&mut settings, &mut lives, has_partitions);
        } else {
            leave_out(&mut settings, kind, seed);
        }
        let slow_loads = has_slow_loads(&settings, &mut lives);
        Scenario {
            kind,
            settings,
            documents: random.between(1, 16),
            steps: if slow_loads { random.between(20, 40) } else { random.between(4, 24) },
            bad_documents: random.pick(0, &[0, 5, 20, 60]),
            // Copies of other columns do not replace each other.
            new_fields: if kind == Kind::Reload { 0 } else { random.pick(0, &[0, 10, 40]) },
            filtered,
            marks,
            reply_documents: usize::try_from(random.between(1, 6)).unwrap_or(1),
            partitions: random.between(1, 3),
            single_events: random.percent(30),
            has_key,
            has_partitions,
            torn_inserts,
            has_array,
            slow_loads,
            readers: random.pick(1, &[2]),
            lives,
        }
    }
}

fn options(filtered: bool, random: &mut Random) -> TableOptions {
    TableOptions {
        batch_rows: random.pick(1, &[2, 3, 5, 8, 100]),
        readers: Some(1),
        inserters: random.pick(1, &[2]),
        filter: filtered.then(|| FILTER.to_owned()),
        ..TableOptions::default()
    }
}

/// Has new fields left out, and rows of deleted documents leave, in some scenarios.
fn leave_out(settings: &mut PipelineSettings, kind: Kind, seed: u64) {
    if kind != Kind::Reload && seed / 4 % 7 == 3 {
        settings.options.on_new_field = OnNewField::Ignore;
    }
    // Tables with a key of their own and others: these are read while their changes are applied.
    if kind == Kind::Changes && seed / 4 % 4 >= 2 {
        settings.purge_deleted = Some(Duration::from_secs(1));
    }
}

/// Whether inserts of what is read take long: in tables that rows leave and that are read while their changes are applied, which
/// the first life then is for.
fn has_slow_loads(settings: &PipelineSettings, lives: &mut [Life]) -> bool {
    let is_loaded_whole = !settings.shape.order_by.is_empty() || settings.options.unwind.is_some();
    let slow_loads = settings.purge_deleted.is_some() && !is_loaded_whole;
    if let Some(first) = lives.first_mut().filter(|_| slow_loads) {
        first.errand = Errand::Follow;
    }
    slow_loads
}

/// Has the rows of deleted documents stay.
fn mark(settings: &mut PipelineSettings, lives: &mut [Life], has_partitions: bool) {
    // The tables of memory keep their rows as they came, without later columns.
    (settings.options.on_new_field, settings.on_type_conflict) = (OnNewField::Extra, OnTypeConflict::Extra);
    settings.deletes = Deletes::Mark;
    // The row with the values is to be there before the one that has been left is not.
    settings.shape.partition_by = has_partitions.then(|| KEY_FIELD.as_str().to_owned());
    // A load would take rows out.
    for life in lives.iter_mut().filter(|life| life.errand == Errand::ReloadPipeline) {
        life.errand = Errand::CatchUp;
    }
}

impl Life {
    fn new(kind: Kind, torn_inserts: u32, random: &mut Random) -> Life {
        let errand = match kind {
            Kind::Reload => Errand::Copy,
            Kind::Changes | Kind::IdCursor if random.percent(15) => Errand::ReloadPipeline,
            _ if random.percent(40) => Errand::Follow,
            _ => Errand::CatchUp,
        };
        let crash = random.percent(80).then(|| {
            let (among, most) = match random.between(0, 9) {
                0..=4 if kind != Kind::Reload => (Among::IntentToCommit, 12),
                5..=6 => (Among::Letters, 2),
                _ => (Among::All, 60),
            };
            Crash { among, nth: random.between(0, most), after_effect: random.percent(50) }
        });
        let weather = Weather {
            source_faults: random.pick(0, &[0, 2, 10]),
            sink_faults: random.pick(0, &[0, 2, 10, 30]),
            state_faults: random.pick(0, &[0, 0, 1, 3]),
            torn_inserts,
            delays: random.pick(0, &[5, 30]),
            // A copy is exact only of a collection that stands still.
            changes: if kind == Kind::Reload { 0 } else { random.pick(0, &[5, 20, 50]) },
            crash,
        };
        Life { errand, weather }
    }
}
