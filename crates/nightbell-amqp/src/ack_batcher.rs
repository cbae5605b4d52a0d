//! Settling deliveries: acknowledgements wait a few milliseconds for their neighbours, so that one `basic.ack` with
//! `multiple` settles a whole run of them. That spares us, and a quorum queue even more, most of the work for each.
//!
//! One task for each channel sends all answers, in one order: what is handed back can never be covered by a later
//! acknowledgement.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use lapin::options::{BasicAckOptions, BasicNackOptions};
use lapin::{Acker, Channel};
use nightbell_core::ports::{SettleError, Settler};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use crate::limits::{ACK_WAIT_MAX, ACKS_ENOUGH, ACKS_WAIT};

/// The right to settle one delivery. `Ok` means that the answer is on its way within milliseconds; if the broker does not
/// take it, the subscription is lost and the delivery comes again.
#[derive(Debug)]
pub struct AmqpSettler {
    acker: Acker,
    tag: u64,
    batcher: Arc<AckBatcher>,
}

/// What a session and its settlers know of each other, and the way to the task that sends their answers.
#[derive(Debug)]
pub(crate) struct AckBatcher {
    answers: mpsc::Sender<Settlement>,
    /// Delivered and not settled.
    open: AtomicUsize,
    /// The session was given up: nothing may be settled any more, since everything will come again.
    gone: AtomicBool,
    /// An answer was not taken in time.
    stuck: Arc<Notify>,
}

#[derive(Debug)]
enum Settlement {
    Ack(u64),
    HandBack(u64),
    /// Everything before it is to be sent.
    Flush(oneshot::Sender<()>),
}

/// The task that sends the answers of one channel.
struct Sender {
    channel: Channel,
    stuck: Arc<Notify>,
    tally: Tally,
    enough: usize,
}

/// The broker did not take an answer, or not in time.
struct NotTaken;

/// Whether answers may follow.
enum MayFollow {
    More,
    Nothing,
}

impl AckBatcher {
    /// Starts that of a fresh channel, on which `prefetch` deliveries are unsettled at most.
    pub(crate) fn start(channel: &Channel, prefetch: u16) -> Arc<Self> {
        // Each delivery is answered once, and there may be one flush: no answer ever waits for room.
        let (answers, queue) = mpsc::channel(usize::from(prefetch) + 1);
        let stuck = Arc::new(Notify::new());
        let enough = usize::from(prefetch / 4).clamp(1, ACKS_ENOUGH);
        let (channel, tally) = (channel.clone(), Tally::default());
        let sender = Sender { channel, stuck: Arc::clone(&stuck), tally, enough };
        // It ends with the last settler.
        tokio::spawn(sender.run(queue));
        Arc::new(Self { answers, open: AtomicUsize::new(0), gone: AtomicBool::new(false), stuck })
    }

    /// The right to settle a delivery that has just arrived.
    pub(crate) fn settler(self: &Arc<Self>, acker: Acker, tag: u64) -> AmqpSettler {
        self.open.fetch_add(1, Ordering::AcqRel);
        AmqpSettler { acker, tag, batcher: Arc::clone(self) }
    }

    /// How many deliveries are not settled.
    pub(crate) fn open_count(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Waits until an answer is not taken in time.
    pub(crate) async fn stuck(&self) {
        self.stuck.notified().await;
    }

    /// From now on nothing can be settled.
    pub(crate) fn give_up(&self) {
        self.gone.store(true, Ordering::Release);
    }

    /// Waits until every answer given so far is sent, or can't be.
    pub(crate) async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.answers.send(Settlement::Flush(done)).await.is_ok() {
            // An error says that the sender has ended, so that nothing is left to wait for.
            let _ended = flushed.await;
        }
    }
}

impl Settler for AmqpSettler {
    async fn ack(self) -> Result<(), SettleError> {
        self.answer(Settlement::Ack(self.tag)).await
    }

    async fn hand_back(self) -> Result<(), SettleError> {
        self.answer(Settlement::HandBack(self.tag)).await
    }
}

impl AmqpSettler {
    async fn answer(&self, answer: Settlement) -> Result<(), SettleError> {
        if self.batcher.gone.load(Ordering::Acquire) || self.acker.poisoned() {
            return Err(SettleError::Gone);
        }
        self.batcher.answers.send(answer).await.map_err(|_| SettleError::Gone)?;
        self.batcher.open.fetch_sub(1, Ordering::AcqRel);
        Ok(())
    }
}

impl Sender {
    /// Sends answers until nobody can give any more, or one can't be sent.
    async fn run(mut self, mut answers: mpsc::Receiver<Settlement>) {
        while let Ok(MayFollow::More) = self.turn(&mut answers).await {}
    }

    /// Gathers answers for a while and sends them.
    async fn turn(&mut self, answers: &mut mpsc::Receiver<Settlement>) -> Result<MayFollow, NotTaken> {
        if self.tally.is_idle() {
            match answers.recv().await {
                Some(answer) => self.take(answer).await?,
                None => return Ok(MayFollow::Nothing),
            }
        }
        let until = Instant::now() + ACKS_WAIT;
        while self.tally.waiting < self.enough {
            match timeout_at(until, answers.recv()).await {
                Ok(Some(answer)) => self.take(answer).await?,
                Ok(None) | Err(_) => break,
            }
        }
        for ack in self.tally.turn() {
            self.send(ack).await?;
        }
        Ok(MayFollow::More)
    }

    async fn take(&mut self, answer: Settlement) -> Result<(), NotTaken> {
        match answer {
            Settlement::Ack(tag) => self.tally.done(tag),
            Settlement::HandBack(tag) => {
                let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
                self.sent(self.channel.basic_nack(tag, options)).await?;
                self.tally.settled(tag);
            }
            Settlement::Flush(done) => {
                for ack in self.tally.all() {
                    self.send(ack).await?;
                }
                // Whoever no longer waits does not need to know.
                let _gone = done.send(());
            }
        }
        Ok(())
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a channel is never recovered, so that its tags can't go stale"
    )]
    async fn send(&self, Ack { tag, multiple }: Ack) -> Result<(), NotTaken> {
        self.sent(self.channel.basic_ack(tag, BasicAckOptions { multiple })).await
    }

    async fn sent(&self, sending: impl Future<Output = lapin::Result<()>>) -> Result<(), NotTaken> {
        match timeout(ACK_WAIT_MAX, sending).await {
            Ok(Ok(())) => Ok(()),
            // The channel has ended, and the session learns of it in the same way.
            Ok(Err(_)) => Err(NotTaken),
            Err(_) => {
                self.stuck.notify_one();
                Err(NotTaken)
            }
        }
    }
}

/// A `basic.ack` to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ack {
    tag: u64,
    /// All unsettled deliveries before it, too.
    multiple: bool,
}

/// Which deliveries of a channel are done, and which of them the broker knows to be. Tags count from 1.
#[derive(Debug, Default)]
struct Tally {
    /// Deliveries up to here are settled.
    settled: u64,
    /// The state of those that follow.
    marks: VecDeque<Mark>,
    /// How many are done and not acknowledged.
    waiting: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Open,
    /// To be acknowledged, and has waited for a turn behind one that is open.
    Done {
        waited: bool,
    },
    Settled,
}

impl Tally {
    fn is_idle(&self) -> bool {
        self.waiting == 0
    }

    /// To be acknowledged.
    fn done(&mut self, tag: u64) {
        self.mark(tag, Mark::Done { waited: false });
        self.waiting += 1;
    }

    /// Was handed back.
    fn settled(&mut self, tag: u64) {
        self.mark(tag, Mark::Settled);
    }

    fn mark(&mut self, tag: u64, mark: Mark) {
        let Some(place) = tag.checked_sub(self.settled + 1).and_then(|place| usize::try_from(place).ok())
        else {
            return;
        };
        if self.marks.len() <= place {
            self.marks.resize(place + 1, Mark::Open);
        }
        self.marks[place] = mark;
    }

    /// What to acknowledge now: all up to the first that is open; and beyond it, those that have waited for it once.
    fn turn(&mut self) -> Vec<Ack> {
        let mut acks: Vec<Ack> = self.run().into_iter().collect();
        for (mark, tag) in self.marks.iter_mut().zip(self.settled + 1..) {
            match *mark {
                Mark::Done { waited: true } => {
                    acks.push(Ack { tag, multiple: false });
                    *mark = Mark::Settled;
                    self.waiting -= 1;
                }
                Mark::Done { waited: false } => *mark = Mark::Done { waited: true },
                Mark::Open | Mark::Settled => {}
            }
        }
        acks
    }

    /// Everything that is done.
    fn all(&mut self) -> Vec<Ack> {
        // Once to be acknowledged or to have waited, once more for what has waited.
        let mut acks = self.turn();
        acks.extend(self.turn());
        acks
    }

    /// The run of settled deliveries at the front, as one acknowledgement unless the broker knows it.
    fn run(&mut self) -> Option<Ack> {
        let first = self.settled + 1;
        let mut last_done = None;
        while let Some(mark) = self.marks.front().copied().filter(|mark| *mark != Mark::Open) {
            self.marks.pop_front();
            self.settled += 1;
            if let Mark::Done { .. } = mark {
                last_done = Some(self.settled);
                self.waiting -= 1;
            }
        }
        last_done.map(|tag| Ack { tag, multiple: tag != first })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn tally(done: &[u64]) -> Tally {
        let mut tally = Tally::default();
        done.iter().for_each(|tag| tally.done(*tag));
        tally
    }

    fn one(tag: u64) -> Ack {
        Ack { tag, multiple: false }
    }

    fn up_to(tag: u64) -> Ack {
        Ack { tag, multiple: true }
    }

    #[test]
    fn a_run_is_acknowledged_at_once() {
        assert_eq!(tally(&[1]).turn(), [one(1)]);
        assert_eq!(tally(&[3, 1, 2]).turn(), [up_to(3)]);
        let mut tally = tally(&[1, 2]);
        assert_eq!(tally.turn(), [up_to(2)]);
        tally.done(3);
        assert_eq!(tally.turn(), [one(3)]);
        assert!(tally.is_idle());
    }

    #[test]
    fn what_is_done_beyond_an_open_one_waits_for_it_once() {
        let mut tally = tally(&[1, 3, 4]);
        assert_eq!(tally.turn(), [one(1)]);
        tally.done(6);
        assert_eq!(tally.turn(), [one(3), one(4)]);
        tally.done(2);
        assert_eq!(tally.turn(), [one(2), one(6)]);
        assert!(tally.is_idle());
        tally.done(5);
        assert_eq!(tally.turn(), [one(5)]);
    }

    #[test]
    fn one_that_is_filled_in_time_joins_the_run() {
        let mut tally = tally(&[1, 3]);
        assert_eq!(tally.turn(), [one(1)]);
        tally.done(2);
        assert_eq!(tally.turn(), [up_to(3)]);
    }

    #[test]
    fn what_was_handed_back_is_never_acknowledged() {
        let mut tally = tally(&[1, 3]);
        tally.settled(2);
        assert_eq!(tally.turn(), [up_to(3)]);
        tally.settled(4);
        assert_eq!(tally.turn(), []);
        assert_eq!(tally.settled, 4);
    }

    #[test]
    fn a_flush_leaves_nothing() {
        let mut tally = tally(&[1, 2, 4, 5, 7]);
        assert_eq!(tally.all(), [up_to(2), one(4), one(5), one(7)]);
        assert!(tally.is_idle());
    }

    proptest! {
        /// A broker that takes the acknowledgements settles exactly what is done, each once, whatever the order and the turns.
        #[test]
        fn the_broker_settles_exactly_what_is_done(
            order in Just((1..=40_u64).collect::<Vec<_>>()).prop_shuffle(),
            turns in proptest::collection::vec(any::<bool>(), 40),
            left_open in proptest::collection::btree_set(1..=40_u64, 0..4),
        ) {
            let mut tally = Tally::default();
            let mut unsettled: BTreeSet<u64> = (1..=40).collect();
            let mut done = BTreeSet::new();
            let mut broker = |acks: Vec<Ack>, done: &BTreeSet<u64>| {
                for Ack { tag, multiple } in acks {
                    let settled: Vec<u64> =
                        unsettled.iter().copied().filter(|one| *one == tag || (multiple && *one < tag)).collect();
                    assert!(settled.contains(&tag), "{tag} was settled twice");
                    assert!(settled.iter().all(|one| done.contains(one)), "{tag} settled what is not done");
                    settled.iter().for_each(|one| { unsettled.remove(one); });
                }
                unsettled.clone()
            };
            for (tag, turn) in order.into_iter().filter(|tag| !left_open.contains(tag)).zip(turns) {
                tally.done(tag);
                done.insert(tag);
                if turn {
                    broker(tally.turn(), &done);
                }
            }
            prop_assert_eq!(broker(tally.all(), &done), left_open);
            prop_assert!(tally.is_idle());
        }
    }
}
