//! `/v1/dead-letters`: the worker's routes for whoever has its admin token. Answers are NDJSON, so that neither side holds
//! more than a letter at a time.

use std::convert::Infallible;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query as UrlQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use futures::StreamExt as _;
use nightbell_core::ports::MessageQueue;
use nightbell_http::Problem;
use serde::Serialize;
use tokio::sync::mpsc;

use super::access::{Line, PATH};
use super::query::Query;
use super::{Browse, Done, Verb, act};
use crate::cli::Selector;
use crate::exit::{Code, Failure};
use crate::queue::Queue;

/// The dead letters of whichever queue.
type Letters = <Queue as MessageQueue>::DeadLetters;

/// The most lines that wait for a slow reader.
const LINES_WAITING_MAX: usize = 16;

/// A query, or what is wrong with it.
type Asked = Result<UrlQuery<Query>, QueryRejection>;

/// Where lines go; a reader that went away takes no more.
type Lines = mpsc::Sender<Bytes>;

/// The routes, without the check of the token.
pub fn routes(queue: Queue) -> Router {
    let verb = |verb: Verb| {
        post(move |State(queue): State<Queue>, asked: Asked| async move {
            let work = |browse, lines| act_on_all(queue.clone(), browse, verb, lines);
            answer(&queue, asked, Query::deliberate, work).await
        })
    };
    Router::new()
        .route(PATH, get(list))
        .route(&format!("{PATH}{}", Verb::Replay.path()), verb(Verb::Replay))
        .route(&format!("{PATH}{}", Verb::Discard.path()), verb(Verb::Discard))
        .with_state(queue)
}

async fn list(State(queue): State<Queue>, asked: Asked) -> Response {
    answer(&queue, asked, Query::selector, list_all).await
}

async fn list_all(mut browse: Browse<Letters>, lines: Lines) -> Result<(), Failure> {
    while let Some((letter, _held)) = browse.next().await? {
        if !send(&lines, &letter.whole()).await {
            break;
        }
    }
    browse.close().await
}

/// A reader that goes away does not stop it: what was asked for is done.
async fn act_on_all(
    queue: Queue,
    mut browse: Browse<Letters>,
    verb: Verb,
    lines: Lines,
) -> Result<(), Failure> {
    let acted = loop {
        match act(&queue.outlet(), &mut browse, verb).await {
            Ok(some) if some.is_empty() => break Ok(()),
            Ok(some) => {
                for Done { id, problem } in some {
                    send(&lines, &Line::Done { id, problem }).await;
                }
            }
            Err(failure) => break Err(failure),
        }
    };
    acted.and(browse.close().await)
}

/// Begins to browse, and answers with the lines that `work` sends.
async fn answer<F>(
    queue: &Queue,
    asked: Asked,
    select: fn(Query) -> Result<Selector, String>,
    work: impl FnOnce(Browse<Letters>, Lines) -> F,
) -> Response
where
    F: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let query = asked.map_err(|rejection| rejection.body_text());
    let selector = match query.and_then(|UrlQuery(query)| select(query)) {
        Ok(selector) => selector,
        Err(problem) => {
            let hint = "the query takes connector, reason, project, since, until, id, limit and all";
            return Problem::new(StatusCode::BAD_REQUEST, problem, hint).into_response();
        }
    };
    let browse = match Browse::open(queue, &selector).await {
        Ok(browse) => browse,
        Err(failure) => return refused(&failure),
    };
    let (lines, mut written) = mpsc::channel(LINES_WAITING_MAX);
    let done = work(browse, lines.clone());
    tokio::spawn(async move {
        if let Err(failure) = done.await {
            send(&lines, &Line::Broken { error: failure.to_string() }).await;
        }
    });
    let stream = futures::stream::poll_fn(move |context| written.poll_recv(context));
    let body = Body::from_stream(stream.map(Ok::<_, Infallible>));
    ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}

fn refused(failure: &Failure) -> Response {
    let (status, hint) = if failure.code == Code::Usage {
        (StatusCode::BAD_REQUEST, "mend the query")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "ask again later; /readyz says what is missing")
    };
    Problem::new(status, failure.to_string(), hint).into_response()
}

/// False: nobody reads any more.
async fn send(lines: &Lines, line: &impl Serialize) -> bool {
    // What we serialize has string keys only.
    let Ok(mut json) = serde_json::to_vec(line) else { return false };
    json.push(b'\n');
    lines.send(json.into()).await.is_ok()
}
