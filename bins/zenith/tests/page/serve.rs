//! `zenith serve` of a test: started, killed, started again at the same address.

use std::fs::Permissions;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Child;

use super::data;
use super::harness::Bench;
use super::home::{Home, stop};

/// More than a start takes on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Tokens of the server that wants some.
pub const ADMIN: &str = "admin-token-of-a-test-0123456789";
pub const READ: &str = "read-token-of-a-test-0123456789ab";

/// The server of the pipelines, and one that wants tokens and has none.
pub struct Servers<'a> {
    home: &'a Home,
    pub address: SocketAddr,
    child: Option<Child>,
    /// Others, each with a state of its own.
    others: Vec<(Home, Child)>,
}

impl<'a> Servers<'a> {
    pub async fn start(home: &'a Home) -> Servers<'a> {
        let mut servers = Servers { home, address: free_address(), child: None, others: Vec::new() };
        servers.start_again().await;
        servers
    }

    /// Kills it, so that it has no time to say goodbye.
    pub async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.unwrap();
        }
    }

    /// Asks it to stop, and waits until it has.
    pub async fn stop(&mut self) {
        if let Some(child) = self.child.take() {
            stop(child).await.succeeded();
        }
    }

    pub async fn start_again(&mut self) {
        self.child = Some(serve(self.home, self.address, &[]).await);
    }

    /// The address of a server that wants tokens, with a state of its own in which nothing is.
    pub async fn guarded(&mut self) -> SocketAddr {
        let home = Home::new();
        home.write("tokens", &format!("admin ada {ADMIN}\nread board {READ}\n"));
        let tokens = home.folder.path().join("tokens");
        std::fs::set_permissions(tokens, Permissions::from_mode(0o600)).unwrap();
        let address = free_address();
        let child = serve(&home, address, &["--token-file", "tokens"]).await;
        self.others.push((home, child));
        address
    }

    /// The address of a server in whose state nothing is.
    pub async fn empty(&mut self) -> SocketAddr {
        self.other(Home::new()).await
    }

    /// The address of a server of 50 pipelines that run, and of a template of 1,000 collections, which rests: a thousand tables
    /// would take minutes to make, and are no concern of a browser.
    pub async fn crowd(&mut self, bench: &Bench) -> SocketAddr {
        data::fill_crowd(bench).await;
        let home = Home::between(bench);
        data::configure_crowd(&home);
        home.apply().await;
        home.run(&["pipeline", "pause", "crowd"]).await.succeeded();
        self.other(home).await
    }

    async fn other(&mut self, home: Home) -> SocketAddr {
        let address = free_address();
        let child = serve(&home, address, &[]).await;
        self.others.push((home, child));
        address
    }
}

/// An address nobody listens at.
fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

async fn serve(home: &Home, address: SocketAddr, more: &[&str]) -> Child {
    let listen = address.to_string();
    let mut command = home.command(&[&["serve", "--listen", &listen], more].concat());
    // What it says belongs to the output of a test that fails.
    let child = command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap();
    let begun = Instant::now();
    while !lives(address).await {
        assert!(begun.elapsed() < TIMEOUT, "zenith serve does not answer at {address}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    child
}

async fn lives(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address).await else { return false };
    let asked = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    stream.write_all(asked.as_bytes()).await.is_ok()
        && stream.read_to_string(&mut answer).await.is_ok()
        && answer.starts_with("HTTP/1.1 200")
}
