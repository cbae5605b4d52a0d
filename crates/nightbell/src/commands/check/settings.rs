//! What is allowed in a configuration, and asks for trouble all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nightbell_core::pace::Rate;
use nightbell_http::Tls;
use nightbell_xmatters::{AuthKind, DestinationSettings, Payload};
use url::Position;

use super::finding::Finding;
use crate::config::{Config, ConnectorConfig, HttpConfig};
use crate::exit::Code;
use crate::listener::{self, Weakness};
use crate::wiring;

/// What xMatters takes from one integration for the same recipients in a minute, unless it was set otherwise there.
const FLOOD_PER_MINUTE: u32 = 4;

const MINUTE: Duration = Duration::from_secs(60);

/// Judges what needs no look at the world.
pub(super) fn judge(config: &Config, tls: Option<&Tls>) -> Vec<Finding> {
    let mut findings = Vec::new();
    // Of tokens that were not read nobody can say more.
    if !config.found.unread.iter().any(|unread| unread.key.starts_with("http.")) {
        findings.push(listener(&config.http));
        findings.extend(weaknesses(&config.http, tls));
    }
    findings.extend(shared(&config.connectors));
    findings.extend(routes(config));
    for connector in &config.connectors {
        findings.extend(
            [recipients(connector), verification(connector), encryption(connector)].into_iter().flatten(),
        );
        findings.extend(in_flight(config, connector));
        findings.extend(pace(connector.name.as_str(), connector.rate_limit));
    }
    findings
}

/// Who might get in by the listener that should not.
fn weaknesses(http: &HttpConfig, tls: Option<&Tls>) -> Vec<Finding> {
    let chain = tls.and_then(|tls| listener::chain_weakness(http, tls));
    let ended = tls.and_then(|tls| listener::ended(http, tls));
    let warn = |Weakness { what, finding, cure }| Finding::warn(what, finding, cure);
    let fail = |Weakness { what, finding, cure }| Finding::fail(Code::Config, what, finding, cure);
    let warned = listener::weaknesses(http).into_iter().chain(chain).map(warn);
    warned.chain(ended.map(fail)).collect()
}

fn listener(http: &HttpConfig) -> Finding {
    let (what, place) = ("listener", http.listen);
    if place.ip().to_canonical().is_loopback() {
        return Finding::ok(what, format!("{place}, reached from this machine alone"));
    }
    // Else the configuration would have been refused.
    Finding::ok(what, format!("{place}, both tokens are set"))
}

/// xMatters answers 202 to an alert for nobody. With the key in the URL, so may be the recipients.
fn recipients(connector: &ConnectorConfig) -> Option<Finding> {
    let DestinationSettings { payload, auth, recipients, .. } = &connector.destination;
    let would_carry = matches!(payload, Payload::Form | Payload::ApiFortress);
    (would_carry && recipients.is_empty() && auth.kind() != AuthKind::Url).then(|| {
        Finding::warn(
            format!("recipients of {}", connector.name),
            format!("none, and the payload `{}` would carry them", payload.as_str()),
            "name users or groups in `recipients`, unless the flow behind the trigger does",
        )
    })
}

fn verification(connector: &ConnectorConfig) -> Option<Finding> {
    let warning = connector.destination.network.verification.warning()?;
    let cure = "set `tls.verification = \"full\"`, and name a private authority in `ca_file`";
    Some(Finding::warn(format!("TLS of {}", connector.name), warning, cure))
}

fn encryption(connector: &ConnectorConfig) -> Option<Finding> {
    connector.destination.allow_insecure.then(|| {
        Finding::warn(
            format!("TLS of {}", connector.name),
            "`allow_insecure` lets credentials travel unprotected",
            "use https URLs, and remove `allow_insecure`",
        )
    })
}

/// Without a default, an event that no alert group wants rings nobody.
fn routes(config: &Config) -> Option<Finding> {
    let is_silent = config.routing.default_connectors.is_empty() && config.routing.groups.is_empty();
    is_silent.then(|| {
        Finding::warn(
            "routes",
            "no event goes anywhere: there is no alert group, and `default_connectors` is empty",
            "name the connectors that get what no alert group wants in `default_connectors`",
        )
    })
}

/// xMatters counts by trigger and recipients, and each connector has a pace of its own.
fn shared(connectors: &[ConnectorConfig]) -> Option<Finding> {
    let target = |connector: &ConnectorConfig| {
        let DestinationSettings { trigger_url, recipients, .. } = &connector.destination;
        let recipients: BTreeSet<_> = recipients.iter().map(|name| name.to_lowercase()).collect();
        (trigger_url[..Position::AfterPath].to_owned(), recipients)
    };
    let mut names: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for connector in connectors.iter().filter(|connector| connector.rate_limit.is_some()) {
        names.entry(target(connector)).or_default().push(connector.name.as_str());
    }
    let twins: Vec<_> = names.into_values().filter(|names| names.len() > 1).collect();
    let said = twins.iter().map(|names| names.join(" and ")).collect::<Vec<_>>().join("; ");
    (!twins.is_empty()).then(|| {
        Finding::warn(
            "pace",
            format!("{said} share a trigger and its recipients, and xMatters counts what they send together"),
            "make them one connector, or divide what xMatters takes among their `rate_limit`s",
        )
    })
}

fn in_flight(config: &Config, connector: &ConnectorConfig) -> Option<Finding> {
    let warning = wiring::unreached_limit(config, connector)?;
    let cure = "write a lower `max_in_flight`, or raise `queue.prefetch`";
    Some(Finding::warn(format!("in flight of {}", connector.name), warning, cure))
}

fn pace(connector: &str, limit: Option<Rate>) -> Option<Finding> {
    let what = format!("pace of {connector}");
    let cure = format!(
        "leave `rate_limit` at \"{FLOOD_PER_MINUTE}/min\", or raise the limit in xMatters under flood control"
    );
    let drops = format!(
        "xMatters' flood control silently drops more than {FLOOD_PER_MINUTE} alerts a minute for the same recipients \
         unless it was set otherwise there"
    );
    match limit {
        None => Some(Finding::note(what, format!("not limited; {drops}"), cure)),
        Some(limit) if is_flood(limit) => {
            let per = humantime::format_duration(limit.per);
            Some(Finding::warn(what, format!("{} in {per}; {drops}", limit.count), cure))
        }
        Some(limit) => {
            let per = humantime::format_duration(limit.per);
            Some(Finding::ok(
                what,
                format!("at most {} in {per}; more waits durably, and goes when it may", limit.count),
            ))
        }
    }
}

fn is_flood(limit: Rate) -> bool {
    MINUTE * limit.count.get() > limit.per * FLOOD_PER_MINUTE
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::System;

    /// The warnings and failures about a configuration with these keys.
    #[track_caller]
    fn check(connector: &str, http: &str, want: &[&str]) {
        let text = format!(
            "[http]\n{http}\n[[connectors]]\nname = \"sre\"\nrate_limit = \"4/min\"\nusername = \"u\"\npassword = \"p\"\n\
             auth = \"basic\"\ntrigger_url = \"https://acme.xmatters.com/api/integration/1/functions/a/triggers\"\n{connector}"
        );
        let text = if connector.contains("rate_limit") {
            text.replacen("rate_limit = \"4/min\"\n", "", 1)
        } else {
            text
        };
        let text = if connector.contains("recipients") { text } else { text + "\nrecipients = [\"a\"]" };
        let config = Config::parse(&text, Path::new("nightbell.toml"), &System).unwrap();
        let found: Vec<_> = judge(&config, None).iter().map(|one| one.to_string()).collect();
        let found: Vec<_> = found.iter().filter(|line| !line.starts_with("ok")).collect();
        assert_eq!(found.len(), want.len(), "{connector}: {found:?}");
        for (line, want) in found.iter().zip(want) {
            assert!(line.starts_with(want), "{line} is not {want}");
        }
    }

    #[test]
    fn what_is_sound_says_nothing() {
        check("", "", &[]);
        check("rate_limit = \"200/h\"", "", &[]);
        check("recipients = []\npayload = \"elastic\"", "", &[]);
        let tokens = "listen = \"0.0.0.0:9464\"\ningest_token = \"k3J9xQ2mVb7LwZ1pTn\"\nadmin_token = \"9f86d081884c7d65\"\ntls = { certificate = \"c\", key = \"k\" }";
        check("", tokens, &[]);
    }

    #[test]
    fn weak_tokens_and_plain_http_beyond_this_machine_are_warned_of() {
        let http = "listen = \"0.0.0.0:9464\"\ningest_token = \"changeme-changeme\"\nadmin_token = \"changeme-changeme\"";
        let want = [
            "warn  http.ingest_token",
            "warn  http.admin_token",
            "warn  http.admin_token",
            "warn  http.listen",
        ];
        check("", http, &want);
    }

    #[test]
    fn a_configuration_that_sends_nothing_anywhere_is_warned_of() {
        let text = "default_connectors = []\n[[connectors]]\nname = \"sre\"\nauth = \"url\"\nrecipients = [\"a\"]\n\
                    trigger_url = \"https://acme.xmatters.com/api/integration/1/functions/a/triggers?apiKey=k\"\n";
        let config = Config::parse(text, Path::new("nightbell.toml"), &System).unwrap();
        let found: Vec<_> = judge(&config, None).iter().map(ToString::to_string).collect();
        assert!(
            found.iter().any(|line| line.starts_with("warn  routes: no event goes anywhere")),
            "{found:?}"
        );
    }

    #[test]
    fn alerts_for_nobody_are_warned_of() {
        for payload in ["form", "apifortress"] {
            check(
                &format!("recipients = []\npayload = \"{payload}\""),
                "",
                &["warn  recipients of sre: none"],
            );
        }
    }

    #[test]
    fn loosened_checks_are_warned_of() {
        check("tls = { verification = \"none\" }", "", &["warn  TLS of sre: certificates are not checked"]);
        check("tls = { verification = \"certificate\" }", "", &["warn  TLS of sre: host names"]);
        check("allow_insecure = true", "", &["warn  TLS of sre: `allow_insecure`"]);
    }

    #[test]
    fn a_pace_over_the_flood_limit_is_warned_of() {
        check("rate_limit = \"5/min\"", "", &["warn  pace of sre: 5 in 1m; xMatters' flood control"]);
        check("rate_limit = \"1/s\"", "", &["warn  pace of sre: 1 in 1s"]);
        check("rate_limit = \"241/h\"", "", &["warn  pace of sre"]);
        check("rate_limit = \"240/h\"", "", &[]);
        check("rate_limit = \"none\"", "", &["note  pace of sre: not limited"]);
    }

    #[test]
    fn connectors_that_share_a_trigger_and_recipients_are_warned_of() {
        let other = |name: &str, recipients: &str| {
            format!(
                "[[connectors]]\nname = \"{name}\"\nauth = \"url\"\nrecipients = [{recipients}]\nrate_limit = \"2/min\"\n\
                 trigger_url = \"https://acme.xmatters.com/api/integration/1/functions/a/triggers?apiKey=k\"\n"
            )
        };
        let with = |more: String| format!("recipients = [\"a\", \"b\"]\nrate_limit = \"4/min\"\n{more}");
        check(&with(other("web", "\"B\", \"a\"")), "", &["warn  pace: sre and web share a trigger"]);
        check(&with(other("web", "\"b\"")), "", &[]);
    }

    #[test]
    fn a_limit_above_the_prefetch_is_warned_of_and_the_smaller_holds() {
        let written = |prefetch: u16| {
            let text = format!(
                "[queue]\nurl = \"amqp://b\"\nprefetch = {prefetch}\n[[connectors]]\nname = \"sre\"\nauth = \"url\"\n\
                 max_in_flight = 50\nrecipients = []\n\
                 trigger_url = \"https://acme.xmatters.com/api/integration/1/functions/a/triggers?apiKey=k\"\n"
            );
            Config::parse(&text, Path::new("nightbell.toml"), &System).unwrap()
        };
        let config = written(20);
        assert_eq!(wiring::in_flight_max(&config, &config.connectors[0]), 20);
        let found: Vec<_> = judge(&config, None).iter().map(ToString::to_string).collect();
        let want =
            "warn  in flight of sre: `max_in_flight` = 50 is more than `queue.prefetch` = 20, which holds";
        assert!(found.iter().any(|line| line.starts_with(want)), "{found:?}");
        let config = written(50);
        assert_eq!(wiring::unreached_limit(&config, &config.connectors[0]), None);
    }
}
