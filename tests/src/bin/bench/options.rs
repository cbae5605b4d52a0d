//! What all cases have in common on the command line.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use nightbell_tests::program;

/// Options of every case.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// How many rounds; each takes all contenders in turn [default: 5, or as the case says; 1 with --quick].
    #[arg(long, global = true)]
    rounds: Option<usize>,
    /// Small sizes, to see that everything runs; the figures mean nothing.
    #[arg(long, global = true)]
    quick: bool,
    /// The folder for the figures, CASE.json.
    #[arg(long, global = true, default_value = "target/bench")]
    pub(crate) out: PathBuf,
    /// The URL of a node that the caller has started for this, in place of a private one.
    #[arg(long, global = true, hide = true)]
    pub(crate) node: Option<String>,
    /// Takes the worker's program as it is.
    #[arg(long, global = true, hide = true)]
    as_built: bool,
}

impl Options {
    /// A size: what was asked for, or the full one, or the small one of a quick run.
    pub(crate) fn size<T>(&self, asked: Option<T>, full: T, quick: T) -> T {
        asked.unwrap_or(if self.quick { quick } else { full })
    }

    pub(crate) fn rounds(&self, full: usize) -> usize {
        self.size(self.rounds, full, 1).max(1)
    }

    /// Builds the worker as its users would, in the profile of this program.
    pub(crate) fn build(&self) -> Result<()> {
        if self.as_built { Ok(()) } else { program::build_plain() }
    }

    /// The same options as arguments, for a case of `all`.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["--out".to_owned(), self.out.display().to_string()];
        let mut with = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                arguments.extend([name.to_owned(), value]);
            }
        };
        with("--rounds", self.rounds.map(|rounds| rounds.to_string()));
        with("--node", self.node.clone());
        let flags = [("--quick", self.quick), ("--as-built", self.as_built)];
        arguments.extend(flags.iter().filter(|(_, set)| *set).map(|(name, _)| (*name).to_owned()));
        arguments
    }
}
