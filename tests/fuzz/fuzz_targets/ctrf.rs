//! Any bytes are a CTRF report whose events can be published, or an error.
#![no_main]

use std::io::Write as _;
use std::ops::ControlFlow;

use libfuzzer_sys::fuzz_target;
use nightbell_core::event;
use nightbell_reports::{Format, Input, Repeats, ReportOptions, Run};

fuzz_target!(|report: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().expect("a file can be made");
    file.write_all(report).expect("it can be written");
    let options = ReportOptions { project: "shop".into(), flaky: true, ..ReportOptions::default() };
    let input = Input { path: file.path().to_owned(), format: Format::Ctrf };
    let run = Run::survey(vec![input], Repeats::InSuite, &options, |_, held| drop(held));
    let wrong = run.events(|event| {
        let written = serde_json::to_vec(&event).expect("an event is JSON");
        assert!(event::read(&written).is_ok());
        ControlFlow::Continue(())
    });
    assert!(wrong.is_empty(), "a sound report is sound when it is read again: {wrong:?}");
});
