//! Any bytes are a JUnit report whose events can be published, or an error.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use nightbell_core::event;
use nightbell_reports::junit::{Report, ReportOptions};

fuzz_target!(|report: &[u8]| {
    let options = ReportOptions { project: "shop".into(), flaky: true, ..ReportOptions::default() };
    if let Ok(report) = Report::read(Cursor::new(report), "report.xml".into(), options) {
        for event in report {
            let written = serde_json::to_vec(&event.expect("the report is sound")).expect("an event is JSON");
            assert!(event::read(&written).is_ok());
        }
    }
});
