//! Files that are damaged or foreign: they are left as they are, and nothing of them is lost.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use nightbell_core::ports::MessageQueue as _;
use nightbell_embedded::OpenError;
use redb::{Database, TableDefinition};

use crate::common::{Place, acked, becomes, close, connector, dead, publish_all};

const ENTRIES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("entries");
const MESSAGES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("messages");
const FACTS: TableDefinition<'_, &str, u64> = TableDefinition::new("facts");

/// A queue with some messages, closed.
async fn filled(texts: &[&str]) -> Place {
    let place = Place::new();
    let queue = place.open(&["sre"]);
    publish_all(&queue, texts).await;
    close(queue).await.unwrap();
    place
}

/// Changes the file behind the queue's back.
fn meddle(place: &Place, change: impl FnOnce(&redb::WriteTransaction)) {
    let db = Database::open(place.path()).unwrap();
    let transaction = db.begin_write().unwrap();
    change(&transaction);
    transaction.commit().unwrap();
}

#[tokio::test]
async fn a_message_that_cannot_be_read_becomes_a_dead_letter_with_its_bytes() {
    let place = filled(&["1", "2", "3"]).await;
    meddle(&place, |transaction| {
        let mut messages = transaction.open_table(MESSAGES).unwrap();
        messages.insert(1, &b"\x63odd"[..]).unwrap();
        messages.remove(3).unwrap();
    });
    let queue = place.open(&["sre"]);
    assert_eq!(acked(&mut queue.subscribe(connector("sre")), 1).await, ["3"]);
    becomes(|| queue.depths().dead == Some(2)).await;
    let invalid = |text: &str| (text.to_owned(), "invalid".to_owned());
    assert_eq!(dead(&queue).await, [invalid("codd"), invalid("")]);
    let detail = queue.dead_letters().await.unwrap().next().await.unwrap().unwrap().death.detail;
    assert_eq!(detail, "its record in the queue's file can't be read: its version 99 is not known");
    close(queue).await.unwrap();
    assert_eq!(dead(&place.open(&["sre"])).await.len(), 2);
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_is_kept_and_nothing_takes_its_place() {
    let place = filled(&["1"]).await;
    let odd = [(&b"sre\0\0\0\0\0\0\0\0\x09"[..], &b"\x63"[..]), (b"?", b"?")];
    meddle(&place, |transaction| {
        let mut entries = transaction.open_table(ENTRIES).unwrap();
        for (key, value) in odd {
            entries.insert(key, value).unwrap();
        }
        transaction.open_table(MESSAGES).unwrap().insert(8, &b"kept"[..]).unwrap();
    });
    let queue = place.open(&["sre"]);
    publish_all(&queue, &["2", "3", "4", "5", "6"]).await;
    assert_eq!(acked(&mut queue.subscribe(connector("sre")), 6).await, ["1", "2", "3", "4", "5", "6"]);
    close(queue).await.unwrap();
    meddle(&place, |transaction| {
        let entries = transaction.open_table(ENTRIES).unwrap();
        for (key, value) in odd {
            assert_eq!(redb::ReadableTable::get(&entries, key).unwrap().unwrap().value(), value);
        }
        let messages = transaction.open_table(MESSAGES).unwrap();
        assert_eq!(redb::ReadableTable::get(&messages, 8).unwrap().unwrap().value(), b"kept");
    });
}

/// The queue is refused in these words, and its file is what it was.
#[track_caller]
fn check_refused(place: &Place, words: &str) {
    let before = fs::read(place.path()).unwrap();
    let refused = place.try_open(&["sre"]).unwrap_err();
    assert!(refused.to_string().contains(words), "{refused}");
    assert!(before == fs::read(place.path()).unwrap(), "the file was changed");
    let beside = fs::read_dir(place.path().parent().unwrap()).unwrap();
    assert_eq!(beside.count(), 1);
}

#[tokio::test]
async fn a_later_format_is_refused_by_name() {
    let place = filled(&["1"]).await;
    meddle(&place, |transaction| {
        transaction.open_table(FACTS).unwrap().insert("format", 2).unwrap();
    });
    assert!(matches!(place.try_open(&["sre"]), Err(OpenError::UnknownFormat { .. })));
    let refused = place.try_open(&["sre"]).unwrap_err().to_string();
    assert!(refused.contains("has format 2, which this version does not know"), "{refused}");
}

#[tokio::test]
async fn a_file_of_something_else_is_refused() {
    let place = Place::new();
    fs::create_dir_all(place.path().parent().unwrap()).unwrap();
    drop(Database::create(place.path()).unwrap());
    meddle(&place, |transaction| {
        transaction.open_table(MESSAGES).unwrap().insert(1, &b"x"[..]).unwrap();
    });
    let refused = place.try_open(&["sre"]).unwrap_err().to_string();
    assert!(refused.contains("is damaged: it is no queue of nightbell; it was left as it is"), "{refused}");
    fs::write(place.path(), "nonsense ".repeat(10_000)).unwrap();
    check_refused(&place, "is damaged: ");
}

#[tokio::test]
async fn a_garbled_or_shortened_file_is_refused_and_left_alone() {
    let texts: Vec<_> = (0..200).map(|number| number.to_string().repeat(100)).collect();
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    let spoil: [fn(&Path); 2] = [
        |path| {
            let file = OpenOptions::new().write(true).open(path).unwrap();
            file.write_all_at(&[0xa5; 320], 0).unwrap();
        },
        |path| {
            let file = OpenOptions::new().write(true).open(path).unwrap();
            file.set_len(5_000).unwrap();
        },
    ];
    for spoil in spoil {
        let place = filled(&texts).await;
        spoil(&place.path());
        check_refused(&place, "is damaged: ");
    }
}

#[tokio::test]
async fn a_path_that_is_no_file_is_an_error_of_the_system() {
    let place = Place::new();
    fs::create_dir_all(place.path()).unwrap();
    assert!(matches!(place.try_open(&["sre"]), Err(OpenError::Io { doing: "open", .. })));
    let place = Place::new();
    fs::write(place.path().parent().unwrap(), "").unwrap();
    assert!(matches!(place.try_open(&["sre"]), Err(OpenError::Io { doing: "make the folder", .. })));
}

#[tokio::test]
async fn an_empty_file_is_a_new_queue() {
    let place = Place::new();
    fs::create_dir_all(place.path().parent().unwrap()).unwrap();
    fs::write(place.path(), "").unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o600)).unwrap();
    let queue = place.open(&["sre"]);
    publish_all(&queue, &["1"]).await;
    close(queue).await.unwrap();
    assert_eq!(fs::metadata(place.path()).unwrap().permissions().mode() & 0o777, 0o600);
}

/// Whatever page is garbled: the queue is refused, or fails, or still has everything.
#[tokio::test]
async fn a_garbled_page_never_makes_a_message_vanish_in_silence() {
    const COUNT: usize = 40;
    let texts: Vec<_> = (0..COUNT).map(|number| number.to_string().repeat(500)).collect();
    let place = filled(&texts.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let sound = fs::read(place.path()).unwrap();
    let (mut outcomes, mut refused) = ([0; 2], 0);
    for page in 1..sound.len() / 4096 {
        let mut garbled = sound.clone();
        garbled[page * 4096..(page + 1) * 4096].fill(0xa5);
        fs::write(place.path(), &garbled).unwrap();
        let queue = match place.try_open(&["sre"]) {
            Ok(queue) => queue,
            Err(OpenError::Damaged { .. }) => {
                refused += 1;
                continue;
            }
            Err(other) => panic!("{other}"),
        };
        let mut drain = queue.drain().await.unwrap();
        let mut found = 0;
        let failed = loop {
            match drain.next().await {
                Ok(Some(_)) => found += 1,
                Ok(None) => break false,
                Err(_) => break true,
            }
        };
        if failed {
            becomes(|| queue.state().consuming.is_err()).await;
        } else {
            assert_eq!(found, COUNT, "page {page} was garbled and nothing was said");
        }
        outcomes[usize::from(failed)] += 1;
    }
    // redb looks at all pages when it is opened in a debug build, so that nothing fails later.
    assert!(outcomes[0] > 0 && refused > 0, "{outcomes:?} {refused}");
}
