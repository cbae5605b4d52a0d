//! Any text is a template, or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nightbell_xmatters::Template;

fuzz_target!(|source: &str| {
    drop(Template::compile(source, "alert.j2"));
});
