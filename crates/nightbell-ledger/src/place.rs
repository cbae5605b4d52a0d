//! The ledger's folder and what stands beside it: `NAME.lock`, and `NAME.broken-UNIX_MILLIS` for what was
//! moved aside.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nightbell_core::time::UnixMillis;

use crate::open::OpenError;

/// sled's name for its file.
pub(crate) const DATABASE: &str = "db";

/// How long sled may keep its file locked after its last thread has ended. It is a few milliseconds at most,
/// unless another process has opened the ledger by then.
const RELEASE_WAIT_MAX: Duration = Duration::from_secs(2);

/// How often the lock is tried meanwhile.
const RELEASE_POLL: Duration = Duration::from_millis(1);

/// The right to the ledger's folder, for as long as it lives. sled locks its own file, but what is done
/// before sled opens it, and moving it aside, must not meet another process either; so this lock stands
/// beside the folder.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Takes the lock, and makes the folder in which it stands if that is missing.
    pub(crate) fn take(path: &Path) -> Result<Self, OpenError> {
        let parent = parent(path);
        fs::create_dir_all(parent).map_err(|source| OpenError::io("make the folder", parent, source))?;
        let name = beside(path, ".lock").map_err(|source| OpenError::io("lock", path, source))?;
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&name);
        let file = file.map_err(|source| OpenError::io("open for writing", &name, source))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(OpenError::Locked { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(OpenError::io("lock", &name, source)),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file would not do while a child process, just forked, has it open too. An error changes
        // nothing.
        let _unlocked = self.0.unlock();
    }
}

/// Waits until sled has let go of its file: it does so when it next reclaims memory, a little after its last
/// thread has ended. It gives up after [`RELEASE_WAIT_MAX`], or when the file can't be looked at.
pub(crate) fn wait_until_released(path: &Path) {
    let Ok(file) = File::open(path.join(DATABASE)) else { return };
    let began = Instant::now();
    while let Err(TryLockError::WouldBlock) = file.try_lock() {
        if began.elapsed() > RELEASE_WAIT_MAX {
            return;
        }
        thread::park_timeout(RELEASE_POLL);
    }
    // Closing the file frees the lock that was just taken.
}

/// Removes the snapshots that sled was writing when it was killed. sled would take one for its latest and
/// refuse to open; the one before is still there.
pub(crate) fn remove_half_snapshots(path: &Path) -> io::Result<()> {
    for file in fs::read_dir(path)? {
        let file = file?;
        let name = file.file_name();
        let name = name.as_encoded_bytes();
        if name.starts_with(b"snap.") && name.ends_with(b".generating") {
            fs::remove_file(file.path())?;
        }
    }
    Ok(())
}

/// Makes the names of the ledger's folder and of the files in it durable.
pub(crate) fn sync_folders(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()?;
    File::open(parent(path))?.sync_all()
}

/// Moves the folder aside, and gives its new name.
pub(crate) fn move_aside(path: &Path, now: UnixMillis) -> io::Result<PathBuf> {
    let mut at = now.0;
    loop {
        let name = beside(path, &format!(".broken-{at}"))?;
        if !name.try_exists()? {
            fs::rename(path, &name)?;
            return Ok(name);
        }
        at = at.wrapping_add(1);
    }
}

/// All that was moved aside, the latest last.
pub(crate) fn broken(path: &Path) -> io::Result<Vec<PathBuf>> {
    let prefix = beside(Path::new(path.file_name().unwrap_or_default()), ".broken-")?;
    let mut found = Vec::new();
    for file in fs::read_dir(parent(path))? {
        let file = file?;
        if file.file_name().as_encoded_bytes().starts_with(prefix.as_os_str().as_encoded_bytes()) {
            found.push(file.path());
        }
    }
    found.sort();
    Ok(found)
}

/// The folder that `path` is in.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// `path` with `suffix` at its end.
fn beside(path: &Path, suffix: &str) -> io::Result<PathBuf> {
    let no_name = || io::Error::new(io::ErrorKind::InvalidInput, "it does not end with a name");
    let mut name = OsString::from(path.file_name().ok_or_else(no_name)?);
    name.push(suffix);
    Ok(path.with_file_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_without_a_name_is_refused() {
        assert!(matches!(Lock::take(Path::new("/")), Err(OpenError::Io { doing: "lock", .. })));
    }

    #[test]
    fn a_bare_name_stands_in_the_current_folder() {
        assert_eq!(parent(Path::new("ledger")), Path::new("."));
        assert_eq!(beside(Path::new("ledger"), ".lock").unwrap(), Path::new("ledger.lock"));
    }

    #[test]
    fn nothing_moved_aside_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        let moved: Vec<_> = (0..3)
            .map(|_| {
                fs::create_dir(&path).unwrap();
                move_aside(&path, UnixMillis(90)).unwrap()
            })
            .collect();
        assert_eq!(broken(&path).unwrap(), moved);
        assert!(moved[0].ends_with("ledger.broken-90"));
    }

    #[test]
    fn a_lock_is_free_once_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing").join("ledger");
        let lock = Lock::take(&path).unwrap();
        assert!(matches!(Lock::take(&path), Err(OpenError::Locked { .. })));
        drop(lock);
        assert!(Lock::take(&path).is_ok());
    }
}
