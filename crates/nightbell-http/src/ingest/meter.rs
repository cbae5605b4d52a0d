//! The metric of ingest.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use metrics::{Counter, counter, describe_counter};

/// A way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Route {
    Events,
    Reports,
    Junit,
    ApiFortress,
}

impl Route {
    pub(crate) const ALL: [Self; 4] = [Self::Events, Self::Reports, Self::Junit, Self::ApiFortress];

    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Events => "/v1/events",
            Self::Reports => "/v1/reports",
            Self::Junit => "/v1/junit",
            Self::ApiFortress => "/v1/apifortress",
        }
    }

    /// Its label in the metric.
    fn label(self) -> &'static str {
        self.path().trim_start_matches("/v1/")
    }
}

/// Every status that ingest answers with.
pub(super) const CODES: [StatusCode; 11] = [
    StatusCode::ACCEPTED,
    StatusCode::BAD_REQUEST,
    StatusCode::UNAUTHORIZED,
    StatusCode::FORBIDDEN,
    StatusCode::REQUEST_TIMEOUT,
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    StatusCode::UNPROCESSABLE_ENTITY,
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::INTERNAL_SERVER_ERROR,
    StatusCode::SERVICE_UNAVAILABLE,
];

/// `nightbell_ingest_requests_total`, all series there from the start.
pub(super) struct Meters(BTreeMap<(Route, StatusCode), Counter>);

impl Meters {
    pub(super) fn new() -> Self {
        describe_counter!(
            "nightbell_ingest_requests_total",
            "Requests that brought events over HTTP, by route and status"
        );
        let of = |route: Route, code: StatusCode| {
            let counter = counter!(
                "nightbell_ingest_requests_total", "route" => route.label(), "code" => code.as_str().to_owned(),
            );
            counter.increment(0);
            ((route, code), counter)
        };
        Self(Route::ALL.into_iter().flat_map(|route| CODES.map(|code| of(route, code))).collect())
    }

    pub(super) fn count(&self, route: Route, code: StatusCode) {
        debug_assert!(CODES.contains(&code), "{code} is in the table");
        if let Some(counter) = self.0.get(&(route, code)) {
            counter.increment(1);
        }
    }
}
