//! The command that follows a collection, with a state of its own.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};
use zenith_testkit::{Error, Result, Shape};

use crate::bench::process::{self, Finished};
use crate::bench::servers::Servers;
use crate::bench::zenith::Zenith;
use crate::scratch::Scratch;

/// The collection, the table and the pipeline.
pub(super) const NAME: &str = "followed";
/// Documents that are there before anything is measured.
pub(super) const DOCUMENTS: u64 = 100_000;
const TIMEOUT: Duration = Duration::from_secs(1_200);

/// A configured command.
pub(super) struct Follower {
    program: PathBuf,
    folder: Scratch,
}

impl Follower {
    /// Fills the collection, applies a pipeline with default settings, and has it read what is there.
    pub(super) async fn prepare(servers: &Servers, zenith: &Zenith) -> Result<Self> {
        servers.load(NAME, Shape::Events, 0..DOCUMENTS).await?;
        let folder = Scratch::new()?;
        let follower = Self { program: zenith.program().to_owned(), folder };
        let text = format!(
            "[state]\npath = {:?}\n\n[sources.from]\nuri = {:?}\n\n[targets.to]\nuri = {:?}\n\n[pipelines.{NAME}]\n\
             source = \"from\"\ntarget = \"to\"\ncollection = {NAME:?}\n",
            follower.folder.path().join("state.sqlite"),
            servers.mongodb_uri(),
            zenith.target(servers)
        );
        let file = follower.file();
        std::fs::write(&file, text).map_err(Error::path("write", &file))?;
        follower.finish(&["apply", "--yes"]).await?;
        follower.finish(&["run", "--once", "--quiet"]).await?;
        Ok(follower)
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("zenith.toml")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).arg("-f").arg(self.file());
        command
    }

    /// Runs a command to its end.
    pub(super) async fn finish(&self, arguments: &[&str]) -> Result<Finished> {
        let finished = process::run(self.command(arguments), TIMEOUT).await?;
        if finished.status.success() {
            return Ok(finished);
        }
        let said = finished.last_words();
        Err(Error::Server(format!("zenith {} ended with {}: {said}", arguments.join(" "), finished.status)))
    }

    /// Follows until it is stopped.
    pub(super) fn start(&self) -> Result<Child> {
        let mut command = self.command(&["run", "--quiet"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true);
        command.spawn().map_err(Error::io("start zenith"))
    }
}

/// Waits until a question, asked again and again after a pause, has this answer, and says how long that took.
pub(super) async fn wait_for(
    servers: &Servers,
    question: &str,
    answer: &str,
    pause: Duration,
) -> Result<Duration> {
    let started = Instant::now();
    while started.elapsed() < TIMEOUT {
        if servers.target.query(question).await? == answer {
            return Ok(started.elapsed());
        }
        tokio::time::sleep(pause).await;
    }
    Err(Error::Server(format!("{question} did not become {answer}")))
}
