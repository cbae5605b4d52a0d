//! Which files are meant: names and patterns, which the shells of CI systems do not all expand.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use glob::MatchOptions;
use nightbell_reports::{Format, Input};

/// The most files that one pattern may match.
const FILES_MAX: usize = 10_000;

/// Why a pattern gives no files.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadPattern {
    /// There is no such file.
    #[error("nothing matches `{pattern}`")]
    NoMatch { pattern: String },
    /// It can't be read as one.
    #[error("`{pattern}` is no sound pattern")]
    Unsound { pattern: String, source: glob::PatternError },
    /// It is not meant so.
    #[error("`{pattern}` matches more than {FILES_MAX} files")]
    TooMany { pattern: String },
}

/// The files that are meant, each once, and what is wrong with the rest.
pub(super) fn inputs(given: &[(PathBuf, Format)]) -> (Vec<Input>, Vec<BadPattern>) {
    let (mut inputs, mut wrong, mut known) = (Vec::new(), Vec::new(), HashSet::new());
    for (pattern, format) in given {
        match files(pattern) {
            Ok(files) => {
                let new = files.into_iter().filter(|file| {
                    let place = file.canonicalize().unwrap_or_else(|_| file.clone());
                    known.insert((place, *format == Format::Junit))
                });
                inputs.extend(new.map(|path| Input { path, format: *format }));
            }
            Err(bad) => wrong.push(bad),
        }
    }
    (inputs, wrong)
}

/// The files of a pattern, by name. A name without `*`, `?` or `[`, or that of a file which is there, stands for itself.
fn files(pattern: &Path) -> Result<Vec<PathBuf>, BadPattern> {
    let Some(text) = pattern.to_str().filter(|text| text.contains(['*', '?', '['])) else {
        return Ok(vec![pattern.to_owned()]);
    };
    if pattern.exists() {
        return Ok(vec![pattern.to_owned()]);
    }
    let options = MatchOptions { require_literal_separator: true, ..MatchOptions::new() };
    let found = glob::glob_with(text, options)
        .map_err(|source| BadPattern::Unsound { pattern: text.to_owned(), source })?;
    // A folder that can't be looked into holds none of our reports, as in a shell.
    let files: Vec<_> = found.flatten().filter(|path| !path.is_dir()).take(FILES_MAX + 1).collect();
    match files.len() {
        0 => Err(BadPattern::NoMatch { pattern: text.to_owned() }),
        count if count > FILES_MAX => Err(BadPattern::TooMany { pattern: text.to_owned() }),
        _ => Ok(files),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files under a folder with some reports that these patterns give, and what is wrong.
    fn found(patterns: &[&str]) -> (Vec<String>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("shard/deep.xml")).unwrap();
        for name in ["b.xml", "a.xml", "a[1].xml", "shard/c.xml", "shard/deep.xml/d.xml", "a.json"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let given: Vec<_> =
            patterns.iter().map(|pattern| (folder.path().join(pattern), Format::Junit)).collect();
        let (inputs, wrong) = inputs(&given);
        let name = |path: &Path| path.strip_prefix(folder.path()).unwrap().display().to_string();
        let root = format!("{}/", folder.path().display());
        (
            inputs.iter().map(|input| name(&input.path)).collect(),
            wrong.iter().map(|bad| bad.to_string().replace(&root, "")).collect(),
        )
    }

    #[track_caller]
    fn check(patterns: &[&str], want: &[&str]) {
        let (files, wrong) = found(patterns);
        assert_eq!((files.as_slice(), wrong.len()), (want.map_to_owned().as_slice(), 0), "{patterns:?}");
    }

    trait MapToOwned {
        fn map_to_owned(&self) -> Vec<String>;
    }

    impl MapToOwned for &[&str] {
        fn map_to_owned(&self) -> Vec<String> {
            self.iter().map(|text| (*text).to_owned()).collect()
        }
    }

    #[test]
    fn a_pattern_gives_files_by_name() {
        check(&["*.xml"], &["a.xml", "a[1].xml", "b.xml"]);
        check(&["?.xml"], &["a.xml", "b.xml"]);
        check(&["**/*.xml"], &["a.xml", "a[1].xml", "b.xml", "shard/c.xml", "shard/deep.xml/d.xml"]);
        check(&["shard/*.xml"], &["shard/c.xml"]);
    }

    #[test]
    fn a_name_stands_for_itself() {
        check(&["a[1].xml"], &["a[1].xml"]);
        check(&["missing.xml"], &["missing.xml"]);
    }

    #[test]
    fn a_file_is_read_once() {
        check(&["b.xml", "*.xml", "./b.xml"], &["b.xml", "a.xml", "a[1].xml"]);
    }

    #[test]
    fn a_pattern_that_gives_nothing_is_said_and_costs_no_other() {
        let (files, wrong) = found(&["none/*.xml", "a.xml", "[", "shard/*.xm?.gz"]);
        assert_eq!(files, ["a.xml"]);
        assert_eq!(
            wrong,
            ["nothing matches `none/*.xml`", "`[` is no sound pattern", "nothing matches `shard/*.xm?.gz`"]
        );
    }
}
