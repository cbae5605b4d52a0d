//! The queue's file in its place: one that was removed or moved away under the worker takes nothing more in, since nobody
//! would find it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nightbell_core::time::UnixMillis;
use nightbell_store::{FileInPlace, Misplaced};

use crate::telemetry;

/// The file that is open, and the path under which the next process looks for it.
pub(crate) struct QueueFile(FileInPlace);

impl QueueFile {
    /// Remembers which file is open.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        FileInPlace::new(path.to_owned(), File::open(path)?).map(Self)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Whether the file is still where the next process looks for it.
    pub(crate) fn check(&self) -> io::Result<()> {
        self.0.check().map_err(|misplaced| match misplaced {
            Misplaced::Gone => {
                io::Error::other("the queue's file was removed or moved away while it was in use")
            }
            Misplaced::Replaced => io::Error::other("another file was put in the place of the queue's file"),
            Misplaced::Unknown(error) => error,
        })
    }

    /// Writes a file that was removed to the disk again, so that what waits in it is not lost: in its own place, or beside
    /// what is there by now. One that was only moved is left where it is.
    pub(crate) fn put_back(&self, now: UnixMillis) {
        match self.0.file().metadata().map(|ours| ours.nlink()) {
            Ok(0) => match self.copy(now) {
                Ok(copy) if copy == self.path() => telemetry::put_back(&copy),
                Ok(copy) => telemetry::put_beside(&copy),
                Err(error) => telemetry::not_put_back(self.path(), &error),
            },
            Ok(_) => telemetry::moved_away(self.path(), &self.open_as()),
            Err(error) => telemetry::not_put_back(self.path(), &error),
        }
    }

    /// Where the system says that the open file is.
    fn open_as(&self) -> PathBuf {
        let link = format!("/proc/self/fd/{}", self.0.file().as_raw_fd());
        fs::read_link(link).unwrap_or_else(|_| PathBuf::from("an unknown place"))
    }

    fn copy(&self, now: UnixMillis) -> io::Result<PathBuf> {
        let path = self.path();
        let parent = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(parent)?;
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".removed-{}", now.0));
        let beside = PathBuf::from(name);
        let mut copy = OpenOptions::new().write(true).create_new(true).open(&beside)?;
        // A file that was removed can't be given a name again, but it can still be read.
        let mut ours = self.0.file();
        ours.rewind()?;
        io::copy(&mut ours, &mut copy)?;
        copy.sync_all()?;
        let kept = match fs::hard_link(&beside, path) {
            Ok(()) => {
                fs::remove_file(&beside)?;
                path.to_owned()
            }
            // Whatever is there is not ours to replace.
            Err(_) => beside,
        };
        File::open(parent)?.sync_all()?;
        Ok(kept)
    }
}
