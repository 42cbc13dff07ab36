//! Looks at everything a pipeline needs, one line for each, and changes nothing.

use std::time::Duration;

use zenith_arrow::Schema;
use zenith_extract::{ChangeSource, ExtractError, Scope, Source, Topology};
use zenith_state::StateStore;
use zenith_transport::{PreflightRequest, Sink};

use super::Replicator;
use super::context::{Context, left_behind};
use super::other_columns::other_columns;
use crate::EngineError;
use crate::error::sentence;
use crate::layout::Layout;
use crate::names::ViewState;
use crate::policies::{Mode, OnHistoryLost};
use crate::reload::ReloadPlan;
use crate::sentence::counted;

/// An oplog that holds less than this is lost by an ordinary night's outage.
const WINDOW_SHORT: Duration = Duration::from_secs(24 * 3600);

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The name of the check.
    pub what: String,
    /// The finding, or the fault and its remedy.
    pub found: Result<String, String>,
    /// The setting that is at fault.
    pub setting: Option<&'static str>,
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Replicator<S, K, T> {
    /// Checks both ends of a pipeline.
    pub async fn check(&self, name: &str) -> Vec<Check> {
        match self.context(name) {
            Ok(context) => check(&context).await,
            Err(error) => vec![fault("pipeline", &error)],
        }
    }

    /// What the first run of a pipeline would make: columns and table. Writes nothing.
    ///
    /// # Errors
    /// [`EngineError::Setting`] if there is no pipeline of that name; as a reload, if an end cannot be used or a table is in
    /// the way.
    pub async fn plan(&self, name: &str) -> crate::Result<ReloadPlan> {
        let context = self.context(name)?;
        match context.settings.mode {
            Mode::Full => context.plan(&context.reload(true)).await,
            _ => Ok(context.plan_first().await?.0),
        }
    }
}

/// What was found so far.
#[derive(Default)]
struct Findings(Vec<Check>);

impl Findings {
    fn note(&mut self, what: &str, found: crate::Result<String>) {
        self.0.push(match found {
            Ok(found) => Check { what: what.to_owned(), found: Ok(found), setting: None },
            Err(error) => fault(what, &error),
        });
    }
}

fn fault(what: &str, error: &EngineError) -> Check {
    let setting = match error {
        EngineError::Setting { setting, .. } => Some(*setting),
        EngineError::Source(ExtractError::Filter { .. }) => Some("filter"),
        _ => None,
    };
    Check { what: what.to_owned(), found: Err(sentence(error)), setting }
}

async fn check<S, K, T>(context: &Context<S, K, T>) -> Vec<Check>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    let mut findings = Findings::default();
    let is_usable = look_at_source(context, &mut findings).await;
    let target = context.sink.preflight(&wanted(context)).await;
    let is_reachable = target.is_ok();
    findings.note(
        "target",
        target.map_err(Into::into).map(|found| {
            let missing = if found.database_exists { "" } else { " (will be created)" };
            format!("ClickHouse {}, database {}{missing} as {}", found.version, found.database, found.user)
        }),
    );
    if is_usable && is_reachable {
        findings.note("target table", table(context).await);
        if let Err(error) = context.refuse_others().await {
            findings.note("owner", Err(error));
        }
    }
    if is_reachable {
        look_at_names(context, &mut findings).await;
    }
    findings.0
}

/// Gives back whether the collection can be read in this mode.
async fn look_at_source<S, K, T>(context: &Context<S, K, T>, findings: &mut Findings) -> bool
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    let source = context.source.preflight(&context.namespace).await;
    let is_readable = source.is_ok();
    let kind = source.as_ref().map_or(Ok(()), |found| context.check_kind(found.collection.kind));
    findings.note(
        "source",
        source.map_err(Into::into).map(|found| {
            let matching = if context.settings.options.is_filtered() { " that match the filter" } else { "" };
            let documents = found.collection.size.map_or_else(String::new, |size| {
                format!(", about {}{matching}", counted(size.documents, size.documents, "document"))
            });
            format!("MongoDB {}, {}{documents}", found.server_version, context.namespace)
        }),
    );
    if let Err(error) = kind {
        findings.note("mode", Err(error));
        return false;
    }
    if context.settings.mode.follows_changes() {
        look_at_changes(context, findings).await;
    }
    is_readable
}

async fn look_at_changes<S, K, T>(context: &Context<S, K, T>, findings: &mut Findings)
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    let found = match context.source.change_preflight(std::slice::from_ref(&context.namespace)).await {
        Ok(found) => found,
        Err(error) => return findings.note("change stream", Err(error.into())),
    };
    findings.note("change stream", Ok(format!("{} on {}", scope(&found.scope), topology(&found.topology))));
    let window = match found.oplog_window {
        None => "unknown: this user has no read access to the database local".to_owned(),
        Some(window) if window < WINDOW_SHORT => format!(
            "{}: a pipeline that is stopped for longer has to be reloaded; a larger oplog keeps more",
            hours(window)
        ),
        Some(window) => hours(window),
    };
    findings.note("oplog window", Ok(window));
    look_at_headroom(context, findings).await;
}

/// For how long the source still has the changes since the checkpoint, if there is one and the source forgets any.
async fn look_at_headroom<S, K, T>(context: &Context<S, K, T>, findings: &mut Findings)
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    let place = match context.state.checkpoint(&context.name).await {
        Ok(checkpoint) => checkpoint.and_then(|checkpoint| checkpoint.source_time),
        Err(error) => return findings.note("oplog headroom", Err(error.into())),
    };
    let (Some(place), Ok(Some(oldest))) = (place, context.source.oldest_change().await) else { return };
    let reloads = context.settings.on_history_lost == OnHistoryLost::Reload;
    let found = match place.duration_since(oldest) {
        Err(_) if reloads => Ok("lost: the table is loaded again".to_owned()),
        Err(_) => Err(EngineError::HistoryLost {
            pipeline: context.name.clone(),
            namespace: context.namespace.to_string(),
        }),
        Ok(left) if left < context.settings.min_headroom => Ok(format!(
            "MongoDB forgets the changes since the checkpoint in about {} min: run the pipeline, or give MongoDB a \
             larger oplog (replSetResizeOplog)",
            left.as_secs() / 60
        )),
        Ok(left) => Ok(format!("about {}", hours(left))),
    };
    findings.note("oplog headroom", found);
}

/// What has, or will have, the names that follow from that of the table.
async fn look_at_names<S, K, T>(context: &Context<S, K, T>, findings: &mut Findings)
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    if let Some(view) = context.settings.view_of(&context.table) {
        findings.note("view", looked_at_view(context, &view).await);
    }
    for leftover in context.leftovers().await {
        findings.note("left behind", Ok(left_behind(&leftover)));
    }
    let name = &context.settings.options.dead_letters;
    let letters = context.look_at_dead_letters().await.map(|is_there| match is_there {
        true => format!("{name} exists"),
        false => format!("{name} will be created with the first dead letter"),
    });
    findings.note("dead letters", letters);
}

/// What a run needs of the target.
fn wanted<S, K, T>(context: &Context<S, K, T>) -> PreflightRequest
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    PreflightRequest {
        create_database: false,
        missing_database: context.settings.create_database,
        versions: context.layout().has_versions(),
    }
}

/// Whether the table is there and fits.
async fn table<S, K, T>(context: &Context<S, K, T>) -> crate::Result<String>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    let mut begun = !context.state.schemas(&context.name).await?.is_empty();
    // A log begins again by a snapshot, or not at all.
    if context.layout() == Layout::Log && context.begins_with_load().await? {
        begun = false;
    }
    if begun && context.settings.mode != Mode::Full {
        let schema = context.schema().await?;
        context.guard_target().await?;
        let differences = differences(context, schema.as_ref()).await?;
        return Ok(format!("{} exists{differences}", context.table));
    }
    let planned = match context.settings.mode {
        Mode::Full => context.plan(&context.reload(true)).await.map(|plan| (plan, false)),
        _ => context.plan_first().await,
    };
    // A table that somebody else made is not replaced by a first load into another one.
    if planned.as_ref().is_ok_and(|(plan, _)| plan.existing.is_some())
        && context.begins_with_load().await?
        && let Err(taken @ EngineError::NameTaken { .. }) = context.plan(&context.reload(true)).await
    {
        return Err(taken);
    }
    match planned {
        Ok((plan, is_replaced)) => Ok(match plan.existing {
            Some(existing) if is_replaced => format!(
                "{} exists with {}, and will be loaded again by the first run",
                context.table,
                counted(existing.rows, existing.rows, "row")
            ),
            Some(existing) => {
                let differences = plan.differences.iter().fold(String::new(), |all, each| all + "; " + each);
                format!(
                    "{} exists with {}{differences}",
                    context.table,
                    counted(existing.rows, existing.rows, "row")
                )
            }
            None => format!("{} will be created with {} columns", context.table, plan.columns.len()),
        }),
        // Of a database that will be created nothing can be said.
        Err(EngineError::Sink(error)) if error.is_unknown_database() => {
            Ok(format!("{} will be created", context.table))
        }
        Err(error) => Err(error),
    }
}

/// Whether the table that is there is the one that the settings ask for, or how it differs from what a load makes.
async fn differences<S, K, T>(context: &Context<S, K, T>, schema: Option<&Schema>) -> crate::Result<String>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    let shape = &context.settings.shape;
    let Some(table) = context.sink.describe(&context.table).await? else { return Ok(String::new()) };
    let mut differences = shape.differences(&table, context.layout().rows());
    if let Some(schema) = schema {
        differences.extend(other_columns(&context.settings, &context.namespace, schema, &table));
    }
    if differences.is_empty() {
        return Ok(" and has the columns of the pipeline".to_owned());
    }
    let remedy = match context.layout() {
        Layout::Log => "a change log keeps its table: name another one to have it".to_owned(),
        _ if context.settings.refused_load().is_some() => {
            "it keeps rows of documents that are gone, and is not loaded again: name another table to have it"
                .to_owned()
        }
        _ => format!("zenith reload {} makes it so", context.name),
    };
    Ok(format!(" with {}: {remedy}", differences.join(", and ")))
}

/// Whether the view is there and shows the columns of the table.
async fn looked_at_view<S, K, T>(context: &Context<S, K, T>, view: &str) -> crate::Result<String>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    let begun = !context.state.schemas(&context.name).await?.is_empty();
    let is_of_log = context.layout() == Layout::Log;
    let state = context.look_at_view(view, true).await?;
    if begun && is_of_log && context.log_begins().await?.is_none() {
        return Ok(format!(
            "{view} is not kept: the log has not all changes since a snapshot, as it began without one or was reset; another \
             table (table = \"…\") begins with one"
        ));
    }
    let exactness = if is_of_log { exactness(context).await? } else { "" };
    Ok(match state {
        ViewState::Fits => format!("{view} exists{exactness}"),
        ViewState::Stale => format!("{view} will be renewed by the next run"),
        ViewState::Missing if begun => {
            format!("{view} is missing, and will be created again by the next run")
        }
        ViewState::Missing => format!("{view} will be created{exactness}"),
    })
}

/// How exactly the rows of updates show their time.
async fn exactness<S, K, T>(context: &Context<S, K, T>) -> crate::Result<&'static str>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    Ok(match context.has_images().await? {
        true => ", exact, as the collection keeps images",
        false => {
            "; documents of updates are looked up, and may show later changes as well: only of a collection that keeps images \
             (changeStreamPreAndPostImages) is it exact"
        }
    })
}

fn scope(scope: &Scope) -> String {
    match scope {
        Scope::Cluster => "of the whole deployment".to_owned(),
        Scope::Database(name) => format!("of the database {name}"),
        Scope::Collection(namespace) => format!("of {namespace}"),
    }
}

fn topology(topology: &Topology) -> String {
    match topology {
        Topology::ReplicaSet(name) => format!("the replica set {name}"),
        Topology::Sharded => "a sharded cluster".to_owned(),
        Topology::Standalone => "a server on its own".to_owned(),
        Topology::InMemory => "documents in memory".to_owned(),
        Topology::Files => "files of a dump".to_owned(),
    }
}

fn hours(window: Duration) -> String {
    let hours = window.as_secs() / 3600;
    match (hours, window.as_secs() / 60) {
        (0, 0) => "less than a minute so far".to_owned(),
        (0, minutes) => format!("{minutes} minutes so far"),
        _ => format!("{hours} hours"),
    }
}
