//! Carries the bytes of one connection both ways and has its fault happen.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::Instant;

use super::fault::{Direction, Fault};
use super::fault_proxy::Shared;

/// Largest piece forwarded at once.
const PIECE: usize = 64 << 10;

/// The fault of a connection and how far it has come.
#[derive(Debug)]
struct Progress {
    fault: Option<Fault>,
    /// Bytes to the server and to the client since the fault began.
    carried: [u64; 2],
    /// The last bytes of the client, for a trigger that is spread over two pieces.
    recent: Vec<u8>,
    /// Whether answers are being lost, and whether one has been.
    answer_lost: bool,
    last_activity: Instant,
}

/// What to do with a piece of data.
struct Decision {
    forward: usize,
    delay: Duration,
    cut: bool,
}

/// Carries until both sides have ended (true) or a fault cuts the connection (false).
pub(super) async fn carry(client: &mut TcpStream, server: &mut TcpStream, shared: &Shared) -> bool {
    let progress = Mutex::new(Progress {
        fault: None,
        carried: [0; 2],
        recent: Vec::new(),
        answer_lost: false,
        last_activity: Instant::now(),
    });
    let (client_reads, client_writes) = client.split();
    let (server_reads, server_writes) = server.split();
    let both = async {
        let to_server = one_way(client_reads, server_writes, Direction::ToServer, shared, &progress);
        let to_client = one_way(server_reads, client_writes, Direction::ToClient, shared, &progress);
        matches!(tokio::try_join!(to_server, to_client), Ok(((), ())))
    };
    tokio::select! {
        whole = both => whole,
        () = silence_after_lost_answer(&progress) => false,
    }
}

/// Forwards in one direction until that side ends; an error means that the connection is to be cut.
async fn one_way(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    direction: Direction,
    shared: &Shared,
    progress: &Mutex<Progress>,
) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            // The other direction may have data to come, as after a half-closed request.
            let _ = to.shutdown().await;
            return Ok(());
        }
        let piece = &buffer[..read];
        let decision = decide(&mut lock(progress), shared, direction, piece);
        if !decision.delay.is_zero() {
            tokio::time::sleep(decision.delay).await;
        }
        to.write_all(&piece[..decision.forward]).await?;
        if decision.cut {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
    }
}

/// Looks for a fault that begins with this piece, counts the piece and says what to do with it.
fn decide(progress: &mut Progress, shared: &Shared, direction: Direction, piece: &[u8]) -> Decision {
    let now = Instant::now();
    progress.last_activity = now;
    if progress.fault.is_none() && direction == Direction::ToServer {
        progress.recent.extend_from_slice(piece);
        progress.fault = shared.claim(&progress.recent);
        let keep = shared.trigger_length().saturating_sub(1).min(progress.recent.len());
        progress.recent.drain(..progress.recent.len() - keep);
    } else if progress.fault.is_none() && shared.trigger_length() == 0 {
        // Without a trigger, a connection on which the server speaks first is faulty from there on.
        progress.fault = shared.claim(&[]);
    }
    let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
    let carried = &mut progress.carried[usize::from(direction == Direction::ToClient)];
    let before = *carried;
    *carried = if progress.fault.is_some() { before.saturating_add(length) } else { 0 };
    let all = Decision { forward: piece.len(), delay: Duration::ZERO, cut: false };
    match progress.fault {
        Some(Fault::Refuse) => Decision { forward: 0, cut: true, ..all },
        Some(Fault::CutAfter { direction: counted, bytes }) if counted == direction => {
            let rest = usize::try_from(bytes.saturating_sub(before)).unwrap_or(usize::MAX);
            Decision { forward: piece.len().min(rest), cut: rest <= piece.len(), ..all }
        }
        Some(Fault::Delay { direction: delayed, duration }) if delayed == direction => {
            Decision { delay: duration, ..all }
        }
        Some(Fault::LoseAnswer { after_request_bytes, .. })
            if direction == Direction::ToClient && progress.carried[0] >= after_request_bytes =>
        {
            progress.answer_lost = true;
            Decision { forward: 0, ..all }
        }
        _ => all,
    }
}

/// Returns when an answer has been lost and nothing has come from either side for as long as the fault says.
async fn silence_after_lost_answer(progress: &Mutex<Progress>) {
    loop {
        let wait = {
            let progress = lock(progress);
            match progress.fault {
                Some(Fault::LoseAnswer { settle, .. }) if progress.answer_lost => {
                    match settle.checked_sub(progress.last_activity.elapsed()) {
                        Some(rest) if !rest.is_zero() => rest,
                        _ => return,
                    }
                }
                _ => Duration::from_millis(10),
            }
        };
        tokio::time::sleep(wait).await;
    }
}

fn lock(progress: &Mutex<Progress>) -> std::sync::MutexGuard<'_, Progress> {
    progress.lock().unwrap_or_else(PoisonError::into_inner)
}
