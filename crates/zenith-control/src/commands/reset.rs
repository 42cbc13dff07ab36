//! What moving a pipeline to another position means.

use std::time::SystemTime;

use zenith_engine::state::StateStore as _;

use super::desk::Desk;
use super::output::{Next, Output};
use crate::failure::Failure;
use crate::mismatches::counted;
use crate::reset::From;
use crate::{connect, time};

pub async fn plan(desk: &Desk, name: &str, from: &str) -> Result<Output, Failure> {
    let from: From = from.parse().map_err(Failure::Input)?;
    let config = desk.config().await?;
    let pipeline = connect::pipeline(&config, name)?;
    let now = SystemTime::now();
    let checkpoint = desk.look().await?.checkpoint(name).await?;
    let is_new = checkpoint.is_none();
    let is_at = match checkpoint {
        None => "has not begun".to_owned(),
        Some(checkpoint) => match checkpoint.source_time {
            Some(at) => {
                format!("is at {} (UTC), {} back", time::shown(at), time::duration(time::ago(at, now)))
            }
            None => format!("has {} behind it", counted(checkpoint.rows, "row")),
        },
    };
    let then = match &from {
        From::Now if is_new => "begins with the changes from now on: no document is read before".to_owned(),
        From::Now => "continues from now: changes up to now are skipped".to_owned(),
        From::Beginning if pipeline.settings.mode.follows_changes() => {
            "starts over: the collection is read from its beginning".to_owned()
        }
        From::Beginning => "begins at the first document again".to_owned(),
        From::Time(at) => format!("continues with the changes from {} (UTC) on", time::shown(*at)),
        From::Token(_) => "continues after that resume token".to_owned(),
    };
    let table = if is_new { "is made if it is not there" } else { "stays as it is" };
    let text = format!("{name} {is_at}; with this it {then}. The table {} {table}.\n", pipeline.table());
    Ok(Output::text(text).next(match is_new {
        true => Next::Go,
        false => Next::Agree("Its progress so far is forgotten. Go on?".to_owned()),
    }))
}
