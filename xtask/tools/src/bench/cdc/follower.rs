//! The command that follows a collection.

use std::time::{Duration, Instant};

use zenith_testkit::{Error, Result, Shape};

use crate::bench::home::Home;
use crate::bench::servers::Servers;
use crate::bench::zenith::Zenith;

/// The collection, the table and the pipeline.
pub(super) const NAME: &str = "followed";
/// Documents that are there before anything is measured.
pub(super) const DOCUMENTS: u64 = 100_000;
const TIMEOUT: Duration = Duration::from_secs(1_200);

/// Fills the collection, applies a pipeline with default settings, and has it read what is there.
pub(super) async fn prepare(servers: &Servers, zenith: &Zenith) -> Result<Home> {
    servers.load(NAME, Shape::Events, 0..DOCUMENTS).await?;
    let configuration = format!(
        "[sources.from]\nuri = {:?}\n\n[targets.to]\nuri = {:?}\n\n[pipelines.{NAME}]\nsource = \"from\"\ntarget = \
         \"to\"\ncollection = {NAME:?}\n",
        servers.mongodb_uri(),
        zenith.target(servers)
    );
    let home = Home::new(zenith, &configuration).await?;
    home.succeed(&["run", "--once", "--quiet"]).await?;
    Ok(home)
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
