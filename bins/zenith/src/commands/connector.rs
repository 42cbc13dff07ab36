//! `zenith connector`: the databases that are read and written.

use std::process::ExitCode;

use serde::Serialize;

use crate::args::{ConnectorCommand, Connectors, Named};
use crate::exit;
use crate::exit::{Ending, Failure};
use crate::terminal::{print, print_json};
use zenith_control::config::applied::Applied;
use zenith_control::connect;
use zenith_control::operations::connectors;
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

fn show(applied: &Applied, json: bool) {
    let shown = connectors::list(applied);
    if json {
        print_json(&shown);
        return;
    }
    let rows: Vec<Vec<String>> = shown
        .iter()
        .map(|connector| {
            vec![
                connector.name.clone(),
                connector.role.to_owned(),
                connector.uri.clone(),
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
    let name = named.name.as_str();
    let (role, connector) = connectors::find(&applied, name)?;
    let found = connectors::line(name, role, &connector, &connect::pool(None, &places)?).await;
    let (ok, text) = match &found {
        Ok(text) => (true, text),
        Err(Failure::Input(text) | Failure::Failed(text)) => (false, text),
    };
    if named.json {
        print_json(&Tested { name, role: role.as_str(), ok, found: text });
        return Ok(if ok { ExitCode::SUCCESS } else { exit::code(&found) });
    }
    let paint = Paint::for_stdout();
    match found {
        Ok(text) => {
            print(&format!("{} {name}  {text}\n", paint.green("✓")));
            Ok(ExitCode::SUCCESS)
        }
        Err(failure) => Err(failure),
    }
}
