//! The way to the dead letters for a command: through the queue itself, or, where a running worker alone may have the queue
//! open, through that worker's routes.

use nightbell_core::ports::MessageQueue;
use nightbell_core::time::UnixMillis;
use nightbell_http::{Method, WorkerAt, lines};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::LettersError;
use crate::browse::{Acting, Browse, Done, Verb};
use crate::letter::LetterView;
use crate::query::query;
use crate::selector::Selector;

/// The path of the routes.
pub(crate) const PATH: &str = "/v1/dead-letters";

/// How many ids are asked for in one request: a URL must stay short.
const IDS_AT_ONCE: usize = 200;

/// The way to the dead letters.
pub enum Access<Q> {
    /// Through the queue.
    Queue(Q),
    /// Through a worker.
    Worker(WorkerAt),
}

/// A line of a route's answer: a letter, or what became of it; or why there is no more.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Line<T> {
    Item(T),
    /// The queue failed midway.
    Broken {
        error: String,
    },
}

impl<Q: MessageQueue> Access<Q> {
    /// Shows each letter whole to `visit`.
    ///
    /// # Errors
    /// The queue or the worker can't be reached, or what `visit` says.
    pub async fn list<E: From<LettersError>>(
        &self,
        selector: &Selector,
        now: UnixMillis,
        mut visit: impl FnMut(LetterView) -> Result<(), E>,
    ) -> Result<(), E> {
        let queue = match self {
            Self::Queue(queue) => queue,
            Self::Worker(worker) => return ask(worker, Method::GET, "", selector, visit).await,
        };
        let mut browse = Browse::open(queue, selector, now).await?;
        while let Some((letter, _removal)) = browse.next().await? {
            visit(letter.view())?;
        }
        Ok(browse.close().await?)
    }

    /// Replays or discards what the selector means.
    ///
    /// # Errors
    /// The queue or the worker can't be reached; `done` was told of all that were dealt with before.
    pub async fn act(
        &self,
        verb: Verb,
        selector: &Selector,
        now: UnixMillis,
        mut done: impl FnMut(Done),
    ) -> Result<(), LettersError> {
        let queue = match self {
            Self::Queue(queue) => queue,
            Self::Worker(worker) => {
                let done = |one| {
                    done(one);
                    Ok(())
                };
                return ask(worker, Method::POST, verb.path(), selector, done).await;
            }
        };
        let mut acting = Acting::open(queue, selector, now, verb).await?;
        let acted = async {
            while let Some(one) = acting.next().await? {
                done(one);
            }
            Ok(())
        };
        let acted = acted.await;
        acted.and(acting.close().await)
    }
}

/// Asks a worker, and gives each line of its answer to `visit`.
async fn ask<T: DeserializeOwned, E: From<LettersError>>(
    worker: &WorkerAt,
    method: Method,
    verb: &str,
    selector: &Selector,
    mut visit: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    for selector in portions(selector) {
        let path = format!("{PATH}{verb}?{}", query(&selector));
        let mut lines = lines(worker, method.clone(), &path).await.map_err(LettersError::from)?;
        while let Some(line) = lines.next().await.map_err(LettersError::from)? {
            match serde_json::from_slice(&line).map_err(LettersError::from)? {
                Line::Item(item) => visit(item)?,
                Line::Broken { error } => return Err(LettersError::Broken(error).into()),
            }
        }
    }
    Ok(())
}

impl Verb {
    /// The end of its route.
    pub(crate) fn path(self) -> &'static str {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::letter::LetterView;

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
        let done = |text| serde_json::from_str::<Line<Done>>(text).unwrap();
        assert!(matches!(done(r#"{"id":"a","problem":null}"#), Line::Item(Done { problem: None, .. })));
        assert!(matches!(done(r#"{"error":"gone"}"#), Line::Broken { .. }));
        let letter = |text: &str| serde_json::from_str::<Line<LetterView>>(text).unwrap();
        assert!(matches!(letter(r#"{"error":"gone"}"#), Line::Broken { .. }));
        assert!(matches!(
            letter(r#"{"id":"a","reason":"refused","detail":"HTTP 400"}"#),
            Line::Item(LetterView { .. })
        ));
    }
}
