//! The queue's file in its place: one that was removed or moved away under the worker takes nothing more in, since nobody
//! would find it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nightbell_core::time::UnixMillis;

use crate::telemetry::{MovedAway, NotPutBack, PutBack};

/// The file that is open, and the path under which the next process looks for it.
pub(crate) struct Place {
    path: PathBuf,
    file: File,
}

impl Place {
    /// Remembers which file is open.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: File::open(path)? })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file is still where the next process looks for it.
    pub(crate) fn check(&self) -> io::Result<()> {
        let ours = self.file.metadata()?;
        match fs::metadata(&self.path) {
            Ok(there) if (there.dev(), there.ino()) == (ours.dev(), ours.ino()) => Ok(()),
            Ok(_) => Err(io::Error::other("another file was put in the place of the queue's file")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(io::Error::other("the queue's file was removed or moved away while it was in use"))
            }
            Err(error) => Err(error),
        }
    }

    /// Writes a file that was removed to the disk again, so that what waits in it is not lost: in its own place, or beside
    /// what is there by now. One that was only moved is left where it is.
    pub(crate) fn put_back(&self, now: UnixMillis) {
        match self.file.metadata().map(|ours| ours.nlink()) {
            Ok(0) => match self.copy(now) {
                Ok(copy) => PutBack { copy: &copy, in_place: copy == self.path }.emit(),
                Err(error) => NotPutBack { path: &self.path, error: &error }.emit(),
            },
            Ok(_) => MovedAway { path: &self.path, now_at: &self.open_as() }.emit(),
            Err(error) => NotPutBack { path: &self.path, error: &error }.emit(),
        }
    }

    /// Where the system says that the open file is.
    fn open_as(&self) -> PathBuf {
        let link = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        fs::read_link(link).unwrap_or_else(|_| PathBuf::from("an unknown place"))
    }

    fn copy(&self, now: UnixMillis) -> io::Result<PathBuf> {
        let parent = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(parent)?;
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".removed-{}", now.0));
        let beside = PathBuf::from(name);
        let mut copy = OpenOptions::new().write(true).create_new(true).open(&beside)?;
        // A file that was removed can't be given a name again, but it can still be read.
        let mut ours = &self.file;
        ours.rewind()?;
        io::copy(&mut ours, &mut copy)?;
        copy.sync_all()?;
        let kept = match fs::hard_link(&beside, &self.path) {
            Ok(()) => {
                fs::remove_file(&beside)?;
                self.path.clone()
            }
            // Whatever is there is not ours to replace.
            Err(_) => beside,
        };
        File::open(parent)?.sync_all()?;
        Ok(kept)
    }
}
