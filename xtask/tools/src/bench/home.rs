//! A configured command with a state of its own, and what its status says.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use zenith_testkit::{Error, Result};

use super::process::{self, Finished};
use super::zenith::Zenith;
use crate::scratch::Scratch;

const TIMEOUT: Duration = Duration::from_secs(600);
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A folder with a configuration and a state.
pub(super) struct Home {
    program: PathBuf,
    folder: Scratch,
}

/// A server that listens.
pub(super) struct Serving {
    pub(super) address: String,
    pub(super) pid: u32,
    _child: Child,
}

/// What `zenith status --json` says, as far as it is needed here.
#[derive(Debug, Deserialize)]
pub(super) struct Status {
    pub(super) complaints: Vec<String>,
    pub(super) pipelines: Vec<Stated>,
}

/// One pipeline of it.
#[derive(Debug, Deserialize)]
pub(super) struct Stated {
    pub(super) name: String,
    pub(super) state: String,
    pub(super) lag_seconds: Option<f64>,
}

impl Home {
    /// Writes this configuration, and applies it.
    pub(super) async fn new(zenith: &Zenith, configuration: &str) -> Result<Self> {
        let home = Self { program: zenith.program().to_owned(), folder: Scratch::new()? };
        let state = home.folder.path().join("state.sqlite");
        let text = format!("{configuration}\n[state]\npath = {state:?}\n");
        let file = home.file();
        std::fs::write(&file, text).map_err(Error::path("write", &file))?;
        home.succeed(&["apply", "--yes"]).await?;
        Ok(home)
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("zenith.toml")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).arg("-f").arg(self.file());
        command
    }

    /// Runs a command to its end, whatever its exit code.
    pub(super) async fn run(&self, arguments: &[&str]) -> Result<Finished> {
        process::run(self.command(arguments), TIMEOUT).await
    }

    /// Runs a command that must succeed.
    pub(super) async fn succeed(&self, arguments: &[&str]) -> Result<Finished> {
        let finished = self.run(arguments).await?;
        if finished.status.success() {
            return Ok(finished);
        }
        let said = finished.last_words();
        Err(Error::Server(format!("zenith {} ended with {}: {said}", arguments.join(" "), finished.status)))
    }

    /// Follows until it is stopped. What it says of troubles goes to `errors`.
    pub(super) fn start(&self, errors: Stdio) -> Result<Child> {
        let mut command = self.command(&["run", "--quiet"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors).kill_on_drop(true);
        command.spawn().map_err(Error::io("start zenith"))
    }

    /// Serves until it is stopped, on a port of its own.
    pub(super) async fn serve(&self) -> Result<Serving> {
        let mut command = self.command(&["serve", "--listen", "127.0.0.1:0"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(Error::io("start zenith"))?;
        let errors = child.stderr.take().ok_or_else(|| Error::Server("zenith has no errors".to_owned()))?;
        let mut lines = BufReader::new(errors).lines();
        while let Some(line) = lines.next_line().await.map_err(Error::io("read what zenith says"))? {
            let Some((_, address)) = line.split_once(" is at http://") else { continue };
            let (address, pid) = (address.trim().to_owned(), child.id().unwrap_or_default());
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok(Serving { address, pid, _child: child });
        }
        Err(Error::Server("zenith serve ended before it listened".to_owned()))
    }

    /// What its status says.
    pub(super) async fn status(&self) -> Result<Status> {
        let finished = self.run(&["status", "--json"]).await?;
        serde_json::from_str(&finished.stdout).map_err(|error| {
            Error::Malformed(format!("zenith status printed no JSON: {error}: {}", finished.last_words()))
        })
    }

    /// Waits until its health is as it should be, and says how long that took, and what was told of the trouble last.
    pub(super) async fn until_health(&self, well: bool) -> Result<(Duration, String)> {
        let started = Instant::now();
        let mut told = String::new();
        while started.elapsed() < TIMEOUT {
            let finished = self.run(&["status", "--health", "--max-lag", "10s"]).await?;
            if !finished.status.success() {
                finished.stdout.trim().clone_into(&mut told);
            }
            if finished.status.success() == well {
                return Ok((started.elapsed(), told));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err(Error::Server(format!("the health did not become {}", if well { "good" } else { "bad" })))
    }
}

/// Waits until something is so.
pub(super) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> Result<bool>) -> Result<Duration> {
    let started = Instant::now();
    while started.elapsed() < TIMEOUT {
        if is_so().await? {
            return Ok(started.elapsed());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Err(Error::Server(format!("never within {} s: {what}", TIMEOUT.as_secs())))
}
