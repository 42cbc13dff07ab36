//! Alerts: somebody is told once that something is wrong, and once that it is right again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bson::{Document, doc, rawdoc};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::Bench;
use crate::home::Home;
use crate::serving::http::Serving;

/// What nobody may read but those who are told.
const SECRET: &str = "T0K3N-of-the-hook";

/// Somebody who is told.
struct Receiver {
    address: String,
    /// Bodies that were taken, oldest first.
    taken: Arc<Mutex<Vec<(String, Value)>>>,
    /// How many of the next requests are answered with 503.
    away: Arc<Mutex<u32>>,
}

impl Receiver {
    async fn start() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let receiver = Receiver { address, taken: Arc::default(), away: Arc::default() };
        let (taken, away) = (Arc::clone(&receiver.taken), Arc::clone(&receiver.away));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let Some((path, body)) = request(&mut stream).await else { continue };
                let is_away = std::mem::replace(&mut *away.lock().unwrap(), 0);
                let answer = if is_away > 0 {
                    *away.lock().unwrap() = is_away - 1;
                    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 9\r\n\r\nbusy\r\nnow"
                } else {
                    taken.lock().unwrap().push((path, serde_json::from_str(&body).unwrap()));
                    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
                };
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        receiver
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{SECRET}/{path}", self.address)
    }

    /// What one of its addresses has been told, as "status alert", oldest first.
    fn told(&self, path: &str) -> Vec<String> {
        let word = |body: &Value, name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let told = self.bodies(path);
        told.iter().map(|body| format!("{} {}", word(body, "status"), word(body, "alert"))).collect()
    }

    fn bodies(&self, path: &str) -> Vec<Value> {
        let taken = self.taken.lock().unwrap();
        taken.iter().filter(|(to, _)| to.ends_with(path)).map(|(_, body)| body.clone()).collect()
    }
}

/// Where a request goes, and its body.
async fn request(stream: &mut TcpStream) -> Option<(String, String)> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_lowercase();
        let (_, length) = head.split_once("content-length: ")?;
        let length: usize = length.lines().next()?.parse().ok()?;
        if body.len() >= length {
            let path = text.split(' ').nth(1)?.to_owned();
            return Some((path, body.to_owned()));
        }
    }
}

const HOOKS: &str = "collection = \"orders\"\n[alerts.webhooks.pager]\nurl = \"${HOOK}json\"\n\
    [alerts.webhooks.team]\nurl = \"${HOOK}slack\"\nformat = \"slack\"\nonly = [\"failed\"]\n";

async fn between(label: &str) -> (Bench, Home, Receiver) {
    let bench = Bench::new(label).await;
    bench.fill("orders", (1..21).map(|n| rawdoc! { "_id": n, "n": n })).await;
    let receiver = Receiver::start().await;
    let mut home = Home::between(&bench);
    home.set("HOOK", &receiver.url(""));
    home.configure(&[("orders", HOOKS)]);
    (bench, home, receiver)
}

/// Makes documents whose rows the table refuses.
async fn refuse(bench: &Bench, ids: std::ops::Range<i32>) {
    let collection = bench.databases.mongodb.collection::<Document>("orders");
    for id in ids {
        collection.update_one(doc! { "_id": id }, doc! { "$set": { "n": -id } }).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_tells_once_what_failed_and_once_that_it_runs_again() {
    let (bench, home, receiver) = between("alerts_serve").await;
    // Somebody's own table stands where the pipeline would have its view.
    bench.ask("CREATE TABLE orders_current (x UInt8) ENGINE = Memory").await;
    home.apply_unasked().await;
    *receiver.away.lock().unwrap() = 2;
    let serving = Serving::start(&home, &[]).await;
    home.until("both are told, once they are there", async || {
        !receiver.bodies("json").is_empty() && !receiver.bodies("slack").is_empty()
    })
    .await;
    let failed = receiver.bodies("json").remove(0);
    assert_eq!((&failed["status"], &failed["alert"]), (&"firing".into(), &"failed".into()), "{failed}");
    assert_eq!((&failed["pipeline"], &failed["code"]), (&"orders".into(), &"ZEN-9001".into()), "{failed}");
    let sentence = failed["message"].as_str().unwrap();
    assert!(sentence.starts_with("orders failed: ") && sentence.contains("orders_current"), "{sentence}");
    assert!(failed["remedy"].as_str().unwrap().contains("`zenith status orders`"), "{failed}");
    let text = receiver.bodies("slack").remove(0);
    let text = text["text"].as_str().unwrap();
    assert!(text.contains("orders failed: ") && text.contains("ZEN-9001"), "{text}");

    home.until("it is logged, and why it was late", async || {
        let log = serving.get("/api/v1/log").await.body;
        log.contains("the alert failed was sent") && log.contains("503 (busy)")
    })
    .await;

    // It fails again after a restart, and nobody is told again.
    serving.stop().await;
    let serving = Serving::start(&home, &[]).await;
    let failed_again = async || serving.get("/api/v1/pipelines/orders").await.json()["state"] == "failed";
    home.until("it has failed again", failed_again).await;
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!((receiver.told("json").len(), receiver.bodies("slack").len()), (1, 1), "{:?}", receiver.taken);

    bench.ask("DROP TABLE orders_current").await;
    home.until("it is resolved", async || receiver.told("json").len() == 2).await;
    let resolved = receiver.bodies("json").remove(1);
    assert_eq!(
        (&resolved["status"], &resolved["message"]),
        (&"resolved".into(), &"orders runs again".into())
    );
    assert_eq!(resolved["key"], failed["key"]);

    bench.ask("ALTER TABLE orders ADD CONSTRAINT positive CHECK n > 0").await;
    refuse(&bench, 1..4).await;
    home.until("dead letters are told", async || receiver.told("json").len() == 3).await;
    let letters = receiver.bodies("json").remove(2);
    assert_eq!((&letters["alert"], &letters["code"]), (&"dead-letters".into(), &"ZEN-9005".into()));
    assert!(
        letters["message"].as_str().unwrap().contains("3: refused by ClickHouse: VIOLATED_CONSTRAINT"),
        "{letters}"
    );
    assert!(letters["remedy"].as_str().unwrap().contains("zenith dead-letters retry orders"), "{letters}");
    // More of them are no news.
    refuse(&bench, 4..6).await;
    let counted = async || {
        let metrics = serving.get("/metrics").await.body;
        let line = metrics.lines().find(|line| line.starts_with("zenith_dead_letters_total{"));
        line.and_then(|line| line.rsplit(' ').next()).map(str::to_owned)
    };
    home.until("two more", async || counted().await.as_deref() == Some("5")).await;
    home.run(&["dead-letters", "purge", "orders", "--yes"]).await.succeeded();
    home.until("they are settled", async || receiver.told("json").len() == 4).await;
    let all = ["firing failed", "resolved failed", "firing dead-letters", "resolved dead-letters"];
    assert_eq!(receiver.told("json"), all);
    assert_eq!(receiver.bodies("slack").len(), 2, "only failures: {:?}", receiver.taken);

    // The counter of what became dead letters does not fall with them.
    assert_eq!(home.pipeline("orders").await["dead_letters"], 0);
    assert_eq!(counted().await.as_deref(), Some("5"));
    let metrics = serving.get("/metrics").await.body;
    let log = serving.get("/api/v1/log").await.body;
    assert!(log.contains("the alert failed was resolved"), "{log}");
    let config = serving.get("/api/v1/config").await.body;
    serving.stop().await;
    for shown in [log, config, metrics, format!("{:?}", home.run(&["status", "--json"]).await)] {
        assert!(!shown.contains(SECRET), "{shown}");
    }
    let state = std::fs::read(home.folder.path().join("state.sqlite")).unwrap();
    assert!(!state.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()), "the state has the address");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_that_end_tell_before_they_end_and_only_once() {
    let (bench, mut home, receiver) = between("alerts_run").await;
    bench.ask("CREATE TABLE orders_current (x UInt8) ENGINE = Memory").await;
    home.apply_unasked().await;
    for _ in 0..2 {
        assert_ne!(home.run(&["run"]).await.code, Some(0));
        assert_eq!(receiver.told("json"), ["firing failed"]);
    }
    bench.ask("DROP TABLE orders_current").await;
    home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(receiver.told("json"), ["firing failed", "resolved failed"]);

    // Every line of what went wrong says where: the pipeline, its collection, and the insert.
    bench.ask("ALTER TABLE orders ADD CONSTRAINT positive CHECK n > 0").await;
    refuse(&bench, 1..2).await;
    home.set("ZENITH_LOG_FORMAT", "json");
    let ended = home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(receiver.told("json").last().unwrap(), "firing dead-letters");
    let lines: Vec<Value> = ended.stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let fields = |line: &Value| {
        let spans = line["spans"].as_array().cloned().unwrap_or_default();
        let of = |name: &str| spans.iter().find_map(|span| span[name].as_str().map(str::to_owned));
        (of("pipeline"), of("namespace"), of("token"))
    };
    let namespace = format!("{}.orders", bench.databases.mongodb.name());
    let is_named = |line: &Value| {
        let (pipeline, of, token) = fields(line);
        pipeline.as_deref() == Some("orders") && of.as_ref() == Some(&namespace) && token.is_some()
    };
    assert!(lines.iter().any(is_named), "{ended:?}");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_show_whether_alerts_arrive() {
    let mut home = Home::new();
    home.write("zenith.toml", "[alerts]\nlag = \"1m\"\n");
    let refused = home.run(&["alerts", "test"]).await;
    assert!(refused.code == Some(2) && refused.stderr.contains("[alerts.webhooks.NAME]"), "{refused:?}");
    home.write("zenith.toml", "[alerts.webhooks.pager]\nurl = \"${HOOK}json\"\n");
    let refused = home.run(&["alerts", "test"]).await;
    assert!(refused.code == Some(2) && refused.stderr.contains("HOOK, which is not set"), "{refused:?}");
    let refused = home.run(&["alerts", "test", "pagger"]).await;
    assert!(refused.code == Some(2) && refused.stderr.contains("did you mean pager"), "{refused:?}");

    let receiver = Receiver::start().await;
    home.set("HOOK", &receiver.url(""));
    let sent = home.run(&["alerts", "test"]).await.succeeded();
    assert!(sent.stdout.contains("pager  has taken a sample"), "{sent:?}");
    assert_eq!(receiver.told("json"), ["firing test"]);
    *receiver.away.lock().unwrap() = 1;
    let failed = home.run(&["alerts", "test"]).await;
    assert!(failed.code == Some(1) && failed.stderr.contains("the answer is 503 (busy)"), "{failed:?}");
    home.set("HOOK", &format!("http://127.0.0.1:9/{SECRET}/"));
    let failed = home.run(&["alerts", "test"]).await;
    assert!(failed.code == Some(1) && failed.stderr.contains("Connection refused"), "{failed:?}");
    assert!(!format!("{refused:?}{sent:?}{failed:?}").contains(SECRET));
}
