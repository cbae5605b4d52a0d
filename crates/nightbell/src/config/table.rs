//! A cursor over one table of the configuration. What it is asked for are the keys that the table knows: they
//! are named nowhere else, neither for refusing unknown ones nor for showing the effective configuration.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;

use secrecy::{ExposeSecret as _, SecretString};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::document::{Document, Place, Placed, kind};
use super::problem::nearest;
use super::values::{list, literal};

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
        let section = document.begin_section(header);
        let mut table = Self { document, values, place, section, known: Vec::new() };
        let result = read(&mut table);
        table.refuse_unknown_keys();
        result
    }

    /// A text, or none if the key is absent.
    pub(super) fn text<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let Some(value) = self.value(key) else {
            self.show_unset(key);
            return None;
        };
        let Some((read, text)) = self.document.text(&self.place_of(key), value, parse) else {
            self.show_left(key);
            return None;
        };
        self.show(key, &literal(&text));
        Some(read)
    }

    /// A text, or what `parse` makes of the default.
    pub(super) fn text_or<T>(
        &mut self,
        key: &'static str,
        default: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        if self.value(key).is_some()
            && let Some(read) = self.text(key, &parse)
        {
            return read;
        }
        self.show(key, &literal(default));
        parse(default).expect("a default is what its key takes, as the tests of the defaults show")
    }

    /// A secret, or none if the key is absent. `parse` gives what may be shown of it.
    pub(super) fn secret(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<String, String>,
    ) -> Option<SecretString> {
        let secret = self.unshown(key, parse)?;
        let raw = self.values.and_then(|values| values.get(key)).and_then(|value| value.get_ref().as_str());
        if raw.is_some_and(|raw| holds_secret(key, raw)) {
            self.document.inline_secret(self.path(key));
        }
        Some(secret)
    }

    fn unshown(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<String, String>,
    ) -> Option<SecretString> {
        let Some(value) = self.value(key) else {
            self.show_unset(key);
            return None;
        };
        let place = self.place_of(key);
        let DeValue::String(_) = value.get_ref() else {
            let kind = kind(value.get_ref());
            self.problem(key, format!("the value is {kind}; write a text in quotes"));
            return None;
        };
        let Some((shown, secret)) = self.document.text(&place, value, parse) else {
            self.show_left(key);
            return None;
        };
        self.show(key, &literal(&shown));
        self.document.comes_to_secret(self.path(key), &secret);
        Some(SecretString::from(secret))
    }

    /// A text that is shown, but never quoted in a problem: people write secrets there by mistake.
    pub(super) fn unquoted(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<String, String>,
    ) -> Option<String> {
        self.unshown(key, parse).map(|text| text.expose_secret().to_owned())
    }

    /// A whole number, or the default.
    pub(super) fn number_or<N>(&mut self, key: &'static str, default: N, range: RangeInclusive<N>) -> N
    where
        N: TryFrom<u64> + PartialOrd + Copy + Display,
    {
        let number = self.value(key).and_then(|value| {
            let Some(number) = value.get_ref().as_integer() else {
                let complaint =
                    format!("the value is {}; write a number without quotes", kind(value.get_ref()));
                self.problem(key, complaint);
                return None;
            };
            let number = u64::from_str_radix(number.as_str(), number.radix()).ok();
            let number =
                number.and_then(|number| N::try_from(number).ok()).filter(|number| range.contains(number));
            if number.is_none() {
                let (least, most) = (range.start(), range.end());
                self.problem(key, format!("the number is out of bounds; write one from {least} to {most}"));
            }
            number
        });
        let number = number.unwrap_or(default);
        self.show(key, &number.to_string());
        number
    }

    /// `true` or `false`, or the default.
    pub(super) fn flag_or(&mut self, key: &'static str, default: bool) -> bool {
        let flag = self.value(key).and_then(|value| {
            let flag = value.get_ref().as_bool();
            if flag.is_none() {
                let kind = kind(value.get_ref());
                self.problem(key, format!("the value is {kind}; write true or false without quotes"));
            }
            flag
        });
        let flag = flag.unwrap_or(default);
        self.show(key, &flag.to_string());
        flag
    }

    /// A list of texts, or none if the key is absent, which is not shown then. Bad elements are left out.
    pub(super) fn texts<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<Placed<T>>> {
        let value = self.value(key)?;
        let DeValue::Array(elements) = value.get_ref() else {
            let complaint =
                format!("the value is {}; write a list of texts, like [\"a\", \"b\"]", kind(value.get_ref()));
            self.problem(key, complaint);
            return None;
        };
        let mut list = Vec::new();
        let mut shown = Vec::new();
        for (index, element) in elements.iter().enumerate() {
            let place = Place { at: element.span().start, key: format!("{}[{index}]", self.path(key)) };
            if let Some((value, text)) = self.document.text(&place, element, &parse) {
                list.push(Placed { value, place });
                shown.push(literal(&text));
            }
        }
        self.show(key, &format!("[{}]", shown.join(", ")));
        Some(list)
    }

    /// A list of texts, or none if the key is absent, which is shown. Bad elements are left out.
    pub(super) fn texts_if<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        if self.value(key).is_none() {
            self.show_unset(key);
            return None;
        }
        Some(self.texts(key, parse)?.into_iter().map(|placed| placed.value).collect())
    }

    /// A list of texts, or what `parse` makes of the default.
    pub(super) fn texts_or<T>(
        &mut self,
        key: &'static str,
        default: &[&str],
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        if self.value(key).is_some() {
            return self
                .texts(key, parse)
                .unwrap_or_default()
                .into_iter()
                .map(|placed| placed.value)
                .collect();
        }
        self.show(key, &list(default));
        default.iter().filter_map(|text| parse(text).ok()).collect()
    }

    /// A table of texts by free names; empty if the key is absent.
    pub(super) fn map(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<String, String>,
    ) -> BTreeMap<String, String> {
        let mut map = BTreeMap::new();
        let Some(value) = self.value(key) else {
            self.show(key, "{}");
            return map;
        };
        let DeValue::Table(entries) = value.get_ref() else {
            let kind = kind(value.get_ref());
            self.problem(
                key,
                format!("the value is {kind}; write a table of texts, like {{ team = \"shop\" }}"),
            );
            return map;
        };
        let mut shown = Vec::new();
        for (name, element) in entries {
            let name = name.get_ref();
            let said = if is_word(name) { name } else { "…" };
            let place = Place { at: element.span().start, key: format!("{}.{said}", self.path(key)) };
            if let Some((value, text)) = self.document.text(&place, element, &parse) {
                shown.push(format!("{} = {}", literal(name), literal(&text)));
                map.insert(name.to_string(), value);
            }
        }
        let shown = if shown.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", shown.join(", ")) };
        self.show(key, &shown);
        map
    }

    /// A table inside this one; one with all defaults if the key is absent.
    pub(super) fn table<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Table<'_, 'd>) -> T) -> T {
        let values = self
            .value(key)
            .and_then(|value| self.as_table(key, value, &format!("begun by [{}]", self.path(key))));
        let (place, header) = (self.place_of(key), format!("[{}]", self.path(key)));
        Table::read(self.document, values, place, header, read)
    }

    /// A small table inside this one, shown on one line; one with all defaults if the key is absent.
    pub(super) fn inline<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Table<'_, 'd>) -> T) -> T {
        let values =
            self.value(key).and_then(|value| self.as_table(key, value, &format!("like {key} = {{ … }}")));
        let place = self.place_of(key);
        let result = Table::read(self.document, values, place, String::new(), read);
        let lines = self.document.end_section();
        let set: Vec<_> = lines.into_iter().filter(|line| !line.starts_with('#')).collect();
        // Its own keys have said what they come to.
        self.document.show(self.section, format!("{key} = {{ {} }}", set.join(", ")));
        result
    }

    /// The content of the file at a path that this key gave. A relative path begins in the configuration's folder.
    pub(super) fn file(&mut self, key: &str, path: &str) -> Option<String> {
        let text = self.document.file(&self.place_of(key), path)?;
        self.document.comes_to_secret(self.path(key), &text);
        Some(text)
    }

    /// How many keys of the file were not read so far.
    pub(super) fn left(&self) -> usize {
        self.document.left()
    }

    /// Whether a key is there and was not read.
    pub(super) fn is_left(&self, key: &str) -> bool {
        self.document.is_left(&self.path(key))
    }

    /// A table inside this one, or none if the key is absent.
    pub(super) fn table_if<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Table<'_, 'd>) -> T,
    ) -> Option<T> {
        if self.values.is_some_and(|values| values.contains_key(key)) {
            return Some(self.table(key, read));
        }
        self.known.push(key);
        self.document.begin_section(format!("# [{}] is not set", self.path(key)));
        None
    }

    /// A list of tables; none if there is no such list.
    pub(super) fn tables<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(&mut Table<'_, 'd>) -> T,
    ) -> Option<Vec<T>> {
        let value = self.value(key)?;
        let DeValue::Array(elements) = value.get_ref() else {
            let kind = kind(value.get_ref());
            self.problem(
                key,
                format!("the value is {kind}; write a list of tables, each begun by [[{key}]]"),
            );
            return None;
        };
        let mut list = Vec::new();
        for (index, element) in elements.iter().enumerate() {
            let place = Place { at: element.span().start, key: format!("{}[{index}]", self.path(key)) };
            if let DeValue::Table(values) = element.get_ref() {
                let header = format!("[[{}]]", self.path(key));
                list.push(Table::read(self.document, Some(values), place, header, &mut read));
            } else {
                let kind = kind(element.get_ref());
                let complaint = format!("the value is {kind}; write a table, begun by [[{key}]]");
                self.document.problem(&place, complaint);
            }
        }
        Some(list)
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
    pub(super) fn require(&mut self, key: &'static str, cure: &str) {
        if self.values.is_some() && !self.has(key) {
            self.problem(key, format!("it is missing; {cure}"));
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

    /// The place of a key's value; the table's own if the key is absent.
    pub(super) fn place_of(&self, key: &str) -> Place {
        let value = self.values.and_then(|values| values.get(key));
        Place { at: value.map_or(self.place.at, |value| value.span().start), key: self.path(key) }
    }

    /// Shows a value that the file does not have, where it is worked out.
    pub(super) fn show(&mut self, key: &str, value: &str) {
        if self.has(key) {
            self.document.comes_to(self.path(key), value);
        }
        self.document.show(self.section, format!("{key} = {value}"));
    }

    fn show_left(&mut self, key: &str) {
        if self.is_left(key) {
            self.document.show(self.section, format!("# {key} is not read here"));
        }
    }

    /// Shows the value that an absent key has from elsewhere, if it has one.
    pub(super) fn show_inherited(&mut self, key: &'static str, shown: Option<String>) {
        self.known.push(key);
        match shown {
            Some(shown) => self.show(key, &shown),
            None => self.show_unset(key),
        }
    }

    fn show_unset(&mut self, key: &str) {
        self.document.show(self.section, format!("# {key} is not set"));
    }

    fn value(&mut self, key: &'static str) -> Option<&'d Spanned<DeValue<'d>>> {
        self.known.push(key);
        self.values?.get(key)
    }

    fn as_table(
        &mut self,
        key: &str,
        value: &'d Spanned<DeValue<'d>>,
        form: &str,
    ) -> Option<&'d DeTable<'d>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            let kind = kind(value.get_ref());
            self.problem(key, format!("the value is {kind}; write a table, {form}"));
        }
        table
    }

    fn path(&self, key: &str) -> String {
        if self.place.key.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place.key) }
    }

    fn refuse_unknown_keys(&mut self) {
        let Some(values) = self.values else { return };
        for key in values.keys() {
            let name = key.get_ref();
            if self.known.contains(&name.as_ref()) {
                continue;
            }
            let place = Place { at: key.span().start, key: self.place.key.clone() };
            let cure = match nearest(name, self.known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here are `{}`", self.known_keys().join("`, `")),
            };
            // What looks like no key may be a value in the wrong place.
            let shown = if is_word(name) { format!(" `{name}`") } else { String::new() };
            let said = format!("unknown key{shown}; {cure}");
            self.document.problem(&place, said);
        }
    }

    fn known_keys(&self) -> Vec<&'static str> {
        let mut keys = self.known.clone();
        keys.sort_unstable();
        keys.dedup();
        keys
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
