//! A configuration becomes what is run.

use std::sync::Arc;

use zenith_engine::state::DynStateStore;

use super::command::{Apply, Stage};
use super::desk::Desk;
use super::output::{Next, Output};
use crate::config::applied::Applied;
use crate::failure::{Failure, code};
use crate::operations::apply::{self, Absent, Planned};
use crate::state;
use crate::text::Paint;

pub async fn apply(desk: &Desk, wanted: &Apply, paint: Paint) -> Result<Output, Failure> {
    let Apply { toml, file, keep, stage } = wanted;
    // Mistakes of the file are told before a state is made.
    let config = apply::read(toml, file, &Applied::default(), Absent::Removed);
    let config = if *keep { None } else { Some(config?) };
    let now = now(desk, stage).await?;
    let config = match config {
        Some(config) => config,
        None => apply::read(toml, file, &now, Absent::Kept)?,
    };
    let planned = apply::plan(config, &now, toml, file).await?;
    let difference = &planned.difference;
    let question = apply::question(difference);
    let agreed = match stage {
        Stage::Commit(agreed) => agreed,
        Stage::Show | Stage::Plan => return show(desk, &planned, question, paint).await,
    };
    if agreed.is_some() && *agreed != question {
        let sentence = "what would be lost is not what was agreed to, as the configuration was changed meanwhile; nothing was \
                        changed: apply again";
        return Err(Failure::known(code::NOT_AGREED, sentence));
    }
    let running = commit(desk, &planned).await?;
    Ok(Output::text(match running {
        true => "applied; the running `zenith run` continues with it\n",
        false => "applied; start it with `zenith run`\n",
    }))
}

async fn now(desk: &Desk, stage: &Stage) -> Result<Applied, Failure> {
    let looked = desk.look().await;
    Ok(match (looked, stage) {
        (Ok(store), _) => Applied::read(&store).await?,
        // To look creates nothing, and there may be nothing yet.
        (Err(_), Stage::Show | Stage::Plan) if desk.places().state.is_absent().await => Applied::default(),
        (Err(error), Stage::Show) => return Err(error),
        (Err(_), _) => Applied::read(&desk.change().await?).await?,
    })
}

async fn show(
    desk: &Desk,
    planned: &Planned,
    question: Option<String>,
    paint: Paint,
) -> Result<Output, Failure> {
    let difference = &planned.difference;
    let mut said = planned.warnings.clone();
    if desk.is_within() {
        said.extend(planned.config.process.uncounted());
    }
    if difference.is_empty() {
        return Ok(Output { said, ..Output::text("nothing changes\n") });
    }
    let text = format!("{}{}\n", difference.text(paint), difference.counts());
    let looked = apply::look_at_names(&planned.config, desk.places()).await;
    let failure = looked.map(|more| said.extend(more)).err();
    let output = Output { said, ..Output::text(text) }.next(question.map_or(Next::Go, Next::Agree));
    Ok(match failure {
        Some(failure) => output.failed(failure),
        None => output,
    })
}

/// Nobody may begin to run a pipeline that starts over, so the state is held meanwhile, or the run that holds it asked.
/// Returns whether there is one.
async fn commit(desk: &Desk, planned: &Planned) -> Result<bool, Failure> {
    if desk.is_within() || planned.difference.anew().is_empty() {
        let running = desk.is_running().await?;
        apply::commit(&desk.change().await?, planned, desk.places(), running).await?;
        return Ok(running);
    }
    match desk.places().state.open().await {
        Err(error) if error.is_held() => {
            apply::commit(&desk.change().await?, planned, desk.places(), true).await?;
            Ok(true)
        }
        held => {
            let held = Arc::new(held?);
            let store = DynStateStore::new(Arc::clone(&held));
            let done = apply::commit(&store, planned, desk.places(), false).await;
            state::give_back(&held).await;
            done.map(|_| false)
        }
    }
}
