//! Routing: which connectors want an event, as a pure function of the event and the configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use globset::{ErrorKind, Glob, GlobMatcher};

use crate::connector::Connector;
use crate::event::{Event, Severity, Status};
use crate::journey::cut;
use crate::ports::Overrides;
use crate::priority::Priority;

/// Which events go to which connectors (`[[alert_groups]]`). Every condition that is given must hold.
#[derive(Debug, Clone)]
pub struct AlertGroup {
    /// Its name, unique in a configuration.
    pub name: String,
    /// Patterns of project names; none given: all projects.
    pub projects: Vec<Pattern>,
    /// The least severity.
    pub severity_at_least: Option<Severity>,
    /// The statuses; by default `failed` and `error`.
    pub statuses: BTreeSet<Status>,
    /// Tags of which the event has one at least; none given: any.
    pub tags: BTreeSet<String>,
    /// Labels that the event has, all of them.
    pub labels: BTreeMap<String, String>,
    /// Where its events go.
    pub connectors: BTreeSet<Connector>,
    /// Whom its alerts go to, instead of the connector's recipients.
    pub recipients: Option<Arc<[String]>>,
    /// The priority of its alerts, instead of the one that their severity has.
    pub priority: Option<Priority>,
}

/// The statuses that a group without its own, and the default connectors, take.
#[must_use]
pub fn default_statuses() -> BTreeSet<Status> {
    [Status::Failed, Status::Error].into()
}

/// A pattern of project names: `*` any characters, `?` one, `[a-z]` one of a class, `{a,b}` one of the alternatives.
#[derive(Debug, Clone)]
pub struct Pattern(GlobMatcher);

/// A text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is no pattern: {problem}")]
pub struct BadPattern {
    pattern: String,
    problem: String,
}

impl BadPattern {
    /// What is wrong with it, without a part of it.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

/// The longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 4096;

/// The most `{` of a pattern. The regular expression that is made of it may be nested no deeper than 250, and globset
/// panics beyond.
const BRACES_MAX: usize = 100;

impl std::str::FromStr for Pattern {
    type Err = BadPattern;

    fn from_str(pattern: &str) -> Result<Self, BadPattern> {
        let bad = |problem| BadPattern { pattern: cut(pattern, 80), problem };
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(bad(format!("it is longer than {PATTERN_BYTES_MAX} bytes")));
        }
        if pattern.matches('{').count() > BRACES_MAX {
            return Err(bad(format!("it has more than {BRACES_MAX} alternatives")));
        }
        match Glob::new(pattern) {
            Ok(glob) => Ok(Self(glob.compile_matcher())),
            // These have a part of the pattern in them.
            Err(error) if matches!(error.kind(), ErrorKind::Regex(_)) => {
                Err(bad("it is too large".to_owned()))
            }
            Err(error) if matches!(error.kind(), ErrorKind::InvalidRange(..)) => {
                Err(bad("a range runs backwards".to_owned()))
            }
            Err(error) => Err(bad(error.kind().to_string())),
        }
    }
}

impl Pattern {
    /// Whether a project's name fits.
    #[must_use]
    pub fn fits(&self, project: &str) -> bool {
        self.0.is_match(project)
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.glob().glob()
    }
}

/// All alert groups, and where events go that no group wants.
#[derive(Debug, Clone, Default)]
pub struct Routing {
    /// The groups, in the configuration's order.
    pub groups: Vec<AlertGroup>,
    /// Where failures and errors go that no group wants.
    pub default_connectors: BTreeSet<Connector>,
    /// All connectors; the first of them keeps what can't be read.
    pub connectors: BTreeSet<Connector>,
}

/// What sends an event to a connector.
#[derive(Debug, Clone, Copy)]
pub enum Decider<'a> {
    /// The first alert group that wants the event and names the connector.
    Group(&'a AlertGroup),
    /// `default_connectors`.
    Defaults,
}

/// Why a group does not want an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unwanted {
    /// No pattern fits the project.
    Project,
    /// The severity is below the group's least.
    Severity,
    /// The status is none of the group's.
    Status,
    /// None of the group's tags.
    Tags,
    /// This label is missing or differs.
    Label(String),
}

impl AlertGroup {
    /// Whether the group wants an event.
    ///
    /// # Errors
    /// The first condition that does not hold.
    pub fn wants(&self, event: &Event) -> Result<(), Unwanted> {
        if !self.projects.is_empty() && !self.projects.iter().any(|pattern| pattern.fits(&event.project)) {
            return Err(Unwanted::Project);
        }
        if self.severity_at_least.is_some_and(|least| event.severity < least) {
            return Err(Unwanted::Severity);
        }
        if !self.statuses.contains(&event.status) {
            return Err(Unwanted::Status);
        }
        if !self.tags.is_empty() && !event.tags.iter().any(|tag| self.tags.contains(tag)) {
            return Err(Unwanted::Tags);
        }
        let differs = |(name, value): &(&String, &String)| event.labels.get(*name) != Some(*value);
        match self.labels.iter().find(differs) {
            Some((name, _)) => Err(Unwanted::Label(name.clone())),
            None => Ok(()),
        }
    }
}

impl Routing {
    /// The connectors that an event goes to.
    #[must_use]
    pub fn route(&self, event: &Event) -> BTreeSet<Connector> {
        let wanting: BTreeSet<Connector> = self
            .groups
            .iter()
            .filter(|group| group.wants(event).is_ok())
            .flat_map(|group| group.connectors.iter().cloned())
            .collect();
        if !wanting.is_empty() || !default_statuses().contains(&event.status) {
            return wanting;
        }
        self.default_connectors.clone()
    }

    /// Whether an event goes to `connector`.
    #[must_use]
    pub fn is_for(&self, connector: &Connector, event: &Event) -> bool {
        self.deciding(connector, event).is_some()
    }

    /// What the alert group that sends an event to `connector` wants otherwise than the connector's settings. If several
    /// do, the first of them in the file decides alone, also by asking for nothing.
    #[must_use]
    pub fn overrides(&self, connector: &Connector, event: &Event) -> Overrides {
        match self.deciding(connector, event) {
            Some(Decider::Group(group)) => {
                Overrides { recipients: group.recipients.clone(), priority: group.priority }
            }
            Some(Decider::Defaults) | None => Overrides::default(),
        }
    }

    /// What sends an event to `connector`; none: nothing does.
    #[must_use]
    pub fn deciding(&self, connector: &Connector, event: &Event) -> Option<Decider<'_>> {
        let mut wanted = false;
        for group in self.groups.iter().filter(|group| group.wants(event).is_ok()) {
            if group.connectors.contains(connector) {
                return Some(Decider::Group(group));
            }
            wanted |= !group.connectors.is_empty();
        }
        let defaults = default_statuses().contains(&event.status);
        let by_default = !wanted && defaults && self.default_connectors.contains(connector);
        by_default.then_some(Decider::Defaults)
    }

    /// Whether `connector` is the one that keeps what can't be read, and so can't be routed.
    #[must_use]
    pub fn keeps_invalid(&self, connector: &Connector) -> bool {
        self.connectors.first() == Some(connector)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(names: &[&str]) -> BTreeSet<Connector> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn group(name: &str, projects: &[&str]) -> AlertGroup {
        AlertGroup {
            name: name.into(),
            projects: projects.iter().map(|pattern| pattern.parse().unwrap()).collect(),
            severity_at_least: None,
            statuses: default_statuses(),
            tags: BTreeSet::new(),
            labels: BTreeMap::new(),
            connectors: names(&[name]),
            recipients: None,
            priority: None,
        }
    }

    fn routing() -> Routing {
        let severe = AlertGroup { severity_at_least: Some(Severity::Critical), ..group("sre", &[]) };
        Routing {
            groups: vec![group("payments", &["payments-*", "checkout-api"]), severe],
            default_connectors: names(&["all"]),
            connectors: names(&["all", "payments", "sre"]),
        }
    }

    #[track_caller]
    fn check(event: &Event, want: &[&str]) {
        let routing = routing();
        assert_eq!(routing.route(event), names(want));
        for connector in &routing.connectors {
            assert_eq!(routing.is_for(connector, event), names(want).contains(connector), "{connector}");
        }
    }

    #[test]
    fn an_event_goes_to_the_connectors_of_every_group_that_wants_it() {
        check(&Event::new("payments-eu", "t"), &["payments"]);
        check(
            &Event { severity: Severity::Critical, ..Event::new("checkout-api", "t") },
            &["payments", "sre"],
        );
    }

    #[test]
    fn what_no_group_wants_goes_to_the_default_connectors() {
        check(&Event::new("shop", "t"), &["all"]);
    }

    #[test]
    fn a_passed_test_goes_nowhere_unless_a_group_asks_for_it() {
        check(&Event { status: Status::Passed, ..Event::new("payments-eu", "t") }, &[]);
    }

    #[test]
    fn each_condition_is_named_when_it_does_not_hold() {
        let group = AlertGroup {
            severity_at_least: Some(Severity::High),
            tags: ["nightly".to_owned()].into(),
            labels: [("team".to_owned(), "core".to_owned())].into(),
            ..group("g", &["p"])
        };
        let fits = Event {
            tags: vec!["x".into(), "nightly".into()],
            labels: [("team".to_owned(), "core".to_owned())].into(),
            ..Event::new("p", "t")
        };
        assert_eq!(group.wants(&fits), Ok(()));
        let cases = [
            (Event { project: "q".into(), ..fits.clone() }, Unwanted::Project),
            (Event { severity: Severity::Medium, ..fits.clone() }, Unwanted::Severity),
            (Event { status: Status::Passed, ..fits.clone() }, Unwanted::Status),
            (Event { tags: vec!["x".into()], ..fits.clone() }, Unwanted::Tags),
            (Event { labels: BTreeMap::new(), ..fits }, Unwanted::Label("team".into())),
        ];
        for (event, want) in cases {
            assert_eq!(group.wants(&event), Err(want));
        }
    }

    #[test]
    fn the_first_group_that_sends_an_event_decides_what_is_overridden() {
        let to_all = |group: AlertGroup| AlertGroup { connectors: names(&["all", "sre"]), ..group };
        let recipients: Arc<[String]> = ["night-shift".to_owned()].into();
        let night = AlertGroup {
            recipients: Some(Arc::clone(&recipients)),
            priority: Some(Priority::High),
            ..to_all(group("night", &["pay*"]))
        };
        let plain = to_all(group("plain", &["pay*", "plain"]));
        let low = AlertGroup { priority: Some(Priority::Low), ..to_all(group("low", &[])) };
        let sre = AlertGroup { connectors: names(&["sre"]), ..night.clone() };
        let all = names(&["all", "other", "sre"]);
        let routing = Routing {
            groups: vec![sre, plain, night, low],
            default_connectors: all.clone(),
            connectors: all,
        };
        let of = |connector: &str, project: &str| {
            routing.overrides(&connector.parse().unwrap(), &Event::new(project, "t"))
        };
        let by_night = Overrides { recipients: Some(recipients), priority: Some(Priority::High) };
        let by_low = Overrides { recipients: None, priority: Some(Priority::Low) };
        assert_eq!(of("sre", "payments"), by_night);
        assert_eq!(of("all", "payments"), Overrides::default(), "the second group asks for nothing");
        assert_eq!(of("sre", "plain"), Overrides::default());
        assert_eq!(of("all", "shop"), by_low);
        assert_eq!(of("other", "shop"), Overrides::default(), "it does not go there");
    }

    #[test]
    fn the_first_connector_by_name_keeps_what_cannot_be_read() {
        let keeps = |name: &str| routing().keeps_invalid(&name.parse().unwrap());
        assert_eq!(["all", "payments", "sre"].map(keeps), [true, false, false]);
    }

    #[test]
    fn a_broken_pattern_is_refused() {
        let problem = |text: &str| text.parse::<Pattern>().unwrap_err().problem().to_owned();
        assert_eq!(problem("pay[ments"), "unclosed character class; missing ']'");
        assert_eq!(problem("pay[z-a]"), "a range runs backwards");
        let pattern: Pattern = "pay/*".parse().unwrap();
        assert!(pattern.fits("pay/a/b") && pattern.as_str() == "pay/*");
    }

    #[test]
    fn a_pattern_that_is_nested_too_deep_or_too_long_is_refused() {
        let nested = |depth: usize| format!("{}a{}", "{".repeat(depth), "}".repeat(depth)).parse::<Pattern>();
        assert!(nested(100).unwrap().fits("a"));
        for depth in [101, 300, 2_000, 100_000] {
            let error = nested(depth).unwrap_err().to_string();
            assert!(error.len() < 300, "{error}");
        }
        assert!("a".repeat(4_096).parse::<Pattern>().is_ok());
        assert!("a".repeat(4_097).parse::<Pattern>().is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_a_pattern_or_refused(text in r"([*?{},!\[\]\\^-]|[a-cé]|\*\*/?|\[!|\PC){0,30}", project in "\\PC{0,9}") {
            if let Ok(pattern) = text.parse::<Pattern>() {
                let _fits = pattern.fits(&project);
                prop_assert_eq!(pattern.as_str(), text);
            }
        }
    }
}
