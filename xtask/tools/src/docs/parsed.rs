//! Blocks that are read and not run, each by what it is written for.
//!
//! | language | read by |
//! | --- | --- |
//! | `sh` | bash, with stand-ins for all programs: that of `zenith` has the real one read its arguments |
//! | `toml` | `zenith apply --dry-run`, without servers; what a fragment leaves out is added |
//! | `sql` | ClickHouse, by `EXPLAIN AST` |
//! | `json`, `yaml` | a parser of the language |

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use zenith_testkit::services::tools;
use zenith_testkit::{ClickHouseOptions, ClickHouseServer, Error, Result};

use super::pages::Block;
use crate::scratch::Scratch;

/// Reads blocks.
pub struct Reader {
    place: Scratch,
    zenith: PathBuf,
    clickhouse: ClickHouseServer,
}

/// The stand-in of a program: what it is asked for is asked of `zenith` where it would start that, and noted otherwise.
const STAND_INS: &str = r##"#!/bin/bash
complain() { echo "$*" >> "$COMPLAINTS"; exit 0; }
read_by_zenith() {
    local words=()
    for word in "$@"; do [ "$word" = … ] || words+=("$word"); done
    answer=$("$ZENITH" "${words[@]}" --help 2>&1) || complain "zenith $*: $answer"
}
case ${0##*/} in
zenith) read_by_zenith "$@" ;;
sudo)
    while [ $# -gt 0 ]; do case $1 in -u) shift 2 ;; -*) shift ;; *) break ;; esac; done
    exec "$@" ;;
docker)
    words=("$@")
    for at in "${!words[@]}"; do
        case ${words[at]} in
        -f | --file) [ -e "$ROOT/${words[at + 1]}" ] || [[ "${words[at + 1]}" = /* ]] || complain "no ${words[at + 1]}" ;;
        exec) [ "${words[at + 1]} ${words[at + 2]:-}" = "zenith zenith" ] && { read_by_zenith "${words[@]:at + 3}"; exit; } ;;
        zenith) [ "${words[0]} ${words[at - 1]}" = "run --name" ] || [ "${words[0]}" != run ] || { read_by_zenith "${words[@]:at + 1}"; exit; } ;;
        esac
    done ;;
cargo)
    if [ "${1:-}" = xtask ]; then
        [[ $(<"$ROOT/xtask/src/main.rs") = *$'\n'"  $2 "* ]] || complain "no cargo xtask $2"
    fi ;;
esac
"##;

/// Programs that have a stand-in; any other is not there, which is no mistake.
const PROGRAMS: [&str; 4] = ["zenith", "sudo", "docker", "cargo"];

impl Reader {
    /// Starts a ClickHouse, which reads SQL.
    pub async fn start(zenith: &Path) -> Result<Self> {
        let place = Scratch::new()?;
        for name in PROGRAMS {
            let path = place.path().join(name);
            fs::write(&path, STAND_INS).map_err(Error::path("write", &path))?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
                .map_err(Error::path("make executable", &path))?;
        }
        let clickhouse = ClickHouseServer::start(ClickHouseOptions::default()).await?;
        Ok(Self { place, zenith: zenith.to_owned(), clickhouse })
    }

    /// What comes of reading a block; none if its language has no reader.
    pub async fn read(&self, block: &Block) -> Option<Result<()>> {
        Some(match block.language.as_str() {
            "sh" | "bash" => self.shell(&block.text).await,
            "toml" => self.configuration(&block.text).await,
            "sql" => self.sql(&block.text).await,
            "json" => self.json(&block.text),
            "yaml" => self.yaml(&block.text).await,
            _ => return None,
        })
    }

    async fn shell(&self, text: &str) -> Result<()> {
        if [" > /", ">/", " > ~", ">> /"].iter().any(|to| text.contains(to)) {
            return Err(Error::Malformed("writes a file of the machine: it cannot be read only".to_owned()));
        }
        let complaints = self.place.path().join("complaints");
        fs::write(&complaints, "").map_err(Error::path("write", &complaints))?;
        let work = self.work()?;
        let script = format!("command_not_found_handle() {{ return 0; }}\n{text}");
        let mut command = Command::new("/bin/bash");
        command.args(["--noprofile", "--norc", "-c", &script]).current_dir(work);
        command.env("PATH", self.place.path()).env("COMPLAINTS", &complaints).env("ZENITH", &self.zenith);
        command.env("ROOT", crate::workspace_root());
        let said = said(&mut command, "").await?;
        let complained = fs::read_to_string(&complaints).map_err(Error::path("read", &complaints))?;
        if said.contains("syntax error") || !complained.is_empty() {
            return Err(Error::Malformed(format!("{complained}{said}")));
        }
        Ok(())
    }

    /// Reads a zenith.toml, or a part of one.
    pub async fn configuration(&self, text: &str) -> Result<()> {
        let work = self.work()?;
        let file = work.join("zenith.toml");
        fs::write(&file, completed(text)).map_err(Error::path("write", &file))?;
        let mut command = Command::new(&self.zenith);
        command.args(["apply", "--dry-run", "--file"]).arg(&file);
        command.arg("--state").arg(work.join("state.sqlite")).current_dir(&work);
        let said = said(&mut command, "").await?;
        if said.contains("nothing was changed") || said.contains("nothing changes") {
            return Ok(());
        }
        Err(Error::Malformed(format!("zenith apply --dry-run says:\n{said}\nof\n{}", completed(text))))
    }

    async fn sql(&self, text: &str) -> Result<()> {
        // A placeholder stands where a name does.
        let text = text.replace('…', "x");
        let code = text.lines().map(|line| line.split(" -- ").next().unwrap_or_default().trim_end());
        let code = code.collect::<Vec<_>>().join("\n");
        for statement in code.split(";\n").map(|one| one.trim().trim_end_matches(';')) {
            // One a line where no semicolon says where they end.
            let single =
                statement.lines().count() > 1 && statement.lines().all(|line| line.starts_with("SELECT"));
            let statements = if single { statement.lines().collect() } else { vec![statement] };
            for statement in statements.into_iter().filter(|one| !one.is_empty()) {
                self.clickhouse.client().query(&format!("EXPLAIN AST {statement}")).await?;
            }
        }
        Ok(())
    }

    fn json(&self, text: &str) -> Result<()> {
        let read: std::result::Result<serde_json::Value, _> = serde_json::from_str(text);
        read.map(drop).map_err(|error| Error::Malformed(error.to_string()))
    }

    async fn yaml(&self, text: &str) -> Result<()> {
        let mut python = Command::from(tools::python_checks()?);
        python.args(["-c", "import sys, yaml; list(yaml.safe_load_all(sys.stdin)); print('read')"]);
        let said = said(&mut python, text).await?;
        if said.trim_end().ends_with("read") { Ok(()) } else { Err(Error::Malformed(said)) }
    }

    /// An empty folder.
    fn work(&self) -> Result<PathBuf> {
        let work = self.place.path().join("work");
        if work.exists() {
            fs::remove_dir_all(&work).map_err(Error::path("remove", &work))?;
        }
        fs::create_dir(&work).map_err(Error::path("create", &work))?;
        Ok(work)
    }
}

/// What a program printed, on either way.
async fn said(command: &mut Command, input: &str) -> Result<String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(Error::io("run a reader"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).await.map_err(Error::io("write to a reader"))?;
    }
    let output = child.wait_with_output().await.map_err(Error::io("run a reader"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
}

/// A source that nothing listens at, so that nothing is asked of anybody.
const NO_SOURCE: &str = "uri = \"mongodb://127.0.0.1:1/shop?serverSelectionTimeoutMS=100\"";
/// The same, of a target.
const NO_TARGET: &str = "uri = \"http://127.0.0.1:1/shop\"";

/// A configuration with the connectors and pipelines that a fragment of one leaves out. Its addresses lead nowhere.
fn completed(text: &str) -> String {
    let lines = text.lines().map(|line| match line.split_once("://") {
        Some((before, _)) if before.trim_start().starts_with("uri") => {
            if before.contains("mongodb") {
                NO_SOURCE
            } else {
                NO_TARGET
            }
        }
        _ => line,
    });
    let mut made = lines.map(|line| format!("{line}\n")).collect::<String>();
    for pipeline in names_of(text, "pipelines") {
        let head = format!("[pipelines.{pipeline}]");
        if !made.contains(&head) {
            made += &format!("{head}\n");
        }
        let with = format!("{head}{}", left_out(&made, &head, &pipeline));
        made = made.replacen(&head, &with, 1);
    }
    for (key, kind, address) in [("source", "sources", NO_SOURCE), ("target", "targets", NO_TARGET)] {
        for name in values_of(&made, key).difference(&names_of(&made, kind)) {
            made += &format!("[{kind}.{name}]\n{address}\n");
        }
    }
    made
}

/// What the section of a pipeline needs besides what it has.
fn left_out(text: &str, head: &str, pipeline: &str) -> String {
    let body = text.split_once(head).map(|(_, rest)| rest.split("\n[").next().unwrap_or_default());
    let has = |key: &str| {
        let mut lines = body.unwrap_or_default().lines();
        lines.any(|line| line.split('=').next().is_some_and(|name| name.trim() == key))
    };
    let mut added = String::new();
    for (key, name) in [("source", "mongo"), ("target", "warehouse")].into_iter().filter(|(key, _)| !has(key))
    {
        added += &format!("\n{key} = \"{name}\"");
    }
    if !has("collection") && !has("collections") {
        added += &format!("\ncollection = \"{}\"", pipeline.trim_matches('"'));
    }
    added
}

/// The texts that a key has in any section.
fn values_of(text: &str, key: &str) -> BTreeSet<String> {
    let values = text.lines().filter_map(|line| {
        let value = line.trim().strip_prefix(key)?.trim_start().strip_prefix('=')?;
        value.split('"').nth(1).map(str::to_owned)
    });
    values.collect()
}

/// The names of the sections `[KIND.NAME]` and of those inside of them.
fn names_of(text: &str, kind: &str) -> BTreeSet<String> {
    let sections = text.lines().filter_map(|line| line.trim().strip_prefix(&format!("[{kind}.")));
    let names = sections.map(|rest| match rest.strip_prefix('"') {
        Some(quoted) => format!("\"{}\"", quoted.split('"').next().unwrap_or_default()),
        None => rest.split(['.', ']']).next().unwrap_or_default().to_owned(),
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fragment_becomes_a_whole_configuration() {
        let made = completed("[pipelines.orders.mask]\ncard = \"last4\"\n");
        assert!(made.starts_with(
            "[pipelines.orders.mask]\ncard = \"last4\"\n[pipelines.orders]\nsource = \"mongo\""
        ));
        assert!(made.contains("[sources.mongo]") && made.contains("[targets.warehouse]"));
    }

    #[test]
    fn what_is_there_stays() {
        let whole = "[sources.a]\nuri = \"mongodb://db/shop\"\n[targets.b]\nuri = \"http://ch/shop\"\n[pipelines.\"x.y\"]\nsource = \"a\"\ntarget = \"b\"\ncollection = \"c\"\n";
        let made = completed(whole);
        assert_eq!(made.matches("[sources.").count(), 1);
        assert!(made.contains("127.0.0.1:1") && !made.contains("//db/"));
    }
}
