//! Where the demo prints: lines on standard output, and below them, on a terminal only, how far it is.

use std::io::{self, Write as _};
use std::time::Duration;

use comfy_table::{Cell, Color};
use console::{colors_enabled, style};
use indicatif::{ProgressBar, ProgressStyle};

use super::board::Fate;
use crate::exit::{Code, Failure};
use crate::terminal::fit_coloured;

/// The screen.
pub(super) struct Screen {
    bar: ProgressBar,
}

impl Screen {
    /// A screen; the bar is left out where others write to the same terminal.
    pub(super) fn new(is_alone: bool) -> Self {
        // Hidden by itself where standard error is no terminal.
        let bar = if is_alone { ProgressBar::no_length() } else { ProgressBar::hidden() };
        let template = "  {spinner} [{bar:24}] {pos} of {len} {msg}";
        let style = ProgressStyle::with_template(template).expect("the template is sound");
        let screen = Self { bar: bar.with_style(style.progress_chars("=> ")) };
        screen.clear();
        screen
    }

    /// Prints lines. That nobody reads any more ends the demo.
    pub(super) fn say(&self, text: &str) -> Result<(), Failure> {
        self.bar.suspend(|| {
            let mut out = io::stdout().lock();
            writeln!(out, "{}", fit_coloured(text)).and_then(|()| out.flush()).map_err(|error| Failure {
                code: Code::Io,
                error: anyhow::Error::new(error).context("write to standard output"),
            })
        })
    }

    /// Prints the title of what follows.
    pub(super) fn title(&self, text: &str) -> Result<(), Failure> {
        self.say(&format!("\n{}\n", style(text).bold()))
    }

    /// Shows that `length` of something are waited for.
    pub(super) fn expect(&self, length: usize, what: &'static str) {
        self.bar.set_length(length as u64);
        self.bar.set_message(what);
        self.bar.reset();
        self.bar.enable_steady_tick(Duration::from_millis(100));
    }

    /// Shows that so many are there.
    pub(super) fn reached(&self, position: usize) {
        self.bar.set_position(position as u64);
    }

    /// Takes the bar away.
    pub(super) fn clear(&self) {
        self.bar.disable_steady_tick();
        self.bar.finish_and_clear();
    }
}

/// A text in the colour of a fate, where colours are wanted.
pub(super) fn coloured(text: &str, fate: Fate) -> String {
    let text = style(text);
    match fate {
        Fate::Retried => text.yellow().to_string(),
        Fate::Refused => text.red().to_string(),
        Fate::Delivered => text.green().to_string(),
    }
}

/// The same as a cell of a table, which has colours of its own.
pub(super) fn cell(text: &str, fate: Fate) -> Cell {
    let cell = Cell::new(text);
    if !colors_enabled() {
        return cell;
    }
    match fate {
        Fate::Retried => cell.fg(Color::DarkYellow),
        Fate::Refused => cell.fg(Color::DarkRed),
        Fate::Delivered => cell.fg(Color::DarkGreen),
    }
}
