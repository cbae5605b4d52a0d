//! Looks: most are answered by memory alone, the others by the one thread that reads runs.

use std::sync::mpsc::Receiver;

use nightbell_core::fingerprint::Fingerprint;
use nightbell_core::ports::LedgerError;
use nightbell_core::record::{Looked, Record};
use nightbell_core::time::UnixMillis;

use crate::entry::{Entry, Id};
use crate::fault::{Fault, caught};
use crate::index::{Found, Index};
use crate::lane::{Answer, Sent};
use crate::shared::Shared;
use crate::store::Store;

/// The most looks that wait for the reader; further ones wait without blocking.
pub(crate) const LOOKS_WAITING_MAX: usize = 1024;

/// A request to the reader.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) names: Names,
    pub(crate) now: UnixMillis,
    pub(crate) answer: Answer<Looked>,
}

/// The names of an alert: of its event, and those under which it may have been told.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) event: Id,
    pub(crate) alerts: Vec<(Fingerprint, Id)>,
}

impl Names {
    /// What memory alone can answer; none: the runs must be read.
    pub(crate) fn look_in_memory(&self, index: &Index, shared: &Shared, now: UnixMillis) -> Option<Looked> {
        let known = |id| match index.find(id) {
            Found::Here(entry) => Some(living(shared, id, &entry, now)),
            Found::Nowhere => Some(None),
            Found::Perhaps(_) => None,
        };
        let by_event = known(&self.event)?;
        let mut by_alert = Vec::new();
        for (key, id) in &self.alerts {
            by_alert.extend(known(id)?.map(|record| (*key, record)));
        }
        Some(Looked { by_event, by_alert })
    }

    fn look(&self, store: &Store, now: UnixMillis) -> Result<Looked, Fault> {
        let read = |id| {
            let entry = store.read(id)?;
            Ok::<_, Fault>(entry.and_then(|entry| living(&store.shared, id, &entry, now)))
        };
        let by_event = read(&self.event)?;
        let mut by_alert = Vec::new();
        for (key, id) in &self.alerts {
            by_alert.extend(read(id)?.map(|record| (*key, record)));
        }
        Ok(Looked { by_event, by_alert })
    }
}

/// The record of an entry, if it is still remembered. One that can't be read counts as forgotten: the worst that follows is
/// a second alert, whereas an error would hold up every event of its key.
fn living(shared: &Shared, id: &Id, entry: &Entry, now: UnixMillis) -> Option<Record> {
    let stored = shared.decode(id, &entry.value)?;
    stored.lives(now).then_some(stored.record)
}

/// Answers looks until it is closed, all senders are gone, or the ledger fails.
pub(crate) fn run(store: &Store, requests: &Receiver<Sent<Look>>) {
    for sent in requests {
        let (look, _place) = match sent {
            Sent::Request(look, place) => (look, place),
            Sent::Close => return,
        };
        let answer = answer(store, &look);
        let failed = answer.is_err();
        // Whoever no longer waits does not need to know.
        let _gone = look.answer.send(answer);
        if failed {
            return;
        }
    }
}

fn answer(store: &Store, look: &Look) -> Result<Looked, LedgerError> {
    store.shared.failure()?;
    caught(|| look.names.look(store, look.now)).map_err(|fault| {
        store.shared.fail("failed to read the store", &fault);
        store.shared.why()
    })
}
