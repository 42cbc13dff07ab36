//! What takes exports, as a collector would.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A request: its head in lower case, and its body.
type Taken = (String, Vec<u8>);

pub struct Receiver {
    pub address: String,
    taken: Arc<Mutex<Vec<Taken>>>,
}

impl Receiver {
    pub async fn start() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let receiver = Receiver { address, taken: Arc::default() };
        let taken = Arc::clone(&receiver.taken);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let Some(request) = request(&mut stream).await else { continue };
                taken.lock().unwrap().push(request);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            }
        });
        receiver
    }

    pub fn heads(&self) -> Vec<String> {
        self.taken.lock().unwrap().iter().map(|(head, _)| head.clone()).collect()
    }

    pub fn bodies(&self, path: &str) -> Vec<Vec<u8>> {
        let taken = self.taken.lock().unwrap();
        let of_path = taken.iter().filter(|(head, _)| head.starts_with(&format!("post {path} ")));
        of_path.map(|(_, body)| body.clone()).collect()
    }
}

async fn request(stream: &mut TcpStream) -> Option<Taken> {
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; 65_536]);
    loop {
        let count = stream.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&buffer[..count]);
        let Some(end) = bytes.windows(4).position(|part| part == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let (_, length) = head.split_once("content-length: ")?;
        let length: usize = length.lines().next()?.trim().parse().ok()?;
        if bytes.len() >= end + 4 + length {
            return Some((head, bytes[end + 4..end + 4 + length].to_vec()));
        }
    }
}
