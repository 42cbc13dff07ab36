//! Dead letters: documents that have no row, listed, shown, tried again, and removed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use zenith_engine::state::{DynStateStore, StateStore};
use zenith_engine::transport::ClickHouseSink;
use zenith_engine::{DeadLetterRetry, DeadLetters, LetterFilter, StoredLetter, letter_json};

use crate::config::Config;
use crate::connect;
use crate::databases::Databases;
use crate::failure::{Failure, code};
use crate::memory::{Kind, Memory};
use crate::state::Places;
use crate::time;

/// Letters that are shown of those that would be removed.
const SHOWN: u64 = 20;

/// A dead letter for machines.
#[derive(Debug, Serialize, ToSchema)]
pub struct LetterJson {
    /// Its name, by which it is shown, tried again and removed.
    id: String,
    at: String,
    /// The pipeline, or the run of a copy, that it is of.
    pipeline: String,
    collection: String,
    /// The `_id` of its document.
    #[serde(rename = "_id")]
    document_id: String,
    bytes: u64,
    reason: String,
    operation: Option<String>,
    version: Option<u64>,
    /// The document as Extended JSON; only where one letter is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<Value>,
    /// Its bytes in hexadecimal, where they are no document.
    #[serde(skip_serializing_if = "Option::is_none")]
    document_hex: Option<String>,
}

impl LetterJson {
    /// Without the document.
    pub fn of(letter: &StoredLetter) -> LetterJson {
        LetterJson {
            id: letter.name.clone(),
            at: time::rfc3339(letter.at),
            pipeline: letter.pipeline.clone(),
            collection: letter.namespace.clone(),
            document_id: letter.id.clone(),
            bytes: letter.size,
            reason: letter.reason.clone(),
            operation: (!letter.operation.is_empty()).then(|| letter.operation.clone()),
            version: (letter.version > 0).then_some(letter.version),
            document: None,
            document_hex: None,
        }
    }

    /// With the document.
    pub fn whole(letter: &StoredLetter) -> LetterJson {
        let document = letter_json(letter).and_then(|text| serde_json::from_str::<Value>(&text).ok());
        let document_hex = document.is_none().then(|| hex(&letter.document));
        LetterJson { document, document_hex, ..LetterJson::of(letter) }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A table of dead letters, and where it is.
struct Kept {
    sink: Arc<ClickHouseSink>,
    database: String,
    table: String,
}

impl Kept {
    fn letters(&self) -> DeadLetters<'_, ClickHouseSink> {
        DeadLetters::new(&*self.sink, &self.table)
    }
}

/// The tables of all pipelines, each once by whatever addresses; letters of pipelines that were removed are in them as
/// well.
async fn tables(config: &Config, places: &Places) -> Result<Vec<Kept>, Failure> {
    let mut tables: Vec<Kept> = Vec::new();
    let pool = connect::pool(None, places)?;
    let databases = Databases::of(&config.targets, &pool).await;
    for pipeline in config.pipelines.values() {
        let (target, table) = (&pipeline.target, &pipeline.settings.options.dead_letters);
        let Some(connector) = config.targets.get(target) else { continue };
        let database = databases.database(target, connector);
        if tables.iter().any(|kept| kept.database == database && kept.table == *table) {
            continue;
        }
        let sink = Arc::new(connect::sink(target, connector, &pool, None)?);
        tables.push(Kept { sink, database, table: table.clone() });
    }
    Ok(tables)
}

/// A name that neither a pipeline nor a letter has is a mistake.
fn known(config: &Config, name: Option<&str>, found: usize) -> Result<(), Failure> {
    match name {
        Some(name) if found == 0 => connect::pipeline(config, name).map(|_| ()),
        _ => Ok(()),
    }
}

fn no_letter(id: &str) -> Failure {
    let sentence = format!("there is no dead letter {id:?}: zenith dead-letters list shows what there is");
    Failure::known(code::NO_LETTER, sentence)
}

fn newest(letters: &mut Vec<StoredLetter>, limit: u64) {
    letters.sort_by_key(|letter| std::cmp::Reverse(letter.at));
    letters.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
}

/// The newest letters, of all pipelines or of one, and how many there are.
///
/// # Errors
/// If neither a pipeline nor a letter has this name, or a target cannot be asked.
pub async fn list(
    config: &Config,
    places: &Places,
    name: Option<&str>,
    limit: u64,
) -> Result<(Vec<StoredLetter>, u64), Failure> {
    let filter = LetterFilter { pipeline: name.map(str::to_owned), ..LetterFilter::default() };
    let (mut found, mut all) = (Vec::new(), 0);
    for kept in tables(config, places).await? {
        found.extend(kept.letters().list(&filter, Some(limit), false).await?);
        all += kept.letters().count(&filter).await?;
    }
    known(config, name, found.len())?;
    newest(&mut found, limit);
    Ok((found, all))
}

/// One letter with its document.
///
/// # Errors
/// If there is none of this name, or a target cannot be asked.
pub async fn show(config: &Config, places: &Places, id: &str) -> Result<StoredLetter, Failure> {
    let filter = LetterFilter { names: Some(vec![id.to_owned()]), ..LetterFilter::default() };
    for kept in tables(config, places).await? {
        if let Some(letter) = kept.letters().list(&filter, Some(1), true).await?.into_iter().next() {
            return Ok(letter);
        }
    }
    Err(no_letter(id))
}

/// Letters that are meant.
#[derive(Clone, Debug, Default)]
pub struct Meant {
    /// Of one pipeline; of all, if not said.
    pub name: Option<String>,
    /// Of these names; all, if there are none.
    pub ids: Vec<String>,
    /// Older than this; only for removing.
    pub before: Option<SystemTime>,
}

impl Meant {
    fn names(&self) -> Option<Vec<String>> {
        (!self.ids.is_empty()).then(|| self.ids.clone())
    }
}

/// What became of letters that were tried again.
#[derive(Debug)]
pub struct Retried {
    /// By pipeline; those without letters are left out unless one was named.
    pub pipelines: Vec<(String, DeadLetterRetry)>,
    /// Whether nothing was written.
    pub dry_run: bool,
}

/// The same for machines.
#[derive(Debug, Serialize, ToSchema)]
pub struct RetriedJson {
    dry_run: bool,
    pipelines: Vec<RetriedPipelineJson>,
}

/// The letters of one pipeline that were tried again.
#[derive(Debug, Serialize, ToSchema)]
pub struct RetriedPipelineJson {
    pipeline: String,
    letters: u64,
    written: u64,
    gone: u64,
    there: u64,
    left: u64,
    failed: Vec<FailedJson>,
}

/// A letter that stays.
#[derive(Debug, Serialize, ToSchema)]
pub struct FailedJson {
    id: String,
    #[serde(rename = "_id")]
    document_id: String,
    reason: String,
}

impl Retried {
    /// For machines.
    pub fn json(&self) -> RetriedJson {
        let failed = |(letter, reason): &(StoredLetter, String)| FailedJson {
            id: letter.name.clone(),
            document_id: letter.id.clone(),
            reason: reason.clone(),
        };
        let pipeline = |(name, of): &(String, DeadLetterRetry)| RetriedPipelineJson {
            pipeline: name.clone(),
            letters: of.letters,
            written: of.written,
            gone: of.gone,
            there: of.there,
            left: of.left,
            failed: of.failed.iter().map(failed).collect(),
        };
        RetriedJson { dry_run: self.dry_run, pipelines: self.pipelines.iter().map(pipeline).collect() }
    }
}

/// Tries to write the documents of letters again.
///
/// # Errors
/// If there is no such pipeline or letter, or an end cannot be asked.
pub async fn retry(
    config: &Config,
    store: &DynStateStore,
    meant: &Meant,
    dry_run: bool,
    memory: &Memory,
) -> Result<Retried, Failure> {
    let names: Vec<String> = match &meant.name {
        Some(name) => {
            connect::pipeline(config, name)?;
            vec![name.clone()]
        }
        None => config.pipelines.keys().cloned().collect(),
    };
    let mut pipelines: Vec<(String, DeadLetterRetry)> = Vec::new();
    for name in names {
        let memory = memory.part(Kind::Letters).await;
        let single = connect::single_within(config, &name, store.clone(), memory).await?;
        let replay = single.keeper.retry_letters(&name, meant.names(), dry_run).await?;
        if replay.letters > 0 || meant.name.is_some() {
            pipelines.push((name, replay));
        }
    }
    match meant.ids.first() {
        Some(id) if pipelines.iter().all(|(_, replay)| replay.letters == 0) => Err(no_letter(id)),
        _ => Ok(Retried { pipelines, dry_run }),
    }
}

/// Letters that would be removed.
pub struct Purgeable {
    /// How many.
    pub count: u64,
    /// The newest of them.
    pub newest: Vec<StoredLetter>,
    tables: Vec<Kept>,
    filter: LetterFilter,
    pipelines: Vec<String>,
}

/// Removed letters for machines.
#[derive(Debug, Serialize, ToSchema)]
pub struct PurgedJson {
    /// How many.
    pub letters: u64,
    /// Whether they were removed, or only counted.
    pub removed: bool,
}

/// Finds the letters that would be removed.
///
/// # Errors
/// If there is no such pipeline or letter, or a target cannot be asked.
pub async fn purgeable(config: &Config, places: &Places, meant: &Meant) -> Result<Purgeable, Failure> {
    let filter = LetterFilter {
        pipeline: meant.name.clone(),
        names: meant.names(),
        before: meant.before,
        ..LetterFilter::default()
    };
    let (mut count, mut newest) = (0, Vec::new());
    let tables = tables(config, places).await?;
    for kept in &tables {
        count += kept.letters().count(&filter).await?;
        newest.extend(kept.letters().list(&filter, Some(SHOWN), false).await?);
    }
    known(config, meant.name.as_deref(), newest.len())?;
    if let Some(id) = meant.ids.first().filter(|_| count == 0) {
        return Err(no_letter(id));
    }
    self::newest(&mut newest, SHOWN);
    Ok(Purgeable { count, newest, tables, filter, pipelines: config.pipelines.keys().cloned().collect() })
}

impl Purgeable {
    /// Removes them, and counts them no more.
    ///
    /// # Errors
    /// If a target or the state refuses it; what was removed before stays so.
    pub async fn purge(&self, store: &impl StateStore) -> Result<(), Failure> {
        for kept in &self.tables {
            let reasons: BTreeMap<_, _> =
                kept.letters().reasons(&self.filter, &self.pipelines).await?.into_iter().collect();
            kept.letters().remove(&self.filter).await?;
            for (pipeline, reasons) in &reasons {
                store.settle_letters(pipeline, reasons).await?;
            }
        }
        Ok(())
    }
}
