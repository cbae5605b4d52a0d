//! Any bytes are a record, a block, a manifest and a filter of the ledger that would be written the same, or are refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nightbell_ledger::fuzzing;

fuzz_target!(|input: (u8, u16, &[u8])| {
    let (reader, piece, bytes) = input;
    match reader % 5 {
        0 => fuzzing::record(bytes),
        1 => fuzzing::block(bytes),
        2 => fuzzing::manifest(bytes),
        3 => fuzzing::filter(bytes, piece, &"sre".parse().expect("it is a name")),
        _ => fuzzing::key(bytes),
    }
});
