//! `zenith copy`: wires a source, a sink and a pipeline, and shows what comes of it.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use zenith_engine::transport::{ClickHouseSink, SendReport};
use zenith_engine::{
    EngineError, FileSource, MongoSource, Namespace, Pipeline, Pool, ReloadOptions, ReloadPlan, Source,
    Strategy, Summary, Target,
};

use crate::args::Copy;
use crate::progress::{self, Display};
use crate::signals::Signals;
use crate::terminal::print;
use crate::{copies, exit};
use zenith_control::address::Origin;
use zenith_control::{address, connect, summary};

/// Runs the command.
pub async fn run(arguments: &Copy) -> ExitCode {
    let (from, to) =
        match (address::origin(&arguments.from, "--from"), address::resolve(&arguments.to, "--to")) {
            (Ok(from), Ok(to)) => (from, to),
            (Err(message), _) | (_, Err(message)) => return exit::input(&message),
        };
    let ended = match (&from, copies::are_meant(arguments)) {
        (Origin::Database(uri), false) => copy(arguments, database(arguments, uri), &to).await,
        (Origin::Dump(path), false) => copy(arguments, dump(arguments, path), &to).await,
        (Origin::Database(uri), true) => {
            let source = async { Ok(MongoSource::connect(uri).await?) };
            copies::copy(arguments, source, &to).await
        }
        (Origin::Dump(path), true) => {
            copies::copy(arguments, async { Ok(FileSource::open(path)?) }, &to).await
        }
    };
    match ended {
        Ok(code) => code,
        Err(error) => exit::error(&error),
    }
}

/// Something that is there, or a sentence that says what is missing in the arguments.
type OrMissing<T> = Result<Result<T, String>, EngineError>;

/// Copies from a source that is being opened.
async fn copy<S: Source>(
    arguments: &Copy,
    source: impl Future<Output = OrMissing<(S, Namespace)>>,
    to: &str,
) -> Result<ExitCode, EngineError> {
    let mut signals = match Signals::catch() {
        Ok(signals) => signals,
        Err(error) => return Ok(exit::failed(&format!("cannot catch signals: {error}"))),
    };
    // Nothing is written before the plan stands: until then there is nothing to clean up.
    let prepared = tokio::select! {
        prepared = prepare(arguments, source, to) => prepared?,
        () = signals.next() => {
            progress::say("zenith: stopped; nothing was written");
            return Ok(ExitCode::from(exit::STOPPED));
        }
    };
    let (pipeline, plan, sink) = match prepared {
        Ok(prepared) => prepared,
        Err(message) => return Ok(exit::input(&message)),
    };
    if arguments.replace && plan.is_followed() {
        return Ok(exit::input(&followed(&plan)));
    }
    zenith_engine::table_is_free(&*sink, &plan.definition.name).await?;
    if arguments.dry_run {
        print_plan(arguments, &plan)?;
        return Ok(ExitCode::SUCCESS);
    }
    tracing::info!(
        mongodb = Some(&*plan.source.server_version).filter(|version| !version.is_empty()),
        clickhouse = %plan.target.version,
        sampled = plan.sampled,
        columns = plan.columns.len(),
        readers = plan.readers,
        "planned"
    );
    signals.stop(pipeline.stop_handle());
    for leftover in &plan.leftovers {
        tracing::warn!("an earlier copy left the table {leftover} behind; drop it if no copy is running");
    }
    let display = (!arguments.quiet).then(|| Display::start(pipeline.progress()));
    let outcome = pipeline.execute(&plan).await;
    drop(display);
    match outcome {
        Ok(summary) => {
            tracing::info!(table = summary.table, rows = summary.rows, inserts = summary.inserts, "copied");
            print_summary(arguments, &summary, sink.send_report());
            let mismatches = summary.mismatches();
            let (values, documents) = (mismatches.values_total(), mismatches.documents_total());
            Ok(exit::within(&arguments.allowed.exceeded(&summary.table, values, documents)))
        }
        Err(error @ (EngineError::Stopped | EngineError::StoppedLeaving { .. })) => {
            let said = if matches!(error, EngineError::Stopped) { stopped(&plan) } else { error.to_string() };
            progress::say(&format!("zenith: {said}"));
            Ok(ExitCode::from(exit::STOPPED))
        }
        Err(error) => Err(error),
    }
}

/// Why a table that a pipeline writes is not replaced.
pub fn followed(plan: &ReloadPlan) -> String {
    let table = &plan.definition.name;
    format!(
        "the table {table} is kept in step by a pipeline, as its column _zenith_version says, and the pipeline could not \
         go on with a copy in its place: load it again with `zenith reload NAME`, copy into another table with --table \
         NAME, or drop {table} first if no pipeline writes it any more"
    )
}

/// A database, and the collection of it.
async fn database(arguments: &Copy, uri: &str) -> OrMissing<(MongoSource, Namespace)> {
    let Some(collection) = arguments.collection.first() else {
        return Ok(Err("the collection to copy is not named: say --collection NAME".to_owned()));
    };
    let source = MongoSource::connect(uri).await?;
    let Some(database) = source.default_database().map(str::to_owned) else {
        let address = source.address();
        return Ok(Err(format!("{address} names no database: write it as mongodb://HOST:PORT/DATABASE")));
    };
    Ok(Ok((source, Namespace::new(database, collection))))
}

/// A dump, and the collection of it.
async fn dump(arguments: &Copy, path: &Path) -> OrMissing<(FileSource, Namespace)> {
    let mut source = FileSource::open(path)?;
    if let Some(collection) = arguments.collection.first() {
        source = source.named(collection);
        let namespace = source.find(collection)?;
        return Ok(Ok((source, namespace)));
    }
    let Some(namespace) = source.single().cloned() else {
        let known: Vec<String> = source.collections().map(ToString::to_string).collect();
        let there = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let path = path.display();
        return Ok(Err(format!(
            "the collection of {path} to copy is not named: say --collection NAME; there: {there}"
        )));
    };
    Ok(Ok((source, namespace)))
}

/// Opens both ends and plans the copy.
async fn prepare<S: Source>(
    arguments: &Copy,
    source: impl Future<Output = OrMissing<(S, Namespace)>>,
    to: &str,
) -> OrMissing<(Pipeline<S, Arc<ClickHouseSink>>, ReloadPlan, Arc<ClickHouseSink>)> {
    let target = Target::parse(to)?;
    let (source, namespace) = match source.await? {
        Ok(opened) => opened,
        Err(message) => return Ok(Err(message)),
    };
    let mut options = options(arguments);
    // What is wrong with a salt is told before the reference is followed.
    options.check()?;
    if let Err(message) = connect::look_up_salts(&mut options.table, "") {
        return Ok(Err(message));
    }
    let connection = arguments.connection.connection();
    let pool = match connection.wants_pool_in_file(&target).await {
        true => Pool::in_file(options.memory)?,
        false => Pool::new(options.memory)?,
    };
    let sink = ClickHouseSink::new(target, Some(pool.clone()), connection)?;
    let sink = Arc::new(sink.on_cluster(options.shape.on_cluster.clone()));
    let mut builder = Pipeline::builder()
        .source(source)
        .sink(Arc::clone(&sink))
        .pool(pool)
        .namespace(namespace)
        .options(options);
    if let Some(table) = &arguments.table {
        builder = builder.table(table);
    }
    let pipeline = builder.build()?;
    let plan = pipeline.plan().await?;
    Ok(Ok((pipeline, plan, sink)))
}

fn stopped(plan: &ReloadPlan) -> String {
    let table = &plan.definition.name;
    match (plan.strategy, &plan.existing) {
        (Strategy::Swap, Some(_)) => {
            format!("stopped; the shadow table was dropped, and {table} is as it was")
        }
        (Strategy::Swap, None) => {
            format!("stopped; the shadow table was dropped, and {table} was not created")
        }
        (Strategy::Truncate, _) => {
            format!("stopped; {table} holds only the rows loaded so far: copy again to fill it")
        }
    }
}

fn print_summary(arguments: &Copy, summary: &Summary, sent: Option<SendReport>) {
    if arguments.json {
        print(&format!("{}\n", summary::summary_json(summary, sent)));
    } else if !arguments.quiet {
        print(&summary::summary_text(summary, sent));
    }
}

fn print_plan(arguments: &Copy, plan: &ReloadPlan) -> Result<(), EngineError> {
    let statement = plan.create_statement()?;
    let filter = arguments.options.filter.as_deref();
    if arguments.json {
        print(&format!("{}\n", summary::plan_json(plan, &statement, filter)));
    } else {
        print(&summary::plan_text(plan, &statement, filter));
    }
    Ok(())
}

fn options(arguments: &Copy) -> ReloadOptions {
    ReloadOptions {
        memory: usize::try_from(arguments.memory.as_u64()).unwrap_or(usize::MAX),
        create_database: arguments.create_database,
        replace: arguments.replace,
        shape: arguments.shape.clone(),
        ..arguments.options.clone().into()
    }
}
