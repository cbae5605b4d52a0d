//! Any headers are a journey and a place in a trace, which are read again as they are written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nightbell_core::journey::Journey;
use nightbell_core::message::{HeaderValue, Headers};
use nightbell_core::time::UnixMillis;
use nightbell_core::trace::{self, TraceParent};

const NAMES: [&str; 11] = [
    "nightbell-attempts",
    "nightbell-since",
    "nightbell-due",
    "nightbell-left",
    "nightbell-replay",
    "nightbell-history",
    "nightbell-connector",
    "nightbell-reason",
    "nightbell-detail",
    "nightbell-died-at",
    "traceparent",
];

fuzz_target!(|input: (Vec<(u8, Option<&str>, i64)>, u64)| {
    let (fields, now) = input;
    let headers = fields.into_iter().map(|(name, text, number)| {
        let value = text.map_or(HeaderValue::Number(number), |text| HeaderValue::Text(text.to_owned()));
        (NAMES[usize::from(name) % NAMES.len()].to_owned(), value)
    });
    let headers = headers.collect::<Headers>();

    let read = Journey::read(&headers);
    let _due = read.due_by(UnixMillis(now));
    let mut written = Headers::default();
    read.write(&mut written);
    assert_eq!(Journey::read(&written), read);

    let place = TraceParent::of(&headers);
    let parent = place.map(|place| place.to_string());
    assert_eq!(TraceParent::of(&trace::headers(parent.as_deref(), None)), place);
});
