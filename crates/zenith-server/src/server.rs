//! What all handlers share.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use axum::http::{Method, StatusCode};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota};
use tokio::sync::watch;
use zenith_control::commands::Desk;
use zenith_control::memory::Memory;
use zenith_control::run::running::Views;
use zenith_control::state::Places;
use zenith_engine::Pool;
use zenith_engine::state::{AuditEntry, DynStateStore, StateStore as _};

use crate::access::{Access, From};
use crate::assets::Assets;
use crate::error::ApiResult;
use crate::log::Log;
use crate::news::News;
use crate::places::origin;
use crate::watch::Watch;

/// Requests to the API that are answered a second in the long run: the pipelines have their time.
const RATE: NonZeroU32 = NonZeroU32::new(1_000).unwrap();
/// Requests to the API that may come at once.
const BURST: NonZeroU32 = NonZeroU32::new(2_000).unwrap();
/// The same from one address: tokens cannot be guessed, and nobody keeps out the others.
const RATE_OF_ONE: NonZeroU32 = NonZeroU32::new(200).unwrap();
const BURST_OF_ONE: NonZeroU32 = NonZeroU32::new(500).unwrap();
/// Addresses that are remembered before those are forgotten that have not asked of late.
const ORIGINS_MAX: usize = 4_096;

/// How the server is to be.
#[derive(Debug, Default)]
pub struct Options {
    /// Who may ask.
    pub access: Access,
    /// Names by which it may be asked, beside addresses and `localhost`.
    pub hosts: Vec<String>,
    /// The page's files, in place of those in the binary.
    pub assets: Option<PathBuf>,
}

/// What the server shows and changes.
pub struct Served {
    /// Where the state and the configuration are.
    pub places: Places,
    /// The state, which this process holds.
    pub store: DynStateStore,
    /// Memory for data on its way.
    pub pool: Pool,
    /// How it is divided.
    pub memory: Memory,
    /// The groups that run.
    pub views: Views,
    /// Only these pipelines, or those of these templates, are run; all if there are none.
    pub names: Vec<String>,
    /// What happened in the last hour.
    pub log: Log,
}

/// Returns once the server is asked to stop, or is gone.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// What all handlers share. Clones are the same server.
#[derive(Clone)]
pub struct Server(Arc<Parts>);

/// The parts of a server.
pub struct Parts {
    /// What it shows and changes.
    pub served: Served,
    /// How it is to be.
    pub options: Options,
    /// Where commands of other machines are carried out.
    pub desk: Desk,
    /// How the pipelines stand.
    pub watch: Watch,
    /// What is new of them.
    pub news: News,
    /// The files of the page.
    pub assets: Assets,
    /// When it began.
    pub started: SystemTime,
    /// Becomes true when it stops.
    pub stop: watch::Sender<bool>,
    answers: Mutex<BTreeMap<(String, u16), u64>>,
    rate: DefaultDirectRateLimiter,
    rates: DefaultKeyedRateLimiter<IpAddr>,
    /// Held by what changes the configuration or settles letters: one at a time.
    pub changing: tokio::sync::Mutex<()>,
}

impl Deref for Server {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Server {
    /// A server that nobody can reach yet.
    #[must_use]
    pub fn new(served: Served, options: Options) -> Server {
        Server(Arc::new(Parts {
            desk: Desk::within(served.places.clone(), served.store.clone(), served.memory.clone()),
            served,
            watch: Watch::new(),
            news: News::default(),
            assets: Assets::new(options.assets.clone()),
            options,
            started: SystemTime::now(),
            stop: watch::Sender::new(false),
            answers: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
            rate: DefaultDirectRateLimiter::direct(Quota::per_second(RATE).allow_burst(BURST)),
            rates: DefaultKeyedRateLimiter::keyed(Quota::per_second(RATE_OF_ONE).allow_burst(BURST_OF_ONE)),
        }))
    }

    /// Notes who does what, before it is done.
    pub(crate) async fn audit(
        &self,
        from: &From,
        action: &str,
        subject: &str,
        details: &str,
    ) -> ApiResult<()> {
        let who = &from.caller.name;
        let what = [action, details].join(" ");
        tracing::info!(pipeline = subject, who, from = from.address, "asked to {}", what.trim_end());
        let entry = AuditEntry {
            at: SystemTime::now(),
            who: who.clone(),
            address: from.address.clone(),
            action: action.to_owned(),
            subject: subject.to_owned(),
            details: details.to_owned(),
        };
        Ok(self.served.store.note_audit(&entry).await?)
    }

    /// Whether one request more may be answered now, to somebody at an address.
    pub(crate) fn may_answer(&self, address: IpAddr) -> bool {
        if self.rates.len() > ORIGINS_MAX {
            self.rates.retain_recent();
        }
        // In this order: who asks too often takes nothing from the others.
        self.rates.check_key(&origin(address)).is_ok() && self.rate.check().is_ok()
    }

    /// Counts an answer.
    pub(crate) fn count(&self, method: &Method, status: StatusCode) {
        // Anything may be sent as a method.
        let known = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE];
        let method = if known.contains(method) { method.as_str() } else { "other" };
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        *answers.entry((method.to_owned(), status.as_u16())).or_default() += 1;
    }

    /// Answers by method and status.
    pub(crate) fn answers(&self) -> BTreeMap<(String, u16), u64> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
