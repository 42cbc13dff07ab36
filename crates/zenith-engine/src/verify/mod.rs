//! Compares a table with its collection: the values of the source with those that the table shows and keeps.
//!
//! ```text
//! documents by _id ─▶ part ─▶ their keys ─▶ the rows of these keys ─▶ compared one by one ─▶ found
//!                                                                        │ hashes of keys, counted by bucket
//! the table's hashes of keys, counted by bucket ◀────────────────────────┘
//!   └─ buckets that differ ─▶ their keys ─▶ looked up in the source ─▶ rows that only the table has
//! ```
//!
//! | part | what it does |
//! | --- | --- |
//! | `pass`, `part` | reads the collection and compares it part by part |
//! | `settle` | looks at some `_id`s of both ends again |
//! | `surplus` | finds rows that only the table has |
//! | `rows` | keys of documents, and the rows of these keys |
//! | `letters` | documents that are dead letters |
//! | `compare`, `walk`, `map`, `expect`, `shown`, `cell` | one document and its row |
//! | `beside` | some documents beside their rows, for people |
//! | `kept` | what of a document its row has, where fields without a column are left out |
//!
//! Nothing is written to the target.

mod beside;
mod cell;
mod compare;
mod expect;
mod kept;
mod letters;
mod map;
mod mismatch;
mod part;
mod pass;
mod rows;
mod settle;
mod shown;
mod surplus;
mod walk;

use std::sync::Arc;

pub use beside::Beside;
use bson::RawBson;
use zenith_extract::{ChangeSource, Source};
use zenith_state::{Mismatches, StateStore};
use zenith_transport::{LetterFilter, Sink};

use crate::load::keys::Keys;
use crate::policies::Mode;
use crate::replication::Replicator;
use crate::replication::context::Context;
use crate::{EngineError, Result};
use compare::{Comparer, Unwinding};
use expect::Rules;
use mismatch::Mismatch;

/// Comparisons before a difference counts, while changes go on.
const TRIES: u32 = 4;
/// The pause between them: changes under way arrive meanwhile.
const PAUSE: std::time::Duration = std::time::Duration::from_secs(2);
/// Differences that are looked at again; so many are no changes under way.
const AGAIN_MAX: usize = 10_000;

/// How to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyOptions {
    /// Only so many documents, from both ends and from between; all, if not said.
    pub sample: Option<u64>,
    /// How many `_id`s of each kind are named.
    pub ids_shown: usize,
}

impl Default for VerifyOptions {
    fn default() -> VerifyOptions {
        VerifyOptions { sample: None, ids_shown: 20 }
    }
}

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Whether only a sample of the documents was compared, and only rows of these were looked at.
    pub is_of_sample: bool,
    /// Documents of the collection that were compared; where an array is unwound, the rows that they make.
    pub source_rows: u64,
    /// Rows of the table; of a sample, those of its documents.
    pub target_rows: u64,
    /// `_id`s that only the collection has.
    pub missing: Vec<String>,
    /// `_id`s that only the table has.
    pub surplus: Vec<String>,
    /// `_id`s whose values differ, with the first place where they do.
    pub differing: Vec<ValueDifference>,
    /// How many are missing.
    pub missing_count: u64,
    /// How many are surplus.
    pub surplus_count: u64,
    /// How many differ.
    pub differing_count: u64,
    /// Values of documents without a difference that only the extra column has, and documents that have no row but are
    /// dead letters.
    pub mismatches: Mismatches,
}

/// A document and a row of other values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueDifference {
    /// The `_id`.
    pub id: String,
    /// Keys, and positions in arrays, with dots between them; empty for the document as a whole.
    pub path: String,
    /// What the collection has there.
    pub source: String,
    /// What the table has there.
    pub target: String,
}

impl Verification {
    /// Whether nothing differs. Values of the extra column and dead letters are no difference.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.missing_count == 0 && self.surplus_count == 0 && self.differing_count == 0
    }
}

/// How the ends differ about an `_id`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Finding {
    /// No row is of the document.
    Missing,
    /// The document has a row, which is that of another document of the same `_id`, too.
    Fewer,
    /// No document is of the row.
    Surplus,
    Differing(Box<Mismatch>),
}

/// A finding and the `_id` it is about; documents of views need not have one.
#[derive(Clone, Debug, PartialEq)]
struct Difference {
    id: Option<RawBson>,
    finding: Finding,
}

/// Differences, the first ones by name and all by number.
#[derive(Debug, Default)]
struct Differences {
    first: Vec<Difference>,
    missing: u64,
    fewer: u64,
    surplus: u64,
    differing: u64,
}

impl Differences {
    fn add(&mut self, difference: Difference) {
        match difference.finding {
            Finding::Missing => self.missing += 1,
            Finding::Fewer => self.fewer += 1,
            Finding::Surplus => self.surplus += 1,
            Finding::Differing(_) => self.differing += 1,
        }
        if self.first.len() < AGAIN_MAX {
            self.first.push(difference);
        }
    }

    /// Adds those of others that are about the number of rows.
    fn add_numbers(&mut self, others: Differences) {
        self.fewer += others.fewer;
        self.surplus += others.surplus;
        let is_number = |finding: &Finding| matches!(finding, Finding::Fewer | Finding::Surplus);
        let numbers = others.first.into_iter().filter(|other| is_number(&other.finding));
        let room = AGAIN_MAX.saturating_sub(self.first.len());
        self.first.extend(numbers.take(room));
    }

    fn total(&self) -> u64 {
        self.missing + self.fewer + self.surplus + self.differing
    }

    /// Whether each of them is known by name.
    fn is_whole(&self) -> bool {
        crate::progress::to_u64(self.first.len()) == self.total()
    }
}

/// What all parts of a comparison know.
struct Verifier<S, K, T> {
    context: Arc<Context<S, K, T>>,
    comparer: Arc<Comparer>,
    keys: Arc<Keys>,
    /// What is true of the dead letters that count, if there are any.
    letters: Option<LetterFilter>,
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Replicator<S, K, T> {
    /// Compares. While changes go on, what differs is looked at again a few times: it may be on its way.
    ///
    /// # Errors
    /// When either end cannot be read; for change logs that do not begin with a snapshot.
    pub async fn verify(&self, name: &str, options: VerifyOptions) -> Result<Verification> {
        let context = self.context(name)?;
        // Changes that a reset has left out make no difference that could be told from others.
        if context.settings.mode == Mode::ChangeLog
            && !(context.settings.snapshot && context.log_begins().await?.is_some())
        {
            return Err(EngineError::NotPossible {
                doing: format!("verifying the pipeline {name}"),
                reason: "it is a change log, which holds changes, and the collection holds none to compare with; of one that \
                         begins with a snapshot (snapshot = true), and was not reset, the newest rows are the documents"
                    .to_owned(),
            });
        }
        let _turn = context.unless_stopped(context.memory.snapshot()).await?;
        let verifier = Verifier::new(&context).await?;
        let (mut found, mut differences) = Box::pin(verifier.pass(options)).await?;
        for _ in 1..TRIES {
            if differences.total() == 0 || !differences.is_whole() {
                break;
            }
            context.stop.pause(PAUSE).await?;
            differences = verifier.again(differences, &mut found.mismatches).await?;
        }
        Ok(told(found, &differences, options.ids_shown))
    }
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Verifier<S, K, T> {
    async fn new(context: &Arc<Context<S, K, T>>) -> Result<Verifier<S, K, T>> {
        let known = match context.schema().await {
            // Its columns are those of another load than the last one that was noted.
            Err(EngineError::TableGone { .. }) if context.settings.mode == Mode::Full => None,
            known => known?,
        };
        let schema = match known {
            Some(schema) => schema,
            None => {
                let mut pipeline = context.looking();
                // The columns are those of the table, also of fields that the sample does not have.
                pipeline.options.keep_types = true;
                let plan = context.plan(&pipeline).await?;
                plan.schema_of_table()
            }
        };
        let keys = Keys::new(&schema, context.memory.pool(), context.memory.batch_bytes());
        let rules = Rules { uuid_legacy: context.settings.options.uuid_legacy, dates: schema.dates };
        Ok(Verifier {
            context: Arc::clone(context),
            comparer: Arc::new(Comparer {
                late: context.late_fields(&schema).await?,
                has_grown: context.has_grown().await?,
                tuples: schema.as_tuples(),
                transform: context.settings.options.plain_transform(&schema)?,
                unwinding: Unwinding::of(&context.settings.options, &schema)?,
                schema,
                rules,
                ignores: context.settings.options.ignores_new_fields(),
            }),
            keys: Arc::new(keys),
            letters: Self::letters_of_today(context).await?,
        })
    }
}

/// What was found, with as many differences by name as are to be shown.
fn told(mut found: Verification, differences: &Differences, shown: usize) -> Verification {
    found.missing_count = differences.missing + differences.fewer;
    found.surplus_count = differences.surplus;
    found.differing_count = differences.differing;
    for Difference { id, finding } in &differences.first {
        let id = id.as_ref().map_or_else(|| "(no _id)".to_owned(), text);
        match finding {
            Finding::Missing | Finding::Fewer if found.missing.len() < shown => found.missing.push(id),
            Finding::Surplus if found.surplus.len() < shown => found.surplus.push(id),
            Finding::Differing(mismatch) if found.differing.len() < shown => {
                let Mismatch { path, source, target } = (**mismatch).clone();
                found.differing.push(ValueDifference { id, path, source, target });
            }
            _ => {}
        }
    }
    found
}

/// An `_id` as people would write it.
fn text(id: &RawBson) -> String {
    bson::Bson::try_from(id.clone()).map_or_else(|_| format!("{id:?}"), |id| mismatch::plain(&id))
}
