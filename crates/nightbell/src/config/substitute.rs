//! `${NAME}` and `${file:PATH}` in strings.

use std::env::{self, VarError};
use std::io;
use std::path::Path;

use super::needs::{Cause, Complaint};
use super::read_bounded;

/// The longest file that is read besides the configuration itself, in bytes: a bundle of all public authorities fits.
const VALUE_BYTES_MAX: u64 = 1024 * 1024;

/// Where `${NAME}` and `${file:PATH}` get their values.
pub trait Lookup {
    /// The value of an environment variable.
    ///
    /// # Errors
    /// It is not set, or it is no Unicode text.
    fn variable(&self, name: &str) -> Result<String, VarError>;

    /// The content of a file.
    ///
    /// # Errors
    /// It can't be read, is too long or is not UTF-8.
    fn file(&self, path: &Path) -> io::Result<String>;
}

/// The process's environment and file system.
#[derive(Debug, Clone, Copy)]
pub struct System;

impl Lookup for System {
    fn variable(&self, name: &str) -> Result<String, VarError> {
        env::var(name)
    }

    fn file(&self, path: &Path) -> io::Result<String> {
        read_bounded(path, VALUE_BYTES_MAX)
    }
}

/// Replaces every `${…}` in `raw`, and `$$` by a dollar. Relative paths begin in `folder`. A dollar before
/// anything else stays, so that most passwords need no care.
///
/// The error lists what could not be replaced. It names variables and files, but quotes nothing else of
/// `raw`, which may hold a secret.
pub(super) fn substitute(raw: &str, folder: &Path, lookup: &dyn Lookup) -> Result<String, Vec<Complaint>> {
    let mut text = String::new();
    let mut complaints = Vec::new();
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once('$') {
        text.push_str(before);
        rest = after;
        if let Some(after) = rest.strip_prefix('$') {
            text.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let Some((inside, after)) = after.split_once('}') else {
                complaints.push(wrong("a `${` has no `}`; write `$$` for a plain dollar"));
                break;
            };
            match value(inside, folder, lookup) {
                Ok(value) => text.push_str(&value),
                Err(complaint) => complaints.push(complaint),
            }
            rest = after;
        } else {
            text.push('$');
        }
    }
    text.push_str(rest);
    if complaints.is_empty() { Ok(text) } else { Err(complaints) }
}

/// The content of the file at `path`, which begins in `folder` if it is relative.
pub(super) fn read_file(
    path: &str,
    folder: &Path,
    lookup: &dyn Lookup,
) -> Result<String, (Cause, io::Error)> {
    let path = folder.join(path);
    lookup.file(&path).map_err(|error| (Cause::of(&error, &path), error))
}

fn wrong(text: &str) -> Complaint {
    Complaint { cause: Cause::Wrong, text: text.to_owned() }
}

/// The value of what stands between `${` and `}`.
fn value(inside: &str, folder: &Path, lookup: &dyn Lookup) -> Result<String, Complaint> {
    if let Some(path) = inside.strip_prefix("file:").filter(|path| !path.is_empty()) {
        let content = read_file(path, folder, lookup).map_err(|(cause, error)| {
            let path = folder.join(path);
            let text = format!(
                "can't read the file `{}`: {error}; check its path and who may read it",
                path.display()
            );
            Complaint { cause, text }
        })?;
        let trimmed = content.strip_suffix("\r\n").or(content.strip_suffix('\n')).unwrap_or(&content);
        return Ok(trimmed.to_owned());
    }
    if !is_name(inside) {
        return Err(wrong(
            "a `${…}` holds neither a variable's name nor `file:PATH`; write `$$` for a plain dollar",
        ));
    }
    lookup.variable(inside).map_err(|error| {
        let text = match error {
            VarError::NotPresent => format!(
                "the environment variable `{inside}` is not set; set it, or take a file with `${{file:PATH}}`"
            ),
            VarError::NotUnicode(_) => {
                format!("the environment variable `{inside}` is not UTF-8; set it to a text")
            }
        };
        Complaint { cause: Cause::NotThere, text }
    })
}

fn is_name(text: &str) -> bool {
    !text.starts_with(|first: char| first.is_ascii_digit())
        && !text.is_empty()
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Lookup for Fixed {
        fn variable(&self, name: &str) -> Result<String, VarError> {
            if name == "HOME_1" { Ok("den".into()) } else { Err(VarError::NotPresent) }
        }

        fn file(&self, path: &Path) -> io::Result<String> {
            match path.to_str() {
                Some("/etc/nightbell/unix") => Ok("content\n".into()),
                Some("/etc/nightbell/windows") => Ok("content\r\n".into()),
                Some("/abs/two") => Ok("content\n\n".into()),
                _ => Err(io::ErrorKind::PermissionDenied.into()),
            }
        }
    }

    #[track_caller]
    fn check(raw: &str, want: Result<&str, &str>) {
        let got = substitute(raw, Path::new("/etc/nightbell"), &Fixed)
            .map_err(|all| all.into_iter().map(|one| one.text).collect::<Vec<_>>().join(" | "));
        assert_eq!(got.as_deref().map_err(String::as_str), want);
    }

    #[test]
    fn variables_and_files_are_put_in_anywhere() {
        check("", Ok(""));
        check("a ${HOME_1}-${HOME_1} b", Ok("a den-den b"));
        check("${file:unix}", Ok("content"));
        check("${file:windows}", Ok("content"));
        check("${file:/abs/two}", Ok("content\n"));
    }

    #[test]
    fn a_dollar_stands_for_itself_when_doubled_or_when_nothing_opens() {
        check("$$", Ok("$"));
        check("$${HOME_1}", Ok("${HOME_1}"));
        check("pa$word$", Ok("pa$word$"));
        check("$$$$", Ok("$$"));
    }

    #[test]
    fn what_can_not_be_replaced_is_said() {
        check(
            "${NONE}",
            Err("the environment variable `NONE` is not set; set it, or take a file with `${file:PATH}`"),
        );
        check(
            "${file:x}",
            Err(
                "can't read the file `/etc/nightbell/x`: permission denied; check its path and who may read it",
            ),
        );
        check("a${HOME_1", Err("a `${` has no `}`; write `$$` for a plain dollar"));
        for odd in ["${}", "${1a}", "${a b}", "${file:}", "${ä}"] {
            let want =
                "a `${…}` holds neither a variable's name nor `file:PATH`; write `$$` for a plain dollar";
            check(odd, Err(want));
        }
    }
}
