//! `[[connectors]]`, `[[alert_groups]]`, and the names that tie them together.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use nightbell_core::connector::Connector;
use nightbell_core::event::Status;
use nightbell_core::routing::{AlertGroup, default_statuses};
use nightbell_xmatters::{Auth, AuthKind, DestinationSettings, Network, ReportBase, TriggerUrl};
use url::Url;

use super::ConnectorConfig;
use super::auth::{self, auth};
use super::document::{Placed, values_of};
use super::network::{NetworkConfig, network};
use super::payload::{self, SEVERITIES};
use super::problem::nearest;
use super::table::Table;
use super::values;

const IN_FLIGHT: RangeInclusive<u16> = 1..=1_000;
const IN_FLIGHT_DEFAULT: u16 = 16;
/// What xMatters takes for one trigger and the same recipients by its own default; what goes beyond it drops, and answers 202.
const RATE_LIMIT_DEFAULT: &str = "4/min";

/// What is the same for all connectors.
pub(super) struct Common {
    /// The queue's, if there is one.
    pub(super) prefetch: Option<u16>,
    pub(super) report_base_url: Option<ReportBase>,
    /// `[network]`
    pub(super) network: NetworkConfig,
    /// Whether all of that was read.
    pub(super) is_whole: bool,
}

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
    group: AlertGroup,
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

/// Reads one of `[[connectors]]`.
pub(super) fn connector(table: &mut Table<'_, '_>, common: &Common) -> Draft {
    let before = table.left();
    let name = table.placed("name", values::connector);
    table.require("name", "write 1 to 32 of the characters a-z, 0-9 and -, like \"payments\"");
    let kind = auth::kind(table);
    let allow_insecure = table.flag_or("allow_insecure", false);
    let trigger_url = trigger_url(table, kind, allow_insecure);
    let auth = auth(table, kind, allow_insecure);
    let recipients = table.texts("recipients", values::filled).unwrap_or_default();
    let cure =
        "name users or groups, like [\"payments-primary\"], or write [] if the flow or the URL names them";
    table.require("recipients", cure);
    let payload = payload::payload(table);
    let priorities = payload::priorities(table);
    let in_flight = IN_FLIGHT_DEFAULT.min(common.prefetch.unwrap_or(*IN_FLIGHT.end()));
    let max_in_flight = table.number_or("max_in_flight", in_flight, IN_FLIGHT);
    let rate_limit = table.text_or("rate_limit", RATE_LIMIT_DEFAULT, values::rate_limit);
    let NetworkConfig { way, timeout, connect_timeout } = network(table, &common.network);
    check_hosts(table, &way, trigger_url.as_ref(), auth.as_ref());
    let destination = || {
        Some(DestinationSettings {
            trigger_url: trigger_url?,
            auth: auth?,
            recipients,
            payload: payload?,
            priorities,
            timeout,
            connect_timeout,
            report_base_url: common.report_base_url.clone(),
            allow_insecure,
            network: way,
        })
    };
    // Of a connector of which something was not read nobody may take the rest for all of it.
    let is_whole = common.is_whole && table.left() == before;
    let whole = name.as_ref().filter(|_| is_whole).zip(destination()).map(|(name, destination)| {
        ConnectorConfig { name: name.value.clone(), destination, max_in_flight, rate_limit }
    });
    Draft { name, whole }
}

fn trigger_url(table: &mut Table<'_, '_>, kind: AuthKind, allow_insecure: bool) -> Option<TriggerUrl> {
    let url = table.secret("trigger_url", |text| {
        let url: TriggerUrl = text.parse()?;
        url.check_encryption(allow_insecure)?;
        kind.check_key(&url).map(|()| url)
    });
    table.require("trigger_url", "copy it from the HTTP trigger in xMatters");
    url
}

/// Refuses sound URLs whose hosts may not be reached.
fn check_hosts(table: &mut Table<'_, '_>, way: &Network, trigger: Option<&TriggerUrl>, auth: Option<&Auth>) {
    let mut check = |key: &str, url: &Url| {
        if let Err(misfit) = way.check_host(url) {
            table.problem(key, format!("the value {misfit}"));
        }
    };
    trigger.into_iter().for_each(|url| check("trigger_url", url));
    if let Some(Auth::OAuth2(oauth2)) = auth {
        oauth2.token_url.iter().for_each(|url| check("token_url", url));
    }
}

/// Reads one of `[[alert_groups]]`.
pub(super) fn alert_group(table: &mut Table<'_, '_>) -> GroupDraft {
    let name = table.placed("name", values::filled);
    table.require("name", "write a name that tells the groups apart");
    let projects = table.texts_or("projects", &[], values::pattern);
    let connectors = table.placed_texts("connectors", values::connector).unwrap_or_default();
    let cure = "name the connectors that the group alerts, like [\"payments\"]";
    table.require("connectors", cure);
    if table.has_empty_list("connectors") {
        table.problem("connectors", format!("it is empty; {cure}"));
    }
    let severity_at_least =
        table.text("severity_at_least", |text| values::word(text, &SEVERITIES, |one| one.as_str()));
    let statuses = [Status::Failed, Status::Error, Status::Passed];
    let statuses = table.texts_or("statuses", &[], |text| values::word(text, &statuses, Status::as_str));
    let group = AlertGroup {
        name: name.as_ref().map(|name| name.value.clone()).unwrap_or_default(),
        projects,
        connectors: connectors.iter().map(|placed| placed.value.clone()).collect(),
        severity_at_least,
        statuses: if statuses.is_empty() { default_statuses() } else { statuses.into_iter().collect() },
        tags: table.texts_or("tags", &[], values::filled).into_iter().collect(),
        labels: table.map("labels"),
        recipients: table.texts_if("recipients", values::filled).map(Arc::from),
        priority: table.text("priority", values::priority),
    };
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
    ) -> BTreeSet<Connector> {
        if let Some(named) = named {
            self.check(table, &named);
            return values_of(named).into_iter().collect();
        }
        let all = self.names.iter().map(|name| &name.value).filter(|_| no_groups);
        table.show("default_connectors", &values::list(all.clone()));
        all.cloned().collect()
    }

    /// The groups, once their connectors are known to exist and no two share a name.
    pub(super) fn resolve(&self, table: &mut Table<'_, '_>, drafts: Vec<GroupDraft>) -> Vec<AlertGroup> {
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
