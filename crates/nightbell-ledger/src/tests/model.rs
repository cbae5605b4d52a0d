//! Groups, folds, merges, sweeps and reopened stores against a model that holds every record in a map.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nightbell_core::dead::Reason;
use nightbell_core::fingerprint::Fingerprint;
use nightbell_core::record::{Happening, Record};
use nightbell_core::time::UnixMillis;
use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::TempDir;

use super::NoDisk;
use crate::codec::Stored;
use crate::entry::Id;
use crate::entry::tests::id;
use crate::group::{Group, NamedChange};
use crate::journal::Journal;
use crate::keeper::Keeper;
use crate::keys;
use crate::manifest::Manifest;
use crate::merge::MERGED_AT_ONCE;
use crate::open::{Loaded, begin};
use crate::shared::Shared;
use crate::store::Store;

/// How many names there are.
const NAMES: u64 = 6;

#[derive(Debug, Clone)]
enum Step {
    /// So much time passes.
    Wait(u64),
    /// Changes to these of the few records, in one group.
    Group(Vec<(u64, u8, u8, u64)>),
    /// The latest records become runs.
    Fold,
    /// The keeper does so many pieces of its other work.
    Keep(u8),
    /// The store is opened anew, wherever the keeper was.
    Reopen,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..40_u64).prop_map(Step::Wait),
        4 => vec((0..NAMES, 0..4_u8, 0..2_u8, 0..90_u64), 1..8).prop_map(Step::Group),
        4 => Just(Step::Fold),
        3 => (0..6_u8).prop_map(Step::Keep),
        1 => Just(Step::Reopen),
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

#[derive(Default)]
struct Model(HashMap<u64, Stored>);

impl Model {
    fn get(&self, number: u64, now: UnixMillis) -> Option<&Stored> {
        self.0.get(&number).filter(|stored| stored.lives(now))
    }

    fn apply(&mut self, number: u64, happening: &Happening, keep: Duration, now: UnixMillis) {
        let before = self.get(number, now).cloned();
        let kind = id(number).space.kind();
        let before_it = before.as_ref().map(|stored| &stored.record);
        let Ok(record) = Record::apply(kind, before_it, happening) else { return };
        let mut expires = now.after(keep);
        if let (Happening::Repeated { .. }, Some(before)) = (happening, before) {
            expires = expires.max(before.expires);
        }
        self.0.insert(number, Stored { record, expires });
    }
}

/// The store under test, without its threads.
struct Bench {
    folder: TempDir,
    store: Store,
    journal: Journal,
    keeper: Keeper<NoDisk>,
    now: Arc<AtomicU64>,
}

impl Bench {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let db = sled::Config::new().path(folder.path()).flush_every_ms(None).open().unwrap();
        begin(&db, &mut NoDisk).unwrap();
        let now = Arc::new(AtomicU64::new(1_000));
        let (store, journal, keeper) = Self::load(db, &now);
        Self { folder, store, journal, keeper, now }
    }

    fn load(db: sled::Db, now: &Arc<AtomicU64>) -> (Store, Journal, Keeper<NoDisk>) {
        let Loaded { db, manifest, journal, index, .. } = Loaded::load(db).unwrap();
        let store = Store { db, index: Arc::new(index), shared: Arc::new(Shared::new(PathBuf::new())) };
        let clock = Arc::clone(now);
        let clock = Box::new(move || UnixMillis(clock.load(Ordering::Relaxed)));
        (store.clone(), journal, Keeper::new(store, NoDisk, clock, manifest))
    }

    fn reopen(self) -> Self {
        let Self { folder, store, keeper, now, .. } = self;
        let db = store.db.clone();
        drop((store, keeper));
        let (store, journal, keeper) = Self::load(db, &now);
        Self { folder, store, journal, keeper, now }
    }

    fn now(&self) -> UnixMillis {
        UnixMillis(self.now.load(Ordering::Relaxed))
    }

    fn wait(&self, ms: u64) {
        self.now.fetch_add(ms, Ordering::Relaxed);
    }

    fn group(&mut self, changes: Vec<NamedChange>) {
        let mut group = Group::new(&self.store);
        changes.into_iter().for_each(|change| group.apply(change, self.now()).unwrap());
        let entries = group.into_entries();
        self.store.db.apply_batch(self.journal.batch(&entries)).unwrap();
        self.store.index.insert(entries);
    }

    fn fold(&mut self) {
        let Some(through) = self.journal.last() else { return };
        let frozen = self.store.index.freeze(through);
        self.keeper.fold(&frozen).unwrap();
    }

    /// The keeper works until there is nothing left to do.
    fn tidy(&mut self) {
        while self.keeper.turn().unwrap() {}
    }

    fn get(&self, id: &Id) -> Option<Stored> {
        let entry = self.store.read(id).unwrap()?;
        Some(Stored::decode(&entry.value).unwrap()).filter(|stored| stored.lives(self.now()))
    }

    fn blocks(&self) -> usize {
        self.store.db.range(keys::block(0, 0)..keys::block(u64::MAX, 0)).count()
    }
}

fn run(steps: Vec<Step>) {
    let (mut bench, mut model) = (Bench::new(), Model::default());
    for step in steps {
        match step {
            Step::Wait(ms) => bench.wait(ms),
            Step::Fold => bench.fold(),
            Step::Keep(pieces) => {
                for _ in 0..pieces {
                    bench.keeper.turn().unwrap();
                }
            }
            Step::Reopen => bench = bench.reopen(),
            Step::Group(changes) => {
                let changes = changes.into_iter().map(|(number, kind, event, keep_ms)| {
                    let keep = Duration::from_millis(keep_ms);
                    let happening = happening(kind, event, bench.now());
                    model.apply(number, &happening, keep, bench.now());
                    NamedChange { id: id(number), happening, keep }
                });
                let changes = changes.collect();
                bench.group(changes);
            }
        }
        for number in 0..NAMES {
            assert_eq!(bench.get(&id(number)), model.get(number, bench.now()).cloned(), "{number}");
        }
    }
    bench.tidy();
    let runs = bench.store.index.runs();
    assert!(runs.len() < 4 * MERGED_AT_ONCE, "{} runs", runs.len());
    drop(runs);
    // Everything expires, and nothing is left of it.
    bench.wait(1_000);
    bench.fold();
    bench.tidy();
    assert_eq!((bench.store.index.records(), bench.store.db.iter().count()), (0, 2));
    assert_eq!(Manifest::load(&bench.store.db).unwrap().doomed, [] as [u64; 0]);
    drop(bench.folder);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_store_does_what_the_model_does(steps in vec(any_step(), 1..80)) {
        run(steps);
    }
}

fn claim(number: u64, keep_ms: u64) -> NamedChange {
    let happening = happening(0, 1, UnixMillis(1));
    NamedChange { id: id(number), happening, keep: Duration::from_millis(keep_ms) }
}

#[test]
fn full_levels_are_merged_and_nothing_is_lost() {
    let mut bench = Bench::new();
    let folds = (MERGED_AT_ONCE * MERGED_AT_ONCE) as u64;
    for fold in 0..folds {
        bench.group((0..40).map(|number| claim(fold * 30 + number, 60_000)).collect());
        bench.fold();
        bench.tidy();
    }
    let runs = bench.store.index.runs();
    assert_eq!(runs.iter().map(|run| run.meta.level).collect::<Vec<_>>(), [2]);
    let names = (folds - 1) * 30 + 40;
    assert_eq!(bench.store.index.records(), names);
    assert!((0..names).all(|number| bench.get(&id(number)).is_some()));
    assert_eq!(bench.get(&id(names)), None);
    assert_eq!(bench.blocks(), usize::try_from(runs[0].meta.blocks).unwrap());
}

#[test]
fn a_shorter_life_does_not_bring_an_older_record_back() {
    let mut bench = Bench::new();
    bench.group(vec![claim(1, 5_000)]);
    bench.fold();
    let delivered = happening(1, 1, UnixMillis(2));
    bench.group(vec![NamedChange { id: id(1), happening: delivered, keep: Duration::from_millis(10) }]);
    bench.fold();
    bench.wait(20);
    bench.tidy();
    assert_eq!(bench.get(&id(1)), None);
    bench.wait(5_000);
    bench.tidy();
    assert_eq!(bench.store.index.records(), 0);
}

#[test]
fn half_of_a_run_that_has_expired_goes_without_the_other() {
    let mut bench = Bench::new();
    bench.group((0..1_000).map(|number| claim(number, if number < 600 { 10 } else { 9_000 })).collect());
    bench.fold();
    bench.tidy();
    assert_eq!(bench.store.index.records(), 1_000);
    bench.wait(100);
    bench.tidy();
    assert_eq!(bench.store.index.records(), 400);
    assert!((600..1_000).all(|number| bench.get(&id(number)).is_some()));
}

#[test]
fn a_run_that_may_be_read_is_not_removed() {
    let mut bench = Bench::new();
    bench.group(vec![claim(1, 10)]);
    bench.fold();
    let found = bench.store.index.find(&id(1));
    bench.wait(100);
    bench.tidy();
    assert_eq!((bench.store.index.records(), bench.blocks()), (0, 1));
    assert!(found.read(&bench.store.db, &id(1)).unwrap().is_some());
    bench.tidy();
    assert_eq!(bench.blocks(), 0);
}

#[test]
fn a_run_that_was_not_finished_goes_at_the_next_start() {
    let mut bench = Bench::new();
    for fold in 0..MERGED_AT_ONCE as u64 {
        bench.group((0..200).map(|number| claim(fold * 200 + number, 60_000)).collect());
        bench.fold();
    }
    let whole = bench.blocks();
    while bench.blocks() < whole + 10 {
        assert!(bench.keeper.turn().unwrap());
    }
    let mut bench = bench.reopen();
    let records = 200 * MERGED_AT_ONCE as u64;
    assert!((0..records).all(|number| bench.get(&id(number)).is_some()));
    bench.tidy();
    let runs = bench.store.index.runs();
    assert_eq!((runs.len(), bench.blocks()), (1, usize::try_from(runs[0].meta.blocks).unwrap()));
    assert_eq!(bench.store.index.records(), records);
}
