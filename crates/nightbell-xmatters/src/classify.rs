//! What an answer means.

use nightbell_core::outcome::Outcome;
use nightbell_core::time::UnixMillis;

use crate::excerpt::excerpt;
use crate::lenient;
use crate::retry_after;
use crate::secrets::Secrets;

/// The longest `requestId` that is believed, in bytes. Real ones are UUIDs.
pub const REQUEST_ID_BYTES_MAX: usize = 128;

/// An answer, as far as it was read.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The value of `Retry-After`.
    pub retry_after: Option<&'a str>,
    /// The start of the body. It may have broken off.
    pub body: &'a [u8],
}

/// Says what an answer that came at `now` means. Pure and total.
///
/// The status alone decides. In particular a 2xx is accepted even if its body is no JSON or broke off: xMatters has
/// taken the alert, and a lost `requestId` is no reason to page twice.
#[must_use]
pub fn classify(answer: Answer<'_>, secrets: &Secrets, now: UnixMillis) -> Outcome {
    let Answer { status, retry_after, body } = answer;
    let retry_after = || retry_after.and_then(|value| retry_after::read(value, now));
    match status {
        200..=299 => Outcome::Accepted { request_id: request_id(body, secrets) },
        // 407 is a proxy's, which does not take our credentials.
        401 | 403 | 404 | 407 => Outcome::Unauthorized { status },
        429 => Outcome::Throttled { retry_after: retry_after() },
        408 | 425 | 500..=599 => {
            let excerpt = excerpt(body, secrets);
            let text = if excerpt.is_empty() { String::new() } else { format!(": {excerpt}") };
            Outcome::Unavailable { detail: format!("HTTP {status}{text}"), retry_after: retry_after() }
        }
        _ => Outcome::Refused { status, body: excerpt(body, secrets) },
    }
}

/// The `requestId` of an answer: printable ASCII, and not too long to be kept.
fn request_id(body: &[u8], secrets: &Secrets) -> Option<String> {
    let id = lenient::text(lenient::get(&lenient::object(body)?, "requestid")?)?;
    let fits =
        (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    // A server that repeats what it was sent could put anything there.
    fits.then(|| secrets.mask(&id))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::settings::tests::with_password;
    use nightbell_core::outcome::OutcomeKind;

    const NOW: UnixMillis = UnixMillis(784_111_777_000);

    fn outcome(status: u16, retry_after: Option<&str>, body: &str) -> Outcome {
        let secrets = Secrets::of(&with_password("https://a.example/x", "u", "hunter2"));
        classify(Answer { status, retry_after, body: body.as_bytes() }, &secrets, NOW)
    }

    #[test]
    fn every_status_has_its_outcome() {
        for status in 100..=599 {
            let want = match status {
                200..=299 => OutcomeKind::Accepted,
                401 | 403 | 404 | 407 => OutcomeKind::Unauthorized,
                408 | 425 | 500..=599 => OutcomeKind::Unavailable,
                429 => OutcomeKind::Throttled,
                _ => OutcomeKind::Refused,
            };
            let outcome = outcome(status, Some("5"), "hunter2");
            assert_eq!(outcome.kind(), want, "{status}");
            assert!(!outcome.detail().contains("hunter2"), "{outcome:?}");
        }
        assert_eq!(outcome(0, None, "").kind(), OutcomeKind::Refused);
        assert_eq!(outcome(999, None, "").kind(), OutcomeKind::Refused);
    }

    #[test]
    fn a_retry_after_is_heard_where_waiting_helps() {
        let five = Some(Duration::from_secs(5));
        assert_eq!(outcome(429, Some("5"), ""), Outcome::Throttled { retry_after: five });
        let date = Some("Sun, 06 Nov 1994 08:49:42 GMT");
        assert_eq!(outcome(429, date, ""), Outcome::Throttled { retry_after: five });
        assert_eq!(outcome(429, Some("soon"), ""), Outcome::Throttled { retry_after: None });
        for status in [408, 425, 503] {
            let unavailable = Outcome::Unavailable { detail: format!("HTTP {status}"), retry_after: five };
            assert_eq!(outcome(status, Some("5"), ""), unavailable);
        }
    }

    #[test]
    fn a_failure_quotes_the_start_of_the_body() {
        let unavailable = outcome(502, None, "<h1>502</h1><p>hunter2 nginx");
        assert_eq!(
            unavailable,
            Outcome::Unavailable { detail: "HTTP 502: 502 *** nginx".into(), retry_after: None }
        );
        let refused = outcome(400, None, "{\"reason\": \"hunter2\"}");
        assert_eq!(refused, Outcome::Refused { status: 400, body: "{\"reason\": \"***\"}".into() });
    }

    #[test]
    fn a_request_id_is_kept_if_it_is_a_sane_one() {
        #[track_caller]
        fn check(body: &str, want: Option<&str>) {
            let want = Outcome::Accepted { request_id: want.map(str::to_owned) };
            assert_eq!(outcome(202, None, body), want, "{body}");
        }
        let id = "93e6b331-6a4c-4f0e-8d6e-0a1b2c3d4e5f";
        check(&format!("{{\"requestId\":\"{id}\"}}"), Some(id));
        check(&format!("{{\"a\":[1],\"requestId\":\"{id}\"}}\n"), Some(id));
        let longest = "x".repeat(REQUEST_ID_BYTES_MAX);
        check(&format!("{{\"requestId\":\"{longest}\"}}"), Some(&longest));
        check(&format!("{{\"requestId\":\"{longest}x\"}}"), None);
        check("{\"requestId\":7}", Some("7"));
        check("{\"requestId\":[\"r-1\",\"r-2\"]}", Some("r-1"));
        check("{\"request_id\":\"r-1\"}", Some("r-1"));
        check("\u{feff}[{\"requestID\":\" r-1\"}]", Some("r-1"));
        check("{\"requestId\":\"r-hunter2\"}", Some("r-***"));
        for body in [
            "",
            "OK",
            "{}",
            "[]",
            "[[]]",
            "{\"requestId\":null}",
            "{\"requestId\":{}}",
            "{\"requestId\":\"\"}",
            "{\"requestId\":\"a b\"}",
        ] {
            check(body, None);
        }
        check("{\"requestId\":\"a\\u001b[2J\"}", None);
        check("{\"requestId\":\"ä\"}", None);
        check(&format!("{{\"requestId\":\"{}", &id[..20]), None);
    }
}
