//! How far each pipeline has come.

use std::sync::PoisonError;
use std::time::Instant;

use super::command::{Status, View};
use super::desk::Desk;
use super::output::Output;
use super::shown_status as show;
use crate::failure::Failure;
use crate::status::rates::Rates;
use crate::status::{Report, json};
use crate::text::Paint;

/// The code for "not well".
const UNWELL: u8 = 1;
/// The code for "more did not fit than was allowed".
const EXCEEDED: u8 = 3;

pub async fn status(desk: &Desk, wanted: &Status, view: View, paint: Paint) -> Result<Output, Failure> {
    let store = desk.places.look().await?;
    let mut report = Report::read(&desk.places, &store, wanted.name.as_deref()).await?;
    report.running |= desk.is_within();
    if wanted.watched {
        let mut rates = desk.rates.lock().unwrap_or_else(PoisonError::into_inner);
        put_into(&mut rates, &mut report, Instant::now());
    }
    let complaints = report.complaints(wanted.max_lag, wanted.grace);
    let exceeded = report.exceeded(&wanted.allowed);
    let all = || [complaints.as_slice(), exceeded.as_slice()].concat();
    if wanted.health {
        let (well, line) = show::health(&report, all());
        return Ok(Output::text(line).code(if well { 0 } else { UNWELL }));
    }
    let output = match view.json {
        true => Output::json(&json::json(&report, all())),
        false => Output::text(show::text(&report, view.verbose || wanted.name.is_some(), paint)),
    };
    Ok(match (complaints.is_empty(), exceeded.is_empty()) {
        (false, _) => output.code(UNWELL),
        (true, true) => output,
        (true, false) => Output { said: exceeded, ..output }.code(EXCEEDED),
    })
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
