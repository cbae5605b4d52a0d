//! What can go wrong.

use std::io;
use std::path::{Path, PathBuf};

use redb::Error;

/// The queue can't be opened. Nothing was removed or moved: a queue holds what was accepted, and can't be made anew.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open, or this one has already.
    #[error("the queue `{}` is in use by another process; only one may have it open", path.display())]
    InUse {
        /// The queue's file.
        path: PathBuf,
    },
    /// The system did not let us: a missing permission, a full disk, a path that is no file.
    #[error("failed to {doing} `{}`", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// It was written by another version of Nightbell.
    #[error(
        "the queue `{}` has {found}, which this version does not know; open it with the version that wrote it, or \
         drain it with that one", path.display()
    )]
    UnknownFormat {
        /// The queue's file.
        path: PathBuf,
        /// Its format.
        found: String,
    },
    /// It can't be read.
    #[error(
        "the queue `{}` is damaged: {problem}; it was left as it is, since it holds accepted alerts: restore it from a \
         backup, or move it away by hand to begin an empty one", path.display()
    )]
    Damaged {
        /// The queue's file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

/// Something could not be done with what waits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmbeddedError {
    /// The queue failed for good, or was closed.
    #[error("the queue failed: {0}")]
    Failed(String),
}

impl OpenError {
    pub(crate) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { doing, path: path.to_owned(), source }
    }

    /// Is it the file that is damaged, or the system that fails?
    #[expect(clippy::wildcard_enum_match_arm, reason = "the errors are redb's, and their list is open")]
    pub(crate) fn of(error: Error, path: &Path) -> Self {
        let path = path.to_owned();
        match error {
            Error::DatabaseAlreadyOpen | Error::LockProtocolMismatch => Self::InUse { path },
            Error::UpgradeRequired(version) => {
                Self::UnknownFormat { path, found: format!("version {version} of redb's format") }
            }
            Error::Io(source) if !is_damage(&source) => Self::Io { doing: "open", path, source },
            error => Self::Damaged { path, problem: error.to_string() },
        }
    }
}

/// Errors that follow from what is in the file: bytes that are missing or make no sense.
fn is_damage(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
    matches!(error.kind(), InvalidData | InvalidInput | Other | UnexpectedEof)
}
