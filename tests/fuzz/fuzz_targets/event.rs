//! Any bytes are an event that is read again as it is written, or an error of a few words.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nightbell_core::event;
use nightbell_core::limits::EVENT_BYTES_MAX;

fuzz_target!(|body: &[u8]| {
    match event::read(body) {
        Ok(event) => {
            assert!(!event.project.trim().is_empty() && !event.test.trim().is_empty());
            let written = serde_json::to_vec(&event).expect("an event is JSON");
            assert!(written.len() > EVENT_BYTES_MAX || event::read(&written) == Ok(event));
        }
        Err(error) => assert!(error.to_string().len() < 1_000),
    }
});
