//! A client that is made out of the document of the API, as somebody else's program would have it.

use zenith_testkit::services::tools;

use super::http::Serving;
use super::{filled, until_state};

/// What the program does with its client: lists the pipelines, pauses one, and asks for one that is not there.
const PROGRAM: &str = r#"
import sys
from client import Client
from client.api.pipelines import get_pipeline, list_pipelines, pause_pipeline

client = Client(base_url=sys.argv[1])
fleet = list_pipelines.sync(client=client)
print([(it.name, it.state, it.rows) for it in fleet.pipelines])
print(pause_pipeline.sync(client=client, name="orders").paused)
print(get_pipeline.sync_detailed(client=client, name="nobody").status_code.value)
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_generated_client_lists_and_pauses() {
    let (bench, home) = filled("serve_client").await;
    home.configure(&[("orders", "collection = \"orders\"")]);
    home.apply().await;
    let serving = Serving::start(&home, &[]).await;
    until_state(&home, &serving, "orders", "following").await;
    home.write("openapi.json", &serving.get("/api/v1/openapi.json").await.body);
    home.write("program.py", PROGRAM);
    let (folder, url) = (home.folder.path().to_owned(), format!("http://{}", serving.address));
    let said = tokio::task::spawn_blocking(move || {
        let python = |arguments: &[&str]| {
            let mut command = tools::python_clients().unwrap();
            let packages =
                command.get_envs().find_map(|(name, value)| (name == "PYTHONPATH").then_some(value?));
            let packages = packages.unwrap().to_owned();
            let mut paths = folder.clone().into_os_string();
            paths.push(":");
            paths.push(&packages);
            let output =
                command.env("PYTHONPATH", paths).args(arguments).current_dir(&folder).output().unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        python(&[
            "-m",
            "openapi_python_client",
            "generate",
            "--path",
            "openapi.json",
            "--meta",
            "none",
            "--output-path",
            "client",
        ]);
        python(&["program.py", &url])
    })
    .await
    .unwrap();
    assert_eq!(said, "[('orders', 'following', 500)]\nTrue\n404\n");
    until_state(&home, &serving, "orders", "paused").await;
    serving.stop().await;
    bench.remove().await;
}
