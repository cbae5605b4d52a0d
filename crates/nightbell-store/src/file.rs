//! A file that is open, and the path under which the next process looks for it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// An open file in its place: what is written to one that was removed or moved away is found by nobody, and so not durable.
#[derive(Debug)]
pub struct FileInPlace {
    path: PathBuf,
    file: File,
}

/// Why a file is not in its place.
#[derive(Debug, thiserror::Error)]
pub enum Misplaced {
    /// Nothing is there.
    #[error("it was removed or moved away")]
    Gone,
    /// Something else is there.
    #[error("another file was put in its place")]
    Replaced,
    /// The system does not say.
    #[error("failed to look for it")]
    Unknown(#[source] io::Error),
}

impl FileInPlace {
    /// A file that was opened under this path.
    #[must_use]
    pub fn new(path: PathBuf, file: File) -> Self {
        Self { path, file }
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file, wherever it is by now.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Whether the file is still where the next process looks for it.
    ///
    /// # Errors
    /// [`Misplaced`]: it is not, or the system does not say.
    pub fn check(&self) -> Result<(), Misplaced> {
        let ours = self.file.metadata().map_err(Misplaced::Unknown)?;
        match fs::metadata(&self.path) {
            Ok(there) if (there.dev(), there.ino()) == (ours.dev(), ours.ino()) => Ok(()),
            Ok(_) => Err(Misplaced::Replaced),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Misplaced::Gone),
            Err(error) => Err(Misplaced::Unknown(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_moved_or_replaced_is_told_from_one_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let placed = FileInPlace::new(path.clone(), File::create(&path).unwrap());
        assert!(placed.check().is_ok());
        fs::rename(&path, folder.path().join("away")).unwrap();
        assert!(matches!(placed.check(), Err(Misplaced::Gone)));
        File::create(&path).unwrap();
        assert!(matches!(placed.check(), Err(Misplaced::Replaced)));
        fs::rename(folder.path().join("away"), &path).unwrap();
        assert!(placed.check().is_ok());
    }
}
