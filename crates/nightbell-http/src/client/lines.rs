//! An answer that comes line by line, and may be without end.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::{Method, StatusCode};
use tokio::time::timeout;

use super::{ANSWER_BYTES_MAX, ClientError, Driver, PendingAnswer, WorkerAt, WorkerRequest, strange};

/// The longest time to wait for the next piece of an answer.
const PIECE_MAX: Duration = Duration::from_secs(60);

/// The longest line, in bytes: a dead letter's body has 1 MiB, and JSON may make six of one byte.
const LINE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The lines of an answer. Dropping it ends the exchange.
#[derive(Debug)]
pub struct Lines {
    at: SocketAddr,
    body: Incoming,
    /// What came and is not given yet.
    pending: BytesMut,
    /// How much of it is known to have no line's end.
    searched: usize,
    ended: bool,
    _driver: Driver,
}

/// Asks a worker for `path`, which may have a query, and gives its answer line by line.
///
/// # Errors
/// [`ClientError`] says why there is no such answer.
pub async fn lines(worker: &WorkerAt, method: Method, path: &str) -> Result<Lines, ClientError> {
    let (at, ask) = (worker.at, WorkerRequest::new(worker, method, path));
    let asked = timeout(PIECE_MAX, ask.send()).await;
    let PendingAnswer { answer, driver } =
        asked.map_err(|_| ClientError::TimedOut { at, limit: PIECE_MAX })??;
    let (status, body) = (answer.status(), answer.into_body());
    match status {
        StatusCode::OK => {
            Ok(Lines { at, body, pending: BytesMut::new(), searched: 0, ended: false, _driver: driver })
        }
        StatusCode::UNAUTHORIZED => Err(ClientError::Unauthorized(at)),
        other => {
            let read = timeout(PIECE_MAX, Limited::new(body, ANSWER_BYTES_MAX).collect()).await;
            let body = read.ok().and_then(Result::ok).map(http_body_util::Collected::to_bytes);
            let error = said(&body.unwrap_or_default());
            Err(ClientError::Refused { at, status: other.as_u16(), error })
        }
    }
}

/// What an error answer says, and what would put it right.
fn said(body: &[u8]) -> String {
    let answer = serde_json::from_slice::<serde_json::Value>(body).unwrap_or_default();
    let texts = ["error", "hint"].into_iter().filter_map(|name| answer.get(name)?.as_str());
    let said = texts.collect::<Vec<_>>().join("; ");
    if said.is_empty() { "it does not say why".into() } else { said }
}

impl Lines {
    /// The next line without its end; none after the last. Blank lines are passed over.
    ///
    /// # Errors
    /// The answer broke off, stalled, or is none of a worker's. Nothing follows.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            let fresh = &self.pending[self.searched..];
            if let Some(found) = fresh.iter().position(|byte| *byte == b'\n') {
                let line = self.pending.split_to(self.searched + found + 1).freeze();
                self.searched = 0;
                if !line.trim_ascii().is_empty() {
                    return Ok(Some(line.slice_ref(line.trim_ascii_end())));
                }
                continue;
            }
            self.searched = self.pending.len();
            if self.ended {
                let rest = std::mem::take(&mut self.pending).freeze();
                self.searched = 0;
                return Ok(Some(rest).filter(|rest| !rest.trim_ascii().is_empty()));
            }
            if let Err(error) = self.fill().await {
                self.ended = true;
                self.pending.clear();
                self.searched = 0;
                return Err(error);
            }
        }
    }

    async fn fill(&mut self) -> Result<(), ClientError> {
        let at = self.at;
        if self.pending.len() > LINE_BYTES_MAX {
            return Err(strange(at, "a line of its answer is too long"));
        }
        let Ok(frame) = timeout(PIECE_MAX, self.body.frame()).await else {
            return Err(ClientError::TimedOut { at, limit: PIECE_MAX });
        };
        match frame {
            None => self.ended = true,
            Some(Ok(frame)) => {
                if let Ok(piece) = frame.into_data() {
                    self.pending.extend_from_slice(&piece);
                }
            }
            Some(Err(error)) => return Err(ClientError::BrokeOff { at, problem: error.to_string() }),
        }
        Ok(())
    }
}
