//! `zenith serve`: keeps the tables in step, and shows and changes that over HTTP.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use zenith_control::alerts::{Keeper, Reports, Telling};
use zenith_control::config::file;
use zenith_control::failure::{Failure, code};
use zenith_control::notices::Notices;
use zenith_control::run::open::{self, Opened, Wanted};
use zenith_control::run::supervisor::{End, Supervisor};
use zenith_control::state::Places;
use zenith_engine::Until;
use zenith_server::access::Access;
use zenith_server::api::{self, configuration};
use zenith_server::assets::Assets;
use zenith_server::listen::{Listener, TlsFiles};
use zenith_server::log::{Log, Severity};
use zenith_server::server::{Options, Served, Server};
use zenith_server::systemd;

use crate::args::Serve;
use crate::exit::Ending;
use crate::lease;
use crate::progress::say;
use crate::reach::Context;
use crate::signals::Signals;

/// How long a stop may take; what has not been saved by then is done again by the next run.
const STOP_WITHIN: Duration = Duration::from_secs(8);

/// How old a report of the watch may be that alerts are looked for in.
const REPORT_AGE: Duration = Duration::from_secs(3);

pub async fn run(arguments: &Serve, log: Log, context: &Context) -> Ending {
    context.only_here("zenith serve", "it is a server itself")?;
    let uncaught = |error| Failure::Failed(format!("cannot catch signals: {error}"));
    let mut signals = Signals::catch().map_err(uncaught)?;
    let hangup = signal(SignalKind::hangup()).map_err(uncaught)?;
    let places = Places::find(&arguments.place)?;
    let access = access(arguments)?;
    let tls = tls(arguments);
    let listener = Listener::bind(arguments.listen, tls.as_ref()).await?;
    let address = listener.address().unwrap_or(arguments.listen);
    let wanted = Wanted {
        names: arguments.names.clone(),
        memory: arguments.memory,
        until: Until::Stopped,
        stays: true,
    };
    let opened = tokio::select! {
        opened = open::open(&places, wanted, notices(&log)) => opened?,
        () = signals.next() => {
            say("zenith: stopped; nothing was begun");
            return Ok(ExitCode::SUCCESS);
        }
    };
    let Opened { mut supervisor, shared, greeting, held } = opened;
    lease::watch(&held);
    let scheme = if tls.is_some() { "https" } else { "http" };
    let served = Served {
        places,
        store: shared.store,
        pool: shared.pool,
        memory: shared.memory,
        views: supervisor.views(),
        names: arguments.names.clone(),
        log,
    };
    let options = Options { access, hosts: arguments.hosts.clone(), assets: arguments.assets.clone() };
    let server = Server::new(served, options);
    let keeper = keeper(&server)?;
    say(&format!("zenith: {greeting}; {} {scheme}://{address}", what_is_there(arguments)));
    let alerts = Telling::start(&keeper);
    let serving = tokio::spawn(listener.serve(api::router(server.clone()), server.stop.subscribe()));
    let watching = tokio::spawn(watch(server.clone(), hangup, keeper));
    let end = tokio::select! {
        end = supervisor.run() => Some(end),
        () = signals.next() => None,
    };
    systemd::stopping();
    server.stop.send_replace(true);
    if tokio::join!(stopped(end.as_ref(), &mut supervisor, signals), alerts.stop()).0 {
        lease::give_back(&held).await;
    }
    watching.abort();
    // It ends by itself once it has been asked to.
    let _ = serving.await;
    end.transpose().map(|_| ExitCode::SUCCESS)
}

fn what_is_there(arguments: &Serve) -> &'static str {
    match Assets::new(arguments.assets.clone()).has_page() {
        true => "the page is at",
        false => "this binary has no page, and the API is at",
    }
}

/// Applies zenith.toml again at each SIGHUP.
async fn follow_file(server: &Server, alerts: &Keeper, mut hangup: Signal) {
    while hangup.recv().await.is_some() {
        // What is wrong with the file itself is told below.
        let process = file::process(&server.served.places.file);
        let followed = process.map_or(Ok(()), |process| alerts.follow(&process.alerts));
        if let Err(failure) = followed {
            let error = failure.message();
            say(&format!("zenith: alerts are sent as before: {error}"));
            server.served.log.add(Severity::Error, None, error);
        }
        match configuration::apply_file(server).await {
            Ok(what) => {
                say(&format!("zenith: applied {} again: {what}", server.served.places.file.display()))
            }
            Err(failure) => {
                let error = failure.message();
                say(&format!("zenith: nothing was applied: {error}"));
                server.served.log.add(Severity::Error, None, error);
            }
        }
    }
}

/// Stops the pipelines, if they are still running, and says whether none runs any more.
async fn stopped(end: Option<&Result<End, Failure>>, supervisor: &mut Supervisor, signals: Signals) -> bool {
    if end.is_none() {
        say("zenith: stopping; press again to stop at once");
    }
    // It goes on until it is stopped, so that any other end is a failure, and leaves pipelines running.
    if end.is_some_and(Result::is_ok) {
        return true;
    }
    signals.end_at_next();
    super::stopped(supervisor, STOP_WITHIN).await
}

/// Who tells of alerts, out of the reports of the watch, which looks anyway.
fn keeper(server: &Server) -> Result<Arc<Keeper>, Failure> {
    let (served, watch) = (&server.served, server.watch.clone());
    let reports = Reports::Latest(Box::new(move || {
        let watch = watch.clone();
        Box::pin(async move { watch.fresh(REPORT_AGE).await.whole.clone() })
    }));
    Keeper::open(&served.places.process.alerts, reports, served.store.clone(), &served.names)
}

/// Looks at the pipelines, tells systemd, and follows zenith.toml, until dropped.
async fn watch(server: Server, hangup: Signal, alerts: Arc<Keeper>) {
    let watching = async {
        let served = &server.served;
        if let Err(failure) = server.watch.run(&served.places, &served.views, &served.names).await {
            tracing::error!(error = failure.message(), "the pipelines cannot be looked at");
        }
    };
    #[cfg(feature = "otel")]
    let watching = async { tokio::join!(watching, crate::telemetry::metrics::export(&server)) };
    tokio::join!(watching, systemd::keep(&server), follow_file(&server, &alerts, hangup));
}

fn tls(arguments: &Serve) -> Option<TlsFiles> {
    let files = arguments.tls_cert.clone().zip(arguments.tls_key.clone());
    files.map(|(certificate, key)| TlsFiles { certificate, key })
}

fn access(arguments: &Serve) -> Result<Access, Failure> {
    match &arguments.token_file {
        Some(path) => Access::read(path),
        None if arguments.listen.ip().is_loopback() => Ok(Access::default()),
        None => Err(Failure::known(
            code::OPEN_TO_ALL,
            format!(
                "{} can be reached from other machines, and anybody there could change what is run: name a file of tokens \
                 (--token-file), or listen on 127.0.0.1 behind a proxy",
                arguments.listen
            ),
        )),
    }
}

/// What the run says is a line of the log as well.
fn notices(log: &Log) -> Notices {
    let log = log.clone();
    Notices::new(move |about, sentence| {
        log.add(Severity::Error, about, sentence);
        match about {
            Some(about) => say(&format!("zenith: {about}: {sentence}")),
            None => say(&format!("zenith: {sentence}")),
        }
    })
}
