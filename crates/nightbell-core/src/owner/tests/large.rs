//! Large events: what is held of them, and what is passed on.

use super::super::*;
use super::{Rig, check_publish, message};
use crate::limits::TEXT_BYTES_HELD_MAX;
use crate::ports::Destination;

#[test]
fn of_a_long_text_no_more_is_held_than_is_shown_and_a_dead_letter_has_all() {
    let details = "ä".repeat(400_000);
    let body = format!(r#"{{"project":"p","test":"t","id":"a","message":"short","details":"{details}"}}"#);
    let mut rig = Rig::new();
    let (tag, _) = rig.receive(Message { body: body.clone().into(), ..message("a", "t") });
    let steps = rig.looked(tag, Looked::default());
    let [Step::Attempt { alert, .. }] = &steps[..] else { panic!("{steps:?}") };
    let held = alert.event.details.as_ref().unwrap();
    assert!((TEXT_BYTES_HELD_MAX - 3..=TEXT_BYTES_HELD_MAX).contains(&held.len()), "{}", held.len());
    assert!(held.capacity() < 2 * TEXT_BYTES_HELD_MAX && details.starts_with(held.as_str()));
    assert_eq!(alert.event.message.as_deref(), Some("short"));

    let steps = rig.attempted(tag, Outcome::Refused { status: 400, body: String::new() });
    check_publish(&steps, &Destination::Dead);
    assert!(matches!(&steps[..], [Step::Publish { message, .. }] if message.body == body));
}
