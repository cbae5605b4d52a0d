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

use crate::backoff::Backoff;
use crate::board::{Board, Depths};
use crate::broker::BrokerSettings;
use crate::declare::{ensure_queue_of, met};
use crate::error::{AmqpError, in_full};
use crate::limits::{CLOSE_WAIT_MAX, STEADY_MIN};
use crate::link::{Link, Live};
use crate::message::read;
use crate::names::Names;
use crate::outage::{Gravity, Outage};
use crate::settle::{AmqpSettler, Desk};
use crate::watchdog::{Finding, Watchdog};

/// A connector's queue as its owner consumes it.
pub struct AmqpSubscription {
    stage: Stage,
    board: Arc<Board>,
    connector: Connector,
    depths: watch::Receiver<Depths>,
    watchdog: Watchdog,
}

enum Stage {
    Away(Building),
    Here(Box<Built>),
    Left,
}

/// A task that builds a session; it goes on while nobody polls `next`, and ends with the subscription.
struct Building(JoinHandle<Box<Built>>);

/// A session, and what will build the next one.
struct Built {
    builder: Builder,
    session: Session,
}

/// What is needed to build a session, and what is remembered from one to the next.
struct Builder {
    connector: Connector,
    names: Names,
    declare: bool,
    link: Arc<Link>,
    board: Arc<Board>,
    backoff: Backoff,
    outage: Outage,
}

/// One consumer on one channel.
struct Session {
    live: Arc<Live>,
    channel: Channel,
    consumer: Consumer,
    connector: Connector,
    names: Names,
    link: Arc<Link>,
    prefetch: u16,
    desk: Arc<Desk>,
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
        settings: &BrokerSettings,
        link: &Arc<Link>,
        board: &Arc<Board>,
    ) -> Self {
        board.subscription(&connector, Err(format!("the queue of {connector} is not consumed yet")));
        let builder = Builder {
            outage: Outage::new(format!("queue of {connector}")),
            connector: connector.clone(),
            names: settings.names.clone(),
            declare: settings.declare,
            link: Arc::clone(link),
            board: Arc::clone(board),
            backoff: Backoff::new(),
        };
        Self {
            stage: Stage::Away(Building(tokio::spawn(builder.build(None)))),
            board: Arc::clone(board),
            connector,
            depths: board.watch_depths(),
            watchdog: Watchdog::new(),
        }
    }

    /// Gives the session up and begins to build the next one.
    fn rebuild(&mut self, loss: &Loss) {
        let Stage::Here(built) = std::mem::replace(&mut self.stage, Stage::Left) else { return };
        let Built { mut builder, session } = *built;
        session.desk.give_up();
        self.watchdog.rebuilt();
        builder.lost(&session, loss);
        self.stage = Stage::Away(Building(tokio::spawn(builder.build(Some(session)))));
    }
}

impl Subscription for AmqpSubscription {
    type Settler = AmqpSettler;

    async fn next(&mut self) -> Incoming<AmqpSettler> {
        loop {
            match &mut self.stage {
                Stage::Away(building) => match (&mut building.0).await {
                    Ok(built) => self.stage = Stage::Here(built),
                    // The task has no way to fail, and ends with us or with the runtime only.
                    Err(_) => self.stage = Stage::Left,
                },
                Stage::Here(built) => match built.session.next(&mut self.depths, &mut self.watchdog).await {
                    Ok((message, settler)) => return Incoming::Delivery(message, settler),
                    Err(loss) => {
                        self.rebuild(&loss);
                        return Incoming::Lost;
                    }
                },
                Stage::Left => std::future::pending().await,
            }
        }
    }

    async fn leave(&mut self) {
        match std::mem::replace(&mut self.stage, Stage::Left) {
            Stage::Here(built) => {
                built.session.desk.give_up();
                built.session.end().await;
            }
            Stage::Away(_) | Stage::Left => {}
        }
        self.board.subscription(&self.connector, Ok(()));
    }
}

impl Session {
    /// The next delivery; a loss says why there will be none. Cancel-safe: what it waits for keeps its place.
    async fn next(
        &mut self,
        depths: &mut watch::Receiver<Depths>,
        watchdog: &mut Watchdog,
    ) -> Result<(Message, AmqpSettler), Loss> {
        loop {
            tokio::select! {
                biased;
                () = self.desk.stuck() => {
                    return Err(Loss::Failed("an acknowledgement was not taken in time".into()));
                }
                delivery = self.consumer.next() => match delivery {
                    // What was still on its way when the channel ended will come again.
                    Some(Ok(delivery)) if !delivery.acker.usable() => {}
                    Some(Ok(mut delivery)) => {
                        watchdog.arrived();
                        let settler = self.desk.settler(delivery.acker.clone(), delivery.delivery_tag);
                        let (message, left_out) = read(&self.names, &mut delivery);
                        if let Some(left_out) = left_out {
                            self.tell_left_out(&message, left_out);
                        }
                        return Ok((message, settler));
                    }
                    Some(Err(error)) => return Err(Loss::Failed(in_full(&error))),
                    None => {
                        let reason = "the broker cancelled the consumer; was its queue deleted?";
                        return Err(Loss::Failed(reason.into()));
                    }
                },
                Ok(()) = depths.changed() => {
                    let ready = depths.borrow_and_update().connectors.get(&self.connector).copied();
                    self.check(ready.unwrap_or(0), watchdog)?;
                }
            }
        }
    }

    /// The regular check, with the number of messages that wait in the queue.
    fn check(&self, ready: u32, watchdog: &mut Watchdog) -> Result<(), Loss> {
        let connector = &self.connector;
        match watchdog.check(ready, self.desk.open_count()) {
            Finding::Silent => {
                tracing::warn!(%connector, ready, "messages wait and none arrive; consuming anew");
            }
            Finding::NeverHeard => {
                tracing::info!(%connector, ready, "messages wait for another worker; consuming anew");
            }
            // After a message that could not be read, the prefetch is one for a while.
            Finding::Fine if self.prefetch < self.link.prefetch() => {}
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
            self.desk.flush().await;
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
            self.board.unavailable(&self.connector);
        }
        self.board.subscription(&self.connector, Err(format!("the queue of {}: {reason}", self.connector)));
    }

    /// Ends the old session, and tries until there is a new one.
    async fn build(mut self, old: Option<Session>) -> Box<Built> {
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
                    self.board.subscription(&self.connector, Ok(()));
                    return Box::new(Built { builder: self, session });
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
        // Again, although the connection did it: the queue may have been deleted since.
        ensure_queue_of(&wired.connection, &self.names, &self.connector, self.declare).await?;
        let channel = wired.channel().await?;
        let prefetch = self.link.prefetch();
        wired.step("set the prefetch", channel.basic_qos(prefetch, BasicQosOptions::default())).await?;
        let queue = self.names.connector_queue(&self.connector);
        let tag = format!("{queue}@{}", std::process::id());
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        let answer = channel.basic_consume(queue.as_str().into(), tag.as_str().into(), options, none);
        let consumer = wired.step("consume", answer).await;
        let consumer = consumer.map_err(|error| met(error, "consume from", &queue))?;
        let desk = Desk::open(&channel, prefetch);
        let (live, link) = (Arc::clone(live), Arc::clone(&self.link));
        let (connector, names) = (self.connector.clone(), self.names.clone());
        Ok(Session {
            live,
            channel,
            consumer,
            connector,
            names,
            link,
            prefetch,
            desk,
            began: Instant::now(),
            left_out_said: Sparing::default(),
        })
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
