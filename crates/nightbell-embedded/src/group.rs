//! The requests that are dealt with together.

use std::sync::mpsc::Receiver;
use std::time::Instant;

use crate::limits::{GROUP_BYTES_MAX, GROUP_REQUESTS_MAX, JOIN_WAIT};
use crate::request::{Ask, Request, Write};

/// The requests that are dealt with together, each kind in its order.
#[derive(Default)]
pub(crate) struct Group {
    pub(crate) writes: Vec<Write>,
    pub(crate) asks: Vec<Ask>,
    pub(crate) publishes: usize,
    pub(crate) closing: bool,
    bytes: usize,
}

impl Group {
    /// The first request and those that follow it closely. Once there are `enough` publishes, nobody waits for more to
    /// join: a single publisher never waits, and many share one sync.
    pub(crate) fn gather(first: Request, requests: &Receiver<Request>, enough: usize) -> Self {
        let mut group = Self::default();
        let until = Instant::now() + JOIN_WAIT;
        let mut next = Some(first);
        while let Some(request) = next {
            group.add(request);
            next = if group.is_full() {
                None
            } else if group.publishes >= enough {
                requests.try_recv().ok()
            } else {
                requests.recv_timeout(until.saturating_duration_since(Instant::now())).ok()
            };
        }
        group
    }

    fn add(&mut self, request: Request) {
        match request {
            Request::Write(write) => {
                if let Write::Publish(publish) = &write {
                    self.publishes += 1;
                    self.bytes += publish.record.len();
                }
                self.writes.push(write);
            }
            Request::Ask(ask) => self.asks.push(ask),
            Request::Close => self.closing = true,
        }
    }

    fn is_full(&self) -> bool {
        let requests = self.writes.len() + self.asks.len();
        self.closing || requests >= GROUP_REQUESTS_MAX || self.bytes >= GROUP_BYTES_MAX
    }
}
