//! Any bytes are an API Fortress event that reads the same as one of ours, or an error of a few words.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nightbell_core::event;
use nightbell_core::limits::EVENT_BYTES_MAX;

fuzz_target!(|body: &[u8]| {
    match event::read_apifortress(body) {
        Ok(event) => {
            assert!(event.dedup_key.as_ref().is_some_and(|key| key.starts_with("apifortress/")));
            let written = serde_json::to_vec(&event).expect("an event is JSON");
            assert!(written.len() > EVENT_BYTES_MAX || event::read(&written) == Ok(event));
        }
        Err(error) => assert!(error.to_string().len() < 1_000),
    }
});
