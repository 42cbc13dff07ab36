//! What is refused, and what is bounded: pipelines go on beside it.

use std::os::unix::fs::PermissionsExt as _;

use super::http::Serving;
use crate::home::Home;

pub const READER: &str = "reader-0123456789";
pub const OPERATOR: &str = "operator-0123456789";
pub const ADMIN: &str = "admin-0123456789";

pub fn tokens(home: &Home) -> String {
    home.write("tokens", &format!("read board {READER}\noperate ops {OPERATOR}\nadmin ada {ADMIN}\n"));
    let path = home.folder.path().join("tokens");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_handler_demands_a_token_and_its_role() {
    let home = Home::new();
    let serving = Serving::start(&home, &["--token-file", &tokens(&home)]).await;
    let document = serving.get("/api/v1/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut asked = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        let path = path.replace("{name}", "x").replace("{id}", "1");
        for (method, operation) in methods.as_object().unwrap() {
            assert!(operation["operationId"].is_string(), "{method} {path}");
            let method = method.to_uppercase();
            let ask = async |token: &str| {
                let line = format!("Authorization: Bearer {token}");
                let lines = ["Content-Type: application/json", line.as_str()];
                serving.ask(&method, &path, &lines, "{}").await
            };
            for token in ["", "wrong-0123456789abcdef"] {
                let refused = ask(token).await;
                assert_eq!((refused.status, refused.code().as_str()), (401, "ZEN-4011"), "{method} {path}");
            }
            // What a command needs is its own, as the tests of commands by a server show.
            if path == "/api/v1/commands" {
                continue;
            }
            if method != "GET" {
                assert_eq!(ask(READER).await.code(), "ZEN-4031", "{method} {path}");
            }
            // What operators may change is named here: any other change is for administrators.
            let last = path.rsplit('/').next().unwrap();
            let may_operate = ["pause", "resume", "reload", "promote", "verify", "retry"].contains(&last)
                || path.starts_with("/api/v1/requests/");
            if method != "GET" {
                let is_forbidden = ask(OPERATOR).await.code() == "ZEN-4031";
                assert_eq!(is_forbidden, !may_operate, "{method} {path}");
            }
            asked += 1;
        }
    }
    assert!(asked >= 25, "{asked}");
    assert_eq!(serving.get("/metrics").await.status, 401);
    assert_eq!(serving.get("/healthz").await.status, 200);
    let serving = serving.with_token(OPERATOR);
    assert_eq!(serving.send("POST", "/api/v1/apply", "{\"toml\": \"\"}").await.code(), "ZEN-4031");
    assert_eq!(serving.get("/api/v1/server").await.json()["role"], "operate");
    let serving = serving.with_token(ADMIN);
    assert_eq!(serving.send("POST", "/api/v1/apply", "{\"toml\": \"\"}").await.status, 200);
    assert_eq!(serving.get("/api/v1/audit").await.json()[0]["who"], "ada");
    serving.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_malformed_or_foreign_is_refused_in_a_sentence() {
    let home = Home::new();
    let serving = Serving::start(&home, &["--allow-host", "zenith.example"]).await;
    let own = ["Sec-Fetch-Site: same-origin", "Content-Type: application/json"];
    let origin = format!("Origin: http://{}", serving.address);
    let evil = "Origin: http://evil.example";
    let large = format!("{{\"toml\": \"{}\"}}", "x".repeat(2 << 20));
    for (method, path, lines, body, status, code) in [
        ("POST", "/api/v1/plan", own.to_vec(), "{\"toml\": ", 400, "ZEN-4001"),
        ("POST", "/api/v1/plan", own.to_vec(), "{\"other\": 1}", 400, "ZEN-4001"),
        ("POST", "/api/v1/plan", own.to_vec(), large.as_str(), 413, "ZEN-4131"),
        (
            "POST",
            "/api/v1/plan",
            vec![own[0], "Content-Type: text/plain"],
            "{\"toml\": \"\"}",
            400,
            "ZEN-4001",
        ),
        (
            "POST",
            "/api/v1/plan",
            vec![own[1], "Sec-Fetch-Site: cross-site"],
            "{\"toml\": \"\"}",
            403,
            "ZEN-4032",
        ),
        ("POST", "/api/v1/pipelines/x/pause", vec![evil], "", 403, "ZEN-4032"),
        ("POST", "/api/v1/plan", vec![own[0], own[1], evil], "{\"toml\": \"\"}", 403, "ZEN-4032"),
        ("GET", "/api/v1/server", vec!["Host: evil.example"], "", 403, "ZEN-4032"),
        ("GET", "/", vec!["Host: evil.example:8470"], "", 403, "ZEN-4032"),
        ("GET", "/api/v1/requests/zero", vec![], "", 400, ""),
        ("GET", "/api/v1/log?limit=-1", vec![], "", 400, "ZEN-4001"),
        ("GET", "/api/v1/nothing", vec![], "", 404, "ZEN-4041"),
        ("GET", "/assets/../Cargo.toml", vec![], "", 404, "ZEN-4041"),
        ("GET", "/assets/%2e%2e/%2e%2e/etc/passwd", vec![], "", 404, "ZEN-4041"),
        ("GET", "/assets//etc/passwd", vec![], "", 404, "ZEN-4041"),
        ("PATCH", "/api/v1/pipelines", own.to_vec(), "{}", 404, "ZEN-4041"),
    ] {
        let answer = serving.ask(method, path, &lines, body).await;
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        if !code.is_empty() {
            assert_eq!(answer.code(), code, "{method} {path}: {answer:?}");
        }
    }
    for lines in [vec![own[1]], vec![own[0], own[1]], vec![own[0], own[1], origin.as_str()]] {
        assert_eq!(serving.ask("POST", "/api/v1/plan", &lines, "{\"toml\": \"\"}").await.status, 200);
    }
    assert_eq!(serving.ask("GET", "/api/v1/server", &["Host: zenith.example"], "").await.status, 200);
    let page = serving.get("/pipelines/orders").await;
    assert!(
        page.status == 200
            && page.head.to_lowercase().contains("content-security-policy: default-src 'self'")
    );
    assert_eq!(serving.raw(b"nonsense\r\n\r\n").await.status, 400);
    serving.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_ask_without_end_are_told_to_wait() {
    let home = Home::new();
    let serving = Serving::start(&home, &["--token-file", &tokens(&home)]).await;
    let mut codes = std::collections::BTreeSet::new();
    for _ in 0..300 {
        let guesses = (0..50).map(|_| serving.get("/api/v1/server"));
        let answers = futures_util::future::join_all(guesses).await;
        codes.extend(answers.iter().filter(|answer| answer.status != 0).map(|answer| answer.code()));
        if codes.len() > 1 {
            break;
        }
    }
    assert_eq!(codes.into_iter().collect::<Vec<_>>(), ["ZEN-4011", "ZEN-4291"]);
    assert_eq!(serving.get("/healthz").await.status, 200);
    home.until("an answer", async || serving.get("/api/v1/server").await.code() == "ZEN-4011").await;
    serving.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_machines_need_tokens() {
    let home = Home::new();
    let refused = home.run(&["serve", "--listen", "0.0.0.0:0"]).await;
    assert!(refused.code == Some(2) && refused.stderr.contains("--token-file"), "{refused:?}");
    home.write("tokens", "admin ada short\n");
    let path = home.folder.path().join("tokens");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let file = path.display().to_string();
    let refused = home.run(&["serve", "--token-file", &file]).await;
    assert!(refused.stderr.contains("chmod 600"), "{refused:?}");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let refused = home.run(&["serve", "--token-file", &file]).await;
    assert!(refused.stderr.contains("line 1: the token of ada has fewer"), "{refused:?}");
    let refused = home.run(&["serve", "--tls-cert", &file, "--tls-key", &file]).await;
    assert!(refused.code == Some(2) && refused.stderr.contains("cannot be used for TLS"), "{refused:?}");
}
