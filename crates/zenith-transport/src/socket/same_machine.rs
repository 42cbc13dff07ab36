//! Whether ClickHouse is on this machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

/// Whether connections to an address stay on this machine.
pub(super) fn is_own(address: IpAddr) -> bool {
    let address = address.to_canonical();
    // A system without IPv6 may still know its loopback address by name.
    if address.is_loopback() {
        return true;
    }
    let any =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { IpAddr::from(Ipv6Addr::UNSPECIFIED) };
    // Nothing is sent: the system only says which of its addresses it would send from.
    let from = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((address, 9))?;
        socket.local_addr()
    });
    from.is_ok_and(|from| is_same_machine(address, from.ip()))
}

/// Whether the two ends of a connection are on one machine.
pub(super) fn is_same_machine(peer: IpAddr, local: IpAddr) -> bool {
    peer.to_canonical().is_loopback() || peer.to_canonical() == local.to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_addresses_are_known() {
        assert!(is_own("127.0.0.1".parse().unwrap()));
        assert!(is_own("127.9.9.9".parse().unwrap()));
        assert!(is_own("::1".parse().unwrap()));
        assert!(is_own("::ffff:127.0.0.1".parse().unwrap()));
        // An address for documentation, which nobody has.
        assert!(!is_own("192.0.2.1".parse().unwrap()));
    }
}
