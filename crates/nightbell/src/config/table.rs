//! A cursor over one table of the configuration. What it is asked for are the keys that the table knows: they
//! are named nowhere else, neither for refusing unknown ones nor for showing the effective configuration.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::document::{Document, Place, Placed, values_of};
use super::problem::nearest;
use super::values::{check_no_login, check_no_secret, duration, list, literal, show_duration};

/// A key that a table knows.
type Key = &'static str;

/// What reads a text. Its error follows `the value` in a problem.
pub(super) trait Parse<T, E>: Fn(&str) -> Result<T, E> {}

impl<T, E, F: Fn(&str) -> Result<T, E>> Parse<T, E> for F {}

/// One table of a document. A getter that meets a bad value records the problem and gives none, or the
/// default.
pub(super) struct Table<'a, 'd> {
    document: &'a mut Document<'d>,
    /// None for a table that is not in the file: all its keys have their defaults.
    values: Option<&'d DeTable<'d>>,
    place: Place,
    section: usize,
    known: Vec<&'static str>,
}

impl<'a, 'd> Table<'a, 'd> {
    /// Reads a whole table by `read`, and then refuses the keys that it did not ask for. `header` begins its
    /// part of the effective configuration.
    pub(super) fn read<T>(
        document: &'a mut Document<'d>,
        values: Option<&'d DeTable<'d>>,
        place: Place,
        header: String,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let section = document.sections.len();
        document.sections.push((header, Vec::new()));
        let mut table = Self { document, values, place, section, known: Vec::new() };
        let result = read(&mut table);
        table.refuse_unknown_keys();
        result
    }

    /// A text that is shown, or none if the key is absent.
    pub(super) fn text<T, E: Display>(&mut self, key: Key, parse: impl Parse<T, E>) -> Option<T> {
        let (read, text) = self.parsed(key, showable(parse))?;
        self.show(key, &literal(&text));
        Some(read)
    }

    /// The same with its place.
    pub(super) fn placed<T, E: Display>(&mut self, key: Key, parse: impl Parse<T, E>) -> Option<Placed<T>> {
        let value = self.text(key, parse)?;
        Some(Placed { value, place: self.place_of(key) })
    }

    /// A text, or what `parse` makes of the default.
    pub(super) fn text_or<T, E: Display>(&mut self, key: Key, default: &str, parse: impl Parse<T, E>) -> T {
        if self.value(key).is_some()
            && let Some(read) = self.text(key, &parse)
        {
            return read;
        }
        self.show(key, &literal(default));
        parse(default).ok().expect("a default is what its key takes, as the tests of the defaults show")
    }

    /// A duration within bounds, or the default.
    pub(super) fn duration_or(
        &mut self,
        key: Key,
        default: Duration,
        range: &RangeInclusive<Duration>,
    ) -> Duration {
        self.text_or(key, &show_duration(default), |text| duration(text, range))
    }

    /// A secret, or none if the key is absent. It displays what may be shown of it.
    pub(super) fn secret<T: Display, E: Display>(&mut self, key: Key, parse: impl Parse<T, E>) -> Option<T> {
        let (read, text) = self.parsed(key, parse)?;
        self.show(key, &literal(&read.to_string()));
        self.document.comes_to_secret(self.path(key), &text);
        let raw = self.values.and_then(|values| values.get(key)).and_then(|value| value.get_ref().as_str());
        if raw.is_some_and(|raw| holds_secret(key, raw)) {
            self.document.found.inline_secrets.push(self.path(key));
        }
        Some(read)
    }

    /// What `parse` makes of a text, and the text.
    fn parsed<T, E: Display>(&mut self, key: Key, parse: impl Parse<T, E>) -> Option<(T, String)> {
        let Some(value) = self.value(key) else {
            self.show_unset(key);
            return None;
        };
        let parsed = self.document.text(&self.place_of(key), value, parse);
        if parsed.is_none() && self.is_left(key) {
            self.line(format!("# {key} is not read here"));
        }
        parsed
    }

    /// A whole number, or the default.
    pub(super) fn number_or<N>(&mut self, key: Key, default: N, range: RangeInclusive<N>) -> N
    where
        N: TryFrom<u64> + PartialOrd + Copy + Display,
    {
        let number =
            self.cast(key, DeValue::as_integer, "write a number without quotes").and_then(|written| {
                let number = u64::from_str_radix(written.as_str(), written.radix()).ok();
                let number = number.and_then(|number| N::try_from(number).ok());
                let number = number.filter(|number| range.contains(number));
                if number.is_none() {
                    let (least, most) = (range.start(), range.end());
                    self.problem(
                        key,
                        format!("the number is out of bounds; write one from {least} to {most}"),
                    );
                }
                number
            });
        let number = number.unwrap_or(default);
        self.show(key, &number.to_string());
        number
    }

    /// `true` or `false`, or the default.
    pub(super) fn flag_or(&mut self, key: Key, default: bool) -> bool {
        let flag = self.cast(key, DeValue::as_bool, "write true or false without quotes").unwrap_or(default);
        self.show(key, &flag.to_string());
        flag
    }

    /// A list of texts, or none if the key is absent, which is not shown then. Bad elements are left out.
    pub(super) fn texts<T, E: Display>(&mut self, key: Key, parse: impl Parse<T, E>) -> Option<Vec<T>> {
        self.placed_texts(key, parse).map(values_of)
    }

    /// The same with their places.
    pub(super) fn placed_texts<T, E: Display>(
        &mut self,
        key: Key,
        parse: impl Parse<T, E>,
    ) -> Option<Vec<Placed<T>>> {
        let elements = self.cast(key, DeValue::as_array, "write a list of texts, like [\"a\", \"b\"]")?;
        let (mut placed, mut texts, parse) = (Vec::new(), Vec::new(), showable(parse));
        for (index, element) in elements.iter().enumerate() {
            let place = Place { at: element.span().start, key: format!("{}[{index}]", self.path(key)) };
            if let Some((value, text)) = self.document.text(&place, element, &parse) {
                placed.push(Placed { value, place });
                texts.push(text);
            }
        }
        self.show(key, &list(texts));
        Some(placed)
    }

    /// A list of texts, or none if the key is absent, which is shown. Bad elements are left out.
    pub(super) fn texts_if<T, E: Display>(&mut self, key: Key, parse: impl Parse<T, E>) -> Option<Vec<T>> {
        if !self.has(key) {
            self.show_inherited(key, None);
        }
        self.texts(key, parse)
    }

    /// A list of texts, or what `parse` makes of the default.
    pub(super) fn texts_or<T, E: Display>(
        &mut self,
        key: Key,
        default: &[&str],
        parse: impl Parse<T, E>,
    ) -> Vec<T> {
        if self.has(key) {
            return self.texts(key, parse).unwrap_or_default();
        }
        self.show_inherited(key, Some(list(default)));
        default.iter().filter_map(|text| parse(text).ok()).collect()
    }

    /// A table of texts by free names; empty if the key is absent.
    pub(super) fn map(&mut self, key: Key) -> BTreeMap<String, String> {
        let entries =
            self.cast(key, DeValue::as_table, "write a table of texts, like { team = \"shop\" }").into_iter();
        let (mut map, mut shown) = (BTreeMap::new(), Vec::new());
        for (name, element) in entries.flatten() {
            let name = name.get_ref();
            let said = if is_word(name) { name } else { "…" };
            let place = Place { at: element.span().start, key: format!("{}.{said}", self.path(key)) };
            let parse = showable(|text: &str| Ok::<_, String>(text.to_owned()));
            if let Some((_, text)) = self.document.text(&place, element, parse) {
                shown.push(format!("{} = {}", literal(name), literal(&text)));
                map.insert(name.to_string(), text);
            }
        }
        let shown = if shown.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", shown.join(", ")) };
        self.show(key, &shown);
        map
    }

    /// A table inside this one; one with all defaults if the key is absent.
    pub(super) fn table<T>(&mut self, key: Key, read: impl FnOnce(&mut Table<'_, 'd>) -> T) -> T {
        let header = format!("[{}]", self.path(key));
        let values = self.cast(key, DeValue::as_table, &format!("write a table, begun by {header}"));
        Table::read(self.document, values, self.place_of(key), header, read)
    }

    /// A small table inside this one, shown on one line; one with all defaults if the key is absent.
    pub(super) fn inline<T>(&mut self, key: Key, read: impl FnOnce(&mut Table<'_, 'd>) -> T) -> T {
        let values = self.cast(key, DeValue::as_table, &format!("write a table, like {key} = {{ … }}"));
        let result = Table::read(self.document, values, self.place_of(key), String::new(), read);
        let (_, mut set) = self.document.sections.pop().unwrap_or_default();
        set.retain(|line| !line.starts_with('#'));
        // Its own keys have said what they come to.
        self.line(format!("{key} = {{ {} }}", set.join(", ")));
        result
    }

    /// A table inside this one, or none if the key is absent.
    pub(super) fn table_if<T>(&mut self, key: Key, read: impl FnOnce(&mut Table<'_, 'd>) -> T) -> Option<T> {
        if self.has(key) {
            return Some(self.table(key, read));
        }
        self.known.push(key);
        self.document.sections.push((format!("# [{}] is not set", self.path(key)), Vec::new()));
        None
    }

    /// A list of tables; none if there is no such list.
    pub(super) fn tables<T>(
        &mut self,
        key: Key,
        mut read: impl FnMut(&mut Table<'_, 'd>) -> T,
    ) -> Option<Vec<T>> {
        let begun = format!("begun by [[{key}]]");
        let elements = self.cast(key, DeValue::as_array, &format!("write a list of tables, each {begun}"))?;
        let mut list = Vec::new();
        for (index, element) in elements.iter().enumerate() {
            let place = Place { at: element.span().start, key: format!("{}[{index}]", self.path(key)) };
            let cure = format!("write a table, {begun}");
            if let Some(values) = self.document.cast(&place, element, DeValue::as_table, &cure) {
                let header = format!("[[{}]]", self.path(key));
                list.push(Table::read(self.document, Some(values), place, header, &mut read));
            }
        }
        Some(list)
    }

    /// The content of the file at a path that this key gave. A relative path begins in the configuration's folder.
    pub(super) fn file(&mut self, key: &str, path: &str) -> Option<String> {
        let text = self.document.file(&self.place_of(key), path)?;
        self.document.comes_to_secret(self.path(key), &text);
        Some(text)
    }

    /// The configuration file.
    pub(super) fn config_file(&self) -> &'d Path {
        self.document.file
    }

    /// Where relative paths begin.
    pub(super) fn folder(&self) -> &'d Path {
        self.document.folder()
    }

    /// Where a key's value stands, as `FILE:LINE:COLUMN`.
    pub(super) fn where_is(&self, key: &str) -> String {
        self.document.shown_place(&self.place_of(key))
    }

    /// How many keys of the file were not read so far.
    pub(super) fn left(&self) -> usize {
        self.document.left.len()
    }

    /// Whether a key is there and was not read.
    pub(super) fn is_left(&self, key: &str) -> bool {
        self.document.left.contains(&self.path(key))
    }

    /// Whether the file has this key here, sound or not.
    pub(super) fn has(&self, key: &str) -> bool {
        self.values.is_some_and(|values| values.contains_key(key))
    }

    /// Whether the key is there and holds an empty list.
    pub(super) fn has_empty_list(&self, key: &str) -> bool {
        let value = self.values.and_then(|values| values.get(key));
        value.and_then(|value| value.get_ref().as_array()).is_some_and(|list| list.is_empty())
    }

    /// Records a problem if the key is absent from a table that is there. `cure` says what to write.
    pub(super) fn require(&mut self, key: Key, cure: &str) {
        if self.values.is_some() && !self.has(key) {
            self.problem(key, format!("it is missing; {cure}"));
        }
    }

    /// Records a problem if only one of two keys is there.
    pub(super) fn require_both(&mut self, one: &'static str, other: &'static str) {
        for (one, other) in [(one, other), (other, one)] {
            if self.has(one) {
                self.require(other, &format!("`{one}` is of no use without it; set both, or neither"));
            }
        }
    }

    /// Records a problem with the value of a key, or with its absence.
    pub(super) fn problem(&mut self, key: &str, message: impl Into<String>) {
        let place = self.place_of(key);
        self.document.problem(&place, message);
    }

    /// Records a problem with something whose place was kept.
    pub(super) fn problem_at(&mut self, place: &Place, message: impl Into<String>) {
        self.document.problem(place, message);
    }

    /// Shows a value that the file does not have, where it is worked out.
    pub(super) fn show(&mut self, key: &str, value: &str) {
        if self.has(key) {
            self.document.found.effective.insert(self.path(key), value.to_owned());
        }
        self.line(format!("{key} = {value}"));
    }

    /// Shows the value that an absent key has from elsewhere, if it has one.
    pub(super) fn show_inherited(&mut self, key: Key, shown: Option<String>) {
        self.known.push(key);
        match shown {
            Some(shown) => self.show(key, &shown),
            None => self.show_unset(key),
        }
    }

    fn line(&mut self, line: String) {
        self.document.sections[self.section].1.push(line);
    }

    fn show_unset(&mut self, key: &str) {
        self.line(format!("# {key} is not set"));
    }

    fn value(&mut self, key: Key) -> Option<&'d Spanned<DeValue<'d>>> {
        self.known.push(key);
        self.values?.get(key)
    }

    /// The value as what it has to be, or none if the key is absent.
    fn cast<T>(&mut self, key: Key, cast: impl Fn(&'d DeValue<'d>) -> Option<T>, cure: &str) -> Option<T> {
        let value = self.value(key)?;
        self.document.cast(&self.place_of(key), value, cast, cure)
    }

    /// The place of a key's value; the table's own if the key is absent.
    fn place_of(&self, key: &str) -> Place {
        let value = self.values.and_then(|values| values.get(key));
        Place { at: value.map_or(self.place.at, |value| value.span().start), key: self.path(key) }
    }

    fn path(&self, key: &str) -> String {
        if self.place.key.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place.key) }
    }

    fn refuse_unknown_keys(&mut self) {
        let Some(values) = self.values else { return };
        self.known.sort_unstable();
        self.known.dedup();
        for key in values.keys() {
            let name = key.get_ref();
            if self.known.contains(&name.as_ref()) {
                continue;
            }
            let place = Place { at: key.span().start, key: self.place.key.clone() };
            let cure = match nearest(name, self.known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here are `{}`", self.known.join("`, `")),
            };
            // What looks like no key may be a value in the wrong place.
            let shown = if is_word(name) { format!(" `{name}`") } else { String::new() };
            self.document.problem(&place, format!("unknown key{shown}; {cure}"));
        }
    }
}

/// The same, which besides refuses what must not be shown.
fn showable<T, E: Display>(parse: impl Parse<T, E>) -> impl Parse<T, String> {
    move |text| {
        check_no_secret(text)?;
        let read = parse(text).map_err(|bad| bad.to_string())?;
        check_no_login(text).map(|()| read)
    }
}

/// The longest text that is taken for a key, in bytes.
const WORD_BYTES_MAX: usize = 24;

/// Whether a text looks like a key, and so can be quoted.
fn is_word(text: &str) -> bool {
    text.len() <= WORD_BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
}

/// Whether a secret stands in the file itself: any but a URL without credentials, of which only a trigger's is one.
fn holds_secret(key: &str, raw: &str) -> bool {
    !raw.contains("${") && (key == "trigger_url" || !raw.contains("://") || raw.contains('@'))
}
