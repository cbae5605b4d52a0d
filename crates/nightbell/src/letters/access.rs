//! How a command gets at the dead letters: through the queue itself, or, where a running worker alone may have the queue
//! open, through that worker's routes.

use bytes::Bytes;

use nightbell_core::ports::MessageQueue;
use nightbell_http::{ClientError, Lines, Method, WorkerAt, is_there, lines};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::query::query;
use super::{Browse, Done, Verb, act};
use crate::cli::Selector;
use crate::config::Config;
use crate::door::refuse_anothers;
use crate::exit::{Code, Failure, OrFail as _};
use crate::listener::worker_at;
use crate::output::one_line;
use crate::queue::{Queue, embedded_name};

/// The path of the routes.
pub(super) const PATH: &str = "/v1/dead-letters";

/// How many ids are asked for in one request: a URL must stay short.
const IDS_AT_ONCE: usize = 200;

/// The way to the dead letters.
pub enum Access {
    /// Through the queue.
    Queue(Queue),
    /// Through a worker.
    Worker(WorkerAt),
}

/// A line of a route's answer: what became of a letter, or why there is no more.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Line {
    /// The queue failed midway.
    Broken {
        /// Why.
        error: String,
    },
    /// One letter.
    Done {
        /// Its id.
        id: String,
        /// Why it stays; absent if it is gone.
        problem: Option<String>,
    },
}

impl Access {
    /// Opens the configuration's queue; an embedded one that is in use is reached through the worker that has it.
    ///
    /// # Errors
    /// The queue can't be opened, and there is no such worker.
    pub async fn open(config: &Config) -> Result<Self, Failure> {
        let at = config.http.listen;
        if config.queue.is_none() {
            refuse_anothers(config).await?;
        }
        match Queue::open(config).await {
            // It may be another user's; its worker may be asked all the same.
            Err(failure) if matches!(failure.code, Code::TempFail | Code::CantCreate) => {}
            opened => return opened.map(Self::Queue),
        }
        let worker =
            worker_at(config, config.http.admin_token.as_ref(), embedded_name(config).ok().flatten());
        let Err(absent) = is_there(&worker).await else { return Ok(Self::Worker(worker)) };
        Queue::open_soon(config).await.map(Self::Queue).map_err(|Failure { code, error }| {
            let is_elsewhere = code == Code::TempFail;
            let is_nobody = matches!(absent, ClientError::NoWorker(_));
            let why = if is_nobody { String::new() } else { format!(": {absent}") };
            let nobody = || format!("no worker of this queue listens at {at} (http.listen){why}");
            Failure { code, error: if is_elsewhere { error.context(nobody()) } else { error } }
        })
    }

    /// Shows each letter whole to `visit`.
    ///
    /// # Errors
    /// The queue or the worker can't be reached, or what `visit` says.
    pub async fn list(
        &self,
        selector: &Selector,
        mut visit: impl FnMut(Value) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        match self {
            Self::Queue(queue) => {
                let mut browse = Browse::open(queue, selector).await?;
                while let Some((letter, _held)) = browse.next().await? {
                    visit(letter.whole())?;
                }
                browse.close().await
            }
            Self::Worker(_) => {
                for selector in portions(selector) {
                    let mut lines = self.ask(Method::GET, "", &selector).await?;
                    while let Some(line) = lines.next().await.or_fail(Code::Unavailable)? {
                        visit(letter(&line)?)?;
                    }
                }
                Ok(())
            }
        }
    }

    /// Replays or discards what the selector means.
    ///
    /// # Errors
    /// The queue or the worker can't be reached; `done` was told of all that were dealt with before.
    pub async fn act(&self, verb: Verb, selector: &Selector, done: impl FnMut(Done)) -> Result<(), Failure> {
        match self {
            Self::Queue(queue) => {
                let mut browse = Browse::open(queue, selector).await?;
                let acted = act_on_all(queue, &mut browse, verb, done).await;
                // Also after a failure: what was removed shall stay so.
                acted.and(browse.close().await)
            }
            Self::Worker(_) => self.let_act(verb, selector, done).await,
        }
    }

    /// Lets go of the queue.
    ///
    /// # Errors
    /// An embedded queue had failed.
    pub async fn close(self) -> Result<(), Failure> {
        match self {
            Self::Queue(queue) => queue.close().await,
            Self::Worker(_) => Ok(()),
        }
    }

    async fn let_act(
        &self,
        verb: Verb,
        selector: &Selector,
        mut done: impl FnMut(Done),
    ) -> Result<(), Failure> {
        for selector in portions(selector) {
            let mut lines = self.ask(Method::POST, verb.path(), &selector).await?;
            while let Some(line) = lines.next().await.or_fail(Code::Unavailable)? {
                match serde_json::from_slice(&line).or_fail(Code::Unavailable)? {
                    Line::Done { id, problem } => done(Done { id, problem }),
                    Line::Broken { error } => return Err(broken(&error)),
                }
            }
        }
        Ok(())
    }

    async fn ask(&self, method: Method, verb: &str, selector: &Selector) -> Result<Lines, Failure> {
        let Self::Worker(worker) = self else {
            return Err(Failure::new(Code::Software, "no worker is asked where the queue is open"));
        };
        let path = format!("{PATH}{verb}?{}", query(selector));
        lines(worker, method, &path).await.or_fail(Code::Unavailable)
    }
}

async fn act_on_all(
    queue: &Queue,
    browse: &mut Browse<<Queue as MessageQueue>::DeadLetters>,
    verb: Verb,
    mut done: impl FnMut(Done),
) -> Result<(), Failure> {
    loop {
        let some = act(&queue.outlet(), browse, verb).await?;
        if some.is_empty() {
            return Ok(());
        }
        some.into_iter().for_each(&mut done);
    }
}

impl Verb {
    /// The end of its route.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Replay => "/replay",
            Self::Discard => "/discard",
        }
    }
}

/// The same selector, with so few ids at a time that they fit into a URL.
fn portions(selector: &Selector) -> Vec<Selector> {
    if selector.id.len() <= IDS_AT_ONCE {
        return vec![selector.clone()];
    }
    let portion = |ids: &[String]| Selector { id: ids.to_vec(), ..selector.clone() };
    selector.id.chunks(IDS_AT_ONCE).map(portion).collect()
}

/// Why a worker gives no more.
fn broken(error: &str) -> Failure {
    Failure::new(Code::Unavailable, one_line(error, 2_000))
}

/// A letter of a worker's answer.
fn letter(line: &Bytes) -> Result<Value, Failure> {
    let letter: Value = serde_json::from_slice(line).or_fail(Code::Unavailable)?;
    match letter.get("error").and_then(Value::as_str) {
        Some(error) => Err(broken(error)),
        None => Ok(letter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_ids_are_asked_for_in_portions() {
        let ids = |count: usize| (0..count).map(|id| id.to_string()).collect();
        let sizes = |count| {
            let selector = Selector { id: ids(count), ..Selector::default() };
            portions(&selector).iter().map(|portion| portion.id.len()).collect::<Vec<_>>()
        };
        assert_eq!(sizes(0), [0]);
        assert_eq!(sizes(200), [200]);
        assert_eq!(sizes(401), [200, 200, 1]);
    }

    #[test]
    fn a_line_is_a_letter_or_the_end() {
        let read = |text| serde_json::from_str::<Line>(text).unwrap();
        assert!(matches!(read(r#"{"id":"a","problem":null}"#), Line::Done { problem: None, .. }));
        assert!(matches!(read(r#"{"error":"gone"}"#), Line::Broken { .. }));
        assert!(letter(&Bytes::from_static(br#"{"error":"gone"}"#)).is_err());
        assert!(letter(&Bytes::from_static(br#"{"id":"a"}"#)).is_ok());
    }
}
