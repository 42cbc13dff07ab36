//! Fields of several types: every row shows its value, in the column, in its twin of text, or as text.

use bson::oid::ObjectId;
use bson::{Bson, DateTime, bson, doc};

use super::{Shown, copied, followed};

const ID: &str = "070707070707070707070707";

fn id() -> Bson {
    Bson::ObjectId(ObjectId::from_bytes([7; 12]))
}

/// `percent` of 400 documents have the one, the others the other.
fn mixed(name: &str, one: impl Into<Bson>, percent: i32, other: impl Into<Bson>) -> Shown {
    let (one, other) = (one.into(), other.into());
    let value = |n: i32| if n % 100 < percent { one.clone() } else { other.clone() };
    let document = |n: i32| {
        let mut document = doc! { "_id": n, "who": value(n), "in": { "who": value(n) } };
        // Lists of documents have no text for what is none.
        if one.as_document().is_none() || percent == 50 {
            document.insert("list", [value(n)]);
        }
        document
    };
    Shown::new(name, (0..400).map(document)).says("countIf(_zenith_extra != '')", 0)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_it_is_text() {
    let person = bson!({ "name": "Ada", "age": 36 });
    copied(&[
        mixed("reference or document", id(), 50, person.clone())
            .says("countIf(who IS NULL)", 0)
            .says(&format!("countIf(who = '{ID}')"), 200)
            .says("countIf(JSONExtractString(who, 'name') = 'Ada')", 200)
            .says("sum(JSONExtractInt(who, 'age'))", 36 * 200)
            .says(&format!("countIf(in.who = '{ID}')"), 200)
            .says(&format!("countIf(has(list, '{ID}'))"), 200),
        mixed("number or word", 5, 50, "five")
            .says("countIf(who = '5')", 200)
            .says("countIf(in.who = 'five')", 200)
            .says("sum(toInt64OrZero(who))", 1_000)
            .says("countIf(has(list, 'five'))", 200),
        mixed("date or word", Bson::DateTime(DateTime::from_millis(1_700_000_000_000)), 50, "never")
            .says("countIf(toDate(parseDateTimeBestEffortOrNull(who)) = '2023-11-14')", 200)
            .says("countIf(who = 'never')", 200),
        mixed("yes or a number", true, 50, 1)
            .says("countIf(who = 'true')", 200)
            .says("countIf(who = '1')", 200),
        mixed("document or word", person, 50, "Ada").says("countIf(position(who, 'Ada') > 0)", 400),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_majority_it_has_a_twin() {
    let person = bson!({ "name": "Ada", "age": 36 });
    copied(&[
        mixed("references", id(), 70, person.clone())
            .says(&format!("countIf(who = '{ID}')"), 280)
            .says("countIf(JSONExtractString(who_text, 'name') = 'Ada')", 120)
            .says("countIf(who IS NULL AND who_text IS NULL)", 0)
            .says("countIf(who IS NOT NULL AND who_text IS NOT NULL)", 0)
            .says("countIf(in.who_text IS NOT NULL)", 120),
        mixed("documents", person.clone(), 70, id())
            .says("countIf(who.name = 'Ada')", 280)
            .says("sum(who.age)", 36 * 280)
            .says(&format!("countIf(who_text = '{ID}')"), 120)
            .says(&format!("countIf(in.who_text = '{ID}')"), 120),
        mixed("numbers", 5, 70, "five")
            .says("sum(who)", 1_400)
            .says("countIf(who_text = 'five')", 120)
            .says("countIf(in.who_text = 'five')", 120)
            .says("countIf(list = ['five'])", 120)
            .says("countIf(list = ['5'])", 280),
        mixed("words", "five", 70, 5).says("countIf(who = 'five')", 280).says("sum(toInt64(who_text))", 600),
        mixed("words or lists", "five", 70, bson!([1, 2]))
            .says("countIf(who = 'five')", 280)
            .says("sumArray(JSONExtract(ifNull(who_text, '[]'), 'Array(Int64)'))", 360),
        mixed("dates", Bson::DateTime(DateTime::from_millis(1_700_000_000_000)), 70, "2023")
            .says("countIf(toYear(who) = 2023)", 280)
            .says("countIf(who_text = '2023')", 120),
    ])
    .await;
}

/// Lists of documents keep the parts of those, and tell of others.
#[tokio::test(flavor = "multi_thread")]
async fn lists_of_documents_are_lists_of_documents() {
    let item = |n: i32| if n % 100 < 70 { bson!({ "name": "Ada", "age": 36 }) } else { id() };
    let documents = (0..400).map(|n| doc! { "_id": n, "list": [item(n), { "name": "Bob", "age": 1 }] });
    copied(&[Shown::new("lists", documents)
        .says("sumArray(list.age)", 36 * 280 + 400)
        .says("sum(length(list))", 800)
        .says(
            &format!(r#"countIf(_zenith_extra = '{{"list":{{"$elements":{{"0":{{"$oid":"{ID}"}}}}}}}}')"#),
            120,
        )
        .says("countIf(_zenith_extra != '')", 120)])
    .await;
}

/// One in a hundred, or fewer, is an exception.
#[tokio::test(flavor = "multi_thread")]
async fn with_nearly_all_of_one_type_the_rest_is_in_extra() {
    let rare = |name: &str, odd: Bson, extra: &str| {
        Shown::new(name, (0..400).map(|n| doc! { "_id": n, "who": 5, "in": { "who": 5 } }))
            .later([doc! { "_id": 77, "who": odd.clone(), "in": { "who": odd } }])
            .says("sum(who)", 5 * 399)
            .says("sum(in.who)", 5 * 399)
            .says("countIf(_zenith_extra != '')", 1)
            .says("anyIf(_zenith_extra, _id = 77)", format!(r#"{{"who":{extra},"in":{{"who":{extra}}}}}"#))
    };
    let all = [
        rare("a word", "five".into(), r#""five""#),
        rare("a reference", id(), &format!(r#"{{"$oid":"{ID}"}}"#)),
        rare("a document", bson!({ "n": true }), r#"{"n":true}"#),
        rare("a list", bson!(["x"]), r#"["x"]"#),
    ];
    copied(&all).await;
    followed(&all).await;
}

/// A fraction among integers is in extra while the column is one of integers; a load makes one that holds both.
#[tokio::test(flavor = "multi_thread")]
async fn a_fraction_makes_a_column_of_fractions() {
    let shown = Shown::new("a fraction", (0..400).map(|n| doc! { "_id": n, "who": 5 }))
        .later([doc! { "_id": 77, "who": 0.5 }])
        .when_followed("sum(who)", 1_995)
        .when_followed("anyIf(_zenith_extra, _id = 77)", r#"{"who":{"$numberDouble":"0.5"}}"#)
        .when_loaded("sum(who)", "1995.5")
        .when_loaded("count(who)", 400)
        .when_loaded("countIf(_zenith_extra != '')", 0);
    copied(std::slice::from_ref(&shown)).await;
    followed(&[shown]).await;
}

/// A twin takes later values of any type; so does text.
#[tokio::test(flavor = "multi_thread")]
async fn later_values_are_in_the_twin() {
    let later = |shown: Shown| {
        let values = [bson!(true), bson!([1, "x"]), bson!({ "k": 1 }), id(), 7.into()];
        shown.later(values.into_iter().zip(1_000..).map(|(value, n)| doc! { "_id": n, "who": value }))
    };
    followed(&[
        later(mixed("a twin", 5, 70, "five"))
            .says("sum(who)", 1_407)
            .says("countIf(who_text = 'five')", 120)
            .says(
                "arrayStringConcat(arraySort(groupArrayIf(assumeNotNull(who_text), _id >= 1000 AND who_text IS NOT NULL)), ' ')",
                format!(r#"{ID} [1,"x"] true {{"k":1}}"#),
            ),
        later(mixed("text", 5, 50, "five")).says("sum(toInt64OrZero(who))", 1_007).says(
            "arrayStringConcat(arraySort(groupArrayIf(assumeNotNull(who), _id >= 1000)), ' ')",
            format!(r#"{ID} 7 [1,"x"] true {{"k":1}}"#),
        ),
    ])
    .await;
}
