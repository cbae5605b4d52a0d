//! `/v1/dead-letters`: the worker's routes for whoever has its admin token. Answers are NDJSON, so that neither side holds
//! more than a letter at a time.

use std::convert::Infallible;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Query as UrlQuery;
use axum::extract::rejection::QueryRejection;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use futures::StreamExt as _;
use nightbell_core::causes::in_one_line;
use nightbell_core::dead::Reason;
use nightbell_core::ports::{Clock, DeadLetters, MessageQueue, Outlet};
use nightbell_http::{AdminRoutes, Problem};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use crate::LettersError;
use crate::access::{Line, PATH};
use crate::browse::{Acting, Browse, Done, Verb};
use crate::query::Query;
use crate::selector::Selector;

/// The most lines that wait for a slow reader.
const LINES_WAITING_MAX: usize = 16;

/// What all routes here have in common, in OpenAPI's words.
const OPERATION: &str = include_str!("operation.json");

/// A query, or what is wrong with it.
type Asked = Result<UrlQuery<Query>, QueryRejection>;

/// Where lines go; a reader that went away takes no more.
type Lines = mpsc::Sender<Bytes>;

/// The routes, without the check of the token, and their description.
pub fn routes<Q: MessageQueue, C: Clock>(queue: Q, clock: C) -> AdminRoutes {
    let verb = |verb: Verb| {
        let (queue, clock) = (queue.clone(), clock.clone());
        post(move |asked: Asked| async move {
            let selector = selected(asked, Query::deliberate)?;
            let acting = Acting::open(&queue, &selector, clock.now(), verb).await.map_err(refused)?;
            Ok::<_, Problem>(answer(|lines| act_on_all(acting, lines)))
        })
    };
    let router = Router::new()
        .route(&format!("{PATH}{}", Verb::Replay.path()), verb(Verb::Replay))
        .route(&format!("{PATH}{}", Verb::Discard.path()), verb(Verb::Discard));
    let list = get(move |asked: Asked| async move {
        let selector = selected(asked, Query::selector)?;
        let browse = Browse::open(&queue, &selector, clock.now()).await.map_err(refused)?;
        Ok::<_, Problem>(answer(|lines| list_all(browse, lines)))
    });
    AdminRoutes { router: router.route(PATH, list), paths: paths() }
}

/// The routes' description.
fn paths() -> Map<String, Value> {
    let reasons = json!(Reason::ALL.map(Reason::as_str)).to_string();
    let text = OPERATION.replace("\"{REASONS}\"", &reasons);
    let text = text.replace("\"{LIMIT_MAX}\"", &usize::MAX.to_string());
    let operation: Value = serde_json::from_str(&text).expect("the description is JSON");
    let path = |method: &str, end: &str, id: &str, summary: &str| {
        let mut operation = operation.clone();
        operation["operationId"] = id.into();
        operation["summary"] = summary.into();
        (format!("{PATH}{end}"), json!({ method: operation }))
    };
    Map::from_iter([
        path("get", "", "dead-list", "Lists dead letters"),
        path("post", Verb::Replay.path(), "dead-replay", "Puts dead letters back into their queues"),
        path("post", Verb::Discard.path(), "dead-discard", "Removes dead letters for good"),
    ])
}

fn selected(asked: Asked, select: fn(Query) -> Result<Selector, String>) -> Result<Selector, Problem> {
    let query = asked.map_err(|rejection| rejection.body_text());
    query.and_then(|UrlQuery(query)| select(query)).map_err(|problem| {
        let hint = "the query takes connector, reason, project, since, until, id, limit and all";
        Problem::new(StatusCode::BAD_REQUEST, problem, hint)
    })
}

fn refused(error: LettersError) -> Problem {
    let (status, hint) = match &error {
        LettersError::Pattern(_) => (StatusCode::BAD_REQUEST, "mend the query"),
        LettersError::Queue(_)
        | LettersError::Worker(_)
        | LettersError::Line(_)
        | LettersError::Broken(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "ask again later; /readyz says what is missing")
        }
    };
    Problem::new(status, in_one_line(&error), hint)
}

async fn list_all(mut browse: Browse<impl DeadLetters>, lines: Lines) -> Result<(), LettersError> {
    while let Some((letter, _removal)) = browse.next().await? {
        if let Err(ReaderGone) = send(&lines, Line::Item(letter.view())).await {
            break;
        }
    }
    browse.close().await
}

/// A reader that goes away does not stop it: what was asked for is done.
async fn act_on_all(
    mut acting: Acting<impl Outlet, impl DeadLetters>,
    lines: Lines,
) -> Result<(), LettersError> {
    let acted = loop {
        match acting.next().await {
            Ok(Some(done)) => {
                let _goes_on = send(&lines, Line::Item(done)).await;
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    acted.and(acting.close().await)
}

/// An answer with the lines that `work` sends.
fn answer<F>(work: impl FnOnce(Lines) -> F) -> Response
where
    F: Future<Output = Result<(), LettersError>> + Send + 'static,
{
    let (lines, mut written) = mpsc::channel(LINES_WAITING_MAX);
    let done = work(lines.clone());
    tokio::spawn(async move {
        if let Err(error) = done.await {
            let _ended = send(&lines, Line::<Done>::Broken { error: in_one_line(&error) }).await;
        }
    });
    let stream = futures::stream::poll_fn(move |context| written.poll_recv(context));
    let body = Body::from_stream(stream.map(Ok::<_, Infallible>));
    ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}

/// Nobody reads the answer any more.
struct ReaderGone;

async fn send(lines: &Lines, line: Line<impl Serialize>) -> Result<(), ReaderGone> {
    let mut json = serde_json::to_vec(&line).expect("a line is plain data");
    json.push(b'\n');
    lines.send(json.into()).await.map_err(|_| ReaderGone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_names_what_the_query_takes_and_nothing_else() {
        let paths = paths();
        assert_eq!(paths.len(), 3);
        for (path, methods) in &paths {
            let operation = methods.get("get").or(methods.get("post")).unwrap();
            let names = operation["parameters"].as_array().unwrap().iter();
            let query = names.map(|one| format!("{}=1", one["name"].as_str().unwrap())).collect::<Vec<_>>();
            let refused = serde_urlencoded::from_str::<Query>(&query.join("&")).unwrap_err().to_string();
            assert!(!refused.contains("unknown field"), "{path}: {refused}");
            assert_eq!(query.len(), 8, "{path}");
        }
        let unknown = serde_urlencoded::from_str::<Query>("every=1").unwrap_err().to_string();
        assert!(unknown.contains("unknown field"), "{unknown}");
    }
}
