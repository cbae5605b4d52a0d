//! What the query of an ingest request says.

use axum::http::{StatusCode, Uri};
use nightbell_core::event::Severity;
use nightbell_reports::ReportOptions;
use url::form_urlencoded;

use crate::answer::Problem;

/// The options of `/v1/events`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct EventsQuery {
    /// Whether the valid events of a request are published though others are not valid.
    pub(super) is_partial: bool,
}

impl EventsQuery {
    pub(super) fn read(uri: &Uri) -> Result<Self, Problem> {
        let mut read = Self::default();
        for (name, value) in pairs(uri) {
            match (name.as_str(), value.as_str()) {
                ("partial", "true") => read.is_partial = true,
                ("partial", "false") => read.is_partial = false,
                ("partial", _) => {
                    return Err(unusable("`partial` is neither true nor false", "give partial=true"));
                }
                _ => return Err(unknown("it knows partial")),
            }
        }
        Ok(read)
    }
}

/// For a route without options.
pub(super) fn require_none(uri: &Uri) -> Result<(), Problem> {
    if pairs(uri).next().is_none() { Ok(()) } else { Err(unknown("it knows none")) }
}

/// The options of `/v1/reports` and `/v1/junit`.
pub(super) fn report_options(uri: &Uri) -> Result<ReportOptions, Problem> {
    let mut read = ReportOptions::default();
    for (name, value) in pairs(uri) {
        match name.as_str() {
            "project" => read.project = value,
            "environment" => read.environment = filled(value),
            "run_id" => read.run_id = filled(value),
            "suite" => read.suite = filled(value),
            "report_url" => read.report_url = filled(value),
            "tag" => read.tags.push(value),
            "severity" => read.severity = severity(&value)?,
            "exit_status" => read.exit_status = filled(value),
            "label" => match value.split_once('=') {
                Some((label, value)) if !label.is_empty() => {
                    read.labels.insert(label.to_owned(), value.to_owned());
                }
                _ => {
                    return Err(unusable(
                        "a `label` is not of the form NAME=VALUE",
                        "give label=team%3Dpayments",
                    ));
                }
            },
            _ => {
                let known = "it knows project, environment, run_id, suite, severity, report_url, exit_status, label and tag";
                return Err(unknown(known));
            }
        }
    }
    if read.project.trim().is_empty() {
        return Err(unusable("`project` is missing or empty", "give project=NAME in the query"));
    }
    Ok(read)
}

fn severity(word: &str) -> Result<Severity, Problem> {
    let all = [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Minimal];
    all.into_iter()
        .find(|severity| severity.as_str() == word)
        .ok_or_else(|| unusable("`severity` is none", "give one of critical, high, medium, low and minimal"))
}

/// An option that is given but empty is what a script makes of an unset variable.
fn filled(value: String) -> Option<String> {
    Some(value).filter(|value| !value.is_empty())
}

fn pairs(uri: &Uri) -> impl Iterator<Item = (String, String)> {
    let query = uri.query().unwrap_or_default();
    form_urlencoded::parse(query.as_bytes()).map(|(name, value)| (name.into_owned(), value.into_owned()))
}

fn unusable(error: &'static str, hint: &'static str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error, hint)
}

fn unknown(hint: &'static str) -> Problem {
    unusable("the query has an option that this route does not know", hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(query: &str) -> Uri {
        format!("/x?{query}").parse().unwrap()
    }

    #[track_caller]
    fn check_fault(query: &str, want: &str) {
        let problem = format!("{:?}", report_options(&uri(query)).unwrap_err());
        assert!(problem.contains("422") && problem.contains(want), "{query}: {problem}");
    }

    #[test]
    fn every_option_of_a_report_is_read() {
        let query = "project=shop+1&environment=prod&run_id=7&suite=s&severity=low&report_url=https%3A%2F%2Fr%2F1%3Fa%3Db\
                     &label=team=pay%3D1&label=x%3D&tag=a&tag=b";
        let read = report_options(&uri(query)).unwrap();
        assert_eq!((read.project.as_str(), read.severity), ("shop 1", Severity::Low));
        let texts = [read.environment, read.run_id, read.suite, read.report_url].map(Option::unwrap);
        assert_eq!(texts, ["prod", "7", "s", "https://r/1?a=b"]);
        assert_eq!(read.tags, ["a", "b"]);
        let labels =
            read.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>();
        assert_eq!(labels, [("team", "pay=1"), ("x", "")]);
    }

    #[test]
    fn an_empty_option_counts_as_absent() {
        assert_eq!(report_options(&uri("project=p&run_id=&environment=")).unwrap().run_id, None);
    }

    #[test]
    fn faults_are_named() {
        check_fault("", "`project` is missing");
        check_fault("project=+", "`project` is missing");
        check_fault("project=p&severity=grave", "`severity` is none");
        check_fault("project=p&label=team", "a `label` is not of the form");
        check_fault("project=p&label==x", "a `label` is not of the form");
        check_fault("project=p&projekt=q", "an option that this route does not know");
    }

    #[test]
    fn partial_is_true_or_false() {
        assert_eq!(EventsQuery::read(&uri("")).unwrap(), EventsQuery { is_partial: false });
        assert_eq!(EventsQuery::read(&uri("partial=true")).unwrap(), EventsQuery { is_partial: true });
        assert!(EventsQuery::read(&uri("partial=1")).is_err());
        assert!(EventsQuery::read(&uri("dry_run=true")).is_err());
        assert!(require_none(&uri("")).is_ok());
        assert!(require_none(&uri("partial=true")).is_err());
    }
}
