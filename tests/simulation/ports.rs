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
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;

use crate::bugs::Bug;
use crate::happens::{Happens, Reply};
use crate::queue::{Inbox, Token, Told};
use crate::world::World;

/// The world, as its ports share it. It is locked for the length of a call only.
#[derive(Debug, Clone)]
pub(crate) struct Shared(Arc<Mutex<World>>);

impl Shared {
    pub(crate) fn new(seed: u64, bug: Option<Bug>, traced: bool) -> Self {
        Self(Arc::new(Mutex::new(World::new(seed, bug, traced))))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, World> {
        let mut world = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        world.read_clock();
        world
    }

    /// What a subscription of this world's owners hears, handed on to the owner.
    pub(crate) fn inbox(&self, owner: UnboundedSender<Incoming<SimSettler>>) -> Inbox {
        let world = Arc::downgrade(&self.0);
        Inbox::new(move |told| {
            let incoming = match told {
                Told::Lost => Incoming::Lost,
                Told::Delivery(message, token) => {
                    Incoming::Delivery(*message, SimSettler { world: world.clone(), token, settled: false })
                }
            };
            drop(owner.send(incoming));
        })
    }

    /// Asks for something. There is no answer if the process is about to be killed.
    fn ask<T: Send + 'static>(&self, request: impl FnOnce(&mut World, Reply<T>)) -> oneshot::Receiver<T> {
        let (reply, answer) = oneshot::channel();
        let mut world = self.lock();
        world.mark(2);
        if !world.is_struck() {
            request(&mut world, Reply::new(|answer| drop(reply.send(answer))));
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
        let mut world = self.lock();
        world.count_read();
        UnixMillis(world.now)
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
        answer(self.ask(|world, reply| world.look(lane, (event, alerts), reply)))
    }

    fn commit(
        &self,
        connector: &Connector,
        changes: Vec<Change>,
        _: UnixMillis,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send + 'static {
        let lane = lane_of(connector);
        answer(self.ask(|world, reply| world.commit(lane, changes, reply)))
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
        answer(self.shared.ask(|world, reply| world.post(lane, &alert, reply)))
    }
}

impl Outlet for Way {
    async fn publish(&self, to: Destination, message: Message) -> Result<(), PublishError> {
        let lane = self.lane;
        answer(self.shared.ask(|world, reply| world.publish(lane, to, message, reply))).await
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
            let later = self.way.shared.ask(|world, reply| world.after(20, Happens::Taken { reply }));
            let _taken = answer(later).await;
        }
        incoming
    }

    async fn leave(&mut self) {
        let lane = self.way.lane;
        answer(self.way.shared.ask(|world, reply| world.leaves(lane, reply))).await;
    }
}

#[derive(Debug)]
pub(crate) struct SimSettler {
    world: Weak<Mutex<World>>,
    token: Token,
    settled: bool,
}

impl SimSettler {
    async fn settle(mut self, back: bool) -> Result<(), SettleError> {
        self.settled = true;
        let Some(shared) = self.world.upgrade().map(Shared) else { return Err(SettleError::Gone) };
        answer(shared.ask(|world, reply| world.settles(self.token, back, reply))).await
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
        let world = self.world.upgrade();
        if let Some(mut world) = world.as_ref().and_then(|world| world.try_lock().ok()) {
            world.dropped(self.token, self.settled);
        }
    }
}
