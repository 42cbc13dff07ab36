//! How bodies are put on the socket: what can be asked for, and what came of it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How bodies are to be put on the socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SendMode {
    /// `writev` to this machine; to another one whichever of `writev` and `sendfile` takes less processor time.
    #[default]
    Auto,
    /// The kernel copies everything.
    Writev,
    /// The kernel takes the pages of large buffers.
    Sendfile,
    /// As `sendfile`, through a pipe.
    Splice,
}

impl SendMode {
    /// All of them, as they are written.
    pub const NAMES: [&str; 4] = ["auto", "writev", "sendfile", "splice"];
}

impl FromStr for SendMode {
    type Err = String;

    fn from_str(text: &str) -> Result<SendMode, String> {
        match text {
            "auto" => Ok(SendMode::Auto),
            "writev" => Ok(SendMode::Writev),
            "sendfile" => Ok(SendMode::Sendfile),
            "splice" => Ok(SendMode::Splice),
            _ => Err("send must be auto, writev, sendfile or splice".to_owned()),
        }
    }
}

/// The system calls that bodies go by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SendPath {
    /// `writev`: the kernel copies.
    #[default]
    Writev,
    /// `sendfile` for large buffers of a pool that is a file ([`Pool::in_file`]), `writev` for the rest.
    ///
    /// [`Pool::in_file`]: zenith_memory::Pool::in_file
    Sendfile,
    /// `splice` for those, through a pipe, and `writev` for the rest.
    Splice,
}

impl SendPath {
    /// The name of the system call.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            SendPath::Writev => "writev",
            SendPath::Sendfile => "sendfile",
            SendPath::Splice => "splice",
        }
    }
}

/// How bodies are sent, and why.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SendReport {
    /// The system calls.
    pub path: SendPath,
    /// Why these.
    pub reason: SendReason,
}

/// Why bodies are sent this way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SendReason {
    /// It was asked for.
    Configured,
    /// ClickHouse is on this machine.
    SameMachine,
    /// TLS reads memory.
    Encrypted,
    /// Compression reads memory.
    Compressed,
    /// The pool is no file: there are no pages to give to the kernel.
    NoFile,
    /// It took less processor time, in nanoseconds of the sending thread for each KiB.
    Measured {
        /// Of `writev`.
        writev: f64,
        /// Of `sendfile`.
        sendfile: f64,
    },
    /// Both are still being tried in turn.
    Measuring,
}

impl SendReason {
    /// The reason in one word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            SendReason::Configured => "configured",
            SendReason::SameMachine => "same-machine",
            SendReason::Encrypted => "encrypted",
            SendReason::Compressed => "compressed",
            SendReason::NoFile => "no-file",
            SendReason::Measured { .. } => "measured",
            SendReason::Measuring => "measuring",
        }
    }
}

impl fmt::Display for SendReport {
    /// As in "by writev, as ClickHouse is on this machine".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.name();
        match self.reason {
            SendReason::Configured => write!(f, "by {path}, as configured"),
            SendReason::SameMachine => write!(f, "by {path}, as ClickHouse is on this machine"),
            SendReason::Encrypted => write!(f, "by {path}, as the connection is encrypted"),
            SendReason::Compressed => write!(f, "by {path}, as inserts are compressed"),
            SendReason::NoFile => write!(f, "by {path}, as the memory pool is no file"),
            SendReason::Measured { writev, sendfile } => {
                write!(
                    f,
                    "by {path}: per KiB writev took {writev:.0} ns of processor time, sendfile {sendfile:.0} ns"
                )
            }
            SendReason::Measuring => f.write_str("by writev and sendfile in turn: too few inserts to choose"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_as_they_are_written() {
        for name in SendMode::NAMES {
            let mode: SendMode = name.parse().unwrap();
            assert_eq!(serde_json::to_string(&mode).unwrap(), format!("{name:?}"));
            assert_eq!(serde_json::from_str::<SendMode>(&format!("{name:?}")).unwrap(), mode);
        }
        assert!("zerocopy".parse::<SendMode>().unwrap_err().contains("splice"));
    }
}
