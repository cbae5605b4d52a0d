//! Dead letters as a table.

use comfy_table::Table;
use nightbell_core::connector::Connector;
use nightbell_letters::LetterView;

use crate::output::{one_line, table};

/// How much of an id a table shows; `--id` takes as much.
const ID_CHARS: usize = 12;

/// How much of a name or a time a table shows.
const CHARS: usize = 40;

/// How much of a detail a table shows.
pub(super) const DETAIL_CHARS: usize = 60;

pub(super) fn head() -> Table {
    table(&["id", "connector", "reason", "died at", "attempts", "project", "test", "detail"])
}

pub(super) fn row(letter: &LetterView) -> [String; 8] {
    let cut = |text: Option<&str>| text.map_or("-".to_owned(), |text| one_line(text, CHARS));
    [
        letter.id.chars().take(ID_CHARS).collect(),
        cut(letter.connector.as_ref().map(Connector::as_str)),
        cut(Some(letter.reason.as_str())),
        cut(letter.died_at.as_deref()),
        attempts(letter),
        cut(letter.project.as_deref()),
        cut(letter.test.as_deref()),
        one_line(&letter.detail, DETAIL_CHARS),
    ]
}

/// How many POSTs were made.
pub(super) fn attempts(letter: &LetterView) -> String {
    letter.attempts.map_or("unknown".to_owned(), |count| count.to_string())
}
