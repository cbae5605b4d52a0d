//! A selector as the query of a URL.

use nightbell_core::connector::Connector;
use nightbell_core::dead::Reason;
use serde::Deserialize;
use url::form_urlencoded::Serializer;

use crate::cli::{Moment, Selector};

/// The query of the routes under `/v1/dead-letters`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    connector: Option<Connector>,
    reason: Option<Reason>,
    project: Option<String>,
    since: Option<String>,
    until: Option<String>,
    /// Separated by commas.
    id: Option<String>,
    limit: Option<usize>,
}

impl Query {
    /// The selector that is meant.
    ///
    /// # Errors
    /// A time that is none.
    pub(super) fn selector(self) -> Result<Selector, String> {
        let moment = |name: &str, text: Option<String>| {
            let read = text.map(|text| text.parse::<Moment>()).transpose();
            read.map_err(|error| format!("{name}: {error}"))
        };
        let ids = self.id.unwrap_or_default();
        Ok(Selector {
            connector: self.connector,
            reason: self.reason,
            project: self.project,
            since: moment("since", self.since)?,
            until: moment("until", self.until)?,
            id: ids.split(',').filter(|id| !id.is_empty()).map(ToOwned::to_owned).collect(),
            limit: self.limit,
        })
    }
}

/// The selector as a query.
pub(super) fn query(selector: &Selector) -> String {
    let Selector { connector, reason, project, since, until, id, limit } = selector;
    let fields = [
        ("connector", connector.as_ref().map(ToString::to_string)),
        ("reason", reason.map(|reason| reason.to_string())),
        ("project", project.clone()),
        ("since", since.map(|moment| moment.to_string())),
        ("until", until.map(|moment| moment.to_string())),
        ("id", Some(id.join(",")).filter(|ids| !ids.is_empty())),
        ("limit", limit.map(|limit| limit.to_string())),
    ];
    let mut query = Serializer::new(String::new());
    for (name, value) in fields {
        if let Some(value) = value {
            query.append_pair(name, &value);
        }
    }
    query.finish()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nightbell_core::time::UnixMillis;

    use super::*;

    #[test]
    fn a_selector_survives_the_way_through_a_url() {
        let selector = Selector {
            connector: Some("sre".parse().unwrap()),
            reason: Some(Reason::Refused),
            project: Some("shop & co*".into()),
            since: Some(Moment::At(UnixMillis(1_700_000_000_123))),
            until: Some(Moment::Ago(Duration::from_millis(90_500))),
            id: vec!["ab".into(), "cd".into()],
            limit: Some(7),
        };
        let uri = format!("http://h/?{}", query(&selector)).parse().unwrap();
        let axum::extract::Query(back) = axum::extract::Query::<Query>::try_from_uri(&uri).unwrap();
        assert_eq!(format!("{:?}", back.selector().unwrap()), format!("{selector:?}"));
    }

    #[test]
    fn no_condition_is_an_empty_query() {
        assert_eq!(query(&Selector::default()), "");
        assert_eq!(Query::default().selector().unwrap().limit, None);
    }

    #[test]
    fn a_time_that_is_none_is_named() {
        let query = Query { since: Some("soon".into()), ..Query::default() };
        assert!(query.selector().unwrap_err().starts_with("since: `soon`"));
    }
}
