//! A supervised connection: made when it is first wanted, and made again after any error, with backoff,
//! without end.

use std::pin::pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt};
use lapin::options::{BasicPublishOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Event};
use nightbell_core::connector::Connector;
use nightbell_core::ports::Depths;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::backoff::Backoff;
use crate::broker::BrokerSettings;
use crate::connect::Wired;
use crate::declare::{Object, ensure, ensure_queue_of, list};
use crate::error::{AmqpError, in_full};
use crate::limits::{
    ANSWER_WAIT_MAX, DEPTHS_EVERY, PROBE_EVERY, PROBE_LATE, PROBE_WAIT_MAX, PUBLISHER_WAIT_MAX, PULSE_EVERY,
    STEADY_MIN,
};
use crate::message::short;
use crate::outage::{Gravity, Outage};
use crate::status::BrokerStatus;
use crate::topology::Topology;

/// A routing key that no queue is bound for.
const PROBE_KEY: &str = "nightbell-probe";

/// What a connection is for. Publishing and consuming have one each, because a broker that is short of memory
/// stops reading from those that publish, and acknowledgements must not wait behind that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Consumer,
    Publisher,
}

/// A supervised connection. Dropping it ends the supervision, and the connection with its last user.
pub(crate) struct Link {
    supervised: Arc<Supervised>,
    supervisor: JoinHandle<()>,
}

struct Supervised {
    role: Role,
    settings: Arc<BrokerSettings>,
    connectors: Arc<[Connector]>,
    status: Arc<BrokerStatus>,
    state: watch::Sender<ConnectionState>,
    wanted: Notify,
    /// What was said to be taken for granted.
    granted: Mutex<Vec<Object>>,
}

/// How the connection stands.
#[derive(Clone)]
enum ConnectionState {
    /// Down, after so many attempts that failed or connections that were lost.
    Down {
        failures: u64,
        reason: Arc<str>,
    },
    Up(Arc<Live>),
}

/// A connection that is up, with the topology in place.
pub(crate) struct Live {
    pub(crate) wired: Wired,
    broken: OnceLock<String>,
    given_up: Notify,
}

impl Link {
    /// Starts the supervision; the connection itself is made when it is first wanted.
    pub(crate) fn new(
        role: Role,
        settings: &Arc<BrokerSettings>,
        connectors: &Arc<[Connector]>,
        status: &Arc<BrokerStatus>,
    ) -> Self {
        let down = ConnectionState::Down { failures: 0, reason: "not connected yet".into() };
        let supervised = Arc::new(Supervised {
            role,
            settings: Arc::clone(settings),
            connectors: Arc::clone(connectors),
            status: Arc::clone(status),
            state: watch::Sender::new(down),
            wanted: Notify::new(),
            granted: Mutex::default(),
        });
        let supervisor = tokio::spawn(supervise(Arc::clone(&supervised)));
        Self { supervised, supervisor }
    }

    /// The connection, as soon as it is up. Cancel-safe.
    pub(crate) async fn live(&self) -> Arc<Live> {
        self.supervised.wanted.notify_one();
        let mut state = self.supervised.state.subscribe();
        loop {
            if let ConnectionState::Up(live) = &*state.borrow_and_update() {
                return Arc::clone(live);
            }
            if state.changed().await.is_err() {
                // The sender lives in `self`.
                std::future::pending::<()>().await;
            }
        }
    }

    /// The connection if it is up, or comes up by the next attempt, which all callers share.
    ///
    /// # Errors
    /// Why it is down, in one line.
    pub(crate) async fn live_soon(&self) -> Result<Arc<Live>, String> {
        self.supervised.wanted.notify_one();
        let mut state = self.supervised.state.subscribe();
        let before = match &*state.borrow_and_update() {
            ConnectionState::Up(live) => return Ok(Arc::clone(live)),
            ConnectionState::Down { failures, .. } => *failures,
        };
        let over = |state: &ConnectionState| match state {
            ConnectionState::Up(_) => true,
            ConnectionState::Down { failures, .. } => *failures > before,
        };
        drop(timeout(PUBLISHER_WAIT_MAX, state.wait_for(over)).await);
        match &*state.borrow() {
            ConnectionState::Up(live) => Ok(Arc::clone(live)),
            ConnectionState::Down { reason, .. } => Err(reason.to_string()),
        }
    }

    /// Whether each connection declares exchanges and queues.
    pub(crate) fn declares(&self) -> bool {
        self.supervised.settings.declare
    }

    /// Has the connection made, if it is not.
    pub(crate) fn want(&self) {
        self.supervised.wanted.notify_one();
    }

    /// Ends the supervision and closes the connection.
    pub(crate) async fn close(&self) {
        self.supervisor.abort();
        let state = self.supervised.state.borrow().clone();
        if let ConnectionState::Up(live) = state {
            live.wired.close().await;
        }
        self.supervised.down("closed by nightbell");
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.supervisor.abort();
    }
}

impl Live {
    /// Gives the connection up: the supervisor closes it and makes a new one.
    pub(crate) fn give_up(&self, reason: String) {
        if self.broken.set(reason).is_ok() {
            self.given_up.notify_one();
        }
    }

    /// Whether the broker answers at all: one queue may be silent for want of a leader, and all else sound.
    pub(crate) async fn answers(&self) -> bool {
        let asked = async {
            let channel = self.wired.connection.create_channel().await?;
            channel.close(200, "OK".into()).await
        };
        matches!(timeout(ANSWER_WAIT_MAX, asked).await, Ok(Ok(())))
    }

    /// Whether it can still be used.
    pub(crate) fn is_up(&self) -> bool {
        self.broken.get().is_none() && self.wired.connection.status().connected()
    }
}

async fn supervise(supervised: Arc<Supervised>) {
    supervised.wanted.notified().await;
    let mut outage = Outage::new(supervised.role.what());
    let mut backoff = Backoff::new();
    loop {
        let gravity = match supervised.connect().await {
            Ok(live) => {
                let began = Instant::now();
                outage.ended(began);
                let reason = supervised.serve(&live).await;
                supervised.down(&reason);
                outage.failed(Gravity::Passing, &reason, Instant::now());
                live.wired.close().await;
                if began.elapsed() >= STEADY_MIN {
                    backoff.reset();
                }
                Gravity::Passing
            }
            Err(error) => {
                let reason = in_full(&error);
                supervised.down(&reason);
                let gravity = Gravity::of(&error);
                outage.failed(gravity, &reason, Instant::now());
                gravity
            }
        };
        sleep(backoff.wait(gravity)).await;
    }
}

impl Supervised {
    async fn connect(&self) -> Result<Arc<Live>, AmqpError> {
        let wired = Wired::connect(&self.settings.url, self.role.what()).await?;
        let BrokerSettings { names, declare, .. } = &*self.settings;
        // Each subscription sees to its own queue, so that one that is wrong stops none of the others.
        let topology = match self.role {
            Role::Publisher if !declare => Topology::events(names),
            Role::Publisher | Role::Consumer => Topology::of(names, &[]),
        };
        self.take_for_granted(ensure(&wired.connection, &topology, *declare).await?);
        if self.role == Role::Publisher && *declare {
            self.declare_queues(&wired).await?;
        }
        Ok(Arc::new(Live { wired, broken: OnceLock::new(), given_up: Notify::new() }))
    }

    /// Says once what the broker does not let this user look for.
    fn take_for_granted(&self, unknown: Vec<Object>) {
        let mut granted = self.granted.lock().unwrap_or_else(PoisonError::into_inner);
        if !unknown.is_empty() && *granted != unknown {
            let what = list(&unknown);
            tracing::info!("the broker does not let this user look for {what}; taken to be there");
            *granted = unknown;
        }
    }

    /// Declares every connector's queue before the first event is published. One that can't be is left to its
    /// subscription, and the events go to the others.
    async fn declare_queues(&self, wired: &Wired) -> Result<(), AmqpError> {
        for connector in &*self.connectors {
            match ensure_queue_of(&wired.connection, &self.settings.names, connector, true).await {
                Err(error) if wired.connection.status().connected() => {
                    let reason = in_full(&error);
                    if self.status.is_subscribed() {
                        tracing::debug!(%connector, reason, "a queue can't be declared");
                    } else {
                        tracing::warn!(%connector, reason, "its queue can't be declared; it may miss what is published");
                    }
                }
                ensured => ensured?,
            }
        }
        Ok(())
    }

    /// Lends the connection out until it ends, and says why it ended.
    async fn serve(&self, live: &Arc<Live>) -> String {
        // Before it is lent out, so that no event is missed.
        let events = live.wired.connection.events_listener();
        self.note(Ok(()));
        self.state.send_replace(ConnectionState::Up(Arc::clone(live)));
        let silent = async {
            match self.role {
                Role::Publisher if self.status.is_subscribed() => self.try_often(live).await,
                Role::Publisher => std::future::pending().await,
                Role::Consumer => tokio::select! {
                    reason = self.try_often(live) => reason,
                    () = self.ask_depths(live) => "the broker did not say how many messages wait".to_owned(),
                },
            }
        };
        tokio::select! {
            reason = self.watch(live, events) => reason,
            reason = silent => reason,
        }
    }

    /// Asks the broker again and again for something that changes nothing. It ends when no answer comes: one that is late is
    /// noted, until it comes.
    async fn try_often(&self, live: &Live) -> String {
        let channel = match live.wired.confirming_channel().await {
            Ok(channel) => channel,
            Err(error) => return in_full(&error),
        };
        let mut beat = interval(PROBE_EVERY);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let silence = |wait: Duration| format!("the broker has not answered for {} s", wait.as_secs());
        loop {
            beat.tick().await;
            let mut tried = pin!(self.try_once(live, &channel));
            let in_time = timeout(PROBE_LATE, &mut tried).await;
            let answer = match in_time {
                Ok(answer) => answer,
                Err(_) => {
                    self.note(Err(silence(PROBE_LATE)));
                    match timeout(PROBE_WAIT_MAX.saturating_sub(PROBE_LATE), tried).await {
                        Ok(answer) => {
                            self.note(Ok(()));
                            answer
                        }
                        Err(_) => return silence(PROBE_WAIT_MAX),
                    }
                }
            };
            if let Err(error) = answer {
                return in_full(&error);
            }
        }
    }

    /// Publishes what no queue is bound for, so that the broker drops and confirms it; or sets the prefetch of a channel that
    /// nothing is consumed on, since a connection that publishes is stopped when the broker is short of memory.
    async fn try_once(&self, live: &Live, channel: &Channel) -> lapin::Result<()> {
        match self.role {
            Role::Publisher if live.wired.connection.status().blocked() => Ok(()),
            Role::Publisher => {
                let exchange = short(&self.settings.names.retry());
                let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
                let sent = channel.basic_publish(exchange, PROBE_KEY.into(), options, b"", properties);
                sent.await?.await.map(drop)
            }
            Role::Consumer => channel.basic_qos(1, BasicQosOptions::default()).await,
        }
    }

    /// Waits for the connection's end.
    async fn watch(&self, live: &Live, events: impl Stream<Item = Event>) -> String {
        let mut events = pin!(events);
        let mut pulse = interval(PULSE_EVERY);
        let mut last = None;
        loop {
            tokio::select! {
                biased;
                () = live.given_up.notified() => return live.broken.get().cloned().unwrap_or_default(),
                event = events.next() => match event {
                    // A channel's error comes here too, and does not end the connection.
                    Some(Event::Error(error)) => last = Some(error),
                    Some(Event::ConnectionBlocked(reason)) => self.blocked(&reason),
                    Some(Event::ConnectionUnblocked) => self.unblocked(),
                    Some(_) | None => {}
                },
                _ = pulse.tick() => {}
            }
            if !live.wired.connection.status().connected() {
                return last.map_or_else(|| "the connection was closed".to_owned(), |error| in_full(&error));
            }
        }
    }

    fn blocked(&self, reason: &str) {
        tracing::warn!(what = self.role.what(), reason, "the broker takes no messages for now");
        self.note(Err(format!("the broker takes no messages for now: {reason}")));
    }

    fn unblocked(&self) {
        tracing::info!(what = self.role.what(), "the broker takes messages again");
        self.note(Ok(()));
    }

    fn down(&self, reason: &str) {
        self.note(Err(reason.to_owned()));
        self.state.send_modify(|state| {
            let failures = match state {
                ConnectionState::Down { failures, .. } => failures.saturating_add(1),
                ConnectionState::Up(_) => 1,
            };
            *state = ConnectionState::Down { failures, reason: reason.into() };
        });
    }

    fn note(&self, state: Result<(), String>) {
        match self.role {
            Role::Consumer => self.status.consumer(state),
            Role::Publisher => self.status.publisher(state),
        }
    }

    /// Asks for the depths of the queues again and again; ends when the broker does not answer.
    async fn ask_depths(&self, live: &Live) {
        let mut beat = interval(DEPTHS_EVERY);
        // The watchdog counts checks, so that they must not come in a burst after a pause.
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let names = &self.settings.names;
        loop {
            beat.tick().await;
            let mut depths = Depths::default();
            for connector in &*self.connectors {
                match ready_count(&live.wired, &names.connector_queue(connector)).await {
                    Ok(ready) => drop(depths.connectors.insert(connector.clone(), ready)),
                    Err(error) if error.is_time_out() && !live.answers().await => return,
                    // A queue that is not there is noticed by its consumer.
                    Err(_) => {}
                }
            }
            match ready_count(&live.wired, &names.dead()).await {
                Ok(dead) => depths.dead = Some(dead),
                Err(error) if error.is_time_out() && !live.answers().await => return,
                Err(_) => {}
            }
            self.status.counted(depths);
        }
    }
}

/// How many messages are ready in a queue. It takes a channel of its own, which an error would close.
pub(crate) async fn ready_count(wired: &Wired, queue: &str) -> Result<u32, AmqpError> {
    Ok(look(wired, queue).await?.message_count())
}

/// A queue's counts of ready messages and of consumers.
pub(crate) async fn look(wired: &Wired, queue: &str) -> Result<lapin::Queue, AmqpError> {
    let channel = wired.channel().await?;
    let options = QueueDeclareOptions::durable().passive();
    let answer = channel.queue_declare(short(queue), options, FieldTable::default());
    let counts = wired.step("count a queue's messages", answer).await?;
    wired.step("close a channel", channel.close(200, "OK".into())).await?;
    Ok(counts)
}

impl Role {
    /// The connection's name, in the broker and in the log.
    fn what(self) -> &'static str {
        match self {
            Self::Consumer => "nightbell consumer",
            Self::Publisher => "nightbell publisher",
        }
    }
}
