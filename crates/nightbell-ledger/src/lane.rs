//! The way to one of the ledger's threads: a bounded queue whose senders wait without blocking.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use nightbell_core::ports::LedgerError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::shared::Shared;

/// The way in. The queue itself has no bound; the places have, and a request holds one until it is answered.
#[derive(Debug)]
pub(crate) struct Lane<T> {
    places: Arc<Semaphore>,
    into: Sender<Sent<T>>,
}

/// What a thread receives.
#[derive(Debug)]
pub(crate) enum Sent<T> {
    /// A request, with its place in the queue.
    Request(T, OwnedSemaphorePermit),
    /// Nothing that comes later is to be answered.
    Close,
}

/// Where an answer is awaited.
pub(crate) type Answer<A> = oneshot::Sender<Result<A, LedgerError>>;

impl<T> Lane<T> {
    /// A lane with this many places, and its end.
    pub(crate) fn new(places: usize) -> (Self, Receiver<Sent<T>>) {
        let (into, out) = channel();
        (Self { places: Arc::new(Semaphore::new(places)), into }, out)
    }

    /// Waits for a place, sends a request and waits for its answer. A request that was sent is dealt with
    /// even if the answer is no longer awaited.
    pub(crate) async fn ask<A>(
        &self,
        shared: &Shared,
        request: impl FnOnce(Answer<A>) -> T,
    ) -> Result<A, LedgerError> {
        shared.failure()?;
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| shared.why())?;
        let (answer, answered) = oneshot::channel();
        self.into.send(Sent::Request(request(answer), place)).map_err(|_| shared.why())?;
        // A thread that ends drops what it has not answered, so this never waits in vain.
        answered.await.unwrap_or_else(|_| Err(shared.why()))
    }

    #[cfg(test)]
    pub(crate) fn places_free(&self) -> usize {
        self.places.available_permits()
    }

    /// Lets the thread end once it has answered what was sent before.
    pub(crate) fn close(&self) {
        // If it can't be told, it has ended already.
        let _ended = self.into.send(Sent::Close);
    }
}
