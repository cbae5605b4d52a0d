//! What tests of several formats ask.

use std::ops::ControlFlow;

use nightbell_core::event::Event;

use crate::{Format, Held, Input, Reading, Repeats, ReportError, ReportOptions, Source};

/// What a report gives, and what is said of it.
pub(crate) fn read(
    report: &[u8],
    format: Format,
    options: ReportOptions,
) -> (Result<Held, ReportError>, Vec<Event>) {
    let input = Input { name: "report".into(), source: Source::memory(report.into()), format: Some(format) };
    let (mut heard, mut events) = (None, Vec::new());
    let mut each = |event| {
        events.push(event);
        ControlFlow::Continue(())
    };
    let mut reading = Reading::new(Repeats::Declared, options);
    let flow = reading.read(vec![input], &mut |_, held| heard = Some(held), &mut each);
    assert!(flow.is_continue());
    (heard.unwrap(), events)
}
