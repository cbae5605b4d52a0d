//! Which reports are meant: names, folders, lists and patterns, which the shells of CI systems do not all expand, and what
//! comes through a pipe.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use glob::MatchOptions;
use nightbell_reports::{Format, Input, Source, recognise};

/// The most files that one pattern may match, or one folder hold.
const FILES_MAX: usize = 10_000;

/// The most patterns that braces and commas may make of one.
const PATTERNS_MAX: usize = 1_000;

/// How deep folders are looked into.
const DEPTH_MAX: usize = 20;

/// How reports' names end. A file in a folder that ends so and has no content is a report that was never written.
const ENDINGS: [&str; 4] = ["xml", "json", "trx", "tap"];

/// Why a name gives no report.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadInput {
    /// There is no such file.
    #[error("nothing matches `{pattern}`")]
    NoMatch { pattern: String },
    /// It can't be read as a pattern.
    #[error("`{pattern}` is no sound pattern")]
    Unsound { pattern: String, source: glob::PatternError },
    /// It is not meant so.
    #[error("`{pattern}` matches more than {FILES_MAX} files")]
    TooMany { pattern: String },
    /// A folder without a report.
    #[error("no file in the folder `{folder}` is a report")]
    NoReport { folder: String },
    /// A pipe that breaks off.
    #[error("can't read `{name}`")]
    Unreadable { name: String, source: io::Error },
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The reports, each once.
    pub(super) inputs: Vec<Input>,
    /// What gives none.
    pub(super) wrong: Vec<BadInput>,
    /// The files of folders that are no reports.
    pub(super) passed_over: Vec<String>,
    known: HashSet<(PathBuf, Option<Format>)>,
}

/// The reports that are meant.
pub(super) fn inputs(given: &[(PathBuf, Option<Format>)]) -> Found {
    let mut found = Found::default();
    for (path, format) in given {
        if let Err(bad) = found.add(path, *format) {
            found.wrong.push(bad);
        }
    }
    found
}

impl Found {
    fn add(&mut self, given: &Path, format: Option<Format>) -> Result<(), BadInput> {
        if given == Path::new("-") {
            return self.keep("standard input".to_owned(), Ok(io::stdin().lock()), format);
        }
        let Some(text) = given.to_str().filter(|_| !given.exists()) else {
            return self.add_path(given, format);
        };
        for pattern in alternatives(text) {
            match files(&pattern) {
                Ok(files) => {
                    for file in files {
                        let wrong = self.add_path(&file, format).err();
                        self.wrong.extend(wrong);
                    }
                }
                Err(bad) => self.wrong.push(bad),
            }
        }
        Ok(())
    }

    /// A name that stands for itself.
    fn add_path(&mut self, path: &Path, format: Option<Format>) -> Result<(), BadInput> {
        let name = path.display().to_string();
        match path.metadata() {
            Ok(about) if about.is_dir() && format != Some(Format::Allure) => self.add_folder(path, format),
            // A pipe, which can be read only once.
            Ok(about) if !about.is_file() && !about.is_dir() => {
                self.keep(name, std::fs::File::open(path), format)
            }
            Ok(_) | Err(_) => {
                self.add_file(path, format);
                Ok(())
            }
        }
    }

    fn add_file(&mut self, path: &Path, format: Option<Format>) {
        let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if self.known.insert((place, format)) {
            let (name, source) = (path.display().to_string(), Source::file(path.to_owned()));
            self.inputs.push(Input { name, source, format });
        }
    }

    fn keep(
        &mut self,
        name: String,
        from: io::Result<impl io::Read>,
        format: Option<Format>,
    ) -> Result<(), BadInput> {
        match from.and_then(Source::keep) {
            Ok(source) => self.inputs.push(Input { name, source, format }),
            Err(source) => return Err(BadInput::Unreadable { name, source }),
        }
        Ok(())
    }

    /// The reports in a folder, by their content. A folder of Allure's results is one.
    fn add_folder(&mut self, folder: &Path, format: Option<Format>) -> Result<(), BadInput> {
        let before = self.inputs.len();
        self.look_into(folder, format, DEPTH_MAX)?;
        if self.inputs.len() > before {
            return Ok(());
        }
        Err(BadInput::NoReport { folder: folder.display().to_string() })
    }

    fn look_into(
        &mut self,
        folder: &Path,
        format: Option<Format>,
        depth_left: usize,
    ) -> Result<(), BadInput> {
        let is_allure =
            format.is_none() && recognise(&Source::file(folder.to_owned())) == Some(Format::Allure);
        if is_allure {
            self.add_file(folder, Some(Format::Allure));
        }
        // A folder that can't be looked into holds none of our reports, as in a shell.
        let mut entries: Vec<_> =
            folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        entries.sort();
        for path in entries {
            if self.inputs.len() + self.passed_over.len() > FILES_MAX {
                return Err(BadInput::TooMany { pattern: folder.display().to_string() });
            }
            match path.metadata() {
                Ok(about) if about.is_dir() && depth_left > 0 && !is_foreign(&path) => {
                    self.look_into(&path, format, depth_left - 1)?;
                }
                Ok(about) if about.is_file() && !is_allure => self.consider(&path, about.len(), format),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(())
    }

    fn consider(&mut self, path: &Path, bytes: u64, format: Option<Format>) {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        let is_unwritten = bytes == 0 && ENDINGS.contains(&ending);
        let told = recognise(&Source::file(path.to_owned()));
        let is_meant = told.is_some_and(|told| format.is_none_or(|format| format == told));
        if is_unwritten || is_meant {
            self.add_file(path, format);
        } else {
            self.passed_over.push(path.display().to_string());
        }
    }
}

/// Whether a folder is hidden, or that of other people's programs, whose own tests have reports of their own.
fn is_foreign(folder: &Path) -> bool {
    let name = folder.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    name.starts_with('.') || name == "node_modules"
}

/// The patterns that a list by commas, and braces, stand for; a name with neither is the only one.
fn alternatives(text: &str) -> Vec<String> {
    let mut open = vec![text.to_owned()];
    let mut done = Vec::new();
    while let Some(text) = open.pop() {
        if open.len() + done.len() > PATTERNS_MAX {
            // So many can't be meant; what is left is taken by its name.
            done.push(text);
            continue;
        }
        match split(&text) {
            Some(parts) => open.extend(parts.into_iter().rev()),
            None => done.push(text),
        }
    }
    done
}

/// What the first braces of a text stand for that have a comma, or else its first comma; none: it has neither.
fn split(text: &str) -> Option<Vec<String>> {
    // Where the braces begin, where their commas are, and where they end. Those without a comma are part of a name.
    let (mut depth, mut marks) = (0_usize, Vec::new());
    for (at, letter) in text.char_indices() {
        match (letter, depth) {
            ('{', 0) => (depth, marks) = (1, vec![at]),
            ('{', _) => depth += 1,
            (',', 1) => marks.push(at),
            ('}', 1) if marks.len() > 1 => {
                let part = |around: &[usize]| {
                    format!("{}{}{}", &text[..marks[0]], &text[around[0] + 1..around[1]], &text[at + 1..])
                };
                let marks = [marks.as_slice(), &[at]].concat();
                return Some(marks.windows(2).map(part).collect());
            }
            ('}', 1..) => depth -= 1,
            (_, _) => {}
        }
    }
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned);
    Some(parts.collect::<Vec<_>>()).filter(|parts| depth == 0 && parts.len() > 1)
}

/// The files of a pattern, by name. A name without `*`, `?` or `[`, or that of a file which is there, stands for itself.
fn files(pattern: &str) -> Result<Vec<PathBuf>, BadInput> {
    if !pattern.contains(['*', '?', '[']) || Path::new(pattern).exists() {
        return Ok(vec![PathBuf::from(pattern)]);
    }
    let options = MatchOptions { require_literal_separator: true, ..MatchOptions::new() };
    let found = glob::glob_with(pattern, options)
        .map_err(|source| BadInput::Unsound { pattern: pattern.to_owned(), source })?;
    // A folder that can't be looked into holds none of our reports, as in a shell.
    let files: Vec<_> = found.flatten().filter(|path| !path.is_dir()).take(FILES_MAX + 1).collect();
    match files.len() {
        0 => Err(BadInput::NoMatch { pattern: pattern.to_owned() }),
        count if count > FILES_MAX => Err(BadInput::TooMany { pattern: pattern.to_owned() }),
        _ => Ok(files),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "<testsuite/>";

    /// A folder with some reports.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("shard/deep.xml")).unwrap();
        for inner in ["allure", "node_modules", ".hidden"] {
            std::fs::create_dir_all(folder.path().join("mixed").join(inner)).unwrap();
        }
        for name in
            ["b.xml", "a.xml", "a[1].xml", "shard/c.xml", "shard/deep.xml/d.xml", "a,b.xml", "{c}.xml"]
        {
            std::fs::write(folder.path().join(name), REPORT).unwrap();
        }
        for (name, text) in [
            ("a.json", ""),
            ("mixed/report.txt", REPORT),
            ("mixed/picture.png", "PNG"),
            ("mixed/unwritten.xml", ""),
            ("mixed/empty.log", ""),
            ("mixed/tests.tap", "1..1\nok 1\n"),
            ("mixed/allure/1-result.json", "{}"),
            ("mixed/allure/2-result.json", "{}"),
            ("shard/notes.md", "# Notes"),
            ("mixed/node_modules/own.xml", REPORT),
            ("mixed/.hidden/own.xml", REPORT),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    /// The files under the folder that these patterns give, and what is wrong or passed over.
    fn found_as(patterns: &[&str], format: Option<Format>) -> (Vec<String>, Vec<String>) {
        let folder = folder();
        let root = format!("{}/", folder.path().display());
        let given: Vec<_> =
            patterns.iter().map(|pattern| (PathBuf::from(pattern.replace("@/", &root)), format)).collect();
        let found = inputs(&given);
        let plain = |text: String| text.replace(&root, "");
        let wrong = found.wrong.iter().map(|bad| plain(bad.to_string()));
        (
            found.inputs.iter().map(|input| plain(input.name.clone())).collect(),
            wrong.chain(found.passed_over.into_iter().map(plain)).collect(),
        )
    }

    #[track_caller]
    fn check(patterns: &[&str], want: &[&str]) {
        let (files, wrong) = found_as(patterns, None);
        assert_eq!(
            (files, wrong),
            (want.iter().map(|name| (*name).to_owned()).collect(), vec![]),
            "{patterns:?}"
        );
    }

    #[test]
    fn a_pattern_gives_files_by_name() {
        check(&["@/*.xml"], &["a,b.xml", "a.xml", "a[1].xml", "b.xml", "{c}.xml"]);
        check(&["@/?.xml"], &["a.xml", "b.xml"]);
        check(&["@/shard/**/*.xml"], &["shard/c.xml", "shard/deep.xml/d.xml"]);
        check(&["@/shard/*.xml"], &["shard/c.xml"]);
    }

    #[test]
    fn braces_and_commas_stand_for_several() {
        check(&["@/{b,a}.xml"], &["b.xml", "a.xml"]);
        check(&["@/{b,shard/{c,?}}.xml", "@/a.xml"], &["b.xml", "shard/c.xml", "a.xml"]);
        check(&["@/b.xml,@/a.xml"], &["b.xml", "a.xml"]);
        check(&["@/b.xml, @/shard/*.xml"], &["b.xml", "shard/c.xml"]);
    }

    #[test]
    fn a_name_stands_for_itself() {
        check(&["@/a[1].xml"], &["a[1].xml"]);
        check(&["@/a,b.xml"], &["a,b.xml"]);
        check(&["@/{c}.xml"], &["{c}.xml"]);
        check(&["@/missing.xml"], &["missing.xml"]);
    }

    #[test]
    fn a_file_is_read_once() {
        check(&["@/b.xml", "@/?.xml", "@/./b.xml"], &["b.xml", "a.xml"]);
    }

    #[test]
    fn a_folder_gives_the_reports_in_it() {
        let (files, wrong) = found_as(&["@/shard", "@/mixed"], None);
        assert_eq!(
            files,
            [
                "shard/c.xml",
                "shard/deep.xml/d.xml",
                "mixed/allure",
                "mixed/report.txt",
                "mixed/tests.tap",
                "mixed/unwritten.xml"
            ]
        );
        assert_eq!(wrong, ["shard/notes.md", "mixed/empty.log", "mixed/picture.png"]);
        let (files, _) = found_as(&["@/mixed"], Some(Format::Junit));
        assert_eq!(files, ["mixed/report.txt", "mixed/unwritten.xml"]);
        assert_eq!(found_as(&["@/mixed/allure"], Some(Format::Allure)).0, ["mixed/allure"]);
    }

    #[test]
    fn what_gives_nothing_is_said_and_costs_no_other() {
        let (files, wrong) = found_as(&["@/none/*.xml", "@/a.xml", "@/[", "@/shard/*.xm?.gz"], None);
        assert_eq!(files, ["a.xml"]);
        let (files, said) = found_as(&["@/{none*,b,no?}.xml"], None);
        assert_eq!((files, said.len()), (vec!["b.xml".to_owned()], 2));
        assert_eq!(
            wrong,
            ["nothing matches `none/*.xml`", "`[` is no sound pattern", "nothing matches `shard/*.xm?.gz`"]
        );
        let folder = tempfile::tempdir().unwrap();
        let found = inputs(&[(folder.path().to_owned(), None)]);
        assert!(found.wrong[0].to_string().starts_with("no file in the folder"));
    }

    #[test]
    fn what_braces_make_is_bounded() {
        let bomb = "{a,b}".repeat(40);
        assert!(alternatives(&bomb).len() <= PATTERNS_MAX + 50);
        assert_eq!(alternatives("{a"), ["{a"]);
        assert_eq!(alternatives("a}b"), ["a}b"]);
        assert_eq!(alternatives("x{a,{b,c}}y"), ["xay", "xby", "xcy"]);
        assert_eq!(alternatives("{a}{b,c}"), ["{a}b", "{a}c"]);
    }
}
