//! One configuration text while it is read: its problems, and the effective values.

use std::fmt::Display;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;

use toml::Spanned;
use toml::de::DeValue;

use super::Findings;
use super::needs::{Cause, Complaint, Need, Needs, Unread};
use super::problem::{ConfigError, Problem};
use super::substitute::{Lookup, read_file, substitute};

/// Where something stands, and what it is called.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The byte in the text.
    pub(super) at: usize,
    /// The key, like `connectors[0].timeout`.
    pub(super) key: String,
}

/// A value with its place, for checks against other values.
#[derive(Debug, Clone)]
pub(super) struct Placed<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// The values without their places.
pub(super) fn values_of<T>(placed: Vec<Placed<T>>) -> Vec<T> {
    placed.into_iter().map(|placed| placed.value).collect()
}

/// The text, what is wrong with it, and what it comes to.
pub(super) struct Document<'d> {
    text: &'d str,
    pub(super) file: &'d Path,
    lookup: &'d dyn Lookup,
    needs: Needs,
    problems: Vec<Problem>,
    /// The tables of the effective configuration, each with its header and its lines.
    pub(super) sections: Vec<(String, Vec<String>)>,
    /// The keys that were not read, since nobody needs them or they can't be.
    pub(super) left: Vec<String>,
    pub(super) found: Findings,
}

impl<'d> Document<'d> {
    pub(super) fn new(text: &'d str, file: &'d Path, lookup: &'d dyn Lookup, needs: Needs) -> Self {
        let (problems, sections, left) = (Vec::new(), Vec::new(), Vec::new());
        Self { text, file, lookup, needs, problems, sections, left, found: Findings::default() }
    }

    pub(super) fn problem(&mut self, place: &Place, message: impl Into<String>) {
        let (line, column) = self.position(place.at);
        let (file, key) = (self.file.to_owned(), place.key.clone());
        self.problems.push(Problem { file, line, column, key, message: message.into() });
    }

    /// Takes over a complaint of the TOML parser. Its message holds none of the text, which its `Display`
    /// would quote.
    pub(super) fn syntax_error(&mut self, error: &toml::de::Error) {
        let at = error.span().map_or(0, |span| span.start);
        let place = Place { at, key: String::new() };
        self.problem(&place, format!("not TOML: {}", error.message()));
    }

    pub(super) fn into_error(mut self) -> ConfigError {
        self.problems.sort_by_key(|problem| (problem.line, problem.column));
        ConfigError::Invalid { problems: self.problems }
    }

    /// What else was found, if there are no problems.
    pub(super) fn finish(mut self) -> Result<Findings, ConfigError> {
        if !self.problems.is_empty() {
            return Err(self.into_error());
        }
        self.found.masked = self.masked();
        Ok(self.found)
    }

    /// Takes note of a secret, or of the content of a file that a key names, of which a fingerprint is kept.
    pub(super) fn comes_to_secret(&mut self, key: String, secret: &str) {
        let mut hasher = DefaultHasher::new();
        secret.hash(&mut hasher);
        *self.found.effective.entry(key).or_default() += &format!("#{:x}", hasher.finish());
    }

    /// Reads a text by `parse`, whose error is what follows `the value` in a problem: `is no duration; write …`. The value
    /// itself is quoted nowhere: any key may hold a secret by mistake. Gives the text as well, with all its `${…}`
    /// replaced.
    pub(super) fn text<T, E: Display>(
        &mut self,
        place: &Place,
        value: &Spanned<DeValue<'_>>,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<(T, String)> {
        let DeValue::String(raw) = value.get_ref() else {
            let complaint = self.not_a_text(value, |text| parse(text).err().map(|bad| bad.to_string()));
            self.problem(place, complaint);
            return None;
        };
        let text = self.substituted(place, raw)?;
        match parse(&text) {
            Ok(read) => Some((read, text)),
            Err(complaint) => {
                self.problem(place, format!("the value {complaint}"));
                None
            }
        }
    }

    /// A value as what it has to be; `cure` says what to write.
    pub(super) fn cast<T>(
        &mut self,
        place: &Place,
        value: &'d Spanned<DeValue<'d>>,
        cast: impl Fn(&'d DeValue<'d>) -> Option<T>,
        cure: &str,
    ) -> Option<T> {
        let cast = cast(value.get_ref());
        if cast.is_none() {
            self.problem(place, format!("the value is {}; {cure}", kind(value.get_ref())));
        }
        cast
    }

    /// The effective configuration as TOML.
    fn masked(&self) -> String {
        let show = |(header, lines): &(String, Vec<String>)| {
            let header = Some(header).filter(|header| !header.is_empty());
            header.into_iter().chain(lines).map(|line| format!("{line}\n")).collect::<String>()
        };
        self.sections.iter().map(show).collect::<Vec<_>>().join("\n")
    }

    /// The content of a file that a key names.
    pub(super) fn file(&mut self, place: &Place, path: &str) -> Option<String> {
        let need = self.needs.of(&place.key);
        if need == Need::No {
            self.left.push(place.key.clone());
            return None;
        }
        let folder = self.folder();
        let (cause, error) = match read_file(path, folder, self.lookup) {
            Ok(text) => return Some(text),
            Err(why) => why,
        };
        let hint = if path.contains("-----BEGIN") {
            "write the path of a file, not what belongs into it"
        } else {
            "check its path and who may read it"
        };
        let shown = shown_path(path, folder);
        // The system's text alone: others may quote the path.
        let error = error
            .raw_os_error()
            .map_or_else(|| error.to_string(), |code| std::io::Error::from_raw_os_error(code).to_string());
        let text = format!("can't read the file {shown}: {error}; {hint}");
        self.unreadable(place, need, vec![Complaint { cause, text }]);
        None
    }

    /// Where relative paths begin.
    pub(super) fn folder(&self) -> &'d Path {
        self.file.parent().unwrap_or(Path::new(""))
    }

    fn substituted(&mut self, place: &Place, raw: &str) -> Option<String> {
        let need = if raw.contains("${") { self.needs.of(&place.key) } else { Need::Must };
        if need == Need::No {
            self.left.push(place.key.clone());
            return None;
        }
        match substitute(raw, self.folder(), self.lookup) {
            Ok(text) => Some(text),
            Err(complaints) => {
                self.unreadable(place, need, complaints);
                None
            }
        }
    }

    /// Takes note of what could not be read: a problem, unless the command can do without.
    fn unreadable(&mut self, place: &Place, need: Need, complaints: Vec<Complaint>) {
        for complaint in complaints {
            if need == Need::Must || complaint.cause == Cause::Wrong {
                self.problem(place, complaint.text);
                continue;
            }
            self.left.push(place.key.clone());
            if need == Need::Tell {
                let at = self.shown_place(place);
                self.found.unread.push(Unread { key: place.key.clone(), place: at, complaint });
            }
        }
    }

    /// What is wrong with a value that is no text. A bare number or word is judged as the text it might be,
    /// since its quotes are then not all that is wrong.
    fn not_a_text(&self, value: &Spanned<DeValue<'_>>, judge: impl Fn(&str) -> Option<String>) -> String {
        let kind = kind(value.get_ref());
        match value.get_ref() {
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
                let bare = self.text.get(value.span()).unwrap_or_default();
                match judge(bare) {
                    Some(complaint) => format!("the value {complaint}"),
                    None => format!("the value is {kind}; write it in quotes"),
                }
            }
            DeValue::String(_) | DeValue::Array(_) | DeValue::Table(_) => {
                format!("the value is {kind}; write a text in quotes")
            }
        }
    }

    /// A place as `FILE:LINE:COLUMN`.
    pub(super) fn shown_place(&self, place: &Place) -> String {
        let (line, column) = self.position(place.at);
        format!("{}:{line}:{column}", self.file.display())
    }

    /// Line and column of a byte, both from 1, the column in characters.
    fn position(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

/// The longest extension of a file, in bytes.
const EXTENSION_BYTES_MAX: usize = 5;

/// A path as far as it looks like one: people write there what belongs into the file.
fn shown_path(path: &str, folder: &Path) -> String {
    let letters =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"./_-".contains(&byte));
    let extension = Path::new(path).extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let is_path = letters(path)
        && (1..=EXTENSION_BYTES_MAX).contains(&extension.len())
        && extension.starts_with(|first: char| first.is_ascii_alphabetic());
    if is_path { format!("`{}`", folder.join(path).display()) } else { "that it names".to_owned() }
}

/// What a value is, with its article.
fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "a yes or no",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
