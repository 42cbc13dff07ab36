//! Dates of the whole range that the server holds, and those beyond it.

use bson::{Bson, DateTime, bson, doc};

use super::{Shown, copied, followed};

fn date(text: &str) -> Bson {
    Bson::DateTime(DateTime::parse_rfc3339_str(text).unwrap())
}

const FAR: [&str; 5] = [
    "9999-12-31T23:59:59.999Z",
    "0001-01-01T00:00:00Z",
    "1850-06-01T00:00:00Z",
    "2300-01-01T00:00:00Z",
    "1899-12-31T23:59:59.999Z",
];

fn dates(name: &str) -> Shown {
    let document =
        |id: i32, at: Bson| doc! { "_id": id, "at": at.clone(), "in": [{ "at": at.clone() }], "list": [at] };
    let far = FAR.into_iter().zip(0..).map(|(text, n)| document(20 * n + 3, date(text)));
    Shown::new(name, (0..100).map(|id| document(id, date("2024-05-06T07:08:09.010Z")))).later(far)
}

#[tokio::test(flavor = "multi_thread")]
async fn far_dates_are_in_the_column() {
    let shown = dates("far dates")
        .says("count(at)", 100)
        .says("min(at)", "0001-01-01 00:00:00.000")
        .says("max(at)", "9999-12-31 23:59:59.999")
        .says("minArray(list)", "0001-01-01 00:00:00.000")
        .says("max(in[1].at)", "9999-12-31 23:59:59.999")
        .says("anyIf(at, _id = 43)", "1850-06-01 00:00:00.000")
        .says("anyIf(at, _id = 63)", "2300-01-01 00:00:00.000")
        .says("anyIf(at, _id = 83)", "1899-12-31 23:59:59.999")
        .says("countIf(at > '9000-01-01 00:00:00')", 1)
        .says("countIf(at < '1900-01-01 00:00:00')", 3)
        .says("countIf(_zenith_extra != '')", 0);
    copied(std::slice::from_ref(&shown)).await;
    followed(&[shown]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dates_that_no_server_holds_are_in_extra() {
    let shown =
        Shown::new("beyond", (0..1_000).map(|id| doc! { "_id": id, "at": date("2024-05-06T07:08:09.010Z") }))
            .later([doc! { "_id": 500, "at": Bson::DateTime(DateTime::from_millis(253_402_300_800_000)) }])
            .later([doc! { "_id": 501, "at": Bson::DateTime(DateTime::from_millis(-62_135_596_800_001)) }])
            .later([doc! { "_id": 502, "at": bson!("soon") }])
            .says("count(at)", 997)
            .says("max(at)", "2024-05-06 07:08:09.010")
            .says("countIf(_zenith_extra != '')", 3)
            .says("anyIf(_zenith_extra, _id = 500)", r#"{"at":{"$date":{"$numberLong":"253402300800000"}}}"#)
            .says("anyIf(_zenith_extra, _id = 501)", r#"{"at":{"$date":{"$numberLong":"-62135596800001"}}}"#)
            .says("anyIf(_zenith_extra, _id = 502)", r#"{"at":"soon"}"#);
    copied(std::slice::from_ref(&shown)).await;
    followed(&[shown]).await;
}
