//! Pipelines of several collections: one for each that matches, kept in step, looked after and left out by itself.

use bson::{doc, rawdoc};
use serde_json::Value;

use crate::harness::{Bench, run};
use crate::home::{Home, stop};

async fn fill(bench: &Bench, collections: &[(&str, i32)]) {
    for (collection, documents) in collections {
        bench.fill(collection, (0..*documents).map(|n| rawdoc! { "_id": n, "of": *collection })).await;
    }
}

async fn count(bench: &Bench, table: &str) -> String {
    bench.databases.clickhouse.query(&format!("SELECT count() FROM {table}")).await.unwrap_or_default()
}

async fn insert(bench: &Bench, collection: &str, id: i32) {
    let collection = bench.databases.mongodb.collection::<bson::Document>(collection);
    collection.insert_one(doc! { "_id": id, "of": "later" }).await.unwrap();
}

async fn names(home: &Home) -> Vec<String> {
    let list = home.json(&["pipeline", "list"]).await;
    let names = list.as_array().unwrap().iter().filter_map(|pipeline| pipeline["name"].as_str());
    names.map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_collection_that_matches_is_kept_in_step_by_its_own_pipeline() {
    let bench = Bench::new("members").await;
    fill(&bench, &[("orders", 10), ("users", 20), ("tmp_1", 3)]).await;
    let database = &bench.databases.mongodb;
    database.create_collection("v").view_on("users".to_owned()).await.unwrap();
    let series = doc! { "create": "series", "timeseries": { "timeField": "at" } };
    database.run_command(series).await.unwrap();
    let home = Home::between(&bench);
    home.configure(&[("shop", "collections = [\"*\", \"!tmp_*\"]\nflush_interval = \"50ms\"")]);
    let applied = home.run(&["apply", "--dry-run"]).await.succeeded();
    for part in ["+ pipeline shop  shop.(*, !tmp_*) -> warehouse", "+ pipeline shop.orders", "5 to add"] {
        assert!(applied.stdout.contains(part), "{part:?} is not in {applied:?}");
    }
    home.apply().await;
    assert_eq!(names(&home).await, ["shop", "shop.orders", "shop.users"]);
    let shown = home.json(&["pipeline", "show", "shop.orders"]).await;
    assert_eq!((&shown["member_of"], &shown["flush_interval"]), (&"shop".into(), &"50ms".into()));
    let checked = home.run(&["check", "shop"]).await.succeeded();
    assert!(checked.stdout.contains("shop.orders") && checked.stdout.contains("shop.users"), "{checked:?}");

    let child = home.start(&[]).await;
    home.until("both are there", async || {
        count(&bench, "orders_current").await == "10" && count(&bench, "users_current").await == "20"
    })
    .await;
    // New ones come by themselves, also beside changes of the others.
    fill(&bench, &[("orders.eu", 5), ("tmp_2", 5)]).await;
    insert(&bench, "orders", 100).await;
    home.until("the new one is there", async || count(&bench, "`orders.eu_current`").await == "5").await;
    home.until("the change is there", async || count(&bench, "orders_current").await == "11").await;
    insert(&bench, "orders.eu", 100).await;
    home.until("its change is there", async || count(&bench, "`orders.eu_current`").await == "6").await;
    assert_eq!(names(&home).await, ["shop", "shop.orders", "shop.orders.eu", "shop.users"]);

    let runs = home.json(&["history", "shop.orders"]).await;
    assert_eq!(runs.as_array().unwrap().len(), 1, "the others did not stop for it: {runs}");

    // Commands take one of them by its name, and the pause and the status of all by that of the template.
    home.json(&["reload", "shop.orders"]).await;
    home.run(&["verify", "shop.orders"]).await.succeeded();
    home.run(&["schema", "shop.users"]).await.succeeded();
    home.run(&["dead-letters", "list", "shop.users"]).await.succeeded();
    home.run(&["pipeline", "pause", "shop.users"]).await.succeeded();
    home.until_state("shop.users", "paused").await;
    // Those of one source begin again together.
    home.until_state("shop.orders", "following").await;
    home.run(&["pipeline", "resume", "shop"]).await.succeeded();
    home.until_state("shop.users", "following").await;
    let status: Value = home.json(&["status", "shop"]).await;
    assert_eq!(status["pipelines"].as_array().unwrap().len(), 3, "{status}");
    assert_eq!(status["templates"][0]["pipelines"], 3);
    for command in ["reload", "verify", "schema"] {
        let ended = home.run(&[command, "shop"]).await;
        assert!(ended.code == Some(2) && ended.stderr.contains("of 3 collections"), "{ended:?}");
    }
    home.run(&["reset", "shop.users", "--from", "beginning", "--yes"]).await.succeeded();
    assert_eq!(stop(child).await.code, Some(0));

    // All of them go on where they were.
    insert(&bench, "users", 100).await;
    home.run(&["run", "--once", "shop"]).await.succeeded();
    assert_eq!(count(&bench, "users_current").await, "21");
    assert_eq!(bench.ask("SHOW TABLES LIKE 'tmp%'").await, "");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_patterns_take_pipelines_away_and_leave_tables() {
    let bench = Bench::new("members_changed").await;
    fill(&bench, &[("a", 1), ("b", 2), ("c", 3)]).await;
    let home = Home::between(&bench);
    home.configure(&[("p", "collections = [\"*\"]"), ("c", "collection = \"c\"\ntable = \"other\"")]);
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(names(&home).await, ["c", "p", "p.a", "p.b", "p.c"]);

    // Settings are those of the template, and progress stays.
    home.configure(&[
        ("p", "collections = [\"*\"]\nflush_rows = 7"),
        ("c", "collection = \"c\"\ntable = \"other\""),
    ]);
    let ended = home.apply().await;
    assert!(
        ended.stdout.contains("~ pipeline p\n    flush_rows") && !ended.stdout.contains("p.a"),
        "{ended:?}"
    );
    assert_eq!(home.json(&["pipeline", "show", "p.a"]).await["flush_rows"], 7);
    assert_eq!(home.pipeline("p.b").await["rows"], 2);

    // What matches no more has to be agreed to, and keeps its table.
    home.configure(&[("p", "collections = [\"*\", \"!b\"]\nflush_rows = 7")]);
    let ended = home.run(&["apply"]).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("The pipelines c, p.b are removed with their progress"), "{ended:?}");
    home.apply().await;
    assert_eq!(names(&home).await, ["p", "p.a", "p.c"]);
    assert_eq!(count(&bench, "b_current").await, "2");
    home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(names(&home).await, ["p", "p.a", "p.c"]);

    // Another table is another beginning; one of them may go by itself and comes back.
    home.configure(&[("p", "collections = [\"*\", \"!b\"]\ntable = \"{collection}_2\"")]);
    let ended = home.apply().await;
    assert!(ended.stdout.contains("~ pipeline p.a") && ended.stdout.contains("it starts over"), "{ended:?}");
    home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(count(&bench, "a_2_current").await, "1");
    let ended = home.run(&["pipeline", "remove", "p.a", "--yes"]).await.succeeded();
    assert!(ended.stdout.contains("p brings the pipeline back unless a pattern"), "{ended:?}");
    home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(names(&home).await, ["p", "p.a", "p.c"]);

    // The template with all of them.
    home.run(&["pipeline", "remove", "p", "--yes"]).await.succeeded();
    assert!(names(&home).await.is_empty());
    home.apply().await;
    home.write("zenith.toml", "");
    let ended = home.apply().await;
    assert!(ended.stdout.contains("- pipeline p.c"), "{ended:?}");
    assert!(names(&home).await.is_empty());
    assert_eq!(count(&bench, "a_2_current").await, "1");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_in_patterns_are_told_with_their_lines() {
    let bench = Bench::new("members_wrong").await;
    fill(&bench, &[("a", 1), ("a_current", 1)]).await;
    let database = bench.databases.mongodb.client().database(&format!("{}_b", bench.databases.name));
    database.collection("a").insert_one(doc! { "_id": 1 }).await.unwrap();
    let other = format!("collections = [\"a\", \"{}.a\"]", database.name());
    let home = Home::between(&bench);
    for (settings, parts) in [
        ("collections = []", &["line 8", "is empty"][..]),
        ("collections = [\"!a\"]", &["line 8", "only patterns that leave out"]),
        ("collections = [\"*\", \"\"]", &["line 8", "is empty"]),
        ("collections = \"*\"", &["line 8", "collections"]),
        ("collections = [\"*\"]\ncollection = \"a\"", &["has a collection and collections"]),
        ("collections = [\"*\"]\ntable = \"t\"", &["line 9", "table of [pipelines.p] cannot be \"t\""]),
        ("collections = [\"*\"]\nview = \"v\"", &["line 9", "view of [pipelines.p]", "{collection}"]),
        ("collections = [\"x*\"]", &["line 8", "the pattern x* matches no collection"]),
        ("collections = [\"*\", \"!fs.*\"]", &["line 8", ".fs.* for collections of"]),
        ("collections = [\"*\"]", &["would both be a_current"]),
        (&other, &["both write the table a", "{db}_{collection}"]),
    ] {
        home.configure(&[("p", settings)]);
        let ended = home.run(&["apply", "--yes"]).await;
        assert_eq!(ended.code, Some(2), "{settings}: {ended:?}");
        for part in parts {
            assert!(ended.stderr.contains(part), "{part:?} is not in {ended:?}");
        }
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
        assert!(!home.has("state.sqlite") || names(&home).await.is_empty());
        let checked = home.run(&["check"]).await;
        assert_eq!(checked.code, Some(2), "{checked:?}");
    }
    database.drop().await.unwrap();
    bench.remove().await;
}

/// A member that fails, and a collection that cannot be followed, are told apart from the others.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_fails_is_told_apart() {
    let bench = Bench::new("members_fail").await;
    fill(&bench, &[("a", 1), ("b", 2)]).await;
    bench.ask("CREATE TABLE b (other Int32) ENGINE = Memory").await;
    let home = Home::between(&bench);
    home.configure(&[("p", "collections = [\"*\"]")]);
    home.apply().await;
    let child = home.start(&[]).await;
    home.until_state("p.b", "failed").await;
    home.until("the other one runs", async || count(&bench, "a_current").await == "1").await;
    // Its table would be the view of another one.
    fill(&bench, &[("a_current", 1)]).await;
    home.until("it is told", async || {
        let status = home.json(&["status"]).await;
        status["templates"][0]["waiting_for"]
            .as_str()
            .is_some_and(|it| it.contains("p.a_current is left out"))
    })
    .await;
    let status = home.run(&["status"]).await;
    for part in ["✗ p.b: ", "✗ p is not complete for"] {
        assert!(status.stdout.contains(part), "{part:?} is not in {status:?}");
    }
    assert_eq!(home.pipeline("p.a").await["state"], "following");
    let ended = stop(child).await;
    assert_eq!(ended.stderr.matches("p.a_current is left out").count(), 1, "{ended:?}");
    assert_ne!(home.run(&["run", "--once", "--quiet"]).await.code, Some(0));
    bench.remove().await;
}

/// Without its source, apply keeps what it knows, and the run waits for the rest.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_away_is_asked_again() {
    let bench = Bench::new("members_away").await;
    fill(&bench, &[("a", 1)]).await;
    let mut home = Home::between(&bench);
    home.configure(&[("p", "collections = [\"*\"]")]);
    home.apply().await;
    let away = format!("mongodb://127.0.0.1:1/{}?serverSelectionTimeoutMS=300", bench.databases.name);
    home.set("MONGO", &away);
    home.configure(&[("p", "collections = [\"*\"]\nflush_rows = 9")]);
    let applied = home.apply().await;
    assert!(applied.stderr.contains("which collections p is of could not be asked"), "{applied:?}");
    assert_eq!(home.json(&["pipeline", "show", "p.a"]).await["flush_rows"], 9);
    let ended = home.run(&["run", "--once", "--quiet"]).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let checked = home.run(&["check", "p"]).await;
    assert!(checked.code == Some(2) && checked.stdout.contains("✗ collections"), "{checked:?}");
    home.set("MONGO", bench.from());
    home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(count(&bench, "a_current").await, "1");
    let mut command = home.command(&["apply", "--yes"]);
    command.env_remove("MONGO");
    let ended = run(command).await;
    assert!(ended.code == Some(2) && ended.stderr.contains("MONGO, which is not set"), "{ended:?}");
    bench.remove().await;
}
