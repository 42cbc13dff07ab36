//! What was measured on: the machine, the versions, the commit. Numbers without it mean nothing.

use std::fs;
use std::process::Command;

use serde::{Deserialize, Serialize};

/// The machine and the state of the source.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Machine {
    /// Model of the processor as `/proc/cpuinfo` has it.
    pub(super) processor: String,
    /// Cores this process may use.
    pub(super) cores: usize,
    pub(super) memory_bytes: u64,
    pub(super) kernel: String,
    /// UTC, RFC 3339.
    pub(super) taken_at: String,
    /// The commit, with `-dirty` after it if files differ from it.
    pub(super) commit: String,
    pub(super) zenith: String,
    pub(super) mongodb: String,
    pub(super) clickhouse: String,
    pub(super) rustc: String,
}

impl Machine {
    /// Everything but the versions of the servers, which have to be asked.
    pub(super) fn here() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self {
            processor: field(&read("/proc/cpuinfo"), "model name").unwrap_or_default(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: memory_bytes(&read("/proc/meminfo")),
            kernel: format!("Linux {}", read("/proc/sys/kernel/osrelease").trim()),
            taken_at: bson::DateTime::now().try_to_rfc3339_string().unwrap_or_default(),
            commit: said("git", &["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]),
            rustc: said("rustc", &["--version"]),
            ..Self::default()
        }
    }

    /// One paragraph for people.
    pub(super) fn sentence(&self) -> String {
        format!(
            "{} ({} cores), {:.0} GiB of memory, {}; MongoDB {}, ClickHouse {}, {}, {}; commit {}, {}",
            self.processor,
            self.cores,
            self.memory_bytes as f64 / f64::from(1 << 30),
            self.kernel,
            self.mongodb,
            self.clickhouse,
            self.zenith,
            self.rustc,
            self.commit,
            self.taken_at
        )
    }
}

/// Bytes of memory the machine has.
pub(super) fn memory_bytes(meminfo: &str) -> u64 {
    let kib = field(meminfo, "MemTotal").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}

/// The value of the first line `name : value`.
fn field(text: &str, name: &str) -> Option<String> {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
}

/// What a program prints, in the workspace; empty if it cannot be asked.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(crate::workspace_root()).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files_are_read() {
        assert_eq!(field("processor\t: 0\nmodel name\t: A: B\n", "model name").as_deref(), Some("A: B"));
        assert_eq!(memory_bytes("MemTotal:       16 kB\nMemFree: 1 kB\n"), 16 * 1024);
        assert_eq!(memory_bytes(""), 0);
    }

    #[test]
    fn this_machine_has_everything() {
        let machine = Machine::here();
        assert!(
            machine.cores > 0 && machine.memory_bytes > 0 && machine.taken_at.ends_with('Z'),
            "{machine:?}"
        );
    }
}
