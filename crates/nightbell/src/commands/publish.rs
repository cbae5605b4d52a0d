//! `nightbell publish`: one event from flags, many from standard input, or reports' failures.

mod inputs;
mod session;
mod source;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal as _};
use std::path::Path;

use futures::stream;
use jiff::tz::TimeZone;
use nightbell_amqp::Broker;
use nightbell_core::event::Event;
use nightbell_core::message::{Headers, Message};
use nightbell_core::ports::{Clock as _, Destination, MessageQueue as _, Outlet, PublishError};
use nightbell_core::trace;
use nightbell_reports::{Format, Now, Placeholder, Repeats, ReportOptions};
use nightbell_worker::SystemClock;
use tokio::time::timeout;

use self::session::{Published, Session};
use self::source::{Reports, read_lines, read_reports};
use crate::cli::{EventFlags, Publish};
use crate::config::{Config, Needs};
use crate::exit::{Code, Failure, OrFail as _};
use crate::feed::Item;
use crate::local_publisher::LocalPublisher;
use crate::wiring;

/// Publishes, and succeeds only when the queue has confirmed everything. With `--fail-open` it ends in time, whatever
/// the queue or the inputs do; that its failure shows in no exit code is the caller's part.
///
/// # Errors
/// Nothing was given, something can't be read, or the queue did not confirm in time.
pub async fn publish(config_path: &Path, flags: Publish) -> Result<(), Failure> {
    let mut told = Published::default();
    let work = through_queue(config_path, &flags, &mut told);
    let ended = if flags.fail_open {
        timeout(flags.timeout, work).await.unwrap_or_else(|_| {
            let limit = humantime::format_duration(flags.timeout);
            Err(Failure::new(Code::TempFail, format!("publishing was not done within {limit}")))
        })
    } else {
        work.await
    };
    let said = told.say(flags.json, &ended);
    ended.and(said)
}

/// Where to publish: the one place that knows which queues there are.
enum Queue {
    Amqp(Broker),
    Embedded(LocalPublisher),
}

fn queue(config_path: &Path, flags: &Publish) -> Result<Queue, Failure> {
    if let Some(url) = &flags.queue_url {
        let url = wiring::flagged_broker(url, &flags.queue_tls)?;
        let settings = wiring::broker_settings(url, &flags.prefix, 1, false)?;
        return Ok(Queue::Amqp(Broker::new(settings, Vec::new())));
    }
    let config = Config::load(config_path, Needs::Queue).or_fail(Code::Config)?;
    if config.queue.is_none() {
        return Ok(Queue::Embedded(LocalPublisher::new(config)));
    }
    Ok(Queue::Amqp(wiring::broker(&config)?))
}

async fn through_queue(config_path: &Path, flags: &Publish, told: &mut Published) -> Result<(), Failure> {
    match queue(config_path, flags)? {
        Queue::Amqp(broker) => {
            let ended = feed(broker.outlet(), flags, told).await;
            broker.close().await;
            ended
        }
        Queue::Embedded(publisher) => {
            let ended = feed(publisher.clone(), flags, told).await;
            ended.and(publisher.close().await)
        }
    }
}

/// An outlet whose messages are published in the trace of whoever runs this command.
#[derive(Clone)]
struct Traced<O> {
    outlet: O,
    headers: Headers,
}

impl<O: Outlet> Traced<O> {
    /// By the environment, where build systems that trace themselves put it:
    /// <https://opentelemetry.io/docs/specs/otel/context/env-carriers/>.
    fn of(outlet: O) -> Self {
        let [parent, state] = ["TRACEPARENT", "TRACESTATE"].map(|name| std::env::var(name).ok());
        Self { outlet, headers: trace::headers(parent.as_deref(), state.as_deref()) }
    }
}

impl<O: Outlet> Outlet for Traced<O> {
    async fn publish(&self, to: Destination, mut message: Message) -> Result<(), PublishError> {
        message.headers.extend(self.headers.clone());
        self.outlet.publish(to, message).await
    }
}

async fn feed(outlet: impl Outlet, flags: &Publish, told: &mut Published) -> Result<(), Failure> {
    let outlet = Traced::of(outlet);
    let is_terse = flags.fail_open;
    // One publish ends before the whole does, so that its own error is what is told.
    let timeout = if flags.fail_open { flags.timeout * 3 / 4 } else { flags.timeout };
    let mut session = Session { outlet, timeout, told };
    if let Some(reports) = reports(flags)? {
        session.feed_from_thread(move |send| read_reports(&reports, send)).await
    } else if flags.event.test.is_some() {
        session.feed(stream::iter([from_flags(&flags.event)?])).await
    } else if io::stdin().is_terminal() {
        Err(Failure::new(
            Code::Usage,
            "nothing to publish: give --project and --test for one event, the FILES of reports, or NDJSON on standard input",
        ))
    } else {
        session.feed_from_thread(move |send| read_lines(is_terse, send)).await
    }
}

fn from_flags(flags: &EventFlags) -> Result<Item, Failure> {
    let mut event =
        Event::new(flags.project.clone().unwrap_or_default(), flags.test.clone().unwrap_or_default());
    event.id.clone_from(&flags.id);
    event.status = flags.status.unwrap_or_default();
    event.severity = flags.severity.unwrap_or_default();
    event.message.clone_from(&flags.message);
    event.details.clone_from(&flags.details);
    event.suite.clone_from(&flags.suite);
    event.environment.clone_from(&flags.environment);
    event.run_id.clone_from(&flags.run_id);
    event.tags.clone_from(&flags.tags);
    event.labels = flags.labels.iter().cloned().collect();
    event.dedup_key.clone_from(&flags.dedup_key);
    event.occurred_at = Some(nightbell_core::event::When(SystemClock.now()));
    event.report_url = flags.report_url.as_ref().and_then(|link| link.of(&event));
    let body = serde_json::to_vec(&event).or_fail(Code::Software)?;
    // The worker reads it with the same function: what would be dead-lettered there is an error here.
    let event = nightbell_core::event::read(&body).or_fail(Code::Usage)?;
    Ok(Item::of(&event, body.into()))
}

/// The reports to publish, if any are given, or what their runner ended with.
fn reports(flags: &Publish) -> Result<Option<Reports>, Failure> {
    let told = flags.files.iter().map(|path| (path.clone(), None));
    let forced =
        flags.forced.each().map(|(format, paths)| paths.iter().map(move |path| (path.clone(), Some(format))));
    let given: Vec<_> = told.chain(forced.into_iter().flatten()).collect();
    if given.is_empty() && flags.exit_status.is_none() {
        return Ok(None);
    }
    let event = &flags.event;
    let project = event.project.clone().filter(|project| !project.trim().is_empty());
    let asks_for = |placeholder| event.report_url.as_ref().is_some_and(|link| link.asks_for(placeholder));
    // A CTRF report may tell its run by itself.
    let tells_its_run = given.iter().all(|(_, format)| matches!(format, Some(Format::Ctrf) | None));
    let needed = [
        (Placeholder::RunId, &event.run_id, "{run_id}, which needs --run-id ID"),
        (Placeholder::Environment, &event.environment, "{environment}, which needs --environment NAME"),
    ];
    let missing = needed
        .into_iter()
        .find(|(placeholder, given, _)| !tells_its_run && given.is_none() && asks_for(*placeholder));
    if let Some((_, _, needs)) = missing {
        return Err(Failure::new(Code::Usage, format!("--report-url has {needs}")));
    }
    let options = ReportOptions {
        project: project.ok_or_else(|| Failure::new(Code::Usage, "reports need --project NAME"))?,
        environment: event.environment.clone(),
        run_id: event.run_id.clone().filter(|run| !run.trim().is_empty()),
        severity: event.severity.unwrap_or_default(),
        labels: event.labels.iter().cloned().collect(),
        tags: event.tags.clone(),
        report_url: None,
        link: event.report_url.clone(),
        suite: event.suite.clone(),
        flaky: flags.flaky,
        exit_status: flags.exit_status.clone(),
        now: Now { at: SystemClock.now(), zone: TimeZone::system() },
    };
    let repeats = if flags.reruns { Repeats::AcrossFiles } else { Repeats::Declared };
    Ok(Some(Reports { given, repeats, options, is_terse: flags.fail_open }))
}
