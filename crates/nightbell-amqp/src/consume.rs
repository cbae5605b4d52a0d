//! Consuming one connector's queue: a channel of its own on the shared connection, rebuilt after any failure,
//! with a watchdog for the silence of a consumer that looks healthy.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use nightbell_core::connector::Connector;
use nightbell_core::message::Message;
use nightbell_core::ports::{Incoming, Subscription};
use nightbell_core::sparing::Sparing;
use nightbell_core::time::{UnixMillis, millis};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::ack_batcher::{AckBatcher, AmqpSettler};
use crate::backoff::Backoff;
use crate::broker::BrokerSettings;
use crate::declare::{ensure_queue_of, met};
use crate::error::{AmqpError, in_full};
use crate::limits::{CLOSE_WAIT_MAX, STEADY_MIN};
use crate::link::{Link, Live};
use crate::message::read;
use crate::outage::{Gravity, Outage};
use crate::status::{BrokerStatus, Counted};
use crate::watchdog::{Finding, Watchdog};

/// A connector's queue as its owner consumes it.
pub struct AmqpSubscription {
    phase: Phase,
    status: Arc<BrokerStatus>,
    connector: Connector,
    counted: watch::Receiver<Counted>,
    watchdog: Watchdog,
}

enum Phase {
    Building(Building),
    Consuming(Box<Consuming>),
    Left,
}

/// A task that builds a session; it goes on while nobody polls `next`, and ends with the subscription.
struct Building(JoinHandle<Box<Consuming>>);

/// A session, and what will build the next one.
struct Consuming {
    builder: Builder,
    session: Session,
}

/// What is needed to build a session, and what is remembered from one to the next.
struct Builder {
    connector: Connector,
    settings: Arc<BrokerSettings>,
    link: Arc<Link>,
    status: Arc<BrokerStatus>,
    backoff: Backoff,
    outage: Outage,
}

/// One consumer on one channel.
struct Session {
    live: Arc<Live>,
    channel: Channel,
    consumer: Consumer,
    acks: Arc<AckBatcher>,
    began: Instant,
    left_out_said: Sparing,
}

/// Why a session ended.
enum Loss {
    /// The broker or the connection ended it.
    Failed(String),
    /// We end it, to consume anew; nothing failed that is not logged already.
    Renewal,
}

impl AmqpSubscription {
    pub(crate) fn new(
        connector: Connector,
        settings: &Arc<BrokerSettings>,
        link: &Arc<Link>,
        status: &Arc<BrokerStatus>,
    ) -> Self {
        status.subscription(&connector, Err(format!("the queue of {connector} is not consumed yet")));
        let builder = Builder {
            outage: Outage::new(format!("queue of {connector}")),
            connector: connector.clone(),
            settings: Arc::clone(settings),
            link: Arc::clone(link),
            status: Arc::clone(status),
            backoff: Backoff::new(),
        };
        Self {
            phase: Phase::Building(Building(tokio::spawn(builder.build(None)))),
            status: Arc::clone(status),
            connector,
            counted: status.watch_counted(),
            watchdog: Watchdog::new(),
        }
    }

    /// Gives the session up and begins to build the next one.
    fn rebuild(&mut self, loss: &Loss) {
        let Phase::Consuming(ended) = std::mem::replace(&mut self.phase, Phase::Left) else { return };
        let Consuming { mut builder, session } = *ended;
        session.acks.give_up();
        self.watchdog.rebuilt();
        builder.lost(&session, loss);
        self.phase = Phase::Building(Building(tokio::spawn(builder.build(Some(session)))));
    }
}

impl Subscription for AmqpSubscription {
    type Settler = AmqpSettler;

    async fn next(&mut self) -> Incoming<AmqpSettler> {
        loop {
            match &mut self.phase {
                Phase::Building(building) => match (&mut building.0).await {
                    Ok(built) => self.phase = Phase::Consuming(built),
                    // The task has no way to fail, and ends with us or with the runtime only.
                    Err(_) => self.phase = Phase::Left,
                },
                Phase::Consuming(consuming) => {
                    match consuming.next(&mut self.counted, &mut self.watchdog).await {
                        Ok((message, settler)) => return Incoming::Delivery(message, settler),
                        Err(loss) => {
                            self.rebuild(&loss);
                            return Incoming::Lost;
                        }
                    }
                }
                Phase::Left => std::future::pending().await,
            }
        }
    }

    async fn leave(&mut self) {
        if let Phase::Consuming(ended) = std::mem::replace(&mut self.phase, Phase::Left) {
            ended.session.acks.give_up();
            ended.session.end().await;
        }
        self.status.subscription(&self.connector, Ok(()));
    }
}

impl Consuming {
    /// The next delivery; a loss says why there will be none. Cancel-safe: what it waits for keeps its place.
    async fn next(
        &mut self,
        counted: &mut watch::Receiver<Counted>,
        watchdog: &mut Watchdog,
    ) -> Result<(Message, AmqpSettler), Loss> {
        let Self { builder, session } = self;
        loop {
            tokio::select! {
                biased;
                () = session.acks.stuck() => {
                    return Err(Loss::Failed("an acknowledgement was not taken in time".into()));
                }
                delivery = session.consumer.next() => match delivery {
                    // What was still on its way when the channel ended will come again.
                    Some(Ok(delivery)) if !delivery.acker.usable() => {}
                    Some(Ok(mut delivery)) => {
                        watchdog.arrived();
                        let settler = session.acks.settler(delivery.acker.clone(), delivery.delivery_tag);
                        let (message, left_out) = read(&builder.settings.names, &mut delivery);
                        if let Some(left_out) = left_out {
                            session.tell_left_out(&message, left_out);
                        }
                        return Ok((message, settler));
                    }
                    Some(Err(error)) => return Err(Loss::Failed(in_full(&error))),
                    None => {
                        let reason = "the broker cancelled the consumer; was its queue deleted?";
                        return Err(Loss::Failed(reason.into()));
                    }
                },
                Ok(()) = counted.changed() => {
                    let ready = counted.borrow_and_update().depths.connectors.get(&builder.connector).copied();
                    session.check(&builder.connector, ready.unwrap_or(0), watchdog)?;
                }
            }
        }
    }
}

impl Session {
    /// The regular check, with the number of messages that wait in the queue.
    fn check(&self, connector: &Connector, ready: u32, watchdog: &mut Watchdog) -> Result<(), Loss> {
        match watchdog.check(ready, self.acks.open_count()) {
            Finding::Silent => {
                tracing::warn!(%connector, ready, "messages wait and none arrive; consuming anew");
            }
            Finding::NeverHeard => {
                tracing::info!(%connector, ready, "messages wait for another worker; consuming anew");
            }
            Finding::Fine => return Ok(()),
        }
        Err(Loss::Renewal)
    }

    /// Sends what is settled, cancels the consumer and closes the channel, so that what is not goes back at once. A broker
    /// that does not answer loses the whole connection: the channel's deliveries would else stay with it.
    async fn end(self) {
        if !self.live.is_up() || !self.channel.status().connected() {
            return;
        }
        let farewell = async {
            self.acks.flush().await;
            self.channel.basic_cancel(self.consumer.tag(), BasicCancelOptions::default()).await?;
            self.channel.close(200, "OK".into()).await
        };
        if timeout(CLOSE_WAIT_MAX, farewell).await.is_err() {
            self.live.give_up("the broker did not answer a farewell".to_owned());
        }
    }

    /// Says that headers of a message were left out; whoever publishes decides how often that is.
    fn tell_left_out(&mut self, message: &Message, left_out: u64) {
        if let Some(unsaid) = self.left_out_said.say(UnixMillis(millis(self.began.elapsed()))) {
            let (id, key) = (message.message_id.as_deref(), &message.routing_key);
            let unsaid = (unsaid > 0).then_some(unsaid);
            tracing::warn!(message_id = id, %key, left_out, unsaid, "headers of a message were left out, for it has too many");
        }
    }
}

impl Builder {
    fn lost(&mut self, session: &Session, loss: &Loss) {
        if session.began.elapsed() >= STEADY_MIN {
            self.backoff.reset();
        }
        let Loss::Failed(reason) = loss else { return };
        self.away(&session.live, Gravity::Passing, reason);
    }

    /// Notes why the queue is not consumed. A lost connection is reported by its link.
    fn away(&mut self, live: &Live, gravity: Gravity, reason: &str) {
        if live.is_up() {
            self.outage.failed(gravity, reason, Instant::now());
            self.status.unavailable(&self.connector);
        }
        self.status.subscription(&self.connector, Err(format!("the queue of {}: {reason}", self.connector)));
    }

    /// Ends the old session, and tries until there is a new one.
    async fn build(mut self, old: Option<Session>) -> Box<Consuming> {
        if let Some(old) = old {
            // A connection that was lost makes us wait for a new one anyway.
            let wait = if old.live.is_up() { self.backoff.wait(Gravity::Passing) } else { Duration::ZERO };
            old.end().await;
            sleep(wait).await;
        }
        loop {
            let live = self.link.live().await;
            match self.open(&live).await {
                Ok(session) => {
                    self.outage.ended(Instant::now());
                    self.status.subscription(&self.connector, Ok(()));
                    return Box::new(Consuming { builder: self, session });
                }
                Err(error) => {
                    self.failed(&live, &error).await;
                    sleep(self.backoff.wait(Gravity::of(&error))).await;
                }
            }
        }
    }

    async fn open(&self, live: &Arc<Live>) -> Result<Session, AmqpError> {
        let wired = &live.wired;
        let BrokerSettings { names, declare, prefetch, .. } = &*self.settings;
        let prefetch = (*prefetch).max(1);
        // Again, although the connection did it: the queue may have been deleted since.
        ensure_queue_of(&wired.connection, names, &self.connector, *declare).await?;
        let channel = wired.channel().await?;
        wired.step("set the prefetch", channel.basic_qos(prefetch, BasicQosOptions::default())).await?;
        let queue = names.connector_queue(&self.connector);
        let tag = format!("{queue}@{}", std::process::id());
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        let answer = channel.basic_consume(queue.as_str().into(), tag.as_str().into(), options, none);
        let consumer = wired.step("consume", answer).await;
        let consumer = consumer.map_err(|error| met(error, "consume from", &queue))?;
        let (live, acks) = (Arc::clone(live), AckBatcher::start(&channel, prefetch));
        let (began, left_out_said) = (Instant::now(), Sparing::default());
        Ok(Session { live, channel, consumer, acks, began, left_out_said })
    }

    async fn failed(&mut self, live: &Live, error: &AmqpError) {
        let reason = in_full(error);
        // One queue may be silent, for want of a leader, and the others sound.
        if error.is_time_out() && !live.answers().await {
            live.give_up(reason.clone());
        }
        self.away(live, Gravity::of(error), &reason);
    }
}

impl Drop for Building {
    fn drop(&mut self) {
        self.0.abort();
    }
}
