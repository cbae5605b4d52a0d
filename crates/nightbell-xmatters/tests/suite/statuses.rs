//! The table of all statuses.

use std::fmt::Write as _;

use insta::assert_snapshot;
use nightbell_core::outcome::OutcomeKind;
use nightbell_core::time::UnixMillis;
use nightbell_xmatters::{Answer, Secrets, classify};

fn kind(status: u16) -> OutcomeKind {
    let answer = Answer { status, retry_after: None, body: b"" };
    classify(answer, &Secrets::default(), UnixMillis(0)).kind()
}

#[test]
fn every_status_has_one_row() {
    let mut table = String::new();
    let mut first = 100;
    for status in 100..=599 {
        if status == 599 || kind(status) != kind(status + 1) {
            writeln!(table, "{first}-{status} {:?}", kind(status)).unwrap();
            first = status + 1;
        }
    }
    assert_snapshot!(table);
}
