//! `[[connectors]]`, `[[alert_groups]]`, and the names that tie them together.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use nightbell_core::connector::Connector;
use nightbell_core::event::{Severity, Status};

use super::auth::{self, AuthKind};
use super::document::Placed;
use super::network::{self, NetworkConfig};
use super::payload::{self, PRIORITIES};
use super::problem::nearest;
use super::table::Table;
use super::values::{self, TriggerUrl};
use super::{AlertGroupConfig, ConnectorConfig};

const IN_FLIGHT: RangeInclusive<u16> = 1..=1_000;
const IN_FLIGHT_DEFAULT: u16 = 16;
/// What xMatters takes for one trigger and the same recipients by its own default; what goes beyond it drops, and answers 202.
const RATE_LIMIT_DEFAULT: &str = "4/min";

/// The words for severities, the gravest first.
const SEVERITIES: [(&str, Severity); 5] = [
    ("critical", Severity::Critical),
    ("high", Severity::High),
    ("medium", Severity::Medium),
    ("low", Severity::Low),
    ("minimal", Severity::Minimal),
];
const STATUSES: [(&str, Status); 3] =
    [("failed", Status::Failed), ("error", Status::Error), ("passed", Status::Passed)];

/// A connector as far as it could be read: other parts of the file may name it even if the rest of it is not
/// sound.
pub(super) struct Draft {
    name: Option<Placed<Connector>>,
    whole: Option<ConnectorConfig>,
}

/// An alert group whose connectors are still to be looked up.
pub(super) struct GroupDraft {
    name: Option<Placed<String>>,
    connectors: Vec<Placed<Connector>>,
    group: AlertGroupConfig,
}

/// The connectors of a file.
pub(super) struct Connectors {
    /// All names, also those of connectors that are not sound.
    names: Vec<Placed<Connector>>,
    /// Whether some have no name that could be read.
    has_nameless: bool,
    /// The sound ones.
    pub(super) sound: Vec<ConnectorConfig>,
}

/// Reads one of `[[connectors]]`. `prefetch` is the queue's, if there is one, and `base` is `[network]`.
pub(super) fn connector(table: &mut Table<'_, '_>, prefetch: Option<u16>, base: &NetworkConfig) -> Draft {
    let before = table.left();
    let name = table.text("name", values::connector);
    table.require("name", "write 1 to 32 of the characters a-z, 0-9 and -, like \"payments\"");
    let name = name.map(|value| Placed { value, place: table.place_of("name") });
    let kind = AuthKind::read(table);
    let allow_insecure = table.flag_or("allow_insecure", false);
    let form = TriggerUrl { auth: kind, allow_insecure };
    let trigger_url = table.secret("trigger_url", |text| form.check(text));
    table.require("trigger_url", "copy it from the HTTP trigger in xMatters");
    let auth = auth::auth(table, kind, allow_insecure);
    let recipients = table.texts("recipients", values::filled).unwrap_or_default();
    let cure =
        "name users or groups, like [\"payments-primary\"], or write [] if the flow or the URL names them";
    table.require("recipients", cure);
    let payload = payload::payload(table);
    let priorities = payload::priorities(table);
    let max_in_flight = max_in_flight(table, prefetch);
    let rate_limit = table.text_or("rate_limit", RATE_LIMIT_DEFAULT, values::rate_limit);
    let network = network::network(table, base);
    if let Some(url) = &trigger_url {
        network::check_host(table, "trigger_url", url, &network);
    }
    if let Some(auth) = &auth {
        auth::check_token_host(table, auth, &network);
    }
    let whole = name.as_ref().zip(trigger_url).zip(auth).zip(payload).map(
        |(((name, trigger_url), auth), payload)| ConnectorConfig {
            name: name.value.clone(),
            trigger_url,
            auth,
            recipients: recipients.into_iter().map(|placed| placed.value).collect(),
            payload,
            priorities,
            max_in_flight,
            rate_limit,
            allow_insecure,
            network,
        },
    );
    Draft { name, whole }.only_if(table.left() == before)
}

impl Draft {
    /// The same, or the name alone: of a connector of which something was not read nobody may take the rest for all of it.
    pub(super) fn only_if(self, is_whole: bool) -> Self {
        Self { whole: self.whole.filter(|_| is_whole), ..self }
    }
}

fn max_in_flight(table: &mut Table<'_, '_>, prefetch: Option<u16>) -> u16 {
    let most = prefetch.unwrap_or(*IN_FLIGHT.end());
    table.number_or("max_in_flight", IN_FLIGHT_DEFAULT.min(most), IN_FLIGHT)
}

/// Reads one of `[[alert_groups]]`.
pub(super) fn alert_group(table: &mut Table<'_, '_>) -> GroupDraft {
    let name = table.text("name", values::filled);
    table.require("name", "write a name that tells the groups apart");
    let projects = table.texts_or("projects", &[], values::pattern);
    let connectors = table.texts("connectors", values::connector).unwrap_or_default();
    let cure = "name the connectors that the group alerts, like [\"payments\"]";
    table.require("connectors", cure);
    if table.has_empty_list("connectors") {
        table.problem("connectors", format!("it is empty; {cure}"));
    }
    let severity_at_least = table.text("severity_at_least", |text| values::word(text, &SEVERITIES));
    let statuses = table.texts_or("statuses", &[], |text| values::word(text, &STATUSES));
    let tags = table.texts_or("tags", &[], values::filled);
    let labels = table.map("labels", values::plain);
    let recipients = table.texts_if("recipients", values::filled);
    let priority = table.text("priority", |text| values::word(text, &PRIORITIES));
    let group = AlertGroupConfig {
        name: name.clone().unwrap_or_default(),
        projects,
        connectors: connectors.iter().map(|placed| placed.value.clone()).collect(),
        severity_at_least,
        statuses,
        tags,
        labels,
        recipients: recipients.map(Arc::from),
        priority,
    };
    let name = name.map(|value| Placed { value, place: table.place_of("name") });
    GroupDraft { name, connectors, group }
}

impl Connectors {
    /// Gathers the connectors of a file: at least one, and no two of one name.
    pub(super) fn gather(table: &mut Table<'_, '_>, drafts: Option<Vec<Draft>>) -> Self {
        if !table.has("connectors") || table.has_empty_list("connectors") {
            table.problem("connectors", "there is none; write at least one, begun by [[connectors]]");
        }
        let (names, wholes): (Vec<_>, Vec<_>) =
            drafts.unwrap_or_default().into_iter().map(|draft| (draft.name, draft.whole)).unzip();
        let has_nameless = names.iter().any(Option::is_none);
        let names: Vec<_> = names.into_iter().flatten().collect();
        refuse_twins(table, &names);
        Self { names, has_nameless, sound: wholes.into_iter().flatten().collect() }
    }

    /// All names.
    pub(super) fn names(&self) -> BTreeSet<Connector> {
        self.names.iter().map(|name| name.value.clone()).collect()
    }

    /// The connectors for events that no group wants: those that the file names, else all if it has no
    /// groups.
    pub(super) fn defaults(
        &self,
        table: &mut Table<'_, '_>,
        named: Option<Vec<Placed<Connector>>>,
        no_groups: bool,
    ) -> Vec<Connector> {
        if let Some(named) = named {
            self.check(table, &named);
            return named.into_iter().map(|placed| placed.value).collect();
        }
        let all: Vec<_> = self.names.iter().map(|name| name.value.clone()).filter(|_| no_groups).collect();
        let shown: Vec<_> = all.iter().map(|name| format!("\"{name}\"")).collect();
        table.show("default_connectors", &format!("[{}]", shown.join(", ")));
        all
    }

    /// The groups, once their connectors are known to exist and no two share a name.
    pub(super) fn resolve(
        &self,
        table: &mut Table<'_, '_>,
        drafts: Vec<GroupDraft>,
    ) -> Vec<AlertGroupConfig> {
        let names: Vec<_> = drafts.iter().filter_map(|draft| draft.name.clone()).collect();
        refuse_twins(table, &names);
        drafts.iter().for_each(|draft| self.check(table, &draft.connectors));
        drafts.into_iter().map(|draft| draft.group).collect()
    }

    fn check(&self, table: &mut Table<'_, '_>, named: &[Placed<Connector>]) {
        if self.has_nameless {
            // It may be the one that is meant, and its name is to be put right first.
            return;
        }
        for Placed { value, place } in named {
            if self.names.iter().any(|known| known.value == *value) {
                continue;
            }
            let known = || self.names.iter().map(|known| known.value.as_str());
            let cure = match nearest(value.as_str(), known()) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None if self.names.is_empty() => "the file has none".to_owned(),
                None => format!("the file has \"{}\"", known().collect::<Vec<_>>().join("\", \"")),
            };
            table.problem_at(place, format!("there is no such connector; {cure}"));
        }
    }
}

/// Refuses the second of two things of one name.
fn refuse_twins<T: PartialEq>(table: &mut Table<'_, '_>, names: &[Placed<T>]) {
    for (index, Placed { value, place }) in names.iter().enumerate() {
        if let Some(first) = names[..index].iter().find(|first| first.value == *value) {
            let complaint = format!("the name is taken by `{}`; write another one", first.place.key);
            table.problem_at(place, complaint);
        }
    }
}
