//! Commit, look, expire, close.

use std::time::Duration;

use nightbell_core::ports::Ledger;
use nightbell_core::record::{Change, Happening, Looked, RecordKey, State};
use nightbell_core::time::UnixMillis;
use nightbell_ledger::{OpenError, Opened};

use crate::common::{
    HOUR, Hand, NOW, Place, by_alert, close, commit, delivered, entries_become, id, is_known, look, open, sre,
};

#[tokio::test]
async fn what_was_committed_is_there_after_a_reopen() {
    let place = Place::new();
    let (ledger, opened) = place.open();
    assert_eq!(opened, Opened::Fresh);
    for number in 0..10 {
        commit(&ledger, number).await.unwrap();
    }
    let before = look(&ledger, 3).await;
    close(ledger).await.unwrap();

    let (ledger, opened) = place.open();
    assert_eq!(opened, Opened::Found { entries: 20 });
    assert_eq!(look(&ledger, 3).await, before);
    assert!(!is_known(&ledger, 10).await);
}

#[tokio::test]
async fn a_look_sees_what_was_committed_before_it() {
    let place = Place::new();
    let (ledger, _) = place.open();
    for number in 0..200 {
        assert_eq!(look(&ledger, number).await, Looked::default());
        commit(&ledger, number).await.unwrap();
        assert!(is_known(&ledger, number).await, "{number}");
    }
}

#[tokio::test]
async fn connectors_know_nothing_of_each_other() {
    let place = Place::new();
    let (ledger, _) = place.open();
    commit(&ledger, 1).await.unwrap();
    let other = ledger.look(&"payments".parse().unwrap(), id(1), vec![id(1)], NOW).await.unwrap();
    assert_eq!(other, Looked::default());
}

#[tokio::test]
async fn an_illegal_change_is_left_out_and_the_others_are_kept() {
    let place = Place::new();
    let (ledger, _) = place.open();
    let repeat = Change {
        key: RecordKey::Alert(id(7)),
        happening: Happening::Repeated { at: NOW, times: 1 },
        keep: HOUR,
    };
    let mut changes = delivered(1);
    changes.push(repeat.clone());
    changes.extend(delivered(1));
    changes.push(Change { key: RecordKey::Alert(id(1)), ..repeat });
    ledger.commit(&sre(), changes, NOW).await.unwrap();
    assert_eq!(ledger.entries(), 2);
    let looked = look(&ledger, 1).await;
    assert_eq!(looked.by_event.as_ref().unwrap().repeats, 0);
    assert_eq!(by_alert(&looked).unwrap().repeats, 1);
}

#[tokio::test]
async fn an_alert_key_is_remembered_by_its_latest_delivery_even_of_the_same_event() {
    let place = Place::new();
    let (ledger, _) = place.open();
    let minutes = |minutes: u64| NOW.after(Duration::from_secs(60 * minutes));
    let delivery = |at| Happening::Delivered { event: id(1), replay: None, at, request_id: None };
    let (first, repeat) = (delivery(NOW), Happening::Repeated { at: minutes(30), times: 1 });
    for (at, happening) in [(NOW, first), (minutes(30), repeat), (minutes(61), delivery(minutes(61)))] {
        let change = Change { key: RecordKey::Alert(id(1)), happening, keep: HOUR };
        ledger.commit(&sre(), vec![change], at).await.unwrap();
    }
    let looked = ledger.look(&sre(), id(2), vec![id(1)], minutes(62)).await.unwrap();
    let record = by_alert(&looked).unwrap();
    assert_eq!(record.state, State::Delivered { at: minutes(61), request_id: None });
    assert_eq!(record.repeats, 0);
}

#[tokio::test]
async fn changes_of_one_key_that_come_together_all_count() {
    let place = Place::new();
    let (ledger, _) = place.open();
    commit(&ledger, 1).await.unwrap();
    let key = RecordKey::Alert(id(1));
    let repeat = Change { key, happening: Happening::Repeated { at: NOW, times: 1 }, keep: HOUR };
    let commits: Vec<_> =
        (0..300).map(|_| tokio::spawn(ledger.commit(&sre(), vec![repeat.clone()], NOW))).collect();
    for commit in commits {
        commit.await.unwrap().unwrap();
    }
    assert_eq!(by_alert(&look(&ledger, 1).await).unwrap().repeats, 300);
}

#[tokio::test]
async fn what_has_expired_is_forgotten_at_once_and_swept_later() {
    let place = Place::new();
    let clock = Hand::new();
    let (ledger, _) = open(&place.path(), clock.clone()).unwrap();
    for number in 0..1_000 {
        // The first half expires a second before the second one: what has expired is swept by the second.
        let later = UnixMillis(NOW.0 + number + if number < 500 { 0 } else { 1_000 });
        drop(tokio::spawn(ledger.commit(&sre(), delivered(number), later)));
    }
    entries_become(&ledger, 2_000).await;

    let half = UnixMillis(NOW.0 + 1_000).after(HOUR);
    let seen = async |number| ledger.look(&sre(), id(number), vec![id(number)], half).await.unwrap().by_event;
    assert_eq!(seen(499).await, None);
    assert!(seen(500).await.is_some());

    clock.move_to(half);
    entries_become(&ledger, 1_000).await;
    assert!(!is_known(&ledger, 499).await);
    for number in 500..1_000 {
        assert!(is_known(&ledger, number).await, "{number}");
    }
    close(ledger).await.unwrap();
    let (_ledger, opened) = open(&place.path(), clock).unwrap();
    assert_eq!(opened, Opened::Found { entries: 1_000 });
}

#[tokio::test]
async fn a_record_that_lives_longer_by_a_later_change_is_not_swept() {
    let place = Place::new();
    let clock = Hand::new();
    let (ledger, _) = open(&place.path(), clock.clone()).unwrap();
    let claim = |number| {
        let happening = Happening::Claimed { event: id(number), replay: None, until: NOW.after(HOUR) };
        vec![Change { key: RecordKey::Event(id(number)), happening, keep: HOUR / 2 }]
    };
    ledger.commit(&sre(), claim(1), NOW).await.unwrap();
    ledger.commit(&sre(), claim(2), NOW).await.unwrap();
    ledger.commit(&sre(), delivered(1), NOW).await.unwrap();
    assert_eq!(ledger.entries(), 3);
    clock.move_to(NOW.after(HOUR / 2));
    entries_become(&ledger, 2).await;
    let state = look(&ledger, 1).await.by_event.unwrap().state;
    assert!(matches!(state, State::Delivered { .. }), "{state:?}");
}

#[tokio::test]
async fn a_repeat_with_a_shorter_time_forgets_nothing_earlier() {
    let place = Place::new();
    let (ledger, _) = place.open();
    commit(&ledger, 1).await.unwrap();
    let key = RecordKey::Event(id(1));
    let repeat = Change { key, happening: Happening::Repeated { at: NOW, times: 1 }, keep: HOUR / 60 };
    ledger.commit(&sre(), vec![repeat], NOW).await.unwrap();
    let looked = ledger.look(&sre(), id(1), vec![id(1)], NOW.after(HOUR / 2)).await.unwrap();
    assert_eq!(looked.by_event.unwrap().repeats, 1);
}

#[test]
fn a_ledger_in_use_is_an_error_and_no_reset() {
    let place = Place::new();
    let (ledger, _) = place.open();
    let refused = place.try_open().unwrap_err();
    assert!(matches!(refused, OpenError::Locked { .. }), "{refused:?}");
    assert_eq!(ledger.health(), Ok(()));
    ledger.close().unwrap();
    assert_eq!(place.open().1, Opened::Found { entries: 0 });
}

#[test]
fn a_store_that_something_else_has_open_is_an_error_and_no_reset() {
    let place = Place::new();
    drop(place.open());
    let file = std::fs::File::open(place.path().join("db")).unwrap();
    file.lock().unwrap();
    let refused = place.try_open().unwrap_err();
    assert!(matches!(refused, OpenError::Locked { .. }), "{refused:?}");
    file.unlock().unwrap();
    assert_eq!(place.open().1, Opened::Found { entries: 0 });
}

#[test]
fn the_last_handle_closes_the_ledger() {
    let place = Place::new();
    for _ in 0..20 {
        let (ledger, _) = place.open();
        let other = ledger.clone();
        drop(ledger);
        assert!(matches!(place.try_open(), Err(OpenError::Locked { .. })));
        drop(other);
    }
    assert_eq!(place.open().1, Opened::Found { entries: 0 });
}
