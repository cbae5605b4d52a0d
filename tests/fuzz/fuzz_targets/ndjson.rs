//! Any bytes are lines, of which each that is not blank gives an event or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nightbell::ndjson::Events;

fuzz_target!(|text: &[u8]| {
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
    assert_eq!(Events::new(text).count(), lines);
});
