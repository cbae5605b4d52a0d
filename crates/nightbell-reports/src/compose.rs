//! From a result to an event.

use std::collections::BTreeMap;

use nightbell_core::event::{Event, Severity, Status};
use nightbell_core::fingerprint::Fingerprint;

use crate::case::{Case, Failure};
use crate::link::Link;
use crate::tally::Verdict;

/// The tag of an event that tells of a test which passed in the end.
const FLAKY: &str = "flaky";

/// What a report does not say of itself.
#[derive(Debug, Clone, Default)]
pub struct ReportOptions {
    /// The project; must not be empty.
    pub project: String,
    /// Where the tests ran.
    pub environment: Option<String>,
    /// The run. With it, an event's id depends on run and test alone; without it, on the suite's timestamp
    /// and the failure's text as well.
    pub run_id: Option<String>,
    /// How grave a failure is.
    pub severity: Severity,
    /// Labels of every event.
    pub labels: BTreeMap<String, String>,
    /// Tags of every event.
    pub tags: Vec<String>,
    /// A link to the whole report, taken as it is.
    pub report_url: Option<String>,
    /// A link with placeholders, which goes before `report_url` where an event can fill it.
    pub link: Option<Link>,
    /// The suite, instead of what the report calls it.
    pub suite: Option<String>,
    /// Whether tests that passed in the end, but not at once, are events too, tagged `flaky`.
    pub flaky: bool,
}

/// What a report says of the run as a whole. It fills what the options leave open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) environment: Option<String>,
    pub(crate) run_id: Option<String>,
    pub(crate) report_url: Option<String>,
    pub(crate) branch: Option<String>,
}

impl ReportOptions {
    /// The options with what the report itself tells.
    pub(crate) fn within(mut self, origin: Origin) -> Self {
        self.environment = self.environment.or(origin.environment);
        self.run_id = self.run_id.or(origin.run_id);
        self.report_url = self.report_url.or(origin.report_url);
        if let Some(branch) = origin.branch {
            self.labels.entry("branch".to_owned()).or_insert(branch);
        }
        self
    }
}

/// The event of a result. `kind` is the format's name, with which ids begin.
pub(crate) fn event(
    kind: &str,
    options: &ReportOptions,
    case: &Case,
    failure: &Failure,
    verdict: Verdict,
) -> Event {
    let id = id(kind, options, case, failure, verdict);
    let options = options.clone();
    let is_flaky = verdict == Verdict::Flaky;
    let mut event = Event {
        id: Some(id),
        status: match verdict {
            Verdict::Failed | Verdict::Flaky => Status::Failed,
            Verdict::Error => Status::Error,
        },
        severity: options.severity,
        message: failure.message(&case.name),
        details: failure.details(),
        suite: options.suite.or_else(|| case.suite.clone()),
        environment: options.environment,
        run_id: options.run_id,
        occurred_at: case.occurred_at,
        report_url: options.report_url,
        tags: options.tags,
        labels: options.labels,
        ..Event::new(options.project, case.test())
    };
    event.tags.extend(case.tags.iter().cloned().chain(is_flaky.then(|| FLAKY.to_owned())));
    if let Some(link) = &options.link {
        event.report_url = link.of(&event).or(event.report_url);
    }
    event
}

/// The same for the same report and run, so that publishing twice does no harm; another for a new run.
fn id(kind: &str, options: &ReportOptions, case: &Case, failure: &Failure, verdict: Verdict) -> String {
    let mut parts = vec![
        options.project.as_str(),
        options.suite.as_deref().unwrap_or_default(),
        case.suite.as_deref().unwrap_or_default(),
        case.classname.as_deref().unwrap_or_default(),
        &case.name,
        options.environment.as_deref().unwrap_or_default(),
    ];
    parts.extend(case.variant.as_deref());
    match &options.run_id {
        Some(run) => parts.extend(["run", run]),
        None => {
            let time = case.timestamp.as_deref().unwrap_or_default();
            parts.extend(["report", time, &failure.headline, &failure.text]);
        }
    }
    if verdict == Verdict::Flaky {
        parts.push(FLAKY);
    }
    format!("{kind}:{}", Fingerprint::of(parts.into_iter().map(str::as_bytes)))
}
