//! `zenith connector`: the databases that are read and written.

use std::process::ExitCode;

use serde::Serialize;
use zenith_engine::Sink as _;
use zenith_engine::state::Role;
use zenith_engine::transport::PreflightRequest;

use crate::args::{ConnectorCommand, Connectors, Named};
use crate::exit;
use crate::exit::{Ending, Failure};
use crate::terminal::{print, print_json};
use zenith_control::collections::listing;
use zenith_control::config::applied::{self, Applied};
use zenith_control::config::suggest;
use zenith_control::connect;
use zenith_control::failure::in_words;
use zenith_control::state::Places;
use zenith_control::text::{Paint, table};

pub async fn run(arguments: &Connectors) -> Ending {
    match &arguments.command {
        ConnectorCommand::List(list) => {
            let places = Places::find(&list.place)?;
            let applied = Applied::read(&places.look().await?).await?;
            show(&applied, list.json);
            Ok(ExitCode::SUCCESS)
        }
        ConnectorCommand::Test(named) => test(named).await,
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    name: &'a str,
    role: &'a str,
    /// As it was written: references, no secrets.
    uri: &'a str,
    pipelines: Vec<&'a str>,
}

fn show(applied: &Applied, json: bool) {
    let users = |name: &str| {
        let all = applied.templates.iter().chain(&applied.pipelines);
        let users = all
            .filter(|record| applied::member_of(record).is_empty())
            .filter(|record| record.source == name || record.target == name);
        users.map(|record| record.name.as_str()).collect()
    };
    let shown: Vec<Shown<'_>> = applied
        .connectors
        .iter()
        .map(|connector| Shown {
            name: &connector.name,
            role: connector.role.as_str(),
            uri: &connector.uri,
            pipelines: users(&connector.name),
        })
        .collect();
    if json {
        print_json(&shown);
        return;
    }
    let rows: Vec<Vec<String>> = shown
        .iter()
        .map(|connector| {
            vec![
                connector.name.to_owned(),
                connector.role.to_owned(),
                connector.uri.to_owned(),
                connector.pipelines.join(", "),
            ]
        })
        .collect();
    print(&table(&["connector", "role", "address", "pipelines"], &rows));
}

#[derive(Serialize)]
struct Tested<'a> {
    name: &'a str,
    role: &'a str,
    ok: bool,
    found: &'a str,
}

async fn test(named: &Named) -> Ending {
    let places = Places::find(&named.place)?;
    let applied = Applied::read(&places.look().await?).await?;
    let Some(record) = applied.connectors.iter().find(|connector| connector.name == named.name) else {
        let known = applied.connectors.iter().map(|connector| connector.name.as_str());
        return Err(Failure::Input(format!(
            "there is no connector {:?}{}",
            named.name,
            suggest::hint(&named.name, known)
        )));
    };
    let connector = applied::connector(record).map_err(Failure::Input)?;
    let found = match record.role {
        Role::Source => test_source(&record.name, &connector).await,
        Role::Target => test_target(&record.name, &connector, &places).await,
    };
    let (ok, text) = match &found {
        Ok(text) => (true, text),
        Err(Failure::Input(text) | Failure::Failed(text)) => (false, text),
    };
    if named.json {
        print_json(&Tested { name: &record.name, role: record.role.as_str(), ok, found: text });
        return Ok(if ok { ExitCode::SUCCESS } else { exit::code(&found) });
    }
    let paint = Paint::for_stdout();
    match found {
        Ok(text) => {
            print(&format!("{} {}  {text}\n", paint.green("✓"), record.name));
            Ok(ExitCode::SUCCESS)
        }
        Err(failure) => Err(failure),
    }
}

async fn test_source(name: &str, connector: &zenith_control::config::Connector) -> Result<String, Failure> {
    let source = connect::source(name, connector).await?;
    let Some(database) = source.default_database() else {
        return Ok(format!("{} can be used; it names no database", source.address()));
    };
    let collections = listing::names(&source, database).await?.len();
    Ok(format!(
        "{}: {collections} {}",
        source.address(),
        if collections == 1 { "collection" } else { "collections" }
    ))
}

async fn test_target(
    name: &str,
    connector: &zenith_control::config::Connector,
    places: &Places,
) -> Result<String, Failure> {
    let sink = connect::sink(name, connector, &connect::pool(None, places)?)?;
    let look = PreflightRequest { missing_database: true, ..PreflightRequest::default() };
    let server = sink.preflight(&look).await.map_err(|error| {
        let error = zenith_engine::EngineError::Sink(error);
        let text = format!("the target {name}: {}", in_words(&error));
        if error.is_input() { Failure::Input(text) } else { Failure::Failed(text) }
    })?;
    let there = if server.database_exists { "" } else { ", which is not there yet" };
    Ok(format!("ClickHouse {}, user {}, database {}{there}", server.version, server.user, server.database))
}
