//! A reading of reports, and all that comes of it.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use nightbell_core::event::{self, Event};
use nightbell_reports::{
    Format, Input, Reading, Repeats, ReportError, ReportOptions, Source, Summary, Survey,
};

/// What reports give together, and what was said of each.
pub(crate) struct Told {
    /// The events, as the worker reads them.
    pub(crate) events: Vec<Event>,
    pub(crate) summary: Summary,
    pub(crate) heard: Vec<Result<Survey, ReportError>>,
    pub(crate) unexplained: Option<Event>,
}

/// The options of these tests.
pub(crate) fn options() -> ReportOptions {
    ReportOptions { project: "shop".into(), ..ReportOptions::default() }
}

pub(crate) fn read(inputs: Vec<Input>, repeats: Repeats, options: ReportOptions) -> Told {
    let (mut events, mut heard) = (Vec::new(), Vec::new());
    let mut reading = Reading::new(repeats, options);
    let flow = reading.read(inputs, &mut |_, held| heard.push(held), &mut |event| {
        // The worker reads what is published with the same function.
        events.push(event::read(&serde_json::to_vec(&event).unwrap()).unwrap());
        ControlFlow::Continue(())
    });
    assert!(flow.is_continue());
    let told = Told { events, summary: reading.summary(), heard, unexplained: reading.unexplained() };
    assert_eq!(told.summary.events, told.events.len());
    told
}

/// A report in memory, whose content tells its form.
pub(crate) fn input(name: &str, text: impl AsRef<[u8]>) -> Input {
    Input { name: name.into(), source: Source::memory(text.as_ref().into()), format: None }
}

pub(crate) fn one(text: impl AsRef<[u8]>) -> Told {
    read(vec![input("report", text)], Repeats::Declared, options())
}

/// A file or folder of the test data.
pub(crate) fn data(file: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data")).join(file)
}

pub(crate) fn real(file: &str, repeats: Repeats, options: ReportOptions) -> Told {
    let input = Input { name: file.into(), source: Source::file(data(file)), format: None };
    read(vec![input], repeats, options)
}

impl Told {
    /// The events, as `suite: test: message`.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |event: &Event| {
            let (suite, message) = (event.suite.as_deref(), event.message.as_deref());
            format!("{}: {}: {}", suite.unwrap_or_default(), event.test, message.unwrap_or_default())
        };
        self.events.iter().map(line).collect()
    }

    pub(crate) fn ids(&self) -> Vec<&str> {
        self.events.iter().map(|event| event.id.as_deref().unwrap()).collect()
    }

    /// Whether something is said to be missing of a report.
    pub(crate) fn is_damaged(&self) -> bool {
        self.heard.iter().any(|held| !matches!(held, Ok(held) if held.damage.is_none()))
    }

    pub(crate) fn format(&self) -> Format {
        self.heard[0].as_ref().unwrap().format
    }
}
