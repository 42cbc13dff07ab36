//! The blocks of one page that are run: one after the other in one folder, on a pair of servers of their own.
//!
//! A page names the usual addresses, `127.0.0.1:27017` and `127.0.0.1:8123`; they become those of the servers. Exported
//! variables live until the end of the page.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use zenith_testkit::services::{packages, tools};
use zenith_testkit::{ClickHouseOptions, ClickHouseServer, Error, MongoOptions, MongoServer, Result};

use crate::scratch::Scratch;

/// How long a block may take.
const SECONDS_MAX: &str = "180";
/// How long a block may take to print what is expected of it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A page that is being run.
pub struct Session {
    place: Scratch,
    mongodb: MongoServer,
    clickhouse: ClickHouseServer,
    background: Vec<Child>,
    printed: String,
}

impl Session {
    /// Servers without data, and a folder with nothing but the programs that pages call.
    pub async fn start(zenith: &Path) -> Result<Self> {
        let (mongodb, clickhouse) = tokio::try_join!(
            MongoServer::start(MongoOptions::default()),
            ClickHouseServer::start(ClickHouseOptions::default())
        )?;
        // As `cargo xtask services up` makes it.
        clickhouse.client().create_database("zenith").await?;
        let place = Scratch::new()?;
        let programs = place.path().join("bin");
        let home = place.path().join("home");
        for folder in [&programs, &home] {
            fs::create_dir(folder).map_err(Error::path("create", folder))?;
        }
        fs::write(place.path().join("exported"), "").map_err(Error::path("write", place.path()))?;
        for (name, program) in [("zenith", zenith.to_owned()), ("mongosh", tools::mongosh()?)] {
            symlink(&program, programs.join(name)).map_err(Error::path("link", &program))?;
        }
        // What would be compiled or downloaded is there already.
        let load = format!("exec {} \"${{@:8}}\"", crate::docs::built("examples/load")?.display());
        let cargo = format!(
            "#!/bin/bash\ncase \"$*\" in\n'run --release -p zenith-testkit --example load -- '*) {load} ;;\n'xtask services '*) ;;\n*) echo \"no such stand-in: cargo $*\" >&2; exit 1 ;;\nesac\n"
        );
        let data = packages::data_sets()?;
        let npm = format!(
            "#!/bin/bash\nfor package in \"$@\"; do case $package in\nworld-countries*|vega-datasets*) mkdir -p node_modules; ln -sfn {0} node_modules/\"${{package%@*}}\" ;;\ninstall) ;;\n*) echo \"no such stand-in: npm $*\" >&2; exit 1 ;;\nesac; done\n",
            data.display()
        );
        for (name, script) in [("cargo", cargo), ("npm", npm)] {
            let path = programs.join(name);
            fs::write(&path, script).map_err(Error::path("write", &path))?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
                .map_err(Error::path("make executable", &path))?;
        }
        Ok(Self { place, mongodb, clickhouse, background: Vec::new(), printed: String::new() })
    }

    /// Runs a block to its end.
    pub async fn run(&mut self, block: &str) -> Result<()> {
        let output = self.bash(block).output().await.map_err(Error::io("run bash"))?;
        self.printed =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            return Ok(());
        }
        Err(Error::Server(format!("ended with {}, and said:\n{}", output.status, self.printed)))
    }

    /// Runs a block until it prints what is expected.
    pub async fn run_until(&mut self, block: &str, expected: &str) -> Result<()> {
        let begun = Instant::now();
        loop {
            let outcome = self.run(block).await.and_then(|()| self.expect(expected));
            if outcome.is_ok() || begun.elapsed() > PATIENCE {
                return outcome;
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// Starts a block that goes on until the page ends.
    pub async fn run_in_background(&mut self, block: &str) -> Result<()> {
        let mut command = self.bash(block);
        let child = command.process_group(0).stdout(Stdio::null()).spawn().map_err(Error::io("run bash"))?;
        self.background.push(child);
        Ok(())
    }

    /// Whether each line is a part of a line that the last block printed. `…` stands for anything, and so does the number
    /// of spaces.
    pub fn expect(&self, lines: &str) -> Result<()> {
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let printed: Vec<_> = self.printed.lines().map(words).collect();
        for line in lines.lines().map(words) {
            if !printed.iter().any(|other| has_parts(other, &line)) {
                return Err(Error::Malformed(format!(
                    "\"{line}\" is not in what was printed:\n{}",
                    self.printed
                )));
            }
        }
        Ok(())
    }

    /// Writes a file that later blocks use.
    pub fn keep(&self, name: &str, text: &str) -> Result<()> {
        let path = self.place.path().join(name);
        fs::write(&path, self.with_addresses(text)).map_err(Error::path("write", &path))
    }

    fn bash(&self, block: &str) -> Command {
        let script = format!(
            "set -euo pipefail; source ./exported\n{}\ndeclare -px > ./exported\n",
            self.with_addresses(block)
        );
        let mut command = Command::new("timeout");
        command.args(["--kill-after=20", SECONDS_MAX, "bash", "-c", &script]).current_dir(self.place.path());
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", self.place.path().join("bin").display()));
        command.env("HOME", self.place.path().join("home"));
        for name in ["ZENITH_STATE", "ZENITH_SOURCE", "ZENITH_TARGET", "ZENITH_LOG", "XDG_STATE_HOME"] {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// A text with the addresses of the servers in the place of the usual ones.
    fn with_addresses(&self, text: &str) -> String {
        let mongodb = format!("127.0.0.1:{}", self.mongodb.port());
        let http = format!("127.0.0.1:{}", self.clickhouse.http_port());
        let mut text = text.replace("mongodb://localhost/", &format!("mongodb://{mongodb}/"));
        for host in ["127.0.0.1", "localhost"] {
            text = text.replace(&format!("{host}:27017"), &mongodb).replace(&format!("{host}:8123"), &http);
        }
        text
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for child in &self.background {
            if let Some(id) = child.id().and_then(|id| i32::try_from(id).ok()) {
                // One that has ended already needs no signal.
                let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
            }
        }
    }
}

/// Whether the parts of a pattern between `…` are in a line, in their order.
fn has_parts(line: &str, pattern: &str) -> bool {
    let mut rest = line;
    pattern.split('…').map(str::trim).all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::has_parts;

    #[test]
    fn a_pattern_leaves_out_what_changes() {
        assert!(has_parts("copied 5 rows in 0.31 s to orders", "copied 5 rows in … to orders"));
        assert!(!has_parts("copied 5 rows to users", "copied 5 rows … to orders"));
        assert!(has_parts("anything", ""));
    }
}
