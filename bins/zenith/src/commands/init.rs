//! `zenith init`: a configuration to begin with.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::args::Init;
use crate::config::{FILE, template::template};
use crate::exit::{Ending, Failure};
use crate::terminal::print;

pub fn run(arguments: &Init) -> Ending {
    let path = arguments.file.clone().unwrap_or_else(|| PathBuf::from(FILE));
    let mut options = OpenOptions::new();
    options.write(true);
    if arguments.force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let written = options.open(&path).and_then(|mut file| file.write_all(template().as_bytes()));
    match written {
        Ok(()) => {
            print(&format!("wrote {0}: edit it, then `zenith check` and `zenith apply`\n", path.display()));
            Ok(ExitCode::SUCCESS)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(Failure::Input(format!(
            "{} already exists: --force writes over it, --file names another",
            path.display()
        ))),
        Err(error) => Err(Failure::Input(format!("cannot write {}: {error}", path.display()))),
    }
}
