//! Reports of test runners, read into events: each test that failed in the end is one.
//!
//! It reads, and must never do more: no network, no clock, no printing, no thread. However large a report is, what is
//! held of it is one test case, and under 100 bytes of each other one.
//!
//! A report is read twice. The first reading finds what is wrong with it before anything is published, and
//! which result of a repeated case is its last; the second gives the events one by one.

mod case;
mod compose;
mod ctrf;
mod decode;
mod fault;
pub mod junit;
mod link;
mod run;
mod tally;
mod text;

pub use self::compose::ReportOptions;
pub use self::fault::{Fault, ReportError};
pub use self::link::{BadLink, Link, Placeholder};
pub use self::run::{Format, Input, Run};
pub use self::tally::{Repeats, Summary};
