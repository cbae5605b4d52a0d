//! `nightbell publish`: one event from flags, many from standard input, or a report's failures.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::{Stream, StreamExt as _, stream};
use indicatif::{ProgressBar, ProgressStyle};
use nightbell_amqp::{AmqpOutlet, Broker};
use nightbell_core::event::Event;
use nightbell_core::ports::Clock as _;
use nightbell_worker::SystemClock;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::cli::{EventFlags, Publish};
use crate::config::Config;
use crate::exit::{Code, Failure, OrFail as _};
use crate::feed::{Fed, Item, PUBLISHES_MAX, feed};
use crate::junit::{self, JunitError, ReportOptions, Summary};
use crate::ndjson::Events;
use crate::output::{count, print_json, print_line};
use crate::wiring;

/// The most ids that `--json` lists; beyond it they are only counted.
const LISTED_MAX: usize = 100_000;

/// Publishes, and succeeds only when the broker has confirmed everything.
///
/// # Errors
/// Nothing was given, something can't be read, or the broker did not confirm in time.
pub async fn publish(config_path: &Path, flags: Publish) -> Result<(), Failure> {
    let broker = broker(config_path, &flags)?;
    let mut session = Session::new(broker.outlet(), &flags);
    let unreadable = if !flags.junit.is_empty() {
        let (files, options) = (flags.junit.clone(), report_options(&flags.event)?);
        from_thread(&mut session, move |send| read_reports(&files, &options, send)).await?
    } else if flags.event.test.is_some() {
        session.feed(stream::iter([from_flags(&flags.event)?])).await;
        0
    } else if io::stdin().is_terminal() {
        return Err(Failure::new(
            Code::Usage,
            "nothing to publish: give --project and --test for one event, --junit FILES… for reports, or NDJSON on \
             standard input",
        ));
    } else {
        from_thread(&mut session, read_lines).await?
    };
    session.conclude(flags.json)?;
    broker.close().await;
    match unreadable {
        0 => Ok(()),
        some => {
            Err(Failure::new(Code::Data, format!("{} could not be read, see above", count(some, "input"))))
        }
    }
}

fn broker(config_path: &Path, flags: &Publish) -> Result<Broker, Failure> {
    match &flags.queue_url {
        Some(url) => Ok(Broker::new(wiring::broker_settings(url, &flags.prefix, 1, false)?, Vec::new())),
        None => wiring::broker(&Config::load(Some(config_path)).or_fail(Code::Config)?),
    }
}

/// One publishing: where to, for how long, and what came of it.
struct Session {
    outlet: AmqpOutlet,
    timeout: Duration,
    confirmed: usize,
    stopped: Option<String>,
    listed: Vec<Value>,
}

impl Session {
    fn new(outlet: AmqpOutlet, flags: &Publish) -> Self {
        Self { outlet, timeout: flags.timeout, confirmed: 0, stopped: None, listed: Vec::new() }
    }

    async fn feed(&mut self, items: impl Stream<Item = Item>) {
        let progress = ProgressBar::new_spinner().with_style(
            ProgressStyle::with_template("{spinner} {pos} published, {per_sec}")
                .expect("the template is sound"),
        );
        let listed = &mut self.listed;
        let confirmed = |item: &Item| {
            progress.inc(1);
            if listed.len() < LISTED_MAX {
                listed.push(json!({ "id": item.id, "project": item.project, "test": item.test }));
            }
        };
        let Fed { confirmed, stopped } =
            feed(&self.outlet, items, self.timeout, || SystemClock.now(), confirmed).await;
        progress.finish_and_clear();
        self.confirmed += confirmed;
        self.stopped = stopped.map(|error| error.to_string());
    }

    /// Says what was published; fails if the broker did not confirm everything.
    fn conclude(&self, as_json: bool) -> Result<(), Failure> {
        if as_json {
            print_json(
                &json!({ "published": self.confirmed, "events": self.listed, "error": self.stopped }),
            )?;
        } else if self.confirmed == 0 && self.stopped.is_none() {
            print_line("nothing to publish")?;
        } else {
            print_line(&format!("published {}", count(self.confirmed, "event")))?;
        }
        match &self.stopped {
            None => Ok(()),
            Some(error) => Err(Failure::new(
                Code::Unavailable,
                format!(
                    "{} published, then the broker gave no confirm for {}: {error}; publish again when it is back, ids \
                     keep that harmless",
                    count(self.confirmed, "event"),
                    humantime::format_duration(self.timeout),
                ),
            )),
        }
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
    event.report_url.clone_from(&flags.report_url);
    event.tags.clone_from(&flags.tags);
    event.labels = flags.labels.iter().cloned().collect();
    event.dedup_key.clone_from(&flags.dedup_key);
    event.occurred_at = Some(nightbell_core::event::When(SystemClock.now()));
    let body = serde_json::to_vec(&event).or_fail(Code::Software)?;
    // The worker reads it with the same function: what would be dead-lettered there is an error here.
    let event = nightbell_core::event::read(&body).or_fail(Code::Usage)?;
    Ok(Item::of(&event, body.into()))
}

/// What a reading thread does with each event; false: the publishing has stopped.
type Send<'a> = &'a mut dyn FnMut(Item) -> bool;

/// Publishes what a thread reads, as it comes, and returns how many inputs were unreadable.
async fn from_thread(
    session: &mut Session,
    read: impl FnOnce(Send<'_>) -> usize + std::marker::Send + 'static,
) -> Result<usize, Failure> {
    let (items, received) = mpsc::channel(PUBLISHES_MAX);
    let reader = tokio::task::spawn_blocking(move || read(&mut |item| items.blocking_send(item).is_ok()));
    let items =
        stream::unfold(received, |mut received| async { received.recv().await.map(|item| (item, received)) });
    session.feed(items.boxed()).await;
    if session.stopped.is_some() {
        // The reader may wait for a line that never comes; it is left behind.
        return Ok(0);
    }
    reader.await.or_fail(Code::Software)
}

fn read_lines(send: Send<'_>) -> usize {
    let mut unreadable = 0;
    for line in Events::new(io::stdin().lock()) {
        match line {
            Ok(line) => {
                if !send(Item::of(&line.event, line.body.into())) {
                    break;
                }
            }
            Err(error) => {
                unreadable += 1;
                say(&anyhow::Error::new(error));
            }
        }
    }
    unreadable
}

fn read_reports(files: &[PathBuf], options: &ReportOptions, send: Send<'_>) -> usize {
    let mut unreadable = 0;
    for file in files {
        if let Err(error) = read_report(file, options, send) {
            unreadable += 1;
            say(&anyhow::Error::new(error));
        }
    }
    unreadable
}

fn read_report(file: &Path, options: &ReportOptions, send: Send<'_>) -> Result<(), JunitError> {
    let report = junit::open(file, options.clone())?;
    let Summary { cases, failed, errors, skipped, flaky, .. } = report.summary();
    eprintln!(
        "{}: {}, {failed} failed, {errors} with errors, {skipped} skipped, {flaky} flaky",
        file.display(),
        count(cases, "test"),
    );
    for event in report {
        let event = event?;
        let body = serde_json::to_vec(&event).expect("an event is plain data");
        if !send(Item::of(&event, body.into())) {
            break;
        }
    }
    Ok(())
}

fn say(error: &anyhow::Error) {
    eprintln!("nightbell: {error:#}");
}

fn report_options(flags: &EventFlags) -> Result<ReportOptions, Failure> {
    let project = flags.project.clone().filter(|project| !project.trim().is_empty());
    Ok(ReportOptions {
        project: project.ok_or_else(|| Failure::new(Code::Usage, "--junit needs --project NAME"))?,
        environment: flags.environment.clone(),
        run_id: flags.run_id.clone(),
        severity: flags.severity.unwrap_or_default(),
        labels: flags.labels.iter().cloned().collect(),
        tags: flags.tags.clone(),
        report_url: flags.report_url.clone(),
        suite: flags.suite.clone(),
    })
}
