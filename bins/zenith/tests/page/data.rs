//! The collections that the views show, the pipelines of them, and the trouble that some of these have.

use bson::{DateTime, Document, RawDocumentBuf, doc, rawdoc};
use tokio::task::JoinSet;

use super::harness::Bench;
use super::home::Home;

const ORDERS: i32 = 20_000;
const CUSTOMERS: i32 = 500;
const PAYMENTS: i32 = 2_000;
const REVIEWS: i32 = 900;
const DEVICES: i32 = 40;
/// Pipelines and collections of the crowd.
const CROWD_PIPELINES: i32 = 50;
const CROWD_COLLECTIONS: i32 = 1_000;
const HOUR_MS: i64 = 3_600_000;

const STATES: [&str; 4] = ["new", "paid", "sent", "delivered"];
const ITEMS: [&str; 5] = ["tea", "coffee", "cocoa", "cups", "kettle"];
const CITIES: [&str; 4] = ["Tashkent", "Samarkand", "Bukhara", "Khiva"];

/// Fills the collections. `orders` has no pipeline: a spec makes one.
pub async fn fill(bench: &Bench) {
    bench.fill("orders", (0..ORDERS).map(order)).await;
    bench.fill("customers", (0..CUSTOMERS).map(customer)).await;
    bench.fill("payments", (0..PAYMENTS).map(|n| rawdoc! { "_id": n, "order": n, "amount": 12.5 })).await;
    bench
        .fill("prices", (0..300).map(|n| rawdoc! { "_id": n, "item": of(&ITEMS, n), "price": f64::from(n) }))
        .await;
    bench
        .fill("reviews", (0..REVIEWS).map(|n| rawdoc! { "_id": n, "stars": n % 5 + 1, "text": "good" }))
        .await;
    for device in 0..DEVICES {
        let readings = (0..20).map(|n| rawdoc! { "_id": n, "celsius": 20.5, "device": device });
        bench.fill(&format!("device_{device:02}"), readings).await;
    }
}

fn of<'a>(names: &[&'a str], number: i32) -> &'a str {
    names[usize::try_from(number).unwrap_or_default() % names.len()]
}

fn order(n: i32) -> RawDocumentBuf {
    rawdoc! {
        "_id": n,
        "customer": { "id": n % CUSTOMERS, "city": of(&CITIES, n / 3) },
        "email": format!("customer{}@example.com", n % CUSTOMERS),
        "items": [{ "sku": of(&ITEMS, n), "count": n % 4 + 1, "price": 4.5 }],
        "total": 4.5 * f64::from(n % 4 + 1),
        "state": of(&STATES, n / 7),
        "created_at": DateTime::from_millis(1_760_000_000_000 + i64::from(n) * HOUR_MS),
    }
}

fn customer(n: i32) -> RawDocumentBuf {
    rawdoc! {
        "_id": n,
        "name": format!("Customer {n}"),
        "zip": 100_000 + n,
        "city": of(&CITIES, n),
        "balance": f64::from(n),
    }
}

pub fn configure(home: &Home) {
    home.configure(&[
        ("customers", "collection = \"customers\""),
        ("payments", "collection = \"payments\"\non_type_conflict = \"fail\""),
        ("prices", "collection = \"prices\"\nmode = \"full\"\nevery = \"1h\""),
        ("reviews", "collection = \"reviews\"\nmode = \"change-log\"\nsnapshot = true"),
        ("logs", "collections = [\"device_*\"]"),
    ]);
}

/// Lets one pipeline fail, one rest, and one meet what does not fit.
pub async fn trouble(bench: &Bench, home: &Home) {
    for (name, documents) in [("customers", CUSTOMERS), ("payments", PAYMENTS), ("reviews", REVIEWS)] {
        // Before its snapshot has begun a pipeline follows, too; then there is no table yet.
        let counted = format!("SELECT count() FROM {name}");
        home.until(&format!("{name} is loaded"), async || {
            bench.databases.clickhouse.query(&counted).await.is_ok_and(|rows| rows == documents.to_string())
        })
        .await;
        home.until_state(name, "following").await;
    }
    home.run(&["pipeline", "pause", "reviews"]).await.succeeded();
    bench.ask("ALTER TABLE customers ADD CONSTRAINT positive CHECK balance >= 0").await;
    let customers = bench.databases.mongodb.collection::<Document>("customers");
    for id in 10..13 {
        let set = doc! { "$set": { "zip": format!("UZ-{id}") } };
        customers.update_one(doc! { "_id": id }, set).await.unwrap();
    }
    for id in 20..22 {
        let set = doc! { "$set": { "balance": -5.0 } };
        customers.update_one(doc! { "_id": id }, set).await.unwrap();
    }
    let payments = bench.databases.mongodb.collection::<Document>("payments");
    let set = doc! { "$set": { "amount": "twelve" } };
    payments.update_one(doc! { "_id": 1 }, set).await.unwrap();
    home.until("customers have letters", async || home.pipeline("customers").await["dead_letters"] == 2)
        .await;
    home.until("payments fail", async || !home.pipeline("payments").await["last_error"].is_null()).await;
}

/// Collections with next to nothing in them.
pub async fn fill_crowd(bench: &Bench) {
    for number in 0..CROWD_PIPELINES {
        bench.fill(&format!("plain_{number:02}"), [rawdoc! { "_id": number }]).await;
    }
    let mut made = JoinSet::new();
    for number in 0..CROWD_COLLECTIONS {
        let database = bench.databases.mongodb.clone();
        made.spawn(async move { database.create_collection(format!("crowd_{number:04}")).await.unwrap() });
    }
    made.join_all().await;
}

pub fn configure_crowd(home: &Home) {
    let plain: Vec<(String, String)> = (0..CROWD_PIPELINES)
        .map(|number| (format!("plain_{number:02}"), format!("collection = \"plain_{number:02}\"")))
        .collect();
    let mut pipelines: Vec<(&str, &str)> =
        plain.iter().map(|(name, settings)| (name.as_str(), settings.as_str())).collect();
    pipelines.push(("crowd", "collections = [\"crowd_*\"]"));
    home.configure(&pipelines);
}
