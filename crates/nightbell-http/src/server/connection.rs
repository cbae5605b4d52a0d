//! The requests of one connection: each enters and leaves its activities, so that it is known what the connection is doing.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse as _;
use bytes::Bytes;
use hyper::body::{Body as AnyBody, Frame, Incoming, SizeHint};
use hyper::service::Service as HyperService;
use hyper_util::service::TowerToHyperService;
use tokio::time::timeout;

use super::places::{Activity, Place};
use super::{LIVES, METRICS, READY};
use crate::answer::Problem;
use crate::proof::{self, CameIn};

/// The longest time that a request waits until others have ended.
const TURN_MAX: Duration = Duration::from_secs(5);

/// When to come again if there are too many requests.
const RETRY_SOON: Duration = Duration::from_secs(1);

/// The routes, as one connection has them.
#[derive(Clone)]
pub(super) struct Service {
    routes: TowerToHyperService<Router>,
    place: Arc<Place>,
    came_in: Option<CameIn>,
}

impl Service {
    pub(super) fn new(routes: Router, place: Place, came_in: Option<CameIn>) -> Self {
        Self { routes: TowerToHyperService::new(routes), place: Arc::new(place), came_in }
    }

    async fn answer(self, mut request: Request<Incoming>) -> Response<Body> {
        let Self { routes, place, came_in } = self;
        request.extensions_mut().insert(place.peer);
        came_in.and_then(|came_in| request.extensions_mut().insert(came_in));
        let answer = if matches!(request.uri().path(), METRICS | LIVES | READY | proof::PATH) {
            place.enter(Activity::Working);
            routes.call(request).await
        } else {
            place.enter(Activity::Waiting);
            match timeout(TURN_MAX, place.places().requests().take(place.peer, 1, 1)).await {
                Ok(_turn) => {
                    place.enter(Activity::Working);
                    routes.call(request).await
                }
                Err(_) => Ok(too_many()),
            }
        };
        let Ok(answer) = answer;
        place.enter(Activity::Answering);
        answer.map(|body| Body::new(Answering { body, place }))
    }
}

impl HyperService<Request<Incoming>> for Service {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let answer = self.clone().answer(request);
        Box::pin(async { Ok(answer.await) })
    }
}

fn too_many() -> Response<Body> {
    let hint = "send the same again a little later; an event's id keeps that harmless";
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many requests are under way", hint);
    problem.retry_after(RETRY_SOON).into_response()
}

/// An answer's body, whose end is the connection's next idleness.
struct Answering {
    body: Body,
    place: Arc<Place>,
}

impl AnyBody for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.place.enter(Activity::Idle);
    }
}
