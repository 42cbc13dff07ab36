//! Where the state is, and opening it.

use std::path::{Path, PathBuf};

use clap::Args;
use zenith_engine::state::{AnyStore, PostgresAddress, StatePlace, is_literal};

use crate::config::{self, Process, expand, file};
use crate::failure::Failure;

/// Where the state and the configuration are.
#[derive(Args, Clone, Debug)]
pub struct StateArgs {
    /// The state: a file, or postgres://USER:${PASSWORD}@HOST/DATABASE [default: as zenith.toml says, else
    /// ~/.local/state/zenith/state.sqlite]
    #[arg(long, value_name = "PLACE", env = "ZENITH_STATE", hide_env_values = true, help_heading = "Files")]
    pub state: Option<String>,
    /// The configuration [default: zenith.toml]
    #[arg(short = 'f', long, value_name = "PATH", help_heading = "Files")]
    pub file: Option<PathBuf>,
}

/// Where things are, all said and done.
#[derive(Clone, Debug)]
pub struct Places {
    /// The state.
    pub state: StatePlace,
    /// The configuration, whether or not it is there.
    pub file: PathBuf,
    /// Whether somebody named it.
    pub file_named: bool,
    /// What it says about the process.
    pub process: Process,
}

impl Places {
    /// Finds them. What is named counts more than the environment, and that more than the configuration.
    pub fn find(place: &StateArgs) -> Result<Places, Failure> {
        let file = place.file.clone().unwrap_or_else(|| PathBuf::from(config::FILE));
        // It is read more than once, and what is gone by the second time must not be taken for an empty configuration.
        if file.exists() && !file.is_file() {
            let file = file.display();
            return Err(Failure::Input(format!(
                "{file} is a pipe, a folder or a device, and a configuration is a file: write it to one, and name that \
                 (--file)"
            )));
        }
        let process = match file::process(&file) {
            Ok(process) => process,
            // Whoever says where the state is needs nothing of the file, so it may be broken.
            Err(_) if place.state.is_some() => Process::default(),
            Err(mistakes) => return Err(mistakes.into()),
        };
        let state = match place.state.as_deref().or(process.state.as_deref()) {
            Some(named) => state_place(named)?,
            None => StatePlace::File(default(&|name| std::env::var_os(name).map(PathBuf::from))?),
        };
        Ok(Places { state, file, file_named: place.file.is_some(), process })
    }

    /// Whether there is a configuration to be read.
    pub fn has_file(&self) -> bool {
        self.file_named || self.file.exists()
    }

    /// For looking, also while somebody writes.
    pub async fn look(&self) -> Result<AnyStore, Failure> {
        Ok(self.state.open_read_only().await?)
    }

    /// For short changes, also while somebody runs.
    pub async fn change(&self) -> Result<AnyStore, Failure> {
        Ok(self.state.open_shared().await?)
    }

    /// For moving data: nobody else may.
    pub async fn own(&self) -> Result<AnyStore, Failure> {
        Ok(self.state.open().await?)
    }

    /// Whether a process that moves data has it.
    pub async fn is_held(&self) -> Result<bool, Failure> {
        Ok(self.state.is_held().await?)
    }
}

/// Gives the lease of a state back, if it has one, so that another process takes over at once.
pub async fn give_back(state: &AnyStore) {
    if let Err(error) = state.give_back().await {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(error, "the lease was not given back, and runs out by itself");
    }
}

/// Where a state is that is named as a path or as an address, whose password is a reference.
pub fn state_place(named: &str) -> Result<StatePlace, Failure> {
    const WHAT: &str = "the address of the state";
    if !PostgresAddress::is_one(named) {
        return Ok(StatePlace::File(PathBuf::from(named)));
    }
    if is_literal(named) {
        return Err(Failure::Input(format!(
            "{WHAT} has a password in it: write a reference such as ${{STATE_PASSWORD}} or ${{file:/run/secrets/state}} in \
             its place"
        )));
    }
    let address = expand::expand(named, WHAT, &expand::from_environment).map_err(Failure::Input)?;
    let address = PostgresAddress::parse(&address).map_err(Failure::Input)?;
    Ok(StatePlace::Postgres(Box::new(address)))
}

/// As the XDG base directory specification has it.
fn default(variable: &dyn Fn(&str) -> Option<PathBuf>) -> Result<PathBuf, Failure> {
    let absolute = |name: &str| variable(name).filter(|path| path.is_absolute());
    let folder =
        absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
    match folder {
        Some(folder) => Ok(folder.join(Path::new("zenith/state.sqlite"))),
        None => Err(Failure::Input(
            "there is no HOME to keep the state in: name a file with --state or ZENITH_STATE".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_kept_where_states_are_kept() {
        let with = |variables: &'static [(&str, &str)]| {
            default(&|name| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| PathBuf::from(value))
            })
        };
        let path = |variables| with(variables).unwrap().to_string_lossy().into_owned();
        assert_eq!(path(&[("HOME", "/home/a")]), "/home/a/.local/state/zenith/state.sqlite");
        assert_eq!(path(&[("HOME", "/home/a"), ("XDG_STATE_HOME", "/s")]), "/s/zenith/state.sqlite");
        assert_eq!(path(&[("HOME", "/h"), ("XDG_STATE_HOME", "s")]), "/h/.local/state/zenith/state.sqlite");
        assert!(with(&[]).is_err());
    }
}
