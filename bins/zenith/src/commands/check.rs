//! `zenith check`: both ends looked at, one line each; nothing written.

use std::process::ExitCode;
use std::time::SystemTime;

use serde::Serialize;
use zenith_engine::Check as Found;
use zenith_engine::state::{DynStateStore, MemoryStore};

use crate::args::Check;
use crate::exit::{Ending, Failure};
use crate::reach::Context;
use crate::signals::Signals;
use crate::terminal::{print, print_json};
use zenith_control::commands::Desk;
use zenith_control::config::{Config, Pipeline, file, names, table_section};
use zenith_control::connect::{self, no_pipeline};
use zenith_control::databases::Databases;
use zenith_control::members;
use zenith_control::mismatches::{self, Counted, CountedJson};
use zenith_control::state::Places;
use zenith_control::text::Paint;

/// The code for "something has to be repaired".
const MEND: u8 = 2;

#[derive(Serialize)]
struct Report {
    ok: bool,
    /// What was looked at: a file, or what was applied.
    configuration: String,
    pipelines: Vec<PipelineReport>,
}

#[derive(Serialize)]
struct PipelineReport {
    name: String,
    ok: bool,
    checks: Vec<Line>,
    #[serde(flatten)]
    mismatches: CountedJson,
}

#[derive(Serialize)]
struct Line {
    what: String,
    ok: bool,
    found: String,
}

impl From<Found> for Line {
    fn from(check: Found) -> Line {
        let ok = check.found.is_ok();
        let (Ok(found) | Err(found)) = check.found;
        Line { what: check.what, ok, found }
    }
}

pub async fn run(arguments: &Check, context: &Context) -> Ending {
    context.only_here(
        "zenith check",
        "it looks at both ends from this machine; zenith connector test looks from there",
    )?;
    let mut signals =
        Signals::catch().map_err(|error| Failure::Failed(format!("cannot catch signals: {error}")))?;
    tokio::select! {
        ending = check(arguments) => ending,
        () = signals.next() => Ok(ExitCode::from(crate::exit::STOPPED)),
    }
}

async fn check(arguments: &Check) -> Ending {
    let places = Places::find(&arguments.place)?;
    let (mut config, configuration) = if places.has_file() {
        (file::read(&places.file)?, places.file.display().to_string())
    } else {
        (Desk::beside(places.clone()).config().await?, "what was applied".to_owned())
    };
    let mut troubles = members::troubles(&mut config, &places).await;
    let names: Vec<&String> = match &arguments.name {
        None => config.pipelines.keys().collect(),
        Some(name) => {
            troubles.retain(|template, _| template == name);
            let all = config.pipelines.keys().chain(config.templates.keys());
            if all.clone().all(|known| known != name) {
                return Err(no_pipeline(name, all.map(String::as_str)));
            }
            let is_meant = |(known, of): &(&String, &Pipeline)| {
                *known == name || (of.settings.member_of == *name && config.templates.contains_key(name))
            };
            config.pipelines.iter().filter(is_meant).map(|(known, _)| known).collect()
        }
    };
    if names.is_empty() && troubles.is_empty() {
        return Err(Failure::Input(format!(
            "{configuration} has no pipelines: add a [pipelines.NAME] to it"
        )));
    }
    let mut report = Report { ok: true, configuration, pipelines: Vec::with_capacity(names.len()) };
    let databases = Databases::of(&config.targets, &connect::pool(None, &places)?).await;
    let paint = Paint::for_stdout();
    for (name, found) in troubles {
        let checks = vec![Line { what: "collections".to_owned(), ok: false, found }];
        let mismatches = Counted::default().json();
        let checked = PipelineReport { name, ok: false, checks, mismatches };
        report.ok = false;
        if !arguments.json {
            print(&text(&config, &checked, paint));
        }
        report.pipelines.push(checked);
    }
    for name in names {
        let checked = look(&config, name, &places, &databases).await;
        report.ok &= checked.ok;
        // Printed as they come: a server that does not answer keeps people waiting for some seconds.
        if !arguments.json {
            print(&text(&config, &checked, paint));
        }
        report.pipelines.push(checked);
    }
    if arguments.json {
        print_json(&report);
    }
    Ok(if report.ok { ExitCode::SUCCESS } else { ExitCode::from(MEND) })
}

/// A line of the report; what a setting is to blame for is told with its place in the file.
fn at_line(check: Found, pipeline: &str, places: &Places) -> Line {
    let place = check.setting.filter(|_| places.has_file());
    let place = place.and_then(|setting| table_section::line_of(&places.file, pipeline, setting));
    let line = Line::from(check);
    match place {
        Some(at) => Line { found: format!("{}, line {at}: {}", places.file.display(), line.found), ..line },
        None => line,
    }
}

async fn look(config: &Config, name: &str, places: &Places, databases: &Databases) -> PipelineReport {
    let mut mismatches = Counted::default();
    let mut checks: Vec<Line> = match checks(config, name, places, databases, &mut mismatches).await {
        Ok(checks) => checks.into_iter().map(|check| at_line(check, name, places)).collect(),
        Err(failure) => {
            let found = failure.message().to_owned();
            vec![Line { what: "connection".to_owned(), ok: false, found }]
        }
    };
    if let Some(line) = mismatches.line() {
        // For people to look at; it is nothing to be mended before a run.
        let found = format!("{line}\n{}", mismatches::list(&mismatches.all).trim_end());
        checks.push(Line { what: "does not fit".to_owned(), ok: true, found });
    }
    let ok = checks.iter().all(|line| line.ok);
    PipelineReport { name: name.to_owned(), ok, checks, mismatches: mismatches.json() }
}

async fn checks(
    config: &Config,
    name: &str,
    places: &Places,
    databases: &Databases,
    mismatches: &mut Counted,
) -> Result<Vec<Found>, Failure> {
    // Progress is looked at where there is some: whether MongoDB still has the changes since then depends on it.
    let store = match places.look().await {
        Ok(store) => DynStateStore::new(store),
        Err(_) => DynStateStore::new(MemoryStore::new()),
    };
    *mismatches = Counted::read(&store, name, SystemTime::now()).await?;
    let single = connect::single(config, name, store, &connect::pool(None, places)?).await?;
    let mut checks = single.keeper.check(name).await;
    let pipelines = config.pipelines.iter().map(|(name, pipeline)| (name.as_str(), pipeline));
    let collisions = names::collisions(pipelines, |target| {
        config.targets.get(target).map(|connector| databases.database(target, connector))
    });
    for collision in
        collisions.into_iter().filter(|collision| collision.pipelines.iter().any(|it| it == name))
    {
        checks.push(Found { what: "names".to_owned(), found: Err(collision.sentence), setting: None });
    }
    Ok(checks)
}

fn text(config: &Config, report: &PipelineReport, paint: Paint) -> String {
    let what = config.pipelines.get(&report.name).map_or_else(String::new, |pipeline| {
        let settings = &pipeline.settings;
        format!(
            "{}.{} -> {}.{}, {}",
            pipeline.source,
            settings.collection,
            pipeline.target,
            pipeline.table(),
            settings.mode.name()
        )
    });
    let mut text = format!("{}  {what}\n", report.name);
    let width = report.checks.iter().map(|line| line.what.chars().count()).max().unwrap_or(0);
    for line in &report.checks {
        let mark = if line.ok { paint.green("✓") } else { paint.red("✗") };
        text.push_str(&format!("  {mark} {:width$}  {}\n", line.what, line.found.replace('\n', "\n      ")));
    }
    text
}
