//! Reports of test runners, read into events: each result that is failing is one, or is an attempt that the format itself
//! declares as such, or the report is said to be damaged.
//!
//! It reads, and must never do more: no network, no clock, no printing, no thread. However large a report is, what is
//! held of it is one test case, and under 100 bytes of each other one.
//!
//! A report is a [`Source`] of bytes in a [`Format`], which its content tells. One small reader for each format gives
//! cases, all of one kind; [`Reading`] counts them in a first pass, and gives the events in a second one.

mod case;
mod compose;
mod decode;
mod detect;
mod fault;
mod format;
mod formats;
mod json;
mod lines;
mod link;
mod names;
mod reading;
mod sink;
mod source;
mod tally;
mod telling;
#[cfg(test)]
mod testing;
mod text;
mod time;
mod xml;

pub use self::compose::ReportOptions;
pub use self::detect::recognise;
pub use self::fault::{Fault, Place, ReportError};
pub use self::format::Format;
pub use self::link::{BadLink, Link, Placeholder};
pub use self::reading::{Input, OnSurvey, Reading, Survey};
pub use self::source::Source;
pub use self::tally::{CASES_MAX, Repeats, Summary};
pub use self::time::Now;
