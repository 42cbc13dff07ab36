//! `init`, `apply`, `connector` and `pipeline`: what is to be run, and what people get wrong about it.

use crate::harness::{Bench, Ended};
use crate::home::Home;

#[track_caller]
fn refused(ended: &Ended, parts: &[&str]) {
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
    for part in parts {
        assert!(ended.stderr.contains(part), "{part:?} is not in {ended:?}");
    }
    assert!(ended.stderr.lines().all(|line| line.starts_with("zenith: ")), "{ended:?}");
}

const SHOP: &str = r#"
[sources.shop]
uri = "mongodb://app:${MONGO_PASSWORD}@127.0.0.1:1/shop"
[targets.warehouse]
uri = "http://default:${file:secret}@127.0.0.1:1/shop"
[pipelines.orders]
source = "shop"
target = "warehouse"
collection = "orders"
[pipelines.users]
source = "shop"
target = "warehouse"
collection = "users"
mode = "change-log"
"#;

#[tokio::test]
async fn init_writes_a_file_that_can_be_applied_and_writes_over_none() {
    let home = Home::new();
    let ended = home.run(&["init"]).await.succeeded();
    assert!(ended.stdout.contains("zenith apply"), "{ended:?}");
    assert!(home.read("zenith.toml").contains("[pipelines.orders]"));
    refused(&home.run(&["init"]).await, &["zenith.toml already exists", "--force"]);
    home.write("zenith.toml", "");
    home.run(&["init", "--force"]).await.succeeded();
    let ended = home.run(&["apply", "--dry-run"]).await.succeeded();
    assert!(ended.stdout.contains("+ pipeline orders  shop.orders -> warehouse, changes"), "{ended:?}");
    assert!(!home.has("state.sqlite"), "a dry run creates nothing");
    home.run(&["init", "--file", "other.toml"]).await.succeeded();
    home.run(&["apply", "-f", "other.toml"]).await.succeeded();
}

#[tokio::test]
async fn apply_shows_the_difference_and_takes_it_over() {
    let home = Home::new();
    home.write("zenith.toml", SHOP);
    let ended = home.run(&["apply"]).await.succeeded();
    for part in
        ["+ source shop", "+ target warehouse", "+ pipeline orders", "4 to add", "start it with `zenith run`"]
    {
        assert!(ended.stdout.contains(part), "{part:?} is not in {ended:?}");
    }
    assert_eq!(home.run(&["apply"]).await.succeeded().stdout, "nothing changes\n");

    // A setting changes, and a paused pipeline stays paused.
    home.run(&["pipeline", "pause", "orders"]).await.succeeded();
    home.write("zenith.toml", &SHOP.replace("\"orders\"", "\"orders\"\nflush_rows = 10"));
    let ended = home.run(&["apply"]).await.succeeded();
    assert!(
        ended.stdout.contains("~ pipeline orders\n    flush_rows: 65536 -> 10\n1 to change"),
        "{ended:?}"
    );
    let shown = home.json(&["pipeline", "show", "orders"]).await;
    assert_eq!((&shown["flush_rows"], &shown["paused"]), (&10.into(), &true.into()));

    // What is lost has to be agreed to.
    home.write(
        "zenith.toml",
        &SHOP.split("[pipelines.users]").next().unwrap().replace("\"orders\"", "\"orders\"\nmode = \"full\""),
    );
    let ended = home.run(&["apply"]).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(
        ended.stdout.contains("- pipeline users") && ended.stdout.contains("it starts over"),
        "{ended:?}"
    );
    assert!(
        ended
            .stderr
            .contains("The pipeline users is removed with its progress, and the pipeline orders starts over")
            && ended.stderr.contains("--yes"),
        "{ended:?}"
    );
    assert_eq!(home.json(&["pipeline", "list"]).await.as_array().unwrap().len(), 2);
    home.run(&["apply", "--dry-run"]).await.succeeded();
    assert_eq!(home.json(&["pipeline", "list"]).await.as_array().unwrap().len(), 2);
    home.run(&["apply", "--yes"]).await.succeeded();
    let pipelines = home.json(&["pipeline", "list"]).await;
    assert_eq!((pipelines.as_array().unwrap().len(), &pipelines[0]["mode"]), (1, &"full".into()));

    // Connectors that nobody names any more go as well.
    home.write("zenith.toml", "");
    let ended = home.run(&["apply", "-y"]).await.succeeded();
    assert!(ended.stdout.contains("3 to remove"), "{ended:?}");
    assert_eq!(home.json(&["connector", "list"]).await, serde_json::json!([]));
}

#[tokio::test]
async fn mistakes_are_told_with_their_lines_and_nothing_is_applied() {
    let home = Home::new();
    for (from, to, parts) in [
        (
            "collection = \"orders\"",
            "colection = \"orders\"",
            &["line 9", "colection", "did you mean collection?", "has no collection"][..],
        ),
        ("source = \"shop\"", "source = \"shp\"", &["line 7", "did you mean shop?"]),
        ("mode = \"change-log\"", "mode = \"changelog\"", &["line 14", "mode", "change-log"]),
        ("mode = \"change-log\"", "flush_interval = 5", &["line 14", "flush_interval"]),
        ("mode = \"change-log\"", "deletes = \"explode\"", &["line 14", "deletes"]),
        ("mode = \"change-log\"", "flush_rows = 0", &["flush_rows", "at least 1"]),
        ("mode = \"change-log\"", "table = \"orders\"", &["orders and users both write the table orders"]),
        ("[sources.shop]", "[sorces.shop]", &["unknown section [sorces]", "did you mean sources?"]),
        ("[sources.shop]", "[sources.shop", &["line 2", "not TOML"]),
        (
            "mode = \"change-log\"",
            "table = \"people\"\n[pipelines.users.table]\norder_by = [\"_id\"]",
            &["line 15", "the table is named twice", "as name = "],
        ),
        ("mongodb://app", "postgres://app", &["line 3", "mongodb://"]),
        ("[targets.warehouse]", "[targets.shop]", &["is the name of a source and of a target"]),
        (
            "[targets.warehouse]",
            "[memory]\nbuffer = \"1KB\"\n[targets.warehouse]",
            &["line 5", "at least 8MiB"],
        ),
        ("uri = \"http", "insecure = \"yes\"\nuri = \"http", &["line 5", "insecure"]),
        ("uri = \"http", "send = \"zerocopy\"\nuri = \"http", &["line 5", "send", "writev", "splice"]),
        ("uri = \"mongodb", "url = \"mongodb", &["url", "did you mean uri?", "[sources.shop] has no uri"]),
    ] {
        home.write("zenith.toml", &SHOP.replacen(from, to, 1));
        for arguments in [&["apply", "--yes"][..], &["apply", "--dry-run"], &["check"]] {
            let ended = home.run(arguments).await;
            refused(&ended, parts);
            // One mistake is told once.
            assert!(
                from == "collection = \"orders\"" || !ended.stderr.contains("has no collection"),
                "{ended:?}"
            );
        }
        assert!(!home.has("state.sqlite"), "{from}");
    }
    let with_passwords = SHOP.replace("${MONGO_PASSWORD}", "s3cret").replace("${file:secret}", "s3cret");
    home.write("zenith.toml", &with_passwords);
    let ended = home.run(&["apply", "--yes"]).await;
    refused(
        &ended,
        &["\"shop\" has a password in it", "\"warehouse\" has a password in it", "${MONGO_PASSWORD}"],
    );
    assert!(!ended.stderr.contains("s3cret"), "{ended:?}");
    refused(&Home::new().run(&["apply"]).await, &["there is no zenith.toml", "zenith init"]);
}

#[tokio::test]
async fn secrets_are_looked_up_when_they_are_needed_and_never_shown() {
    let mut home = Home::new();
    home.write("zenith.toml", SHOP);
    home.apply().await;
    let list = home.run(&["connector", "list"]).await.succeeded();
    assert!(list.stdout.contains("mongodb://app:${MONGO_PASSWORD}@127.0.0.1:1/shop"), "{list:?}");
    let state = std::fs::read(home.folder.path().join("state.sqlite")).unwrap();

    refused(
        &home.run(&["connector", "test", "shop"]).await,
        &["source shop", "MONGO_PASSWORD, which is not set"],
    );
    // The file is looked for beside zenith.toml.
    let path = home.folder.path().join("secret");
    refused(
        &home.run(&["connector", "test", "warehouse"]).await,
        &["target warehouse", path.to_str().unwrap()],
    );
    home.set("MONGO_PASSWORD", "s3cret@/:");
    home.write("secret", "s3cret");
    for (connector, part) in [("shop", "check that it runs"), ("warehouse", "cannot connect to ClickHouse")] {
        let ended = home.run(&["connector", "test", connector]).await;
        refused(&ended, &[part]);
        assert!(!ended.stderr.contains("s3cret"), "{ended:?}");
        let json = home.json(&["connector", "test", connector]).await;
        assert_eq!(json["ok"], false);
    }
    refused(&home.run(&["connector", "test", "shp"]).await, &["did you mean shop?"]);
    assert!(!String::from_utf8_lossy(&state).contains("s3cret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn connectors_say_what_is_there() {
    let bench = Bench::new("connectors").await;
    bench.events("orders", 3).await;
    let home = Home::between(&bench);
    home.configure(&[("orders", "collection = \"orders\"")]);
    home.apply().await;
    let ended = home.run(&["connector", "test", "shop"]).await.succeeded();
    assert!(ended.stdout.starts_with("✓ shop") && ended.stdout.contains("1 collection"), "{ended:?}");
    let json = home.json(&["connector", "test", "warehouse"]).await;
    assert_eq!(json["ok"], true);
    assert!(json["found"].as_str().unwrap().contains(&bench.databases.name), "{json}");
    bench.remove().await;
}

#[tokio::test]
async fn pipelines_are_listed_shown_paused_and_removed() {
    let home = Home::new();
    refused(&home.run(&["pipeline", "list"]).await, &["there is no state at"]);
    home.write("zenith.toml", SHOP);
    home.apply().await;
    let list = home.run(&["pipeline", "list"]).await.succeeded();
    assert!(list.stdout.contains("orders    shop.orders  warehouse.orders  changes\n"), "{}", list.stdout);

    // What is shown can be put into a zenith.toml again.
    let shown = home.run(&["pipeline", "show", "users"]).await.succeeded().stdout;
    let before = SHOP.split("[pipelines.users]").next().unwrap();
    home.write("zenith.toml", &format!("{before}{shown}"));
    assert_eq!(home.run(&["apply"]).await.succeeded().stdout, "nothing changes\n");
    home.write("zenith.toml", &format!("{SHOP}post_images = false\n"));
    let applied = home.run(&["apply", "--yes"]).await.succeeded().stdout;
    assert!(applied.contains("post_images: (not set) -> false"), "{applied}");
    let shown = home.run(&["pipeline", "show", "users"]).await.succeeded().stdout;
    assert!(shown.contains("post_images = false\n"), "{shown}");

    for (verb, paused) in [("pause", true), ("pause", true), ("resume", false)] {
        home.run(&["pipeline", verb, "orders"]).await.succeeded();
        let list = home.json(&["pipeline", "list"]).await;
        assert_eq!((&list[0]["paused"], &list[1]["paused"]), (&paused.into(), &false.into()));
    }
    for verb in ["show", "pause", "resume", "remove"] {
        refused(&home.run(&["pipeline", verb, "order"]).await, &["did you mean orders?"]);
    }

    let dry = home.run(&["pipeline", "remove", "orders", "--dry-run"]).await.succeeded();
    assert!(dry.stdout.contains("the table stays as it is"), "{dry:?}");
    let ended = home.run(&["pipeline", "remove", "orders"]).await;
    assert!(ended.code == Some(2) && ended.stderr.contains("--yes"), "{ended:?}");
    home.run(&["pipeline", "remove", "orders", "--yes"]).await.succeeded();
    assert_eq!(home.json(&["pipeline", "list"]).await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn names_of_version_0_1_are_understood() {
    let home = Home::new();
    home.write("zenith.toml", &format!("{SHOP}object_id_fixed = true\ndecimal_text = false\n"));
    home.apply().await;
    let shown = home.json(&["pipeline", "show", "users"]).await;
    assert_eq!((&shown["object_id"], &shown["decimal"]), (&"fixed".into(), &"decimal".into()));
    assert_eq!((&shown["object_id_fixed"], &shown["decimal_text"]), (&true.into(), &false.into()));
    home.write("zenith.toml", &format!("{SHOP}object_id = \"fixed\"\n"));
    assert_eq!(home.run(&["apply"]).await.succeeded().stdout, "nothing changes\n");
    for (wrong, parts) in [
        ("object_id = \"bytes\"", &["line 15", "object_id", "`hex` or `fixed`"][..]),
        ("readers = 65", &["readers of [pipelines.users] is 65", "more than 64"]),
        ("uuid_legasy = \"java\"", &["line 15", "unknown setting uuid_legasy", "did you mean uuid_legacy?"]),
        ("uuid-legacy = \"java\"", &["did you mean uuid_legacy?"]),
    ] {
        home.write("zenith.toml", &format!("{SHOP}{wrong}\n"));
        refused(&home.run(&["apply", "--yes"]).await, parts);
    }
}

#[tokio::test]
async fn the_state_is_where_it_is_said_to_be() {
    let home = Home::new();
    home.write("zenith.toml", &format!("[state]\npath = \"kept/here.sqlite\"\n{SHOP}"));
    let apply = |arguments: &[&str]| {
        let mut command = home.command(&[&["apply", "--yes"], arguments].concat());
        command.env_remove("ZENITH_STATE");
        crate::harness::run(command)
    };
    apply(&[]).await.succeeded();
    assert!(home.has("kept/here.sqlite"));
    apply(&["--state", "other.sqlite"]).await.succeeded();
    assert!(home.has("other.sqlite"));
    home.write("zenith.toml", SHOP);
    apply(&[]).await.succeeded();
    assert!(home.has(".local/state/zenith/state.sqlite"));
    home.write("not.sqlite", "something else");
    refused(&apply(&["--state", "not.sqlite"]).await, &["not.sqlite is not a state of Zenith"]);
}
