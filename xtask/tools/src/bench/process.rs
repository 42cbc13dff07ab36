//! What processes have used, as the kernel counts it: processor time, peak memory.
//!
//! Ours and other people's programs are measured in the same way, from outside, from their start to their end.

use std::fs;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};
use tokio::process::Command;
use zenith_testkit::{Error, Result};

/// `sysconf(_SC_CLK_TCK)` of every Linux.
const TICKS_PER_SECOND: f64 = 100.0;
/// How often the memory of a running program is looked at; its peak is the kernel's own, so that only growth in the
/// last moment of its life can be missed.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// A program that has ended.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) status: ExitStatus,
    pub(super) stdout: String,
    pub(super) stderr: String,
    /// From its start to its end.
    pub(super) wall_seconds: f64,
    /// Of it and the children it waited for, in user and kernel mode.
    pub(super) cpu_seconds: f64,
    /// The most memory it had resident; its children are not in it.
    pub(super) peak_rss_bytes: u64,
}

/// Runs a program to its end. No other child of this process may end meanwhile: its time would be counted here.
pub(super) async fn run(mut command: Command, timeout: Duration) -> Result<Finished> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let cpu_before = usage_seconds(UsageWho::RUSAGE_CHILDREN);
    let started = Instant::now();
    let child = command.spawn().map_err(Error::io(format!("start {program}")))?;
    let pid = child.id().unwrap_or_default();
    let mut peak_rss_bytes = 0;
    let mut output = std::pin::pin!(child.wait_with_output());
    let deadline = tokio::time::Instant::now() + timeout;
    let output = loop {
        tokio::select! {
            output = &mut output => break output.map_err(Error::io(format!("wait for {program}")))?,
            () = tokio::time::sleep_until(deadline) => {
                return Err(Error::Server(format!("{program} did not end within {} s", timeout.as_secs())));
            }
            () = tokio::time::sleep(LOOK_EVERY) => peak_rss_bytes = peak_rss(pid).unwrap_or(peak_rss_bytes),
        }
    };
    Ok(Finished {
        wall_seconds: started.elapsed().as_secs_f64(),
        cpu_seconds: usage_seconds(UsageWho::RUSAGE_CHILDREN) - cpu_before,
        peak_rss_bytes,
        status: output.status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

impl Finished {
    /// The last lines of what it said, for an error.
    pub(super) fn last_words(&self) -> String {
        let said = if self.stderr.trim().is_empty() { &self.stdout } else { &self.stderr };
        let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        lines[lines.len().saturating_sub(3)..].join(" / ").chars().take(600).collect()
    }
}

/// Processor seconds of the calling thread so far.
pub(super) fn thread_cpu_seconds() -> f64 {
    usage_seconds(UsageWho::RUSAGE_THREAD)
}

fn usage_seconds(who: UsageWho) -> f64 {
    let seconds = |time: TimeVal| time.num_microseconds() as f64 / 1e6;
    getrusage(who).map_or(0.0, |usage| seconds(usage.user_time()) + seconds(usage.system_time()))
}

/// Processor seconds of a running process so far, all its threads and those that have ended.
pub(super) fn cpu_seconds(pid: u32) -> Result<f64> {
    let path = PathBuf::from(format!("/proc/{pid}/stat"));
    let stat = fs::read_to_string(&path).map_err(Error::path("read", &path))?;
    let ticks = cpu_ticks(&stat)
        .ok_or_else(|| Error::Malformed(format!("{} has no processor time", path.display())))?;
    Ok(ticks as f64 / TICKS_PER_SECOND)
}

/// utime + stime: fields 14 and 15 of a line of `/proc/PID/stat`, see proc(5). The second field, a name in brackets, may
/// hold anything.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// The most memory a running process has had resident so far, in bytes.
pub(super) fn peak_rss(pid: u32) -> Option<u64> {
    peak_rss_in(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

/// Memory that a running process has resident, in bytes.
pub(super) fn resident(pid: u32) -> Option<u64> {
    bytes_in(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?, "VmRSS:")
}

/// VmHWM of `/proc/PID/status`, in bytes; a process that has just ended has none.
fn peak_rss_in(status: &str) -> Option<u64> {
    bytes_in(status, "VmHWM:")
}

fn bytes_in(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_ascii_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_parsed_whatever_the_name() {
        let line = "77 (a) b (c)) S 1 77 77 0 -1 4194560 1 0 0 0 250 31 9 9 20 0 1 0 4242 9 9";
        assert_eq!(cpu_ticks(line), Some(281));
        assert_eq!(cpu_ticks("77 (short) S 1"), None);
    }

    #[test]
    fn status_is_parsed() {
        assert_eq!(peak_rss_in("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n"), Some(2048 * 1024));
        assert_eq!(peak_rss_in("Name:\tzombie\n"), None);
    }

    #[tokio::test]
    async fn a_program_is_measured() {
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done; echo why >&2; exit 3",
        ]);
        let finished = run(command, Duration::from_secs(60)).await.unwrap();
        assert_eq!((finished.status.code(), finished.stdout.as_str()), (Some(3), "done\n"));
        assert_eq!(finished.last_words(), "why");
        assert!(finished.cpu_seconds > 0.0 && finished.wall_seconds > 0.0, "{finished:?}");
        assert!(finished.peak_rss_bytes > 100_000, "{finished:?}");
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_given_up() {
        let mut command = Command::new("sleep");
        command.arg("60");
        let error = run(command, Duration::from_millis(50)).await.unwrap_err();
        assert!(error.to_string().contains("did not end"), "{error}");
    }
}
