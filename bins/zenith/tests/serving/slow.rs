//! Those who are slow, say nothing or read nothing: pipelines go on, and others are answered meanwhile.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::http::Serving;
use super::{filled, insert, until, until_state};
use crate::home::Home;

/// Of each kind.
const SLOW: usize = 1_000;
/// How soon a probe has to be answered.
const ANSWERED_WITHIN: Duration = Duration::from_secs(3);

/// What one of them says at first, and then bit by bit.
struct Kind {
    what: &'static str,
    first: &'static str,
    then: &'static str,
}

const KINDS: [Kind; 4] = [
    Kind { what: "heads", first: "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: ", then: "a" },
    Kind {
        what: "bodies",
        first: "POST /api/v1/plan HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
                Content-Length: 100000\r\n\r\n{",
        then: " ",
    },
    Kind {
        what: "readers of events",
        first: "GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        then: "",
    },
    Kind { what: "readers of answers", first: "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", then: "" },
];

impl Kind {
    /// Connections that say what they say at first, and are not closed.
    async fn begin(&self, serving: &Serving) -> Vec<TcpStream> {
        let mut streams = Vec::new();
        for _ in 0..SLOW {
            let Ok(mut stream) = TcpStream::connect(&serving.address).await else { continue };
            let _ = stream.write_all(self.first.as_bytes()).await;
            streams.push(stream);
        }
        streams
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_slow_connections_hold_nothing_up() {
    let (bench, home) = filled("serve_slow").await;
    home.configure(&[("orders", "collection = \"orders\"")]);
    home.apply().await;
    let serving = Serving::start(&home, &[]).await;
    until_state(&home, &serving, "orders", "following").await;
    let mut rows = 500;
    for (number, kind) in KINDS.iter().enumerate() {
        let mut slow = kind.begin(&serving).await;
        for second in 0..3 {
            let begun = Instant::now();
            let answer = serving.get("/healthz").await;
            let took = begun.elapsed();
            eprintln!("{}: /healthz after {took:?}", kind.what);
            assert!(answer.status == 200 && took < ANSWERED_WITHIN, "{}: {took:?} {answer:?}", kind.what);
            let id = 1_000 + i32::try_from(number * 10 + second).unwrap();
            insert(&bench, id).await;
            rows += 1;
            for stream in &mut slow {
                let _ = stream.try_write(kind.then.as_bytes());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let count = async || bench.ask("SELECT count() FROM orders_current").await == rows.to_string();
        home.until("the changes", count).await;
        until(&home, &serving, "/api/v1/pipelines/orders", |pipeline| pipeline["rows"] == rows).await;
        drop(slow);
    }
    serving.stop().await;
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_arrive_is_told_of() {
    let home = Home::new();
    let serving = Serving::start(&home, &[]).await;
    let answer = serving.raw(KINDS[1].first.as_bytes()).await;
    assert_eq!((answer.status, answer.code().as_str()), (408, "ZEN-4081"), "{answer:?}");
    serving.stop().await;
}

/// Events are for so many; the others are told so, and asked again when some have gone.
#[tokio::test(flavor = "multi_thread")]
async fn too_many_who_listen_are_told_so_and_a_stop_waits_for_none() {
    let home = Home::new();
    let serving = Serving::start(&home, &[]).await;
    let mut listening = Vec::new();
    for _ in 0..64 {
        let mut stream = TcpStream::connect(&serving.address).await.unwrap();
        stream.write_all(KINDS[2].first.as_bytes()).await.unwrap();
        let mut head = [0; 15];
        stream.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200 OK");
        listening.push(stream);
    }
    let refused = serving.get("/api/v1/events").await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "ZEN-4291"), "{refused:?}");
    assert_eq!(serving.get("/api/v1/server").await.status, 200);
    listening.truncate(60);
    home.until("a place", async || {
        let mut stream = TcpStream::connect(&serving.address).await.unwrap();
        stream.write_all(KINDS[2].first.as_bytes()).await.unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.is_ok() && &head == b"HTTP/1.1 200"
    })
    .await;
    let begun = Instant::now();
    serving.stop().await;
    eprintln!("stopped after {:?} with {} who listen", begun.elapsed(), listening.len());
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let mut rest = Vec::new();
    listening[0].read_to_end(&mut rest).await.unwrap();
    assert!(String::from_utf8_lossy(&rest).ends_with("0\r\n\r\n"), "the stream ends in order");
}
