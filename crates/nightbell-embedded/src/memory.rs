//! All queues in memory, and the changes that are made to them and to the file together.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use nightbell_core::connector::Connector;
use nightbell_core::message::Message;
use nightbell_core::time::{UnixMillis, millis};
use redb::{AccessGuard, Error, ReadableTable as _, Table, WriteTransaction};

use crate::codec::{Entry, Retry, encode};
use crate::death::{self, Broken};
use crate::keys::{ENTRIES, MESSAGES, key};
use crate::limits::DELIVERIES_MAX;
use crate::queue::{Queue, Slot, Spot};
use crate::telemetry;
use crate::timeline::{Moment, left};

/// All queues, as the file has them.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) queues: BTreeMap<Connector, Queue>,
    pub(crate) dead: Queue,
    /// How many places a message has that has more than one.
    places: HashMap<u64, u32>,
    /// Places that are taken.
    messages: u64,
    /// The bytes of all messages, each counted once.
    bytes: u64,
    /// The number that comes next: places, messages and orders are numbered together.
    next: u64,
}

/// The time by both clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) wall: UnixMillis,
    pub(crate) moment: Moment,
}

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum To {
    /// To each of these queues; it may be refused.
    Events(Arc<[Connector]>),
    /// To the dead letters, since no queue wants the event; it may be refused.
    NoQueue,
    /// To one queue, at once or after a wait.
    One { connector: Connector, wait: Option<Duration> },
    /// To the dead letters.
    Dead,
}

impl Memory {
    pub(crate) fn queue(&mut self, connector: Option<&Connector>) -> &mut Queue {
        match connector {
            Some(connector) => self.queues.entry(connector.clone()).or_default(),
            None => &mut self.dead,
        }
    }

    /// Messages that have a place, and the bytes of all.
    pub(crate) fn size(&self) -> (u64, u64) {
        (self.messages, self.bytes)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Gives no number again that is in the file.
    pub(crate) fn never_again(&mut self, number: u64) {
        self.next = self.next.max(number);
    }

    /// Takes an entry in that was found in the file. `seen` gathers the messages, one for each place.
    pub(crate) fn found(
        &mut self,
        connector: Option<&Connector>,
        slot: Slot,
        now: Now,
        seen: &mut Vec<(u64, u32)>,
    ) {
        self.never_again(slot.place.max(slot.entry.message));
        self.messages += 1;
        seen.push((slot.entry.message, slot.entry.bytes));
        self.line_up(connector, slot, now);
    }

    /// Ends the taking in.
    pub(crate) fn all_found(&mut self, mut seen: Vec<(u64, u32)>) {
        seen.sort_unstable();
        for places in seen.chunk_by(|one, next| one.0 == next.0) {
            let (message, bytes) = places[0];
            self.bytes += u64::from(bytes);
            if places.len() > 1 {
                self.places.insert(message, u32::try_from(places.len()).unwrap_or(u32::MAX));
            }
        }
    }

    fn line_up(&mut self, connector: Option<&Connector>, slot: Slot, now: Now) {
        let queue = self.queue(connector);
        match slot.entry.retry {
            Some(retry) => queue.delay(now.moment.after(left(retry.due, retry.wait(), now.wall)), slot),
            None => queue.put(slot.place, slot),
        }
    }

    /// Lets what is due become ready. True if there was any.
    pub(crate) fn release(&mut self, now: Moment) -> bool {
        let Self { queues, next, .. } = self;
        let mut any = false;
        for queue in queues.values_mut() {
            any |= queue.release(now, || {
                *next += 1;
                *next
            });
        }
        any
    }

    /// When something becomes ready by itself.
    pub(crate) fn next_due(&self) -> Option<Moment> {
        self.queues.values().filter_map(Queue::next_due).min()
    }

    /// Gives one place of a message up. True if it was the last.
    fn forget(&mut self, entry: &Entry) -> bool {
        self.messages -= 1;
        if let Some(times) = self.places.get_mut(&entry.message) {
            *times -= 1;
            if *times == 1 {
                self.places.remove(&entry.message);
            }
            return false;
        }
        self.bytes = self.bytes.saturating_sub(u64::from(entry.bytes));
        true
    }
}

/// Changes of the memory and the file together. The file has them when the transaction is committed.
pub(crate) struct Change<'a, 'txn> {
    pub(crate) memory: &'a mut Memory,
    entries: Table<'txn, &'static [u8], &'static [u8]>,
    messages: Table<'txn, u64, &'static [u8]>,
    now: Now,
}

impl<'a, 'txn> Change<'a, 'txn> {
    pub(crate) fn begin(
        memory: &'a mut Memory,
        transaction: &'txn WriteTransaction,
        now: Now,
    ) -> Result<Self, Error> {
        let (entries, messages) = (transaction.open_table(ENTRIES)?, transaction.open_table(MESSAGES)?);
        Ok(Self { memory, entries, messages, now })
    }

    /// Puts a message in.
    pub(crate) fn put(&mut self, to: &To, record: &[u8]) -> Result<(), Error> {
        let bytes = u32::try_from(record.len()).expect("the outlet refuses longer ones");
        let message = self.memory.next();
        self.messages.insert(message, record)?;
        self.memory.bytes += u64::from(bytes);
        let entry = Entry { message, bytes, deliveries: 0, retry: None };
        match to {
            To::Events(connectors) => {
                let copies = u32::try_from(connectors.len()).expect("connectors are few");
                if copies > 1 {
                    self.memory.places.insert(message, copies);
                }
                for connector in connectors.iter() {
                    self.enter(Some(connector), entry)?;
                }
                Ok(())
            }
            To::One { connector, wait } => {
                let retry = wait.map(|wait| Retry {
                    due: self.now.wall.after(wait),
                    wait_ms: u32::try_from(millis(wait)).unwrap_or(u32::MAX),
                });
                self.enter(Some(connector), Entry { retry, ..entry })
            }
            To::NoQueue | To::Dead => self.enter(None, entry),
        }
    }

    fn enter(&mut self, connector: Option<&Connector>, entry: Entry) -> Result<(), Error> {
        let slot = Slot { place: self.memory.next(), entry };
        self.entries.insert(&*key(connector, slot.place), &*entry.encode())?;
        self.memory.messages += 1;
        self.memory.line_up(connector, slot, self.now);
        Ok(())
    }

    /// Removes from the file what was taken out of its queue.
    pub(crate) fn remove(&mut self, connector: Option<&Connector>, slot: Slot) -> Result<(), Error> {
        self.entries.remove(&*key(connector, slot.place))?;
        if self.memory.forget(&slot.entry) {
            self.messages.remove(slot.entry.message)?;
        }
        Ok(())
    }

    /// Counts that a message, taken out of its queue, came back because its holder ended, and puts it back at `spot`;
    /// to the dead letters if that was once too often.
    pub(crate) fn came_back(
        &mut self,
        connector: &Connector,
        spot: Spot,
        mut slot: Slot,
    ) -> Result<(), Error> {
        slot.entry.deliveries = slot.entry.deliveries.saturating_add(1);
        if slot.entry.deliveries > DELIVERIES_MAX {
            telemetry::came_back_too_often(connector);
            let mut message = match self.read(slot)? {
                Ok(message) => message,
                Err(broken) => return self.salvage(Some(connector), slot, broken),
            };
            death::delivery_limit(&mut message, connector.clone(), self.now.wall);
            return self.bury(Some(connector), slot, &message);
        }
        self.entries.insert(&*key(Some(connector), slot.place), &*slot.entry.encode())?;
        self.memory.queue(Some(connector)).put_back(spot, slot);
        Ok(())
    }

    /// Makes a dead letter of a message whose record can't be read.
    pub(crate) fn salvage(
        &mut self,
        connector: Option<&Connector>,
        slot: Slot,
        broken: Broken,
    ) -> Result<(), Error> {
        telemetry::salvaged(connector, slot.entry.message, broken.why);
        let message = death::salvaged(broken, connector.cloned(), self.now.wall);
        self.bury(connector, slot, &message)
    }

    fn bury(&mut self, connector: Option<&Connector>, slot: Slot, message: &Message) -> Result<(), Error> {
        let record = encode(message).expect("what was stored once is short enough");
        self.put(&To::Dead, &record)?;
        self.remove(connector, slot)
    }

    fn read(&self, slot: Slot) -> Result<Result<Message, Broken>, Error> {
        let record = self.messages.get(slot.entry.message)?;
        Ok(death::read(record.as_ref().map(AccessGuard::value)))
    }
}
