//! Free loopback ports.

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
