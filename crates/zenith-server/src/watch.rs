//! How all pipelines stand, looked at now and then: often while somebody watches, seldom while nobody does.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{Notify, watch};
use zenith_control::failure::Failure;
use zenith_control::run::running::Views;
use zenith_control::state::Places;
use zenith_control::status::Report;
use zenith_control::status::json::{ReportJson, json};
use zenith_control::time;
use zenith_engine::PipelineProgress;
use zenith_engine::state::{AnyStore, StateStore as _};

use crate::counters::{AllCounters, Counters, Seen};
use crate::series::Series;

/// Between two looks while somebody watches.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Between two looks while nobody does.
const LOOK_SELDOM: Duration = Duration::from_secs(10);
/// Looking may take this part of the time of one processor.
const LOOK_SHARE: u32 = 20;
/// Somebody watches for so long after a look was asked for.
const WATCHED_FOR: Duration = Duration::from_secs(15);
/// How long the first look may take, and how long another is waited for.
const FIRST_WITHIN: Duration = Duration::from_secs(5);
const NEXT_WITHIN: Duration = Duration::from_millis(250);
/// A run that has just begun may lag for so long.
const GRACE: Duration = Duration::from_secs(30);

/// All pipelines at one moment.
#[derive(Debug)]
pub struct Look {
    /// When it was taken, by the clock.
    pub at: SystemTime,
    /// When it was taken, by a clock that is never set.
    pub taken: Instant,
    /// How all that are applied stand, also those that the run leaves out; `None` before the first look.
    pub whole: Option<Arc<Report>>,
    /// How those of the run stand.
    pub report: ReportJson,
    /// What those that run are doing, by name.
    pub progress: HashMap<String, PipelineProgress>,
    /// The newest version of each schema, by pipeline.
    pub schema_versions: BTreeMap<String, u32>,
}

impl Look {
    /// One pipeline.
    #[must_use]
    pub fn pipeline(&self, name: &str) -> Option<&zenith_control::status::json::PipelineJson> {
        self.report.pipelines.iter().find(|pipeline| pipeline.name == name)
    }
}

/// Looks at pipelines. Clones share what they see.
#[derive(Clone)]
pub struct Watch(Arc<Shared>);

struct Shared {
    latest: watch::Sender<Arc<Look>>,
    series: Mutex<HashMap<String, Series>>,
    counters: Mutex<AllCounters>,
    asked: Mutex<Option<Instant>>,
    wake: Notify,
}

impl Watch {
    /// Nothing has been seen yet.
    #[must_use]
    pub fn new() -> Watch {
        let report = ReportJson {
            ok: true,
            running: true,
            at: time::rfc3339(SystemTime::now()),
            complaints: Vec::new(),
            pipelines: Vec::new(),
            templates: Vec::new(),
            oplog_window_seconds: BTreeMap::new(),
        };
        let nothing = Look {
            at: SystemTime::UNIX_EPOCH,
            taken: Instant::now(),
            whole: None,
            report,
            progress: HashMap::new(),
            schema_versions: BTreeMap::new(),
        };
        Watch(Arc::new(Shared {
            latest: watch::Sender::new(Arc::new(nothing)),
            series: Mutex::default(),
            counters: Mutex::default(),
            asked: Mutex::default(),
            wake: Notify::new(),
        }))
    }

    /// The last look, without waiting for another unless there was none yet.
    pub async fn last(&self) -> Arc<Look> {
        let last = self.0.latest.borrow().clone();
        if last.at == SystemTime::UNIX_EPOCH {
            return self.look(Duration::ZERO).await;
        }
        self.attend();
        last
    }

    /// The last look, if it is not older than `age`, else a new one; the last one as well if none comes in time: that of a
    /// thousand pipelines takes a while.
    pub async fn look(&self, age: Duration) -> Arc<Look> {
        self.keep_attending();
        self.fresh(age).await
    }

    /// The same, of which nothing follows: nobody watches.
    pub async fn fresh(&self, age: Duration) -> Arc<Look> {
        let mut looks = self.0.latest.subscribe();
        let last = looks.borrow_and_update().clone();
        if time::ago(last.at, SystemTime::now()) <= age {
            return last;
        }
        self.0.wake.notify_one();
        let patience = if last.at == SystemTime::UNIX_EPOCH { FIRST_WITHIN } else { NEXT_WITHIN };
        match tokio::time::timeout(patience, looks.changed()).await {
            Ok(Ok(())) => looks.borrow().clone(),
            _ => last,
        }
    }

    /// Looks from now on; whoever waits for them watches.
    pub fn looks(&self) -> watch::Receiver<Arc<Look>> {
        self.0.latest.subscribe()
    }

    /// That somebody watches.
    pub fn attend(&self) {
        self.keep_attending();
        self.0.wake.notify_one();
    }

    /// That somebody still watches.
    pub fn keep_attending(&self) {
        *self.0.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// The course of a pipeline in the last hour.
    pub fn series<T>(&self, pipeline: &str, read: impl FnOnce(&Series) -> T) -> Option<T> {
        self.0.series.lock().unwrap_or_else(PoisonError::into_inner).get(pipeline).map(read)
    }

    /// What a pipeline of `zenith.toml` has done since the server began.
    #[must_use]
    pub fn counters(&self, name: &str) -> Counters {
        self.0.counters.lock().unwrap_or_else(PoisonError::into_inner).of(name)
    }

    fn is_watched(&self) -> bool {
        let asked = *self.0.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.is_some_and(|asked| asked.elapsed() < WATCHED_FOR)
    }

    /// Looks until dropped; at these pipelines only, and at those of these templates, unless there are no names.
    ///
    /// # Errors
    /// If the state cannot be opened; later failures are logged, and looked over.
    pub async fn run(&self, places: &Places, views: &Views, names: &[String]) -> Result<(), Failure> {
        let store = places.look().await?;
        loop {
            let begun = Instant::now();
            match self.read(places, &store, views, names).await {
                Ok(look) => self.publish(look),
                Err(failure) => {
                    tracing::warn!(error = failure.message(), "the status cannot be read");
                }
            }
            let took = begun.elapsed();
            let pause = if self.is_watched() { LOOK_EVERY } else { LOOK_SELDOM };
            let pause = pause.max(took * LOOK_SHARE);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.0.wake.notified() => {
                    // Those who ask at once are answered by one look, and no look follows another without a pause.
                    tokio::time::sleep((took * LOOK_SHARE).min(LOOK_EVERY).saturating_sub(begun.elapsed())).await;
                }
            }
        }
    }

    async fn read(
        &self,
        places: &Places,
        store: &AnyStore,
        views: &Views,
        names: &[String],
    ) -> Result<Look, Failure> {
        let whole = Arc::new(Report::read(places, store, None).await?);
        let mut report = Report::clone(&whole);
        // Those that were left out are none of this run.
        let is_meant = |name: &String| names.is_empty() || names.contains(name);
        report.pipelines.retain(|it| is_meant(&it.name) || it.template.as_ref().is_some_and(is_meant));
        report.templates.retain(|template| is_meant(&template.name));
        let complaints = report.complaints(None, GRACE);
        let mut report = json(&report, complaints);
        let progress: HashMap<String, PipelineProgress> =
            views.progress().into_iter().map(|progress| (progress.name.clone(), progress)).collect();
        report.running = true;
        let schema_versions = store.schema_versions().await?;
        Ok(Look {
            at: SystemTime::now(),
            taken: Instant::now(),
            whole: Some(whole),
            report,
            progress,
            schema_versions,
        })
    }

    fn publish(&self, look: Look) {
        let mut series = self.0.series.lock().unwrap_or_else(PoisonError::into_inner);
        series.retain(|name, _| look.pipeline(name).is_some());
        for pipeline in &look.report.pipelines {
            let course = series.entry(pipeline.name.clone()).or_default();
            course.see(look.at, pipeline.lag_seconds, look.progress.get(&pipeline.name));
        }
        let seen = look.report.pipelines.iter().map(|pipeline| Seen {
            pipeline,
            versions: look.schema_versions.get(&pipeline.name).copied().unwrap_or_default(),
            run_rows: look.progress.get(&pipeline.name).map_or(0, |it| it.counters.rows_written),
            totals: series.get(&pipeline.name).map(Series::totals).unwrap_or_default(),
        });
        self.0.counters.lock().unwrap_or_else(PoisonError::into_inner).see(&look.report, seen);
        drop(series);
        self.0.latest.send_replace(Arc::new(look));
    }
}

impl Default for Watch {
    fn default() -> Watch {
        Watch::new()
    }
}
