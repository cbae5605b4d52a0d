//! The line that is read out for each failing test of each real report, for a person to read through: it says what went
//! wrong, wherever the tool has hidden it.

use std::fmt::Write as _;

use nightbell_reports::Repeats;

use crate::support::{data, options, real};

#[test]
fn the_lines_that_are_read_out() {
    let counts = std::fs::read_to_string(data("counts.tsv")).unwrap();
    let mut text = String::new();
    for report in counts.lines().skip(1).filter_map(|line| line.split('\t').next()) {
        writeln!(text, "{report}").unwrap();
        for event in real(report, Repeats::Declared, options()).events {
            let (suite, message) = (event.suite.unwrap_or_default(), event.message.unwrap_or_default());
            writeln!(text, "  {suite} | {} | {message}", event.test).unwrap();
        }
    }
    insta::assert_snapshot!(text);
}
