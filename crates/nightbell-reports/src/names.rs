//! What suites and tests are called: whole paths, the same in every run, and never two tests by one name where the
//! report tells them apart.

use std::sync::{Arc, LazyLock};

use nightbell_core::fingerprint::Fingerprint;
use regex_lite::Regex;

use crate::case::Case;
use crate::text::{clean, shortened};

/// The longest name of a suite, class or test, in characters.
pub(crate) const NAME_CHARS_MAX: usize = 1_000;

/// The most tags of a test, and the longest of them, in characters.
pub(crate) const TAGS_MAX: usize = 50;
const TAG_CHARS_MAX: usize = 200;

/// What parts the suites of a path.
pub(crate) const WITHIN: &str = " > ";

/// How long a time at the end of a name can be, in bytes, and how many digits the shortest has.
const TIME_BYTES_MAX: usize = 80;
const DATE_DIGITS: usize = "20261120".len();

/// Words of a file's name that are no part of what it is about.
const FILE_WORDS: [&str; 8] = ["test", "tests", "spec", "specs", "it", "cy", "e2e", "unit"];

/// A time at the end of a name: ISO 8601 and its relatives, 14 digits, milliseconds since 1970, and the dates that
/// JavaScript, C and mail write; with what sets it apart.
static TIME_AT_END: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = concat!(
        r"(?i)[\s\-_.,:;@/|(\[]*(?:\b(?:at|on|from|started)\s+)?(?:",
        r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])[-_tT ]?(?:[01]\d|2[0-3])[0-5]\d(?:[0-5]\d)?(?:[.,_-]?\d{1,9})?z?",
        r"|(?:19|20)\d\d[-/._](?:0[1-9]|1[0-2])[-/._](?:0[1-9]|[12]\d|3[01])(?:(?:[tT _\-,]| at )+(?:[01]\d|2[0-3])[:.\-_h]?[0-5]\d(?:[:.\-_m]?[0-5]\d)?(?:[.,:\-_]\d{1,9})?s?(?:-\d)?)?\s*(?:z|utc|gmt|[+-]\d\d:?\d\d)?",
        r"|1[0-9]{12}",
        r"|(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\s+)?(?:\d{1,2}\s+)?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\s+(?:\d{1,2},?\s+)?(?:\d{4}\s+)?\d\d:\d\d(?::\d\d)?(?:\s+(?:[ap]m|[a-z]{2,5}))?(?:\s+\d{4})?(?:\s*(?:gmt|utc)?[+-]\d\d:?\d\d)?(?:\s*\([^)]*\))?",
        r")[\s)\]]*$",
    );
    Regex::new(pattern).expect("the pattern is sound")
});

/// A name on one line, without what only a terminal understands. One that is too long keeps its beginning, its end, and
/// a mark of its own, so that no two of them become one.
pub(crate) fn tidy(name: &str) -> String {
    let line = clean(name);
    let line =
        line.split(['\n', '\t']).map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    within(&line, NAME_CHARS_MAX)
}

/// Tags as they are kept, within their bounds.
pub(crate) fn tags(written: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<String> {
    let tags = written.into_iter().take(TAGS_MAX);
    tags.map(|tag| shortened(&tidy(tag.as_ref()), TAG_CHARS_MAX)).collect()
}

/// The name of a suite or a class, without the time of its run.
pub(crate) fn tidy_suite(name: &str) -> String {
    let name = tidy(name);
    // The pattern costs more than all else, so who can't match is not asked.
    let digits = name.bytes().rev().take(TIME_BYTES_MAX).filter(u8::is_ascii_digit).count();
    if digits < DATE_DIGITS {
        return name;
    }
    match TIME_AT_END.find(&name) {
        Some(time) if time.start() > 0 => name[..time.start()].to_owned(),
        Some(_) | None => name,
    }
}

/// The path of a suite within another one.
pub(crate) fn path(around: Option<&str>, name: &str) -> Option<String> {
    let name = tidy_suite(name);
    match around.filter(|around| !around.is_empty()) {
        None => Some(name).filter(|name| !name.is_empty()),
        Some(around) if name.is_empty() || last(around) == name => Some(around.to_owned()),
        Some(around) => Some(within(&format!("{around}{WITHIN}{name}"), NAME_CHARS_MAX)),
    }
}

/// A path of several names, from outside to inside.
pub(crate) fn path_of<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    names.into_iter().fold(None, |around, name| path(around.as_deref(), name))
}

/// The path of suites that was asked for last: most tests have that of the test before, and it costs more than all else.
#[derive(Debug, Default)]
pub(crate) struct LastPath {
    names: Vec<String>,
    path: Option<Arc<str>>,
}

impl LastPath {
    pub(crate) fn of(&mut self, names: &[&str]) -> Option<Arc<str>> {
        if self.names != names {
            self.names = names.iter().map(|name| (*name).to_owned()).collect();
            self.path = path_of(names.iter().copied()).map(Into::into);
        }
        self.path.clone()
    }
}

/// A test's name without the name of its class before it.
pub(crate) fn within_class<'a>(name: &'a str, class: &str) -> &'a str {
    let own = name.strip_prefix(class).and_then(|rest| rest.strip_prefix('.'));
    own.filter(|own| !own.is_empty()).unwrap_or(name)
}

fn last(path: &str) -> &str {
    path.rsplit(WITHIN).next().unwrap_or(path)
}

/// A text of at most so many characters: of a longer one beginning and end, and between them a mark of the whole.
fn within(text: &str, chars_max: usize) -> String {
    let count = text.chars().count();
    if count <= chars_max {
        return text.to_owned();
    }
    let mark = format!(" … {} … ", &Fingerprint::of([text.as_bytes()]).to_string()[..8]);
    let kept = chars_max - mark.chars().count();
    let head: String = text.chars().take(kept / 2).collect();
    let tail: String = text.chars().skip(count - (kept - kept / 2)).collect();
    format!("{head}{mark}{tail}")
}

/// A source file as it is the same on every machine: with its folder, of an absolute path no more than that.
pub(crate) fn file(path: &str) -> Option<String> {
    let path = tidy(path.trim().trim_start_matches("file://")).replace('\\', "/");
    let path = path.strip_prefix("./").unwrap_or(&path);
    let is_absolute = path.starts_with('/') || path.as_bytes().get(1) == Some(&b':');
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
    let kept = if is_absolute { parts.len().saturating_sub(2) } else { 0 };
    Some(parts[kept..].join("/")).filter(|path| !path.is_empty())
}

impl Case {
    /// The suite by which people and alert keys know it: the path, after the file where the path does not speak of it.
    pub(crate) fn shown_suite(&self) -> Option<String> {
        let suite = self.suite.as_deref().filter(|suite| !suite.is_empty());
        let Some(file) = self.file.as_deref().and_then(file) else { return suite.map(str::to_owned) };
        let told = [suite.unwrap_or_default(), self.class.as_deref().unwrap_or_default()].join(" ");
        if suite.is_some() && speaks_of(&told, &file)
            || suite.is_none() && self.class_tells() && speaks_of(&told, &file)
        {
            return suite.map(str::to_owned);
        }
        path(Some(&file), suite.unwrap_or_default())
    }

    /// Class and name; the name alone if the class is the suite, or in the name already.
    pub(crate) fn shown_test(&self) -> String {
        let is_told = |class: &str| {
            self.suite
                .as_deref()
                .is_some_and(|suite| last(suite) == class || suite.replace(WITHIN, ".") == class)
                || self.name.strip_suffix(class).is_some_and(|rest| rest.is_empty() || rest.ends_with(' '))
                || self.name.starts_with(class)
        };
        let class = self.class.as_deref().filter(|_| self.class_tells());
        match class.filter(|class| self.name.is_empty() || !is_told(class)) {
            Some(class) if self.name.is_empty() => class.to_owned(),
            Some(class) => within(&format!("{class}.{}", self.name), NAME_CHARS_MAX),
            None if self.name.is_empty() => {
                self.file.as_deref().and_then(file).unwrap_or_else(|| "unnamed test".into())
            }
            None => self.name.clone(),
        }
    }

    /// Whether the class says something: Node's is always the same.
    fn class_tells(&self) -> bool {
        self.class.as_deref().is_some_and(|class| !class.is_empty() && class != "test" && class != "suite")
    }

    /// What tells it from others of its suite and name, as far as the report knows.
    pub(crate) fn variant(&self) -> String {
        let file = self.file.as_deref().and_then(file);
        let parts = [file.as_deref(), self.host.as_deref(), self.variant.as_deref()];
        parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
    }
}

/// Whether a text has the words by which a file is called.
fn speaks_of(text: &str, file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file);
    if text.contains(name) {
        return true;
    }
    let stem = name.split('.').next().unwrap_or(name);
    let known = words(text);
    let mut wanted = words(stem);
    wanted.retain(|word| !FILE_WORDS.contains(&word.as_str()));
    !wanted.is_empty() && wanted.iter().all(|word| known.contains(word))
}

/// The words of a name, in lower case: `ShopTest` and `shop_test` have the same.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for letter in text.chars() {
        if !letter.is_alphanumeric() || (letter.is_uppercase() && was_lower) {
            words.push(String::new());
        }
        was_lower = letter.is_lowercase() || letter.is_numeric();
        if letter.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(letter.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_suite(name: &str, want: &str) {
        assert_eq!(tidy_suite(name), want, "{name}");
    }

    #[test]
    fn a_time_at_the_end_of_a_suites_name_is_no_part_of_it() {
        for name in [
            "test_a.T-20261120100000",
            "test_a.T-20261120T100000",
            "test_a.T_20261120-100000.123",
            "test_a.T 2026-11-20T10:00:00",
            "test_a.T 2026-11-20T10:00:00.123Z",
            "test_a.T (2026-11-20 10:00:00)",
            "test_a.T [2026-11-20T10:00:00+01:00]",
            "test_a.T - 2026/11/20 10:00",
            "test_a.T-2026-11-20-10-00-00-000-0",
            "test_a.T 2026-11-20",
            "test_a.T@1795302942901",
            "test_a.T Fri Nov 20 2026 10:00:00 GMT+0000 (Coordinated Universal Time)",
            "test_a.T Fri, 20 Nov 2026 10:00:00 GMT",
            "test_a.T Fri Nov 20 10:00:00 2026",
            "test_a.T Fri Nov 20 10:00:00 UTC 2026",
            "test_a.T at 2026-11-20 10:00:00",
        ] {
            check_suite(name, "test_a.T");
        }
    }

    #[test]
    fn a_number_at_the_end_of_a_suites_name_is_part_of_it() {
        for name in [
            "shop 2",
            "PriceTest[2026]",
            "ticket-1234567",
            "v1.2.3",
            "2026-11-20T10:00:00",
            "sha 20269999000000",
            "runs",
        ] {
            check_suite(name, name);
        }
    }

    #[test]
    fn a_path_has_every_name_once() {
        assert_eq!(path_of(["a", "b", "c"]).as_deref(), Some("a > b > c"));
        assert_eq!(path_of(["a", "", "a", "b"]).as_deref(), Some("a > b"));
        assert_eq!(path_of(["", ""]), None);
        assert_eq!(path_of([]), None);
    }

    #[test]
    fn two_long_names_stay_two() {
        let long = |middle: &str| tidy(&format!("{}{middle}{}", "a".repeat(900), "z".repeat(900)));
        assert_eq!(long("x").chars().count(), NAME_CHARS_MAX);
        assert!(long("x").starts_with("aaa") && long("x").ends_with("zzz"));
        assert_eq!(long("x"), long("x"));
        assert_ne!(long("x"), long("y"));
    }

    #[test]
    fn a_file_is_called_alike_on_every_machine() {
        let shown = |path: &str| file(path).unwrap_or_default();
        assert_eq!(shown("/home/ci/work/shop/test/a.test.js"), "test/a.test.js");
        assert_eq!(shown("/builds/x7/shop/test/a.test.js"), "test/a.test.js");
        assert_eq!(shown("C:\\ci\\shop\\a.cs"), "shop/a.cs");
        assert_eq!(shown("file:///srv/shop/a.js"), "shop/a.js");
        assert_eq!(shown("./spec/models/shop_spec.rb"), "spec/models/shop_spec.rb");
        assert_eq!(shown("/a.js"), "a.js");
        assert_eq!(shown(" "), "");
    }

    #[track_caller]
    fn check(suite: &str, class: &str, name: &str, source: &str, want: &str) {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let case = Case {
            suite: some(suite).map(Into::into),
            class: some(class),
            name: name.into(),
            file: some(source).map(Into::into),
            ..Case::default()
        };
        assert_eq!(format!("{} | {}", case.shown_suite().unwrap_or_default(), case.shown_test()), want);
    }

    #[test]
    fn a_file_is_named_where_nothing_else_speaks_of_it() {
        check("", "test", "loads", "/srv/a.test.js", "srv/a.test.js | loads");
        check("a page", "", "loads", "/srv/b.test.js", "srv/b.test.js > a page | loads");
        check("ShopTest", "ShopTest", "pays", "/srv/ShopTest.php", "ShopTest | pays");
        check("Cart", "Cart", "pays", "cart_test.cc", "Cart | pays");
        check("rspec", "spec.shop_spec", "pays", "./spec/shop_spec.rb", "rspec | spec.shop_spec.pays");
        check("shop.spec.js > basket", "", "pays", "/srv/shop/shop.spec.js", "shop.spec.js > basket | pays");
    }

    #[test]
    fn a_test_is_named_by_class_and_name() {
        check("", "a.B", "c", "", " | a.B.c");
        check("", "a.B", "a.B.c", "", " | a.B.c");
        check("s", "", "c", "", "s | c");
        // As mocha-junit-reporter has it.
        check("s", "adds up", "basket adds up", "", "s | basket adds up");
        check("s", "a", "data", "", "s | a.data");
        check("a.B", "a.B", "c", "", "a.B | c");
        check("x > a.B", "a.B", "c", "", "x > a.B | c");
        check("Suites > Shop", "Suites.Shop", "c", "", "Suites > Shop | c");
        check("", "a.B", "", "", " | a.B");
        check("", "", "", "b.js", "b.js | b.js");
        check("", "", "", "", " | unnamed test");
    }
}
