//! `zenith init`: a configuration to begin with.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::args::Init;
use crate::exit::{Ending, Failure};
use crate::reach::Context;
use crate::signals::Signals;
use crate::terminal::print;
use zenith_control::config::{FILE, expand, template::template};
use zenith_control::draft;
use zenith_control::failure::code;

pub async fn run(arguments: &Init, context: &Context) -> Ending {
    context.only_here(
        "zenith init",
        "it writes a file on this machine; zenith export gives what a server has",
    )?;
    let path = arguments.file.clone().unwrap_or_else(|| PathBuf::from(FILE));
    let (Some(from), Some(to)) = (&arguments.from, &arguments.to) else {
        write(&path, &template(), arguments.force)?;
        print(&format!("wrote {0}: edit it, then `zenith check` and `zenith apply`\n", path.display()));
        return Ok(ExitCode::SUCCESS);
    };
    if !arguments.force && path.exists() {
        return Err(already_there(&path));
    }
    let mut signals =
        Signals::catch().map_err(|error| Failure::Failed(format!("cannot catch signals: {error}")))?;
    tokio::select! {
        ending = from_both_ends(arguments, &path, from, to) => ending,
        () = signals.next() => Ok(ExitCode::from(crate::exit::STOPPED)),
    }
}

/// Writes what is found at both ends.
async fn from_both_ends(arguments: &Init, path: &Path, from: &str, to: &str) -> Ending {
    let expanded = |address: &str, option: &str| {
        expand::expand(address, option, &expand::from_environment)
            .map_err(|message| Failure::known(code::REFERENCE, message))
    };
    let mut patterns = arguments.collection.clone();
    if patterns.is_empty() {
        patterns.push("*".to_owned());
    }
    let (from_uri, to_uri) = (expanded(from, "--from")?, expanded(to, "--to")?);
    let (from, from_had_one) = without_secrets(from, "--from", "MONGO_PASSWORD")?;
    let (to, to_had_one) = without_secrets(to, "--to", "CLICKHOUSE_PASSWORD")?;
    let found = draft::look(&from_uri, &to_uri, &patterns).await?;
    write(path, &draft::draft(&found, &from, &to, &patterns), arguments.force)?;
    let planned = found.collections.iter().filter(|collection| collection.plan.is_ok()).count();
    let left_out = found.left_out.len() + found.collections.len() - planned;
    let mut text = format!(
        "wrote {} with {}",
        path.display(),
        zenith_control::mismatches::counted(planned as u64, "collection")
    );
    if left_out > 0 {
        text.push_str(&format!(", and {left_out} left out with the reason"));
    }
    let variables = [(from_had_one, "MONGO_PASSWORD"), (to_had_one, "CLICKHOUSE_PASSWORD")];
    let variables: Vec<&str> =
        variables.iter().filter(|(had_one, _)| *had_one).map(|(_, name)| *name).collect();
    if !variables.is_empty() {
        text.push_str(&format!("; it has no passwords: set {} for the commands", variables.join(" and ")));
    }
    print(&format!("{text}\nread it, then `zenith check` and `zenith apply`\n"));
    Ok(ExitCode::SUCCESS)
}

/// An address as it may be written, and whether its password became a reference to `variable`.
fn without_secrets(address: &str, option: &str, variable: &str) -> Result<(String, bool), Failure> {
    let (address, had_one) = expand::without_password(address, variable);
    match zenith_engine::state::is_literal(&address) {
        true => Err(Failure::Input(format!(
            "{option} has a secret that would be written to the file: write it as a reference, ${{NAME}} or ${{file:PATH}}, \
             or put the address into a file and say {option} file:PATH"
        ))),
        false => Ok((address, had_one)),
    }
}

fn write(path: &Path, text: &str, force: bool) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => already_there(path),
        _ => Failure::Input(format!("cannot write {}: {error}", path.display())),
    })
}

fn already_there(path: &Path) -> Failure {
    Failure::Input(format!("{} already exists: --force writes over it, --file names another", path.display()))
}
