//! The places for connections. When all are taken, the one that has been idle for longest makes room: whoever comes anew
//! is served, however many hold connections and ask nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::peer::{Peer, Pool};

/// The fewest places that are of use.
const PLACES_MIN: usize = 16;

/// The most places.
const PLACES_MAX: usize = 1024;

/// How many of the process's file handles are for each place: the rest are for the queue, the ledger and deliveries.
const HANDLES_BY_PLACE: u64 = 4;

/// All places. Clones share them.
#[derive(Clone)]
pub(crate) struct Places(Arc<Inner>);

struct Inner {
    most: usize,
    requests: Pool,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    /// Counts what happens, so that the older of two can be told.
    now: u64,
    occupants: HashMap<u64, Occupant>,
}

struct Occupant {
    peer: Peer,
    activity: Activity,
    since: u64,
    leave: CancellationToken,
}

/// What a connection is doing; the first to make room stands first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Activity {
    /// A head is awaited, or the last answer's end is on its way.
    Idle,
    /// An answer is being sent.
    Answering,
    /// A request waits until others have ended.
    Waiting,
    /// A request is being worked on: it is never cut off.
    Working,
}

/// A connection's place; free again when dropped.
pub(crate) struct Place {
    places: Places,
    number: u64,
    pub(crate) peer: Peer,
    /// Cancelled when it has to make room.
    pub(crate) leave: CancellationToken,
}

impl Places {
    /// As many as a process with so many file handles may give to its listener.
    pub(crate) fn for_handles(handles: u64) -> Self {
        let places = usize::try_from(handles / HANDLES_BY_PLACE).unwrap_or(usize::MAX);
        Self::new(places.clamp(PLACES_MIN, PLACES_MAX))
    }

    /// So many. A quarter of them may work on requests that are not about health and metrics, for which the others always
    /// can be had; and no peer has more than half of either.
    pub(crate) fn new(most: usize) -> Self {
        let requests = most.div_ceil(4);
        let requests = Pool::new(requests, requests.div_ceil(2));
        Self(Arc::new(Inner { most, requests, taken: Mutex::default() }))
    }

    /// How many there are.
    pub(crate) fn most(&self) -> usize {
        self.0.most
    }

    /// The right to be worked on, which is given back when dropped.
    pub(crate) fn requests(&self) -> &Pool {
        &self.0.requests
    }

    /// A place for this peer's new connection; none: all are worked on.
    pub(crate) fn take(&self, peer: Peer) -> Option<Place> {
        let mut taken = self.taken();
        let own = taken.occupants.values().filter(|occupant| occupant.peer == peer).count();
        if own >= self.0.most.div_ceil(2) {
            taken.make_room(|occupant| occupant.peer == peer)?;
        } else if taken.occupants.len() >= self.0.most {
            taken.make_room(|_| true)?;
        }
        let (number, leave) = (taken.tick(), CancellationToken::new());
        let occupant = Occupant { peer, activity: Activity::Idle, since: number, leave: leave.clone() };
        taken.occupants.insert(number, occupant);
        drop(taken);
        Some(Place { places: self.clone(), number, peer, leave })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    fn make_room(&mut self, may_go: impl Fn(&Occupant) -> bool) -> Option<()> {
        let idle = self
            .occupants
            .iter()
            .filter(|(_, occupant)| occupant.activity != Activity::Working && may_go(occupant));
        let (&number, _) = idle.min_by_key(|(_, occupant)| (occupant.activity, occupant.since))?;
        self.occupants.remove(&number)?.leave.cancel();
        Some(())
    }
}

impl Place {
    pub(crate) fn places(&self) -> &Places {
        &self.places
    }

    /// Says what the connection does from now on.
    pub(crate) fn enter(&self, activity: Activity) {
        let mut taken = self.places.taken();
        let now = taken.tick();
        if let Some(occupant) = taken.occupants.get_mut(&self.number) {
            (occupant.activity, occupant.since) = (activity, now);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken().occupants.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(last: u8) -> Peer {
        Peer::new([10, 0, 0, last].into())
    }

    #[test]
    fn the_oldest_idle_connection_makes_room_and_one_that_is_worked_on_never_does() {
        let places = Places::new(4);
        let [worked_on, asked_since, idle, answering] =
            [1, 2, 3, 4].map(|last| places.take(peer(last)).unwrap());
        worked_on.enter(Activity::Working);
        answering.enter(Activity::Answering);
        asked_since.enter(Activity::Working);
        asked_since.enter(Activity::Idle);
        let gone = || [&worked_on, &asked_since, &idle, &answering].map(|place| place.leave.is_cancelled());
        let one = places.take(peer(5)).unwrap();
        assert_eq!(gone(), [false, false, true, false]);
        one.enter(Activity::Working);
        let two = places.take(peer(6)).unwrap();
        assert_eq!(gone(), [false, true, true, false]);
        two.enter(Activity::Working);
        let three = places.take(peer(7)).unwrap();
        assert_eq!(gone(), [false, true, true, true]);
        three.enter(Activity::Working);
        assert!(places.take(peer(8)).is_none(), "all are worked on");
        drop(worked_on);
        assert!(places.take(peer(8)).is_some());
    }

    #[test]
    fn a_peer_that_has_half_of_all_makes_room_for_itself() {
        let places = Places::new(4);
        let other = places.take(peer(1)).unwrap();
        let own = [2, 2].map(|last| places.take(peer(last)).unwrap());
        let third = places.take(peer(2)).unwrap();
        let gone = [&other, &own[0], &own[1], &third].map(|place| place.leave.is_cancelled());
        assert_eq!(gone, [false, true, false, false]);
    }

    #[test]
    fn most_handles_are_kept_for_all_else() {
        for (handles, want) in [(0, 16), (128, 32), (1024, 256), (1 << 20, 1024), (u64::MAX, 1024)] {
            assert_eq!(Places::for_handles(handles).most(), want, "{handles}");
        }
    }
}
