//! An error with its causes.

use std::error::Error;

/// An error and its causes in one line.
#[must_use]
pub fn in_one_line(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
