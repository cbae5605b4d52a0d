//! A request's body: its type, its length, its coding, and the time it takes.

use std::io::Read as _;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use flate2::bufread::MultiGzDecoder;
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use super::limits::{DISCARDED_BYTES_MAX, HELD_KIB_MAX, Patience, REQUEST_KIB_MIN, RETRY_SOON, WEIGHT};
use crate::answer::Problem;

/// How a body is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Plain,
    Gzip,
}

impl Coding {
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut names = headers.get_all(header::CONTENT_ENCODING).iter();
        match (names.next().map(|name| name.as_bytes().to_ascii_lowercase()).as_deref(), names.next()) {
            (None | Some(b"identity"), None) => Ok(Self::Plain),
            (Some(b"gzip" | b"x-gzip"), None) => Ok(Self::Gzip),
            _ => Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "the body's Content-Encoding is not known",
                "send it plain, or with Content-Encoding: gzip",
            )),
        }
    }
}

/// The body's media type in lower case, without parameters; empty if there is none. A charset must be UTF-8.
pub(super) fn media_type(headers: &HeaderMap) -> Result<String, Problem> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(String::new()) };
    let value = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
    let (name, parameters) = value.split_once(';').unwrap_or((&value, ""));
    let charset = parameters.split(';').find_map(|one| one.trim().strip_prefix("charset="));
    match charset.map(|charset| charset.trim_matches('"')) {
        None | Some("utf-8" | "utf8" | "us-ascii") => Ok(name.trim().to_owned()),
        Some(_) => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the body's charset is not UTF-8",
            "send UTF-8; an XML body says its encoding itself",
        )),
    }
}

/// The length that the sender announced.
fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_long(bytes_max: usize) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("the body is longer than {bytes_max} bytes, plain or unpacked"),
        "send the events in several requests",
    )
}

/// A request's share of what all requests together may hold; given back when dropped. Beside the body it has room for
/// `made_bytes_min`.
pub(super) async fn share(
    held: &Arc<Semaphore>,
    headers: &HeaderMap,
    coding: Coding,
    bytes_max: usize,
    made_bytes_min: usize,
    patience: Patience,
) -> Result<OwnedSemaphorePermit, Problem> {
    let announced = announced(headers).unwrap_or(bytes_max);
    if announced > bytes_max {
        return Err(too_long(bytes_max));
    }
    // What a packed body unpacks to is not known before.
    let bytes = match coding {
        Coding::Plain => announced,
        Coding::Gzip => bytes_max,
    };
    let bytes = (bytes * WEIGHT).max(bytes + made_bytes_min);
    let kib = bytes.div_ceil(1024).clamp(REQUEST_KIB_MIN, HELD_KIB_MAX);
    let kib = u32::try_from(kib).unwrap_or(u32::MAX);
    let acquired = timeout(patience.share, Arc::clone(held).acquire_many_owned(kib)).await;
    acquired.ok().and_then(Result::ok).ok_or_else(|| {
        let hint = "send the same again a little later; an event's id keeps that harmless";
        let error = "too many requests are under way";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, error, hint).retry_after(RETRY_SOON)
    })
}

/// Reads a body of bounded length in bounded time.
pub(super) async fn read(mut body: Body, bytes_max: usize, patience: Patience) -> Result<Bytes, Problem> {
    let deadline = Instant::now() + patience.body;
    let slow = || {
        let error = "the body did not come in time";
        Problem::new(StatusCode::REQUEST_TIMEOUT, error, "send it without pauses, or in smaller requests")
    };
    let mut pieces = Pieces::default();
    loop {
        let wait = deadline.min(Instant::now() + patience.piece);
        let frame = match timeout_at(wait, body.frame()).await {
            Err(_) => return Err(slow()),
            Ok(None) => return Ok(pieces.join()),
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => {
                let error = "the body can't be read to its end";
                return Err(Problem::new(StatusCode::BAD_REQUEST, error, "send it whole"));
            }
        };
        let Ok(piece) = frame.into_data() else { continue };
        if pieces.length() + piece.len() > bytes_max {
            discard(body, patience).await;
            return Err(too_long(bytes_max));
        }
        pieces.add(piece);
    }
}

/// Reads some of a refused body, and forgets it: closing a connection with unread bytes in it may take the answer away
/// from its sender.
pub(super) async fn discard(mut body: Body, patience: Patience) {
    let mut discarded = 0;
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            discarded += frame.data_ref().map_or(0, Bytes::len);
            if discarded > DISCARDED_BYTES_MAX {
                break;
            }
        }
    };
    drop(timeout(patience.discard, reading).await);
}

/// The pieces of a body; a single one, which is the usual, is not copied.
#[derive(Default)]
struct Pieces {
    first: Bytes,
    rest: BytesMut,
}

impl Pieces {
    fn length(&self) -> usize {
        self.first.len() + self.rest.len()
    }

    fn add(&mut self, piece: Bytes) {
        if self.first.is_empty() && self.rest.is_empty() {
            self.first = piece;
            return;
        }
        self.rest.extend_from_slice(&std::mem::take(&mut self.first));
        self.rest.extend_from_slice(&piece);
    }

    fn join(self) -> Bytes {
        if self.rest.is_empty() { self.first } else { self.rest.freeze() }
    }
}

/// The body as its sender wrote it. It may take a while.
pub(super) fn unpack(body: Bytes, coding: Coding, bytes_max: usize) -> Result<Bytes, Problem> {
    if coding == Coding::Plain {
        return Ok(body);
    }
    let mut plain = Vec::new();
    let decoder = MultiGzDecoder::new(&*body);
    match decoder.take(bytes_max as u64 + 1).read_to_end(&mut plain) {
        Ok(bytes) if bytes > bytes_max => Err(too_long(bytes_max)),
        Ok(_) => Ok(plain.into()),
        Err(_) => Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "the body is not gzip, or not all of it",
            "send it whole, or plain and without Content-Encoding",
        )),
    }
}
