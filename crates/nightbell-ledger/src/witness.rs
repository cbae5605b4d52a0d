//! A witness beside the store: how far its journal had come.
//!
//! sled takes a log that ends early for one that was torn by a crash, and goes on with what comes before. Only something
//! outside can tell that more was durable. The witness is written after each group of commits is, and is not synced
//! itself: after a power cut it may be behind, and never ahead.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use nightbell_core::fingerprint::Fingerprint;

use crate::telemetry::WitnessUnreadable;

const NAME: &str = "witness";

/// The witness, open for writing.
#[derive(Debug)]
pub(crate) struct Witness(File);

impl Witness {
    /// What the witness in this folder says: the number of the next part of the journal. One that can't be read says
    /// nothing: the store may be sound.
    pub(crate) fn read(folder: &Path) -> io::Result<Option<u64>> {
        let text = match fs::read(folder.join(NAME)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let number =
            str::from_utf8(&text).ok().and_then(|text| text.get(..NUMBER_BYTES)?.trim_ascii().parse().ok());
        let sound = number.filter(|number| line(*number).as_bytes() == text);
        if sound.is_none() {
            WitnessUnreadable { folder }.emit();
        }
        Ok(sound)
    }

    /// Opens it, or makes it.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        OpenOptions::new().write(true).create(true).truncate(false).open(folder.join(NAME)).map(Self)
    }

    /// Says that all parts before this one are durable. All texts are of one length, so each takes the place of the one before.
    pub(crate) fn write(&self, next: u64) -> io::Result<()> {
        let line = line(next);
        self.0.write_all_at(line.as_bytes(), 0)?;
        self.0.set_len(line.len() as u64)
    }
}

const NUMBER_BYTES: usize = 20;

/// The number, and a check of it.
fn line(next: u64) -> String {
    format!("{next:>NUMBER_BYTES$} {}\n", Fingerprint::of([next.to_be_bytes().as_slice()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_was_changed_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let read = || Witness::read(folder.path()).unwrap();
        assert_eq!(read(), None);
        let witness = Witness::open(folder.path()).unwrap();
        for number in [0, u64::MAX, 7] {
            witness.write(number).unwrap();
            assert_eq!(read(), Some(number));
        }
        let sound = fs::read(folder.path().join(NAME)).unwrap();
        for at in 0..sound.len() {
            let mut flipped = sound.clone();
            flipped[at] ^= 1;
            fs::write(folder.path().join(NAME), flipped).unwrap();
            assert_eq!(read(), None, "byte {at}");
            fs::write(folder.path().join(NAME), &sound[..at]).unwrap();
            assert_eq!(read(), None, "cut at {at}");
        }
    }
}
