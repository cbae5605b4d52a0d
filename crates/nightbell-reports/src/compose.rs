//! From a result to an event.

use std::collections::{BTreeMap, HashSet};

use nightbell_core::event::{Event, Severity, Status};
use nightbell_core::fingerprint::Fingerprint;

use crate::case::Case;
use crate::fault::Place;
use crate::link::Link;
use crate::names::tidy;
use crate::tally::Verdict;
use crate::text::{counted, shortened};
use crate::time::Now;

/// The tag of an event that tells of a test which passed in the end.
const FLAKY: &str = "flaky";

/// The longest exit status that is told, in characters.
const STATUS_CHARS_MAX: usize = 40;

/// What the ids of events begin with that were made of reports.
const KIND: &str = "report";

/// What a report does not say of itself.
#[derive(Debug, Clone, Default)]
pub struct ReportOptions {
    /// The project; must not be empty.
    pub project: String,
    /// Where the tests ran.
    pub environment: Option<String>,
    /// The run. With it, an event's id depends on run and test alone; without it, on the result's time and what it
    /// says, or where there is no time, on the file and when it was written.
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
    /// What the runner ended with, a number or a word; nothing, or 0, is an end without failure. If it is a failure of which
    /// the reports show none, it is an event.
    pub exit_status: Option<String>,
    /// The time, and the zone of times that have none.
    pub now: Now,
}

/// What a report says of the run as a whole. It fills what the options leave open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) environment: Option<String>,
    pub(crate) run_id: Option<String>,
    pub(crate) report_url: Option<String>,
    pub(crate) branch: Option<String>,
}

/// What tells one writing of a report from another where nothing else does.
#[derive(Debug, Clone)]
pub(crate) struct Edition(pub(crate) String);

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

    /// An event of a test with what is the same for all of them.
    fn event(&self, test: String, suite: Option<String>) -> Event {
        let mut event = Event {
            suite,
            severity: self.severity,
            environment: self.environment.clone(),
            run_id: self.run_id.clone(),
            report_url: self.report_url.clone(),
            tags: self.tags.clone(),
            labels: self.labels.clone(),
            ..Event::new(self.project.clone(), test)
        };
        event.report_url = self.link.as_ref().and_then(|link| link.of(&event)).or(event.report_url);
        event
    }

    /// An event of the run itself, which is not one of its results.
    fn event_of_run(&self, test: String, suite: Option<String>, message: String, edition: &Edition) -> Event {
        let mut event =
            Event { status: Status::Error, suite, message: Some(message), ..self.event(test, None) };
        let mut parts = vec![
            event.project.as_str(),
            event.test.as_str(),
            event.environment.as_deref().unwrap_or_default(),
        ];
        parts.extend(event.suite.as_deref());
        parts.extend(match &event.run_id {
            Some(run) => ["of run", run.as_str()],
            None => ["of file", edition.0.as_str()],
        });
        event.id = Some(id(&parts));
        event
    }

    /// The event of a damaged report, of which `cases` could be read.
    pub(crate) fn damaged(&self, file: &str, place: &Place, cases: usize, edition: &Edition) -> Event {
        let file = crate::names::file(file).unwrap_or_else(|| "report".to_owned());
        let Place { line, fault } = place;
        let message =
            format!("report damaged at line {line}: {} read: {fault}", counted(cases as u64, "case"));
        self.event_of_run(format!("report {file}"), self.suite.clone(), message, edition)
    }

    /// The event of a run that failed, if that is known, and none of whose reports, called so, shows why.
    pub(crate) fn unexplained(&self, reports: &[String], has_report: bool) -> Option<Event> {
        let status = tidy(self.exit_status.as_deref()?);
        if status.is_empty() || status.parse() == Ok(0) {
            return None;
        }
        let what = if has_report { "its report shows no failure" } else { "left no report" };
        let message = format!("the run failed with {} and {what}", shortened(&status, STATUS_CHARS_MAX));
        let edition = Edition(self.now.at.0.to_string());
        // So that two jobs of one project are two.
        let names = reports.iter().filter_map(|name| crate::names::file(name)).collect::<Vec<_>>().join(", ");
        let suite = self.suite.clone().or_else(|| Some(names).filter(|names| !names.is_empty()));
        Some(self.event_of_run("test run".to_owned(), suite, message, &edition))
    }
}

/// The names that were given to failures of a command's reports, so that no two failures of different reports become one.
#[derive(Debug, Default)]
pub(crate) struct TakenNames(HashSet<Fingerprint>);

/// A failing result, and what a report adds to it.
pub(crate) struct Failing<'a> {
    pub(crate) case: &'a Case,
    pub(crate) verdict: Verdict,
    /// As alerts name it.
    pub(crate) suite: Option<String>,
    /// What its name needs besides.
    pub(crate) label: String,
    pub(crate) edition: &'a Edition,
    /// The report's own name.
    pub(crate) report: &'a str,
}

impl TakenNames {
    /// A name for the test by which none was told of an earlier report.
    fn name(&mut self, result: &Failing<'_>) -> String {
        let plain = format!("{}{}", result.case.shown_test(), result.label);
        let report = std::path::Path::new(result.report).file_name();
        let report = report.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let others = (2..).map(|number| format!("{plain} ({report}) #{number}"));
        let mut names = [plain.clone(), format!("{plain} ({report})")].into_iter().chain(others);
        let suite = result.suite.as_deref().unwrap_or_default();
        let is_new = |name: &String| {
            let flaky = [u8::from(result.verdict == Verdict::Flaky)];
            self.0.insert(Fingerprint::of([suite.as_bytes(), name.as_bytes(), &flaky]))
        };
        names.find(is_new).unwrap_or(plain)
    }

    /// The event of a result.
    pub(crate) fn event(&mut self, options: &ReportOptions, result: &Failing<'_>) -> Event {
        let case = result.case;
        let test = self.name(result);
        let is_flaky = result.verdict == Verdict::Flaky;
        let mut event = Event {
            status: match result.verdict {
                Verdict::Failed | Verdict::Flaky => Status::Failed,
                Verdict::Error => Status::Error,
            },
            message: case.message(),
            details: case.details(),
            occurred_at: case.stamp.when(&options.now),
            ..options.event(test, result.suite.clone())
        };
        event.id = Some(result.id(&event));
        event.tags.extend(case.tags.iter().cloned().chain(is_flaky.then(|| FLAKY.to_owned())));
        event
    }
}

impl Failing<'_> {
    /// The same for the same report and run, so that publishing twice does no harm; another for a new run.
    fn id(&self, event: &Event) -> String {
        let case = self.case;
        let own_suite = case.shown_suite();
        let mut parts = vec![
            event.project.as_str(),
            event.suite.as_deref().unwrap_or_default(),
            own_suite.as_deref().unwrap_or_default(),
            event.test.as_str(),
            event.environment.as_deref().unwrap_or_default(),
            case.variant.as_deref().unwrap_or_default(),
        ];
        match (&event.run_id, case.stamp.exact()) {
            (Some(run), _) => parts.extend(["run", run]),
            (None, Some(time)) => {
                parts.extend(["time", time]);
                parts.extend(
                    case.trouble
                        .failures
                        .iter()
                        .flat_map(|failure| [failure.message.as_str(), &failure.text]),
                );
            }
            (None, None) => parts.extend(["file", &self.edition.0]),
        }
        if self.verdict == Verdict::Flaky {
            parts.push(FLAKY);
        }
        id(&parts)
    }
}

fn id(parts: &[&str]) -> String {
    format!("{KIND}:{}", Fingerprint::of(parts.iter().map(|part| part.as_bytes())))
}
