//! The page of `zenith serve` in a real browser, before the real server between real databases.
//!
//! What is checked stands in `crates/zenith-server/browser`, in the language of pages; here are the databases, the server
//! and their data. `cargo xtask test` brings the browser; `ZENITH_TEST_SPECS=pause,letters` runs some of the specs, and
//! with `ZENITH_TEST_PICTURES=FOLDER` they leave pictures of the views.

#![allow(clippy::unwrap_used)]

#[path = "../harness.rs"]
#[allow(dead_code)]
mod harness;
#[path = "../home.rs"]
#[allow(dead_code)]
mod home;

mod asked;
mod data;
mod serve;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use harness::Bench;
use home::Home;
use tokio::process::Command;

/// More than all specs take on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(900);

#[tokio::test(flavor = "multi_thread")]
async fn every_view_in_a_browser() {
    for variable in ["ZENITH_TEST_BROWSER", "ZENITH_TEST_BROWSER_CLIENT"] {
        assert!(std::env::var_os(variable).is_some(), "{variable} is not set: cargo xtask test sets it");
    }
    let bench = Bench::new("page").await;
    data::fill(&bench).await;
    let home = Home::between(&bench);
    data::configure(&home);
    home.apply().await;
    let mut servers = serve::Servers::start(&home).await;
    data::trouble(&bench, &home).await;

    let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/zenith-server/browser/run.mjs");
    let mut node = Command::new("node");
    node.arg(specs).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut node = node.spawn().expect("node runs; install nodejs");
    let answering = asked::answer(&mut node, &bench, &mut servers);
    tokio::time::timeout(TIMEOUT, answering).await.expect("the specs end");
    let status = node.wait().await.unwrap();
    drop(servers);
    assert!(status.success(), "specs failed: see above");
    bench.remove().await;
}
