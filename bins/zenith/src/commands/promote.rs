//! `zenith schema promote`: values of `_zenith_extra` moved into columns.

use std::process::ExitCode;
use std::sync::Arc;

use zenith_engine::{EngineError, Pool};

use super::delegate;
use crate::args::Promote;
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

pub async fn run(arguments: &Promote, context: &Context) -> Ending {
    let reach = context.reach(&arguments.place)?;
    let (name, fields) = (&arguments.name, &arguments.fields);
    if !arguments.apply {
        let command = Command::Promotable { name: name.clone(), fields: fields.clone() };
        return reach.run(command, arguments.json).await;
    }
    let answer = match (reach.alone().await?, &reach) {
        (Some((store, places)), Reach::Here(desk)) => {
            let config = desk.config().await?;
            let pool = connect::pool(None, places)?;
            let signals = Signals::catch()
                .map_err(|error| Failure::Failed(format!("cannot catch signals: {error}")))?;
            let single = connect::single(&config, name, Arc::clone(&store), &pool).await?;
            signals.stop(single.keeper.stop_handle());
            let done = promote(arguments, &single, &pool).await;
            lease::give_back(&store).await;
            done?
        }
        _ => delegate::ask(&reach, name, &Asked::Promote { fields: fields.clone() }, arguments.quiet).await?,
    };
    match answer {
        Ok(answer) if arguments.json => print(&format!("{}\n", answer.json)),
        Ok(answer) => print(&answer.text),
        Err(code) => return Ok(code),
    }
    Ok(ExitCode::SUCCESS)
}

/// Does it, or says that it was stopped and gives the code for that.
async fn promote(
    arguments: &Promote,
    single: &Single,
    pool: &Pool,
) -> Result<Result<Answer, ExitCode>, Failure> {
    let rest = Arc::new(single.keeper.rest(&arguments.name).await?);
    let display = (!arguments.quiet).then(|| {
        let shown = Arc::clone(&rest);
        Display::start(Some(pool.clone()), move || vec![shown.progress()])
    });
    let promoted = rest.promote(&arguments.fields).await;
    drop(display);
    match promoted {
        Ok(done) => Ok(Ok(Answer::of_promotion(&done, &single.table))),
        Err(error @ EngineError::Stopped) => {
            say(&format!("zenith: {error}"));
            Ok(Err(ExitCode::from(exit::STOPPED)))
        }
        Err(error) => Err(error.into()),
    }
}
