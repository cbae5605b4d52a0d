//! Who is at the other end of a connection, and what it may take of something that all share.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A peer: an IPv4 address, or the half of an IPv6 address that a network has; one machine may choose the rest at will.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Peer(IpAddr);

impl Peer {
    pub(crate) fn new(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) if address.is_loopback() => address.into(),
            IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) >> 64 << 64).into(),
        })
    }
}

/// For a request that came over no connection of ours.
impl Default for Peer {
    fn default() -> Self {
        Self(Ipv4Addr::UNSPECIFIED.into())
    }
}

/// Something that all peers share, of which none may have all.
pub(crate) struct Pool {
    all: Arc<Semaphore>,
    peer_max: usize,
    by_peer: Mutex<HashMap<Peer, Weak<Semaphore>>>,
}

/// A part of a pool; given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    of_peer: OwnedSemaphorePermit,
    of_all: OwnedSemaphorePermit,
}

impl Share {
    /// Adds another part that the same peer has of the same pool.
    pub(crate) fn add(&mut self, other: Self) {
        self.of_peer.merge(other.of_peer);
        self.of_all.merge(other.of_all);
    }
}

impl Pool {
    pub(crate) fn new(all: usize, peer_max: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), peer_max, by_peer: Mutex::default() }
    }

    /// Waits for so many parts, of which so many count as this peer's.
    pub(crate) async fn take(&self, peer: Peer, parts: usize, of_peer: usize) -> Share {
        let count = |parts: usize| u32::try_from(parts).unwrap_or(u32::MAX);
        let of_peer = self.of(peer).acquire_many_owned(count(of_peer)).await;
        let of_all = Arc::clone(&self.all).acquire_many_owned(count(parts)).await;
        let never = "no semaphore of a pool is ever closed";
        Share { of_peer: of_peer.expect(never), of_all: of_all.expect(never) }
    }

    fn of(&self, peer: Peer) -> Arc<Semaphore> {
        let mut by_peer = self.by_peer.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever has or waits for a part keeps its semaphore alive.
        by_peer.retain(|_, semaphore| semaphore.strong_count() > 0);
        by_peer.get(&peer).and_then(Weak::upgrade).unwrap_or_else(|| {
            let semaphore = Arc::new(Semaphore::new(self.peer_max));
            by_peer.insert(peer, Arc::downgrade(&semaphore));
            semaphore
        })
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn peer(address: &str) -> Peer {
        Peer::new(address.parse().unwrap())
    }

    #[test]
    fn one_machine_is_one_peer_however_it_writes_its_address() {
        assert_eq!(peer("::ffff:10.0.0.1"), peer("10.0.0.1"));
        assert_eq!(peer("2001:db8::1"), peer("2001:db8::2"));
        assert_ne!(peer("2001:db8::1"), peer("2001:db8:0:1::1"));
        assert_ne!(peer("127.0.0.1"), peer("127.0.0.2"));
    }

    #[tokio::test]
    async fn no_peer_has_all_and_a_part_that_is_given_back_is_there_again() {
        let pool = Pool::new(4, 2);
        let now =
            |last: u8, parts| pool.take(Peer::new([10, 0, 0, last].into()), parts, parts).now_or_never();
        let mut held = now(1, 1).unwrap();
        held.add(now(1, 1).unwrap());
        assert!(now(1, 1).is_none(), "it has its part");
        let other = now(2, 2).unwrap();
        assert!(now(3, 1).is_none(), "nothing is left");
        drop(held);
        assert!(now(1, 2).is_some());
        drop(other);
        assert!(now(3, 1).is_some());
        assert_eq!(pool.by_peer.lock().unwrap().len(), 1, "who has nothing is forgotten");
    }
}
