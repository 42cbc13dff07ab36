//! Looks at all pipelines now and then, and tells those who want to know.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::join_all;
use zenith_engine::state::{DynStateStore, StateStore as _};

use super::message::Message;
use super::standing::standing;
use super::told::{AllSeen, Book, News, Seen};
use super::webhook::{Patience, Webhook};
use crate::config::alerts::{AlertKind, Alerts, Limits};
use crate::failure::Failure;
use crate::state::Places;
use crate::status::Report;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Looking may take this part of the time of one processor.
const LOOK_SHARE: u32 = 20;
/// How long the last look of a run that ends may take.
const LAST_WITHIN: Duration = Duration::from_secs(8);
/// How long a stop waits for what is being told.
const REST_WITHIN: Duration = Duration::from_secs(1);

/// Tells of alerts while a run lasts.
pub struct Keeper {
    places: Places,
    store: DynStateStore,
    names: Vec<String>,
    instance: String,
    wanted: Mutex<Wanted>,
    /// Held during a look, so that there is one at a time.
    told: tokio::sync::Mutex<Option<Book>>,
}

/// Who wants to know what.
#[derive(Default)]
struct Wanted {
    limits: Limits,
    webhooks: BTreeMap<String, Arc<Webhook>>,
    patience: BTreeMap<String, Patience>,
}

impl Wanted {
    fn of(alerts: &Alerts) -> Result<Wanted, Failure> {
        let webhooks = Webhook::open_all(&alerts.webhooks).map_err(Failure::Input)?;
        let webhooks = webhooks.into_iter().map(|(name, webhook)| (name, webhook.into())).collect();
        Ok(Wanted { limits: alerts.limits.clone(), webhooks, patience: BTreeMap::new() })
    }
}

/// All pipelines at one moment.
struct Look {
    at: SystemTime,
    seen: AllSeen,
    /// Those that are applied, also those that this run leaves out.
    applied: BTreeSet<String>,
}

impl Keeper {
    /// Tells of the pipelines of a run; of these alone, or of those of these templates, unless there are no names.
    ///
    /// # Errors
    /// If the address of a webhook cannot be looked up or understood.
    pub fn open(places: &Places, store: DynStateStore, names: &[String]) -> Result<Keeper, Failure> {
        Ok(Keeper {
            wanted: Mutex::new(Wanted::of(&places.process.alerts)?),
            places: places.clone(),
            store,
            names: names.to_vec(),
            instance: instance(),
            told: tokio::sync::Mutex::default(),
        })
    }

    /// Follows another configuration from now on.
    ///
    /// # Errors
    /// As [`Keeper::open`]; then nothing changes.
    pub fn follow(&self, alerts: &Alerts) -> Result<(), Failure> {
        let new = Wanted::of(alerts)?;
        *self.wanted() = new;
        Ok(())
    }

    fn wanted(&self) -> std::sync::MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells until dropped; then what is being told is told to its end, if the process waits for that.
    pub async fn run(self: &Arc<Self>) {
        loop {
            let begun = Instant::now();
            let keeper = Arc::clone(self);
            // One that has panicked has told why.
            let _ = tokio::spawn(async move { keeper.tell(false).await }).await;
            tokio::time::sleep(LOOK_EVERY.max(begun.elapsed() * LOOK_SHARE)).await;
        }
    }

    /// Waits until what was being told has been noted, so that the next run does not tell it again.
    pub async fn rest(&self) {
        let _ = tokio::time::timeout(REST_WITHIN, self.told.lock()).await;
    }

    /// Looks once more, at the end of a run that ended by itself.
    pub async fn finish(&self) {
        if tokio::time::timeout(LAST_WITHIN, self.tell(true)).await.is_err() {
            tracing::warn!(
                "not all alerts could be sent before the end; the next run sends what is still so"
            );
        }
    }

    /// Tells what there is to tell, those who are away only when their time has come, unless it is the last time.
    async fn tell(&self, is_last: bool) {
        let told = self.told.lock().await;
        // Nothing is read or noted where nobody is told.
        if self.wanted().webhooks.is_empty() && told.as_ref().is_none_or(|book| book.0.is_empty()) {
            return;
        }
        if let Err(Failure::Input(error) | Failure::Failed(error)) = self.tell_all(told, is_last).await {
            tracing::warn!(error, "alerts cannot be looked for");
        }
    }

    async fn tell_all(
        &self,
        mut told: tokio::sync::MutexGuard<'_, Option<Book>>,
        is_last: bool,
    ) -> Result<(), Failure> {
        if told.is_none() {
            *told = Some(Book::read(&self.store.alerts().await?));
        }
        let Some(book) = told.as_mut() else { return Ok(()) };
        let (limits, webhooks) = {
            let wanted = self.wanted();
            (wanted.limits.clone(), wanted.webhooks.clone())
        };
        if book.keep(|webhook| webhooks.contains_key(webhook)) {
            self.store.set_alerts(&book.text()).await?;
        }
        let look = self.look(&limits).await?;
        let exists = |name: &str| look.applied.contains(name);
        let mut all: Vec<(&String, &Webhook, Vec<News>)> = Vec::new();
        for (name, webhook) in &webhooks {
            let is_due = self.wanted().patience.get(name).is_none_or(Patience::is_due);
            if is_due || is_last {
                all.push((name, webhook, book.news(name, &webhook.settings, &look.seen, &exists, look.at)));
            }
        }
        // Each is told beside the others, so that nobody waits for one who is away.
        let book = tokio::sync::Mutex::new(book);
        let telling = all.iter().map(|(name, webhook, news)| self.tell_one(name, webhook, news, &book));
        join_all(telling).await.into_iter().collect()
    }

    async fn tell_one(
        &self,
        name: &str,
        webhook: &Webhook,
        news: &[News],
        book: &tokio::sync::Mutex<&mut Book>,
    ) -> Result<(), Failure> {
        for news in news {
            let message = Message::of(news, &self.instance, SystemTime::now());
            if let Err(error) = webhook.send(&message).await {
                self.wanted().patience.entry(name.to_owned()).or_default().failed(name, &error);
                return Ok(());
            }
            self.wanted().patience.entry(name.to_owned()).or_default().reached(name);
            let what = if news.resolved { "resolved" } else { "sent" };
            tracing::info!(
                webhook = name,
                pipeline = news.name,
                "the alert {} was {what}",
                news.alert.name()
            );
            let mut book = book.lock().await;
            book.note(name, news);
            self.store.set_alerts(&book.text()).await?;
        }
        Ok(())
    }

    async fn look(&self, limits: &Limits) -> Result<Look, Failure> {
        let report = Report::read(&self.places, &self.places.look().await?, None).await?;
        let is_meant = |name: &String| self.names.is_empty() || self.names.contains(name);
        let mut look = Look { at: report.at, seen: AllSeen::new(), applied: BTreeSet::new() };
        for pipeline in &report.pipelines {
            look.applied.insert(pipeline.name.clone());
            if !is_meant(&pipeline.name) && !pipeline.template.as_ref().is_some_and(is_meant) {
                continue;
            }
            let standings = AlertKind::ALL.map(|kind| (kind, standing(pipeline, kind, limits, report.at)));
            let seen = Seen { template: pipeline.template.clone(), standings: standings.into() };
            look.seen.insert(pipeline.name.clone(), seen);
        }
        Ok(look)
    }
}

/// Which Zenith tells: the name of the machine.
#[must_use]
pub fn instance() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "an unknown machine".to_owned() } else { name.to_owned() }
}
