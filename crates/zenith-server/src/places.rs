//! Places of connections: how many there may be, in all and from one address, and which one makes room for another.
//!
//! A connection that is waited for holds its place only while nobody needs it: one whose request has not arrived, one
//! between two requests, one that does not read its answer. So a thousand slow ones keep nobody out.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Connections at once.
pub const CONNECTIONS_MAX: usize = 256;
/// Connections at once from one address.
pub const CONNECTIONS_OF_ONE: usize = 128;
/// Connections at once that are sent events.
pub const LISTENERS_MAX: usize = 128;
/// The same from one address.
pub const LISTENERS_OF_ONE: usize = 64;

/// Where somebody asks from: an address, or in IPv6 the network that is given to one customer.
#[must_use]
pub fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address => address,
    }
}

/// The places of a server. Clones share them.
#[derive(Clone, Default)]
pub struct Places(Arc<Mutex<Taken>>);

#[derive(Default)]
struct Taken {
    next: u64,
    /// By number, so that the oldest is the first.
    held: BTreeMap<u64, Arc<Holder>>,
}

struct Holder {
    from: IpAddr,
    /// A request has arrived, and its answer is not sent yet.
    is_busy: AtomicBool,
    /// The other end does not read.
    is_stuck: AtomicBool,
    listens: AtomicBool,
    leave: Notify,
}

impl Holder {
    fn may_go(&self) -> bool {
        !self.is_busy.load(Ordering::Relaxed) || self.is_stuck.load(Ordering::Relaxed)
    }
}

/// A place that is taken, until dropped.
pub struct Seat {
    number: u64,
    holder: Arc<Holder>,
    places: Places,
}

/// The right to be sent events, until dropped.
pub struct Listening(Arc<Holder>);

impl Places {
    /// A place for a connection; another one may have to leave for it. `None` if all are in use.
    #[must_use]
    pub fn take(&self, address: IpAddr) -> Option<Arc<Seat>> {
        let from = origin(address);
        let mut taken = self.taken();
        taken.make_room(from)?;
        taken.next += 1;
        let number = taken.next;
        let holder = Arc::new(Holder {
            from,
            is_busy: AtomicBool::new(false),
            is_stuck: AtomicBool::new(false),
            listens: AtomicBool::new(false),
            leave: Notify::new(),
        });
        taken.held.insert(number, Arc::clone(&holder));
        Some(Arc::new(Seat { number, holder, places: self.clone() }))
    }

    /// How many are taken.
    #[must_use]
    pub fn count(&self) -> usize {
        self.taken().held.len()
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Has one leave if there is no place; that of the same address, or of the address that has most. `None` if none may go.
    fn make_room(&mut self, from: IpAddr) -> Option<()> {
        let mut of: HashMap<IpAddr, usize> = HashMap::new();
        self.held.values().for_each(|holder| *of.entry(holder.from).or_default() += 1);
        if of.get(&from).is_some_and(|count| *count >= CONNECTIONS_OF_ONE) {
            return self.let_go(|holder| holder.from == from);
        }
        if self.held.len() < CONNECTIONS_MAX {
            return Some(());
        }
        let most = of.into_iter().max_by_key(|(_, count)| *count).map(|(address, _)| address);
        self.let_go(|holder| Some(holder.from) == most).or_else(|| self.let_go(|_| true))
    }

    fn let_go(&mut self, is_meant: impl Fn(&Holder) -> bool) -> Option<()> {
        let number = self
            .held
            .iter()
            .find(|(_, holder)| is_meant(holder) && holder.may_go())
            .map(|(number, _)| *number)?;
        self.held.remove(&number)?.leave.notify_one();
        Some(())
    }
}

impl Seat {
    /// Returns once the place is needed for another.
    pub async fn is_needed(&self) {
        self.holder.leave.notified().await;
    }

    /// Whether a request has arrived, and its answer is not sent yet.
    pub fn set_busy(&self, is_busy: bool) {
        self.holder.is_busy.store(is_busy, Ordering::Relaxed);
    }

    /// Whether the other end does not read what it is sent.
    pub fn set_stuck(&self, is_stuck: bool) {
        self.holder.is_stuck.store(is_stuck, Ordering::Relaxed);
    }

    /// The right to be sent events; `None` if too many are.
    #[must_use]
    pub fn listen(&self) -> Option<Listening> {
        let taken = self.places.taken();
        let listeners = || taken.held.values().filter(|holder| holder.listens.load(Ordering::Relaxed));
        let of_one = listeners().filter(|holder| holder.from == self.holder.from).count();
        if of_one >= LISTENERS_OF_ONE || listeners().count() >= LISTENERS_MAX {
            return None;
        }
        self.holder.listens.store(true, Ordering::Relaxed);
        Some(Listening(Arc::clone(&self.holder)))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.places.taken().held.remove(&self.number);
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.listens.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn the_oldest_that_waits_makes_room() {
        let places = Places::default();
        let seats: Vec<_> = (0..CONNECTIONS_OF_ONE).map(|_| places.take(address(1)).unwrap()).collect();
        seats.iter().for_each(|seat| seat.set_busy(true));
        assert!(places.take(address(1)).is_none(), "all are busy");
        let others: Vec<_> = (0..CONNECTIONS_OF_ONE).map(|_| places.take(address(2)).unwrap()).collect();
        seats[3].set_stuck(true);
        assert!(places.take(address(1)).is_some());
        let third = places.take(address(3)).unwrap();
        assert!(places.take(address(4)).is_some(), "one of the second address has gone");
        assert!(places.count() <= CONNECTIONS_MAX);
        drop((seats, others, third));
        assert_eq!(places.count(), 0);
    }

    #[test]
    fn those_who_listen_leave_places_for_others() {
        let places = Places::default();
        let seats: Vec<_> = (0..CONNECTIONS_OF_ONE).map(|_| places.take(address(1)).unwrap()).collect();
        let listening: Vec<_> = seats.iter().filter_map(|seat| seat.listen()).collect();
        assert_eq!(listening.len(), LISTENERS_OF_ONE);
        assert!(places.take(address(2)).unwrap().listen().is_some());
        drop(listening);
        assert!(seats[0].listen().is_some());
    }

    #[test]
    fn networks_of_one_customer_are_one() {
        let of = |text: &str| origin(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:3::4"), of("2001:db8:1:2::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
    }
}
