//! Stores that won't open, and systems that won't let us.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nightbell_ledger::{OpenError, Opened};

use crate::common::{Place, close, commit, is_known};

const EVENTS: u64 = 300;

/// A store with some history: opened several times, so that sled has written snapshots.
async fn filled(place: &Place) {
    for part in 0..3 {
        let (ledger, _) = place.open();
        for number in part * EVENTS / 3..(part + 1) * EVENTS / 3 {
            commit(&ledger, number).await.unwrap();
        }
        close(ledger).await.unwrap();
    }
}

fn snapshots(path: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(path).unwrap().map(|file| file.unwrap().path());
    names.filter(|name| name.file_name().unwrap().to_string_lossy().starts_with("snap.")).collect()
}

/// The store as sled sees it.
fn raw(path: &Path) -> sled::Db {
    sled::Config::new().path(path).segment_size(256 * 1024).open().unwrap()
}

/// A spoilt store is moved aside, whole, and the new one works.
async fn check_reset(spoil: impl FnOnce(&Path)) {
    let place = Place::new();
    filled(&place).await;
    spoil(&place.path());
    let (ledger, opened) = place.open();
    let Opened::Reset { moved_to, problem } = opened else { panic!("{opened:?}") };
    assert!(!problem.is_empty());
    assert!(moved_to.join("db").is_file() || moved_to.join("conf").is_file());
    assert_eq!(moved_to.parent(), place.path().parent());
    assert_eq!(ledger.entries(), 0);
    commit(&ledger, 1).await.unwrap();
    close(ledger).await.unwrap();

    let (ledger, opened) = place.open();
    assert_eq!(opened, Opened::Found { entries: 2 });
    assert!(is_known(&ledger, 1).await);
}

#[tokio::test]
async fn a_torn_snapshot_is_moved_aside() {
    check_reset(|path| {
        let snapshots = snapshots(path);
        assert_eq!(snapshots.len(), 1);
        let file = OpenOptions::new().write(true).open(&snapshots[0]).unwrap();
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_empty_snapshot_is_moved_aside() {
    check_reset(|path| fs::write(&snapshots(path)[0], "").unwrap()).await;
}

#[tokio::test]
async fn a_garbled_database_is_moved_aside() {
    check_reset(|path| {
        let file = OpenOptions::new().write(true).open(path.join("db")).unwrap();
        let length = usize::try_from(file.metadata().unwrap().len()).unwrap();
        file.write_all_at(&vec![0xa5; length], 0).unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_garbled_configuration_is_moved_aside() {
    check_reset(|path| fs::write(path.join("conf"), "nonsense that is long enough").unwrap()).await;
}

#[tokio::test]
async fn an_emptied_database_is_moved_aside() {
    check_reset(|path| fs::write(path.join("db"), "").unwrap()).await;
}

#[tokio::test]
async fn a_store_without_our_format_is_moved_aside() {
    check_reset(|path| {
        let db = raw(path);
        db.remove(b"mformat").unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_store_of_another_format_is_moved_aside() {
    check_reset(|path| {
        let db = raw(path);
        db.insert(b"mformat", &[9]).unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_store_with_a_broken_manifest_is_moved_aside() {
    check_reset(|path| {
        let db = raw(path);
        db.insert(b"mmanifest", b"many").unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_store_that_counts_more_records_than_it_can_have_is_moved_aside() {
    check_reset(|path| {
        let db = raw(path);
        let manifest = r#"{"journal_from":0,"next_run":1,"runs":[{"number":0,"space":"event","level":0,"age":0,"records":18446744073709551615,"blocks":1,"half_ends":0,"ends":18446744073709551615}],"doomed":[]}"#;
        db.insert(b"mmanifest", manifest).unwrap();
        db.insert(b"f\0\0\0\0\0\0\0\0\0\0\0\0", vec![0; 64]).unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_store_that_was_found_damaged_while_in_use_is_moved_aside() {
    check_reset(|path| fs::write(path.join("damaged"), "page 7 is gone").unwrap()).await;
}

#[tokio::test]
async fn a_half_written_snapshot_is_removed_and_nothing_is_lost() {
    let place = Place::new();
    filled(&place).await;
    let latest = place.path().join("snap.FFFFFFFFFFFFFFFF.generating");
    fs::write(&latest, "half").unwrap();
    let (ledger, opened) = place.open();
    assert_eq!(opened, Opened::Found { entries: EVENTS * 2 });
    assert!(!latest.exists());
    for number in 0..EVENTS {
        assert!(is_known(&ledger, number).await, "{number}");
    }
}

#[tokio::test]
async fn the_broken_ones_pile_up_and_are_kept() {
    let place = Place::new();
    for _ in 0..3 {
        filled(&place).await;
        fs::write(place.path().join("damaged"), "again").unwrap();
    }
    let (_ledger, opened) = place.open();
    assert!(matches!(opened, Opened::Reset { .. }));
    let beside = fs::read_dir(place.path().parent().unwrap()).unwrap();
    let names: Vec<_> = beside.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names.iter().filter(|name| name.starts_with("ledger.broken-")).count(), 3, "{names:?}");
}

#[tokio::test]
async fn a_folder_behind_a_link_is_kept_when_the_link_is_moved_aside() {
    let place = Place::new();
    filled(&place).await;
    fs::write(place.path().join("damaged"), "page 7 is gone").unwrap();
    let real = place.path().with_file_name("elsewhere");
    fs::rename(place.path(), &real).unwrap();
    std::os::unix::fs::symlink(&real, place.path()).unwrap();
    assert!(matches!(place.open().1, Opened::Reset { .. }));
    assert!(real.join("db").is_file());
}

#[tokio::test]
async fn a_place_where_no_ledger_can_be_is_an_error_and_nothing_is_moved() {
    let place = Place::new();
    let folder = place.path().parent().unwrap().to_owned();
    fs::write(&folder, "a file where a folder should be").unwrap();
    assert!(matches!(place.try_open(), Err(OpenError::Io { .. })));
    assert!(folder.is_file());
}

#[tokio::test]
async fn a_database_file_that_cant_be_written_is_an_error_and_nothing_is_moved() {
    let place = Place::new();
    let db = place.path().join("db");
    fs::create_dir_all(&db).unwrap();
    let error = place.try_open().unwrap_err();
    assert!(matches!(error, OpenError::Io { doing: "open for writing", .. }), "{error:?}");
    assert!(db.is_dir());
}
