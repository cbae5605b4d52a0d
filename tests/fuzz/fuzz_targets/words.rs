//! Any text is a word of the commands and headers that is read again as it is shown, or an error.
#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use libfuzzer_sys::fuzz_target;
use nightbell::cli::Moment;
use nightbell_core::connector::Connector;
use nightbell_core::dead::Reason;
use nightbell_core::fingerprint::Fingerprint;
use nightbell_core::routing::Pattern;
use nightbell_core::trace::TraceParent;
use nightbell_reports::Link;
use nightbell_xmatters::Verification;

fuzz_target!(|text: &str| {
    check::<Connector>(text);
    check::<Fingerprint>(text);
    check::<Moment>(text);
    check::<Reason>(text);
    check::<TraceParent>(text);
    check::<Verification>(text);
    drop(text.parse::<Link>());
    if let Ok(pattern) = text.parse::<Pattern>() {
        let _fits = pattern.fits(text);
    }
});

fn check<T: FromStr + Display + Debug + PartialEq>(text: &str) {
    if let Ok(read) = text.parse::<T>() {
        assert_eq!(read.to_string().parse::<T>().ok(), Some(read));
    }
}
