//! What a group of commits comes to.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Place;
use std::time::Duration;

use nightbell_core::record::{Happening, Record};
use nightbell_core::time::UnixMillis;

use crate::codec::Stored;
use crate::entry::{Entry, Id};
use crate::fault::Fault;
use crate::shared::Shared;
use crate::store::Store;

/// A change to the record of this name.
#[derive(Debug)]
pub(crate) struct NamedChange {
    pub(crate) id: Id,
    pub(crate) happening: Happening,
    pub(crate) keep: Duration,
}

/// The records that a group touches, as they will be. Several changes to one record see each other.
pub(crate) struct Group<'a> {
    store: &'a Store,
    touched: HashMap<Id, Touched>,
}

struct Touched {
    /// The record; one that has expired may still be there.
    stored: Option<Stored>,
    hold: UnixMillis,
    changed: bool,
}

impl<'a> Group<'a> {
    pub(crate) fn new(store: &'a Store) -> Self {
        Self { store, touched: HashMap::new() }
    }

    /// Applies one change. One that is illegal for its record is left out.
    pub(crate) fn apply(&mut self, change: NamedChange, now: UnixMillis) -> Result<(), Fault> {
        let NamedChange { id, happening, keep } = change;
        let touched = match self.touched.entry(id) {
            Place::Occupied(known) => known.into_mut(),
            Place::Vacant(unknown) => {
                let found = self.store.read(&id)?;
                unknown.insert(Touched::of(&id, found, &self.store.shared))
            }
        };
        let before = touched.stored.as_ref().filter(|stored| stored.lives(now));
        match Record::apply(id.space.kind(), before.map(|stored| &stored.record), &happening) {
            Ok(record) => {
                let expires = expiry(before, &happening, now.after(keep));
                touched.stored = Some(Stored { record, expires });
                touched.hold = touched.hold.max(expires);
                touched.changed = true;
            }
            Err(illegal) => tracing::debug!(%illegal, ?happening, "a change was left out"),
        }
        Ok(())
    }

    /// What is to be written.
    pub(crate) fn into_entries(self) -> Vec<(Id, Entry)> {
        let changed = self.touched.into_iter().filter(|(_, touched)| touched.changed);
        let entry = |(id, touched): (Id, Touched)| {
            let value = touched.stored?.encode().into();
            Some((id, Entry { hold: touched.hold, value }))
        };
        changed.filter_map(entry).collect()
    }
}

impl Touched {
    fn of(id: &Id, found: Option<Entry>, shared: &Shared) -> Self {
        let hold = found.as_ref().map_or(UnixMillis(0), |entry| entry.hold);
        let stored = found.and_then(|entry| shared.decode(id, &entry.value));
        Self { stored, hold, changed: false }
    }
}

/// A repeat never makes a record be forgotten earlier; every other happening says anew how long to remember.
fn expiry(before: Option<&Stored>, happening: &Happening, asked: UnixMillis) -> UnixMillis {
    match happening {
        Happening::Repeated { .. } => before.map_or(asked, |before| before.expires.max(asked)),
        Happening::Claimed { .. } | Happening::Delivered { .. } | Happening::Died { .. } => asked,
    }
}
