//! What a group of commits comes to: one batch.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use nightbell_core::record::{Happening, Record};
use nightbell_core::time::UnixMillis;

use crate::codec::Stored;
use crate::keys;
use crate::shared::Shared;

/// The most records that one entry of the expiry index names: one entry for many records spares sled most of the writes,
/// and small values keep its pages small.
const LISTED_MAX: usize = 64;

/// A change to the record under `key`.
#[derive(Debug)]
pub(crate) struct KeyedChange {
    pub(crate) key: Vec<u8>,
    pub(crate) happening: Happening,
    pub(crate) keep: Duration,
}

/// The records that a group touches, as they will be. Several changes to one record see each other.
pub(crate) struct Group<'a> {
    db: &'a sled::Db,
    shared: &'a Shared,
    touched: HashMap<Vec<u8>, Touched>,
}

struct Touched {
    before: Before,
    stored: Option<Stored>,
    changed: bool,
}

/// What the store has under a key. A record that has expired and was not swept yet is still there.
#[derive(Debug, Clone, Copy)]
enum Before {
    Nothing,
    Unreadable,
    Until(UnixMillis),
}

impl<'a> Group<'a> {
    pub(crate) fn new(db: &'a sled::Db, shared: &'a Shared) -> Self {
        Self { db, shared, touched: HashMap::new() }
    }

    /// Applies one change. One that is illegal for its record is left out.
    pub(crate) fn apply(&mut self, change: KeyedChange, now: UnixMillis) -> Result<(), sled::Error> {
        let KeyedChange { key, happening, keep } = change;
        let touched = match self.touched.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let loaded = load(self.db, self.shared, unknown.key())?;
                unknown.insert(loaded)
            }
        };
        let before = touched.stored.as_ref().filter(|stored| stored.lives(now));
        match Record::apply(before.map(|stored| &stored.record), &happening) {
            Ok(record) => {
                let expires = expiry(before, &happening, now.after(keep));
                touched.stored = Some(Stored { record, expires });
                touched.changed = true;
            }
            Err(illegal) => tracing::debug!(%illegal, ?happening, "a change was left out"),
        }
        Ok(())
    }

    /// The batch that makes the store so, and the number of records it will have; none if nothing changes.
    pub(crate) fn into_batch(self, entries: u64) -> Result<Option<(sled::Batch, u64)>, sled::Error> {
        let mut batch = sled::Batch::default();
        let mut after = entries;
        let mut changed = false;
        let mut expiring: BTreeMap<UnixMillis, Vec<Vec<u8>>> = BTreeMap::new();
        for (key, touched) in self.touched {
            let Some(stored) = touched.stored.filter(|_| touched.changed) else { continue };
            changed = true;
            let step = keys::expiry_step(stored.expires);
            let is_listed = match touched.before {
                Before::Nothing => {
                    after = after.saturating_add(1);
                    false
                }
                Before::Unreadable => false,
                // An entry of another step stays; the sweep sees that it is stale.
                Before::Until(expires) => keys::expiry_step(expires) == step,
            };
            if !is_listed {
                expiring.entry(step).or_default().push(key.clone());
            }
            batch.insert(key, stored.encode());
        }
        for (step, listed) in expiring {
            for some in listed.chunks(LISTED_MAX) {
                batch.insert(keys::expiry(step, self.db.generate_id()?), keys::list(some));
            }
        }
        if after != entries {
            batch.insert(keys::ENTRIES, &after.to_be_bytes());
        }
        Ok(changed.then_some((batch, after)))
    }
}

/// A repeat never makes a record be forgotten earlier; every other happening says anew how long to remember.
fn expiry(before: Option<&Stored>, happening: &Happening, asked: UnixMillis) -> UnixMillis {
    match happening {
        Happening::Repeated { .. } => before.map_or(asked, |before| before.expires.max(asked)),
        Happening::Claimed { .. } | Happening::Delivered { .. } | Happening::Died { .. } => asked,
    }
}

fn load(db: &sled::Db, shared: &Shared, key: &[u8]) -> Result<Touched, sled::Error> {
    let value = db.get(key)?;
    let stored = value.as_ref().and_then(|value| shared.decode(key, value));
    let before = match (&value, &stored) {
        (None, _) => Before::Nothing,
        (Some(_), None) => Before::Unreadable,
        (Some(_), Some(stored)) => Before::Until(stored.expires),
    };
    Ok(Touched { before, stored, changed: false })
}
