//! The ways in over HTTP: `POST /v1/events`, `/v1/reports`, `/v1/junit` and `/v1/apifortress`.
//!
//! A request is answered with 202 only when the queue has all of its events durably; any other answer names each event
//! that the queue does not have. If part of a request is not valid, nothing of it is published, unless `?partial=true`
//! asks for the rest. A report is another matter: who sent it can't mend it, so what is sound in it is published, with an
//! event that says that it is damaged, and the answer says so too.

mod body;
mod items;
mod limits;
mod meter;
mod publish;
mod query;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use bytes::Bytes;
use jiff::tz::TimeZone;
use nightbell_core::event::Event;
use nightbell_core::message::{Headers, Message};
use nightbell_core::ports::{Clock, Outlet};
use nightbell_core::time::UnixMillis;
use nightbell_core::trace::{self, TRACEPARENT, TRACESTATE};
use nightbell_reports::{
    Format, Input, Now, Reading as ReportReading, Repeats, ReportError, ReportOptions, Source,
};
use nightbell_trace::Tracer;
use secrecy::SecretString;

use self::body::{Coding, Hold};
use self::items::{Batch, Form};
use self::limits::{HELD_KIB_MAX, INLINE_BYTES_MAX, PEER_KIB_MAX, Patience};
use self::meter::Meters;
use self::publish::Publish;
use self::query::EventsQuery;
use crate::answer::Problem;
use crate::guard::admit;
use crate::peer::{Peer, Pool, Share};

pub(crate) use self::limits::MADE_BYTES_MIN;
pub use self::limits::{EVENTS_BODY_BYTES_MAX, ITEMS_MAX, REPORT_BODY_BYTES_MAX};
pub(crate) use self::meter::Route;

/// The ways in. Cheap to clone.
#[derive(Clone)]
pub struct Ingest(Arc<Inner>);

struct Inner {
    publish: Publish,
    now: Box<dyn Fn() -> UnixMillis + Send + Sync>,
    token: Option<SecretString>,
    held: Pool,
    meters: Meters,
    tracer: Tracer,
    patience: Patience,
}

/// How a request's body is to be read.
enum Reading {
    Events { form: Form, is_partial: bool },
    Report { options: Box<ReportOptions>, format: Option<Format> },
}

impl Ingest {
    /// Ways in that publish to `outlet`. They want `token`, if there is one; none is for loopback only. The metrics
    /// recorder must be installed before.
    #[must_use]
    pub fn new<O: Outlet, C: Clock>(
        outlet: O,
        token: Option<SecretString>,
        clock: C,
        tracer: Tracer,
    ) -> Self {
        Self::with_patience(outlet, token, clock, tracer, Patience::default())
    }

    fn with_patience<O: Outlet, C: Clock>(
        outlet: O,
        token: Option<SecretString>,
        clock: C,
        tracer: Tracer,
        patience: Patience,
    ) -> Self {
        let publish: Publish = Arc::new(move |to, message| {
            let outlet = outlet.clone();
            Box::pin(async move { outlet.publish(to, message).await })
        });
        let held = Pool::new(HELD_KIB_MAX, PEER_KIB_MAX);
        let now = Box::new(move || clock.now());
        Self(Arc::new(Inner { publish, now, token, held, meters: Meters::new(), tracer, patience }))
    }

    /// The routes.
    pub(crate) fn routes(self) -> Router {
        let take = |route| {
            post(move |State(ingest): State<Self>, request: Request| async move {
                ingest.0.take(route, request).await
            })
        };
        Router::new()
            .route(Route::Events.path(), take(Route::Events))
            .route(Route::Reports.path(), take(Route::Reports))
            .route(Route::Junit.path(), take(Route::Junit))
            .route(Route::ApiFortress.path(), take(Route::ApiFortress))
            .with_state(self)
    }
}

impl Inner {
    async fn take(&self, route: Route, request: Request) -> Response {
        let headers = request.headers();
        let header = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let trace = trace::headers(header(TRACEPARENT), header(TRACESTATE));
        // Strangers begin no spans, and choose no trace to be recorded.
        let admitted = admit(self.token.as_ref(), "ingest", request.uri(), headers);
        let (span, trace) =
            if admitted.is_ok() { self.tracer.request(route.path(), trace) } else { Default::default() };
        let answer = self.answer(route, request, admitted, &trace).await;
        let answer = answer.unwrap_or_else(Problem::into_response);
        self.meters.count(route, answer.status());
        span.ended(answer.status().as_u16());
        answer
    }

    async fn answer(
        &self,
        route: Route,
        request: Request,
        admitted: Result<(), Problem>,
        trace: &Headers,
    ) -> Result<Response, Problem> {
        let (head, body) = request.into_parts();
        let (bytes_max, made_bytes_min) = match route {
            Route::Events | Route::ApiFortress => (EVENTS_BODY_BYTES_MAX, 0),
            Route::Reports | Route::Junit => (REPORT_BODY_BYTES_MAX, MADE_BYTES_MIN),
        };
        let begun = || {
            admitted?;
            let reading = Reading::of(route, &head, (self.now)())?;
            let coding = Coding::of(&head.headers)?;
            body::check_announced(&head.headers, bytes_max)?;
            Ok((reading, coding))
        };
        let (reading, coding) = match begun() {
            Ok(begun) => begun,
            // Who asks first whether to send is not sent for what is refused.
            Err(problem) if head.headers.contains_key(header::EXPECT) => return Err(problem),
            Err(problem) => {
                body::discard(body, self.patience).await;
                return Err(problem);
            }
        };
        let peer = head.extensions.get::<Peer>().copied().unwrap_or_default();
        let mut hold = Hold::new(&self.held, peer, self.patience);
        let body = body::read(body, bytes_max, &mut hold).await?;
        let held = hold.finish(&body, coding, bytes_max, made_bytes_min).await?;
        let is_partial = match reading {
            Reading::Events { is_partial, .. } => is_partial,
            Reading::Report { .. } => true,
        };
        let held = Arc::new(held);
        let batch = unpack_and_read(body, coding, bytes_max, reading, Arc::clone(&held)).await?;
        if !batch.bad.is_empty() && (batch.items.is_empty() || !is_partial) {
            return Err(publish::refusal(&batch));
        }
        let now = (self.now)();
        let as_message =
            |id, body| Message { headers: trace.clone(), ..Message::of_event(Some(id), body, now) };
        let published = publish::publish(&self.publish, batch.items, as_message, self.patience.publish).await;
        Ok(published.answer(&batch.bad, batch.damage))
    }
}

impl Reading {
    fn of(route: Route, head: &Parts, now: UnixMillis) -> Result<Self, Problem> {
        let uri = &head.uri;
        let report = |format| {
            let options = query::report_options(uri)?;
            let now = Now { at: now, zone: TimeZone::system() };
            Ok(Self::Report { options: Box::new(ReportOptions { now, ..options }), format })
        };
        if route == Route::Reports {
            return report(None);
        }
        let media_type = body::media_type(&head.headers)?;
        let form = Form::of(&media_type);
        match (route, form) {
            (Route::Events, Some(form)) => {
                Ok(Self::Events { form, is_partial: EventsQuery::read(uri)?.is_partial })
            }
            (Route::Events, None) => Err(unsupported("send application/json or application/x-ndjson")),
            (Route::ApiFortress, Some(Form::Json)) => {
                query::require_none(uri)?;
                Ok(Self::Events { form: Form::ApiFortress, is_partial: false })
            }
            (Route::ApiFortress, Some(Form::Lines | Form::ApiFortress) | None) => {
                Err(unsupported("send application/json"))
            }
            (Route::Junit, _) if !matches!(media_type.as_str(), "application/xml" | "text/xml") => {
                Err(unsupported("send application/xml, or any report to /v1/reports"))
            }
            (Route::Junit | Route::Reports, _) => report(Some(Format::Junit)),
        }
    }
}

fn unsupported(hint: &'static str) -> Problem {
    let error = "the body's Content-Type is missing or not known";
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error, hint)
}

async fn unpack_and_read(
    body: Bytes,
    coding: Coding,
    bytes_max: usize,
    reading: Reading,
    held: Arc<(Option<Share>, usize)>,
) -> Result<Batch, Problem> {
    let is_quick = coding == Coding::Plain && body.len() <= INLINE_BYTES_MAX;
    let work = move || {
        // A sender that goes away does not end this, so it keeps the share as well.
        let (_share, weight) = &*held;
        let body = body::unpack(body, coding, bytes_max)?;
        match reading {
            Reading::Events { form, .. } => items::read(&body, form, made_id),
            Reading::Report { options, format } => {
                let made_bytes_max = weight.saturating_sub(body.len());
                read_report(body, *options, format, made_bytes_max)
            }
        }
    };
    if is_quick {
        return work();
    }
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
        let error = "the body could not be read, and that is a fault of Nightbell";
        Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error, "report it, with what was sent"))
    })
}

/// The events of a report, which must not come to more than `made_bytes_max`: a short report with a long name for its
/// suite, or a query that goes into each event, makes many times its own length.
fn read_report(
    body: Bytes,
    options: ReportOptions,
    format: Option<Format>,
    made_bytes_max: usize,
) -> Result<Batch, Problem> {
    let input = Input { name: "report".into(), source: Source::shared(body), format };
    let (mut batch, mut made_bytes, mut heard) = (Batch::default(), 0, None);
    let mut reading = ReportReading::new(Repeats::Declared, options);
    let mut each = |event: Event| {
        made_bytes += batch.add_made(&event, made_id);
        let is_within = made_bytes <= made_bytes_max && batch.items.len() <= ITEMS_MAX;
        if is_within { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let flow = reading.read(vec![input], &mut |_, held| heard = Some(held), &mut each);
    if let (ControlFlow::Continue(()), Some(event)) = (flow, reading.unexplained()) {
        // It is the only one, and short.
        let _ = each(event);
    }
    let failures = reading.summary().events;
    if failures > ITEMS_MAX {
        return Err(too_much(format!(
            "the report has {failures} failures; a request may have {ITEMS_MAX} events"
        )));
    }
    if flow.is_break() {
        return Err(too_much(format!(
            "the report's failures come to more than {made_bytes_max} bytes of events"
        )));
    }
    match heard {
        Some(Ok(held)) => {
            batch.damage = held.damage.map(|place| format!("report:{}: {}", place.line, place.fault));
        }
        // Of a run that failed it is told, with a report or without.
        Some(Err(error)) if !batch.items.is_empty() => batch.damage = Some(said(&error)),
        Some(Err(error)) => {
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, said(&error), REPORT_HINT));
        }
        None => {}
    }
    Ok(batch)
}

/// What a report should be.
const REPORT_HINT: &str = "send a whole report of a test runner";

fn too_much(error: String) -> Problem {
    let hint = "publish it with `nightbell publish`, which has no such limit";
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, error, hint)
}

fn said(error: &ReportError) -> String {
    match error {
        ReportError::Unreadable { source, .. } => format!("the report can't be read: {source}"),
        ReportError::Foreign { .. } => error.to_string(),
    }
}

/// An id for an event that has none, so that the answer can name it and the queue's copies of it are known as one.
fn made_id() -> String {
    format!("http:{:032x}", rand::random::<u128>())
}
