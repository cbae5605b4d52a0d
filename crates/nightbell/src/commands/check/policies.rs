//! What RabbitMQ's policies make of our queues, as the management API tells it.
//!
//! A quorum queue takes the lesser of a policy's and its own `delivery-limit`, `max-length`, `max-length-bytes` and
//! `message-ttl`, the policy's `overflow` and `expires` before its own, and its own dead-letter exchange and strategy
//! before the policy's (`rabbit_quorum_queue`, in 3.10 as in 4).

use std::collections::BTreeMap;
use std::time::Duration;

use nightbell_amqp::{
    Argument, BrokerSettings, Declared, Examination, Kind, Management, ManagementError, Object,
    ObjectSettings, Policies, Shape, Topology,
};
use nightbell_core::connector::Connector;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::time::{Instant, interval};

use super::finding::Finding;
use crate::exit::Code;

/// The shortest consumer time-out in milliseconds that is no danger; Nightbell holds no message longer than 2 minutes.
const CONSUMER_TIMEOUT_MIN: i64 = 300_000;

/// The longest wait for a queue to tell the API of its policies: twice RabbitMQ's `collect_statistics_interval`.
const TELL_WAIT_MAX: Duration = Duration::from_secs(10);

/// How often it is asked for meanwhile.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// On so many nodes a queue bears the loss of one.
const MEMBERS_WANTED: usize = 3;

const REJECT: &str = "reject-publish";

/// Asks for every queue that is there. What AMQP could not tell of their arguments is put right in `examination`.
pub(super) async fn look(
    url: &SecretString,
    broker: &BrokerSettings,
    connectors: &[Connector],
    examination: &mut Examination,
) -> Vec<Finding> {
    match ask(url, broker, connectors, examination).await {
        Ok(Told { queues, members, nodes }) => {
            let mut findings = judge(&queues);
            findings.extend(judge_members(&members, nodes));
            findings
        }
        Err(error) => vec![unusable(error)],
    }
}

/// What the management API tells.
struct Told {
    queues: Vec<(Declared, Policies)>,
    /// Of each queue, on how many nodes it is.
    members: Vec<(Object, usize)>,
    /// How many there are, if the user may know.
    nodes: Option<usize>,
}

async fn ask(
    url: &SecretString,
    broker: &BrokerSettings,
    connectors: &[Connector],
    examination: &mut Examination,
) -> Result<Told, Unusable> {
    let management = Management::new(url, &broker.url)?;
    let topology = Topology::of(&broker.names, connectors);
    for exchange in topology.exchanges {
        let object = Object::exchange(&exchange.name);
        let Some(shape) = seen(examination, &object) else { continue };
        let Some(settings) = find(&management, &object, shape).await? else { continue };
        resolve(shape, || compare(&exchange, &settings));
    }
    let (mut queues, mut members) = (Vec::new(), Vec::new());
    for queue in topology.queues {
        let object = Object::queue(&queue.name);
        let Some(shape) = seen(examination, &object) else { continue };
        let Some((settings, policies)) = find_queue(&management, &object, shape).await? else { continue };
        resolve(shape, || compare(&queue, &settings));
        members.push((object, settings.members));
        queues.push((queue, policies));
    }
    Ok(Told { queues, members, nodes: management.nodes().await? })
}

/// An object's shape by AMQP, if it is there.
fn seen<'e>(examination: &'e mut Examination, object: &Object) -> Option<&'e mut Shape> {
    let (_, shape) = examination.objects.iter_mut().find(|(other, _)| other == object)?;
    (*shape != Shape::Missing).then_some(shape)
}

/// Puts a shape right that AMQP could not tell.
fn resolve(shape: &mut Shape, compare: impl FnOnce() -> Shape) {
    if matches!(shape, Shape::Unseen | Shape::Hidden) {
        *shape = compare();
    }
}

/// How an object stands; none: it is missing, which AMQP could not tell.
async fn find(
    management: &Management,
    object: &Object,
    shape: &mut Shape,
) -> Result<Option<ObjectSettings>, Unusable> {
    let found = management.find(object).await?;
    if found.is_none() && *shape != Shape::Hidden {
        return Err(Unusable::AnotherBroker { place: management.place(), object: object.clone() });
    }
    if found.is_none() {
        *shape = Shape::Missing;
    }
    Ok(found)
}

/// Asks again until the queue has told its policies to the API, which a new one does within seconds.
async fn find_queue(
    management: &Management,
    object: &Object,
    shape: &mut Shape,
) -> Result<Option<(ObjectSettings, Policies)>, Unusable> {
    let until = Instant::now() + TELL_WAIT_MAX;
    let mut beat = interval(ASK_EVERY);
    loop {
        beat.tick().await;
        let Some(mut settings) = find(management, object, shape).await? else { return Ok(None) };
        if let Some(policies) = settings.policies.take() {
            return Ok(Some((settings, policies)));
        }
        if Instant::now() > until {
            return Err(Unusable::Untold { place: management.place(), object: object.clone() });
        }
    }
}

/// Why the management API is of no use.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error(transparent)]
    Management(#[from] ManagementError),
    #[error("the management API at {place} knows no {object}, which is there by AMQP")]
    AnotherBroker { place: String, object: Object },
    #[error("the management API at {place} does not tell the policies of {object}")]
    Untold { place: String, object: Object },
}

fn unusable(error: Unusable) -> Finding {
    let (code, cure) = match &error {
        Unusable::Management(ManagementError::Refused { .. }) => (
            Code::NoPermission,
            "give the user the tag that it needs, `rabbitmqctl set_user_tags USER management`, or write another user's \
             name and password into `queue.management_url`",
        ),
        Unusable::Management(ManagementError::Unreachable { .. }) => (
            Code::Unavailable,
            "enable it, `rabbitmq-plugins enable rabbitmq_management`, or correct `queue.management_url`",
        ),
        Unusable::Untold { .. } => (
            Code::Unavailable,
            "let RabbitMQ collect metrics (`management_agent.disable_metrics_collector = false`), or leave \
             `queue.management_url` out and compare `rabbitmqctl list_policies` with `nightbell topology`",
        ),
        Unusable::Management(ManagementError::Url(_) | ManagementError::Strange { .. })
        | Unusable::AnotherBroker { .. } => (
            Code::Unavailable,
            "correct `queue.management_url`; it is the address of the same broker's management page",
        ),
    };
    Finding::fail(code, "policies", format!("{:#}", anyhow::Error::new(error)), cure)
}

/// Compares something as the broker does when it is declared.
fn compare(declared: &Declared, settings: &ObjectSettings) -> Shape {
    if let Kind::Exchange(kind) = declared.kind
        && settings.kind != kind.as_str()
    {
        return otherwise("type", Some(&json!(settings.kind)), Some(&json!(kind.as_str())));
    }
    let found = settings.arguments.iter().map(|(name, value)| (name.as_str(), value));
    let mut found: BTreeMap<_, _> = found.collect();
    for (name, wanted) in &declared.arguments {
        let (value, wanted) = (found.remove(name), wanted.json());
        if value != Some(&wanted) {
            return otherwise(name, value, Some(&wanted));
        }
    }
    found.first_key_value().map_or(Shape::Sound, |(name, value)| otherwise(name, Some(value), None))
}

fn otherwise(argument: &str, found: Option<&Value>, wanted: Option<&Value>) -> Shape {
    let shown = |value: Option<&Value>| match value {
        None => "none".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    Shape::Otherwise { argument: argument.to_owned(), found: shown(found), wanted: shown(wanted) }
}

/// One line for each thing that a policy sets and should not.
fn judge(queues: &[(Declared, Policies)]) -> Vec<Finding> {
    let mut harms: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (queue, policies) in queues {
        for (key, value) in &policies.definition {
            if let Some(harm) = harm(queue, policies, key, value) {
                let of = (policies.names.join("`, `"), key, value.to_string(), harm);
                harms.entry(of).or_default().push(Object::queue(&queue.name).to_string());
            }
        }
    }
    if harms.is_empty() {
        let said = format!("none changes what the {} queues need", queues.len());
        return vec![Finding::ok("policies", said)];
    }
    let finding = |((policy, key, value, harm), on): ((String, &String, String, Harm), Vec<String>)| {
        let what = format!("policy `{policy}`");
        let said = format!("`{key}` = {value} {}: {}", harm.text(), on.join(", "));
        let cure = "leave that out of the policy, or have its pattern match other queues only: `rabbitmqctl \
                    list_policies`, `list_operator_policies`";
        match harm {
            Harm::Loses(_) => Finding::fail(Code::Unavailable, what, said, cure),
            Harm::Hinders(_) => Finding::warn(what, said, cure),
        }
    };
    harms.into_iter().map(finding).collect()
}

/// Queues that were made before all nodes had joined stay where they are. `nodes` is told to monitoring users only; else the
/// queues with the most members show it.
fn judge_members(members: &[(Object, usize)], nodes: Option<usize>) -> Option<Finding> {
    let most = members.iter().map(|(_, count)| *count).max()?;
    let nodes = nodes.unwrap_or(most);
    let wanted = nodes.min(MEMBERS_WANTED);
    let few: Vec<_> = members.iter().filter(|(_, count)| *count < wanted).collect();
    let what = "members";
    if few.is_empty() {
        let said = format!("each of the {} queues is on {wanted} or more of {nodes} nodes", members.len());
        return Some(Finding::ok(what, said));
    }
    let named: Vec<_> = few.iter().map(|(object, count)| format!("{object} on {count}")).collect();
    let said =
        format!("the cluster has {nodes} nodes, and these are on fewer than {wanted}: {}", named.join(", "));
    let cure = "`rabbitmq-queues grow NODE all` for each node; and set `cluster_formation.target_cluster_size_hint`, so that \
                RabbitMQ waits for all nodes before it makes queues";
    let is_alone = few.iter().any(|(_, count)| *count == 1);
    Some(if is_alone {
        Finding::fail(
            Code::Unavailable,
            what,
            format!("{said}; one that is on 1 is gone with its node"),
            cure,
        )
    } else {
        Finding::warn(what, said, cure)
    })
}

/// What a policy does to a queue that it should not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Harm {
    /// Alerts can get lost, or are no longer delivered.
    Loses(&'static str),
    /// Alerts can be delayed, or become dead letters sooner.
    Hinders(&'static str),
}

impl Harm {
    fn text(self) -> &'static str {
        let (Self::Loses(text) | Self::Hinders(text)) = self;
        text
    }
}

/// What a queue is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Connector,
    Retry,
    Dead,
}

fn role(queue: &Declared) -> Role {
    if queue.arguments.contains_key("x-message-ttl") {
        Role::Retry
    } else if queue.arguments.contains_key("x-dead-letter-exchange") {
        Role::Connector
    } else {
        Role::Dead
    }
}

fn harm(queue: &Declared, policies: &Policies, key: &str, value: &Value) -> Option<Harm> {
    let role = role(queue);
    // A negative limit is none.
    let number = value.as_i64().filter(|number| *number >= 0);
    let is_less = |than: i64| number.is_some_and(|number| number < than);
    let is_less_than_own = |argument| match queue.arguments.get(argument) {
        Some(Argument::Number(own)) => is_less(*own),
        Some(Argument::Text(_) | Argument::Flag(_)) | None => false,
    };
    match (key, role) {
        ("expires", _) => Some(Harm::Loses(
            "deletes the queue and all that waits in it when nobody has used it for that long",
        )),
        ("overflow", Role::Connector | Role::Retry) if value != REJECT => Some(Harm::Loses(
            "goes before the queue's own `reject-publish`, without which dead-lettering can lose messages",
        )),
        ("max-length" | "max-length-bytes", Role::Dead)
            if policies.definition.get("overflow").is_none_or(|how| how != REJECT) =>
        {
            Some(Harm::Loses("drops the oldest dead letters when there are more"))
        }
        ("max-length" | "max-length-bytes", _) => {
            Some(Harm::Hinders("refuses what is published when more waits"))
        }
        ("message-ttl", Role::Dead) => Some(Harm::Loses("deletes dead letters of that age")),
        ("message-ttl", Role::Connector) => {
            Some(Harm::Hinders("makes a dead letter of what waits for longer"))
        }
        ("message-ttl", Role::Retry) if is_less_than_own("x-message-ttl") => {
            Some(Harm::Hinders("brings retries back too soon, which have to wait again"))
        }
        ("delivery-limit", Role::Dead) if is_less_than_own("x-delivery-limit") => {
            Some(Harm::Loses("drops a dead letter that was looked at so often"))
        }
        ("delivery-limit", Role::Connector) if is_less_than_own("x-delivery-limit") => {
            Some(Harm::Hinders("makes dead letters of alerts that were in hand at so many crashes"))
        }
        ("consumer-timeout", Role::Connector) if is_less(CONSUMER_TIMEOUT_MIN) => {
            Some(Harm::Hinders("ends a consumer that holds a message for so many milliseconds; allow 300000"))
        }
        ("dead-letter-routing-key", Role::Retry) => Some(Harm::Loses(
            "takes from retries the way back to their connector: each becomes a dead letter",
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nightbell_amqp::Names;

    const CONNECTOR: &str = "nightbell.connector.sre";
    const RETRY: &str = "nightbell.retry.8s";
    const DEAD: &str = "nightbell.dead";

    fn queue(name: &str) -> Declared {
        let topology = Topology::of(&Names::default(), &["sre".parse().unwrap()]);
        topology.queues.into_iter().find(|queue| queue.name == name).unwrap()
    }

    fn policies(definition: &Value) -> Policies {
        Policies { names: vec!["limits".to_owned()], definition: definition.as_object().unwrap().clone() }
    }

    /// Checks how the finding begins that a policy gives on one queue.
    #[track_caller]
    fn check(name: &str, definition: &Value, want: &str) {
        let findings = judge(&[(queue(name), policies(definition))]);
        assert_eq!(findings.len(), 1, "{findings:?}");
        super::super::finding::check(&findings[0], want);
    }

    #[test]
    fn what_a_policy_harms_is_said_for_each_kind_of_queue() {
        check(CONNECTOR, &json!({}), "ok    policies: none changes what the 1 queues need");
        check(CONNECTOR, &json!({ "expires": 9 }), "FAIL  policy `limits`: `expires` = 9 deletes the queue");
        check(
            RETRY,
            &json!({ "overflow": "drop-head" }),
            "FAIL  policy `limits`: `overflow` = \"drop-head\" goes before",
        );
        check(RETRY, &json!({ "overflow": REJECT }), "ok");
        check(DEAD, &json!({ "overflow": "drop-head" }), "ok");
        check(DEAD, &json!({ "max-length": 9 }), "FAIL  policy `limits`: `max-length` = 9 drops the oldest");
        check(
            DEAD,
            &json!({ "max-length-bytes": 9, "overflow": REJECT }),
            "warn  policy `limits`: `max-length-bytes` = 9 refuses",
        );
        check(CONNECTOR, &json!({ "max-length": 9 }), "warn  policy `limits`: `max-length` = 9 refuses");
        check(
            DEAD,
            &json!({ "message-ttl": 9 }),
            "FAIL  policy `limits`: `message-ttl` = 9 deletes dead letters",
        );
        check(CONNECTOR, &json!({ "message-ttl": 9 }), "warn");
        check(RETRY, &json!({ "message-ttl": 7_999 }), "warn");
        check(RETRY, &json!({ "message-ttl": 8_000 }), "ok");
        check(DEAD, &json!({ "delivery-limit": 20 }), "FAIL");
        check(CONNECTOR, &json!({ "delivery-limit": 49 }), "warn");
        check(CONNECTOR, &json!({ "delivery-limit": 50 }), "ok");
        check(CONNECTOR, &json!({ "delivery-limit": -1 }), "ok");
        check(RETRY, &json!({ "delivery-limit": 1 }), "ok");
        check(CONNECTOR, &json!({ "consumer-timeout": 299_999 }), "warn");
        check(CONNECTOR, &json!({ "consumer-timeout": 300_000 }), "ok");
        check(RETRY, &json!({ "dead-letter-routing-key": "x" }), "FAIL");
        check(
            CONNECTOR,
            &json!({ "dead-letter-routing-key": "x", "dead-letter-strategy": "at-most-once" }),
            "ok",
        );
    }

    #[test]
    fn a_queue_of_one_member_in_a_cluster_is_told() {
        let of = |counts: &[usize], nodes| {
            let members: Vec<_> = counts
                .iter()
                .enumerate()
                .map(|(at, count)| (Object::queue(&format!("q{at}")), *count))
                .collect();
            judge_members(&members, nodes).unwrap().to_string()
        };
        let one = "FAIL  members: the cluster has 3 nodes, and these are on fewer than 3: queue `q1` on 1; one that is on 1";
        assert!(of(&[3, 1], Some(3)).starts_with(one), "{}", of(&[3, 1], Some(3)));
        assert!(of(&[3, 1], None).starts_with(one));
        assert!(of(&[2, 2], Some(5)).starts_with("warn  members: the cluster has 5 nodes"));
        assert!(
            of(&[1, 1], Some(1))
                .starts_with("ok    members: each of the 2 queues is on 1 or more of 1 nodes")
        );
        assert!(of(&[3, 3], Some(5)).starts_with("ok"));
    }

    #[test]
    fn queues_with_the_same_trouble_share_a_line() {
        let all = [CONNECTOR, DEAD].map(|name| (queue(name), policies(&json!({ "expires": 60_000 }))));
        let findings: Vec<_> = judge(&all).iter().map(ToString::to_string).collect();
        let [one] = findings.as_slice() else { panic!("{findings:?}") };
        assert!(one.contains(": queue `nightbell.connector.sre`, queue `nightbell.dead`\n"), "{one}");
    }

    #[test]
    fn arguments_are_compared_both_ways() {
        let queue = queue(DEAD);
        let with = |name: &str, value: Value| {
            let mut settings = ObjectSettings::default();
            settings
                .arguments
                .extend(queue.arguments.iter().map(|(name, value)| ((*name).to_owned(), value.json())));
            settings.arguments.insert(name.to_owned(), value);
            compare(&queue, &settings)
        };
        let otherwise = |argument: &str, found: &str, wanted: &str| Shape::Otherwise {
            argument: argument.into(),
            found: found.into(),
            wanted: wanted.into(),
        };
        assert_eq!(with("x-queue-type", json!("quorum")), Shape::Sound);
        assert_eq!(with("x-queue-type", json!("classic")), otherwise("x-queue-type", "classic", "quorum"));
        assert_eq!(with("x-max-length", json!(9)), otherwise("x-max-length", "9", "none"));
        assert_eq!(
            compare(&queue, &ObjectSettings::default()),
            otherwise("x-delivery-limit", "none", "2000000000")
        );
        let exchange = Topology::of(&Names::default(), &[]).exchanges.remove(1);
        let of = |kind: &str, arguments: &Value| {
            let arguments = arguments.as_object().unwrap().clone();
            compare(&exchange, &ObjectSettings { kind: kind.into(), arguments, ..ObjectSettings::default() })
        };
        let alternate = json!({ "alternate-exchange": DEAD });
        assert_eq!(of("topic", &alternate), Shape::Sound);
        assert_eq!(of("fanout", &alternate), otherwise("type", "fanout", "topic"));
        assert_eq!(of("topic", &json!({})), otherwise("alternate-exchange", "none", DEAD));
    }

    #[test]
    fn a_management_api_that_is_of_no_use_is_said_with_its_cure() {
        let place = || "broker:15672".to_owned();
        let refused = ManagementError::Refused { place: place(), user: "worker".to_owned(), status: 401 };
        let finding = unusable(refused.into());
        super::super::finding::check(
            &finding,
            "FAIL  policies: the management API at broker:15672 refused `worker` with HTTP 401\n      give the user the tag",
        );
        assert_eq!(finding.code(), Some(Code::NoPermission));
        let other = Unusable::AnotherBroker { place: place(), object: Object::queue("q") };
        super::super::finding::check(
            &unusable(other),
            "FAIL  policies: the management API at broker:15672 knows no queue `q`, which is there by AMQP\n      correct",
        );
    }
}
