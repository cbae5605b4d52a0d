//! One line of TAP by itself.

use crate::names::tidy;

/// How many characters tell what a note is.
const NOTE_CHARS: usize = 8;

/// What a line is.
#[derive(Debug, PartialEq)]
pub(super) enum Line<'a> {
    Blank,
    Version,
    /// The version of the Linux kernel's TAP, which names sub-tests within them.
    KernelVersion,
    /// How many tests are planned.
    Plan(u64),
    Point(Point<'a>),
    /// The reason why nothing more is tested.
    Bail(String),
    Pragma,
    /// The name of the sub-tests that follow.
    Subtest(String),
    Comment(&'a str),
    /// `{` alone: the sub-tests of the point before follow.
    Opening,
    /// `}` alone: they are over.
    Closing,
    Other(&'a str),
}

/// A test point, which is a result.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Point<'a> {
    pub(super) is_ok: bool,
    pub(super) number: Option<u64>,
    /// There is a dash before the description.
    pub(super) has_dash: bool,
    pub(super) description: String,
    pub(super) directive: Directive,
    /// What is written behind the description and is no part of it, such as a time.
    pub(super) note: &'a str,
    /// It may stand before its sub-tests: it ends with `{`.
    pub(super) is_opening: bool,
}

/// Why a result does not count.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) enum Directive {
    #[default]
    None,
    Todo,
    Skip,
}

impl Point<'_> {
    /// Whether no other text looks like this.
    pub(super) fn is_plain(&self) -> bool {
        self.number.is_some() || self.has_dash
    }
}

/// Reads a line, and how far it is indented.
pub(super) fn parse(line: &str) -> (usize, Line<'_>) {
    let text = line.trim_start_matches(' ');
    let indent = line.len() - text.len();
    let text = text.trim_end();
    let known = match text.as_bytes().first() {
        None => Some(Line::Blank),
        Some(b'#') => Some(comment(text)),
        Some(b'o' | b'n') => point(text).map(Line::Point),
        Some(b'1') => plan(text).map(Line::Plan),
        Some(b'T') => is_version(text).then_some(Line::Version),
        Some(b'K') => is_version(&text[1..]).then_some(Line::KernelVersion),
        Some(b'B' | b'b') => bail(text).map(Line::Bail),
        Some(b'p') => is_pragma(text).then_some(Line::Pragma),
        Some(b'{') if text == "{" => Some(Line::Opening),
        Some(b'}') if text == "}" => Some(Line::Closing),
        Some(_) => None,
    };
    (indent, known.unwrap_or(Line::Other(text)))
}

/// Whether a line can't be one of YAML that does not end.
pub(super) fn begins_tap(line: &str) -> bool {
    match parse(line).1 {
        Line::Version | Line::KernelVersion | Line::Plan(_) | Line::Bail(_) | Line::Subtest(_) => true,
        Line::Point(point) => point.is_plain() || !point.is_ok,
        Line::Blank | Line::Pragma | Line::Comment(_) | Line::Opening | Line::Closing | Line::Other(_) => {
            false
        }
    }
}

/// What a result is called.
pub(super) fn named(point: &Point<'_>, number: u64) -> String {
    let name = tidy(&point.description);
    // bats puts this before names, when a set-up failed.
    let rest = name.strip_prefix("begin ").and_then(|rest| rest.split_once(' '));
    match rest.filter(|(of, _)| of.parse() == Ok(number)) {
        Some((_, rest)) => rest.to_owned(),
        None if name.is_empty() => format!("test {number}"),
        None => name,
    }
}

/// The file of which a line such as `t/shop.t ..` says that its tests come next.
pub(super) fn prove_heading(text: &str) -> Option<&str> {
    let file = text.strip_suffix("..")?.trim_end_matches('.').strip_suffix(' ')?;
    (!file.contains(char::is_whitespace) && file.contains(['/', '.'])).then_some(file)
}

fn comment(text: &str) -> Line<'_> {
    let said = text.strip_prefix('#').unwrap_or(text);
    let Some(rest) = said.trim_start().strip_prefix("Subtest") else {
        return Line::Comment(said.strip_prefix(' ').unwrap_or(said));
    };
    match rest.strip_prefix(':') {
        Some(name) => Line::Subtest(unescaped(name.trim())),
        None if rest.is_empty() => Line::Subtest(String::new()),
        None => Line::Comment(said.trim_start()),
    }
}

fn is_version(text: &str) -> bool {
    let version = text.strip_prefix("TAP version ");
    version.is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
}

fn is_pragma(text: &str) -> bool {
    text.strip_prefix("pragma ").is_some_and(|rest| rest.starts_with(['+', '-']))
}

fn plan(text: &str) -> Option<u64> {
    let rest = text.strip_prefix("1..")?;
    let (digits, after) = digits(rest)?;
    let after = after.trim_start().to_ascii_lowercase();
    let is_plan = after.is_empty() || ["#", "todo", "skip"].iter().any(|word| after.starts_with(word));
    is_plan.then_some(digits)
}

/// A number and what follows it. One that is too large stays large.
fn digits(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (end > 0).then(|| (text[..end].parse().unwrap_or(u64::MAX), &text[end..]))
}

fn bail(text: &str) -> Option<String> {
    const WORDS: &str = "Bail out!";
    let words = text.get(..WORDS.len())?;
    words.eq_ignore_ascii_case(WORDS).then(|| unescaped(text[WORDS.len()..].trim()))
}

fn point(text: &str) -> Option<Point<'_>> {
    let is_ok = !text.starts_with("not ok");
    let rest = text.strip_prefix("not ").unwrap_or(text).strip_prefix("ok")?;
    // Rather a failure too many than none, rather no pass than one too many.
    let is_word = rest.is_empty()
        || rest.starts_with([' ', '\t'])
        || !is_ok && !rest.starts_with(char::is_alphanumeric);
    if !is_word {
        return None;
    }
    let (number, rest) = numbered(rest.trim_start());
    let described = rest.strip_prefix('-').filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t']));
    let rest_of = described.unwrap_or(rest).trim();
    let without_brace = rest_of.strip_suffix('{').filter(|rest| rest.is_empty() || rest.ends_with(' '));
    let (description, directive, note) = directed(without_brace.unwrap_or(rest_of));
    let description = description.trim();
    let description = if described.is_some() { description } else { without_time(description) };
    Some(Point {
        is_ok,
        number,
        has_dash: described.is_some(),
        description: unescaped(description),
        directive,
        note,
        is_opening: without_brace.is_some(),
    })
}

/// The number of a point, if it has one, and what follows.
fn numbered(text: &str) -> (Option<u64>, &str) {
    match digits(text) {
        Some((number, rest)) if rest.is_empty() || rest.starts_with([' ', '\t', '#', '-', ':']) => {
            (Some(number), rest.trim_start())
        }
        Some(_) | None => (None, text),
    }
}

/// Parts a description from a directive and from what else is noted behind it.
fn directed(text: &str) -> (&str, Directive, &str) {
    let (mut is_escaped, mut noted) = (false, None);
    for (at, letter) in text.char_indices() {
        let is_mark = letter == '#' && !is_escaped && (at == 0 || text[..at].ends_with([' ', '\t']));
        is_escaped = letter == '\\' && !is_escaped;
        if !is_mark {
            continue;
        }
        let note = text[at + 1..].trim_start();
        let directive = directive(note);
        if directive != Directive::None {
            return (&text[..noted.unwrap_or(at)], directive, note);
        }
        // Behind a time there may be a directive still.
        if noted.is_none() && is_note(note) {
            noted = Some(at);
        }
    }
    match noted {
        Some(at) => (&text[..at], Directive::None, text[at + 1..].trim_start()),
        None => (text, Directive::None, ""),
    }
}

/// A description of bats, which never has a dash before it, without the time that the test took.
fn without_time(description: &str) -> &str {
    let timed = description.strip_suffix("ms").and_then(|rest| rest.rsplit_once(" in "));
    match timed {
        Some((name, time)) if !time.is_empty() && time.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => description,
    }
}

fn directive(note: &str) -> Directive {
    let end = note.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(note.len());
    match note[..end].to_ascii_lowercase().as_str() {
        "todo" => Directive::Todo,
        word if word.starts_with("skip") => Directive::Skip,
        _ => Directive::None,
    }
}

/// What some runners write behind a description, and another time in each run.
fn is_note(note: &str) -> bool {
    let note = note.chars().take(NOTE_CHARS).collect::<String>().to_ascii_lowercase();
    let is_time = note.strip_prefix("in ").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    is_time || ["time=", "exit=", "timeout"].iter().any(|word| note.starts_with(word))
}

/// A text without the backslashes before `#` and `\`.
fn unescaped(text: &str) -> String {
    let mut clear = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let escaped = letters.next_if(|next| letter == '\\' && matches!(next, '#' | '\\'));
        clear.push(escaped.unwrap_or(letter));
    }
    clear
}
