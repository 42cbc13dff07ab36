//! Child processes: this test binary once more, which runs one test as its environment says.

use std::env;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// Names the state a child is to use; only children have it.
const ORDER: &str = "ZENITH_STATE_CHILD";
/// Distinguishes reports of a child from the output of the test harness; the harness may print before it in a line.
const MARK: &str = "child says ";

/// A child that is killed when it is dropped.
pub struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    /// Starts a child that runs the test `name` with a state.
    pub fn start(name: &str, state: &Path) -> Running {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(ORDER, state)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Running { child, lines }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next report; `None` once the child has ended.
    pub fn report(&mut self) -> Option<String> {
        self.lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, report) = line.split_once(MARK)?;
            Some(report.to_owned())
        })
    }

    /// Ends the child with SIGKILL, and returns the last report it made, if it made any more.
    pub fn kill(mut self) -> Option<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::iter::from_fn(|| self.report()).last()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The state this process is to use if it is a child.
pub fn order() -> Option<PathBuf> {
    env::var_os(ORDER).map(PathBuf::from)
}

/// Reports something to the parent.
pub fn report(text: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{MARK}{text}").unwrap();
    out.flush().unwrap();
}
