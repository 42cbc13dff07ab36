//! `zenith schema promote`: values of `_zenith_extra` moved into columns.

use std::process::ExitCode;
use std::sync::Arc;

use zenith_engine::{EngineError, Pool};

use super::delegate::{self, Held};
use super::something_applied;
use crate::args::Promote;
use crate::display::Display;
use crate::exit::{self, Ending, Failure};
use crate::progress::say;
use crate::signals::Signals;
use crate::terminal::print;
use zenith_control::connect::{self, Single};
use zenith_control::promotion;
use zenith_control::requests::{Answer, Asked};
use zenith_control::state::Places;

pub async fn run(arguments: &Promote) -> Ending {
    let places = Places::find(&arguments.place)?;
    let look = places.look().await?;
    let config = something_applied(&look).await?.config().map_err(Failure::Input)?;
    let name = &arguments.name;
    let of = connect::pipeline(&config, name)?.table().to_owned();
    if !arguments.apply {
        let pool = connect::pool(None, &places)?;
        let found = promotion::dry_run(&config, look, name, &arguments.fields, &pool).await?;
        let (text, json) = (promotion::text(&found, &of, false), promotion::json(&found, &of, false));
        return told(arguments, &Answer { text, json, ..Answer::default() });
    }
    let answer = match Held::open(&places).await? {
        Held::Alone(store) => {
            let pool = connect::pool(None, &places)?;
            let signals = Signals::catch()
                .map_err(|error| Failure::Failed(format!("cannot catch signals: {error}")))?;
            let single = connect::single(&config, name, store, &pool).await?;
            signals.stop(single.keeper.stop_handle());
            promote(arguments, &single, &pool).await?
        }
        Held::ByRun(store) => {
            let asked = Asked::Promote { fields: arguments.fields.clone() };
            delegate::ask(&places, &store, name, &asked, arguments.quiet).await?
        }
    };
    match answer {
        Ok(answer) => told(arguments, &answer),
        Err(code) => Ok(code),
    }
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

fn told(arguments: &Promote, answer: &Answer) -> Ending {
    if arguments.json {
        print(&format!("{}\n", answer.json));
    } else {
        print(&answer.text);
    }
    Ok(ExitCode::SUCCESS)
}
