//! A selector as the query of a URL.

use nightbell_core::connector::Connector;
use nightbell_core::dead::Reason;
use serde::{Deserialize, Serialize};

use crate::selector::{Moment, Selector, start_of_id};

/// The query of the routes under `/v1/dead-letters`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Query {
    connector: Option<Connector>,
    reason: Option<Reason>,
    project: Option<String>,
    since: Option<String>,
    until: Option<String>,
    /// Separated by commas.
    id: Option<String>,
    limit: Option<usize>,
    /// That all are meant, where there is no condition.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    all: bool,
}

impl Query {
    /// The selector that is meant, for a verb that changes something: that all are meant has to be said.
    ///
    /// # Errors
    /// As [`Query::selector`]; or there is no condition, or one beside `all=true`.
    pub(crate) fn deliberate(self) -> Result<Selector, String> {
        let all = self.all;
        let selector = self.selector()?;
        match (all, is_all(&selector)) {
            (true, true) | (false, false) => Ok(selector),
            (false, true) => {
                Err("it names no dead letters; give a condition, or all=true for all of them".into())
            }
            (true, false) => Err("all=true stands beside a condition; give the one or the other".into()),
        }
    }

    /// The selector that is meant.
    ///
    /// # Errors
    /// A time or an id that is none.
    pub(crate) fn selector(self) -> Result<Selector, String> {
        let moment = |name: &str, text: Option<String>| {
            let read = text.map(|text| text.parse::<Moment>()).transpose();
            read.map_err(|error| format!("{name}: {error}"))
        };
        let ids: Result<_, _> = self.id.iter().flat_map(|ids| ids.split(',')).map(start_of_id).collect();
        Ok(Selector {
            connector: self.connector,
            reason: self.reason,
            project: self.project,
            since: moment("since", self.since)?,
            until: moment("until", self.until)?,
            id: ids.map_err(|error| format!("id: {error}"))?,
            limit: self.limit,
        })
    }
}

/// Whether there is no condition; a limit is none.
fn is_all(selector: &Selector) -> bool {
    let Selector { connector, reason, project, since, until, id, limit: _ } = selector;
    let texts = (connector, reason, project, since, until);
    matches!(texts, (None, None, None, None, None)) && id.is_empty()
}

/// The selector as a query.
pub(crate) fn query(selector: &Selector) -> String {
    let all = is_all(selector);
    let Selector { connector, reason, project, since, until, id, limit } = selector.clone();
    let moment = |moment: Option<Moment>| moment.map(|moment| moment.to_string());
    let (since, until) = (moment(since), moment(until));
    let id = Some(id.join(",")).filter(|ids| !ids.is_empty());
    let query = Query { connector, reason, project, since, until, id, limit, all };
    serde_urlencoded::to_string(query).expect("a query is made of texts and numbers")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nightbell_core::time::UnixMillis;
    use proptest::option::of;
    use proptest::prelude::*;

    use super::*;

    fn read(query: &str) -> Result<Selector, String> {
        let uri = format!("http://h/?{query}").parse().unwrap();
        let read = axum::extract::Query::<Query>::try_from_uri(&uri).map_err(|error| error.to_string());
        read.and_then(|axum::extract::Query(query)| query.selector())
    }

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
        assert_eq!(format!("{:?}", read(&query(&selector)).unwrap()), format!("{selector:?}"));
    }

    #[test]
    fn no_condition_means_nothing_unless_all_is_said() {
        assert_eq!(query(&Selector::default()), "all=true");
        assert_eq!(query(&Selector { limit: Some(1), ..Selector::default() }), "limit=1&all=true");
        for (text, want) in [
            ("", Some("it names no dead letters")),
            ("limit=5", Some("it names no dead letters")),
            ("all=false", Some("it names no dead letters")),
            ("all=true", None),
            ("all=true&limit=5", None),
            ("reason=refused", None),
            ("reason=refused&all=false", None),
            ("reason=refused&all=true", Some("all=true stands beside a condition")),
            ("all=yes", Some("Failed to deserialize")),
            ("all=true&every=1", Some("Failed to deserialize")),
        ] {
            let uri = format!("http://h/?{text}").parse().unwrap();
            let read = axum::extract::Query::<Query>::try_from_uri(&uri).map_err(|error| error.to_string());
            let read = read.and_then(|axum::extract::Query(query)| query.deliberate());
            let error = read.err();
            let is_right = match want {
                None => error.is_none(),
                Some(want) => error.as_deref().is_some_and(|error| error.starts_with(want)),
            };
            assert!(is_right, "{text}: {error:?}");
        }
        // To list them, nothing need be said.
        assert_eq!(Query::default().selector().unwrap().limit, None);
    }

    #[test]
    fn a_time_that_is_none_is_named() {
        let query = Query { since: Some("soon".into()), ..Query::default() };
        assert!(query.selector().unwrap_err().starts_with("since: `soon`"));
    }

    #[test]
    fn an_id_that_is_empty_is_refused_and_does_not_mean_every_letter() {
        for text in ["id=", "id=,", "id=ab,", "id=,ab", "id=g0", "id=0123456789abcdef0123456789abcdef0"] {
            assert!(read(text).unwrap_err().starts_with("id: `"), "{text}");
        }
        assert_eq!(read("id=AB,cd").unwrap().id, ["AB", "cd"]);
    }

    fn any_moment() -> impl Strategy<Value = Moment> {
        prop_oneof![
            // The last millisecond that the calendar can show.
            (0..=253_402_207_200_999_u64).prop_map(|at| Moment::At(UnixMillis(at))),
            (0..=u64::MAX / 2, 0..1_000_000_000_u32)
                .prop_map(|(secs, nanos)| Moment::Ago(Duration::new(secs, nanos))),
        ]
    }

    prop_compose! {
        fn any_selector()(
            connector in of("[a-z0-9-]{1,32}"),
            reason in of(proptest::sample::select(&Reason::ALL[..])),
            project in of("\\PC{0,12}"),
            since in of(any_moment()),
            until in of(any_moment()),
            id in proptest::collection::vec("[0-9a-fA-F]{1,32}", 0..4),
            limit in of(any::<usize>()),
        ) -> Selector {
            Selector { connector: connector.map(|name| name.parse().unwrap()), reason, project, since, until, id, limit }
        }
    }

    proptest! {
        #[test]
        fn every_selector_survives_the_way_through_a_url(selector in any_selector()) {
            prop_assert_eq!(format!("{:?}", read(&query(&selector)).unwrap()), format!("{selector:?}"));
        }

        #[test]
        fn a_query_that_is_nearly_right_is_read_or_refused(
            text in "((connector|reason|project|since|until|id|limit|x)=([0-9a-f,]{0,9}|[0-9]{1,22}[smhdyM]?|refused|2026-1[12]-[0-3][0-9]T03:00:00Z|%[0-9A-F]{2}|[a-z+%*]{0,6})&?){0,4}",
        ) {
            if let Ok(selector) = read(&text) {
                prop_assert!(selector.id.iter().all(|id| !id.is_empty()));
                prop_assert_eq!(format!("{:?}", read(&query(&selector)).unwrap()), format!("{selector:?}"));
            }
        }

        #[test]
        fn a_moment_that_is_nearly_right_is_read_again_as_it_is_shown_or_is_refused(
            text in "([0-9]{1,20} ?(ns|us|ms|s|m|h|days|w|M|y|years)? ?){0,3}|-?[0-9]{4,6}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](Z|[+-][0-9:]{2,6})|\\PC{0,9}",
        ) {
            if let Ok(moment) = text.parse::<Moment>() {
                prop_assert_eq!(moment.to_string().parse(), Ok(moment));
                let _seen = moment.seen_from(UnixMillis(1_700_000_000_000));
            }
        }
    }
}
