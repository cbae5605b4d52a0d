//! What is private on this machine: what this program writes, and its memory.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, setrlimit, umask};

use crate::cli::Command;

/// Sees to it that nobody else can read what this program leaves on the disk: files get mode 0600 and folders 0700, whatever
/// the umask was, save for what is written to be handed on; and a crash leaves no memory, where secrets are.
pub fn set_up(command: &Command) {
    if !matches!(command, Command::Man { .. }) {
        umask(Mode::from_bits_truncate(0o077));
    }
    // A system that forbids even that forbids dumps by other means.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

/// What is to be said of a folder that others than its owner may enter or read, and its mode.
#[must_use]
pub fn wide(folder: &Path) -> Option<(u32, String)> {
    let mode = mode(folder).filter(|mode| mode & 0o077 != 0)?;
    let shown = folder.display();
    Some((mode, format!("others may look into {shown} (mode {mode:04o}), where events and dead letters are")))
}

/// The permissions of what is there.
#[must_use]
pub fn mode(path: &Path) -> Option<u32> {
    Some(fs::metadata(path).ok()?.permissions().mode() & 0o7777)
}
