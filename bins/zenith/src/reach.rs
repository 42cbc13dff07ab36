//! Where a command is carried out: beside the state on this machine, or by a server.

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use clap::parser::ValueSource;
use zenith_control::commands::{Call, Command, Desk, Output, View};
use zenith_control::failure::code;
use zenith_control::state::{Places, StateArgs};
use zenith_control::text::Paint;
use zenith_engine::state::AnyStore;
use zenith_server::client::{Client, Token};

use crate::exit::{self, Ending, Failure};
use crate::lease;
use crate::progress::say;
use crate::terminal::print;

const SERVER: &str = "ZENITH_SERVER";
const TOKEN: &str = "ZENITH_TOKEN";
const AUTHORITY: &str = "ZENITH_SERVER_CA";

/// Which server to ask, if any.
#[derive(Args, Clone, Debug, Default)]
pub struct ServerArgs {
    /// Have a running `zenith serve` do it, as in `http://HOST:8470` [env: `ZENITH_SERVER`]
    #[arg(long, value_name = "URL", global = true, help_heading = "Server")]
    pub server: Option<String>,
    /// A file with the token for the server; `ZENITH_TOKEN` may have the token itself
    #[arg(long, value_name = "FILE", global = true, help_heading = "Server")]
    pub server_token_file: Option<PathBuf>,
    /// The certificate authorities to trust, a PEM file, in place of the public ones [env: `ZENITH_SERVER_CA`]
    #[arg(long, value_name = "FILE", global = true, help_heading = "Server")]
    pub server_ca: Option<PathBuf>,
}

/// What all commands are given besides their own arguments.
#[derive(Debug)]
pub struct Context {
    server: ServerArgs,
    /// Whether a state was named on the command line, which counts more than the environment.
    state_named: bool,
    /// Whether more is to be said.
    pub verbose: bool,
}

impl Context {
    /// Of the arguments, and what was said of them where.
    pub fn new(server: ServerArgs, verbose: bool, matches: &clap::ArgMatches) -> Context {
        let mut inner = matches;
        while let Some((_, deeper)) = inner.subcommand() {
            inner = deeper;
        }
        // A command without it is an error here in debug builds, and has no value in others.
        if let Ok(Some(true)) = inner.try_get_one::<bool>("json") {
            exit::as_json();
        }
        let knows = inner.try_contains_id("state").is_ok();
        let state_named = knows && inner.value_source("state") == Some(ValueSource::CommandLine);
        Context { server, state_named, verbose }
    }

    /// Refuses a server that was named for something that is done on this machine; one that the environment names is for
    /// other commands.
    pub fn only_here(&self, command: &str, why: &str) -> Result<(), Failure> {
        match &self.server.server {
            None => Ok(()),
            Some(_) => Err(Failure::known(
                code::NOT_REMOTE,
                format!("{command} cannot be left to a server (--server): {why}"),
            )),
        }
    }

    /// Where a command is carried out.
    pub fn reach(&self, place: &StateArgs) -> Result<Reach, Failure> {
        let Some(url) = self.url()? else { return Ok(Reach::Here(Desk::beside(Places::find(place)?))) };
        let token = match (&self.server.server_token_file, env::var(TOKEN)) {
            (Some(path), _) => Some(Token::read(path)?),
            (None, Ok(token)) if !token.is_empty() => Some(Token::new(&token, TOKEN)?),
            _ => None,
        };
        let authority = self.server.server_ca.clone().or_else(|| set(AUTHORITY).map(PathBuf::from));
        let client = Client::new(&url, token, authority.as_deref())?;
        if client.shows_token() {
            say(&format!("zenith: the token goes to {url} unencrypted, where others may read it: use https"));
        }
        Ok(Reach::There(client))
    }

    fn url(&self) -> Result<Option<String>, Failure> {
        match (&self.server.server, self.state_named) {
            (Some(_), true) => Err(Failure::known(
                code::USAGE,
                "a server has its own state: name either --state or --server",
            )),
            (Some(url), false) => Ok(Some(url.clone())),
            (None, true) => Ok(None),
            (None, false) => Ok(set(SERVER)),
        }
    }
}

fn set(variable: &str) -> Option<String> {
    env::var(variable).ok().filter(|value| !value.is_empty())
}

/// Where a command is carried out.
pub enum Reach {
    /// Beside the state.
    Here(Desk),
    /// By a server.
    There(Client),
}

impl Reach {
    /// Carries a command out; what it prints is in what it returns.
    pub async fn perform(&self, command: Command, view: View) -> Result<Output, Failure> {
        let call = Call { command, view };
        match self {
            Reach::Here(desk) => Box::pin(desk.perform(&call)).await,
            Reach::There(client) => client.perform(&call).await,
        }
    }

    /// Carries a command out and prints what comes of it.
    pub async fn run(&self, command: Command, json: bool) -> Ending {
        finish(self.perform(command, view(json)).await?)
    }

    /// The state, to move data or progress in; `None` if a run that holds it, or a server, has to be asked to do that.
    pub async fn alone(&self) -> Result<Option<(Arc<AnyStore>, &Places)>, Failure> {
        let Reach::Here(desk) = self else { return Ok(None) };
        let places = desk.places();
        match places.state.open().await {
            Err(error) if error.is_held() => Ok(None),
            other => Ok(Some((lease::share(other?), places))),
        }
    }
}

/// How output is wished here.
pub fn view(json: bool) -> View {
    View { json, colours: Paint::for_stdout().has_colours(), verbose: false }
}

/// Prints what came of a command.
pub fn finish(output: Output) -> Ending {
    let Output { text, said, code, failure, .. } = output;
    said.iter().for_each(|sentence| say(&format!("zenith: {sentence}")));
    print(&text);
    match failure {
        Some(refusal) => Err(refusal.into()),
        None => Ok(ExitCode::from(code)),
    }
}
