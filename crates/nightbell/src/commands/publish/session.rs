//! One publishing: what was confirmed, and why it stopped.

use std::time::Duration;

use futures::{Stream, StreamExt as _, stream};
use indicatif::{ProgressBar, ProgressStyle};
use nightbell_core::limits::PUBLISHES_MAX;
use nightbell_core::ports::{Clock as _, Outlet};
use nightbell_reports::Summary;
use nightbell_worker::SystemClock;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::source::{Outcome, Send};
use crate::exit::{Code, Failure, OrFail as _};
use crate::feed::{Item, feed};
use crate::output::{count, print_json, print_line};

/// The most ids that `--json` lists; beyond it they are only counted.
const LISTED_MAX: usize = 100_000;

/// What came of a publishing so far. It outlives a publishing that is given up midway.
#[derive(Debug, Default)]
pub(super) struct Published {
    confirmed: usize,
    listed: Vec<Value>,
    summary: Option<Summary>,
}

/// The way to publish, for one command.
pub(super) struct Session<'a, O> {
    pub(super) outlet: O,
    pub(super) timeout: Duration,
    pub(super) told: &'a mut Published,
}

impl<O: Outlet> Session<'_, O> {
    /// Publishes what comes.
    pub(super) async fn feed(&mut self, items: impl Stream<Item = Item>) -> Result<(), Failure> {
        let progress = ProgressBar::new_spinner().with_style(
            ProgressStyle::with_template("{spinner} {pos} published, {per_sec}")
                .expect("the template is sound"),
        );
        let told = &mut *self.told;
        let confirmed = |item: &Item| {
            progress.inc(1);
            told.confirmed += 1;
            if told.listed.len() < LISTED_MAX {
                told.listed.push(json!({ "id": item.id, "project": item.project, "test": item.test }));
            }
        };
        let fed = feed(&self.outlet, items, self.timeout, || SystemClock.now(), confirmed).await;
        progress.finish_and_clear();
        let Err(error) = fed else { return Ok(()) };
        Err(Failure::new(
            Code::Unavailable,
            format!(
                "{} published, then the queue gave no confirm for {}: {error}; publish again when it is back, ids keep \
                 that harmless",
                count(self.told.confirmed, "event"),
                humantime::format_duration(self.timeout),
            ),
        ))
    }

    /// Publishes what a thread reads, as it comes.
    pub(super) async fn feed_from_thread(
        &mut self,
        read: impl FnOnce(Send<'_>) -> Outcome + std::marker::Send + 'static,
    ) -> Result<(), Failure> {
        let (items, received) = mpsc::channel(PUBLISHES_MAX);
        let reader = tokio::task::spawn_blocking(move || read(&mut |item| items.blocking_send(item).is_ok()));
        let items = stream::unfold(received, |mut received| async {
            received.recv().await.map(|item| (item, received))
        });
        // If this fails, the reader is left behind: it may wait for a line that never comes.
        self.feed(items.boxed()).await?;
        let outcome = reader.await.or_fail(Code::Software)?;
        self.told.summary = outcome.summary;
        outcome.verdict()
    }
}

impl Published {
    /// Says on standard output what was published, and what went wrong if scripts want to know.
    pub(super) fn say(&self, as_json: bool, ended: &Result<(), Failure>) -> Result<(), Failure> {
        let error = ended.as_ref().err().map(ToString::to_string);
        if as_json {
            let tests = self.summary.map(|held| {
                json!({
                    "cases": held.cases,
                    "failed": held.failed,
                    "errors": held.errors,
                    "skipped": held.skipped,
                    "flaky": held.flaky,
                })
            });
            print_json(
                &json!({ "published": self.confirmed, "events": self.listed, "tests": tests, "error": error }),
            )
        } else if self.confirmed > 0 {
            print_line(&format!("published {}", count(self.confirmed, "event")))
        } else if error.is_none() {
            print_line("nothing to publish")
        } else {
            Ok(())
        }
    }
}
