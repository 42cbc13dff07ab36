//! A TCP proxy that has faults happen: cut connections, lost answers, delays.
//!
//! ```no_run
//! # async fn example() -> zenith_testkit::Result<()> {
//! use zenith_testkit::{Fault, FaultProxy, Plan};
//!
//! let proxy = FaultProxy::start("127.0.0.1:8123").await?;
//! // The next insert arrives, its acknowledgement does not.
//! proxy.plan(Plan::new(Fault::lose_answer()).when_client_sends("INSERT INTO").times(1));
//! // … let the code under test speak to proxy.address() …
//! assert_eq!(proxy.faults(), 1);
//! # Ok(())
//! # }
//! ```

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::fault::{Fault, Plan};
use super::pump;
use super::upstream::Upstream;
use crate::error::{Error, Result};

/// A proxy in front of one server. Dropping it resets its connections.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: JoinHandle<()>,
}

/// What the proxy and its connections share.
#[derive(Debug)]
pub(super) struct Shared {
    upstream: String,
    plan: Mutex<Option<Plan>>,
    /// Incremented to reset all connections that are open at the moment.
    generation: watch::Sender<u64>,
    connections: AtomicU64,
    faults: AtomicU64,
}

impl FaultProxy {
    /// Listens on a free loopback port and forwards to `upstream`, `HOST:PORT`.
    pub async fn start(upstream: impl Into<String>) -> Result<Self> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(Error::io("listen for the proxy"))?;
        let address = listener.local_addr().map_err(Error::io("learn the port of the proxy"))?;
        let shared = Arc::new(Shared {
            upstream: upstream.into(),
            plan: Mutex::new(None),
            generation: watch::Sender::new(0),
            connections: AtomicU64::new(0),
            faults: AtomicU64::new(0),
        });
        let acceptor = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, acceptor })
    }

    /// Where clients connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The loopback port clients connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// From now on this happens, on open connections too; the former plan ends.
    pub fn plan(&self, plan: impl Into<Plan>) {
        *self.shared.current_plan() = Some(plan.into());
    }

    /// From now on everything is forwarded faithfully, except on connections a fault has begun on.
    pub fn heal(&self) {
        *self.shared.current_plan() = None;
    }

    /// Resets all open connections at once. New ones are accepted.
    pub fn cut_all(&self) {
        self.shared.generation.send_modify(|generation| *generation += 1);
    }

    /// How many connections have been accepted.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// On how many connections a fault has begun.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.shared.faults.load(Ordering::Relaxed)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.acceptor.abort();
        self.cut_all();
    }
}

impl Shared {
    fn current_plan(&self) -> MutexGuard<'_, Option<Plan>> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fault that begins now on a connection whose client sent `recent` last, if one does.
    pub(super) fn claim(&self, recent: &[u8]) -> Option<Fault> {
        let mut current = self.current_plan();
        let plan = current.as_mut().filter(|plan| plan.times > 0)?;
        let triggered = plan.trigger.as_ref().is_none_or(|trigger| {
            trigger.is_empty() || recent.windows(trigger.len()).any(|window| window == trigger.as_slice())
        });
        if !triggered {
            return None;
        }
        plan.times -= 1;
        self.faults.fetch_add(1, Ordering::Relaxed);
        Some(plan.fault)
    }

    /// How many of the last bytes of a client [`claim`](Self::claim) needs beside the new ones.
    pub(super) fn trigger_length(&self) -> usize {
        self.current_plan().as_ref().and_then(|plan| plan.trigger.as_ref()).map_or(0, Vec::len)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(serve(client, Arc::clone(&shared)));
    }
}

/// Carries one connection to its end, which the client sees as a reset if it was a fault.
async fn serve(mut client: TcpStream, shared: Arc<Shared>) {
    let mut cuts = shared.generation.subscribe();
    cuts.mark_unchanged();
    let Ok(mut server) = Upstream::connect(&shared.upstream).await else {
        reset(&client);
        return;
    };
    let _ = client.set_nodelay(true);
    let whole = tokio::select! {
        whole = pump::carry(&mut client, &mut server, &shared) => whole,
        _ = cuts.changed() => false,
    };
    if !whole {
        reset(&client);
    }
}

/// Has the close send RST to a client: a FIN would look like an orderly end.
fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}
