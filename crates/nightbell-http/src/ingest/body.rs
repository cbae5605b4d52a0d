//! A request's body: its type, its length, its coding, and the time it takes.

use std::io::Read as _;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use flate2::bufread::MultiGzDecoder;
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout, timeout_at};

use super::limits::{
    DISCARDED_BYTES_MAX, HELD_KIB_MAX, PEER_KIB_MAX, Patience, REQUEST_KIB_MIN, RETRY_SOON, WEIGHT,
};
use crate::answer::Problem;
use crate::peer::{Peer, Pool, Share};

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

/// What a request holds of what all requests together may hold. It grows with what has come, not with what was announced:
/// who sends slowly holds little.
pub(super) struct Hold<'p> {
    pool: &'p Pool,
    peer: Peer,
    patience: Patience,
    share: Option<Share>,
    kib: usize,
}

impl<'p> Hold<'p> {
    /// What any request may hold.
    pub(super) fn new(pool: &'p Pool, peer: Peer, patience: Patience) -> Self {
        Self { pool, peer, patience, share: None, kib: REQUEST_KIB_MIN }
    }

    /// Waits until it may hold so many bytes.
    pub(super) async fn grow(&mut self, bytes: usize) -> Result<(), Problem> {
        let more = bytes.div_ceil(1024).min(HELD_KIB_MAX).saturating_sub(self.kib);
        if more == 0 {
            return Ok(());
        }
        let of_peer = |kib: usize| kib.min(PEER_KIB_MAX);
        let of_peer = of_peer(self.kib + more) - of_peer(self.kib);
        let take = self.pool.take(self.peer, more, of_peer);
        let Ok(share) = timeout(self.patience.share, take).await else {
            let hint = "send the same again a little later; an event's id keeps that harmless";
            let error = "too many requests are under way";
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, error, hint);
            return Err(problem.retry_after(RETRY_SOON));
        };
        match &mut self.share {
            Some(own) => own.add(share),
            None => self.share = Some(share),
        }
        self.kib += more;
        Ok(())
    }

    /// What it takes to read a whole body and make events of it, and how many bytes that is. Beside the body it has room
    /// for `made_bytes_min`.
    pub(super) async fn finish(
        mut self,
        body: &Bytes,
        coding: Coding,
        bytes_max: usize,
        made_bytes_min: usize,
    ) -> Result<(Option<Share>, usize), Problem> {
        // What a packed body unpacks to is not known before.
        let bytes = match coding {
            Coding::Plain => body.len(),
            Coding::Gzip => bytes_max,
        };
        self.grow((bytes * WEIGHT).max(bytes + made_bytes_min)).await?;
        Ok((self.share, self.kib * 1024))
    }
}

/// Refuses a body that is announced too long.
pub(super) fn check_announced(headers: &HeaderMap, bytes_max: usize) -> Result<(), Problem> {
    if announced(headers).is_some_and(|announced| announced > bytes_max) {
        return Err(too_long(bytes_max));
    }
    Ok(())
}

/// Reads a body of bounded length in bounded time, at a least speed.
pub(super) async fn read(mut body: Body, bytes_max: usize, hold: &mut Hold<'_>) -> Result<Bytes, Problem> {
    let patience = hold.patience;
    let deadline = Instant::now() + patience.body;
    let window_bytes_min = patience.window_bytes_min();
    let (mut window_end, mut window_bytes) = (Instant::now() + patience.window, 0);
    let mut pieces = Pieces::default();
    loop {
        let wait = deadline.min(window_end);
        let frame = match timeout_at(wait, body.frame()).await {
            Err(_) if wait < deadline && window_bytes >= window_bytes_min => {
                (window_end, window_bytes) = (wait + patience.window, 0);
                continue;
            }
            Err(_) => return Err(slow()),
            Ok(None) => return Ok(pieces.join()),
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => {
                let error = "the body can't be read to its end";
                return Err(Problem::new(StatusCode::BAD_REQUEST, error, "send it whole"));
            }
        };
        let Ok(piece) = frame.into_data() else { continue };
        let length = pieces.length() + piece.len();
        if length > bytes_max {
            discard(body, patience).await;
            return Err(too_long(bytes_max));
        }
        window_bytes += piece.len();
        pieces.add(piece);
        let asked = Instant::now();
        if let Err(problem) = hold.grow(length * WEIGHT).await {
            discard(body, patience).await;
            return Err(problem);
        }
        // What it waited for others is not its slowness.
        window_end += asked.elapsed();
    }
}

fn slow() -> Problem {
    let error = "the body did not come in time";
    let hint = "send it without pauses, at 1 KiB a second and more, or in smaller requests";
    Problem::new(StatusCode::REQUEST_TIMEOUT, error, hint)
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
