//! `nightbell init`.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use crate::cli::Init;
use crate::config::STARTER;
use crate::exit::{Code, Failure};
use crate::output::print_line;

/// Writes the starter configuration, and overwrites nothing unless told to.
///
/// # Errors
/// The file is there, or can't be written.
pub fn init(path: &Path, flags: &Init) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(!flags.force).create(true).truncate(flags.force);
    let shown = path.display();
    let written = options.open(path).and_then(|mut file| file.write_all(STARTER.as_bytes()));
    match written {
        Ok(()) => print_line(&format!(
            "wrote {shown}; edit it, set the variables that it names, and try: nightbell --config {shown} check"
        )),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_there_is_overwritten_only_by_force() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nightbell.toml");
        std::fs::write(&path, "mine").unwrap();
        let failure = init(&path, &Init { force: false }).unwrap_err();
        assert_eq!(failure.code, Code::CantCreate);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
        init(&path, &Init { force: true }).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), STARTER);
    }
}
