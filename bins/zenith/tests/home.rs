//! A folder with a `zenith.toml` and a state of its own, and commands in it.

use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use zenith_testkit::data::random::Random;

use crate::harness::{Bench, Ended, ended, run, zenith};

/// More than anything takes that is waited for.
const TIMEOUT: Duration = Duration::from_secs(60);

pub struct Home {
    pub folder: TempDir,
    variables: Vec<(String, String)>,
}

impl Home {
    pub fn new() -> Home {
        Home { folder: tempfile::tempdir().unwrap(), variables: Vec::new() }
    }

    /// One with the addresses of a pair of databases in MONGO and CLICKHOUSE.
    pub fn between(bench: &Bench) -> Home {
        let mut home = Home::new();
        home.set("MONGO", bench.from());
        home.set("CLICKHOUSE", &bench.to());
        home
    }

    pub fn set(&mut self, variable: &str, value: &str) {
        self.variables.push((variable.to_owned(), value.to_owned()));
    }

    pub fn write(&self, file: &str, text: &str) {
        std::fs::write(self.folder.path().join(file), text).unwrap();
    }

    pub fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(file)).unwrap()
    }

    pub fn has(&self, file: &str) -> bool {
        self.folder.path().join(file).exists()
    }

    /// A configuration with a source, a target and these pipelines: name, and settings besides the ends.
    pub fn configure(&self, pipelines: &[(&str, &str)]) {
        let mut text =
            "[sources.shop]\nuri = \"${MONGO}\"\n[targets.warehouse]\nuri = \"${CLICKHOUSE}\"\n".to_owned();
        for (name, settings) in pipelines {
            text += &format!("[pipelines.{name}]\nsource = \"shop\"\ntarget = \"warehouse\"\n{settings}\n");
        }
        self.write("zenith.toml", &text);
    }

    /// A command in the folder, with the state in it.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = zenith(arguments);
        command
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path())
            .env_remove("XDG_STATE_HOME")
            .env("ZENITH_STATE", self.folder.path().join("state.sqlite"))
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    pub async fn run(&self, arguments: &[&str]) -> Ended {
        run(self.command(arguments)).await
    }

    /// The one JSON value that a command prints; whatever its code.
    pub async fn json(&self, arguments: &[&str]) -> Value {
        self.run(&[arguments, &["--json"]].concat()).await.json()
    }

    pub async fn apply(&self) -> Ended {
        self.run(&["apply", "--yes"]).await.succeeded()
    }

    /// Puts the configuration into the state without looking at what is in ClickHouse, as where that is away.
    pub async fn apply_unasked(&self) -> Ended {
        let mut command = self.command(&["apply", "--yes"]);
        command.env("CLICKHOUSE", "http://127.0.0.1:9/x");
        run(command).await.succeeded()
    }

    /// Begins a `zenith run`, and waits until it holds the state.
    pub async fn start(&self, arguments: &[&str]) -> Child {
        let child = self.command(&[&["run"], arguments].concat()).spawn().unwrap();
        self.until("zenith run is running", async || self.status().await["running"] == true).await;
        child
    }

    /// What `zenith status` says; null while there is no state.
    async fn status(&self) -> Value {
        let ended = self.run(&["status", "--json"]).await;
        serde_json::from_str(&ended.stdout).unwrap_or_default()
    }

    /// Runs the pipelines so many times, each until it is killed; merges the table now and then.
    pub async fn run_and_kill(&self, times: u32, bench: &Bench, table: &str, random: &mut Random) {
        for _ in 0..times {
            let mut child = self.command(&["run"]).spawn().unwrap();
            tokio::time::sleep(Duration::from_millis(u64::from(300 + random.below(1_500)))).await;
            child.kill().await.unwrap();
            if random.below(3) == 0 && bench.tables().await.iter().any(|there| there == table) {
                bench.ask(&format!("OPTIMIZE TABLE {table} FINAL")).await;
            }
        }
    }

    /// What `zenith status` says of a pipeline.
    pub async fn pipeline(&self, name: &str) -> Value {
        let status = self.status().await;
        let pipelines = status["pipelines"].as_array().cloned().unwrap_or_default();
        pipelines.into_iter().find(|pipeline| pipeline["name"] == name).unwrap_or_default()
    }

    pub async fn until_state(&self, name: &str, state: &str) {
        self.until(&format!("{name} is {state}"), async || self.pipeline(name).await["state"] == state).await;
    }

    pub async fn until(&self, what: &str, mut is_so: impl AsyncFnMut() -> bool) {
        let deadline = Instant::now() + TIMEOUT;
        while !is_so().await {
            assert!(Instant::now() < deadline, "never: {what}\n{:?}", self.run(&["status"]).await);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Interrupts a `zenith run` and waits for its end.
pub async fn stop(child: Child) -> Ended {
    use nix::sys::signal::{Signal, kill};
    let pid = i32::try_from(child.id().expect("it runs")).unwrap();
    kill(nix::unistd::Pid::from_raw(pid), Signal::SIGINT).unwrap();
    let begun = Instant::now();
    let ended = ended(child).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "after {:?}: {ended:?}", begun.elapsed());
    ended
}
