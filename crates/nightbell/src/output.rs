//! Results on standard output: tables for people, JSON for scripts.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use comfy_table::presets::{NOTHING, UTF8_FULL_CONDENSED};
use comfy_table::{ContentArrangement, Table};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::exit::{Code, Failure, OrFail as _};
use crate::terminal::{fit, fit_json};

/// A terminal with fewer columns, or one that says it has none, gets the table as a pipe does.
const COLUMNS_MIN: u16 = 60;

/// Prints a text for people, fit for a terminal. A reader that went away, as `head` does, is no failure.
///
/// # Errors
/// Standard output can't be written to for any other reason.
pub fn print(text: &str) -> Result<(), Failure> {
    print_as_it_is(&fit(text))
}

/// Says something on standard error, fit for a terminal. That it can't be written is no failure.
pub fn complain(text: &str) {
    drop(writeln!(io::stderr(), "{}", fit(text)));
}

/// Prints a text of our own for a program, byte for byte.
///
/// # Errors
/// As [`print`].
pub fn print_as_it_is(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure {
            code: Code::Io,
            error: anyhow::Error::new(error).context("write to standard output"),
        }),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Prints a text and a line end.
///
/// # Errors
/// As [`print`].
pub fn print_line(text: &str) -> Result<(), Failure> {
    print(&format!("{text}\n"))
}

/// Prints one JSON document.
///
/// # Errors
/// As [`print`].
pub fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).or_fail(Code::Software)?;
    print_as_it_is(&format!("{}\n", fit_json(&text)))
}

/// Prints one JSON document on a line of its own.
///
/// # Errors
/// As [`print`].
pub fn print_json_line(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value).or_fail(Code::Software)?;
    print_as_it_is(&format!("{}\n", fit_json(&text)))
}

/// A count on standard error, on a terminal only, that shows when the work takes long.
#[must_use]
pub fn progress(message: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg} {pos}").expect("the template is sound");
    let bar = ProgressBar::new_spinner().with_style(style).with_message(message);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// An empty table: framed and fitted to the width on a terminal, plain and whole through a pipe.
#[must_use]
pub fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    let is_wide_enough = table.width().is_some_and(|columns| columns >= COLUMNS_MIN);
    if io::stdout().is_terminal() && is_wide_enough {
        table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    } else {
        table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    }
    table.set_header(head);
    table
}

/// Prints a table.
///
/// # Errors
/// As [`print`].
pub fn print_table(table: &Table) -> Result<(), Failure> {
    print_line(&table.trim_fmt())
}

/// `1 event`, `2 events`.
#[must_use]
pub fn count(number: usize, noun: &str) -> String {
    let end = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{end}")
}

/// Text from outside as one line that is fit for a terminal: control characters become spaces.
#[must_use]
pub fn one_line(text: &str, chars_max: usize) -> String {
    let clean = text.chars().map(|character| if character.is_control() { ' ' } else { character });
    let folded = clean.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ");
    let folded = fit(&folded);
    if folded.chars().count() <= chars_max {
        return folded.into_owned();
    }
    folded.chars().take(chars_max.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_becomes_one_safe_line() {
        assert_eq!(one_line("a\u{1b}[31m\n\tb", 20), "a [31m b");
        assert_eq!(one_line("abcdef", 4), "abc…");
        assert_eq!(one_line("a\u{2028}b\u{202e}c\u{9b}d", 20), "a b\u{fffd}c d");
    }

    #[test]
    fn one_is_singular() {
        assert_eq!([0, 1, 2].map(|number| count(number, "event")), ["0 events", "1 event", "2 events"]);
    }
}
