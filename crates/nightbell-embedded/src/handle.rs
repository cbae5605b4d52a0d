//! The handle that everybody holds, and the life of the thread behind it.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nightbell_core::connector::Connector;
use nightbell_core::ports::{Clock, Depths, MessageQueue, QueueError, QueueState, QueueView};
use nightbell_core::time::UnixMillis;
use nightbell_store::{Mailbox, Requests, StoreThread, mailbox};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::browse::{Drain, EmbeddedDeadLetters};
use crate::error::{EmbeddedError, OpenError};
use crate::file;
use crate::limits::{
    BYTES_MAX_DEFAULT, CLOSE_WAIT_MAX, MESSAGES_MAX_DEFAULT, PREFETCH_DEFAULT, PUBLISHES_WAITING_MAX,
};
use crate::memory::Memory;
use crate::outlet::EmbeddedOutlet;
use crate::queue::{Consumer, Lease};
use crate::queue_file::QueueFile;
use crate::request::{Ask, Request, Write};
use crate::status::Status;
use crate::subscription::EmbeddedSubscription;
use crate::telemetry;
use crate::timeline::Timeline;
use crate::writer::{self, Bounds, Writer};

/// Where the queue is, who gets its events, and how much it may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddedSettings {
    /// The queue's file. It and the folders that it is in are made if they are missing.
    pub path: PathBuf,
    /// The connectors that get a copy of every event.
    pub connectors: Vec<Connector>,
    /// How many deliveries a connector's owner holds at most that are not settled; at least one.
    pub prefetch: u16,
    /// Once so many messages are in the queue, each counted once for every connector and the dead letters too, events
    /// are refused.
    pub messages_max: u64,
    /// Once the messages in the queue have so many bytes, events are refused. The file may be a few times as long.
    pub bytes_max: u64,
}

impl EmbeddedSettings {
    /// A queue in this file for these connectors, with the default bounds.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, connectors: Vec<Connector>) -> Self {
        Self {
            path: path.into(),
            connectors,
            prefetch: PREFETCH_DEFAULT,
            messages_max: MESSAGES_MAX_DEFAULT,
            bytes_max: BYTES_MAX_DEFAULT,
        }
    }
}

/// The queues in one file. Clones are handles of the same file, and so are its outlets, subscriptions, settlers and
/// browsers.
///
/// [`EmbeddedQueue::close`] ends it as it should be. If the last handle is dropped without that, the dropping thread
/// waits until all is durable and the file is free, but the next opening takes it for a crash: it counts what may have
/// been in hand as one more delivery, if anything was delivered at all.
#[derive(Debug, Clone)]
pub struct EmbeddedQueue {
    inner: Arc<Inner>,
}

/// What all handles share.
pub(crate) struct Inner {
    mailbox: Mailbox<Request>,
    pub(crate) status: Arc<Status>,
    pub(crate) publishing: Arc<Semaphore>,
    pub(crate) connectors: Arc<[Connector]>,
    pub(crate) clock: Arc<dyn Fn() -> UnixMillis + Send + Sync>,
    consumers: AtomicU64,
    file: Arc<QueueFile>,
    thread: Mutex<Option<StoreThread>>,
}

impl EmbeddedQueue {
    /// Opens the queue, or begins one. `clock` tells the time by which retries are due after a restart.
    ///
    /// It blocks while it reads what waits: call it before the runtime starts or from `spawn_blocking`.
    ///
    /// # Errors
    /// [`OpenError`]: the queue is in use, is damaged, has a format that is not known, or the system does not let us
    /// open it. Nothing was removed.
    pub fn open<C: Clock>(settings: &EmbeddedSettings, clock: C) -> Result<Self, OpenError> {
        let clock: Arc<dyn Fn() -> UnixMillis + Send + Sync> = Arc::new(move || clock.now());
        let wall = clock();
        let prefetch = settings.prefetch.max(1);
        let file::Opened { db, mut memory } = file::open(&settings.path, wall)?;
        let file =
            QueueFile::of(&settings.path).map_err(|source| OpenError::io("open", &settings.path, source))?;
        let file = Arc::new(file);
        let connectors = line_up(&settings.connectors, &mut memory);
        let status = Arc::new(Status::new(writer::depths(&memory)));
        let writer = Writer {
            db,
            memory,
            file: Arc::clone(&file),
            bounds: Bounds {
                prefetch: usize::from(prefetch),
                messages_max: settings.messages_max,
                bytes_max: settings.bytes_max,
            },
            timeline: Timeline::new(wall),
            clock: Arc::clone(&clock),
            status: Arc::clone(&status),
            enough: 1,
            in_use: BTreeSet::new(),
        };
        let (mailbox, requests) = mailbox();
        let thread = spawn(writer, requests, Arc::clone(&status))
            .map_err(|source| OpenError::io("start a thread for", &settings.path, source))?;
        let inner = Inner {
            mailbox,
            status,
            publishing: Arc::new(Semaphore::new(PUBLISHES_WAITING_MAX)),
            connectors,
            clock,
            consumers: AtomicU64::new(0),
            file,
            thread: Mutex::new(Some(thread)),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The queue's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.inner.file.path()
    }

    /// How many messages wait in each queue, now.
    #[must_use]
    pub fn depths(&self) -> Depths {
        self.inner.status.depths()
    }

    /// What made the queue unusable for good, if anything did: it must be closed and opened anew. It looks whether the file
    /// is still in its place.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        if let Err(error) = self.inner.file.check() {
            self.inner.status.fail(&error.to_string());
        }
        self.inner.status.failure().err()
    }

    /// Whether the queue can be used. A write that failed makes it unusable for good.
    #[must_use]
    pub fn state(&self) -> QueueState {
        self.inner.status.state()
    }

    /// All that waits now, so that it can be handed over to another queue. What somebody has in hand is not there.
    ///
    /// # Errors
    /// [`EmbeddedError::Failed`].
    pub async fn drain(&self) -> Result<Drain, EmbeddedError> {
        Drain::open(Arc::clone(&self.inner)).await
    }

    /// Finishes what was asked before, makes everything durable and lets go of the file; one that was removed meanwhile is
    /// written to the disk again. Later requests fail; closing again does nothing. It blocks, for half a minute or so at most: call it from `spawn_blocking` or after the
    /// runtime's end.
    ///
    /// # Errors
    /// [`EmbeddedError::Failed`]: the queue had failed, or did not end in time.
    pub fn close(&self) -> Result<(), EmbeddedError> {
        // A second closer waits here for the first.
        let mut thread = self.inner.thread.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(thread) = thread.take() else { return Ok(()) };
        self.inner.mailbox.close();
        let status = &self.inner.status;
        self.inner.join(thread);
        let failure = status.failure().map_err(EmbeddedError::Failed);
        status.closed();
        failure
    }
}

impl MessageQueue for EmbeddedQueue {
    type Subscription = EmbeddedSubscription;
    type Outlet = EmbeddedOutlet;
    type DeadLetters = EmbeddedDeadLetters;

    /// If somebody consumes it already, this waits until they leave.
    fn subscribe(&self, connector: Connector) -> EmbeddedSubscription {
        let id = self.inner.consumers.fetch_add(1, Ordering::Relaxed);
        let (sink, deliveries) = mpsc::unbounded_channel();
        let lease = Arc::new(Lease::default());
        let consumer = Consumer { id, sink, lease: Arc::clone(&lease) };
        self.inner.send(Request::Ask(Ask::Subscribe { connector: connector.clone(), consumer }));
        EmbeddedSubscription::new(Arc::clone(&self.inner), connector, id, deliveries, lease)
    }

    fn outlet(&self) -> EmbeddedOutlet {
        EmbeddedOutlet::new(Arc::clone(&self.inner))
    }

    /// In the order in which they died.
    async fn dead_letters(&self) -> Result<EmbeddedDeadLetters, QueueError> {
        EmbeddedDeadLetters::open(Arc::clone(&self.inner)).await.map_err(QueueError::of)
    }

    /// All is counted at any time.
    fn view(&self) -> QueueView {
        QueueView { state: self.state(), depths: self.depths(), counted_ago: Some(Duration::ZERO) }
    }
}

impl Inner {
    /// Sends a request. If that is in vain, the writer has ended.
    pub(crate) fn send(&self, request: Request) -> bool {
        self.mailbox.send(request)
    }

    /// Sends a question and waits for its answer.
    pub(crate) async fn ask<A>(
        &self,
        ask: impl FnOnce(oneshot::Sender<A>) -> Ask,
    ) -> Result<A, EmbeddedError> {
        self.answer(|answer| Request::Ask(ask(answer))).await
    }

    /// Sends a change and waits until it is durable.
    pub(crate) async fn write<A>(
        &self,
        write: impl FnOnce(oneshot::Sender<A>) -> Write,
    ) -> Result<A, EmbeddedError> {
        self.answer(|answer| Request::Write(write(answer))).await
    }

    /// Waits for the thread's end, and sees to the file.
    fn join(&self, thread: StoreThread) {
        if thread.join(CLOSE_WAIT_MAX).is_err() {
            telemetry::close_timed_out(CLOSE_WAIT_MAX);
            self.status.fail("failed to close in time");
        }
        if let Err(error) = self.file.check() {
            self.status.fail(&error.to_string());
            self.file.put_back((self.clock)());
        }
    }

    async fn answer<A>(
        &self,
        request: impl FnOnce(oneshot::Sender<A>) -> Request,
    ) -> Result<A, EmbeddedError> {
        let failed = || EmbeddedError::Failed(self.status.why());
        self.status.failure().map_err(EmbeddedError::Failed)?;
        let (answer, answered) = oneshot::channel();
        if !self.send(request(answer)) {
            return Err(failed());
        }
        // A writer that ends drops what it has not answered, so this never waits in vain.
        answered.await.map_err(|_| failed())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.mailbox.abandon();
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            self.join(thread);
            self.status.closed();
        }
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Inner").field("connectors", &self.connectors).finish_non_exhaustive()
    }
}

/// Makes a queue for each connector, and says for whom else messages wait.
fn line_up(connectors: &[Connector], memory: &mut Memory) -> Arc<[Connector]> {
    for (connector, queue) in &memory.queues {
        if !connectors.contains(connector) {
            telemetry::left_over(connector, queue.ready() + queue.delayed());
        }
    }
    let connectors: BTreeSet<_> = connectors.iter().cloned().collect();
    for connector in &connectors {
        memory.queue(Some(connector));
    }
    connectors.into_iter().collect()
}

/// Starts the writer. If it panics, that becomes the sticky failure.
fn spawn(writer: Writer, requests: Requests<Request>, status: Arc<Status>) -> std::io::Result<StoreThread> {
    let panicked = move |panic: &str| status.fail(&format!("a panic in the queue's thread: {panic}"));
    StoreThread::spawn("queue-writer", requests, |requests| writer.run(requests), panicked)
}
