//! CTRF reports: JSON as <https://ctrf.io> describes it.
//!
//! What counts: a test with the status `failed`, or `other` with a message or a trace. What does not: `passed`,
//! `skipped`, `pending`, and `other` without a word. A test that passed and is `flaky`, or has `retries`, is flaky.
//! Unlike JUnit's, each entry is a test of its own: attempts stand inside of it.

mod cut;
#[cfg(test)]
mod tests;
mod wire;

use std::io::{BufRead, Seek};

use serde::de::DeserializeSeed as _;
use serde_json::error::Category;

use self::cut::Cut;
use self::wire::{Document, Sink};
use crate::case::Each;
use crate::compose::Origin;
use crate::decode::Decoded;
use crate::fault::{Fault, Place, Unfit};

/// What the ids of its events begin with.
pub(crate) const KIND: &str = "ctrf";

/// Gives each result of a report, read from its beginning, until `each` wants no more. What the report says of the run
/// is whole only if `each` took all.
pub(crate) fn each_case(from: impl BufRead + Seek, each: Each<'_>) -> Result<Origin, Unfit> {
    let mut cut = Cut::new(Decoded::new(from)?);
    let mut sink = Sink::new(each);
    let mut json = serde_json::Deserializer::from_reader(&mut cut);
    let read = Document(&mut sink).deserialize(&mut json).and_then(|()| json.end());
    match read {
        Ok(()) => Ok(sink.origin),
        Err(_) if sink.stopped => Ok(sink.origin),
        Err(error) => {
            let fault = sink.fault.take().unwrap_or_else(|| fault(&error, &cut));
            Err(Place { line: cut.line(), fault }.into())
        }
    }
}

fn fault<R>(error: &serde_json::Error, cut: &Cut<R>) -> Fault {
    let said = error.to_string();
    // The parser counts what the cut lets through.
    let place = format!(" at line {} column {}", error.line(), error.column());
    let problem = said.strip_suffix(&place).unwrap_or(&said);
    match error.classify() {
        Category::Io if cut.is_too_deep() => Fault::TooDeep,
        Category::Io => Fault::Unreadable { problem: problem.to_owned() },
        Category::Eof if cut.is_blank() => Fault::Empty,
        Category::Syntax | Category::Eof => Fault::not_json(cut.column(), problem),
        Category::Data => Fault::not_ctrf(cut.column(), problem),
    }
}
