//! Is it the store that is damaged, or the system that fails? A damaged store is moved aside, since it will
//! never open; a full disk or a missing permission is an error, since a new store would fare no better.

use std::fs;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use nightbell_store::panic_text;

use crate::telemetry::NoteFailed;

/// Where a damage found while the store was in use is written down, in the ledger's folder.
const NOTE: &str = "damaged";

/// What went wrong with the store.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The store is held by another process.
    #[error("it is in use by another process")]
    Locked,
    /// The system failed.
    #[error("{0}")]
    System(io::Error),
    /// The store itself is of no use any more.
    #[error("{0}")]
    Damaged(String),
}

impl From<sled::Error> for Fault {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Io(error) if is_lock(&error) => Self::Locked,
            sled::Error::Io(error) if !is_damage(&error) => Self::System(error),
            error @ (sled::Error::Io(_)
            | sled::Error::Corruption { .. }
            | sled::Error::CollectionNotFound(_)
            | sled::Error::Unsupported(_)
            | sled::Error::ReportableBug(_)) => Self::Damaged(error.to_string()),
        }
    }
}

/// Runs `work`; a panic in it is a damage, because sled panics on what it did not expect to read.
pub(crate) fn caught<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    let caught = catch_unwind(AssertUnwindSafe(work));
    caught.unwrap_or_else(|panic| Err(Fault::Damaged(format!("a panic: {}", panic_text(panic.as_ref())))))
}

/// Writes down that the store in this folder is damaged.
pub(crate) fn note(folder: &Path, problem: &str) {
    if let Err(error) = fs::write(folder.join(NOTE), problem) {
        NoteFailed { error: &error }.emit();
    }
}

/// The damage written down in this folder.
pub(crate) fn noted(folder: &Path) -> io::Result<Option<String>> {
    match fs::read(folder.join(NOTE)) {
        Ok(problem) => Ok(Some(String::from_utf8_lossy(&problem).into_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// sled gives no better sign that another process holds its file.
fn is_lock(error: &io::Error) -> bool {
    error.kind() == ErrorKind::Other && error.to_string().contains("could not acquire lock")
}

/// Errors that follow from what is in the files: bytes that are missing or make no sense, offsets into
/// nowhere, a file that should be there. sled itself gives `Other`; an error of the system is never that.
fn is_damage(error: &io::Error) -> bool {
    use ErrorKind::{InvalidData, InvalidInput, NotFound, Other, UnexpectedEof};
    matches!(error.kind(), InvalidData | InvalidInput | NotFound | Other | UnexpectedEof)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: ErrorKind, damaged: bool) {
        let error = sled::Error::Io(io::Error::new(kind, "x"));
        assert_eq!(matches!(Fault::from(error), Fault::Damaged(_)), damaged, "{kind}");
    }

    #[test]
    fn the_system_failing_is_no_damage() {
        check(ErrorKind::StorageFull, false);
        check(ErrorKind::PermissionDenied, false);
        check(ErrorKind::ReadOnlyFilesystem, false);
        check(ErrorKind::FileTooLarge, false);
        let broken_disk = sled::Error::Io(io::Error::from_raw_os_error(5));
        assert!(matches!(Fault::from(broken_disk), Fault::System(_)));
    }

    #[test]
    fn unreadable_bytes_are_damage() {
        check(ErrorKind::UnexpectedEof, true);
        check(ErrorKind::InvalidData, true);
        check(ErrorKind::Other, true);
        assert!(matches!(Fault::from(sled::Error::ReportableBug("x".into())), Fault::Damaged(_)));
    }

    #[test]
    fn a_panic_is_damage_and_keeps_its_words() {
        let caught = caught::<()>(|| panic!("page {} is gone", 7));
        assert!(matches!(caught, Err(Fault::Damaged(problem)) if problem == "a panic: page 7 is gone"));
    }

    #[test]
    fn a_damage_written_down_is_found() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(noted(folder.path()).unwrap(), None);
        note(folder.path(), "gone");
        assert_eq!(noted(folder.path()).unwrap().as_deref(), Some("gone"));
    }
}
