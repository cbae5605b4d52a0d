//! `nightbell schema`.

use nightbell_core::event::Event;

use crate::exit::Failure;
use crate::output::print_json;

/// Prints the event's JSON Schema.
///
/// # Errors
/// Standard output can't be written to.
pub fn schema() -> Result<(), Failure> {
    print_json(&schemars::schema_for!(Event))
}
