//! One queue in memory: what is ready, what waits for its time, and what is in hand. It is pure; the file holds the
//! same entries.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nightbell_core::message::Message;
use tokio::sync::mpsc::UnboundedSender;

use crate::codec::Entry;
use crate::limits::HAND_BYTES_MAX;
use crate::sorted_runs::SortedRuns;
use crate::timeline::Moment;

/// A message's place in the file, and what is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) place: u64,
    pub(crate) entry: Entry,
}

/// Who consumes a queue.
#[derive(Debug)]
pub(crate) struct Consumer {
    pub(crate) id: u64,
    /// Where deliveries go. There are never more in it than the prefetch allows.
    pub(crate) sink: UnboundedSender<(u64, Message)>,
    pub(crate) lease: Arc<Lease>,
}

/// The right to settle what a subscription was given, shared by the subscription, its settlers and the queue.
#[derive(Debug, Default)]
pub(crate) struct Lease {
    /// Nothing may be settled any more, since everything went back.
    ended: AtomicBool,
}

impl Lease {
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

/// One queue.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// By the order in which they are to be delivered.
    ready: SortedRuns<Slot>,
    /// By the moment at which they become ready, then by place.
    delayed: BTreeMap<(Moment, u64), Slot>,
    /// The order of what has waited for its time and is ready or in hand, by place.
    released: BTreeMap<u64, u64>,
    /// What the first consumer has, by place, with the order to which it goes back.
    in_hand: BTreeMap<u64, (u64, Slot)>,
    /// The bytes of what is in hand.
    hand_bytes: u64,
    /// The first one consumes; the others wait for it to leave.
    consumers: VecDeque<Consumer>,
}

impl Queue {
    pub(crate) fn put(&mut self, order: u64, slot: Slot) {
        self.ready.insert(order, slot);
    }

    pub(crate) fn delay(&mut self, until: Moment, slot: Slot) {
        self.delayed.insert((until, slot.place), slot);
    }

    /// Lets what is due by `now` become ready, behind all that is. True if there was any.
    ///
    /// What was due when the queue was opened has its turn by when it was put there: it would else go behind all that came
    /// later, again at each start.
    pub(crate) fn release(&mut self, now: Moment, mut next_order: impl FnMut() -> u64) -> bool {
        let mut any = false;
        while let Some(first) = self.delayed.first_entry().filter(|first| first.key().0 <= now) {
            let was_due = first.key().0 == Moment::default();
            let slot = first.remove();
            let order = if was_due { slot.place } else { next_order() };
            self.released.insert(slot.place, order);
            self.ready.insert(order, slot);
            any = true;
        }
        any
    }

    /// When the next becomes ready by itself.
    pub(crate) fn next_due(&self) -> Option<Moment> {
        self.delayed.first_key_value().map(|((moment, _), _)| *moment)
    }

    /// Lets somebody consume, once all before have left. One that has gone meanwhile has said so already.
    pub(crate) fn subscribe(&mut self, consumer: Consumer) {
        if !consumer.lease.has_ended() {
            self.consumers.push_back(consumer);
        }
    }

    /// The consumer, if it may have one more: at most `prefetch`, and [`HAND_BYTES_MAX`], are in hand.
    pub(crate) fn hungry(&self, prefetch: usize) -> Option<&Consumer> {
        let (_, next) = self.ready.first()?;
        let fits = self.hand_bytes + u64::from(next.entry.bytes) <= HAND_BYTES_MAX;
        let room = self.in_hand.len() < prefetch && (fits || self.in_hand.is_empty());
        self.consumers.front().filter(|consumer| room && !consumer.lease.has_ended())
    }

    /// Takes the next into the consumer's hand.
    pub(crate) fn take(&mut self) -> Option<Slot> {
        let (order, slot) = self.ready.pop_first()?;
        self.hand_bytes += u64::from(slot.entry.bytes);
        self.in_hand.insert(slot.place, (order, slot));
        Some(slot)
    }

    /// Takes a message out of this consumer's hand, for good; none if it does not have it.
    pub(crate) fn settle(&mut self, consumer: u64, place: u64) -> Option<Slot> {
        self.consumers.front().filter(|first| first.id == consumer)?;
        self.released.remove(&place);
        self.put_down(place).map(|(_, slot)| slot)
    }

    /// Puts a message back where it was; nothing if this consumer does not have it.
    pub(crate) fn hand_back(&mut self, consumer: u64, place: u64) {
        if self.consumers.front().is_some_and(|first| first.id == consumer)
            && let Some((order, slot)) = self.put_down(place)
        {
            self.ready.insert(order, slot);
        }
    }

    fn put_down(&mut self, place: u64) -> Option<(u64, Slot)> {
        let (order, slot) = self.in_hand.remove(&place)?;
        self.hand_bytes -= u64::from(slot.entry.bytes);
        Some((order, slot))
    }

    /// Lets a consumer go. What it had is returned, each with the spot to which it goes back.
    pub(crate) fn leave(&mut self, consumer: u64) -> Vec<(Spot, Slot)> {
        let first = self.consumers.front().is_some_and(|first| first.id == consumer);
        self.consumers.retain(|one| one.id != consumer);
        let had = if first { std::mem::take(&mut self.in_hand) } else { BTreeMap::new() };
        self.hand_bytes = if first { 0 } else { self.hand_bytes };
        self.released.retain(|place, _| !had.contains_key(place));
        had.into_values().map(|(order, slot)| (Spot::Ready(order), slot)).collect()
    }

    /// Lets all consumers go; what they have stays in hand for ever. It is the end.
    pub(crate) fn dismiss(&mut self) {
        for consumer in self.consumers.drain(..) {
            consumer.lease.end();
        }
    }

    /// Where a message waits that was at `spot`, and what is known of it; none if it does not wait any more.
    pub(crate) fn find(&self, place: u64, spot: Spot) -> Option<(Spot, Slot)> {
        let order = match spot {
            Spot::Ready(order) => order,
            Spot::Delayed(until) => match self.delayed.get(&(until, place)) {
                Some(slot) => return Some((spot, *slot)),
                None => *self.released.get(&place)?,
            },
        };
        let slot = self.ready.get(order).filter(|slot| slot.place == place)?;
        Some((Spot::Ready(order), *slot))
    }

    /// Removes a message that waits; none if it does not wait any more.
    pub(crate) fn remove(&mut self, place: u64, spot: Spot) -> Option<Slot> {
        let (spot, _) = self.find(place, spot)?;
        self.released.remove(&place);
        match spot {
            Spot::Ready(order) => self.ready.remove(order),
            Spot::Delayed(until) => self.delayed.remove(&(until, place)),
        }
    }

    /// Puts a message where it was.
    pub(crate) fn put_back(&mut self, spot: Spot, slot: Slot) {
        match spot {
            Spot::Ready(order) => self.put(order, slot),
            Spot::Delayed(until) => self.delay(until, slot),
        }
    }

    /// Takes out all that may have been in hand when the queue was last open: deliveries are in order, so it is the
    /// first ones, and the first ones of those that came back from a retry. Those have been behind all that was published
    /// before they were put there, and can't have been in hand while that alone was enough.
    pub(crate) fn take_suspects(&mut self, prefetch: usize) -> Vec<(Spot, Slot)> {
        let before = |place| self.ready.iter().take_while(move |(order, _)| *order < place);
        let may_have_been = |place| before(place).take(prefetch).count() < prefetch;
        let due = self.delayed.range(..=(Moment::default(), u64::MAX)).take(prefetch);
        let due = due.take_while(|((_, place), _)| may_have_been(*place));
        let due = due.map(|((until, _), slot)| (Spot::Delayed(*until), *slot));
        let ready = self.ready.iter().take(prefetch).map(|(order, slot)| (Spot::Ready(*order), *slot));
        let suspects: Vec<_> = ready.chain(due).collect();
        for (spot, slot) in &suspects {
            let _taken = self.remove(slot.place, *spot);
        }
        suspects
    }

    /// All that wait, in their order: first the ready ones, then the delayed ones.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = (Spot, Slot)> + '_ {
        let ready = self.ready.iter().map(|(order, slot)| (Spot::Ready(*order), *slot));
        ready.chain(self.delayed.iter().map(|((until, _), slot)| (Spot::Delayed(*until), *slot)))
    }

    pub(crate) fn ready(&self) -> u32 {
        u32::try_from(self.ready.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn delayed(&self) -> u32 {
        u32::try_from(self.delayed.len()).unwrap_or(u32::MAX)
    }
}

/// Where in a queue a message waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spot {
    Ready(u64),
    Delayed(Moment),
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use super::*;

    fn slot(place: u64) -> Slot {
        Slot { place, entry: Entry { message: place, bytes: 1, deliveries: 0, retry: None } }
    }

    fn filled(places: impl IntoIterator<Item = u64>) -> Queue {
        let mut queue = Queue::default();
        for place in places {
            queue.put(place, slot(place));
        }
        queue
    }

    fn consumer(id: u64) -> (Consumer, UnboundedReceiver<(u64, Message)>) {
        let (sink, deliveries) = unbounded_channel();
        (Consumer { id, sink, lease: Arc::default() }, deliveries)
    }

    fn places(queue: &Queue) -> Vec<u64> {
        queue.waiting().map(|(_, slot)| slot.place).collect()
    }

    #[test]
    fn large_messages_are_taken_as_far_as_the_bytes_go_and_one_always() {
        let bytes = u32::try_from(HAND_BYTES_MAX / 2 + 1).unwrap();
        let mut queue = Queue::default();
        for place in 1..=3 {
            let large = slot(place);
            queue.put(place, Slot { entry: Entry { bytes, ..large.entry }, ..large });
        }
        let (one, _deliveries) = consumer(1);
        queue.subscribe(one);
        for place in 1..=3 {
            assert!(queue.hungry(256).is_some(), "one is always taken");
            assert_eq!(queue.take().map(|slot| slot.place), Some(place));
            assert!(queue.hungry(256).is_none(), "two would be too many bytes");
            if place == 2 {
                queue.leave(1);
                queue.subscribe(consumer(1).0);
            } else {
                queue.settle(1, place);
            }
        }
    }

    #[test]
    fn nothing_is_taken_beyond_the_prefetch_or_without_a_consumer() {
        let mut queue = filled(1..=3);
        assert!(queue.hungry(2).is_none());
        let (one, _deliveries) = consumer(1);
        queue.subscribe(one);
        assert_eq!([queue.hungry(2).is_some(), queue.take() == Some(slot(1))], [true; 2]);
        assert_eq!([queue.hungry(2).is_some(), queue.take() == Some(slot(2))], [true; 2]);
        assert!(queue.hungry(2).is_none());
        assert_eq!(queue.settle(1, 1), Some(slot(1)));
        assert!(queue.hungry(2).is_some());
    }

    #[test]
    fn what_is_handed_back_keeps_its_place() {
        let mut queue = filled(1..=3);
        let (one, _deliveries) = consumer(1);
        queue.subscribe(one);
        queue.take();
        queue.take();
        queue.hand_back(1, 1);
        assert_eq!(places(&queue), [1, 3]);
        for (spot, slot) in queue.leave(1) {
            queue.put_back(spot, slot);
        }
        assert_eq!(places(&queue), [1, 2, 3]);
    }

    #[test]
    fn only_the_first_consumer_settles_and_the_second_takes_over() {
        let mut queue = filled(1..=2);
        let ((one, _first), (two, _second)) = (consumer(1), consumer(2));
        queue.subscribe(one);
        queue.subscribe(two);
        queue.take();
        assert_eq!(queue.settle(2, 1), None);
        queue.hand_back(2, 1);
        assert_eq!(queue.leave(2), []);
        assert_eq!(places(&queue), [2]);
        let (two, _second) = consumer(2);
        queue.subscribe(two);
        for (spot, slot) in queue.leave(1) {
            queue.put_back(spot, slot);
        }
        assert_eq!(queue.hungry(1).map(|consumer| consumer.id), Some(2));
        queue.take();
        assert_eq!(queue.settle(1, 1), None);
        assert_eq!(queue.settle(2, 1), Some(slot(1)));
    }

    #[test]
    fn what_is_due_becomes_ready_behind_the_others() {
        let at = |ms| Moment::default().after(Duration::from_millis(ms));
        let mut queue = filled(5..=6);
        for (ms, place) in [(20, 1), (10, 2), (30, 3)] {
            queue.delay(at(ms), slot(place));
        }
        let mut order = 6;
        let mut next = || {
            order += 1;
            order
        };
        assert!(!queue.release(at(9), &mut next));
        assert_eq!(queue.next_due(), Some(at(10)));
        assert!(queue.release(at(20), &mut next));
        assert_eq!(places(&queue), [5, 6, 2, 1, 3]);
        assert_eq!((queue.ready(), queue.delayed()), (4, 1));
    }

    #[test]
    fn a_message_is_removed_wherever_it_has_moved_to_but_not_out_of_a_hand() {
        let at = Moment::default().after(Duration::from_millis(5));
        let mut queue = filled(1..=2);
        queue.delay(at, slot(3));
        let (one, _deliveries) = consumer(1);
        queue.subscribe(one);
        queue.take();
        assert_eq!(queue.remove(1, Spot::Ready(1)), None);
        assert_eq!(queue.remove(2, Spot::Ready(2)), Some(slot(2)));
        queue.release(at, || 9);
        assert_eq!(queue.remove(3, Spot::Delayed(at)), Some(slot(3)));
        assert_eq!(places(&queue), [0; 0]);
    }

    #[test]
    fn the_first_of_the_ready_and_of_the_due_may_have_been_in_hand() {
        let at = |ms| Moment::default().after(Duration::from_millis(ms));
        let mut queue = filled(4..=6);
        for place in 1..=3 {
            queue.delay(at(0), slot(place));
        }
        let suspects: Vec<_> = queue.take_suspects(2).iter().map(|(_, slot)| slot.place).collect();
        assert_eq!((suspects, places(&queue)), (vec![4, 5, 1, 2], vec![6, 3]));
        let mut queue = filled([1]);
        queue.delay(at(1), slot(2));
        assert_eq!(queue.take_suspects(2), [(Spot::Ready(1), slot(1))]);
    }
}
