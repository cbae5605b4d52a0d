//! RabbitMQ: its version, its queues, and what our user may do.

use nightbell_amqp::{Action, AmqpError, Examination, Object, Right, Shape, broker_versions, examine};

use super::finding::Finding;
use super::policies;
use crate::config::Config;
use crate::exit::{Code, Failure};
use crate::wiring;

/// The first version with message time-to-live and at-least-once dead-lettering in quorum queues.
const OLDEST: (u32, u32) = (3, 10);

/// The first version on which a consumer that took too long is cancelled and not its channel closed.
const CANCELS: (u32, u32) = (4, 3);

/// Connects, and looks at everything without changing it.
///
/// # Errors
/// The settings are broken.
pub(super) async fn look(config: &Config) -> Result<Vec<Finding>, Failure> {
    let settings = wiring::configured_broker(config)?;
    let mut findings = reached(broker_versions(&settings.url).await);
    if findings.iter().all(|finding| finding.code().is_some()) {
        return Ok(findings);
    }
    let connectors: Vec<_> = wiring::connectors(config).into_iter().collect();
    let management = wiring::queue(config)?.management_url.as_ref();
    match examine(&settings, &connectors).await {
        Ok(mut examination) => {
            let told = match management {
                Some(url) => {
                    policies::look(&url.as_str().into(), &settings, &connectors, &mut examination).await
                }
                None => vec![untold_policies()],
            };
            findings.extend(judge(&examination, settings.declare));
            findings.extend(told);
        }
        Err(error) => findings.push(unusable(error)),
    }
    findings.push(untold_timeout());
    Ok(findings)
}

/// What answers at each address. One that does not is a warning while another does.
fn reached(answers: Vec<(String, Result<String, AmqpError>)>) -> Vec<Finding> {
    let is_any = answers.iter().any(|(_, answer)| answer.is_ok());
    let finding = |(place, answer): (String, Result<String, AmqpError>)| match answer {
        Ok(greeting) => version(&greeting, &place),
        Err(error) if is_any => {
            let cure = "nothing is to be done if it is down for a while; else correct it in `queue.url`";
            Finding::warn("broker", format!("{:#}", anyhow::Error::new(error)), cure)
        }
        Err(error) => unusable(error),
    };
    answers.into_iter().map(finding).collect()
}

fn version(greeting: &str, place: &str) -> Finding {
    let said = format!("{greeting} at {place}");
    let Some(version) = greeting.strip_prefix("RabbitMQ ").and_then(parse) else {
        let cure = "use RabbitMQ 3.10 or later; Nightbell needs its quorum queues";
        return Finding::warn("broker", format!("{said}, which is not known to work"), cure);
    };
    if version < OLDEST {
        let cure = "upgrade RabbitMQ: before 3.10 its quorum queues can neither delay retries nor dead-letter for certain";
        return Finding::fail(Code::Unavailable, "broker", format!("{said}, which is too old"), cure);
    }
    if version >= CANCELS {
        let finding = format!(
            "{said}: a queue with a single active consumer can stop when all its consumers timed out"
        );
        let cure = "keep `consumer-timeout` at its 30 minutes or more (Nightbell holds nothing longer than 2); see \
                    rabbitmq-server issue 17317";
        return Finding::warn("broker", finding, cure);
    }
    Finding::ok("broker", said)
}

fn parse(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn unusable(error: AmqpError) -> Finding {
    if let AmqpError::Tls { place, fault } = &error {
        let (what, cure) = fault.parts();
        return Finding::fail(Code::Unavailable, "broker", format!("{place} {what}"), cure);
    }
    let (code, cure) = match &error {
        AmqpError::Login { .. } => (
            Code::NoPermission,
            "correct the user and the password; in a URL a % begins an escape, in `queue.username` and `queue.password` \
             nothing does",
        ),
        AmqpError::VirtualHost { .. } => {
            (Code::NoPermission, "create the virtual host, and give the user permissions in it")
        }
        AmqpError::Topology(_) | AmqpError::Ended { .. } => {
            (Code::Unavailable, "look into the broker's log; does the queue have a leader?")
        }
        AmqpError::Unreachable { .. }
        | AmqpError::TimedOut { .. }
        | AmqpError::Busy
        | AmqpError::Gone
        | AmqpError::AtNone { .. }
        | AmqpError::Tls { .. }
        | AmqpError::NoAmqp { .. } => {
            (Code::Unavailable, "start the broker, or correct host and port in `queue.url`")
        }
    };
    Finding::fail(code, "broker", format!("{:#}", anyhow::Error::new(error)), cure)
}

fn judge(examination: &Examination, declare: bool) -> Vec<Finding> {
    let all = examination.objects.len();
    let mut findings = Vec::new();
    if named(&examination.objects, &Shape::Sound).len() == all {
        let said =
            format!("all {all} exchanges and queues are there, of the type and with the arguments they need");
        findings.push(Finding::ok("topology", said));
    }
    findings.extend(missing(&examination.objects, declare));
    findings.extend(hidden(&examination.objects));
    findings.extend(examination.objects.iter().filter_map(|(object, shape)| stands(object, shape)));
    findings.extend(permissions(&examination.rights, declare));
    findings.extend(lesser(&examination.rights));
    findings
}

/// What a user may do that may not do the worker's part, and is not meant to.
fn lesser(rights: &[Right]) -> Option<Finding> {
    let may = |action: Action, name: &str| {
        rights
            .iter()
            .any(|right| right.is_granted && right.action == action && right.object.name.ends_with(name))
    };
    let is_whole = |right: &Right| right.is_granted || right.action == Action::Configure;
    if rights.iter().all(is_whole) || !may(Action::Write, ".events") {
        return None;
    }
    let work = if may(Action::Read, ".dead") && may(Action::Write, ".retry") {
        "publish events, and list, replay and discard dead letters"
    } else {
        "publish events"
    };
    let said = format!("it may {work}, and not do the worker's part");
    Some(Finding::note("user", said, "for a user that shall do no more, nothing is to be done"))
}

/// The objects that stand so.
fn named(objects: &[(Object, Shape)], wanted: &Shape) -> Vec<String> {
    objects.iter().filter(|(_, shape)| shape == wanted).map(|(object, _)| object.to_string()).collect()
}

/// What is not there, in one line, since mostly it is everything.
fn missing(objects: &[(Object, Shape)], declare: bool) -> Option<Finding> {
    let missing = named(objects, &Shape::Missing);
    let cure = if declare {
        "start the worker, which declares them"
    } else {
        "load what `nightbell topology` prints, or set `queue.declare = true`"
    };
    let said = format!("{} of {} are not there: {}", missing.len(), objects.len(), missing.join(", "));
    (!missing.is_empty()).then(|| Finding::fail(Code::Unavailable, "topology", said, cure))
}

fn stands(object: &Object, shape: &Shape) -> Option<Finding> {
    match shape {
        Shape::Sound | Shape::Missing | Shape::Hidden => None,
        Shape::Otherwise { argument, found, wanted } => Some(Finding::fail(
            Code::Unavailable,
            object.to_string(),
            format!("`{argument}` is {found}, and must be {wanted}"),
            format!(
                "delete the {} when it is empty, so that it is declared anew, or choose another `queue.prefix`",
                object.kind
            ),
        )),
        Shape::Unseen => Some(Finding::note(
            object.to_string(),
            "it is there; its arguments are told only to a user who may configure it",
            format!(
                "run this as such a user, or compare `nightbell topology` with `rabbitmqctl list_{}s name arguments`",
                object.kind
            ),
        )),
    }
}

/// What the broker tells nothing of, in one line.
fn hidden(objects: &[(Object, Shape)]) -> Option<Finding> {
    let hidden = named(objects, &Shape::Hidden);
    let said = format!(
        "this user has no right to {} of {}, so the broker does not tell it whether they are there: {}",
        hidden.len(),
        objects.len(),
        hidden.join(", ")
    );
    let cure = "set `queue.management_url`, or compare `rabbitmqctl list_exchanges` and `list_queues` with \
                `nightbell topology`";
    (!hidden.is_empty()).then(|| Finding::note("topology", said, cure))
}

/// One line for each kind of permission.
fn permissions(rights: &[Right], declare: bool) -> Vec<Finding> {
    let of = |action: Action| {
        let rights: Vec<_> = rights.iter().filter(|right| right.action == action).collect();
        (!rights.is_empty()).then(|| permission(action, &rights, declare))
    };
    [Action::Configure, Action::Read, Action::Write].into_iter().filter_map(of).collect()
}

fn permission(action: Action, rights: &[&Right], declare: bool) -> Finding {
    let (what, all) = (format!("permission to {}", action.as_str()), rights.len());
    let refused: Vec<_> =
        rights.iter().filter(|right| !right.is_granted).map(|right| right.object.to_string()).collect();
    if refused.is_empty() {
        return Finding::ok(what, format!("granted on all {all} that need it"));
    }
    let said = format!("refused on {} of {all}: {}", refused.len(), refused.join(", "));
    let cure = match action {
        Action::Configure if !declare => {
            return Finding::ok(what, format!("{said}; not needed, since `queue.declare` is false"));
        }
        Action::Configure => {
            "grant it with `rabbitmqctl set_permissions`, or load what `nightbell topology` prints and set \
             `queue.declare = false`"
        }
        Action::Read | Action::Write => "grant it with `rabbitmqctl set_permissions`",
    };
    Finding::fail(Code::NoPermission, what, said, cure)
}

fn untold_policies() -> Finding {
    Finding::note(
        "policies",
        "AMQP does not tell them, and a policy can have a queue lose messages, cap it or lower its delivery limit",
        "set `queue.management_url`, or compare `rabbitmqctl list_policies` and `list_operator_policies` \
         with `nightbell topology`",
    )
}

/// The broker's own, which no interface tells.
fn untold_timeout() -> Finding {
    Finding::note(
        "consumer time-out",
        "the broker does not tell its own; Nightbell holds a message for 2 minutes at most",
        "if it was changed, see that `rabbitmqctl environment` says 300000 ms or more for `consumer_timeout`",
    )
}

#[cfg(test)]
mod tests {
    use nightbell_amqp::ObjectKind;

    use super::*;
    use crate::commands::check::finding::check;

    #[test]
    fn versions_are_judged() {
        for (greeting, want) in [
            ("RabbitMQ 3.10.8", "ok    broker: RabbitMQ 3.10.8 at b:1"),
            ("RabbitMQ 4.2.9", "ok    broker"),
            ("RabbitMQ 3.9.29", "FAIL  broker: RabbitMQ 3.9.29 at b:1, which is too old"),
            ("RabbitMQ 4.3.0", "warn  broker: RabbitMQ 4.3.0 at b:1: a queue with a single active consumer"),
            ("RabbitMQ 5.0.0-rc.1", "warn  broker"),
            ("RabbitMQ next", "warn  broker: RabbitMQ next at b:1, which is not known to work"),
            ("LavinMQ 2.0.0", "warn  broker: LavinMQ 2.0.0 at b:1, which is not known to work"),
        ] {
            check(&version(greeting, "b:1"), want);
        }
    }

    fn queue(name: &str) -> Object {
        Object { kind: ObjectKind::Queue, name: name.into() }
    }

    fn judged(shapes: Vec<Shape>, declare: bool) -> Vec<String> {
        let objects = shapes.into_iter().map(|shape| (queue("q"), shape)).collect();
        judge(&Examination { objects, rights: Vec::new() }, declare).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_shape_has_its_line_and_its_cure() {
        assert!(judged(vec![Shape::Sound, Shape::Sound], true)[0].starts_with("ok    topology: all 2"));
        let absent = judged(vec![Shape::Sound, Shape::Missing], true);
        assert_eq!(
            absent,
            ["FAIL  topology: 1 of 2 are not there: queue `q`\n      start the worker, which declares them"]
        );
        assert!(judged(vec![Shape::Missing], false)[0].ends_with("or set `queue.declare = true`"));
        let limit = Shape::Otherwise {
            argument: "x-overflow".into(),
            found: "none".into(),
            wanted: "reject-publish".into(),
        };
        assert!(
            judged(vec![limit], true)[0]
                .starts_with("FAIL  queue `q`: `x-overflow` is none, and must be reject-publish\n")
        );
        assert!(judged(vec![Shape::Unseen], true)[0].starts_with("note  queue `q`: it is there"));
        let hidden = "note  topology: this user has no right to 1 of 1, so the broker does not tell it whether they are there: queue `q`";
        assert!(judged(vec![Shape::Hidden], false)[0].starts_with(hidden));
    }

    #[test]
    fn a_permission_that_is_refused_fails_unless_it_is_not_needed() {
        let right = |action, is_granted| Right { action, object: queue("q"), is_granted };
        let judged =
            |action, declare| permissions(&[right(action, true), right(action, false)], declare).remove(0);
        check(
            &permissions(&[right(Action::Read, true)], true)[0],
            "ok    permission to read: granted on all 1",
        );
        check(&judged(Action::Read, false), "FAIL  permission to read: refused on 1 of 2: queue `q`");
        check(&judged(Action::Write, false), "FAIL  permission to write");
        check(&judged(Action::Configure, true), "FAIL  permission to configure");
        check(
            &judged(Action::Configure, false),
            "ok    permission to configure: refused on 1 of 2: queue `q`; not needed",
        );
        assert_eq!(judged(Action::Read, true).code(), Some(Code::NoPermission));
    }
}
