//! The tags of a template, and what they are made of.

/// A `{{ … }}` or `{% … %}`.
#[derive(Debug)]
pub(super) struct Tag<'s> {
    /// Where it begins, from 1.
    pub(super) line: usize,
    pub(super) tokens: Vec<Token<'s>>,
    is_statement: bool,
}

impl<'s> Tag<'s> {
    /// The first word of a statement, which says what it is.
    pub(super) fn word(&self) -> Option<&'s str> {
        self.tokens.first().filter(|_| self.is_statement).and_then(Token::word)
    }
}

/// A part of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'s> {
    Word(&'s str),
    /// A text in quotes, and how long it is in bytes.
    Text(u64),
    /// A number; the largest there is if it can't be read.
    Number(u64),
    Mark(char),
}

impl<'s> Token<'s> {
    pub(super) fn word(&self) -> Option<&'s str> {
        match *self {
            Self::Word(word) => Some(word),
            Self::Text(_) | Self::Number(_) | Self::Mark(_) => None,
        }
    }

    pub(super) fn number(&self) -> Option<u64> {
        match *self {
            Self::Number(number) => Some(number),
            Self::Text(_) | Self::Word(_) | Self::Mark(_) => None,
        }
    }

    pub(super) fn is(&self, mark: char) -> bool {
        *self == Self::Mark(mark)
    }
}

/// All tags in their order. The engine has read the template before, so each of them has an end.
pub(super) fn tags(source: &str) -> Vec<Tag<'_>> {
    let (mut tags, mut at) = (Vec::new(), 0);
    while let Some(begin) = source[at..].find('{').map(|found| at + found) {
        let (is_statement, end) = match source.as_bytes()[begin..] {
            [b'{', b'#', ..] => {
                at = source[begin..].find("#}").map_or(source.len(), |end| begin + end + 2);
                continue;
            }
            [b'{', b'{', ..] => (false, "}}"),
            [b'{', b'%', ..] => (true, "%}"),
            _ => {
                at = begin + 1;
                continue;
            }
        };
        // Marks for the white space around a tag.
        let trims = |token: &Token<'_>| token.is('-') || token.is('+');
        let signed = source[begin + 2..].starts_with(['-', '+']);
        let (mut tokens, next) = tokens(source, begin + 2 + usize::from(signed), end);
        tokens.pop_if(|last| trims(last));
        let line = source[..begin].matches('\n').count() + 1;
        let tag = Tag { line, tokens, is_statement };
        at = next;
        if tag.word() == Some("raw") {
            at = source[at..].find("endraw").map_or(source.len(), |end| at + end);
        }
        tags.push(tag);
    }
    tags
}

/// The tokens up to the end of a tag, and where what follows it begins.
fn tokens<'s>(source: &'s str, mut at: usize, end: &str) -> (Vec<Token<'s>>, usize) {
    let (mut tokens, mut depth) = (Vec::new(), 0_usize);
    while let Some(first) = source[at..].chars().next() {
        let rest = &source[at..];
        if depth == 0 && rest.starts_with(end) {
            return (tokens, at + end.len());
        }
        let word = |letter: char| letter.is_alphanumeric() || letter == '_';
        let (token, len) = match first {
            '"' | '\'' => {
                let len = quoted(rest, first);
                (Token::Text(len.saturating_sub(2) as u64), len)
            }
            '0'..='9' => {
                let part = |letter: char| word(letter) || letter == '.';
                let len = rest.find(|letter| !part(letter)).unwrap_or(rest.len());
                (Token::Number(number(&rest[..len])), len)
            }
            letter if word(letter) => {
                let len = rest.find(|letter| !word(letter)).unwrap_or(rest.len());
                (Token::Word(&rest[..len]), len)
            }
            '=' | '!' | '<' | '>' if rest[1..].starts_with('=') => (Token::Mark('?'), 2),
            mark => (Token::Mark(mark), mark.len_utf8()),
        };
        // A map may end in `}}`.
        depth = match token {
            Token::Mark('{') => depth + 1,
            Token::Mark('}') => depth.saturating_sub(1),
            Token::Mark(_) | Token::Word(_) | Token::Text(_) | Token::Number(_) => depth,
        };
        at += len;
        if !first.is_whitespace() {
            tokens.push(token);
        }
    }
    (tokens, at)
}

/// The length of a text with its quotes.
fn quoted(rest: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, letter) in rest.char_indices().skip(1) {
        match (is_escaped, letter) {
            (true, _) => is_escaped = false,
            (false, '\\') => is_escaped = true,
            (false, letter) if letter == quote => return at + 1,
            (false, _) => {}
        }
    }
    rest.len()
}

/// A number as the engine reads it; of one with a fraction or an exponent, what it could mean.
fn number(written: &str) -> u64 {
    let digits = written.replace('_', "").to_ascii_lowercase();
    let radix = [("0x", 16), ("0o", 8), ("0b", 2)];
    let prefixed = radix.iter().find_map(|(prefix, radix)| Some((digits.strip_prefix(prefix)?, *radix)));
    match prefixed {
        Some((digits, radix)) => u64::from_str_radix(digits, radix).unwrap_or(u64::MAX),
        None => digits.parse().unwrap_or(if digits.contains('e') { u64::MAX } else { whole(&digits) }),
    }
}

fn whole(digits: &str) -> u64 {
    let (whole, _) = digits.split_once('.').unwrap_or((digits, ""));
    whole.parse::<u64>().map_or(u64::MAX, |whole| whole.saturating_add(1))
}
