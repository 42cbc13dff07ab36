//! `/metrics`: what Prometheus reads. Pipelines of one template are one series: their counts are summed, and their lag is the
//! largest. Counters begin with 0 when the server does. docs/monitoring/metrics.md says what each means.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use zenith_control::status::json::{PipelineJson, ReportJson};
use zenith_engine::timings::{BOUNDS, HistogramSnapshot};
use zenith_engine::{Retried, usage};

use crate::counters::Counters;
use crate::server::Server;
use crate::watch::Look;

/// Reasons that have a series of their own; the rarer ones share one.
const REASONS_MAX: usize = 20;

/// What the collections of one pipeline of `zenith.toml` are like together.
#[derive(Default)]
struct Together {
    done: Counters,
    lag: Option<f64>,
    headroom: Option<f64>,
    snapshot: Option<(usize, usize)>,
    parts: u64,
    states: BTreeMap<&'static str, u64>,
}

impl Together {
    fn add(&mut self, pipeline: &PipelineJson) {
        self.lag = either(self.lag, pipeline.lag_seconds, f64::max);
        self.headroom = either(self.headroom, pipeline.oplog_headroom_seconds, f64::min);
        if let (Some(done), Some(parts)) = (pipeline.snapshot_parts_done, pipeline.snapshot_parts) {
            let (before, all) = self.snapshot.unwrap_or_default();
            self.snapshot = Some((before + done, all + parts));
        }
        self.parts += pipeline.table_parts.unwrap_or_default();
        *self.states.entry(pipeline.state).or_default() += 1;
    }
}

/// The one that is known, or what `both` makes of two.
fn either(one: Option<f64>, other: Option<f64>, both: fn(f64, f64) -> f64) -> Option<f64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(both(one, other)),
        (one, other) => one.or(other),
    }
}

/// Everything that is measured, as Prometheus reads it.
pub fn text(server: &Server, look: &Arc<Look>) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Measured { server: server.clone(), look: Arc::clone(look) }));
    let mut text = String::new();
    // A string takes everything.
    let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
    text
}

struct Measured {
    server: Server,
    look: Arc<Look>,
}

impl fmt::Debug for Measured {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Measured")
    }
}

type Encoded = Result<(), fmt::Error>;
type ByPipeline = BTreeMap<String, Together>;

impl Collector for Measured {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Encoded {
        let mut all = ByPipeline::new();
        for pipeline in &self.look.report.pipelines {
            all.entry(pipeline.template.as_ref().unwrap_or(&pipeline.name).clone())
                .or_default()
                .add(pipeline);
        }
        // One of several collections keeps what it has done, whatever is left of it.
        for template in &self.look.report.templates {
            all.entry(template.name.clone()).or_default();
        }
        for (name, together) in &mut all {
            together.done = self.server.watch.counters(name);
        }
        let encoder = &mut Writer(&mut encoder);
        encoder.work(&all)?;
        encoder.standing(&all, &self.look.report)?;
        encoder.troubles(&all)?;
        encoder.process(&self.server)
    }
}

struct Writer<'a, 'e>(&'a mut DescriptorEncoder<'e>);

type Labels<'a> = Vec<(&'a str, String)>;

impl Writer<'_, '_> {
    fn family(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        each: impl FnOnce(&mut MetricEncoder<'_>) -> Encoded,
    ) -> Encoded {
        each(&mut self.0.encode_descriptor(name, help, None, kind)?)
    }

    fn counters(&mut self, name: &str, help: &str, values: Vec<(Labels<'_>, u64)>) -> Encoded {
        self.family(name, help, MetricType::Counter, |encoder| {
            for (labels, value) in values {
                encoder.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
            }
            Ok(())
        })
    }

    fn gauges(&mut self, name: &str, help: &str, values: Vec<(Labels<'_>, f64)>) -> Encoded {
        self.family(name, help, MetricType::Gauge, |encoder| {
            for (labels, value) in values {
                encoder.encode_family(&labels)?.encode_gauge(&value)?;
            }
            Ok(())
        })
    }

    fn histograms(
        &mut self,
        name: &str,
        help: &str,
        values: Vec<(Labels<'_>, HistogramSnapshot)>,
    ) -> Encoded {
        self.family(name, help, MetricType::Histogram, |encoder| {
            for (labels, histogram) in values {
                let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
                let buckets: Vec<(f64, u64)> = bounds.zip(histogram.buckets).collect();
                let sum = histogram.sum.as_secs_f64();
                encoder.encode_family(&labels)?.encode_histogram::<NoLabelSet>(
                    sum,
                    histogram.count(),
                    &buckets,
                    None,
                )?;
            }
            Ok(())
        })
    }

    /// What pipelines have done.
    fn work(&mut self, all: &ByPipeline) -> Encoded {
        self.counters("zenith_rows", "Rows written", counts(all, |it| it.done.rows))?;
        self.counters("zenith_bytes", "Bytes of Arrow data sent", counts(all, |it| it.done.totals.bytes))?;
        self.counters("zenith_batches", "Inserts acknowledged", counts(all, |it| it.done.totals.inserts))?;
        let histogram = |of: fn(&Together) -> HistogramSnapshot| {
            all.iter().map(|(name, it)| (of_pipeline(name), of(it))).collect()
        };
        self.histograms(
            "zenith_insert_duration_seconds",
            "Time from sending an insert to its acknowledgement, repeats included",
            histogram(|it| it.done.totals.insert),
        )?;
        self.histograms(
            "zenith_flush_duration_seconds",
            "Time to make a batch of changes durable: intent, insert, checkpoint",
            histogram(|it| it.done.totals.flush),
        )
    }

    /// How pipelines stand.
    fn standing(&mut self, all: &ByPipeline, report: &ReportJson) -> Encoded {
        self.gauges(
            "zenith_lag_seconds",
            "The source's clock minus the time up to which the table is complete",
            known(all, |it| it.lag),
        )?;
        let windows = report.oplog_window_seconds.iter();
        self.gauges(
            "zenith_oplog_window_seconds",
            "How far back MongoDB knows changes",
            windows.map(|(source, window)| (vec![("source", source.clone())], *window)).collect(),
        )?;
        self.gauges(
            "zenith_oplog_headroom_seconds",
            "Time until MongoDB forgets the changes since the checkpoint",
            known(all, |it| it.headroom),
        )?;
        self.gauges(
            "zenith_snapshot_done_ratio",
            "Share of the parts of a snapshot that are done",
            known(all, share),
        )?;
        self.gauges(
            "zenith_table_parts",
            "Active parts of the table",
            known(all, |it| Some(as_f64(it.parts))),
        )?;
        let states = all.iter().flat_map(|(name, it)| {
            let of = move |(state, count): (&&'static str, &u64)| {
                (vec![("pipeline", name.clone()), ("state", (*state).to_owned())], as_f64(*count))
            };
            it.states.iter().map(of)
        });
        self.gauges("zenith_collections", "Collections by what their pipelines are doing", states.collect())
    }

    /// What pipelines could not do at once, or not at all.
    fn troubles(&mut self, all: &ByPipeline) -> Encoded {
        let by_reason = |of: fn(&Together) -> &BTreeMap<String, u64>| {
            all.iter().flat_map(|(name, it)| reasons(name, of(it))).collect()
        };
        let retries = all.iter().flat_map(|(name, it)| {
            let of = |reason: &str, count| {
                (vec![("pipeline", name.clone()), ("reason", reason.to_owned())], count)
            };
            let others = Retried::ALL.into_iter().zip(it.done.totals.retries);
            let others = others.map(|(what, count)| of(what.name(), count));
            others.chain([of("insert", it.done.totals.repeated)]).collect::<Vec<_>>()
        });
        self.counters("zenith_retries", "Things tried again, by what they were", retries.collect())?;
        self.counters(
            "zenith_extra_values",
            "Values that went to the extra column",
            by_reason(|it| &it.done.extra),
        )?;
        self.counters(
            "zenith_dead_letters",
            "Documents that became dead letters",
            by_reason(|it| &it.done.letters),
        )?;
        self.counters(
            "zenith_schema_changes",
            "Versions of the schema after the first",
            counts(all, |it| it.done.schema_changes),
        )
    }

    fn process(&mut self, server: &Server) -> Encoded {
        let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
        self.gauges("zenith_build_info", "The version, as a label", vec![(version, 1.0)])?;
        let pool = server.served.pool.stats();
        let bytes = |bytes: usize| vec![(Vec::new(), as_f64(u64::try_from(bytes).unwrap_or(u64::MAX)))];
        self.gauges(
            "zenith_memory_used_bytes",
            "Memory for data on its way that is in use",
            bytes(pool.in_use),
        )?;
        self.gauges(
            "zenith_memory_budget_bytes",
            "Memory for data on its way that may be in use",
            bytes(pool.budget),
        )?;
        self.counters(
            "zenith_memory_waits",
            "How often somebody had to wait for that memory",
            vec![(Vec::new(), pool.waits)],
        )?;
        let answers = server.answers().into_iter();
        let answers = answers.map(|((method, status), count)| {
            (vec![("method", method), ("status", status.to_string())], count)
        });
        self.counters("zenith_http_requests", "Requests answered", answers.collect())?;
        self.family(
            "process_cpu_seconds",
            "Processor time, user and system",
            MetricType::Counter,
            |encoder| encoder.encode_counter::<NoLabelSet, _, u64>(&usage::cpu_time().as_secs_f64(), None),
        )?;
        let resident = usage::rss_bytes();
        self.gauges(
            "process_resident_memory_bytes",
            "Memory that is resident",
            vec![(Vec::new(), as_f64(resident))],
        )?;
        let started = seconds(server.started);
        self.gauges(
            "process_start_time_seconds",
            "When the process began, in Unix time",
            vec![(Vec::new(), started)],
        )
    }
}

fn of_pipeline(name: &str) -> Labels<'static> {
    vec![("pipeline", name.to_owned())]
}

fn counts(all: &ByPipeline, of: fn(&Together) -> u64) -> Vec<(Labels<'static>, u64)> {
    all.iter().map(|(name, it)| (of_pipeline(name), of(it))).collect()
}

fn known(all: &ByPipeline, of: fn(&Together) -> Option<f64>) -> Vec<(Labels<'static>, f64)> {
    all.iter().filter_map(|(name, it)| Some((of_pipeline(name), of(it)?))).collect()
}

fn share(of: &Together) -> Option<f64> {
    let (done, parts) = of.snapshot.filter(|(_, parts)| *parts > 0)?;
    let as_f64 = |number: usize| as_f64(u64::try_from(number).unwrap_or(u64::MAX));
    Some(as_f64(done) / as_f64(parts))
}

/// The most frequent reasons, and all others together.
fn reasons(pipeline: &str, counts: &BTreeMap<String, u64>) -> Vec<(Labels<'static>, u64)> {
    let mut counts: Vec<(&str, u64)> =
        counts.iter().map(|(reason, count)| (reason.as_str(), *count)).collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let others: u64 = counts.iter().skip(REASONS_MAX).map(|(_, count)| count).sum();
    counts.truncate(REASONS_MAX);
    if others > 0 {
        counts.push(("others", others));
    }
    let labels = |reason: &str| vec![("pipeline", pipeline.to_owned()), ("reason", reason.to_owned())];
    counts.into_iter().map(|(reason, count)| (labels(reason), count)).collect()
}

fn seconds(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

fn as_f64(number: u64) -> f64 {
    // Nothing here is counted beyond 2^53.
    #[expect(clippy::cast_precision_loss)]
    let number = number as f64;
    number
}
