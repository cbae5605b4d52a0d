//! Any bytes are a report of each form, or of that which they look like, whose events can be published, no two of them
//! alike; or they are an error. The first byte says which form.
#![no_main]

use std::collections::HashSet;
use std::ops::ControlFlow;

use libfuzzer_sys::fuzz_target;
use nightbell_core::event;
use nightbell_reports::{Format, Input, Reading, Repeats, ReportOptions, Source};

fuzz_target!(|bytes: &[u8]| {
    let Some((form, report)) = bytes.split_first() else { return };
    let format = Format::ALL.get(usize::from(*form) % (Format::ALL.len() + 1)).copied();
    let options = ReportOptions { project: "shop".into(), flaky: true, ..ReportOptions::default() };
    let input = Input { name: "report".into(), source: Source::memory(report.into()), format };
    let repeats = if form & 0x80 == 0 { Repeats::Declared } else { Repeats::AcrossFiles };
    let (mut ids, mut heard) = (HashSet::new(), 0);
    let mut reading = Reading::new(repeats, options);
    let flow = reading.read(vec![input], &mut |_, _| heard += 1, &mut |event| {
        let written = serde_json::to_vec(&event).expect("an event is JSON");
        assert!(event::read(&written).is_ok(), "it is one that the worker takes");
        assert!(ids.insert(event.id), "no two are alike");
        ControlFlow::Continue(())
    });
    assert!(flow.is_continue() && heard == 1);
    assert_eq!(reading.summary().events, ids.len(), "what is counted is what comes");
});
