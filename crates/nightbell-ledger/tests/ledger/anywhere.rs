//! Damage anywhere in the ledger's files: all records are there all the same, or it is noticed.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nightbell_core::ports::Ledger;
use nightbell_ledger::{LedgerStore, Opened};
use proptest::prelude::*;

use crate::common::{Hand, NOW, Place, close, delivered, id, open, sre};

/// Enough for runs of some blocks, and for a journal behind them.
const EVENTS: u64 = 6_000;
const AT_ONCE: u64 = 250;

/// What happens to one file.
#[derive(Debug, Clone)]
enum Damage {
    Flipped { bits: u8 },
    Cut,
    Zeroed { bytes: usize },
    Removed,
}

fn damages() -> impl Strategy<Value = Damage> {
    prop_oneof![
        4 => (1..=u8::MAX).prop_map(|bits| Damage::Flipped { bits }),
        3 => Just(Damage::Cut),
        3 => (1..100_000_usize).prop_map(|bytes| Damage::Zeroed { bytes }),
        1 => Just(Damage::Removed),
    ]
}

impl Damage {
    /// Strikes a file at this share of its length.
    fn strike(&self, file: &Path, share: f64) {
        let length = fs::metadata(file).unwrap().len();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "any place will do"
        )]
        let at = ((length as f64 * share) as u64).min(length.saturating_sub(1));
        let open = || OpenOptions::new().read(true).write(true).open(file).unwrap();
        match self {
            Self::Flipped { .. } | Self::Zeroed { .. } if length == 0 => {}
            Self::Flipped { bits } => {
                let mut byte = [0];
                open().read_exact_at(&mut byte, at).unwrap();
                open().write_all_at(&[byte[0] ^ bits], at).unwrap();
            }
            Self::Cut => open().set_len(at).unwrap(),
            Self::Zeroed { bytes } => {
                let rest = usize::try_from(length - at).unwrap();
                open().write_all_at(&vec![0; (*bytes).min(rest)], at).unwrap();
            }
            Self::Removed => fs::remove_file(file).unwrap(),
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// How many records are there; none: the ledger says that it failed.
async fn known(ledger: &LedgerStore) -> Option<u64> {
    let mut known = 0;
    for number in 0..EVENTS {
        let looked = ledger.look(&sre(), id(number), vec![id(number)], NOW).await.ok()?;
        known += u64::from(looked.by_event.is_some()) + looked.by_alert.len() as u64;
    }
    Some(known)
}

/// A ledger with runs and a journal, opened more than once.
async fn fill(place: &Place) {
    for part in 0..2 {
        let (ledger, _) = place.open();
        let events: Vec<_> = (part * EVENTS / 2..(part + 1) * EVENTS / 2).collect();
        for chunk in events.chunks(usize::try_from(AT_ONCE).unwrap()) {
            let changes = chunk.iter().copied().flat_map(delivered).collect();
            ledger.commit(&sre(), changes, NOW).await.unwrap();
        }
        close(ledger).await.unwrap();
    }
}

#[test]
fn damage_anywhere_is_noticed_or_changes_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sound = Place::new();
    runtime.block_on(fill(&sound));
    let names = files(&sound.path());
    let config = ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(which in any::<prop::sample::Index>(), share in 0.0..1.0, damage in damages())| {
        let place = Place::new();
        copy(&sound.path(), &place.path());
        // Half of the damage is where nearly all of the bytes are.
        let name = if which.index(2) == 0 { sound.path().join("db") } else { which.get(&names).clone() };
        damage.strike(&place.path().join(name.strip_prefix(sound.path()).unwrap()), share);
        let (ledger, opened) = open(&place.path(), Hand::new()).unwrap();
        if let Opened::Reset { .. } = opened {
            return Ok(());
        }
        match runtime.block_on(known(&ledger)) {
            Some(known) => prop_assert_eq!(known, EVENTS * 2, "{:?}: {:?} at {}", name, damage, share),
            None => prop_assert!(ledger.failure().is_err()),
        }
    });
}

#[test]
fn a_database_cut_in_half_is_noticed() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sound = Place::new();
    runtime.block_on(fill(&sound));
    for share in [0.25, 0.5, 0.9, 0.99] {
        let place = Place::new();
        copy(&sound.path(), &place.path());
        for snapshot in files(&place.path()) {
            if snapshot.file_name().unwrap().to_string_lossy().starts_with("snap.") {
                fs::remove_file(snapshot).unwrap();
            }
        }
        Damage::Cut.strike(&place.path().join("db"), share);
        let (ledger, opened) = open(&place.path(), Hand::new()).unwrap();
        let known = runtime.block_on(known(&ledger));
        let is_whole = known == Some(EVENTS * 2);
        assert!(matches!(opened, Opened::Reset { .. }) || known.is_none() || is_whole, "{share}: {known:?}");
    }
}
