//! A ledger that version 0.1.0 wrote, kept as bytes: what it says must stay readable.

use std::fs;
use std::path::{Path, PathBuf};

use nightbell_core::record::State;
use nightbell_ledger::Opened;

use crate::common::{Place, close, commit, is_known, look};

/// How many alerts are in it, each with its event.
const ALERTS: u64 = 3;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ledger-v1")
}

/// Copies a folder; opening a ledger writes to it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[tokio::test]
async fn a_ledger_of_version_1_is_read_and_goes_on() {
    let place = Place::new();
    copy(&fixture(), &place.path());
    let (ledger, opened) = place.open();
    assert_eq!(opened, Opened::Found { entries: 2 * ALERTS });
    for number in 0..ALERTS {
        let found = look(&ledger, number).await;
        assert!(matches!(found.by_event.unwrap().state, State::Delivered { .. }), "{number}");
    }
    assert!(!is_known(&ledger, ALERTS).await);
    commit(&ledger, ALERTS).await.unwrap();
    close(ledger).await.unwrap();
    assert_eq!(place.open().1, Opened::Found { entries: 2 * ALERTS + 2 });
}

/// Writes the fixture, once and for all; it is not written again for a version that reads it no longer.
#[tokio::test]
#[ignore = "it makes the fixture"]
async fn make() {
    assert!(!fixture().exists(), "the fixture is never replaced");
    let place = Place::new();
    let (ledger, _) = place.open();
    for number in 0..ALERTS {
        commit(&ledger, number).await.unwrap();
    }
    close(ledger).await.unwrap();
    copy(&place.path(), &fixture());
}
