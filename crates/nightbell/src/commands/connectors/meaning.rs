//! What an outcome usually means in xMatters, and what to do about it.

use nightbell_core::outcome::Outcome;
use nightbell_core::tls::TlsFault;

use crate::exit::Code;

/// What an outcome says to whoever set the connector up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meaning {
    /// The exit code; none: it went well.
    pub(super) code: Option<Code>,
    /// What it means, and what to look at.
    pub(super) text: &'static str,
}

/// Failures without an answer, by the words that their details begin with or contain.
const TROUBLES: [(&str, &str); 9] = [
    (
        "proxy",
        "the proxy did not let it through: see `proxy.url`, its user and password, and whether it allows this host",
    ),
    ("certificate", "the server asks for a certificate of ours, or refuses it: see `client_certificate`"),
    (
        "TLS failed",
        "TLS could not be agreed on: see that the port of the URL speaks TLS, and `client_certificate`",
    ),
    ("host name", "the host is not known: see the spelling in `trigger_url`, and this machine's DNS"),
    (
        "connecting took too long",
        "nothing answered within `connect_timeout`: a firewall drops it as a rule, or a `proxy` is needed",
    ),
    ("no HTTP", "what answers speaks no HTTP: if the port speaks TLS, write `https://`"),
    ("connection refused", "nothing listens there: see host and port in `trigger_url`, or in `proxy.url`"),
    (
        "connection",
        // With TLS 1.3 the server's reason can be lost behind the request that was on its way already.
        "the connection broke: a firewall or a proxy in between, or the server, ended it; so does a server that wants \
         a `client_certificate`",
    ),
    ("unreachable", "there is no route to it: see this machine's network, or whether a `proxy` is needed"),
];

/// Says what an outcome usually means.
pub(super) fn meaning(outcome: &Outcome) -> Meaning {
    let failed = |code, text| Meaning { code: Some(code), text };
    match outcome {
        Outcome::Accepted { request_id: Some(_) } => Meaning {
            code: None,
            text: "xMatters has taken it; whether somebody is notified, its flow decides: look for the requestId in \
                   the flow's activity",
        },
        Outcome::Accepted { request_id: None } => Meaning {
            code: None,
            text: "it was taken, but the answer has no requestId, as xMatters gives one, so that perhaps nobody is \
                   notified: see that `trigger_url` is that of an HTTP trigger, and that no proxy or login page answers \
                   in its place",
        },
        Outcome::Throttled { .. } => failed(
            Code::TempFail,
            "over the plan's requests per minute: wait, and lower `rate_limit` below what the plan allows",
        ),
        Outcome::TimedOut => failed(
            Code::Unavailable,
            "no whole answer within `timeout`; xMatters may have taken it all the same: try again, or allow more time",
        ),
        // Of the trigger these are the only ones; a token endpoint has others too.
        Outcome::Unauthorized { status } if !matches!(status, 401 | 403 | 404 | 407) => failed(
            Code::NoPermission,
            "no OAuth2 token was given: see `client_id`, the user and password or the refresh token, and `token_url`",
        ),
        Outcome::Unauthorized { status } | Outcome::Refused { status, .. } => refused(*status),
        Outcome::Unavailable { detail, .. } => failed(Code::Unavailable, unavailable(detail)),
    }
}

fn refused(status: u16) -> Meaning {
    let failed = |code, text| Meaning { code: Some(code), text };
    match status {
        401 => failed(
            Code::NoPermission,
            "xMatters does not know this login: a wrong user or login id, password or key, or a disabled or locked \
             user",
        ),
        403 => failed(
            Code::NoPermission,
            "the authenticating user lacks permission on the form or flow: give it the sender permission there",
        ),
        404 => failed(
            Code::Config,
            "there is no such trigger: a wrong function id in `trigger_url`, or the trigger was deleted",
        ),
        300..=399 => failed(
            Code::Config,
            "it points elsewhere, which is never followed: `trigger_url` is not the trigger's own, or a proxy or a \
             login page stands before it",
        ),
        400 | 422 => failed(
            Code::Config,
            "the trigger does not understand the body: see that `payload` is what the flow expects, and that its \
             recipients exist",
        ),
        405 => failed(Code::Config, "it takes no POST: `trigger_url` is not that of an HTTP trigger"),
        407 => failed(
            Code::NoPermission,
            "the proxy asks for a login: set `proxy.username` and `proxy.password`",
        ),
        413 => failed(Code::Config, "the body is too long for the server or for a proxy in between"),
        _ => failed(Code::Config, "the server refuses it: see its answer, and that `trigger_url` is right"),
    }
}

fn unavailable(detail: &str) -> &'static str {
    if detail.starts_with("HTTP ") {
        return "the server is in trouble or overloaded, xMatters or a proxy before it; the worker would try again";
    }
    if let Some(fault) = TlsFault::told_in(detail) {
        return fault.cure();
    }
    let known = TROUBLES.iter().find(|(words, _)| detail.contains(words));
    known.map_or("it could not be reached; the worker would try again", |(_, text)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(outcome: &Outcome, code: Option<Code>, words: &str) {
        let meaning = meaning(outcome);
        assert_eq!(meaning.code, code, "{outcome:?}");
        assert!(meaning.text.contains(words), "{outcome:?}: {}", meaning.text);
    }

    #[test]
    fn every_status_has_its_meaning() {
        for (status, code, words) in [
            (401, Code::NoPermission, "disabled"),
            (403, Code::NoPermission, "lacks permission on the form"),
            (404, Code::Config, "wrong function id"),
            (407, Code::NoPermission, "proxy.username"),
            (400, Code::NoPermission, "refresh token"),
        ] {
            check(&Outcome::Unauthorized { status }, Some(code), words);
        }
        for (status, code, words) in [
            (302, Code::Config, "never followed"),
            (400, Code::Config, "does not understand the body"),
            (405, Code::Config, "no POST"),
            (413, Code::Config, "too long"),
            (418, Code::Config, "refuses it"),
        ] {
            check(&Outcome::Refused { status, body: "hunter2".into() }, Some(code), words);
        }
        let throttled = Outcome::Throttled { retry_after: None };
        check(&throttled, Some(Code::TempFail), "the plan's requests per minute");
    }

    #[test]
    fn every_trouble_on_the_way_has_its_meaning() {
        #[track_caller]
        fn check_detail(detail: &str, words: &str) {
            let outcome = Outcome::Unavailable { detail: detail.into(), retry_after: None };
            check(&outcome, Some(Code::Unavailable), words);
        }
        check_detail("HTTP 503: connection", "in trouble or overloaded");
        check_detail("certificate not trusted: its issuer is not known", "ca_file");
        check_detail("TLS failed: the server does not speak TLS", "speaks TLS");
        check_detail("through the proxy: certificate not trusted: it has expired", "must renew it");
        check_detail("the answer is no HTTP", "write `https://`");
        check_detail("host name not found", "DNS");
        check_detail("connecting took too long", "connect_timeout");
        check_detail("connection refused", "nothing listens");
        check_detail("connection reset", "broke");
        check_detail("network unreachable", "no route");
        check_detail("request failed", "could not be reached");
        check(&Outcome::TimedOut, Some(Code::Unavailable), "may have taken it");
    }

    #[test]
    fn the_runbook_says_of_timed_out_what_connectors_test_says() {
        let runbook = include_str!("../../../../../deploy/RUNBOOK.md");
        let (_, from) = runbook.split_once("\n- `timed_out`:").unwrap();
        let (said, _) = from.split_once("\n- ").unwrap();
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        let Meaning { text, .. } = meaning(&Outcome::TimedOut);
        for part in ["no whole answer within `timeout`", "may have taken it all the same", "allow more time"]
        {
            assert!(text.contains(part) && said.contains(part), "`{part}`: {text}: {said}");
        }
    }

    #[test]
    fn a_success_says_where_to_look() {
        check(&Outcome::Accepted { request_id: Some("r".into()) }, None, "requestId");
        check(&Outcome::Accepted { request_id: None }, None, "HTTP trigger");
    }
}
