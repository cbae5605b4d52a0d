//! Any answer of xMatters, its `Retry-After` and its body have an outcome.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nightbell_core::time::UnixMillis;
use nightbell_xmatters::{Answer, Secrets, classify};

fuzz_target!(|parts: (u16, Option<&str>, &[u8], u64)| {
    let (status, retry_after, body, now) = parts;
    drop(classify(Answer { status, retry_after, body }, &Secrets::default(), UnixMillis(now)));
});
