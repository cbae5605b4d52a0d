//! `nightbell man`.

use std::path::Path;

use clap::CommandFactory as _;
use clap_mangen::{Man, generate_to};

use crate::cli::Cli;
use crate::exit::{Code, Failure};
use crate::output::{print, print_line};

/// Prints the program's manual page, or writes one for it and for each command into a folder.
///
/// # Errors
/// The folder or standard output can't be written to.
pub fn man(folder: Option<&Path>) -> Result<(), Failure> {
    match folder {
        None => print(&page()),
        Some(folder) => {
            write_pages(folder)?;
            print_line(&format!("wrote the manual pages into {}", folder.display()))
        }
    }
}

fn page() -> String {
    let mut page = Vec::new();
    Man::new(Cli::command()).render(&mut page).expect("a Vec takes all bytes");
    String::from_utf8_lossy(&page).into_owned()
}

fn write_pages(folder: &Path) -> Result<(), Failure> {
    let written = std::fs::create_dir_all(folder).and_then(|()| generate_to(Cli::command(), folder));
    written.map_err(|error| {
        let error = anyhow::Error::new(error).context(format!("write into {}", folder.display()));
        Failure { code: Code::CantCreate, error }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_page_for_each_command() {
        let folder = tempfile::tempdir().unwrap();
        let pages = folder.path().join("man1");
        write_pages(&pages).unwrap();
        for (name, word) in
            [("nightbell", "check"), ("nightbell-run", "worker"), ("nightbell-dead-replay", "dry")]
        {
            let page = std::fs::read_to_string(pages.join(format!("{name}.1"))).unwrap();
            assert!(page.starts_with(".ie") && page.contains(word), "{page}");
        }
        assert!(page().contains("EXIT") || page().contains("SUBCOMMANDS"));
    }
}
