//! The program itself.

use std::path::Path;
use std::process::{Command, Stdio};

/// `nightbell` with these arguments in a folder, without what this machine's environment would change.
pub(crate) fn nightbell(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nightbell"));
    command.current_dir(folder).args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("NIGHTBELL_")) {
        command.env_remove(name);
    }
    command
}

/// What it prints; it must succeed.
pub(crate) fn printed(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
