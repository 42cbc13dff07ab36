//! What has to be true of the tables, after a crash and in the end.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use zenith_engine::state::{MemoryStore, StateStore};
use zenith_engine::transport::Sink;
use zenith_engine::{OnNewField, Shape};

use crate::history::{Entry, NEW_FIELDS, item};
use crate::rows::{DeadLetter, Row, dead_letters_of, newest};
use crate::scenario::{Errand, Kind};
use crate::sink::{SimulatedSink, TABLE};
use crate::world::World;

/// The operation of rows that a log begins with.
const SNAPSHOT: &str = "snapshot";

/// The table of dead letters.
const LETTERS: &str = "zenith_dead_letters";

/// What a promise is: kept, or in which words it is broken.
type Promise = Result<(), String>;

/// Where the pipeline is once it has caught up.
pub(crate) struct Reached<'a> {
    pub(crate) world: &'a World,
    pub(crate) sink: &'a SimulatedSink,
    pub(crate) state: &'a MemoryStore,
    /// The order of the first checkpoint.
    pub(crate) began: Option<Vec<u8>>,
}

/// A key and the number of an element, with the number of the document.
type Numbers = BTreeMap<(i64, i64), i64>;

impl Reached<'_> {
    /// Everything that has to be true in the end.
    pub(crate) async fn judge(&self) -> Promise {
        let letters = self.letters()?;
        match self.world.scenario.kind {
            Kind::Changes => self.current(&letters)?,
            Kind::ChangeLog => self.log(&letters).await?,
            Kind::IdCursor => self.cursor(&letters).await?,
            Kind::Reload => return self.copy(&letters),
        }
        self.later_fields()?;
        self.known_columns().await?;
        let open = self.state.open_intents(TABLE).await.map_err(|error| error.to_string())?;
        if open.is_empty() { Ok(()) } else { Err(format!("{} intents are still open", open.len())) }
    }

    /// Each row has the field that came up later of the document it is of, in a column or in the extra column, and no other; or
    /// none where such fields are left out until a load has columns for them.
    fn later_fields(&self) -> Promise {
        let ignores = self.world.scenario.settings.options.on_new_field == OnNewField::Ignore;
        self.world.with_history(|history| {
            for row in self.sink.rows(TABLE) {
                let Some(n) = row.n else { continue };
                let field = history.new_fields.get(&n);
                let expected = field.map(|name| (name.clone(), n)).into_iter().collect();
                if row.later != expected && !(ignores && row.later.is_empty()) {
                    return Err(format!(
                        "a row of document {} has {:?} instead of {expected:?}",
                        row.id, row.later
                    ));
                }
            }
            Ok(())
        })
    }

    /// A schema that was noted has the fields that came up later of which the table has columns, and no others: the next start
    /// knows each column, whenever the process died.
    async fn known_columns(&self) -> Promise {
        // Which field a column of a flat document is of cannot be told by its name.
        if self.world.scenario.settings.options.shape == Shape::Flat && self.sink.was_made_again() {
            return Ok(());
        }
        let table = self.sink.memory.describe(TABLE).await.map_err(|error| error.to_string())?;
        let columns = table.iter().flat_map(|table| &table.columns);
        let there: Vec<String> =
            columns.map(|column| format!("{} {}", column.name, column.data_type)).collect();
        let named = |text: &str| -> BTreeSet<&str> {
            NEW_FIELDS.iter().map(|name| name.as_str()).filter(|name| text.contains(name)).collect()
        };
        let there = there.join(" ");
        let versions = self.state.schemas(TABLE).await.map_err(|error| error.to_string())?;
        let texts = versions.iter().map(|version| String::from_utf8_lossy(&version.change.schema));
        match texts.into_iter().any(|text| named(&text) == named(&there)) {
            true => Ok(()),
            false => Err(format!("no schema has the fields {:?} that the table has", named(&there))),
        }
    }

    /// The last version of each key counts, and it is that of its last change.
    fn current(&self, letters: &[DeadLetter]) -> Promise {
        let mut last = newest(self.sink.rows(TABLE), self.world.scenario.has_key);
        last.retain(|row| !row.is_moved);
        if self.world.scenario.marks {
            self.marked(&last)?;
        }
        last.retain(|row| !row.is_deleted);
        let shown = once(&last)?;
        equal(&self.world.numbers(), &shown)?;
        let mut changed: HashMap<i64, u64> = HashMap::new();
        for entry in self.world.log() {
            changed.insert(entry.id, entry.version);
        }
        let loads = self.sink.versions_of_loads();
        for row in &last {
            let changed = changed.get(&row.id).copied().unwrap_or(0);
            // The stream is opened at the version behind that of the rows that are loaded.
            let is_loaded = loads.contains(&row.version) && changed <= row.version + 1;
            if row.version != changed && !is_loaded {
                let [has, should] = [row.version, changed].map(short);
                return Err(format!("the row of document {} has version {has} instead of {should}", row.id));
            }
        }
        // A load says nothing of the change by which a document became bad.
        let is_of = |letter: &&DeadLetter, id, version| {
            letter.id == id && (letter.version == version || !letter.is_of_changes())
        };
        for id in self.bad() {
            let version = changed.get(&id).copied().unwrap_or(0);
            if !letters.iter().any(|letter| is_of(&letter, id, version)) {
                return Err(format!("document {id} has neither a row nor a dead letter"));
            }
        }
        Ok(())
    }

    /// Every document that had a row and is gone has one still, with values that it had, and says that it is gone.
    fn marked(&self, last: &[Row]) -> Promise {
        let there: BTreeSet<i64> = self.world.numbers().into_keys().map(|(id, _)| id).collect();
        let states = self.world.with_history(|history| history.states.clone());
        let mut gone: BTreeMap<i64, &Row> = BTreeMap::new();
        for row in last.iter().filter(|row| row.is_deleted) {
            if gone.insert(row.id, row).is_some() || there.contains(&row.id) {
                return Err(format!("document {} has a row too many that says that it is gone", row.id));
            }
            if row.n.is_none_or(|n| !states.contains(&(row.id, n))) {
                return Err(format!("the row of document {}, which is gone, has {:?}", row.id, row.n));
            }
        }
        let had_row = self.sink.rows(TABLE).into_iter().filter(|row| !row.is_moved).map(|row| row.id);
        match had_row.into_iter().find(|id| !there.contains(id) && !gone.contains_key(id)) {
            Some(id) => Err(format!("the row of document {id}, which is gone, is gone, too")),
            None => Ok(()),
        }
    }

    /// Every change once and in order; those of bad documents as letters.
    async fn log(&self, letters: &[DeadLetter]) -> Promise {
        let from = self.first_version()?;
        let all = self.sink.rows(TABLE);
        let (snapshot, rows): (Vec<Row>, Vec<Row>) =
            all.iter().cloned().partition(|row| row.operation == SNAPSHOT);
        self.begins_with(&snapshot, from)?;
        self.past(&all).await?;
        let log: Vec<Entry> = self.world.log().into_iter().filter(|entry| entry.version >= from).collect();
        let mut seen: HashMap<(u64, u32), &Row> = HashMap::new();
        for row in &rows {
            if seen.insert((row.version, row.index), row).is_some() {
                return Err(format!("{} is in the table twice", change(row.version, row.index)));
            }
        }
        let has_letters_of_load = letters.iter().any(|letter| !letter.is_of_changes());
        let of_changes = letters.iter().filter(|letter| letter.is_of_changes());
        let letters: BTreeSet<(u64, u32)> = of_changes.map(|letter| (letter.version, letter.index)).collect();
        let mut is_counted = true;
        for entry in &log {
            let place = (entry.version, entry.index);
            let row = seen.remove(&place);
            // What an update left out is looked up later: by then the document may be one that cannot be decoded, and a
            // replay may meet it so after the first try did not.
            let may_be_either = entry.operation == "update" && self.becomes_bad(entry);
            is_counted &= !may_be_either;
            match (row, letters.contains(&place)) {
                (Some(row), false) if !entry.is_bad => is_row_of(row, entry)?,
                (None, true) if entry.is_bad => {}
                (None, false) => return Err(format!("{} is not in the table", change(place.0, place.1))),
                _ if may_be_either => {}
                _ => return Err(format!("{} has a row and a dead letter", change(place.0, place.1))),
            }
        }
        if let Some(row) = seen.values().next() {
            return Err(format!("{} is in the table, but did not happen", change(row.version, row.index)));
        }
        if !is_counted {
            return Ok(());
        }
        self.in_order()?;
        // Those of a load that came to no end are there as well.
        if has_letters_of_load { Ok(()) } else { self.counted(all.len(), letters.len()).await }
    }

    /// A log begins with one row for each document, older than its changes, if it is to.
    fn begins_with(&self, snapshot: &[Row], from: u64) -> Promise {
        if !snapshot.is_empty() && !self.world.scenario.settings.snapshot {
            return Err("a log has rows of a snapshot".to_owned());
        }
        once(snapshot)?;
        match snapshot.iter().find(|row| row.version >= from || row.version != snapshot[0].version) {
            Some(row) => {
                Err(format!("the row of the snapshot of document {} is not older than the changes", row.id))
            }
            None => Ok(()),
        }
    }

    /// The newest rows up to any change, since the snapshot was complete, are the documents that there were after it.
    async fn past(&self, rows: &[Row]) -> Promise {
        if !self.world.scenario.settings.snapshot {
            return Ok(());
        }
        let snapshot = self.state.snapshot(TABLE).await.map_err(|error| error.to_string())?;
        let since = snapshot.and_then(|snapshot| snapshot.consistent_after).unwrap_or_default();
        let since = u64::from_be_bytes(since.try_into().map_err(|_| "the log does not know its beginning")?);
        let log = self.world.log();
        let moments: BTreeSet<u64> = log.iter().map(|entry| entry.version).chain([since]).collect();
        for moment in moments.into_iter().filter(|moment| *moment >= since) {
            let mut newest: BTreeMap<i64, &Row> = BTreeMap::new();
            for row in rows.iter().filter(|row| row.version <= moment) {
                let known = newest.get(&row.id).map(|known| (known.version, known.index));
                if known.is_none_or(|known| known < (row.version, row.index)) {
                    newest.insert(row.id, row);
                }
            }
            newest.retain(|_, row| row.operation != "delete");
            self.was(moment, &log, &newest)?;
        }
        Ok(())
    }

    /// These are the documents of a moment. Of those that could not be decoded nothing is said.
    fn was(&self, moment: u64, log: &[Entry], shown: &BTreeMap<i64, &Row>) -> Promise {
        let first = self.world.with_history(|history| history.first_documents.clone());
        let mut last: BTreeMap<i64, Option<&Entry>> = first.keys().map(|id| (*id, None)).collect();
        for entry in log.iter().filter(|entry| entry.version <= moment) {
            last.insert(entry.id, Some(entry));
        }
        for (id, entry) in &last {
            let (is_bad, is_there, n) = match entry {
                Some(entry) => {
                    let is_bad = entry.is_bad || entry.operation == "update" && self.becomes_bad(entry);
                    (is_bad, entry.operation != "delete", entry.n)
                }
                None => {
                    first.get(id).map_or((true, false, 0), |document| (document.is_bad, true, document.n))
                }
            };
            let is_right = match (shown.get(id), is_there) {
                (Some(row), true) if row.operation == "update" => row.n.is_none_or(|shown| shown >= n),
                (Some(row), true) => row.n == Some(n),
                (None, false) => true,
                _ => false,
            };
            if !is_bad && !is_right {
                return Err(format!(
                    "at version {} the log shows document {id} as {:?}",
                    short(moment),
                    shown.get(id)
                ));
            }
        }
        match shown.keys().find(|id| !last.contains_key(id)) {
            Some(id) => {
                Err(format!("at version {} the log shows document {id}, which was not there", short(moment)))
            }
            None => Ok(()),
        }
    }

    /// Whether the document of a change becomes one later that cannot be decoded.
    fn becomes_bad(&self, entry: &Entry) -> bool {
        self.world.with_history(|history| {
            let same = history.log.iter().filter(|other| other.id == entry.id && other.is_bad);
            same.map(|other| (other.version, other.index)).any(|other| other > (entry.version, entry.index))
        })
    }

    /// The inserts of a log follow one another as their changes do.
    fn in_order(&self) -> Promise {
        let mut newest = (0, 0);
        for batch in self.sink.memory.batches(TABLE) {
            let places = || crate::rows::rows_of(&batch).into_iter().map(|row| (row.version, row.index));
            if places().any(|place| place < newest) {
                return Err(format!("{} is before changes that came earlier", change(newest.0, newest.1)));
            }
            newest = places().max().unwrap_or(newest);
        }
        Ok(())
    }

    /// Every document once.
    async fn cursor(&self, letters: &[DeadLetter]) -> Promise {
        let rows = self.sink.rows(TABLE);
        equal(&self.world.numbers(), &once(&rows)?)?;
        let bad = self.bad();
        self.have_letters(&bad, letters)?;
        let is_reloaded = self.world.scenario.lives.iter().any(|life| life.errand == Errand::ReloadPipeline);
        if !is_reloaded && letters.len() > bad.len() {
            return Err(format!("{} documents have {} dead letters", bad.len(), letters.len()));
        }
        self.counted(rows.len(), bad.len()).await
    }

    /// Every document of the last copy once.
    fn copy(&self, letters: &[DeadLetter]) -> Promise {
        equal(&self.world.numbers(), &once(&self.sink.rows(TABLE))?)?;
        let bad = self.bad();
        // Each copy writes letters of its own, the last one after all others.
        match letters.last() {
            Some(last) if !bad.is_empty() => {
                let of_last = letters.iter().filter(|letter| letter.run == last.run).cloned();
                self.have_letters(&bad, &of_last.collect::<Vec<DeadLetter>>())
            }
            _ => self.have_letters(&bad, &[]),
        }
    }

    /// The documents that cannot be decoded.
    fn bad(&self) -> BTreeSet<i64> {
        self.world.with_history(|history| {
            history.wanted().filter(|(_, found)| found.is_bad).map(|(id, _)| *id).collect()
        })
    }

    /// These documents, and no others, have dead letters.
    fn have_letters(&self, bad: &BTreeSet<i64>, letters: &[DeadLetter]) -> Promise {
        let have: BTreeSet<i64> = letters.iter().map(|letter| letter.id).collect();
        if let Some(id) = bad.difference(&have).next() {
            return Err(format!("document {id} has neither a row nor a dead letter"));
        }
        match have.difference(bad).next() {
            Some(id) => Err(format!("document {id} has a row and a dead letter")),
            None => Ok(()),
        }
    }

    /// The state knows how many rows there are, and how many dead letters.
    async fn counted(&self, rows: usize, letters: usize) -> Promise {
        let checkpoint = self.state.checkpoint(TABLE).await.map_err(|error| error.to_string())?;
        let counted = checkpoint.map_or(0, |checkpoint| checkpoint.rows);
        if u64::try_from(rows) != Ok(counted) {
            return Err(format!("the checkpoint counts {counted} rows, and the table has {rows}"));
        }
        let mismatches = self.state.mismatches(TABLE, None).await.map_err(|error| error.to_string())?;
        let counted: u64 = mismatches.documents.values().sum();
        if u64::try_from(letters) != Ok(counted) {
            return Err(format!("the state counts {counted} dead letters, and there are {letters}"));
        }
        Ok(())
    }

    /// The version of the first change that is the pipeline's.
    fn first_version(&self) -> Result<u64, String> {
        let order = self.began.as_deref().ok_or("there was never a checkpoint")?;
        let text = String::from_utf8_lossy(order);
        let increment = text.get(10..18).and_then(|hex| u64::from_str_radix(hex, 16).ok());
        increment.map(|increment| 1 << 32 | increment).ok_or_else(|| format!("the order {text} is no place"))
    }

    /// All dead letters, in the order in which they came. None came twice: a change has one at most, and a load one of
    /// each document.
    fn letters(&self) -> Result<Vec<DeadLetter>, String> {
        let batches = self.sink.memory.batches(LETTERS);
        let letters: Vec<DeadLetter> = batches.iter().flat_map(dead_letters_of).collect();
        let (mut of_changes, mut of_inserts) = (HashSet::new(), HashSet::new());
        for letter in &letters {
            let DeadLetter { id, version, index, .. } = *letter;
            let is_new = match letter.is_of_changes() && version > 0 {
                true => of_changes.insert((version, index)),
                // A load that is started over writes them anew.
                false => of_inserts.insert((letter.run.clone(), id)),
            };
            if !is_new {
                return Err(format!(
                    "the dead letter of document {id}, {} came twice",
                    change(version, index)
                ));
            }
        }
        Ok(letters)
    }
}

/// Readers see what one of the copies made, or nothing yet: never a part of it.
pub(crate) fn is_whole(sink: &SimulatedSink, copies: &[Numbers]) -> Promise {
    let shown = once(&sink.rows(TABLE))?;
    if shown.is_empty() || copies.contains(&shown) {
        return Ok(());
    }
    Err(format!("the table shows {} rows, which no copy has made together", shown.len()))
}

/// Whether the row of a log says what happened.
fn is_row_of(row: &Row, entry: &Entry) -> Promise {
    let is_right = match entry.operation {
        "insert" | "replace" => row.n == Some(entry.n),
        "update" => row.n.is_none_or(|n| n >= entry.n),
        _ => row.n.is_none(),
    };
    if row.id == entry.id && row.operation == entry.operation && is_right {
        return Ok(());
    }
    Err(format!("{} is {entry:?}, and its row {row:?}", change(entry.version, entry.index)))
}

fn once(rows: &[Row]) -> Result<Numbers, String> {
    let mut numbers = Numbers::new();
    for row in rows {
        let n = row.n.unwrap_or_default();
        if numbers.insert((row.id, row.element), n).is_some() {
            return Err(format!("element {} of document {} is in the table twice", row.element, row.id));
        }
        if row.item.is_some() && row.item != item(n, row.element) {
            return Err(format!("element {} of document {} is {:?}", row.element, row.id, row.item));
        }
    }
    Ok(numbers)
}

fn equal(expected: &Numbers, shown: &Numbers) -> Promise {
    for (row @ (id, element), n) in expected {
        match shown.get(row) {
            None => return Err(format!("element {element} of document {id} is not in the table")),
            Some(other) if other != n => {
                return Err(format!("the row of document {id} is that of its state {other} instead of {n}"));
            }
            Some(_) => {}
        }
    }
    match shown.keys().find(|row| !expected.contains_key(row)) {
        Some((id, element)) => {
            Err(format!("element {element} of document {id} is in the table, but not in the collection"))
        }
        None => Ok(()),
    }
}

fn short(version: u64) -> u64 {
    version & u64::from(u32::MAX)
}

fn change(version: u64, index: u32) -> String {
    format!("change {index} of version {}", short(version))
}
