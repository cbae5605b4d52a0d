//! Histories of the real worker: [`nightbell_worker::spawn`] with its loop and its performer, over simulated ports, on
//! a clock that jumps to whatever is due next.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use nightbell_trace::Tracer;
use nightbell_worker::{Control, OwnerHandle, SharedPorts, spawn};
use tokio::runtime::Builder;
use tokio::sync::{Notify, mpsc};

use crate::bugs::{Bug, Shows};
use crate::ports::{Shared, SimPorts, SimSubscription, Way};
use crate::search::Simulation;
use crate::world::{Order, Went};

/// Nothing was asked of the world for so long: an owner that holds nothing has said all that it had to say.
const REST: u64 = 3_000;

/// A process with its owners.
struct Process {
    shared: Shared,
    sooner: Arc<Notify>,
    owners: Vec<Owner>,
}

struct Owner {
    handle: OwnerHandle<Way>,
    ended: bool,
}

/// Lives through one history.
fn live(seed: u64, bug: Option<Bug>, traced: bool) -> Went {
    let clock = Builder::new_current_thread().enable_time().start_paused(true).build();
    clock.expect("a runtime without I/O").block_on(async {
        let shared = Shared::new(seed, bug, traced);
        let sooner = Arc::clone(&shared.lock().sooner);
        let mut process = Process { shared, sooner, owners: Vec::new() };
        process.run().await;
        process.shared.lock().went()
    })
}

impl Process {
    async fn run(&mut self) {
        while !self.shared.lock().is_over() {
            if self.wait().await {
                self.observe();
                self.shared.lock().happen();
                self.obey();
            }
        }
    }

    /// Waits until the next thing is due and the owners rest; false: there is none.
    async fn wait(&self) -> bool {
        let mut rested = false;
        loop {
            let Some(wait) = self.shared.lock().wait_for_next() else { return false };
            if wait == 0 {
                break;
            }
            let idle = !self.owners.is_empty() && self.is_idle() && wait > 2 * REST;
            if idle && rested {
                // Nobody but the watchers of views would wake up meanwhile, once a second for days.
                tokio::time::advance(Duration::from_millis(wait - REST)).await;
                rested = false;
                continue;
            }
            let nap = if idle { REST } else { wait };
            tokio::select! {
                biased;
                () = self.sooner.notified() => rested = false,
                () = tokio::time::sleep(Duration::from_millis(nap)) => rested = idle,
            }
        }
        // What an owner does at this very time by itself comes first.
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        true
    }

    fn is_idle(&self) -> bool {
        self.shared.lock().is_idle() && self.owners.iter().all(|owner| owner.handle.view.borrow().held == 0)
    }

    /// What the owners show, and whether they have ended.
    fn observe(&mut self) {
        for (lane, owner) in self.owners.iter_mut().enumerate().filter(|(_, owner)| !owner.ended) {
            let mut world = self.shared.lock();
            if owner.handle.view.has_changed().unwrap_or(false) {
                let view = *owner.handle.view.borrow_and_update();
                world.check_view(lane, &view);
            }
            match (&mut owner.handle.ended).now_or_never() {
                None => {}
                Some(Ok(drained)) if world.stopping => {
                    owner.ended = true;
                    world.drained(lane, &drained);
                }
                Some(ended) => world.wrong(format!("c{lane}: an owner ended by itself: {ended:?}")),
            }
        }
        if !self.owners.is_empty() && self.owners.iter().all(|owner| owner.ended) {
            self.owners.clear();
            self.shared.lock().stopped();
        }
    }

    fn obey(&mut self) {
        let orders = std::mem::take(&mut self.shared.lock().orders);
        for order in orders {
            match order {
                Order::Spawn => self.spawn(),
                Order::Kill => self.owners.drain(..).for_each(|owner| owner.handle.ended.abort()),
                Order::Wake { .. } | Order::GraceOver => unreachable!("the worker has its own clock"),
                Order::Stop { grace } => {
                    let stop = |_| Control::Stop { grace: Duration::from_millis(grace) };
                    self.tell(stop);
                }
                Order::Reload => {
                    let shared = self.shared.clone();
                    self.tell(|lane| {
                        let settings = Box::new(shared.lock().settings(lane));
                        Control::Reload(settings, Way { shared: shared.clone(), lane })
                    });
                }
            }
        }
    }

    fn tell(&self, control: impl Fn(usize) -> Control<Way>) {
        for (lane, owner) in self.owners.iter().enumerate() {
            if owner.handle.control.try_send(control(lane)).is_err() {
                self.shared.lock().wrong(format!("c{lane}: an owner takes no control"));
            }
        }
    }

    fn spawn(&mut self) {
        let lanes = self.shared.lock().plan.lanes;
        for lane in 0..lanes {
            let way = Way { shared: self.shared.clone(), lane };
            let (sender, inbox) = mpsc::unbounded_channel();
            let (settings, dawdles) = self.shared.lock().connect(lane, self.shared.inbox(sender));
            let ports = SharedPorts::<SimPorts> {
                outlet: way.clone(),
                ledger: self.shared.clone(),
                clock: self.shared.clone(),
                dice: self.shared.clone(),
                tracer: Tracer::off(),
            };
            let subscription = SimSubscription { way: way.clone(), inbox, dawdles };
            let handle = spawn(settings, subscription, way, ports);
            self.owners.push(Owner { handle, ended: false });
        }
    }
}

const WORKER: Simulation = Simulation {
    live,
    shows: Shows::Worker,
    histories: 1_200,
    count: "NIGHTBELL_WORKER_HISTORIES",
    seed: "NIGHTBELL_WORKER_SEED",
    histories_per_bug_max: 4_000,
};

#[test]
fn every_history_of_the_worker_keeps_the_promise() {
    WORKER.every_history_keeps_the_promise();
}

#[test]
fn a_seed_gives_the_same_history_of_the_worker_again() {
    WORKER.a_seed_gives_the_same_history_again(100);
}

#[test]
fn every_bug_planted_in_an_adapter_is_found() {
    WORKER.every_planted_bug_is_found();
}
