//! The one thread that has the file: it takes what waits, makes it durable, wakes the waiters, and delivers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use std::vec;

use nightbell_core::connector::Connector;
use nightbell_core::message::Message;
use nightbell_core::ports::{Depths, PublishError};
use nightbell_core::time::UnixMillis;
use nightbell_store::{Ended, Joining, Requests};
use redb::{AccessGuard, Database, Error, ReadOnlyTable, ReadableDatabase as _};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::death::{self, Broken};
use crate::file;
use crate::keys::MESSAGES;
use crate::limits::{CLOCK_LOOK_EVERY, GROUP_BOUNDS, IDLE_WAIT, JOIN_WAIT, READ_AHEAD_BYTES};
use crate::memory::{Change, Memory, Now, To};
use crate::queue::Slot;
use crate::queue_file::QueueFile;
use crate::request::{Ask, At, Found, Publish, Request, Write};
use crate::status::Status;
use crate::timeline::Timeline;

/// The bounds that a queue is opened with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) prefetch: usize,
    pub(crate) messages_max: u64,
    pub(crate) bytes_max: u64,
}

/// The thread's state.
pub(crate) struct Writer {
    pub(crate) db: Database,
    pub(crate) memory: Memory,
    pub(crate) file: Arc<QueueFile>,
    pub(crate) bounds: Bounds,
    pub(crate) timeline: Timeline,
    pub(crate) clock: Arc<dyn Fn() -> UnixMillis + Send + Sync>,
    pub(crate) status: Arc<Status>,
    /// How many publishes came together last. Once there are as many again, nobody waits for more: a single publisher never
    /// waits, and many share one sync.
    pub(crate) enough: usize,
    /// The queues of which something was delivered, as the file knows.
    pub(crate) in_use: BTreeSet<Connector>,
}

/// Who is answered once the group is durable, each with its place among the publishes.
type Answers = Vec<(oneshot::Sender<Result<(), PublishError>>, OwnedSemaphorePermit)>;

impl Writer {
    /// Works until it is closed, all handles are gone, or a write fails. What was not closed counts as an unclean end.
    pub(crate) fn run(mut self, requests: &Requests<Request>) {
        let ended = loop {
            match self.turn(requests) {
                Ok(None) => {}
                Ok(Some(ended)) => break Ok(ended),
                Err(error) => break Err(error),
            }
        };
        for queue in self.memory.queues.values_mut() {
            queue.dismiss();
        }
        let status = Arc::clone(&self.status);
        match ended.map(|ended| self.end(ended)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => status.fail(&format!("failed to close: {}", in_full(&error))),
            Err(error) => status.fail(&in_full(&error)),
        }
    }

    fn end(mut self, ended: Ended) -> Result<(), Error> {
        if ended == Ended::Closed {
            file::note_closed(&self.db)?;
            file::compact(&mut self.db, self.file.path(), &self.memory)?;
        }
        Ok(self.db.close()?)
    }

    /// One group, and what became ready meanwhile.
    fn turn(&mut self, requests: &Requests<Request>) -> Result<Option<Ended>, Error> {
        let joining = Joining { enough: self.enough, wait: JOIN_WAIT };
        let group = requests.gather(self.idle(), joining, GROUP_BOUNDS);
        self.perform(group.requests)?;
        let now = self.now();
        self.memory.release(now.moment);
        if group.ended.is_none() {
            self.deliver()?;
        }
        self.status.set_depths(depths(&self.memory));
        Ok(group.ended)
    }

    fn now(&mut self) -> Now {
        let wall = (self.clock)();
        Now { wall, moment: self.timeline.now(wall) }
    }

    /// How long nothing has to be done by itself.
    fn idle(&mut self) -> Duration {
        let Some(due) = self.memory.next_due() else { return IDLE_WAIT };
        self.now().moment.until(due).min(CLOCK_LOOK_EVERY)
    }

    /// Writes first, and answers then, each in their order.
    fn perform(&mut self, requests: Vec<Request>) -> Result<(), Error> {
        let publishes = requests.iter().filter_map(Request::publish).count();
        if publishes > 0 {
            self.enough = publishes;
        }
        let (mut writes, mut asks) = (Vec::new(), Vec::new());
        for request in requests {
            match request {
                Request::Write(write) => writes.push(write),
                Request::Ask(ask) => asks.push(ask),
            }
        }
        if !writes.is_empty() {
            for (answer, _permit) in self.write(writes)? {
                // Whoever no longer waits does not need to know.
                let _gone = answer.send(Ok(()));
            }
        }
        asks.into_iter().try_for_each(|ask| self.ask(ask))
    }

    fn write(&mut self, writes: Vec<Write>) -> Result<Answers, Error> {
        let (mut writes, mut answers) = (writes.into_iter(), Answers::new());
        let status = Arc::clone(&self.status);
        let written = status.while_writing(|| {
            self.commit(&mut writes, &mut answers)?;
            // What is durable in a file that nobody finds again was not taken in.
            Ok(self.file.check()?)
        });
        // The failure must be known before the waiters learn that they get no answer.
        written.inspect_err(|error| status.fail(&in_full(error)))?;
        Ok(answers)
    }

    fn commit(&mut self, writes: &mut vec::IntoIter<Write>, answers: &mut Answers) -> Result<(), Error> {
        let now = self.now();
        let transaction = file::begin(&self.db)?;
        {
            let mut change = Change::begin(&mut self.memory, &transaction, now)?;
            for write in writes {
                apply(&mut change, self.bounds, write, answers)?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn ask(&mut self, ask: Ask) -> Result<(), Error> {
        match ask {
            Ask::Subscribe { connector, consumer } => {
                self.memory.queue(Some(&connector)).subscribe(consumer);
            }
            Ask::HandBack { connector, consumer, place } => {
                self.memory.queue(Some(&connector)).hand_back(consumer, place);
            }
            Ask::Leave { connector, consumer, answer } => {
                let queue = self.memory.queue(Some(&connector));
                for (spot, slot) in queue.leave(consumer) {
                    queue.put_back(spot, slot);
                }
                let _gone = answer.send(());
            }
            Ask::List { only_dead, answer } => {
                let _gone = answer.send(list(&self.memory, only_dead));
            }
            Ask::Read { list, answer } => {
                let _gone = answer.send(self.read(list)?);
            }
            Ask::Sync { answer } => {
                let _gone = answer.send(());
            }
        }
        Ok(())
    }

    /// Fills the consumers' hands.
    fn deliver(&mut self) -> Result<(), Error> {
        let prefetch = self.bounds.prefetch;
        let hungry = self.memory.queues.iter().filter(|(_, queue)| queue.hungry(prefetch).is_some());
        let (known, new): (Vec<_>, Vec<_>) =
            hungry.map(|(name, _)| name.clone()).partition(|name| self.in_use.contains(name));
        if !new.is_empty() {
            file::note_in_use(&self.db, &new, prefetch)?;
            self.in_use.extend(new);
        } else if known.is_empty() {
            return Ok(());
        }
        let messages = self.messages()?;
        let mut unreadable = Vec::new();
        for (connector, queue) in &mut self.memory.queues {
            while let Some(consumer) = queue.hungry(prefetch) {
                let (id, sink) = (consumer.id, consumer.sink.clone());
                let Some(slot) = queue.take() else { break };
                match message(&messages, slot)? {
                    // One that is gone without a farewell will say so.
                    Ok(message) => drop(sink.send((slot.place, message))),
                    Err(broken) => {
                        let _taken = queue.settle(id, slot.place);
                        unreadable.push((connector.clone(), slot, broken));
                    }
                }
            }
        }
        drop(messages);
        if unreadable.is_empty() { Ok(()) } else { self.salvage(unreadable) }
    }

    fn salvage(&mut self, unreadable: Vec<(Connector, Slot, Broken)>) -> Result<(), Error> {
        let now = self.now();
        let transaction = file::begin(&self.db)?;
        {
            let mut change = Change::begin(&mut self.memory, &transaction, now)?;
            for (connector, slot, broken) in unreadable {
                change.salvage(Some(&connector), slot, broken)?;
            }
        }
        Ok(transaction.commit()?)
    }

    /// What is at the beginning of this list.
    fn read(&mut self, list: Vec<At>) -> Result<Vec<Found>, Error> {
        let now = self.now();
        let messages = self.messages()?;
        let (mut read, mut bytes) = (Vec::new(), 0);
        for at in list {
            if bytes >= READ_AHEAD_BYTES {
                break;
            }
            let Some((_, slot)) = self.memory.queue(at.connector.as_ref()).find(at.place, at.spot) else {
                read.push(Found { at, message: None, due: None, is_broken: false });
                continue;
            };
            let (message, is_broken) = match message(&messages, slot)? {
                Ok(message) => (message, false),
                Err(broken) => (death::salvaged(broken, at.connector.clone(), now.wall), true),
            };
            bytes += message.body.len();
            let due = slot.entry.retry.map(|retry| retry.due);
            read.push(Found { at, message: Some(message), due, is_broken });
        }
        Ok(read)
    }

    fn messages(&self) -> Result<ReadOnlyTable<u64, &'static [u8]>, Error> {
        Ok(self.db.begin_read()?.open_table(MESSAGES)?)
    }
}

fn apply(
    change: &mut Change<'_, '_>,
    bounds: Bounds,
    write: Write,
    answers: &mut Answers,
) -> Result<(), Error> {
    match write {
        Write::Publish(Publish { to, record, answer, permit }) => {
            if is_too_much(change.memory, bounds, &to, record.len()) {
                let _gone = answer.send(Err(PublishError::Refused));
                return Ok(());
            }
            answers.push((answer, permit));
            change.put(&to, &record)?;
        }
        Write::Ack { connector, consumer, place } => {
            if let Some(slot) = change.memory.queue(Some(&connector)).settle(consumer, place) {
                change.remove(Some(&connector), slot)?;
            }
        }
        Write::Lost { connector, consumer } => {
            for (spot, slot) in change.memory.queue(Some(&connector)).leave(consumer) {
                change.came_back(&connector, spot, slot)?;
            }
        }
        Write::Remove { at: At { connector, place, spot } } => {
            let connector = connector.as_ref();
            // If it is gone, somebody else was faster.
            if let Some(slot) = change.memory.queue(connector).remove(place, spot) {
                change.remove(connector, slot)?;
            }
        }
    }
    Ok(())
}

/// Whether the queue is too full for an event. What is inside already, a retry or a dead letter, always has room.
fn is_too_much(memory: &Memory, bounds: Bounds, to: &To, bytes: usize) -> bool {
    let places = match to {
        To::Events(connectors) => connectors.len() as u64,
        To::NoQueue => 1,
        To::One { .. } | To::Dead => return false,
    };
    let (messages, stored) = memory.size();
    bounds.messages_max < messages + places || bounds.bytes_max < stored + bytes as u64
}

fn message(
    messages: &ReadOnlyTable<u64, &'static [u8]>,
    slot: Slot,
) -> Result<Result<Message, Broken>, Error> {
    let record = messages.get(slot.entry.message)?;
    Ok(death::read(record.as_ref().map(AccessGuard::value)))
}

fn list(memory: &Memory, only_dead: bool) -> Vec<At> {
    let dead = memory.dead.waiting().map(|(spot, slot)| At { connector: None, place: slot.place, spot });
    let others = memory.queues.iter().filter(|_| !only_dead).flat_map(|(connector, queue)| {
        let at = |(spot, slot): (_, Slot)| At { connector: Some(connector.clone()), place: slot.place, spot };
        queue.waiting().map(at)
    });
    others.chain(dead).collect()
}

/// How many wait, now.
pub(crate) fn depths(memory: &Memory) -> Depths {
    let queues = || memory.queues.iter();
    Depths {
        connectors: queues().map(|(name, queue)| (name.clone(), queue.ready())).collect(),
        delayed: queues().map(|(name, queue)| (name.clone(), queue.delayed())).collect(),
        dead: Some(memory.dead.ready()),
    }
}

/// An error with its causes.
fn in_full(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
