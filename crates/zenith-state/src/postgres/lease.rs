//! The lease of a process that moves data, in place of the lock on a file.
//!
//! ```text
//!   claim ──▶ renewed every 2 s ──▶ given back, or lost
//!   term + 1   for 6 s by the        the next one counts the term up;
//!              database's clock      what the one before writes is fenced
//! ```
//!
//! Two clocks decide. By that of the database the lease of somebody else has run out. By our own monotonic one ours may
//! have: from two seconds before that on [`Lease::is_usable`] says no, so that nothing is sent any more. Whether a
//! transaction may write decides neither, but the row: it names owner and term, and a transaction that writes holds it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sqlx::Row as _;
use tokio::time::{Instant, sleep, timeout};

use super::address::PostgresAddress;
use super::connect::{connect, run};
use crate::{Result, StateError};

/// How long a lease lasts from its last renewal.
pub const LASTS: Duration = Duration::from_secs(6);
/// Between two renewals.
pub const RENEWED_EVERY: Duration = Duration::from_secs(2);
/// So long before its end nothing is sent any more.
pub const MARGIN: Duration = Duration::from_secs(2);
/// What the lease is for: the pipelines of the state.
const ITEM: &str = "pipelines";

/// A lease that this process has.
pub(crate) struct Lease {
    owner: String,
    term: i64,
    /// What `usable_for` counts from.
    taken: Instant,
    /// Milliseconds from then on.
    usable_for: AtomicU64,
    lost: AtomicBool,
    given_back: AtomicBool,
}

impl Lease {
    /// Takes the lease if nobody has it.
    ///
    /// # Errors
    /// [`StateError::Leased`] if somebody has.
    pub(super) async fn claim(address: &PostgresAddress) -> Result<Arc<Lease>> {
        const ACTION: &str = "take the lease";
        let owner = owner();
        let mut connection = connect(address, ACTION).await?;
        let taken = Instant::now();
        // That it sets the key makes it wait for transactions which hold the row by their fence; renewals do not wait for them.
        let seconds = LASTS.as_secs();
        let claim = format!(
            "INSERT INTO leases AS held (item, owner, term, taken_at, expires_at) \
             VALUES ('{ITEM}', '{owner}', 1, clock_timestamp(), clock_timestamp() + interval '{seconds} s') \
             ON CONFLICT (item) DO UPDATE \
             SET item = excluded.item, owner = excluded.owner, term = held.term + 1, taken_at = clock_timestamp(), \
                 expires_at = clock_timestamp() + interval '{seconds} s' \
             WHERE held.expires_at <= clock_timestamp() \
             RETURNING term"
        );
        let rows = run(&mut connection, address, ACTION, &claim).await?;
        let term = rows.first().and_then(|row| row.try_get_unchecked::<String, _>(0).ok());
        let Some(term) = term.and_then(|term| term.parse().ok()) else {
            let holder = format!("SELECT owner FROM leases WHERE item = '{ITEM}'");
            let rows = run(&mut connection, address, ACTION, &holder).await?;
            let holder = rows.first().and_then(|row| row.try_get_unchecked::<String, _>(0).ok());
            return Err(StateError::Leased { path: address.path(), holder: holder.unwrap_or_default() });
        };
        let lease = Lease {
            owner,
            term,
            taken,
            usable_for: AtomicU64::new(usable_until(Duration::ZERO)),
            lost: AtomicBool::new(false),
            given_back: AtomicBool::new(false),
        };
        Ok(Arc::new(lease))
    }

    /// Whether somebody has the lease, by the database's clock.
    pub(super) async fn is_held(address: &PostgresAddress) -> Result<bool> {
        const ACTION: &str = "look who has the lease";
        let held = format!("SELECT 1 FROM leases WHERE item = '{ITEM}' AND expires_at > clock_timestamp()");
        let rows = run(&mut connect(address, ACTION).await?, address, ACTION, &held).await?;
        Ok(!rows.is_empty())
    }

    /// The statement that shows a row as long as this is the lease, and keeps it so until the transaction ends.
    pub(super) fn fence(&self) -> String {
        format!("SELECT 1 AS fence FROM leases WHERE {} FOR KEY SHARE", self.is_ours())
    }

    fn is_ours(&self) -> String {
        format!("item = '{ITEM}' AND owner = '{}' AND term = {}", self.owner, self.term)
    }

    /// Whether anything may still be sent by it.
    pub(crate) fn is_usable(&self) -> bool {
        !self.lost.load(Ordering::Acquire) && self.left() > Duration::ZERO
    }

    /// Whether it ended without being given back.
    pub(crate) fn is_lost(&self) -> bool {
        !self.is_usable() && !self.given_back.load(Ordering::Acquire)
    }

    /// How long anything may still be sent.
    fn left(&self) -> Duration {
        let usable_for = Duration::from_millis(self.usable_for.load(Ordering::Acquire));
        usable_for.saturating_sub(self.taken.elapsed())
    }

    /// Notes that somebody else has it now.
    pub(super) fn lose(&self) {
        self.lost.store(true, Ordering::Release);
    }

    /// Notes that this process needs it no more.
    pub(super) fn let_go(&self) {
        self.given_back.store(true, Ordering::Release);
        self.lose();
    }

    /// Renews it until it is lost. A renewal that fails is tried again at once, as long as the lease lasts.
    pub(super) async fn keep(self: Arc<Lease>, address: PostgresAddress) {
        const ACTION: &str = "renew the lease";
        let seconds = LASTS.as_secs();
        let renew = format!(
            "UPDATE leases SET expires_at = clock_timestamp() + interval '{seconds} s' WHERE {} RETURNING 1",
            self.is_ours()
        );
        let mut connection = None;
        while !self.lost.load(Ordering::Acquire) {
            let asked = self.taken.elapsed();
            let renewal = async {
                let mut open = match connection.take() {
                    Some(open) => open,
                    None => connect(&address, ACTION).await?,
                };
                let rows = run(&mut open, &address, ACTION, &renew).await?;
                Ok::<_, StateError>((open, !rows.is_empty()))
            };
            match timeout(RENEWED_EVERY, renewal).await {
                Ok(Ok((open, true))) => {
                    self.usable_for.store(usable_until(asked), Ordering::Release);
                    connection = Some(open);
                    sleep(RENEWED_EVERY).await;
                }
                Ok(Ok((_, false))) => {
                    self.lose();
                    return;
                }
                Ok(Err(error)) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "the lease was not renewed");
                    sleep(RENEWED_EVERY / 8).await;
                }
                Err(_) => tracing::warn!("the lease was not renewed in time"),
            }
        }
    }

    /// Gives it back, so that another process may take it at once.
    pub(super) async fn give_back(&self, address: &PostgresAddress) -> Result<()> {
        const ACTION: &str = "give the lease back";
        self.let_go();
        let ours = self.is_ours();
        // In one transaction, which waits for those under way; what would be written after it finds another owner.
        let back = format!(
            "SELECT 1 FROM leases WHERE {ours} FOR UPDATE; \
             UPDATE leases SET owner = '', expires_at = clock_timestamp() WHERE {ours}"
        );
        run(&mut connect(address, ACTION).await?, address, ACTION, &back).await?;
        Ok(())
    }
}

/// When sending ends, in milliseconds, of a lease that was asked for at that moment.
fn usable_until(asked: Duration) -> u64 {
    u64::try_from((asked + LASTS).saturating_sub(MARGIN).as_millis()).unwrap_or(u64::MAX)
}

/// A name for this process that no other has: host, number, and something random.
fn owner() -> String {
    use std::hash::{BuildHasher, RandomState};
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host: String =
        host.trim().chars().filter(|it| it.is_ascii_alphanumeric() || "-._".contains(*it)).collect();
    let random = RandomState::new().hash_one(std::time::SystemTime::now());
    format!("{host}/{}/{random:016x}", std::process::id())
}
