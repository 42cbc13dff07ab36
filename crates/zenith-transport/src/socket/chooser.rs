//! How the inserts of one client are sent: what was requested, what is possible, what is cheaper.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::timeout;
use zenith_memory::Pool;

use super::options::{Compression, ConnectionOptions};
use super::same_machine::{is_own, is_same_machine};
use super::send_path::{SendMode, SendPath, SendReason, SendReport};
use crate::send::Route;
use crate::{Result, Target, TransportError};

/// Inserts of each path that are measured before one is chosen.
const TRIALS: u32 = 3;
/// Bytes of an insert worth measuring: the cost of small ones is the wake-up and not the bytes.
const TRIAL_BYTES_MIN: usize = 1024 * 1024;

/// What keeps the kernel from taking pages of the pool, whichever pool that is.
fn obstacle(target: &Target, options: &ConnectionOptions) -> Option<SendReason> {
    let compression = target.compression.unwrap_or(options.compression);
    match (target.tls, compression) {
        (true, _) => Some(SendReason::Encrypted),
        (false, Compression::Lz4 | Compression::Zstd) => Some(SendReason::Compressed),
        (false, Compression::None) => None,
    }
}

impl ConnectionOptions {
    /// Whether pages of the pool may be given to the kernel by a sink with these options. Make the pool by
    /// [`Pool::in_file`] then, and by [`Pool::new`] otherwise, whose memory costs less.
    ///
    /// Looks up the host, to know whether it is this machine.
    pub async fn wants_pool_in_file(&self, target: &Target) -> bool {
        match target.send.unwrap_or(self.send) {
            _ if obstacle(target, self).is_some() => false,
            SendMode::Writev => false,
            SendMode::Sendfile | SendMode::Splice => true,
            SendMode::Auto => {
                let host = (target.host.as_str(), target.port);
                // A host that is not known cannot be sent to either, which is told when that is tried.
                match timeout(self.connect_timeout, lookup_host(host)).await {
                    Ok(Ok(addresses)) => addresses.into_iter().any(|address| !is_own(address.ip())),
                    _ => false,
                }
            }
        }
    }
}

/// Chooses the path of each insert.
///
/// All connections of a client share the choice: it depends on the way to the server, which is the same for all.
#[derive(Debug)]
pub(crate) struct PathChooser {
    address: String,
    /// Whether there are pages that can be given to the kernel.
    has_file: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    /// No connection has been made, so that it is not known yet where the server is.
    Unconnected,
    Measuring(Trial),
    Settled {
        report: SendReport,
        /// Whether the choice has been logged, which happens with the first insert.
        is_told: bool,
    },
}

/// What sending has cost so far.
#[derive(Debug, Default)]
struct Trial {
    writev: Tally,
    sendfile: Tally,
}

#[derive(Debug, Default)]
struct Tally {
    begun: u32,
    ended: u32,
    bytes: u64,
    cpu: Duration,
}

impl PathChooser {
    /// # Errors
    /// [`TransportError::Target`] if what was requested is not possible.
    pub(super) fn new(
        target: &Target,
        options: &ConnectionOptions,
        pool: Option<&Pool>,
    ) -> Result<PathChooser> {
        let has_file = pool.is_some_and(|pool| pool.file().is_some());
        let chooser =
            PathChooser { address: target.address(), has_file, state: Mutex::new(State::Unconnected) };
        let obstacle = obstacle(target, options);
        let path = match target.send.unwrap_or(options.send) {
            SendMode::Auto => None,
            SendMode::Writev => Some(SendPath::Writev),
            SendMode::Sendfile => Some(SendPath::Sendfile),
            SendMode::Splice => Some(SendPath::Splice),
        };
        let (path, reason) = match (path, obstacle) {
            (None, None) => return Ok(chooser),
            (Some(SendPath::Writev), _) => (SendPath::Writev, SendReason::Configured),
            (Some(path), None) if has_file => (path, SendReason::Configured),
            (Some(_), None) => (SendPath::Writev, SendReason::NoFile),
            (Some(path), Some(SendReason::Encrypted)) => return Err(refused(path, "TLS")),
            (Some(path), Some(SendReason::Compressed)) => return Err(refused(path, "compression")),
            (_, Some(reason)) => (SendPath::Writev, reason),
        };
        *chooser.state() = State::settled(path, reason);
        Ok(chooser)
    }

    /// A connection has been made between these addresses.
    pub(super) fn connected(&self, peer: IpAddr, local: IpAddr) {
        let mut state = self.state();
        if matches!(*state, State::Unconnected) {
            *state = match is_same_machine(peer, local) {
                true => State::settled(SendPath::Writev, SendReason::SameMachine),
                false if !self.has_file => State::settled(SendPath::Writev, SendReason::NoFile),
                false => State::Measuring(Trial::default()),
            };
        }
    }

    /// How the next insert, of about so many bytes, is sent from the pool.
    pub(crate) fn route<'a>(&self, bytes: usize, pool: Option<&'a Pool>) -> Route<'a> {
        let file = pool.and_then(Pool::file);
        match &mut *self.state() {
            State::Settled { report, is_told } => {
                if !std::mem::replace(is_told, true) {
                    tracing::info!(clickhouse = self.address, "inserts are sent {report}");
                }
                Route::new(report.path, file, false)
            }
            State::Measuring(trial) if bytes >= TRIAL_BYTES_MIN => {
                let (path, tally) = match trial.sendfile.begun < trial.writev.begun {
                    true => (SendPath::Sendfile, &mut trial.sendfile),
                    false => (SendPath::Writev, &mut trial.writev),
                };
                tally.begun += 1;
                Route::new(path, file, true)
            }
            State::Unconnected | State::Measuring(_) => Route::default(),
        }
    }

    /// An insert has been acknowledged: what its system calls cost, if that was measured.
    pub(crate) fn sent(&self, path: SendPath, bytes: u64, cpu: Option<Duration>) {
        let Some(cpu) = cpu else { return };
        let mut state = self.state();
        let State::Measuring(trial) = &mut *state else { return };
        let tally = if path == SendPath::Writev { &mut trial.writev } else { &mut trial.sendfile };
        tally.ended += 1;
        tally.bytes += bytes;
        tally.cpu += cpu;
        if let Some((path, reason)) = trial.decide() {
            *state = State::settled(path, reason);
        }
    }

    /// How inserts are sent; `None` before the first connection.
    pub(crate) fn report(&self) -> Option<SendReport> {
        match &*self.state() {
            State::Unconnected => None,
            State::Measuring(_) => Some(SendReport { path: SendPath::Writev, reason: SendReason::Measuring }),
            State::Settled { report, .. } => Some(*report),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is one assignment or sum, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn settled(path: SendPath, reason: SendReason) -> State {
        State::Settled { report: SendReport { path, reason }, is_told: false }
    }
}

impl Trial {
    /// The cheaper path, once both are known well enough.
    fn decide(&self) -> Option<(SendPath, SendReason)> {
        if self.writev.ended < TRIALS || self.sendfile.ended < TRIALS {
            return None;
        }
        let (writev, sendfile) = (self.writev.ns_per_kib(), self.sendfile.ns_per_kib());
        let path = if sendfile < writev { SendPath::Sendfile } else { SendPath::Writev };
        Some((path, SendReason::Measured { writev, sendfile }))
    }
}

impl Tally {
    /// Exact for all sums that a few inserts can reach (2^53).
    #[expect(clippy::cast_precision_loss)]
    fn ns_per_kib(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e9 * 1024.0 / self.bytes.max(1) as f64
    }
}

fn refused(path: SendPath, by: &str) -> TransportError {
    let path = path.name();
    TransportError::Target {
        reason: format!(
            "send={path} gives pages of memory to the kernel as they are, which {by} does not allow: say send=auto, \
             or connect without {by}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    fn chooser(address: &str, pool: &Pool) -> Result<PathChooser> {
        PathChooser::new(&Target::parse(address).unwrap(), &ConnectionOptions::default(), Some(pool))
    }

    fn told(chooser: &PathChooser) -> Option<(SendPath, &'static str)> {
        chooser.report().map(|report| (report.path, report.reason.name()))
    }

    #[test]
    fn what_is_asked_for_is_what_is_done() {
        let pool = Pool::in_file(MIB).unwrap();
        for (mode, path) in
            [("writev", SendPath::Writev), ("sendfile", SendPath::Sendfile), ("splice", SendPath::Splice)]
        {
            let chooser = chooser(&format!("http://h?send={mode}"), &pool).unwrap();
            chooser.connected("127.0.0.1".parse().unwrap(), "127.0.0.1".parse().unwrap());
            let route = chooser.route(10 * MIB, Some(&pool));
            assert_eq!((route.path(), route.is_measured), (path, false));
            assert_eq!(told(&chooser), Some((path, "configured")));
        }
    }

    #[test]
    fn what_cannot_be_is_refused_if_it_was_asked_for_and_told_otherwise() {
        let pool = Pool::in_file(MIB).unwrap();
        for (address, by) in [
            ("https://h?send=sendfile", "TLS"),
            ("clickhouses://h?send=splice", "TLS"),
            ("clickhouse://h?send=splice&compression=lz4", "compression"),
        ] {
            let error = chooser(address, &pool).unwrap_err().to_string();
            assert!(error.contains(by) && error.contains("send=auto"), "{error}");
        }
        let compression = Compression::Zstd;
        let options =
            ConnectionOptions { send: SendMode::Splice, compression, ..ConnectionOptions::default() };
        assert!(PathChooser::new(&Target::parse("http://h").unwrap(), &options, Some(&pool)).is_err());
        let anonymous = Pool::new(MIB).unwrap();
        for (address, pool, reason) in [
            ("https://h", &pool, "encrypted"),
            ("http://h?compression=zstd", &pool, "compressed"),
            ("http://h", &anonymous, "no-file"),
            ("http://h?send=sendfile", &anonymous, "no-file"),
        ] {
            let chooser = chooser(address, pool).unwrap();
            chooser.connected("10.0.0.7".parse().unwrap(), "10.0.0.8".parse().unwrap());
            assert_eq!(told(&chooser), Some((SendPath::Writev, reason)), "{address}");
        }
    }

    #[test]
    fn to_this_machine_everything_is_copied() {
        let pool = Pool::in_file(MIB).unwrap();
        for (peer, local) in [
            ("127.0.0.1", "127.0.0.1"),
            ("::1", "::1"),
            ("10.0.0.7", "10.0.0.7"),
            ("::ffff:127.0.0.1", "::1"),
        ] {
            let chooser = chooser("http://h", &pool).unwrap();
            assert_eq!((told(&chooser), chooser.route(MIB, Some(&pool)).path()), (None, SendPath::Writev));
            chooser.connected(peer.parse().unwrap(), local.parse().unwrap());
            assert_eq!(told(&chooser), Some((SendPath::Writev, "same-machine")));
        }
    }

    /// A chooser whose server is on another machine, after inserts that cost so many nanoseconds for each byte.
    fn measured(pool: &Pool, writev: u64, sendfile: u64) -> PathChooser {
        let chooser = chooser("http://h", pool).unwrap();
        chooser.connected("10.0.0.7".parse().unwrap(), "10.0.0.8".parse().unwrap());
        let mut paths = Vec::new();
        for insert in 0..2 * TRIALS {
            assert_eq!(told(&chooser).unwrap().1, "measuring");
            // Small inserts say nothing, and go the way that is cheap for them.
            let small = chooser.route(TRIAL_BYTES_MIN - 1, Some(pool));
            assert_eq!((small.path(), small.is_measured), (SendPath::Writev, false));
            let route = chooser.route(TRIAL_BYTES_MIN, Some(pool));
            assert!(route.is_measured);
            paths.push(route.path());
            // Inserts differ in size; what counts is the cost of a byte.
            let bytes = 1_000_000 * u64::from(insert + 1);
            let cost = if route.path() == SendPath::Writev { writev } else { sendfile };
            chooser.sent(route.path(), bytes, Some(Duration::from_nanos(cost * bytes)));
        }
        assert_eq!(paths, [SendPath::Writev, SendPath::Sendfile].repeat(3));
        chooser
    }

    #[test]
    fn to_another_machine_the_cheaper_path_is_kept() {
        let pool = Pool::in_file(MIB).unwrap();
        for (writev, sendfile, path) in
            [(3, 2, SendPath::Sendfile), (2, 3, SendPath::Writev), (2, 2, SendPath::Writev)]
        {
            let chooser = measured(&pool, writev, sendfile);
            assert_eq!(told(&chooser), Some((path, "measured")));
            let text = chooser.report().unwrap().to_string();
            let costs =
                format!("writev took {} ns of processor time, sendfile {} ns", writev << 10, sendfile << 10);
            assert!(text.ends_with(&costs) && text.contains(path.name()), "{text}");
            for bytes in [1, 10 * MIB] {
                let route = chooser.route(bytes, Some(&pool));
                assert_eq!((route.path(), route.is_measured), (path, false));
            }
            // Later connections change nothing.
            chooser.connected("127.0.0.1".parse().unwrap(), "127.0.0.1".parse().unwrap());
            assert_eq!(told(&chooser), Some((path, "measured")));
        }
    }

    /// Inserts run side by side, and some of them fail.
    #[test]
    fn inserts_that_fail_are_not_counted() {
        let pool = Pool::in_file(MIB).unwrap();
        let chooser = chooser("clickhouse://h", &pool).unwrap();
        chooser.connected("10.0.0.7".parse().unwrap(), "10.0.0.8".parse().unwrap());
        let failing: Vec<_> = (0..5).map(|_| chooser.route(MIB, Some(&pool)).path()).collect();
        assert_eq!(failing.iter().filter(|&&path| path == SendPath::Sendfile).count(), 2);
        for _ in 0..2 * TRIALS {
            assert_eq!(told(&chooser).unwrap().1, "measuring");
            let path = chooser.route(MIB, Some(&pool)).path();
            chooser.sent(path, 1_000_000, Some(Duration::from_millis(1)));
        }
        assert_eq!(told(&chooser), Some((SendPath::Writev, "measured")));
    }

    #[tokio::test]
    async fn a_file_is_wanted_where_pages_can_be_given_away() {
        for (address, wanted) in [
            ("http://127.0.0.1", false),
            ("http://localhost", false),
            ("http://192.0.2.1", true),
            ("clickhouse://192.0.2.1", true),
            ("https://192.0.2.1", false),
            ("http://192.0.2.1?compression=lz4", false),
            ("http://192.0.2.1?send=writev", false),
            ("http://localhost?send=sendfile", true),
            ("clickhouse://localhost?send=splice", true),
            ("http://host.invalid?send=splice", true),
        ] {
            let target = Target::parse(address).unwrap();
            assert_eq!(ConnectionOptions::default().wants_pool_in_file(&target).await, wanted, "{address}");
        }
        let options = ConnectionOptions { send: SendMode::Sendfile, ..ConnectionOptions::default() };
        let wants = async |address: &str| options.wants_pool_in_file(&Target::parse(address).unwrap()).await;
        assert!(wants("http://localhost").await);
        assert!(!wants("http://localhost?send=auto").await, "the address counts more");
    }
}
