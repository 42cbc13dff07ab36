//! What the specs ask for while they run: addresses, changes of documents, kills and starts of the server.
//!
//! A question is a line of JSON on the output of node, its answer a line on its input; any other line is for people.

use bson::Document;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Child;

use super::harness::Bench;
use super::serve::{ADMIN, READ, Servers};

/// Answers until node says nothing more.
pub async fn answer(node: &mut Child, bench: &Bench, servers: &mut Servers<'_>) {
    let mut lines = BufReader::new(node.stdout.take().unwrap()).lines();
    let mut input = node.stdin.take().unwrap();
    while let Some(line) = lines.next_line().await.unwrap() {
        let asked: Option<Value> = line.starts_with("{\"ask\"").then(|| serde_json::from_str(&line).unwrap());
        let Some(asked) = asked else {
            eprintln!("{line}");
            continue;
        };
        let answer = one(&asked, bench, servers).await;
        input.write_all(format!("{answer}\n").as_bytes()).await.unwrap();
    }
}

async fn one(asked: &Value, bench: &Bench, servers: &mut Servers<'_>) -> Value {
    match asked["ask"].as_str().unwrap_or_default() {
        "places" => {
            let base = format!("http://{}", servers.address);
            json!({ "base": base, "from": bench.from(), "to": bench.to() })
        }
        "mongo" => {
            let command: Document = serde_json::from_value(asked["about"].clone()).unwrap();
            match bench.databases.mongodb.run_command(command).await {
                Ok(_) => Value::Null,
                Err(error) => json!({ "error": error.to_string() }),
            }
        }
        "kill" => {
            servers.kill().await;
            Value::Null
        }
        "stop" => {
            servers.stop().await;
            Value::Null
        }
        "start" => {
            servers.start_again().await;
            Value::Null
        }
        "empty" => json!({ "base": format!("http://{}", servers.empty().await) }),
        "crowd" => json!({ "base": format!("http://{}", servers.crowd(bench).await) }),
        "guarded" => {
            let base = format!("http://{}", servers.guarded().await);
            json!({ "base": base, "admin": ADMIN, "read": READ })
        }
        other => json!({ "error": format!("nobody knows {other:?}") }),
    }
}
