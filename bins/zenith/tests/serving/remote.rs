//! Commands that a server carries out, from a machine that has neither the state nor the addresses of the databases.

use bson::{Document, doc, rawdoc};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use zenith_testkit::tls::Certificate;

use super::http::Serving;
use super::protection::{ADMIN, OPERATOR, READER, tokens};
use super::{filled, insert, until_state};
use crate::harness::{Ended, run};
use crate::home::Home;

/// Another machine.
struct Elsewhere {
    home: Home,
    url: String,
}

impl Elsewhere {
    fn of(serving: &Serving) -> Elsewhere {
        Elsewhere { home: Home::new(), url: format!("http://{}", serving.address) }
    }

    fn with_token(mut self, token: &str) -> Elsewhere {
        self.home.set("ZENITH_TOKEN", token);
        self
    }

    async fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = self.home.command(arguments);
        command.env_remove("ZENITH_STATE").env("ZENITH_SERVER", &self.url);
        run(command).await
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        self.run(&[arguments, &["--json"]].concat()).await.json()
    }
}

/// Without numbers, which go on while they are looked at.
fn still(ended: Ended) -> (Option<i32>, String, String) {
    let without = |text: String| {
        let words = text.split([' ', ',', ':', '"']).filter(|word| !word.is_empty());
        let is_number = |word: &&str| word.starts_with(|first: char| first.is_ascii_digit());
        words.filter(|word| !is_number(word)).collect::<Vec<_>>().join(" ")
    };
    (ended.code, without(ended.stdout), without(ended.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_looks_says_the_same_from_elsewhere() {
    let (bench, home) = filled("remote_looks").await;
    home.configure(&[("orders", "collection = \"orders\"")]);
    home.apply().await;
    bench.ask("SELECT 1").await;
    let serving = Serving::start(&home, &[]).await;
    until_state(&home, &serving, "orders", "following").await;
    let orders = bench.databases.mongodb.collection::<Document>("orders");
    bench.ask("ALTER TABLE orders ADD CONSTRAINT small CHECK price < 100").await;
    orders.insert_one(doc! { "_id": 2_000, "item": "tea", "price": 200.0 }).await.unwrap();
    orders.update_one(doc! { "_id": 1 }, doc! { "$set": { "price": "much" } }).await.unwrap();
    home.until("a dead letter", async || home.json(&["dead-letters", "list"]).await[0]["id"].is_string())
        .await;
    let letter = home.json(&["dead-letters", "list"]).await[0]["id"].as_str().unwrap().to_owned();
    let elsewhere = Elsewhere::of(&serving);
    elsewhere.home.write("zenith.toml", &home.read("zenith.toml"));
    elsewhere
        .home
        .write("more.toml", &(home.read("zenith.toml") + "[targets.other]\nuri = \"${CLICKHOUSE}\"\n"));
    home.write("more.toml", &elsewhere.home.read("more.toml"));
    elsewhere.home.write("wrong.toml", "[pipelines.orders]\nsource = \"shop\"\n");
    home.write("wrong.toml", &elsewhere.home.read("wrong.toml"));
    for line in [
        "status",
        "status orders",
        "status --max-dead-letters 0",
        "status --health",
        "status nobody",
        "history",
        "history orders --limit 1",
        "history nobody",
        "connector list",
        "connector test shop",
        "connector test warehouse",
        "connector test nobody",
        "pipeline list",
        "pipeline show orders",
        "pipeline show order",
        "pipeline remove orders --dry-run",
        "reload orders --dry-run",
        "reload nobody --dry-run",
        "reset orders --from beginning --dry-run",
        "schema orders",
        "schema nobody",
        "schema promote orders",
        "dead-letters list",
        "dead-letters list order",
        "dead-letters retry orders --dry-run",
        "dead-letters purge orders",
        "dead-letters show nothing",
        "dead-letters purge --id nothing",
        "apply --dry-run",
        "apply --dry-run -f more.toml",
        "apply --dry-run -f wrong.toml",
        "apply --dry-run -f nowhere.toml",
        "export",
        "verify nobody",
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        let as_json = [&arguments[..], &["--json"]].concat();
        let has_json = !["apply", "export", "reset"].contains(&arguments[0]) && !line.contains("--health");
        let has_json = has_json && !line.contains("remove");
        for arguments in [Some(arguments), has_json.then_some(as_json)].into_iter().flatten() {
            let (here, there) = (home.run(&arguments).await, elsewhere.run(&arguments).await);
            assert_eq!(still(here), still(there), "{arguments:?}");
        }
    }
    let (here, there) = (
        home.json(&["dead-letters", "show", &letter]).await,
        elsewhere.json(&["dead-letters", "show", &letter]).await,
    );
    assert_eq!(here, there);
    let watched = elsewhere.home.command(&["status", "--watch", "--server", &elsewhere.url]);
    let mut watched = { watched }.spawn().unwrap();
    let mut seen = vec![0; 4_096];
    let mut output = watched.stdout.take().unwrap();
    let read = output.read(&mut seen).await.unwrap();
    assert!(String::from_utf8_lossy(&seen[..read]).contains("zenith run is running"), "{seen:?}");
    watched.kill().await.unwrap();
    assert!(!elsewhere.home.has("state.sqlite") && !elsewhere.home.has(".local"), "no state was made");
    serving.stop().await;
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_is_done_by_the_server_and_noted() {
    let (bench, home) = filled("remote_changes").await;
    home.configure(&[]);
    let serving = Serving::start(&home, &["--token-file", &tokens(&home)]).await.with_token(ADMIN);
    let ada = Elsewhere::of(&serving).with_token(ADMIN);
    home.configure(&[("orders", "collection = \"orders\"")]);
    ada.home.write("zenith.toml", &home.read("zenith.toml"));
    let applied = ada.run(&["apply", "--yes"]).await.succeeded();
    assert!(
        applied.stdout.contains("+ pipeline orders") && applied.stdout.ends_with("continues with it\n"),
        "{applied:?}"
    );
    until_state(&home, &serving, "orders", "following").await;
    let again = ada.run(&["apply", "--yes"]).await.succeeded();
    assert_eq!(again.stdout, "nothing changes\n");

    assert_eq!(ada.json(&["pipeline", "pause", "orders"]).await["paused"], true);
    until_state(&home, &serving, "orders", "paused").await;
    insert(&bench, 1_000).await;
    ada.run(&["pipeline", "resume", "orders"]).await.succeeded();
    until_state(&home, &serving, "orders", "following").await;
    let reloaded = ada.run(&["reload", "orders", "--json"]).await.succeeded();
    assert_eq!(reloaded.json()["rows"], 501, "{reloaded:?}");
    let equal = ada.run(&["verify", "orders"]).await.succeeded();
    assert!(equal.stdout.contains("equal: ") && equal.stdout.contains("501 documents"), "{equal:?}");

    bench.fill("orders", [rawdoc! { "_id": 1_001, "item": "tea", "price": "much" }]).await;
    home.until("a value in extra", async || {
        bench.ask("SELECT count() FROM orders WHERE _zenith_extra != ''").await == "1"
    })
    .await;
    let exceeded = ada.run(&["reload", "orders", "--max-extra", "0"]).await;
    assert!(matches!(exceeded.code, Some(0 | 3)), "{exceeded:?}");
    ada.run(&["schema", "promote", "orders", "--apply", "--quiet"]).await.succeeded();
    bench.ask("ALTER TABLE orders DELETE WHERE _id = 7 SETTINGS mutations_sync = 2").await;
    let different = ada.run(&["verify", "orders", "--json"]).await;
    assert_eq!((different.code, &different.json()["missing_count"]), (Some(1), &Value::from(1)));

    let reset = ada.run(&["reset", "orders", "--from", "beginning", "--yes"]).await.succeeded();
    assert!(reset.stdout.ends_with("reset\n"), "{reset:?}");
    home.until("it is there again", async || ada.run(&["verify", "orders"]).await.code == Some(0)).await;
    let unasked = ada.run(&["pipeline", "remove", "orders"]).await;
    assert!(unasked.code == Some(2) && unasked.stderr.contains("error[ZEN-1003]"), "{unasked:?}");
    ada.run(&["pipeline", "remove", "orders", "--yes"]).await.succeeded();
    assert_eq!(ada.json(&["pipeline", "list"]).await, Value::from(Vec::<Value>::new()));

    let audit = serving.get("/api/v1/audit").await.json();
    let actions: Vec<&str> =
        audit.as_array().unwrap().iter().rev().map(|entry| entry["action"].as_str().unwrap()).collect();
    for action in ["plan", "apply", "pause", "resume", "reload", "verify", "promote", "reset", "remove"] {
        assert!(actions.contains(&action), "{action}: {actions:?}");
    }
    assert!(audit.as_array().unwrap().iter().all(|entry| entry["who"] == "ada"), "{audit}");
    serving.stop().await;
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_is_told_from_one_that_is_away() {
    let home = Home::new();
    let serving = Serving::start(&home, &["--token-file", &tokens(&home)]).await;
    let refused = async |elsewhere: &Elsewhere, arguments: &[&str], code: &str, words: &str| {
        let ended = elsewhere.run(arguments).await;
        assert!(
            ended.stderr.contains(&format!("error[{code}]: ")) && ended.stderr.contains(words),
            "{ended:?}"
        );
        assert_eq!(ended.code, Some(2), "{ended:?}");
        let json = elsewhere.run(&[arguments, &["--json"]].concat()).await;
        assert_eq!(json.json()["error"]["code"], code, "{json:?}");
        let secrets = ["secret", READER, OPERATOR, ADMIN];
        let said = format!("{ended:?}{json:?}");
        assert!(secrets.iter().all(|secret| !said.contains(secret)), "{said}");
    };
    let none = Elsewhere::of(&serving);
    refused(&none, &["status"], "ZEN-4011", "wants a token: give it by ZENITH_TOKEN").await;
    let wrong = Elsewhere::of(&serving).with_token("secret-0123456789");
    refused(&wrong, &["status"], "ZEN-4011", "does not know the token").await;
    let reader = Elsewhere::of(&serving).with_token(READER);
    assert_eq!(reader.run(&["pipeline", "list"]).await.code, Some(0));
    refused(&reader, &["pipeline", "pause", "orders"], "ZEN-4031", "this needs the role operate").await;
    refused(&reader, &["connector", "test", "shop"], "ZEN-4031", "this needs the role admin").await;
    let operator = Elsewhere::of(&serving).with_token(OPERATOR);
    refused(&operator, &["dead-letters", "purge", "--all"], "ZEN-4031", "this needs the role admin").await;
    refused(&operator, &["pipeline", "pause", "orders"], "ZEN-1201", "there is no pipeline \"orders\"").await;
    let away = Elsewhere { home: Home::new(), url: "http://127.0.0.1:9".to_owned() };
    refused(&away, &["status"], "ZEN-8102", "check that `zenith serve` runs there").await;
    let strange = Elsewhere { home: Home::new(), url: "ftp://me:secret@host".to_owned() };
    refused(&strange, &["status"], "ZEN-8101", "no user or password").await;
    for command in [
        &["run", "--server", &none.url][..],
        &["serve", "--server", &none.url],
        &["check", "--server", &none.url],
    ] {
        let ended = none.run(command).await;
        assert!(ended.code == Some(2) && ended.stderr.contains("error[ZEN-1002]"), "{ended:?}");
    }
    let both = none.run(&["status", "--server", &none.url, "--state", "x.sqlite"]).await;
    assert!(both.code == Some(2) && both.stderr.contains("name either --state or --server"), "{both:?}");
    // What is named counts more than the environment.
    let own = none.run(&["status", "--state", "x.sqlite"]).await;
    assert!(own.code == Some(2) && own.stderr.contains("there is no state"), "{own:?}");
    serving.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_server_of_this_version_is_told() {
    for (answer, words) in [
        (
            "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}",
            "is no server of Zenith, or one of another version",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11\r\n{\"version\":\"0.1\"}\r\n0\r\n\r\n",
            "is Zenith 0.1, and does not understand this command",
        ),
        ("SSH-2.0-OpenSSH_9\r\n", "does not speak HTTP"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answering = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 4_096]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        let ended = Elsewhere { home: Home::new(), url }.run(&["status"]).await;
        assert!(ended.stderr.contains("error[ZEN-8104]") && ended.stderr.contains(words), "{ended:?}");
        answering.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_certificate_of_a_server_is_verified() {
    let home = Home::new();
    let folder = home.folder.path().join("tls");
    let certificate = Certificate::create(&folder).unwrap();
    let path = |file: &std::path::Path| file.display().to_string();
    let (chain, key, authority) =
        (path(&certificate.chain_file()), path(&certificate.key_file()), path(&certificate.authority_file()));
    let serving = Serving::start(&home, &["--tls-cert", &chain, "--tls-key", &key]).await;
    let elsewhere = Elsewhere { home: Home::new(), url: format!("https://{}", serving.address) };
    let refused = elsewhere.run(&["pipeline", "list"]).await;
    assert!(refused.code == Some(2) && refused.stderr.contains("error[ZEN-8103]"), "{refused:?}");
    assert!(refused.stderr.contains("--server-ca"), "{refused:?}");
    elsewhere.run(&["pipeline", "list", "--server-ca", &authority]).await.succeeded();
    let plain = Elsewhere { home: Home::new(), url: format!("http://{}", serving.address) };
    assert_eq!(plain.run(&["pipeline", "list"]).await.code, Some(2));
    serving.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_are_explained_and_arguments_have_one() {
    let home = Home::new();
    let explained = home.run(&["explain", "zen-2004"]).await.succeeded();
    assert!(
        explained.stdout.starts_with("ZEN-2004\n\n**MongoDB does not accept the user.**"),
        "{explained:?}"
    );
    let unknown = home.run(&["explain", "ZEN-9999"]).await;
    assert!(unknown.code == Some(2) && unknown.stderr.contains("there is no error ZEN-9999"), "{unknown:?}");
    let misused = home.run(&["status", "--jsn"]).await;
    assert!(
        misused.code == Some(2) && misused.stderr.starts_with("error[ZEN-1001]: unexpected"),
        "{misused:?}"
    );
    let absent = home.run(&["status"]).await;
    assert!(absent.stderr.starts_with("zenith: error[ZEN-6005]: there is no state"), "{absent:?}");
    let from = "mongodb://127.0.0.1:9/x?serverSelectionTimeoutMS=300";
    let arguments = ["copy", "--from", from, "--collection", "c", "--to", "http://127.0.0.1:9/x", "--json"];
    let away = home.run(&arguments).await;
    assert_eq!(away.json()["error"]["code"], "ZEN-3003", "{away:?}");
}
