//! The show: what is done, and what is said of it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::select_all;
use nightbell_core::event::Event;
use nightbell_core::owner::View;
use nightbell_core::ports::{Clock as _, MessageQueue as _};
use nightbell_http::{get, post};
use nightbell_letters::{Access, Selector, Verb};
use nightbell_reports::{Format, Input, Reading, Repeats, ReportOptions, Source, Summary};
use nightbell_worker::SystemClock;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::timeout;

use super::board::{Board, Counts};
use super::screen::Screen;
use super::stage::Stage;
use super::stand_in::Request;
use super::texts;
use crate::exit::{Code, Failure, OrFail as _};
use crate::queue::Queue;

/// A report that pytest wrote; `demo/test_shop.py` is the suite.
const REPORT: &str = include_str!("report.xml");

/// The project that the report is published for.
const PROJECT: &str = "shop";

/// The longest wait for any one thing that must happen.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// The show.
pub(super) struct Show<'a> {
    stage: &'a mut Stage,
    screen: &'a Screen,
    access: Access<Queue>,
    views: Vec<watch::Receiver<View>>,
    board: Board,
    began: Instant,
    published: Instant,
}

impl<'a> Show<'a> {
    /// A show on this stage.
    pub(super) fn new(stage: &'a mut Stage, screen: &'a Screen) -> Self {
        Self {
            access: Access::Worker(stage.worker_at()),
            views: stage.worker.owners.iter().map(|owner| owner.view.clone()).collect(),
            stage,
            screen,
            board: Board::default(),
            began: Instant::now(),
            published: Instant::now(),
        }
    }

    /// Runs it. It ends only if it is for once; `is_over` is set when all has been shown.
    pub(super) async fn run(&mut self, once: bool, is_over: &mut bool) -> Result<(), Failure> {
        self.screen.say(texts::PROLOGUE)?;
        let events = self.publish().await?;
        self.deliver().await?;
        self.replay().await?;
        self.repeat(events).await?;
        self.conclude()?;
        *is_over = true;
        if once {
            return self.screen.say(&texts::once(self.stage.at));
        }
        self.screen.title("The demo stays up until you press Ctrl-C")?;
        self.screen.say(&texts::stay(self.stage.at, &self.stage.file()))?;
        self.stay().await
    }

    /// The first run fails, and its report is published. Gives the number of its events.
    async fn publish(&mut self) -> Result<usize, Failure> {
        self.screen.title("1. A test run fails, and its report is published")?;
        let (summary, events) = read("1")?;
        self.board = Board::of(&events, &self.stage.config.routing);
        self.stage.xmatters.break_down();
        self.post("1", &events).await?;
        self.screen.say(&texts::report(&summary))?;
        Ok(events.len())
    }

    /// Its alerts are delivered, after retries, or refused.
    async fn deliver(&mut self) -> Result<(), Failure> {
        self.screen.title("2. Its alerts are sent, and sent again while xMatters is overloaded")?;
        let alerts = self.board.rows.len();
        self.screen.say(&texts::alerts(&self.board))?;
        let what = "alerts delivered or kept as dead letters";
        self.follow(what, alerts, |of| of.delivered + of.dead).await?;
        self.screen.say(&texts::endings(&self.board))?;
        self.screen.say(texts::RETRIES)
    }

    /// The one that was refused is replayed.
    async fn replay(&mut self) -> Result<(), Failure> {
        self.screen.title("3. A refused alert is kept as a dead letter, and replayed")?;
        let mut letters = Vec::new();
        let all = Selector::default();
        let listed = self.access.list(&all, SystemClock.now(), |letter| {
            letters.push(letter);
            Ok::<_, Failure>(())
        });
        timeout(WAIT_MAX, listed).await.or_fail(Code::Unavailable)??;
        let [letter] = letters.as_slice() else {
            return Err(missing(&format!("one dead letter; there are {}", letters.len())));
        };
        self.screen.say(&texts::letter(letter))?;
        self.stage.xmatters.mend();
        self.published = Instant::now();
        let selector = Selector { id: vec![letter.id.clone()], ..Selector::default() };
        let mut problems = Vec::new();
        let now = SystemClock.now();
        let acted = self.access.act(Verb::Replay, &selector, now, |done| problems.extend(done.problem));
        timeout(WAIT_MAX, acted).await.or_fail(Code::Unavailable)??;
        if let Some(problem) = problems.pop() {
            return Err(Failure::new(
                Code::Unavailable,
                format!("the dead letter was not replayed: {problem}"),
            ));
        }
        self.follow("alerts delivered", self.board.rows.len(), |of| of.delivered).await?;
        Ok(())
    }

    /// The next run fails in the same way.
    async fn repeat(&mut self, events: usize) -> Result<(), Failure> {
        self.screen.title("4. The next test run fails in the same way")?;
        let (_, again) = read("2")?;
        let before = self.board.requests;
        self.post("2", &again).await?;
        self.screen.say(&texts::again(again.len()))?;
        // Each event goes to each connector's queue, and the replay went to one.
        let deliveries = (events + again.len()) * self.views.len() + 1;
        let counts = self.follow("deliveries settled", deliveries, Counts::total).await?;
        let requests = self.board.requests - before;
        let suppressed = counts.values().map(|of| of.duplicate).sum();
        if requests > 0 || suppressed != self.board.rows.len() {
            let text = format!(
                "every repeat suppressed; of {} alerts {suppressed} were, and xMatters had {requests} more requests",
                self.board.rows.len(),
            );
            return Err(missing(&text));
        }
        self.screen.say(&texts::suppressed(suppressed))?;
        self.screen.title("What became of all events")?;
        self.screen.say(&texts::counts(events + again.len(), &counts))
    }

    /// Fails unless each alert arrived, and only once.
    fn conclude(&self) -> Result<(), Failure> {
        let mut wrong = self.board.wrong();
        let dead = self.stage.worker.queue.view().depths.dead;
        wrong.extend((dead != Some(0)).then(|| "the dead letter is still there".to_owned()));
        if wrong.is_empty() { Ok(()) } else { Err(missing(&wrong.join("; "))) }
    }

    /// Shows each request that others cause.
    async fn stay(&mut self) -> Result<(), Failure> {
        loop {
            if let Some(request) = self.next().await? {
                self.tell(&request)?;
            }
        }
    }

    /// Publishes the report through the worker's own HTTP face.
    async fn post(&mut self, run_id: &str, events: &[Event]) -> Result<(), Failure> {
        self.published = Instant::now();
        let path = format!("/v1/junit?project={PROJECT}&run_id={run_id}");
        let worker = self.stage.worker_at();
        let sent = post(
            &worker,
            &path,
            &[("content-type", "application/xml")],
            Bytes::from_static(REPORT.as_bytes()),
        );
        let (status, answer) =
            timeout(WAIT_MAX, sent).await.or_fail(Code::Unavailable)?.or_fail(Code::Unavailable)?;
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        let accepted = answer["accepted"].as_array().map_or(0, Vec::len);
        if status == 202 && accepted == events.len() {
            return Ok(());
        }
        Err(missing(&format!(
            "{} events in the queue; the worker took {accepted} (HTTP {status})",
            events.len()
        )))
    }

    /// Tells each request, until so many of something are counted.
    async fn follow(
        &mut self,
        what: &'static str,
        wanted: usize,
        of: impl Fn(Counts) -> usize,
    ) -> Result<BTreeMap<String, Counts>, Failure> {
        self.screen.expect(wanted, what);
        let followed = timeout(WAIT_MAX, self.count(wanted, of)).await;
        self.screen.clear();
        followed.unwrap_or_else(|_| {
            let rest = self.board.missing().join(", ");
            let rest = if rest.is_empty() { rest } else { format!("; not delivered: {rest}") };
            Err(missing(&format!("{wanted} {what} within {} s{rest}", WAIT_MAX.as_secs())))
        })
    }

    /// The metrics are looked at after each request, and whenever an owner says how it stands, which it does each second.
    async fn count(
        &mut self,
        wanted: usize,
        of: impl Fn(Counts) -> usize,
    ) -> Result<BTreeMap<String, Counts>, Failure> {
        loop {
            let metrics = get(&self.stage.worker_at(), "/metrics").await.or_fail(Code::Unavailable)?;
            let counts = Counts::read(&String::from_utf8_lossy(&metrics));
            while let Ok(request) = self.stage.xmatters.requests.try_recv() {
                self.tell(&request)?;
            }
            let counted = counts.values().map(|counts| of(*counts)).sum();
            self.screen.reached(counted);
            if counted >= wanted {
                return Ok(counts);
            }
            if let Some(request) = self.next().await? {
                self.tell(&request)?;
            }
        }
    }

    /// Waits for a request; none: an owner said how it stands.
    async fn next(&mut self) -> Result<Option<Request>, Failure> {
        let views = self.views.iter_mut().map(|view| Box::pin(view.changed()));
        tokio::select! {
            request = self.stage.xmatters.requests.recv() => Ok(request),
            (said, ..) = select_all(views) => {
                said.map_err(|_| Failure::new(Code::Software, "an owner ended by itself"))?;
                Ok(None)
            }
        }
    }

    fn tell(&mut self, request: &Request) -> Result<(), Failure> {
        self.board.hear(request, self.published);
        let at = request.at.saturating_duration_since(self.began);
        self.screen.say(&texts::request(request, at))
    }
}

/// Reads the bundled report as of a run.
fn read(run_id: &str) -> Result<(Summary, Vec<Event>), Failure> {
    let options = ReportOptions {
        project: PROJECT.to_owned(),
        run_id: Some(run_id.to_owned()),
        ..ReportOptions::default()
    };
    let input = Input {
        name: "report.xml".to_owned(),
        source: Source::memory(REPORT.as_bytes().into()),
        format: Some(Format::Junit),
    };
    let (mut reading, mut events) = (Reading::new(Repeats::Declared, options), Vec::new());
    let mut wrong = None;
    let flow = reading.read(vec![input], &mut |_, held| wrong = held.err(), &mut |event| {
        events.push(event);
        ControlFlow::Continue(())
    });
    wrong.map_or(Ok(()), Err).or_fail(Code::Software)?;
    debug_assert!(flow.is_continue(), "nothing stops it");
    let summary = reading.summary();
    Ok((summary, events))
}

fn missing(what: &str) -> Failure {
    Failure::new(Code::Unavailable, format!("the demo did not go as it should. Missing: {what}"))
}
