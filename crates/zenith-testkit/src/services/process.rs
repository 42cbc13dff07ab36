//! One server process: its start under the host, its death, and how to recognise it again later.
//!
//! Which server it is and whether it answers is the business of the modules that start one.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::host;
use crate::error::{Error, Result};

/// Until when a server runs if nobody stops it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lifetime {
    /// The kernel kills it when this process ends, however it ends.
    #[default]
    WithThisProcess,
    /// It stays when this process ends, without terminal or session of ours.
    Detached,
}

/// A process that cannot be mistaken for a later one with the same number: its pid and the tick it was started at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// The process number.
    pub pid: u32,
    /// Clock ticks from boot to the start: field 22 of `/proc/PID/stat`, see proc(5).
    pub start_ticks: u64,
}

impl ProcessIdentity {
    /// The identity of the process with this number at the moment.
    pub fn of(pid: u32) -> Result<Self> {
        let path = PathBuf::from(format!("/proc/{pid}/stat"));
        let stat = fs::read_to_string(&path).map_err(Error::path("read", &path))?;
        let start_ticks = parse_stat(&stat).map(|(_, ticks)| ticks);
        let start_ticks =
            start_ticks.ok_or_else(|| Error::Malformed(format!("{} has no start time", path.display())))?;
        Ok(Self { pid, start_ticks })
    }

    /// The identity of the running process.
    pub fn of_this_process() -> Result<Self> {
        Self::of(std::process::id())
    }

    /// Whether this very process still runs. A zombie does not.
    #[must_use]
    pub fn is_alive(self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok();
        stat.as_deref()
            .and_then(parse_stat)
            .is_some_and(|(state, ticks)| ticks == self.start_ticks && state != 'Z' && state != 'X')
    }

    /// Ends this very process: SIGTERM, and SIGKILL if it still runs after `timeout`. No error if it has ended already.
    pub async fn stop(self, timeout: Duration) -> Result<()> {
        for (signal, wait) in [(Signal::SIGTERM, timeout), (Signal::SIGKILL, Duration::from_secs(10))] {
            if !self.is_alive() {
                return Ok(());
            }
            send(self.pid, signal)?;
            let deadline = Instant::now() + wait;
            while self.is_alive() && Instant::now() < deadline {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        if self.is_alive() {
            Err(Error::Server(format!("process {} survives SIGKILL", self.pid)))
        } else {
            Ok(())
        }
    }
}

impl fmt::Display for ProcessIdentity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.pid, self.start_ticks)
    }
}

impl FromStr for ProcessIdentity {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        text.split_once('-')
            .and_then(|(pid, ticks)| Some(Self { pid: pid.parse().ok()?, start_ticks: ticks.parse().ok()? }))
            .ok_or_else(|| Error::Malformed(format!("{text:?} does not name a process")))
    }
}

/// State and start time from a line of `/proc/PID/stat`. The second field, a name in brackets, may hold anything.
fn parse_stat(stat: &str) -> Option<(char, u64)> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

fn send(pid: u32, signal: Signal) -> Result<()> {
    let target =
        i32::try_from(pid).map_err(|_| Error::Malformed(format!("{pid} is not a process number")))?;
    match kill(Pid::from_raw(target), signal) {
        Ok(()) | Err(nix::errno::Errno::ESRCH) => Ok(()),
        Err(errno) => {
            Err(Error::Io { what: format!("send {signal} to process {pid}"), source: errno.into() })
        }
    }
}

/// What runs under the host.
pub(super) enum Program<'a> {
    /// An ordinary program.
    Executable(&'a Path),
    /// The ClickHouse inside this libchdb.so.
    ClickHouse(&'a Path),
}

/// A running server. Dropping it kills it, unless it was started as [`Lifetime::Detached`].
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    identity: ProcessIdentity,
    output: PathBuf,
    lifetime: Lifetime,
}

impl ServerProcess {
    /// Starts a program with its standard output and error going to the end of the file `output`.
    pub(super) fn start(
        program: &Program<'_>,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
        output: &Path,
        lifetime: Lifetime,
    ) -> Result<Self> {
        let open =
            || File::options().create(true).append(true).open(output).map_err(Error::path("open", output));
        let mut command = Command::new(host::program()?);
        match lifetime {
            Lifetime::WithThisProcess => command.arg("--die-with").arg(std::process::id().to_string()),
            Lifetime::Detached => command.arg("--detach"),
        };
        match program {
            Program::Executable(path) => command.arg("exec").arg(path),
            Program::ClickHouse(library) => command.arg("clickhouse").arg(library),
        };
        command.args(args).stdin(Stdio::null()).stdout(open()?).stderr(open()?);
        // Ctrl-C in the terminal is for the tests; the servers end after them.
        if lifetime == Lifetime::WithThisProcess {
            command.process_group(0);
        }
        let child = spawn(command).map_err(Error::io("start the server host"))?;
        let identity = ProcessIdentity::of(child.id())?;
        Ok(Self { child, identity, output: output.to_owned(), lifetime })
    }

    /// The process, for recognising it later.
    #[must_use]
    pub fn identity(&self) -> ProcessIdentity {
        self.identity
    }

    /// SIGKILL, then waits until the process has ended and its ports are free. No error if it had ended already.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().map_err(Error::io(format!("kill process {}", self.identity.pid)))?;
        self.child.wait().map_err(Error::io(format!("wait for process {}", self.identity.pid)))?;
        Ok(())
    }

    /// SIGTERM, and SIGKILL after `timeout`.
    pub async fn stop(&mut self, timeout: Duration) -> Result<()> {
        self.identity.stop(timeout).await?;
        self.child.wait().map_err(Error::io(format!("wait for process {}", self.identity.pid)))?;
        Ok(())
    }

    /// The exit status if the process has ended by itself.
    pub(super) fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Why the server has ended, if it did so by itself.
    pub(super) fn ended(&mut self, what: &str) -> Option<Error> {
        self.exited()?;
        Some(self.failure(&format!("{what} is gone")))
    }

    /// An error that says why the server ended or does not answer, with the last lines it wrote.
    pub(super) fn failure(&mut self, what: &str) -> Error {
        let how =
            self.exited().map_or_else(|| "still runs".to_owned(), |status| format!("ended with {status}"));
        let text = fs::read(&self.output).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let tail = telling_lines(&text).join("\n");
        Error::Server(format!("{what}; its process {how}. From {}:\n{tail}", self.output.display()))
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        if self.lifetime == Lifetime::WithThisProcess {
            let _ = self.kill();
        }
    }
}

/// The last lines of a log that are errors (E) or fatal (F) to mongod, or if there are none, the last lines.
///
/// A mongod that gives up writes the reason first and then logs its whole shutdown.
fn telling_lines(log: &str) -> Vec<String> {
    let is_error = |line: &&str| line.contains(r#""s":"E""#) || line.contains(r#""s":"F""#);
    let last = |lines: Vec<&str>| -> Vec<String> {
        lines
            .iter()
            .skip(lines.len().saturating_sub(10))
            .map(|line| line.chars().take(300).collect())
            .collect()
    };
    let errors = last(log.lines().filter(is_error).collect());
    if errors.is_empty() { last(log.lines().collect()) } else { errors }
}

type Spawned = io::Result<Child>;

/// Starts a command from a thread that lives as long as this process does.
///
/// PR_SET_PDEATHSIG fires when the *thread* that forked ends, and a test's thread ends with the test.
fn spawn(command: Command) -> Spawned {
    static SPAWNER: OnceLock<mpsc::Sender<(Command, mpsc::Sender<Spawned>)>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, requests) = mpsc::channel::<(Command, mpsc::Sender<Spawned>)>();
        std::thread::spawn(move || {
            for (mut command, reply) in requests {
                let _ = reply.send(command.spawn());
            }
        });
        sender
    });
    let gone = || io::Error::other("the thread that starts servers is gone");
    let (reply, answer) = mpsc::channel();
    spawner.send((command, reply)).map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_parsed_whatever_the_name() {
        let line = "77 (a) b (c)) S 1 77 77 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 9 9";
        assert_eq!(parse_stat(line), Some(('S', 4242)));
    }

    #[test]
    fn errors_are_shown_before_the_shutdown() {
        let log = "{\"s\":\"I\"}\n{\"s\":\"E\",\"msg\":\"in use\"}\n{\"s\":\"I\"}";
        assert_eq!(telling_lines(log), ["{\"s\":\"E\",\"msg\":\"in use\"}"]);
        assert_eq!(telling_lines("a\nb"), ["a", "b"]);
    }

    #[test]
    fn this_process_is_alive_and_its_predecessor_is_not() {
        let identity = ProcessIdentity::of_this_process().unwrap();
        assert!(identity.is_alive());
        assert!(!ProcessIdentity { start_ticks: identity.start_ticks - 1, ..identity }.is_alive());
        assert_eq!(identity.to_string().parse::<ProcessIdentity>().unwrap(), identity);
    }
}
