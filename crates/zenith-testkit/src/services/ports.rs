//! Free loopback ports, and whether this process listens on one.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::{Error, Result};

/// Ports are taken from below Linux's range for outgoing connections (32768 and up): otherwise a port freed by a killed
/// server could become the local end of somebody's connection before the server is started again.
const FIRST: u32 = 20_000;
const COUNT: u32 = 12_000;

/// A loopback port nobody listens on at this moment.
pub(super) fn free_port() -> Result<u16> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Each process starts elsewhere, so that processes started together seldom try the same port.
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    let start = std::process::id().wrapping_mul(7_919).wrapping_add(clock / 1_000);
    for _ in 0..COUNT {
        let offset = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed).wrapping_mul(31)) % COUNT;
        if let Ok(port) = u16::try_from(FIRST + offset)
            && is_free(port)
        {
            return Ok(port);
        }
    }
    Err(Error::Missing(format!("no free loopback port between {FIRST} and {}", FIRST + COUNT)))
}

/// Whether a server could listen on the loopback port now.
pub(super) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Whether this very process listens on the loopback port.
///
/// That something answers there does not say so: when two servers are started on one port, the loser lives for a moment
/// while the winner answers in its place.
pub(super) fn is_listened_on_by(port: u16, pid: u32) -> bool {
    // See proc(5): local address in hexadecimal, as the machine has it in memory; 0A is TCP_LISTEN; field 10 the inode.
    let address = format!("{:08X}:{port:04X}", u32::from_ne_bytes(Ipv4Addr::LOCALHOST.octets()));
    let table = fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap_or_default();
    let socket = table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let listens = fields.get(1) == Some(&address.as_str()) && fields.get(3) == Some(&"0A");
        listens.then(|| fields.get(9).map(|inode| format!("socket:[{inode}]"))).flatten()
    });
    let Some(socket) = socket else { return false };
    let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    files
        .into_iter()
        .any(|file| fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == socket.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_belongs_to_who_listens() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(is_listened_on_by(port, std::process::id()));
        assert!(!is_free(port));
        assert!(!is_listened_on_by(port, std::os::unix::process::parent_id()));
        drop(listener);
        assert!(!is_listened_on_by(port, std::process::id()));
    }
}
