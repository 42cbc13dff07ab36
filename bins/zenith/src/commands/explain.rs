//! `zenith explain`: what the code of an error means.

use std::process::ExitCode;

use crate::args::Explain;
use crate::exit::{Ending, Failure};
use crate::terminal::print;
use zenith_control::failure::{book, code};

pub fn run(arguments: &Explain) -> Ending {
    match book::explained(arguments.code) {
        Some(text) => {
            print(&format!("{}\n\n{text}\n", arguments.code));
            Ok(ExitCode::SUCCESS)
        }
        None => Err(Failure::known(
            code::USAGE,
            format!("there is no error {}: the page errors of the book has all of them", arguments.code),
        )),
    }
}
