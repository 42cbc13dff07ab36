//! Which collections become which tables, and in which order. Everything that concerns all of them is refused here.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream;
use zenith_engine::transport::{ClickHouseSink, PreflightRequest};
use zenith_engine::{EngineError, Namespace, Pool, ReloadOptions, Sink as _, Target};

use super::one::{Job, Shared};
use crate::args::Copy;
use zenith_control::collections::listing::{Catalogue, Meant};
use zenith_control::collections::patterns::{Patterns, Plain};
use zenith_control::collections::tables;
use zenith_control::config::MEMORY_MIN;
use zenith_control::connect;

/// Collections that are copied side by side where nothing is said.
const PARALLEL: usize = 4;
/// Collections whose sizes are asked for side by side.
const SIZES: usize = 8;

/// What is to be done.
pub struct Plan {
    /// In their order.
    pub jobs: Vec<Job>,
    pub left_out: Vec<(Namespace, &'static str)>,
    /// How many of them at the same time.
    pub parallel: usize,
}

/// Something that is there, or a sentence that says what is wrong with the arguments.
type OrWrong<T> = Result<Result<T, String>, EngineError>;

/// Looks at both ends, and writes nothing.
pub async fn prepare<S: Catalogue>(
    arguments: &Copy,
    source: impl Future<Output = Result<S, EngineError>>,
    to: &str,
) -> OrWrong<(Plan, Shared<S>)> {
    let target = Target::parse(to)?;
    let parallel = match parallel(arguments) {
        Ok(parallel) => parallel,
        Err(message) => return Ok(Err(message)),
    };
    let template = arguments.table.as_deref().unwrap_or(tables::DEFAULT);
    if let Err(reason) = tables::check(template) {
        return Ok(Err(format!("--table {reason}")));
    }
    let mut options = ReloadOptions {
        create_database: arguments.create_database,
        replace: arguments.replace,
        ..arguments.options.clone().into()
    };
    options.check()?;
    if let Err(message) = connect::look_up_salts(&mut options.table, "") {
        return Ok(Err(message));
    }
    let source = source.await?;
    let (jobs, left_out) = match jobs(arguments, &source, template).await? {
        Ok(jobs) => jobs,
        Err(message) => return Ok(Err(message)),
    };
    let connection = arguments.connection.connection();
    let memory = usize::try_from(arguments.memory.as_u64()).unwrap_or(usize::MAX);
    let pool = match connection.wants_pool_in_file(&target).await {
        true => Pool::in_file(memory)?,
        false => Pool::new(memory)?,
    };
    let sink = ClickHouseSink::new(target, Some(pool.clone()), connection)?;
    let sink = Arc::new(sink.on_cluster(options.shape.on_cluster.clone()));
    // What is wrong with the target as a whole is told once, and not of each table.
    let look =
        PreflightRequest { missing_database: arguments.create_database, ..PreflightRequest::default() };
    sink.preflight(&look).await?;
    let plan = Plan { jobs, left_out, parallel };
    let share = memory / parallel;
    let mut shared = Shared::new(source, sink, pool, share, options);
    shared.is_dry = arguments.dry_run;
    Ok(Ok((plan, shared)))
}

/// How many collections are copied side by side: each needs the least memory there is any work with.
fn parallel(arguments: &Copy) -> Result<usize, String> {
    let most = usize::try_from(arguments.memory.as_u64() / MEMORY_MIN.as_u64()).unwrap_or(usize::MAX);
    match arguments.parallel {
        Some(parallel) if parallel > most => {
            let needed = MEMORY_MIN.as_u64().saturating_mul(u64::try_from(parallel).unwrap_or(u64::MAX));
            Err(format!(
                "--parallel {parallel} needs {} for each of them: say --memory {}MiB, or --parallel {most}",
                MEMORY_MIN.display().iec(),
                needed >> 20
            ))
        }
        Some(parallel) => Ok(parallel),
        None => Ok(PARALLEL.min(most)),
    }
}

/// The collections that are there, each with its table, the smallest first.
async fn jobs<S: Catalogue>(
    arguments: &Copy,
    source: &S,
    template: &str,
) -> OrWrong<(Vec<Job>, Vec<(Namespace, &'static str)>)> {
    let patterns = match Patterns::of(&arguments.collection, source.database(), Plain::Collection) {
        Ok(patterns) => patterns,
        Err(message) => return Ok(Err(message)),
    };
    let meant = Meant::of(source.list(&patterns).await?, &patterns, source.leaves_series_out());
    if let Some(message) = meant.idle {
        return Ok(Err(format!("{message}; nothing was written")));
    }
    let named = meant.collections.into_iter().map(|namespace| {
        let table = tables::name(template, &namespace);
        Job { namespace, table }
    });
    let named: Vec<Job> = named.collect();
    if let Some(collision) = tables::collision(named.iter().map(|job| (&job.namespace, &*job.table))) {
        return Ok(Err(format!(
            "{collision}, and nothing was written: say --table '{{db}}_{{collection}}', or leave one out with \
             --collection '!DATABASE.COLLECTION'"
        )));
    }
    let letters = &arguments.options.dead_letters;
    if let Some(job) = named.iter().find(|job| job.table == *letters) {
        return Ok(Err(format!(
            "the table of {} would be {letters}, which is that of dead letters: name another one with --dead-letters \
             NAME, or other tables with --table",
            job.namespace
        )));
    }
    Ok(Ok((by_size(source, named).await, meant.left_out)))
}

/// Those of unknown size come last.
async fn by_size<S: Catalogue>(source: &S, jobs: Vec<Job>) -> Vec<Job> {
    let sized = stream::iter(jobs).map(|job| async {
        let bytes = source.bytes(&job.namespace).await;
        ((bytes.is_none(), bytes, job.namespace.clone()), job)
    });
    let sized: BTreeMap<_, _> = sized.buffer_unordered(SIZES).collect().await;
    sized.into_values().collect()
}
