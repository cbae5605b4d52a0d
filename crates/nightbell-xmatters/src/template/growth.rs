//! How large the texts of a template can become, whatever the event is.
//!
//! The engine counts steps and not bytes, and a few steps that double a text are enough to fill any memory. So each
//! expression is weighed when the template is read: what goes in, times what each operator and filter can make of it.
//! Names that a template gives weigh what they are given. What can't be weighed is refused.

mod tokens;

use std::collections::HashMap;

use self::tokens::{Tag, Token, tags};
use crate::text::TEXT_CHARS_MAX;

/// The most that one expression may weigh, in bytes.
const BYTES_MAX: u64 = 16 << 20;

/// The same within a loop, which does it again and again.
const LOOPED_BYTES_MAX: u64 = 4 << 20;

/// What a text of an event weighs.
const TEXT: u64 = (TEXT_CHARS_MAX * char::MAX_LEN_UTF8) as u64;

/// What a list or a map of an event weighs.
const LIST: u64 = 64 << 10;

/// What a value weighs that is a part of a list.
const PART: u64 = 24;

/// How many times as long escapes can make a text.
const ESCAPED: u64 = 6;

/// A place in a template that could take too much, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Growth {
    pub(super) line: usize,
    pub(super) problem: &'static str,
}

const TOO_LARGE: &str =
    "it can make more than 16 MiB (4 MiB in a loop) of one value; join, repeat or replace less";
const CAPTURE: &str =
    "text can't be kept by `{% set name %}…{% endset %}` or `{% filter %}`; use `{% set name = … %}`";
const RECURSIVE: &str = "a loop can't be recursive";
const UNKNOWN_TIMES: &str = "`*` needs a whole number written beside it, and there is no `**`";
const UNKNOWN_WIDTH: &str = "`batch`, `slice` and `tojson` need whole numbers that are written there";

/// Weighs all expressions of a template.
pub(super) fn check(source: &str) -> Result<(), Growth> {
    let (mut names, mut loops) = (HashMap::new(), 0_u32);
    for tag in tags(source) {
        let failed = |problem| Growth { line: tag.line, problem };
        let limit = if loops > 0 { LOOPED_BYTES_MAX } else { BYTES_MAX };
        match tag.word() {
            Some("endfor") => loops = loops.saturating_sub(1),
            Some("for") => {
                names_of_loop(&tag, &mut names, limit).map_err(failed)?;
                loops += 1;
            }
            Some("filter") => return Err(failed(CAPTURE)),
            Some("set") => {
                let at = tag.tokens.iter().position(|token| token.is('=')).ok_or(CAPTURE).map_err(failed)?;
                let weight = kept(&tag.tokens[at + 1..], &names, limit).map_err(failed)?;
                give(&mut names, &tag.tokens[1..at], weight);
            }
            Some("with") => names_of_with(&tag, &mut names, limit).map_err(failed)?,
            Some(_) | None => {
                weigh(&tag.tokens, &names, limit).map_err(failed)?;
            }
        }
    }
    Ok(())
}

type Names<'s> = HashMap<&'s str, u64>;

fn give<'s>(names: &mut Names<'s>, targets: &[Token<'s>], weight: u64) {
    for name in targets.iter().filter_map(Token::word) {
        let own = names.entry(name).or_default();
        *own = weight.max(*own);
    }
}

fn names_of_loop<'s>(tag: &Tag<'s>, names: &mut Names<'s>, limit: u64) -> Result<(), &'static str> {
    if tag.tokens.last().and_then(Token::word) == Some("recursive") {
        return Err(RECURSIVE);
    }
    let at = tag.tokens.iter().position(|token| token.word() == Some("in")).unwrap_or_default();
    let weight = kept(&tag.tokens[at + 1..], names, limit)?;
    give(names, &tag.tokens[1..at.max(1)], weight);
    // It has the items before and after.
    let items = names.entry("loop").or_default();
    *items = weight.max(*items);
    Ok(())
}

/// Each name sees those before it.
fn names_of_with<'s>(tag: &Tag<'s>, names: &mut Names<'s>, limit: u64) -> Result<(), &'static str> {
    let tokens = &tag.tokens;
    let begins: Vec<_> = (1..tokens.len()).filter(|at| tokens[*at].is('=')).map(|at| at - 1).collect();
    let (mut total, mut given) = (0_u64, Vec::new());
    for (number, begin) in begins.iter().enumerate() {
        let end = begins.get(number + 1).copied().unwrap_or(tokens.len());
        // A named argument looks the same, and then the rest of the value comes behind it.
        total = total.saturating_add(kept(&tokens[begin + 2..end.max(begin + 2)], names, limit)?);
        given.push(tokens[*begin]);
        give(names, &given, total);
    }
    Ok(())
}

/// What a name weighs that is given this. A list that is made a text has its quotes and controls escaped, and the escapes
/// when that is done again.
fn kept(tokens: &[Token<'_>], names: &Names<'_>, limit: u64) -> Result<u64, &'static str> {
    let weight = weigh(tokens, names, limit)?;
    Ok(if (0..tokens.len()).any(|at| makes_text(tokens, at)) {
        weight.saturating_mul(ESCAPED)
    } else {
        weight
    })
}

/// What an expression can come to, in bytes.
fn weigh(tokens: &[Token<'_>], names: &Names<'_>, limit: u64) -> Result<u64, &'static str> {
    let mut weight: u64 = (0..tokens.len()).map(|at| own(tokens, at, names)).sum();
    let (mut depth, mut deepest) = (0_u32, 0);
    for (at, token) in tokens.iter().enumerate() {
        let factor = match *token {
            Token::Mark('*') => times(tokens, at)?,
            Token::Word(filter) if is_filter(tokens, at) => made(filter, &arguments(tokens, at), names)?,
            Token::Word(_) | Token::Mark(_) | Token::Text(_) | Token::Number(_) => 1,
        };
        weight = weight.saturating_mul(factor);
        depth = match *token {
            Token::Mark('[' | '{') | Token::Word("dict") => depth + 1,
            Token::Mark(']' | '}') => depth.saturating_sub(1),
            Token::Mark(_) | Token::Word(_) | Token::Text(_) | Token::Number(_) => depth,
        };
        deepest = if makes_text(tokens, at) { depth.max(deepest) } else { deepest };
    }
    let weight = weight.saturating_mul(ESCAPED.saturating_pow(deepest));
    if weight > limit { Err(TOO_LARGE) } else { Ok(weight) }
}

/// Whether a list becomes a text here.
fn makes_text(tokens: &[Token<'_>], at: usize) -> bool {
    const LISTS: [&str; 20] = [
        "batch", "chain", "default", "d", "dictsort", "first", "groupby", "items", "last", "length", "list",
        "max", "min", "reject", "reverse", "select", "slice", "sort", "unique", "zip",
    ];

    match tokens[at] {
        Token::Mark(mark) => mark == '~',
        Token::Word(filter) => is_filter(tokens, at) && !LISTS.contains(&filter),
        Token::Text(_) | Token::Number(_) => false,
    }
}

/// What one token brings with it.
fn own(tokens: &[Token<'_>], at: usize, names: &Names<'_>) -> u64 {
    match tokens[at] {
        Token::Text(len) => len + 1,
        Token::Number(_) => 1,
        Token::Mark(_) => 0,
        // An attribute is less than what it is of.
        Token::Word(_) if is_filter(tokens, at) || (at > 0 && tokens[at - 1].is('.')) => 0,
        Token::Word(name) => names.get(name).copied().unwrap_or(0).max(match name {
            "labels" | "tags" | "recipients" => LIST,
            "range" => range(&arguments(tokens, at)),
            "and" | "or" | "not" | "if" | "elif" | "else" | "in" | "is" | "true" | "false" | "none"
            | "loop" => 0,
            _ => TEXT,
        }),
    }
}

/// What the numbers weigh that a call of `range` gives.
fn range(arguments: &[&[Token<'_>]]) -> u64 {
    const MANY: u64 = 100_000;

    let written = |argument: &&[Token<'_>]| match argument {
        [number] => number.number(),
        _ => None,
    };
    let most: Option<Vec<_>> = arguments.iter().map(written).collect();
    most.and_then(|all| all.into_iter().max()).unwrap_or(MANY).min(MANY) * PART
}

fn is_filter(tokens: &[Token<'_>], at: usize) -> bool {
    at > 0 && tokens[at - 1].is('|')
}

/// What stands in the parentheses behind a filter, by its commas.
fn arguments<'t, 's>(tokens: &'t [Token<'s>], filter: usize) -> Vec<&'t [Token<'s>]> {
    let rest = &tokens[filter + 1..];
    if !rest.first().is_some_and(|token| token.is('(')) {
        return Vec::new();
    }
    let (mut all, mut depth, mut begin) = (Vec::new(), 0_u32, 1);
    for (at, token) in rest.iter().enumerate() {
        match *token {
            Token::Mark('(' | '[' | '{') => depth += 1,
            Token::Mark(')' | ']' | '}') => depth = depth.saturating_sub(1),
            Token::Mark(',') if depth == 1 => {
                all.push(&rest[begin..at]);
                begin = at + 1;
            }
            Token::Mark(_) | Token::Text(_) | Token::Number(_) | Token::Word(_) => {}
        }
        if depth == 0 {
            all.push(&rest[begin..at]);
            break;
        }
    }
    all
}

/// How many times its input a filter can make.
fn made(filter: &str, arguments: &[&[Token<'_>]], names: &Names<'_>) -> Result<u64, &'static str> {
    let size = |argument: &[Token<'_>]| match argument {
        [Token::Text(len)] => *len,
        other => (0..other.len()).map(|at| own(other, at, names)).sum(),
    };
    let sizes = || arguments.iter().map(|argument| size(argument));
    Ok(match (filter, arguments) {
        ("replace", [[Token::Text(from @ 1..)], to]) => size(to).div_ceil(*from).max(1),
        ("join", _) => 1 + sizes().sum::<u64>().div_ceil(PART),
        ("replace", _) => 1 + sizes().sum::<u64>(),
        // It can call any other filter, with a number too.
        ("map", _) => {
            let numbers = arguments.iter().flat_map(|argument| argument.iter()).filter_map(Token::number);
            numbers.fold(PART + sizes().sum::<u64>(), u64::saturating_add)
        }
        ("list" | "split" | "lines", _) => PART,
        ("batch" | "slice", [[Token::Number(number)], ..]) => number.saturating_mul(PART),
        ("tojson", []) | ("urlencode" | "escape" | "e" | "upper" | "lower" | "title" | "capitalize", _) => {
            ESCAPED
        }
        ("tojson", [[.., Token::Number(number)]]) => number.saturating_add(ESCAPED),
        ("batch" | "slice" | "tojson", _) => return Err(UNKNOWN_WIDTH),
        _ => 1,
    })
}

/// The number beside a `*`.
fn times(tokens: &[Token<'_>], at: usize) -> Result<u64, &'static str> {
    let beside = [at.checked_sub(1), Some(at + 1)].into_iter().flatten().filter_map(|at| tokens.get(at));
    let numbers: Vec<_> = beside.filter_map(Token::number).collect();
    // Of `2 ** 9`, each mark has one.
    let is_power = [at.checked_sub(1), Some(at + 1)]
        .into_iter()
        .flatten()
        .any(|at| tokens.get(at).is_some_and(|token| token.is('*')));
    numbers.into_iter().max().filter(|_| !is_power).ok_or(UNKNOWN_TIMES)
}

#[cfg(test)]
mod tests;
