//! Knows who wants to know what, and tells each what there is to tell.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use futures_util::future::BoxFuture;
use tokio::sync::watch;
use zenith_engine::state::{DynStateStore, StateStore as _};

use super::message::Message;
use super::standing::standing;
use super::told::{AllSeen, Book, Look, News, Seen};
use super::webhook::{Patience, Webhook};
use crate::config::alerts::{AlertKind, Alerts, Limits};
use crate::failure::Failure;
use crate::state::Places;
use crate::status::Report;

/// Gives the last report of somebody who makes them anyway; `None` before the first.
pub type Latest = Box<dyn Fn() -> BoxFuture<'static, Option<Arc<Report>>> + Send + Sync>;

/// Where reports come from.
pub enum Reports {
    /// Each is read out of the state.
    State(Places),
    /// Somebody else makes them.
    Latest(Latest),
}

impl Reports {
    async fn next(&self) -> Result<Option<Arc<Report>>, Failure> {
        match self {
            Reports::State(places) => {
                Ok(Some(Report::read(places, &places.look().await?, None).await?.into()))
            }
            Reports::Latest(latest) => Ok(latest().await),
        }
    }
}

/// Tells of alerts while a run lasts.
pub struct Keeper {
    reports: Reports,
    store: DynStateStore,
    names: Vec<String>,
    instance: String,
    wanted: Mutex<Wanted>,
    seen: Mutex<Option<Arc<Look>>>,
    /// Never held while a message is under way.
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

impl Keeper {
    /// Tells of the pipelines of a run; of these alone, or of those of these templates, unless there are no names.
    ///
    /// # Errors
    /// If the address of a webhook cannot be looked up or understood.
    pub fn open(
        alerts: &Alerts,
        reports: Reports,
        store: DynStateStore,
        names: &[String],
    ) -> Result<Arc<Keeper>, Failure> {
        Ok(Arc::new(Keeper {
            wanted: Mutex::new(Wanted::of(alerts)?),
            reports,
            store,
            names: names.to_vec(),
            instance: instance(),
            seen: Mutex::default(),
            told: tokio::sync::Mutex::default(),
        }))
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

    fn seen(&self) -> std::sync::MutexGuard<'_, Option<Arc<Look>>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether looking takes time of this process that nobody else has spent already.
    pub(super) fn reads_itself(&self) -> bool {
        matches!(self.reports, Reports::State(_))
    }

    /// All webhooks, and whether they may be tried now.
    pub(super) fn webhooks(&self) -> Vec<(String, bool)> {
        let wanted = self.wanted();
        let is_due = |name: &String| wanted.patience.get(name).is_none_or(Patience::is_due);
        wanted.webhooks.keys().map(|name| (name.clone(), is_due(name))).collect()
    }

    /// Looks at all pipelines, if anybody is to be told.
    pub(super) async fn look(&self) {
        if let Err(failure) = self.try_to_look().await {
            tracing::warn!(error = failure.message(), "alerts cannot be looked for");
        }
    }

    async fn try_to_look(&self) -> Result<(), Failure> {
        let limits = {
            let mut told = self.told.lock().await;
            let (limits, webhooks): (Limits, BTreeSet<String>) = {
                let wanted = self.wanted();
                (wanted.limits.clone(), wanted.webhooks.keys().cloned().collect())
            };
            // Nothing is read or noted where nobody is told.
            if webhooks.is_empty() && told.as_ref().is_none_or(|book| book.0.is_empty()) {
                return Ok(());
            }
            let book = match told.take() {
                Some(book) => told.insert(book),
                None => told.insert(Book::read(&self.store.alerts().await?)),
            };
            if book.keep(|webhook| webhooks.contains(webhook)) {
                self.store.set_alerts(&book.text()).await?;
            }
            limits
        };
        if let Some(report) = self.reports.next().await? {
            *self.seen() = Some(Arc::new(self.seen_in(&report, &limits)));
        }
        Ok(())
    }

    fn seen_in(&self, report: &Report, limits: &Limits) -> Look {
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
        look
    }

    /// Tells one webhook what the last look has for it, until it has all, is away, or the run stops.
    pub(super) async fn tell(&self, name: &str, stopping: &watch::Receiver<bool>) {
        while !*stopping.borrow() {
            match self.tell_next(name).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(failure) => {
                    tracing::warn!(error = failure.message(), "what was told cannot be noted");
                    return;
                }
            }
        }
    }

    /// Tells the next message; whether another may follow it.
    async fn tell_next(&self, name: &str) -> Result<bool, Failure> {
        let webhook = self.wanted().webhooks.get(name).cloned();
        let Some((webhook, look)) = webhook.zip(self.seen().clone()) else { return Ok(false) };
        let Some(news) = self.next_news(name, &webhook, &look).await? else { return Ok(false) };
        let message = Message::of(&news, &self.instance, SystemTime::now());
        let (alert, pipeline) = (news.alert.name(), news.name.as_str());
        match webhook.send(&message).await {
            Ok(()) => {
                let what = if news.resolved { "resolved" } else { "sent" };
                tracing::info!(webhook = name, pipeline, "the alert {alert} was {what}");
            }
            // Sent again it would be refused again, and all later ones would wait for it.
            Err(error) if error.is_about_body() => {
                tracing::warn!(
                    webhook = name,
                    pipeline,
                    "the alert {alert} was refused, and is not sent again: {error}"
                );
            }
            Err(error) => {
                self.wanted().patience.entry(name.to_owned()).or_default().failed(name, &error.sentence);
                return Ok(false);
            }
        }
        self.wanted().patience.entry(name.to_owned()).or_default().reached(name);
        if let Some(book) = self.told.lock().await.as_mut() {
            book.note(name, &news);
            self.store.set_alerts(&book.text()).await?;
        }
        Ok(true)
    }

    /// What is to be told next, noted as about to be.
    async fn next_news(&self, name: &str, webhook: &Webhook, look: &Look) -> Result<Option<News>, Failure> {
        let mut told = self.told.lock().await;
        let Some(book) = told.as_mut() else { return Ok(None) };
        let mut is_new = book.forget_past(name, look);
        let news = book.news(name, &webhook.settings, look, &self.instance).into_iter().next();
        is_new |= news.as_ref().is_some_and(|news| book.begin(name, news));
        if is_new {
            self.store.set_alerts(&book.text()).await?;
        }
        Ok(news)
    }
}

/// Which Zenith tells: the name of the machine.
#[must_use]
pub fn instance() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "an unknown machine".to_owned() } else { name.to_owned() }
}
