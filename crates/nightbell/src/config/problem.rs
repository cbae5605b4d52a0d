//! What can be wrong with a configuration.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no such file.
    #[error("there is no `{}`; `nightbell init` writes one, and `--config` names another", file.display())]
    NotFound {
        /// The file.
        file: PathBuf,
    },
    /// The file can't be read.
    #[error("can't read `{}`", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file has problems: all that were found, in the order of their lines, one a line.
    #[error("{}", lines(problems))]
    Invalid {
        /// The problems, at least one.
        problems: Vec<Problem>,
    },
}

/// One problem of a configuration. It never quotes a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The configuration file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The key, like `connectors[0].timeout`; empty when the text is no TOML.
    pub key: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// `nightbell.toml:14:11: connectors[0].timeout: "15" is no duration; …`
impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}:{}: ", self.file.display(), self.line, self.column)?;
        if !self.key.is_empty() {
            write!(out, "{}: ", self.key)?;
        }
        out.write_str(&self.message)
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}

/// The candidate that `word` is most likely a slip of, if any is near.
pub(super) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let word = word.to_lowercase();
    let slips_max = word.chars().count().div_ceil(3);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, &candidate.to_lowercase()), candidate))
        .filter(|(slips, _)| *slips <= slips_max)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[track_caller]
    fn check(word: &str, want: Option<&str>) {
        assert_eq!(nearest(word, ["recipients", "retry", "by", "payload"]), want);
    }

    #[test]
    fn a_slip_finds_its_word_and_another_word_finds_none() {
        check("recipient", Some("recipients"));
        check("Retry", Some("retry"));
        check("rerty", Some("retry"));
        check("payloda", Some("payload"));
        check("of", None);
        check("colour", None);
        check("", None);
    }
}
