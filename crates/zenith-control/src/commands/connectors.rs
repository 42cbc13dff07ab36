//! The databases that are read and written.

use serde::Serialize;

use super::command::View;
use super::desk::Desk;
use super::output::Output;
use crate::connect;
use crate::failure::Failure;
use crate::operations::connectors;
use crate::text::{Paint, table};

pub async fn list(desk: &Desk, view: View) -> Result<Output, Failure> {
    let shown = connectors::list(&desk.applied().await?);
    if view.json {
        return Ok(Output::json(&shown));
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
    Ok(Output::text(table(&["connector", "role", "address", "pipelines"], &rows)))
}

#[derive(Serialize)]
struct Tested<'a> {
    name: &'a str,
    role: &'a str,
    ok: bool,
    found: &'a str,
}

pub async fn test(desk: &Desk, name: &str, view: View, paint: Paint) -> Result<Output, Failure> {
    let (role, connector) = connectors::find(&desk.applied().await?, name)?;
    let pool = connect::pool(None, &desk.places)?;
    let found = connectors::line(name, role, &connector, &pool).await;
    if !view.json {
        return Ok(Output::text(format!("{} {name}  {}\n", paint.green("✓"), found?)));
    }
    let (ok, code, text) = match &found {
        Ok(text) => (true, 0, text.as_str()),
        Err(failure) => (false, failure.exit_code(), failure.message()),
    };
    Ok(Output::json(&Tested { name, role: role.as_str(), ok, found: text }).code(code))
}
