//! What is exported, without a server.

use std::time::{Duration, SystemTime};

use opentelemetry_proto::tonic::metrics::v1::{Metric, metric};

use super::metrics::request;
use super::settings::parsed_headers;

const TEXT: &str = "# HELP zenith_rows Rows written.\n# TYPE zenith_rows counter\n\
    zenith_rows_total{pipeline=\"a\\\"b,c\"} 501\n# HELP zenith_lag_seconds Lag.\n# TYPE zenith_lag_seconds gauge\n\
    zenith_lag_seconds{pipeline=\"a\"} 0.5\n# HELP i T.\n# TYPE i histogram\ni_sum{pipeline=\"a\"} 1.5\n\
    i_count{pipeline=\"a\"} 4\ni_bucket{le=\"0.1\",pipeline=\"a\"} 1\ni_bucket{le=\"1.0\",pipeline=\"a\"} 3\n\
    i_bucket{le=\"+Inf\",pipeline=\"a\"} 4\n# EOF\n";

fn exported() -> Vec<Metric> {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(5);
    let mut all = request(TEXT, SystemTime::UNIX_EPOCH, now).resource_metrics;
    all.remove(0).scope_metrics.remove(0).metrics
}

#[test]
fn samples_become_points_with_their_labels() {
    let metrics = exported();
    let names: Vec<&str> = metrics.iter().map(|metric| metric.name.as_str()).collect();
    assert_eq!(names, ["zenith_rows_total", "zenith_lag_seconds", "i"]);
    let Some(metric::Data::Sum(rows)) = &metrics[0].data else { panic!("{metrics:?}") };
    assert!(rows.is_monotonic && rows.data_points[0].time_unix_nano == 5_000_000_000);
    let label = format!("{:?}", rows.data_points[0].attributes);
    assert!(label.contains(r#"a\"b,c"#) && label.contains("pipeline"), "{label}");
    let Some(metric::Data::Histogram(inserts)) = &metrics[2].data else { panic!("{metrics:?}") };
    let point = &inserts.data_points[0];
    assert_eq!((point.count, point.sum), (4, Some(1.5)));
    assert_eq!((&point.bucket_counts[..], &point.explicit_bounds[..]), (&[1, 2, 1][..], &[0.1, 1.0][..]));
}

#[test]
fn headers_are_decoded() {
    let expected = [("authorization", "Basic a=b, c"), ("x-tenant", "shop"), ("x-broken", "%ff")];
    let headers = parsed_headers("authorization=Basic%20a=b%2C%20c, x-tenant = shop,=x,y=,x-broken=%ff");
    assert!(headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).eq(expected), "{headers:?}");
}
