//! Consuming one connector's queue.

use std::sync::Arc;

use nightbell_core::connector::Connector;
use nightbell_core::message::Message;
use nightbell_core::ports::{Incoming, SettleError, Settler, Subscription};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::handle::Inner;
use crate::queue::Lease;
use crate::request::{Ask, Request, Write};

/// A connector's queue as its owner consumes it. Dropped without [`Subscription::leave`], it hands back what it has as
/// one that crashed would: that counts as a delivery.
#[derive(Debug)]
pub struct EmbeddedSubscription {
    inner: Arc<Inner>,
    connector: Connector,
    id: u64,
    deliveries: UnboundedReceiver<(u64, Message)>,
    lease: Arc<Lease>,
    state: SubscriptionState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SubscriptionState {
    Consuming,
    /// The queue has ended, and said so.
    Lost,
    Left,
}

/// The right to settle one delivery.
#[derive(Debug)]
pub struct EmbeddedSettler {
    inner: Arc<Inner>,
    connector: Connector,
    consumer: u64,
    place: u64,
    lease: Arc<Lease>,
}

impl EmbeddedSubscription {
    pub(crate) fn new(
        inner: Arc<Inner>,
        connector: Connector,
        id: u64,
        deliveries: UnboundedReceiver<(u64, Message)>,
        lease: Arc<Lease>,
    ) -> Self {
        Self { inner, connector, id, deliveries, lease, state: SubscriptionState::Consuming }
    }
}

impl Subscription for EmbeddedSubscription {
    type Settler = EmbeddedSettler;

    async fn next(&mut self) -> Incoming<EmbeddedSettler> {
        if self.state == SubscriptionState::Consuming {
            if let Some((place, message)) = self.deliveries.recv().await {
                let settler = EmbeddedSettler {
                    inner: Arc::clone(&self.inner),
                    connector: self.connector.clone(),
                    consumer: self.id,
                    place,
                    lease: Arc::clone(&self.lease),
                };
                return Incoming::Delivery(message, settler);
            }
            // It failed or was closed; whatever was delivered comes again when it is next opened.
            self.state = SubscriptionState::Lost;
            return Incoming::Lost;
        }
        std::future::pending().await
    }

    async fn leave(&mut self) {
        let state = std::mem::replace(&mut self.state, SubscriptionState::Left);
        if state == SubscriptionState::Left {
            return;
        }
        self.lease.end();
        let (connector, consumer) = (self.connector.clone(), self.id);
        // A queue that has ended has taken all back already.
        let _ended = self.inner.ask(|answer| Ask::Leave { connector, consumer, answer }).await;
        self.deliveries.close();
    }
}

impl Drop for EmbeddedSubscription {
    fn drop(&mut self) {
        if self.state != SubscriptionState::Left {
            self.lease.end();
            let (connector, consumer) = (self.connector.clone(), self.id);
            let _ended = self.inner.send(Request::Write(Write::Lost { connector, consumer }));
        }
    }
}

impl Settler for EmbeddedSettler {
    async fn ack(self) -> Result<(), SettleError> {
        let Self { connector, consumer, place, .. } = &self;
        let (connector, consumer, place) = (connector.clone(), *consumer, *place);
        self.settle(Request::Write(Write::Ack { connector, consumer, place }))
    }

    async fn hand_back(self) -> Result<(), SettleError> {
        let Self { connector, consumer, place, .. } = &self;
        let (connector, consumer, place) = (connector.clone(), *consumer, *place);
        self.settle(Request::Ask(Ask::HandBack { connector, consumer, place }))
    }
}

impl EmbeddedSettler {
    /// The answer need not be waited for: what is lost of it comes again, and is recognised by the ledger.
    fn settle(self, request: Request) -> Result<(), SettleError> {
        if self.lease.has_ended() || !self.inner.send(request) {
            return Err(SettleError::Gone);
        }
        Ok(())
    }
}
