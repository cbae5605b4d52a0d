//! `nightbell completions`.

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};

use crate::cli::Cli;
use crate::exit::Failure;
use crate::output::print_as_it_is;

/// Prints the script by which a shell completes this program's command line.
///
/// # Errors
/// Standard output can't be written to.
pub fn completions(shell: Shell) -> Result<(), Failure> {
    print_as_it_is(&script(shell))
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "nightbell", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn each_shell_completes_commands_and_flags() {
        for shell in Shell::value_variants() {
            let script = script(*shell);
            for word in ["nightbell", "publish", "replay", "log-format"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }
}
