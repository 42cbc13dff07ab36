//! `zenith status`: how far each pipeline has come.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::args::Status;
use crate::exit::{self, Ending, Failure};
use crate::shown_status as show;
use crate::signals::Signals;
use crate::terminal::{print, print_json};
use zenith_control::state::Places;
use zenith_control::status::rates::Rates;
use zenith_control::status::{Report, json};
use zenith_control::text::Paint;

/// Between two drawings.
const REDRAW: Duration = Duration::from_secs(1);
/// The code for "not well".
const UNWELL: u8 = 1;

pub async fn run(arguments: &Status, verbose: bool) -> Ending {
    if arguments.health {
        return Ok(health(arguments).await);
    }
    let places = Places::find(&arguments.place)?;
    let store = places.look().await?;
    let name = arguments.name.as_deref();
    if arguments.watch {
        return watch(arguments, verbose, &places).await;
    }
    let report = Report::read(&places, &store, name).await?;
    if arguments.json {
        print_json(&json::json(&report, all_complaints(&report, arguments)));
    } else {
        print(&show::text(&report, verbose || name.is_some(), Paint::for_stdout()));
    }
    if !report.complaints(arguments.max_lag, arguments.grace).is_empty() {
        return Ok(code(false));
    }
    Ok(exit::within(&report.exceeded(&arguments.allowed)))
}

fn all_complaints(report: &Report, arguments: &Status) -> Vec<String> {
    let mut complaints = report.complaints(arguments.max_lag, arguments.grace);
    complaints.extend(report.exceeded(&arguments.allowed));
    complaints
}

fn code(well: bool) -> ExitCode {
    if well { ExitCode::SUCCESS } else { ExitCode::from(UNWELL) }
}

/// Container engines know 0 and 1 only, whatever is wrong.
async fn health(arguments: &Status) -> ExitCode {
    let read = async {
        let places = Places::find(&arguments.place)?;
        Report::read(&places, &places.look().await?, None).await
    };
    let (well, line) = match read.await {
        Ok(report) => show::health(&report, all_complaints(&report, arguments)),
        Err(Failure::Input(message) | Failure::Failed(message)) => (false, format!("unhealthy: {message}\n")),
    };
    print(&line);
    code(well)
}

async fn watch(arguments: &Status, verbose: bool, places: &Places) -> Ending {
    let mut signals =
        Signals::catch().map_err(|error| Failure::Failed(format!("cannot catch signals: {error}")))?;
    let is_terminal = std::io::stdout().is_terminal();
    let store = places.look().await?;
    let mut rates = Rates::default();
    loop {
        let mut report = Report::read(places, &store, arguments.name.as_deref()).await?;
        put_into(&mut rates, &mut report, Instant::now());
        // The screen is cleared from the top: a table that has become shorter leaves nothing behind.
        let before = if is_terminal { "\x1b[H\x1b[2J" } else { "" };
        let by_field = verbose || arguments.name.is_some();
        print(&format!("{before}{}", show::text(&report, by_field, Paint::for_stdout())));
        tokio::select! {
            () = tokio::time::sleep(REDRAW) => {}
            () = signals.next() => return Ok(ExitCode::SUCCESS),
        }
    }
}

/// Rates of the last seconds in place of those since the runs began.
fn put_into(rates: &mut Rates, report: &mut Report, now: Instant) {
    for pipeline in &mut report.pipelines {
        let Some(rows) = pipeline.run_rows else {
            rates.forget(&pipeline.name);
            continue;
        };
        if let Some(rate) = rates.see(&pipeline.name, rows, now) {
            pipeline.set_rate(rate);
        }
    }
}
