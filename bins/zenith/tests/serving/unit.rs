//! The server as a service of systemd: when it is ready, and that it lives.

use std::time::Duration;

use tokio::net::UnixDatagram;

use super::filled;
use crate::home::stop;

#[tokio::test(flavor = "multi_thread")]
async fn systemd_is_told_when_all_run_and_that_the_server_lives() {
    let (bench, home) = filled("serve_unit").await;
    home.write(
        "zenith.toml",
        "[sources.shop]\nuri = \"${MONGO}\"\n[targets.late]\nuri = \"file:late\"\n\
         [pipelines.orders]\nsource = \"shop\"\ntarget = \"late\"\ncollection = \"orders\"\n",
    );
    home.write("late", &bench.to());
    home.apply().await;
    // Not ready as long as its pipeline does not run: nobody knows where its target is.
    std::fs::remove_file(home.folder.path().join("late")).unwrap();
    let path = home.folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let mut command = home.command(&["serve", "--listen", "127.0.0.1:0"]);
    let child = command
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "1000000")
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let said = async || {
        let mut buffer = [0; 4096];
        let count = tokio::time::timeout(Duration::from_secs(60), socket.recv(&mut buffer)).await;
        String::from_utf8_lossy(&buffer[..count.expect("it says nothing").unwrap()]).into_owned()
    };
    for _ in 0..4 {
        assert_eq!(said().await.trim(), "WATCHDOG=1", "it lives, and is not ready");
    }
    home.write("late", &bench.to());
    let mut lives = 0;
    while said().await.trim() != "READY=1" {
        lives += 1;
    }
    assert!(lives > 0);
    // It runs, and may be loading still.
    home.until("its rows", async || bench.ask("SELECT count() FROM orders_current").await == "500").await;
    assert_eq!(said().await.trim(), "WATCHDOG=1");
    stop(child).await.succeeded();
    let mut last = String::new();
    while !last.contains("STOPPING=1") {
        last = said().await;
    }
    bench.remove().await;
}
