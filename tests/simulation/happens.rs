//! What comes to pass in the world, one thing at a time.

use nightbell_core::fingerprint::Fingerprint;
use nightbell_core::outcome::Outcome;
use nightbell_core::ports::{Destination, LedgerError, PublishError, SettleError};
use nightbell_core::record::{Change, Looked};

use crate::plan::SECOND;
use crate::world::{Copy, Order, World};

/// The way to answer a request of the process. Unused it goes when the process is gone.
pub(crate) struct Reply<T>(Box<dyn FnOnce(T) + Send>);

impl<T> Reply<T> {
    pub(crate) fn new(answer: impl FnOnce(T) + Send + 'static) -> Self {
        Self(Box::new(answer))
    }

    /// Nobody listens.
    pub(crate) fn unheard() -> Self {
        Self::new(|_| ())
    }
}

impl<T> std::fmt::Debug for Reply<T> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("a reply")
    }
}

/// Answers the process; nobody listens any more if it is gone.
pub(crate) fn tell<T>(reply: Reply<T>, answer: T) {
    (reply.0)(answer);
}

/// What comes to pass at a certain time. With a `life`, only for the process of that life.
#[derive(Debug)]
pub(crate) enum Happens {
    Published(usize),
    Strike(usize),
    Deliver {
        lane: usize,
        session: u32,
    },
    TimedOut {
        lane: usize,
        session: u32,
        number: u64,
    },
    Return {
        lane: usize,
        copy: Box<Copy>,
    },
    Settled {
        lane: usize,
        session: u32,
        number: u64,
        back: bool,
    },
    Taken {
        reply: Reply<Result<(), SettleError>>,
    },
    Stuck {
        life: u32,
        lane: usize,
        session: u32,
        reply: Reply<Result<(), SettleError>>,
    },
    ToldLost {
        life: u32,
        lane: usize,
    },
    Attach {
        life: u32,
        lane: usize,
    },
    Left {
        life: u32,
        lane: usize,
        reply: Reply<()>,
    },
    Look {
        life: u32,
        lane: usize,
        of: (Fingerprint, Vec<Fingerprint>),
        reply: Reply<Result<Looked, LedgerError>>,
    },
    Write {
        life: u32,
        lane: usize,
        changes: Vec<Change>,
        reply: Reply<Result<(), LedgerError>>,
    },
    Flush {
        life: u32,
        lane: usize,
        number: u64,
        delivered: Option<usize>,
        reply: Committed,
    },
    Arrive {
        life: u32,
        lane: usize,
        event: usize,
        sent: u64,
        reply: Reply<Outcome>,
    },
    LateAcceptance {
        lane: usize,
        event: usize,
    },
    Heard {
        life: u32,
        lane: usize,
        event: usize,
        outcome: Outcome,
        reply: Reply<Outcome>,
    },
    Land {
        life: u32,
        lane: usize,
        to: Destination,
        copy: Box<Copy>,
        reply: Reply<Result<(), PublishError>>,
    },
    Confirm {
        life: u32,
        lane: usize,
        result: Result<(), PublishError>,
        reply: Reply<Result<(), PublishError>>,
    },
    Crash {
        life: u32,
        down: u64,
    },
    StopOver {
        life: u32,
    },
    Start {
        life: u32,
    },
    /// What the process has set itself for then.
    Ordered {
        life: u32,
        order: Order,
    },
    /// All trouble is over.
    Calm,
    Stop {
        life: u32,
        grace: u64,
        down: u64,
    },
    Finish,
}

/// None: it was answered already.
pub(crate) type Committed = Option<Reply<Result<(), LedgerError>>>;

impl World {
    /// What is due next comes to pass.
    pub(crate) fn happen(&mut self) {
        let Some((at, what)) = self.to_come.pop_first() else { return };
        self.now = self.now.max(at);
        self.mark(1);
        self.come_to_pass(what);
        if !self.finishing && self.is_quiet() {
            self.finishing = true;
            self.after(5 * SECOND, Happens::Finish);
        }
    }

    fn come_to_pass(&mut self, what: Happens) {
        let alive = |this: &Self, life| this.is_alive() && this.life == life;
        match what {
            Happens::Published(serial) => self.take_event(serial),
            Happens::Strike(fault) => self.strike(self.plan.faults[fault].1),
            Happens::Deliver { lane, session } => self.delivered(lane, session),
            Happens::TimedOut { lane, session, number } => self.consumer_timed_out(lane, session, number),
            Happens::Return { lane, copy } => self.return_from_rung(lane, *copy),
            Happens::Settled { lane, session, number, back } => self.settled(lane, session, number, back),
            Happens::Taken { reply } => tell(reply, Ok(())),
            // The request of a process that is gone may arrive, or not.
            Happens::Arrive { life, lane, event, sent, reply } => {
                if alive(self, life) || self.chances.permille(500) {
                    self.arrives(life, lane, event, sent, reply);
                }
            }
            Happens::LateAcceptance { lane, event } => self.accepts(lane, event, false),
            Happens::Land { life, lane, to, copy, reply } => {
                if alive(self, life) || self.chances.permille(500) {
                    self.lands(life, lane, to, *copy, reply);
                }
            }
            Happens::Stuck { life, lane, session, reply } if alive(self, life) => {
                self.stuck(lane, session, reply);
            }
            Happens::ToldLost { life, lane } if alive(self, life) => self.tell_lost(lane),
            Happens::Attach { life, lane } if alive(self, life) => self.attach(lane),
            Happens::Left { life, lane, reply } if alive(self, life) => self.left(lane, reply),
            Happens::Look { life, lane, of, reply } if alive(self, life) => self.looked(lane, of, reply),
            Happens::Write { life, lane, changes, reply } if alive(self, life) => {
                self.written(lane, changes, reply);
            }
            Happens::Flush { life, lane, number, delivered, reply } if alive(self, life) => {
                self.flushed(lane, number, delivered, reply);
            }
            Happens::Heard { life, lane, event, outcome, reply } if alive(self, life) => {
                self.heard(lane, event, outcome, reply);
            }
            Happens::Confirm { life, lane, result, reply } if alive(self, life) => {
                self.confirmed(lane, result, reply);
            }
            Happens::Crash { life, down } if self.up && self.life == life => self.crash(down),
            Happens::StopOver { life } if alive(self, life) => self.wrong("a stop does not come to its end"),
            Happens::Start { life } if self.life == life && !self.up => self.start(),
            Happens::Stop { life, grace, down } if alive(self, life) => self.stop(grace, down),
            Happens::Ordered { life, order } if alive(self, life) => self.orders.push(order),
            Happens::Finish => {
                self.check_rights();
                self.stop(20 * SECOND, SECOND);
            }
            Happens::Calm
            | Happens::Stuck { .. }
            | Happens::ToldLost { .. }
            | Happens::Attach { .. }
            | Happens::Left { .. }
            | Happens::Look { .. }
            | Happens::Write { .. }
            | Happens::Flush { .. }
            | Happens::Heard { .. }
            | Happens::Confirm { .. }
            | Happens::Crash { .. }
            | Happens::StopOver { .. }
            | Happens::Stop { .. }
            | Happens::Ordered { .. }
            | Happens::Start { .. } => {}
        }
    }
}
