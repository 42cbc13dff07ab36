//! `zenith alerts`: whether alerts reach those who want to know.

use std::process::ExitCode;
use std::time::SystemTime;

use serde::Serialize;
use zenith_control::alerts::keeper::instance;
use zenith_control::alerts::message::Message;
use zenith_control::alerts::webhook::Webhook;
use zenith_control::config::{file, suggest};
use zenith_control::state::Places;
use zenith_control::text::Paint;

use crate::args::{AlertCommand, Alerts, TestAlerts};
use crate::exit::{Ending, Failure};
use crate::progress::say;
use crate::reach::Context;
use crate::terminal::{print, print_json};

pub async fn run(arguments: &Alerts, context: &Context) -> Ending {
    context.only_here("zenith alerts", "it tests the webhooks of the zenith.toml of this machine")?;
    match &arguments.command {
        AlertCommand::Test(arguments) => test(arguments).await,
    }
}

#[derive(Serialize)]
struct Tested {
    webhook: String,
    ok: bool,
    error: Option<String>,
}

async fn test(arguments: &TestAlerts) -> Ending {
    let places = Places::find(&arguments.place)?;
    let mut settings = file::process(&places.file)?.alerts.webhooks;
    let place = places.file.display();
    if let Some(name) = &arguments.name {
        if !settings.contains_key(name) {
            let hint = suggest::hint(name, settings.keys().map(String::as_str));
            return Err(Failure::Input(format!("{place} has no webhook {name:?}{hint}")));
        }
        settings.retain(|known, _| known == name);
    }
    if settings.is_empty() {
        return Err(Failure::Input(format!(
            "{place} has no webhook to be tested: add [alerts.webhooks.NAME] with its url"
        )));
    }
    let mut all = Vec::new();
    for (name, webhook) in Webhook::open_all(&settings).map_err(Failure::Input)? {
        let sent = webhook.send(&Message::sample(&name, &instance(), SystemTime::now())).await;
        all.push(Tested { webhook: name, ok: sent.is_ok(), error: sent.err().map(|error| error.sentence) });
    }
    if arguments.json {
        print_json(&all);
    } else {
        let paint = Paint::for_stdout();
        for Tested { webhook, error, .. } in &all {
            match error {
                None => print(&format!("{} {webhook}  has taken a sample\n", paint.green("✓"))),
                Some(error) => say(&format!("zenith: the webhook {webhook} has not taken a sample: {error}")),
            }
        }
    }
    Ok(if all.iter().all(|tested| tested.ok) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
