//! `zenith reload`: a collection read anew, and its table replaced in one step.

use std::process::ExitCode;
use std::sync::Arc;

use zenith_engine::{EngineError, Pool};

use super::delegate;
use crate::args::Reload;
use crate::display::Display;
use crate::exit::{self, Ending, Failure};
use crate::lease;
use crate::progress::say;
use crate::reach::{Context, Reach};
use crate::signals::Signals;
use crate::terminal::print;
use zenith_control::commands::Command;
use zenith_control::connect::{self, Single};
use zenith_control::requests::{Answer, Asked};
use zenith_control::summary;

pub async fn run(arguments: &Reload, context: &Context) -> Ending {
    let reach = context.reach(&arguments.place)?;
    let name = &arguments.name;
    if arguments.dry_run {
        return reach.run(Command::ReloadPlan { name: name.clone() }, arguments.json).await;
    }
    let answer = match &reach {
        Reach::Here(desk) => {
            let config = desk.config().await?;
            let target = &connect::pipeline(&config, name)?.target;
            match reach.alone().await? {
                Some((store, places)) => {
                    let targets = config.targets.get_key_value(target);
                    let pool = connect::loading_pool(arguments.memory, places, targets).await?;
                    let signals = Signals::catch()
                        .map_err(|error| Failure::Failed(format!("cannot catch signals: {error}")))?;
                    let single = connect::single(&config, name, Arc::clone(&store), &pool).await?;
                    signals.stop(single.keeper.stop_handle());
                    let done = reload(&single, name, &pool, arguments.quiet).await;
                    lease::give_back(&store).await;
                    done?
                }
                None => delegate::ask(&reach, name, &Asked::Reload, arguments.quiet).await?,
            }
        }
        Reach::There(_) => delegate::ask(&reach, name, &Asked::Reload, arguments.quiet).await?,
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(code) => return Ok(code),
    };
    if arguments.json {
        print(&format!("{}\n", answer.json));
    } else if !arguments.quiet {
        print(&answer.text);
    }
    Ok(exit::within(&arguments.allowed.exceeded(name, answer.extra_values, answer.dead_letters)))
}

/// Does it, or says that it was stopped and gives the code for that.
async fn reload(
    single: &Single,
    name: &str,
    pool: &Pool,
    quiet: bool,
) -> Result<Result<Answer, ExitCode>, Failure> {
    let rest = Arc::new(single.keeper.rest(name).await?);
    let display = (!quiet).then(|| {
        let shown = Arc::clone(&rest);
        Display::start(Some(pool.clone()), move || vec![shown.progress()])
    });
    let reloaded = rest.reload().await;
    drop(display);
    match reloaded {
        Ok(summary) => {
            let sent = single.sink.send_report();
            let (text, json) = (summary::summary_text(&summary, sent), summary::summary_json(&summary, sent));
            Ok(Ok(Answer::of(&summary, text, json)))
        }
        Err(error @ (EngineError::Stopped | EngineError::StoppedLeaving { .. })) => {
            say(&format!("zenith: {error}"));
            Ok(Err(ExitCode::from(exit::STOPPED)))
        }
        Err(error) => Err(error.into()),
    }
}
