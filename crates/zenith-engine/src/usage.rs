//! What this process has used: processor time and memory, as the kernel counts them.

use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};

/// Processor time of all threads so far, in user and kernel mode.
#[must_use]
pub fn cpu_time() -> Duration {
    getrusage(UsageWho::RUSAGE_SELF).map_or(Duration::ZERO, |usage| {
        let part = |time: nix::sys::time::TimeVal| {
            let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
            Duration::from_secs(seconds) + Duration::from_micros(u64::try_from(time.tv_usec()).unwrap_or(0))
        };
        part(usage.user_time()) + part(usage.system_time())
    })
}

/// The most memory resident at once so far, in bytes, the buffer pool included.
#[must_use]
pub fn peak_rss_bytes() -> u64 {
    status("VmHWM:")
}

/// The memory that is resident now, in bytes, the buffer pool included.
#[must_use]
pub fn rss_bytes() -> u64 {
    status("VmRSS:")
}

/// A size out of the kernel's own words, in bytes.
fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    #[test]
    fn usage_is_there_and_grows() {
        assert!(super::peak_rss_bytes() > 100_000 && super::rss_bytes() > 100_000);
        let before = super::cpu_time();
        let mut x = 1_u64;
        while super::cpu_time() == before {
            x = x.wrapping_mul(31);
        }
        assert!(super::cpu_time() > before, "{x}");
    }
}
