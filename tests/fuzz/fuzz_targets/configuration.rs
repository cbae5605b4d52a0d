//! Any text is a configuration, or its problems name lines within it.
#![no_main]

use std::env::VarError;
use std::io;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use nightbell::config::{Config, ConfigError, Lookup};

/// Has one value for everything, and reads no file of this machine.
struct Same;

impl Lookup for Same {
    fn variable(&self, _name: &str) -> Result<String, VarError> {
        Ok("a-value-that-is-long-enough".into())
    }

    fn file(&self, _path: &Path) -> io::Result<String> {
        Ok("-----BEGIN CERTIFICATE-----".into())
    }
}

fuzz_target!(|text: &str| {
    if let Err(ConfigError::Invalid { problems }) = Config::parse(text, Path::new("nightbell.toml"), &Same) {
        let lines = text.lines().count() + 1;
        assert!(!problems.is_empty() && problems.iter().all(|problem| (1..=lines).contains(&problem.line)));
    }
});
