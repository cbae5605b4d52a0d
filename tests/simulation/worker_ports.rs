//! The ports of the real worker: each asks the simulated world, and waits for its answer.

use std::sync::{Arc, Mutex, MutexGuard, Weak};

use nightbell_core::connector::Connector;
use nightbell_core::fingerprint::Fingerprint;
use nightbell_core::message::Message;
use nightbell_core::outcome::Outcome;
use nightbell_core::policy::Chance;
use nightbell_core::ports::{
    Alert, Clock, Destination, Dice, Incoming, Ledger, LedgerError, Outlet, PublishError, Sender,
    SettleError, Settler, Subscription,
};
use nightbell_core::record::{Change, Looked};
use nightbell_core::time::UnixMillis;
use nightbell_worker::Ports;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;

use crate::worker_around::Around;
use crate::worker_bugs::Planted;
use crate::worker_happens::{Happens, Reply};

/// The world, as its ports share it. It is locked for the length of a call only.
#[derive(Debug, Clone)]
pub(crate) struct Shared(Arc<Mutex<Around>>);

impl Shared {
    pub(crate) fn new(seed: u64, bug: Option<Planted>, traced: bool) -> Self {
        Self(Arc::new_cyclic(|this| Mutex::new(Around::new(seed, bug, traced, this.clone()))))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Around> {
        let mut around = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        around.read_clock();
        around
    }

    /// Asks for something. There is no answer if the process is about to be killed.
    fn ask<T>(&self, request: impl FnOnce(&mut Around, Reply<T>)) -> oneshot::Receiver<T> {
        let (reply, answer) = oneshot::channel();
        let mut around = self.lock();
        around.mark(2);
        if !around.is_struck() {
            request(&mut around, reply);
        }
        answer
    }
}

/// The real worker's ports, simulated.
#[derive(Clone)]
pub(crate) enum SimPorts {}

impl Ports for SimPorts {
    type Subscription = SimSubscription;
    type Outlet = Way;
    type Ledger = Shared;
    type Sender = Way;
    type Clock = Shared;
    type Dice = Shared;
}

/// Waits for an answer; for ever if none will come.
async fn answer<T>(answer: oneshot::Receiver<T>) -> T {
    match answer.await {
        Ok(answer) => answer,
        Err(_) => std::future::pending().await,
    }
}

/// The lane of a connector: they are named `c0` and `c1`.
fn lane_of(connector: &Connector) -> usize {
    usize::from(connector.as_str() != "c0")
}

impl Clock for Shared {
    fn now(&self) -> UnixMillis {
        let mut around = self.lock();
        around.count_read();
        UnixMillis(around.now)
    }
}

impl Dice for Shared {
    fn roll(&self) -> Chance {
        Chance::new(self.lock().chances.unit())
    }
}

impl Ledger for Shared {
    fn look(
        &self,
        connector: &Connector,
        event: Fingerprint,
        alerts: Vec<Fingerprint>,
        _: UnixMillis,
    ) -> impl Future<Output = Result<Looked, LedgerError>> + Send + 'static {
        let lane = lane_of(connector);
        answer(self.ask(|around, reply| around.look(lane, (event, alerts), reply)))
    }

    fn commit(
        &self,
        connector: &Connector,
        changes: Vec<Change>,
        _: UnixMillis,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send + 'static {
        let lane = lane_of(connector);
        answer(self.ask(|around, reply| around.commit(lane, changes, reply)))
    }
}

/// One connector's way to its destination, or to the queues.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    pub(crate) shared: Shared,
    pub(crate) lane: usize,
}

impl Sender for Way {
    fn send(&self, alert: Alert) -> impl Future<Output = Outcome> + Send + 'static {
        let lane = self.lane;
        answer(self.shared.ask(|around, reply| around.post(lane, &alert, reply)))
    }
}

impl Outlet for Way {
    async fn publish(&self, to: Destination, message: Message) -> Result<(), PublishError> {
        let lane = self.lane;
        answer(self.shared.ask(|around, reply| around.publish(lane, to, message, reply))).await
    }
}

#[derive(Debug)]
pub(crate) struct SimSubscription {
    pub(crate) way: Way,
    pub(crate) inbox: UnboundedReceiver<Incoming<SimSettler>>,
    /// A planted bug: what was received waits at another await, where it may be dropped.
    pub(crate) dawdles: bool,
}

impl Subscription for SimSubscription {
    type Settler = SimSettler;

    async fn next(&mut self) -> Incoming<SimSettler> {
        let Some(incoming) = self.inbox.recv().await else { return std::future::pending().await };
        if self.dawdles {
            let later = self.way.shared.ask(|around, reply| around.after(20, Happens::Taken { reply }));
            let _taken = answer(later).await;
        }
        incoming
    }

    async fn leave(&mut self) {
        let lane = self.way.lane;
        answer(self.way.shared.ask(|around, reply| around.leaves(lane, reply))).await;
    }
}

#[derive(Debug)]
pub(crate) struct SimSettler {
    around: Weak<Mutex<Around>>,
    pub(crate) life: u32,
    pub(crate) lane: usize,
    pub(crate) session: u32,
    pub(crate) number: u64,
    settled: bool,
}

impl SimSettler {
    pub(crate) fn new(
        around: Weak<Mutex<Around>>,
        life: u32,
        lane: usize,
        session: u32,
        number: u64,
    ) -> Self {
        Self { around, life, lane, session, number, settled: false }
    }

    async fn settle(mut self, back: bool) -> Result<(), SettleError> {
        self.settled = true;
        let Some(shared) = self.around.upgrade().map(Shared) else { return Err(SettleError::Gone) };
        answer(shared.ask(|around, reply| around.settles(&self, back, reply))).await
    }
}

impl Settler for SimSettler {
    fn ack(self) -> impl Future<Output = Result<(), SettleError>> + Send {
        self.settle(false)
    }

    fn hand_back(self) -> impl Future<Output = Result<(), SettleError>> + Send {
        self.settle(true)
    }
}

impl Drop for SimSettler {
    fn drop(&mut self) {
        // The world itself lets go of one only when nobody is there to take it.
        let around = self.around.upgrade();
        if let Some(mut around) = around.as_ref().and_then(|around| around.try_lock().ok()) {
            around.dropped(self, self.settled);
        }
    }
}
