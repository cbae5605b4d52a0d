//! Taking connections and requests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, broadcast};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin;
use crate::answer::{Answer, Body};
use crate::book::{Book, Recorded};
use crate::flood::Flood;
use crate::judge::{Judge, Judged};
use crate::oauth::Tokens;
use crate::script::Script;
use crate::settings::Settings;
use crate::tls::{Stream, Tls};
use crate::wire::{After, Request, Unreadable, Wire};

/// The pause after a failed accept, which may be for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How many requests a slow subscriber may be behind before it misses some.
const SUBSCRIBER_LAG_MAX: usize = 4_096;

/// What all connections share. No lock is ever held across an await.
#[derive(Debug)]
pub(crate) struct Shared {
    judge: Judge,
    flood: Option<Mutex<Flood>>,
    script: Mutex<Script>,
    tokens: Mutex<Tokens>,
    tls: Option<Tls>,
    book: Mutex<Book>,
    changed: Notify,
    feed: broadcast::Sender<Arc<Recorded>>,
}

impl Shared {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            judge: Judge::new(settings),
            flood: settings.flood_control.then(Mutex::default),
            script: Mutex::new(Script::new(settings)),
            tokens: Mutex::new(Tokens::new(&settings.auth)),
            tls: settings.tls.clone(),
            book: Mutex::new(Book::new(settings.requests_kept_max)),
            changed: Notify::new(),
            feed: broadcast::channel(SUBSCRIBER_LAG_MAX).0,
        }
    }

    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        lock(&self.script)
    }

    pub(crate) fn tokens(&self) -> MutexGuard<'_, Tokens> {
        lock(&self.tokens)
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        lock(&self.book)
    }

    /// Told at every change of the books.
    pub(crate) fn changed(&self) -> &Notify {
        &self.changed
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Arc<Recorded>> {
        self.feed.subscribe()
    }

    /// Decides on a request to a trigger and enters it into the books, before the caller can see any answer.
    fn take(&self, request: Request, connection: u64) -> (Answer, Option<String>) {
        let Judged { function, facts, refusal } =
            self.judge.judge(&request, |header| self.tokens().lets_in(header));
        let answer = match refusal {
            Some(status) => Answer::status(status),
            None => self.script().next(&function),
        };
        let accepted = refusal.is_none() && answer.counts_as_accepted();
        let at = Instant::now();
        let floods = |flood: &Mutex<Flood>| lock(flood).suppresses(&function, &facts.recipients, at);
        let suppressed = accepted && self.flood.as_ref().is_some_and(floods);
        let ours = answer.body == Body::Native && (200..=299).contains(&answer.status);
        let request_id = ours.then(request_id);
        let recorded = Arc::new(Recorded {
            at,
            unix_ms: unix_ms(),
            connection,
            function,
            alert_id: facts.alert_id,
            event_id: facts.event_id,
            test: facts.test,
            priority: facts.priority,
            attempt: facts.attempt,
            recipients: facts.recipients,
            traceparent: request.traceparent,
            body: request.body,
            status: answer.status,
            kind: answer.kind,
            accepted,
            suppressed,
            request_id: request_id.clone(),
        });
        self.book().enter(Arc::clone(&recorded));
        self.changed.notify_waiters();
        if self.feed.receiver_count() > 0 {
            // It fails only when the last subscriber has just left.
            self.feed.send(recorded).ok();
        }
        (answer, request_id)
    }
}

/// Takes connections until stopped, each on its own task.
pub(crate) async fn serve(
    listener: TcpListener,
    shared: Arc<Shared>,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    let accept = async {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let (shared, stop) = (Arc::clone(&shared), stop.clone());
            tasks.spawn(async move { stop.run_until_cancelled(converse(&shared, stream)).await });
        }
    };
    stop.run_until_cancelled(accept).await;
}

/// One connection, from its first request to its last.
async fn converse(shared: &Shared, stream: TcpStream) {
    // Without it small answers may wait for an acknowledgement; a socket that refuses it is as good as gone.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let connection = shared.book().connection();
    let stream = match Stream::accept(stream, shared.tls.as_ref()).await {
        Ok(stream) => stream,
        Err(stream) => return Wire::new(Stream::Plain(stream)).linger().await,
    };
    let mut wire = Wire::new(stream);
    loop {
        let request = match wire.read().await {
            Ok(request) => request,
            Err(Unreadable::Gone) => return,
            Err(Unreadable::Status(status)) => {
                if wire.send(&Answer::status(status), None, false).await.is_ok() {
                    wire.linger().await;
                }
                return;
            }
        };
        let keep_alive = request.keep_alive;
        let own = admin::answer(shared, &request).or_else(|| shared.tokens().answer(&request, request_id));
        let (answer, request_id) =
            own.map_or_else(|| shared.take(request, connection), |answer| (answer, None));
        match wire.send(&answer, request_id.as_deref(), keep_alive).await {
            Ok(After::KeepAlive) => {}
            Ok(After::Close) | Err(_) => return,
        }
    }
}

/// A poisoned lock means that a test's condition panicked; the data is whole all the same.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A random UUID, version 4 (RFC 9562 5.4).
fn request_id() -> String {
    let random: u128 = rand::random();
    let id = random & !(0xF << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{id:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[expect(
    clippy::disallowed_methods,
    reason = "the stand-in is outside of what is tested; it needs no injected clock"
)]
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_is_a_random_uuid() {
        let (one, other) = (request_id(), request_id());
        assert_ne!(one, other);
        for id in [one, other] {
            let lengths: Vec<_> = id.split('-').map(str::len).collect();
            assert_eq!(lengths, [8, 4, 4, 4, 12], "{id}");
            assert_eq!(id.as_bytes()[14], b'4', "{id}");
            assert!(b"89ab".contains(&id.as_bytes()[19]), "{id}");
        }
    }
}
