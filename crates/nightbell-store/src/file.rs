//! A file that is open, and the path under which the next process looks for it.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// An open file in its place: what is written to one that was removed or moved away is found by nobody, and so not durable.
#[derive(Debug)]
pub struct FileInPlace {
    path: PathBuf,
    file: File,
    /// What names the file on this machine, wherever it is.
    name: (u64, u64),
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
    ///
    /// # Errors
    /// The system does not say which it is.
    pub fn new(path: PathBuf, file: File) -> io::Result<Self> {
        let name = name(&file.metadata()?);
        Ok(Self { path, file, name })
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
        match fs::metadata(&self.path) {
            Ok(there) if name(&there) == self.name => Ok(()),
            Ok(_) => Err(Misplaced::Replaced),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Misplaced::Gone),
            Err(error) => Err(Misplaced::Unknown(error)),
        }
    }
}

fn name(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_moved_or_replaced_is_told_from_one_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let placed = FileInPlace::new(path.clone(), File::create(&path).unwrap()).unwrap();
        assert!(placed.check().is_ok());
        fs::rename(&path, folder.path().join("away")).unwrap();
        assert!(matches!(placed.check(), Err(Misplaced::Gone)));
        File::create(&path).unwrap();
        assert!(matches!(placed.check(), Err(Misplaced::Replaced)));
        fs::rename(folder.path().join("away"), &path).unwrap();
        assert!(placed.check().is_ok());
    }
}
