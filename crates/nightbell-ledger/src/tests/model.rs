//! Groups and sweeps against a model that holds every record in a map and forgets by looking at each.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use nightbell_core::dead::Reason;
use nightbell_core::fingerprint::Fingerprint;
use nightbell_core::record::{Happening, Record};
use nightbell_core::time::UnixMillis;
use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::TempDir;

use crate::codec::Stored;
use crate::group::{Group, KeyedChange};
use crate::keys;
use crate::shared::Shared;
use crate::sweep::{SWEEP_RECORDS_MAX, sweep};

#[derive(Debug, Clone)]
enum Step {
    /// So much time passes.
    Wait(u64),
    /// Changes to these of the few records, in one group.
    Group(Vec<(u8, u8, u8, u64)>),
    /// What has expired is removed.
    Sweep,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..40_u64).prop_map(Step::Wait),
        vec((0..4_u8, 0..4_u8, 0..2_u8, 0..50_u64), 1..8).prop_map(Step::Group),
        Just(Step::Sweep),
    ]
}

fn happening(kind: u8, event: u8, at: UnixMillis) -> Happening {
    let (event, replay) = (Fingerprint([event; 16]), None);
    match kind {
        0 => Happening::Claimed { event, replay, until: at },
        1 => Happening::Delivered { event, replay, at, request_id: None },
        2 => Happening::Died { event, replay, at, reason: Reason::Refused },
        _ => Happening::Repeated { times: 1, at },
    }
}

fn key(number: u8) -> Vec<u8> {
    vec![b'e', b's', 0, number]
}

#[derive(Default)]
struct Model(HashMap<u8, Stored>);

impl Model {
    fn get(&self, number: u8, now: UnixMillis) -> Option<&Stored> {
        self.0.get(&number).filter(|stored| stored.lives(now))
    }

    fn apply(&mut self, number: u8, happening: &Happening, keep: Duration, now: UnixMillis) {
        let before = self.get(number, now).cloned();
        let Ok(record) = Record::apply(before.as_ref().map(|stored| &stored.record), happening) else {
            return;
        };
        let mut expires = now.after(keep);
        if let (Happening::Repeated { .. }, Some(before)) = (happening, before) {
            expires = expires.max(before.expires);
        }
        self.0.insert(number, Stored { record, expires });
    }
}

/// The store under test, without its threads.
struct Store {
    db: sled::Db,
    shared: Shared,
    entries: u64,
}

impl Store {
    fn new(folder: &TempDir) -> Self {
        let db = sled::Config::new().path(folder.path()).flush_every_ms(None).open().unwrap();
        Self { db, shared: Shared::new(PathBuf::new()), entries: 0 }
    }

    fn group(&mut self, changes: Vec<KeyedChange>, now: UnixMillis) {
        let mut group = Group::new(&self.db, &self.shared);
        changes.into_iter().for_each(|change| group.apply(change, now).unwrap());
        if let Some((batch, entries)) = group.into_batch(self.entries).unwrap() {
            self.db.apply_batch(batch).unwrap();
            self.entries = entries;
        }
    }

    fn sweep(&mut self, now: UnixMillis) -> usize {
        let swept = sweep(&self.db, &self.shared, now).unwrap();
        self.db.apply_batch(swept.batch).unwrap();
        self.entries -= swept.records;
        swept.named
    }

    fn get(&self, number: u8, now: UnixMillis) -> Option<Stored> {
        let value = self.db.get(key(number)).unwrap()?;
        Some(Stored::decode(&value).unwrap()).filter(|stored| stored.lives(now))
    }

    /// The counter and the index say what is there.
    #[track_caller]
    fn check(&self) {
        let records: Vec<_> = self.db.scan_prefix(b"e").map(Result::unwrap).collect();
        assert_eq!(records.len() as u64, self.entries);
        for (key, value) in &records {
            let step = keys::expiry_step(Stored::decode(value).unwrap().expires);
            let mut entries = self.db.range(keys::expiry(step, 0)..=keys::expiry(step, u64::MAX)).values();
            let named = entries.any(|list| keys::listed(&list.unwrap()).any(|listed| listed == &**key));
            assert!(named, "a record that would never expire");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn groups_and_sweeps_do_what_the_model_does(steps in vec(any_step(), 1..30)) {
        let folder = TempDir::new().unwrap();
        let (mut store, mut model) = (Store::new(&folder), Model::default());
        let mut now = UnixMillis(1_000);
        for step in steps {
            match step {
                Step::Wait(ms) => now = now.after(Duration::from_millis(ms)),
                Step::Sweep => {
                    // To the end of the step, from which the index names what expired within it.
                    now = keys::expiry_step(now);
                    store.sweep(now);
                    let living = (0..4).filter(|number| model.get(*number, now).is_some()).count();
                    prop_assert_eq!(store.entries, living as u64);
                }
                Step::Group(changes) => {
                    let changes = changes.into_iter().map(|(number, kind, event, keep_ms)| {
                        let (happening, keep) = (happening(kind, event, now), Duration::from_millis(keep_ms));
                        model.apply(number, &happening, keep, now);
                        KeyedChange { key: key(number), happening, keep }
                    });
                    store.group(changes.collect(), now);
                }
            }
            store.check();
            for number in 0..4 {
                prop_assert_eq!(store.get(number, now), model.get(number, now).cloned());
            }
        }
    }
}

fn claim(key: Vec<u8>) -> KeyedChange {
    let happening = happening(0, 1, UnixMillis(1));
    KeyedChange { key, happening, keep: Duration::from_millis(10) }
}

#[test]
fn one_sweep_is_bounded_and_the_next_goes_on() {
    let folder = TempDir::new().unwrap();
    let mut store = Store::new(&folder);
    let many = SWEEP_RECORDS_MAX + 10;
    store.group((0..many).map(|number| claim(format!("es\0{number}").into_bytes())).collect(), UnixMillis(5));
    assert_eq!(store.sweep(UnixMillis(999)), 0);
    assert_eq!(store.sweep(UnixMillis(1_000)), SWEEP_RECORDS_MAX);
    store.check();
    assert_eq!(store.sweep(UnixMillis(1_000)), 10);
    assert_eq!((store.entries, store.sweep(UnixMillis(1_000))), (0, 0));
    assert_eq!(store.db.scan_prefix(b"x").count(), 0);
}

#[test]
fn a_stale_name_removes_nothing_and_goes() {
    let folder = TempDir::new().unwrap();
    let mut store = Store::new(&folder);
    store.group(vec![claim(key(1))], UnixMillis(5));
    store.group(vec![claim(key(1))], UnixMillis(2_000));
    assert_eq!(store.sweep(UnixMillis(1_000)), 1);
    assert_eq!(store.entries, 1);
    store.check();
    assert_eq!(store.sweep(UnixMillis(3_000)), 1);
    assert_eq!((store.entries, store.db.scan_prefix(b"x").count()), (0, 0));
}

#[test]
fn an_unreadable_record_is_swept_with_its_name_and_a_broken_entry_alone() {
    let folder = TempDir::new().unwrap();
    let mut store = Store::new(&folder);
    store.group(vec![claim(key(1)), claim(key(2))], UnixMillis(5));
    store.db.insert(key(1), b"?").unwrap();
    store.db.insert(keys::expiry(UnixMillis(3), 1), keys::list(&[key(2), key(9)])).unwrap();
    store.db.insert(keys::expiry(UnixMillis(3), 2), b"\xff").unwrap();
    store.db.insert(b"x", b"").unwrap();
    assert_eq!(store.sweep(UnixMillis(14)), 2);
    store.check_after_damage(2);
    assert_eq!(store.sweep(UnixMillis(1_000)), 2);
    store.check_after_damage(0);
    store.check();
}

impl Store {
    #[track_caller]
    fn check_after_damage(&self, entries: u64) {
        assert_eq!(self.entries, entries);
        assert_eq!(self.db.scan_prefix(b"e").count() as u64, entries);
    }
}
