//! The collection: its documents as they are, and everything that happened to them.

use std::collections::{BTreeMap, BTreeSet};

use bson::raw::{CStr, cstr};
use bson::{RawArrayBuf, RawBson, RawDocumentBuf, Timestamp, rawdoc};
use zenith_engine::Namespace;
use zenith_engine::extract::{MemoryChange, MemorySource};

use crate::random::Random;
use crate::scenario::{ARRAY_FIELD, KEY_FIELD, Kind, Scenario};

/// A text in documents that cannot be decoded, before its last byte is made one that is not UTF-8.
const SPOILT: &str = "spoilt~";

/// What the names of fields begin with that come up later.
pub(crate) const NEW_FIELD: &str = "later_";
/// Those of the document itself, and then those of the document in it.
pub(crate) const NEW_FIELDS: [&CStr; 6] = [
    cstr!("later_0"),
    cstr!("later_1"),
    cstr!("later_2"),
    cstr!("later_3"),
    cstr!("later_4"),
    cstr!("later_5"),
];
const OUTER: usize = 4;
/// The field whose values are sometimes texts, and what these begin with, before the number of their document.
pub(crate) const DRIFTING: &CStr = cstr!("w");
pub(crate) const DRIFTED: &str = "later_w:";

/// The collection.
pub(crate) fn namespace() -> Namespace {
    Namespace::new("db", "items")
}

#[derive(Clone, Debug)]
pub(crate) struct Document {
    /// Told apart from all documents before it by this.
    pub(crate) n: i64,
    pub(crate) is_bad: bool,
    /// Whether the query of the scenario leaves it.
    pub(crate) matches: bool,
    pub(crate) raw: RawDocumentBuf,
}

/// One change.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) version: u64,
    pub(crate) index: u32,
    pub(crate) operation: &'static str,
    pub(crate) id: i64,
    /// Of the document after it.
    pub(crate) n: i64,
    pub(crate) is_bad: bool,
    /// Changes of the same time.
    pub(crate) together: usize,
}

#[derive(Debug)]
pub(crate) struct History {
    random: Random,
    bad_percent: u32,
    filtered: bool,
    new_fields_percent: u32,
    has_key: bool,
    has_array: bool,
    /// The field of a document with this number that none had at the beginning; its value is the number.
    pub(crate) new_fields: BTreeMap<i64, String>,
    /// The documents that there ever were, with their numbers.
    pub(crate) states: BTreeSet<(i64, i64)>,
    /// It stays, stays good, and matches: columns are made of it.
    first: i64,
    pub(crate) documents: BTreeMap<i64, Document>,
    /// The documents at the beginning.
    pub(crate) first_documents: BTreeMap<i64, Document>,
    pub(crate) log: Vec<Entry>,
    next_id: i64,
    next_n: i64,
}

/// A change that is about to be made.
enum Change {
    Write(&'static str, i64, Document),
    Delete(i64),
}

impl History {
    pub(crate) fn new(scenario: &Scenario, random: Random) -> History {
        let mut history = History {
            random,
            bad_percent: scenario.bad_documents,
            filtered: scenario.filtered,
            new_fields_percent: 0,
            has_key: scenario.has_key,
            has_array: scenario.has_array,
            new_fields: BTreeMap::new(),
            states: BTreeSet::new(),
            first: 0,
            documents: BTreeMap::new(),
            first_documents: BTreeMap::new(),
            log: Vec::new(),
            next_id: 0,
            next_n: 0,
        };
        for number in 0..scenario.documents {
            let id = history.new_id();
            if number == 0 {
                history.first = id;
            }
            let document = history.document(id, number > 0);
            history.documents.insert(id, document);
        }
        history.first_documents.clone_from(&history.documents);
        history.new_fields_percent = scenario.new_fields;
        history
    }

    /// The documents so far as a source.
    pub(crate) fn source(&self) -> MemorySource {
        let documents = self.documents.values().map(|document| document.raw.clone()).collect();
        MemorySource::new().with_collection(namespace(), documents)
    }

    fn new_id(&mut self) -> i64 {
        self.next_id += i64::from(self.random.between(1, 3));
        self.next_id
    }

    fn document(&mut self, id: i64, may_be_bad: bool) -> Document {
        self.next_n += 1;
        // Columns are made of it: its array has elements.
        while self.has_array && id == self.first && !(1..=3).contains(&(self.next_n % 5)) {
            self.next_n += 1;
        }
        let n = self.next_n;
        self.states.insert((id, n));
        let is_bad = may_be_bad && self.random.percent(self.bad_percent);
        // Without a draw, so that seeds without a filter are what they were.
        let matches = id == self.first || n % 3 != 0;
        let k = i32::from(matches);
        let mut raw = if is_bad {
            spoilt(id, n, k)
        } else if self.random.percent(self.new_fields_percent) {
            self.odd_document(id, n, k)
        } else {
            rawdoc! { "_id": id, "n": n, "k": k, "s": "text", "d": { "x": 1 }, DRIFTING: true }
        };
        // A document without it stands with those that have 0.
        if self.has_key && !is_bad && (n % 5 > 0 || id == self.first) {
            raw.append(KEY_FIELD, n % 4);
        }
        if self.has_array && !is_bad {
            let values = elements(n).filter_map(|element| item(n, element));
            match n % 5 {
                0 => {}
                4 if n % 2 == 1 => raw.append(ARRAY_FIELD, 10 * n),
                _ => raw.append(ARRAY_FIELD, values.map(RawBson::Int64).collect::<RawArrayBuf>()),
            }
        }
        Document { n, is_bad, matches, raw }
    }

    /// A document with a field that came up later, or with a value of another type than those of before.
    fn odd_document(&mut self, id: i64, n: i64, k: i32) -> RawDocumentBuf {
        let number = self.random.between(0, 6) as usize;
        let mut raw = rawdoc! { "_id": id, "n": n, "k": k, "s": "text" };
        let mut inner = rawdoc! { "x": 1 };
        match NEW_FIELDS.get(number) {
            Some(name) if number < OUTER => raw.append(name, n),
            Some(name) => inner.append(name, n),
            None => raw.append(DRIFTING, format!("{DRIFTED}{n}")),
        }
        raw.append(cstr!("d"), inner);
        let drifted = DRIFTED.trim_end_matches(':');
        let name = NEW_FIELDS.get(number).map_or(drifted, |name| name.as_str());
        self.new_fields.insert(n, name.to_owned());
        raw
    }

    /// The documents that are to be in the table.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = (&i64, &Document)> {
        self.documents.iter().filter(|(_, document)| !self.filtered || document.matches)
    }

    /// All of these that can be decoded: by `_id` and element their number.
    pub(crate) fn numbers(&self) -> BTreeMap<(i64, i64), i64> {
        let good = self.wanted().filter(|(_, document)| !document.is_bad);
        let rows = good.flat_map(|(id, document)| {
            let elements = if self.has_array { elements(document.n) } else { 0..=0 };
            elements.map(|element| ((*id, element), document.n))
        });
        rows.collect()
    }

    /// Makes one step, of one change or of a transaction, and says what it was.
    pub(crate) fn step(&mut self, scenario: &Scenario, memory: &MemorySource) -> String {
        let is_growing = scenario.kind == Kind::IdCursor;
        if self.random.percent(10) {
            let other = Namespace::new("db", "other");
            memory.push_insert(&other, rawdoc! { "_id": self.next_n });
            return "something elsewhere".to_owned();
        }
        let count = if self.random.percent(25) { self.random.between(2, 10) } else { 1 };
        let mut changes = Vec::new();
        for _ in 0..count {
            let change = if is_growing { self.insert() } else { self.any() };
            // Of two rows of one key and version nobody can tell which of them has been lost.
            if scenario.torn_inserts > 0 && changes.iter().any(|other: &Change| other.id() == change.id()) {
                continue;
            }
            // Later changes of a transaction see the earlier ones.
            match &change {
                Change::Write(_, id, document) => drop(self.documents.insert(*id, document.clone())),
                Change::Delete(id) => drop(self.documents.remove(id)),
            }
            changes.push(change);
        }
        self.commit(changes, memory)
    }

    fn commit(&mut self, changes: Vec<Change>, memory: &MemorySource) -> String {
        let mut made: Vec<MemoryChange> = changes.iter().map(Change::of_memory).collect();
        let together = made.len();
        let time = match (together, made.pop()) {
            (1, Some(only)) => memory.push(only),
            (_, last) => memory.push_transaction(made.into_iter().chain(last).collect()),
        };
        let version = version_of(time);
        let mut told = format!("version {}:", version & u64::from(u32::MAX));
        for (index, change) in (0..).zip(changes) {
            let (operation, id, n, is_bad) = match change {
                Change::Write(operation, id, document) => (operation, id, document.n, document.is_bad),
                Change::Delete(id) => ("delete", id, 0, false),
            };
            told.push_str(&format!(" {operation} {id}{}", if is_bad { " (spoilt)" } else { "" }));
            self.log.push(Entry { version, index, operation, id, n, is_bad, together });
        }
        told
    }

    fn insert(&mut self) -> Change {
        let id = self.new_id();
        Change::Write("insert", id, self.document(id, true))
    }

    /// One of the documents that have changed lately: an earlier change of it may still be on its way.
    fn lately(&mut self) -> Option<i64> {
        let back = usize::try_from(self.random.between(0, 2)).unwrap_or(0);
        let id = self.log.iter().rev().nth(back)?.id;
        (id != self.first && self.documents.contains_key(&id)).then_some(id)
    }

    fn any(&mut self) -> Change {
        if self.random.percent(30)
            && let Some(id) = self.lately()
        {
            return Change::Write("replace", id, self.document(id, true));
        }
        let most = u32::try_from(self.documents.len()).unwrap_or(u32::MAX).saturating_sub(1);
        let at = usize::try_from(self.random.between(0, most)).unwrap_or(0);
        let Some((id, is_bad)) = self.documents.iter().nth(at).map(|(id, found)| (*id, found.is_bad)) else {
            return self.insert();
        };
        let is_first = id == self.first;
        match self.random.between(0, 9) {
            0..=2 => self.insert(),
            3 if !is_first => Change::Write("replace", id, self.document(id, true)),
            4..=5 if !is_first => Change::Delete(id),
            6 => match (1..self.next_id).find(|id| !self.documents.contains_key(id)) {
                Some(gone) => Change::Write("insert", gone, self.document(gone, true)),
                None => self.insert(),
            },
            // What becomes of updates of bad documents depends on when they are looked up.
            _ if is_bad => Change::Delete(id),
            _ => Change::Write("update", id, self.document(id, false)),
        }
    }
}

impl Change {
    fn id(&self) -> i64 {
        match self {
            Change::Write(_, id, _) | Change::Delete(id) => *id,
        }
    }

    fn of_memory(&self) -> MemoryChange {
        match self {
            Change::Write("insert", _, document) => MemoryChange::Insert(namespace(), document.raw.clone()),
            Change::Write("replace", _, document) => MemoryChange::Replace(namespace(), document.raw.clone()),
            Change::Write(_, _, document) => MemoryChange::Update(namespace(), document.raw.clone()),
            Change::Delete(id) => MemoryChange::Delete(namespace(), RawBson::Int64(*id)),
        }
    }
}

/// The numbers of the rows of a document with this number: of its elements, or 0 where there are none.
pub(crate) fn elements(n: i64) -> std::ops::RangeInclusive<i64> {
    match n % 5 {
        0 | 4 => 0..=0,
        length => 1..=length,
    }
}

/// The element of a row: nothing where the array is missing or empty, and what is in its place where it is none.
pub(crate) fn item(n: i64, element: i64) -> Option<i64> {
    let is_there = n % 5 > 0 && (n % 5 < 4 || n % 2 == 1);
    is_there.then_some(10 * n + element)
}

/// As rows have it.
pub(crate) fn version_of(time: Timestamp) -> u64 {
    u64::from(time.time) << 32 | u64::from(time.increment)
}

/// A document whose text is not UTF-8.
fn spoilt(id: i64, n: i64, k: i32) -> RawDocumentBuf {
    let whole = rawdoc! { "_id": id, "n": n, "k": k, "s": SPOILT };
    let mut bytes = whole.as_bytes().to_vec();
    if let Some(last) = bytes.iter().rposition(|byte| *byte == b'~') {
        bytes[last] = 0xFF;
    }
    RawDocumentBuf::from_bytes(bytes).unwrap_or(whole)
}
