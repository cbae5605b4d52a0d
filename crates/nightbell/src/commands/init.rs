//! `nightbell init`.

use std::fs::{OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use crate::cli::Init;
use crate::config::{FILE, SMALLEST, STARTER};
use crate::exit::{Code, Failure};
use crate::output::print_line;

/// Who may read the file: its owner alone, since secrets may come to stand in it.
const MODE: u32 = 0o600;

/// Writes a configuration to begin with, and overwrites nothing unless told to.
///
/// # Errors
/// The file is there, or can't be written.
pub fn init(path: &Path, flags: &Init) -> Result<(), Failure> {
    let text = if flags.full { STARTER } else { SMALLEST };
    let shown = path.display();
    match write(path, text, flags.force) {
        Ok(()) => print_line(&next(path, flags.full)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(Failure::new(
            Code::CantCreate,
            format!(
                "{shown} is there already; name another file with --config, or overwrite it with --force"
            ),
        )),
        Err(error) => {
            let error = anyhow::Error::new(error).context(format!("write {shown}"));
            Err(Failure { code: Code::CantCreate, error })
        }
    }
}

fn write(path: &Path, text: &str, force: bool) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(!force).create(true).truncate(force).mode(MODE);
    let mut file = options.open(path)?;
    if file.metadata()?.is_file() {
        // One that was there keeps its own mode otherwise.
        file.set_permissions(Permissions::from_mode(MODE))?;
    }
    file.write_all(text.as_bytes())
}

/// What to do with it.
fn next(path: &Path, is_full: bool) -> String {
    let shown = path.display();
    let flag = if path == Path::new(FILE) { String::new() } else { format!(" --config {shown}") };
    if is_full {
        return format!(
            "wrote {shown}; edit it, set the variables that it names, and try: nightbell{flag} check"
        );
    }
    format!(
        "wrote {shown}; put the URL of an xMatters trigger into NIGHTBELL_TRIGGER_URL, and try:\n  \
         nightbell{flag} check\n  nightbell{flag} connectors test on-call\n  nightbell{flag} run"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_there_is_overwritten_only_by_force() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nightbell.toml");
        std::fs::write(&path, "mine").unwrap();
        let failure = init(&path, &Init { full: true, force: false }).unwrap_err();
        assert_eq!(failure.code, Code::CantCreate);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
        init(&path, &Init { full: true, force: true }).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), STARTER);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, MODE, "of one that was wider");
    }

    #[test]
    fn the_next_steps_name_the_file_where_it_is_another() {
        assert!(next(Path::new(FILE), false).contains("\n  nightbell check\n"));
        assert!(next(Path::new("a/b.toml"), false).contains("\n  nightbell --config a/b.toml run"));
    }
}
