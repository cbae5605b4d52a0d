//! A reader of JUnit XML that is slow, holds all of it, and is easy to believe: the yardstick of the real one.

/// How many results of a sound report are failing: cases with a failure or an error, and suites that have some of their
/// own or count more than they show. None: it is not sound.
pub(crate) fn failing(text: &str) -> Option<usize> {
    let mut open: Vec<Element> = Vec::new();
    let (mut found, mut rest, mut has_root) = (0, text, false);
    loop {
        let (before, after) = rest.split_once('<').unwrap_or((rest, ""));
        let is_inside = !open.is_empty();
        if (!is_inside && !before.trim().is_empty()) || !is_escaped(before) {
            return None;
        }
        if before.len() == rest.len() {
            return (has_root && !is_inside).then_some(found);
        }
        if let Some(declaration) = after.strip_prefix('?') {
            rest = declaration.split_once("?>")?.1;
            continue;
        }
        let end = end_of_tag(after)?;
        let tag = &after[..end];
        rest = &after[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            found += open.pop().filter(|element| element.name == name.trim())?.close(open.last_mut());
            continue;
        }
        if has_root && !is_inside {
            return None;
        }
        has_root = true;
        let element = Element::of(tag.strip_suffix('/').unwrap_or(tag))?;
        open.push(element);
        if tag.ends_with('/') {
            found += open.pop()?.close(open.last_mut());
        }
    }
}

#[derive(Default)]
struct Element {
    name: String,
    counted: usize,
    /// How many failures and errors are shown in it: at most one of each in a case, and all.
    kinds: usize,
    elements: usize,
    failures: usize,
    errors: usize,
}

impl Element {
    fn of(tag: &str) -> Option<Self> {
        let name = tag.split_whitespace().next().filter(|name| is_name(name))?.to_owned();
        let mut element = Self { name, ..Self::default() };
        let mut rest = tag[element.name.len()..].trim_start();
        while !rest.is_empty() {
            let (key, after) = rest.split_once('=')?;
            let after = after.trim_start();
            let quote = after.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
            let (value, after) = after[1..].split_once(quote)?;
            let is_apart = after.is_empty() || after.starts_with(char::is_whitespace);
            if value.contains('<') || !is_escaped(value) || !is_apart || !is_name(key.trim()) {
                return None;
            }
            if matches!(key.trim(), "failures" | "errors") {
                element.counted += value.trim().parse::<usize>().unwrap_or(0);
            }
            rest = after.trim_start();
        }
        Some(element)
    }

    /// How many results this one is, told to what is around it.
    fn close(mut self, around: Option<&mut Self>) -> usize {
        let is_suite = matches!(self.name.as_str(), "testsuite" | "testsuites");
        let own = self.failures.min(1) + self.errors.min(1);
        let (kinds, elements) = match self.name.as_str() {
            "testcase" => (self.kinds + own, self.elements + self.failures + self.errors),
            _ => (self.kinds + self.failures + self.errors, self.elements + self.failures + self.errors),
        };
        (self.kinds, self.elements) = (kinds, elements);
        let missing = if self.counted == elements { 0 } else { self.counted.saturating_sub(kinds) };
        if is_suite {
            (self.kinds, self.elements) = (kinds + missing, elements + missing);
        }
        if let Some(around) = around {
            around.kinds += self.kinds;
            around.elements += self.elements;
            let holds = matches!(around.name.as_str(), "testcase" | "testsuite" | "testsuites");
            match self.name.as_str() {
                "failure" if holds => around.failures += 1,
                "error" if holds => around.errors += 1,
                "rerunFailure" | "rerunError" | "flakyFailure" | "flakyError"
                    if around.name == "testcase" =>
                {
                    around.elements += 1;
                }
                _ => {}
            }
        }
        usize::from((self.name == "testcase" && own > 0) || (is_suite && (own > 0 || missing > 0)))
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "-_.:".contains(c))
}

fn end_of_tag(text: &str) -> Option<usize> {
    let mut quote = None;
    text.char_indices().find_map(|(at, letter)| {
        match (quote, letter) {
            (None, '>') => return Some(at),
            (None, '"' | '\'') => quote = Some(letter),
            (Some(open), letter) if open == letter => quote = None,
            _ => {}
        }
        None
    })
}

/// Whether each `&` begins a reference.
fn is_escaped(text: &str) -> bool {
    text.split('&').skip(1).all(|after| {
        let name = after.split(';').next().unwrap_or_default();
        after.len() > name.len()
            && !name.is_empty()
            && name.trim_start_matches('#').chars().all(char::is_alphanumeric)
    })
}
