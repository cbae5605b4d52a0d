//! The YAML behind a result, read without knowing YAML: the keys at its left edge, each with what follows it.

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Without quotes, and without the indent of a block.
    pub(super) value: String,
    /// As it is written.
    pub(super) raw: String,
}

/// The entries of a block without `---` and `...`; what stands before the first key is one without a key.
pub(super) fn entries(block: &str) -> Vec<Entry> {
    let edge = block.lines().find(|line| !line.trim().is_empty()).map_or(0, indent);
    let mut parts: Vec<Part<'_>> = Vec::new();
    for line in block.lines() {
        let line = line.get(edge.min(indent(line))..).unwrap_or_default();
        match (keyed(line), parts.last_mut()) {
            (None, Some(part)) => part.lines.push(line),
            (keyed, _) => parts.push(Part { keyed, lines: vec![line] }),
        }
    }
    parts.iter().map(Part::entry).collect()
}

/// The lines of an entry.
struct Part<'a> {
    /// The key, and what stands behind it.
    keyed: Option<(&'a str, &'a str)>,
    lines: Vec<&'a str>,
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// The key at the left edge, and what stands behind it.
fn keyed(line: &str) -> Option<(&str, &str)> {
    let (key, rest) = line.split_once(':')?;
    let is_key = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
    let is_parted = rest.is_empty() || rest.starts_with([' ', '\t']);
    (is_key && !key.starts_with('-') && is_parted).then(|| (key, rest.trim()))
}

impl Part<'_> {
    fn entry(&self) -> Entry {
        let raw = self.lines.join("\n").trim_end().to_owned();
        let Some((key, first)) = self.keyed else {
            return Entry { key: String::new(), value: raw.clone(), raw };
        };
        let rest = self.lines.get(1..).unwrap_or_default();
        let value = if first.is_empty() || first.starts_with(['|', '>']) {
            dedented(rest)
        } else {
            let following = rest.iter().map(|line| line.trim());
            unquoted(&std::iter::once(first).chain(following).collect::<Vec<_>>().join("\n"))
        };
        Entry { key: key.to_ascii_lowercase(), value, raw }
    }
}

fn dedented(lines: &[&str]) -> String {
    let edge =
        lines.iter().filter(|line| !line.trim().is_empty()).map(|line| indent(line)).min().unwrap_or(0);
    let lines: Vec<_> = lines.iter().map(|line| line.get(edge..).unwrap_or_default()).collect();
    lines.join("\n").trim_end().to_owned()
}

fn unquoted(text: &str) -> String {
    let text = text.trim();
    let within = |mark: char| text.strip_prefix(mark).and_then(|rest| rest.strip_suffix(mark));
    if let Some(plain) = within('\'') {
        return plain.replace("''", "'");
    }
    if let Some(escaped) = within('"') {
        return unescaped(escaped);
    }
    if matches!(text, "~" | "null") { String::new() } else { text.to_owned() }
}

fn unescaped(text: &str) -> String {
    let mut clear = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, if letter == '\\' { letters.next() } else { None }) {
            ('\\', Some('n')) => clear.push('\n'),
            ('\\', Some('t')) => clear.push('\t'),
            ('\\', Some(other @ ('"' | '\\' | '/'))) => clear.push(other),
            ('\\', Some(other)) => clear.extend(['\\', other]),
            (letter, _) => clear.push(letter),
        }
    }
    clear
}
