//! One who is told.

use std::collections::BTreeMap;
use std::time::Duration;

use super::message::Message;
use crate::config::alerts;
use crate::config::expand::{expand, from_environment};
use crate::post::{Endpoint, Untaken};
use crate::time::duration;

/// Between two attempts to reach one who is away, at first and at most.
const PAUSE_FIRST: Duration = Duration::from_secs(5);
const PAUSE_MOST: Duration = Duration::from_secs(300);

/// One who is told.
#[derive(Debug)]
pub struct Webhook {
    /// What the configuration says.
    pub settings: alerts::Webhook,
    endpoint: Endpoint,
}

impl Webhook {
    /// Looks the address up.
    ///
    /// # Errors
    /// One sentence without the address.
    pub fn open(name: &str, settings: &alerts::Webhook) -> Result<Webhook, String> {
        let what = format!("the url of the webhook {name}");
        let url = expand(&settings.url, &what, &from_environment)?;
        let endpoint = Endpoint::new(&url, settings.ca_file.as_deref(), &what)?;
        Ok(Webhook { settings: settings.clone(), endpoint })
    }

    /// All of a configuration.
    ///
    /// # Errors
    /// One sentence about the first that cannot be used.
    pub fn open_all(
        settings: &BTreeMap<String, alerts::Webhook>,
    ) -> Result<BTreeMap<String, Webhook>, String> {
        settings.iter().map(|(name, settings)| Ok((name.clone(), Webhook::open(name, settings)?))).collect()
    }

    /// Sends a message, and waits until it was taken.
    ///
    /// # Errors
    /// Why it was not.
    pub async fn send(&self, message: &Message) -> Result<(), Untaken> {
        let body = message.body(self.settings.format).into_bytes();
        self.endpoint.post("application/json", &[], body).await
    }
}

/// When one who was away is tried again.
#[derive(Clone, Debug, Default)]
pub struct Patience {
    failures: u32,
    error: String,
    due: Option<tokio::time::Instant>,
}

impl Patience {
    /// Whether it may be tried now.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.due.is_none_or(|due| due <= tokio::time::Instant::now())
    }

    /// It was reached.
    pub fn reached(&mut self, name: &str) {
        if self.failures > 0 {
            tracing::info!(webhook = name, "reached again");
        }
        *self = Patience::default();
    }

    /// It was not; the same error is logged once.
    pub fn failed(&mut self, name: &str, error: &str) {
        let pause = PAUSE_FIRST.saturating_mul(1 << self.failures.min(10)).min(PAUSE_MOST);
        if self.error != error {
            let pause = duration(pause);
            tracing::warn!(
                webhook = name,
                "an alert could not be sent, and is tried again in {pause}: {error}"
            );
        }
        error.clone_into(&mut self.error);
        self.failures += 1;
        self.due = Some(tokio::time::Instant::now() + pause);
    }
}
