//! The destinations: reached without posting anything, and whether their certificates and our clock will do.

use std::time::Duration;

use nightbell_core::ports::Clock as _;
use nightbell_core::time::UnixMillis;
use nightbell_core::tls::TlsFault;
use nightbell_worker::SystemClock;
use nightbell_xmatters::{Endpoint, Obstacle, Probe, Shown, TwoClocks, Validity, probe};

use super::finding::Finding;
use crate::config::{Config, ConnectorConfig};
use crate::exit::{Code, Failure, OrFail as _};
use crate::telemetry::CERTIFICATE_LEFT_MIN;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A clock that is further off is warned of.
const CLOCK_OFF_MAX: Duration = Duration::from_secs(5 * 60);

/// Reaches all destinations.
///
/// # Errors
/// A destination's settings are broken.
pub(super) async fn look(config: &Config) -> Result<Vec<Finding>, Failure> {
    let (mut findings, mut clocks) = (Vec::new(), Vec::new());
    for connector in &config.connectors {
        for probe in probe(&connector.destination, &SystemClock).await.or_fail(Code::Config)? {
            let validity = probe.certificate.as_ref().map(|shown| shown.validity);
            clocks.push((probe.place.clone(), probe.time, validity));
            findings.extend(judge(connector, &probe, SystemClock.now()));
        }
    }
    findings.push(clock(&clocks, SystemClock.now()));
    Ok(findings)
}

fn judge(connector: &ConnectorConfig, probe: &Probe, now: UnixMillis) -> Vec<Finding> {
    let whose = match probe.endpoint {
        Endpoint::Trigger => format!("destination of {}", connector.name),
        Endpoint::Token => format!("token endpoint of {}", connector.name),
    };
    let mut findings = vec![way(&whose, probe)];
    let what = format!("certificate of {}", probe.place);
    findings.extend(probe.certificate.as_ref().map(|shown| certificate(&what, shown, now)));
    findings
}

fn way(whose: &str, probe: &Probe) -> Finding {
    let through =
        probe.proxy.as_ref().map_or_else(String::new, |proxy| format!(" through the proxy {proxy}"));
    let Some(obstacle) = &probe.obstacle else {
        let took = probe.took.unwrap_or_default().as_millis().max(1);
        let said = format!("{}{through} answers within {took} ms", probe.place);
        return Finding::ok(whose, format!("{said}; addresses of the name: {}", probe.addresses));
    };
    let cure = match obstacle {
        Obstacle::Name { .. } => "correct the host in `trigger_url`, or this machine's name service",
        Obstacle::Connect { .. } | Obstacle::TimedOut { .. } => {
            "see that the server is up, and that firewall and `proxy` let this machine reach it"
        }
        Obstacle::Tunnel { .. } => "correct `proxy`, or let it pass connections to this host",
        Obstacle::Tls { words, .. } => TlsFault::told_in(words)
            .map_or("see that the port speaks TLS, and `client_certificate`", TlsFault::cure),
    };
    let because =
        std::error::Error::source(obstacle).map_or_else(String::new, |source| format!(": {source}"));
    Finding::fail(Code::Unavailable, whose, format!("{obstacle}{because}{through}"), cure)
}

fn certificate(what: &str, shown: &Shown, now: UnixMillis) -> Finding {
    let Shown { subject, is_own, validity: Validity { from, until } } = shown;
    let it = if *is_own { "it".to_owned() } else { format!("`{subject}`, which it is issued by,") };
    if now < *from {
        let cure = "set this machine's clock, or wait; it is of use from then on";
        return Finding::fail(
            Code::Unavailable,
            what,
            format!("{it} is valid only from {}", date(*from)),
            cure,
        );
    }
    let renew = "have it renewed by whoever runs the server";
    if *until < now {
        return Finding::fail(Code::Unavailable, what, format!("{it} expired on {}", date(*until)), renew);
    }
    let left = now.until(*until);
    let said = format!("{it} is valid until {}, {} days more", date(*until), left.as_secs() / DAY.as_secs());
    if left < CERTIFICATE_LEFT_MIN { Finding::warn(what, said, renew) } else { Finding::ok(what, said) }
}

fn date(moment: UnixMillis) -> String {
    let millis = i64::try_from(moment.0).unwrap_or(i64::MAX);
    let date = |timestamp: jiff::Timestamp| timestamp.strftime("%Y-%m-%d").to_string();
    jiff::Timestamp::from_millisecond(millis).map_or_else(|_| "a day beyond all calendars".into(), date)
}

/// Compares our clock with those that answered; without any, with the certificates.
fn clock(seen: &[(String, Option<TwoClocks>, Option<Validity>)], now: UnixMillis) -> Finding {
    let off = |clocks: TwoClocks| clocks.ours.since(clocks.theirs).max(clocks.theirs.since(clocks.ours));
    let told = seen.iter().filter_map(|(place, time, _)| time.map(|time| (off(time), place, time)));
    if let Some((off, place, clocks)) = told.max_by_key(|(off, ..)| *off) {
        let seconds = off.as_secs();
        if off <= CLOCK_OFF_MAX {
            return Finding::ok(
                "clock",
                format!("within {} s of the `Date` that {place} sends", seconds.max(1)),
            );
        }
        let way = if clocks.ours < clocks.theirs { "behind" } else { "ahead of" };
        let said = format!("{seconds} s {way} the `Date` that {place} sends");
        return Finding::warn(
            "clock",
            said,
            "set this machine's clock, as by NTP: ages and expiry are read from it",
        );
    }
    let valid = |validity: &Validity| (validity.from..=validity.until).contains(&now);
    match seen.iter().find(|(_, _, validity)| validity.as_ref().is_some_and(valid)) {
        Some((place, ..)) => {
            let said =
                format!("no answer had a `Date`; it is within the validity of the certificate of {place}");
            Finding::ok("clock", said)
        }
        None => {
            Finding::note("clock", "there was nothing to compare it with", "compare it by hand: `date -u`")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::check::finding::check;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    #[test]
    fn certificates_are_judged_by_their_ends() {
        let with = |from: UnixMillis, until: UnixMillis, is_own: bool| {
            let shown = Shown { subject: "Authority 7".into(), is_own, validity: Validity { from, until } };
            certificate("c", &shown, NOW)
        };
        let until = |until: UnixMillis| with(UnixMillis(0), until, true);
        check(&until(UnixMillis(NOW.0 - 1)), "FAIL  c: it expired on 2027-01-15");
        check(&until(NOW), "warn  c: it is valid until 2027-01-15, 0 days more");
        check(
            &until(NOW.after(DAY * 14 - Duration::from_millis(1))),
            "warn  c: it is valid until 2027-01-29, 13 days",
        );
        check(&until(NOW.after(DAY * 14)), "ok    c: it is valid until 2027-01-29, 14 days more");
        let between = with(UnixMillis(0), NOW, false);
        check(
            &between,
            "warn  c: `Authority 7`, which it is issued by, is valid until 2027-01-15, 0 days more",
        );
        let early = with(NOW.after(DAY), NOW.after(DAY * 2), true);
        check(&early, "FAIL  c: it is valid only from 2027-01-16");
        check(&until(UnixMillis(u64::MAX)), "ok    c: it is valid until a day beyond all calendars");
    }

    fn told(theirs: u64) -> (String, Option<TwoClocks>, Option<Validity>) {
        ("a:1".into(), Some(TwoClocks { theirs: UnixMillis(theirs), ours: NOW }), None)
    }

    #[test]
    fn the_clock_that_is_furthest_off_is_told() {
        let bound = 300_000;
        check(&clock(&[told(NOW.0)], NOW), "ok    clock: within 1 s of the `Date` that a:1 sends");
        check(&clock(&[told(NOW.0 - bound)], NOW), "ok    clock: within 300 s");
        check(&clock(&[told(NOW.0), told(NOW.0 - bound - 1_000)], NOW), "warn  clock: 301 s ahead of");
        check(
            &clock(&[told(NOW.0 + bound + 1_000)], NOW),
            "warn  clock: 301 s behind the `Date` that a:1 sends",
        );
    }

    #[test]
    fn without_a_date_the_certificates_must_do() {
        let with = |from: u64, until: u64| {
            let validity = Validity { from: UnixMillis(from), until: UnixMillis(until) };
            [("a:1".to_owned(), None, Some(validity))]
        };
        check(&clock(&with(0, NOW.0), NOW), "ok    clock: no answer had a `Date`");
        check(&clock(&with(0, NOW.0 - 1), NOW), "note  clock");
        check(&clock(&[], NOW), "note  clock: there was nothing to compare it with");
    }
}
