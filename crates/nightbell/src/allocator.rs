//! glibc's allocator, told to give back what is not needed.
//!
//! sled takes and frees buffers of 64 KiB and more by the hundred. glibc learns from the first of them to serve such sizes
//! from its heaps, of which every thread gets one, and there they stay: the worker's memory was half as much again. Its
//! settings are read from the environment when a program starts (mallopt(3)), so the worker starts itself anew with them, as the same process.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nightbell_ledger::ALLOCATOR_SETTINGS as SETTINGS;

/// Starts this program anew, in this process, with the allocator set; returns if it is set already, by us or by the user,
/// if the allocator is another one, or if the program can't be started.
pub fn set_up() {
    let is_set = SETTINGS.iter().any(|(name, _)| std::env::var_os(name).is_some());
    if !cfg!(target_env = "gnu") || is_set {
        return;
    }
    let mut arguments = std::env::args_os();
    let (Some(name), Ok(program)) = (arguments.next(), std::env::current_exe()) else { return };
    // What comes back is an error, and all that it costs is memory.
    let _not_started = Command::new(program).arg0(name).args(arguments).envs(SETTINGS).exec();
}
