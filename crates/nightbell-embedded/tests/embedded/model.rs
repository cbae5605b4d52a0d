//! Random histories against a simple model in memory: nothing is lost, nothing comes twice, and the order holds.

use std::collections::VecDeque;
use std::time::Duration;

use nightbell_core::ports::{MessageQueue as _, Settler, Subscription};
use nightbell_core::time::UnixMillis;
use nightbell_embedded::{EmbeddedQueue, EmbeddedSettings, EmbeddedSettler, EmbeddedSubscription};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::common::{
    NOW, Place, becomes, check_silent, close, connector, events, next, publish, requeue, retry, text,
};

const NAMES: [&str; 2] = ["payments", "sre"];
const PREFETCH: u16 = 3;

#[derive(Debug, Clone)]
enum Step {
    Publish,
    Requeue {
        to: usize,
    },
    Retry {
        to: usize,
        seconds: u64,
    },
    /// Takes a message into the hand, if there is one and room for it.
    Take {
        from: usize,
    },
    Ack {
        of: usize,
        nth: usize,
    },
    HandBack {
        of: usize,
        nth: usize,
    },
    Leave {
        who: usize,
    },
    /// The clock goes on by more than any retry waits.
    Pass,
    Reopen {
        cleanly: bool,
    },
}

fn any_step() -> impl Strategy<Value = Step> {
    let (who, nth) = (0..NAMES.len(), 0..usize::from(PREFETCH));
    prop_oneof![
        4 => Just(Step::Publish),
        1 => who.clone().prop_map(|to| Step::Requeue { to }),
        2 => (who.clone(), 600..2_000_u64).prop_map(|(to, seconds)| Step::Retry { to, seconds }),
        6 => who.clone().prop_map(|from| Step::Take { from }),
        3 => (who.clone(), nth.clone()).prop_map(|(of, nth)| Step::Ack { of, nth }),
        2 => (who.clone(), nth).prop_map(|(of, nth)| Step::HandBack { of, nth }),
        1 => who.prop_map(|who| Step::Leave { who }),
        1 => Just(Step::Pass),
        1 => any::<bool>().prop_map(|cleanly| Step::Reopen { cleanly }),
    ]
}

/// What one queue should be. A message is its number, and the order of numbers is that of publishing.
#[derive(Default)]
struct Queue {
    ready: VecDeque<(u64, Message)>,
    delayed: Vec<Message>,
    hand: Vec<(u64, Message, EmbeddedSettler)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Message {
    number: u64,
}

struct World {
    place: Place,
    now: UnixMillis,
    queue: EmbeddedQueue,
    subscriptions: Vec<EmbeddedSubscription>,
    model: [Queue; 2],
    /// Orders and numbers are drawn together, as they grow together.
    last: u64,
}

fn open(place: &Place) -> (EmbeddedQueue, Vec<EmbeddedSubscription>) {
    let settings = EmbeddedSettings { prefetch: PREFETCH, ..place.settings(&NAMES) };
    let queue = EmbeddedQueue::open(&settings, place.clock.clone()).unwrap();
    let subscriptions = NAMES.iter().map(|name| queue.subscribe(connector(name))).collect();
    (queue, subscriptions)
}

impl World {
    fn new() -> Self {
        let place = Place::new();
        let (queue, subscriptions) = open(&place);
        Self { place, now: NOW, queue, subscriptions, model: Default::default(), last: 0 }
    }

    fn draw(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Publish => {
                let number = self.draw();
                publish(&self.queue, events(), &number.to_string()).await.unwrap();
                for queue in &mut self.model {
                    queue.ready.push_back((number, Message { number }));
                }
            }
            Step::Requeue { to } => {
                let number = self.draw();
                publish(&self.queue, requeue(NAMES[to]), &number.to_string()).await.unwrap();
                self.model[to].ready.push_back((number, Message { number }));
            }
            Step::Retry { to, seconds } => {
                let number = self.draw();
                publish(&self.queue, retry(NAMES[to], seconds), &number.to_string()).await.unwrap();
                self.model[to].delayed.push(Message { number });
            }
            Step::Take { from } => self.take(from).await,
            Step::Ack { of, nth } => {
                if nth < self.model[of].hand.len() {
                    self.model[of].hand.remove(nth).2.ack().await.unwrap();
                }
            }
            Step::HandBack { of, nth } => {
                if nth < self.model[of].hand.len() {
                    let (order, message, settler) = self.model[of].hand.remove(nth);
                    settler.hand_back().await.unwrap();
                    self.model[of].put_back(order, message);
                }
            }
            Step::Leave { who } => self.leave(who).await,
            Step::Pass => self.pass().await,
            Step::Reopen { cleanly } => self.reopen(cleanly).await,
        }
    }

    /// What is delivered next is the first that is ready, unless the hand is full. Deliveries that are under way when
    /// something earlier is handed back stay ahead of it, so the model looks at all that may be under way.
    async fn take(&mut self, from: usize) {
        let queue = &mut self.model[from];
        if queue.hand.len() == usize::from(PREFETCH) || queue.ready.is_empty() {
            check_silent(&self.queue, &mut self.subscriptions[from]).await;
            return;
        }
        let (message, settler) = next(&mut self.subscriptions[from]).await;
        let number: u64 = text(&message).parse().unwrap();
        let under_way = queue.ready.iter().take(usize::from(PREFETCH) + 1);
        let nth = under_way.into_iter().position(|(_, message)| message.number == number);
        let nth = nth.unwrap_or_else(|| panic!("{number} is not among the first of {:?}", queue.ready));
        let (order, message) = queue.ready.remove(nth).unwrap();
        queue.hand.push((order, message, settler));
    }

    async fn leave(&mut self, who: usize) {
        self.subscriptions[who].leave().await;
        for (order, message, settler) in std::mem::take(&mut self.model[who].hand) {
            self.model[who].put_back(order, message);
            settler.ack().await.unwrap_err();
        }
        self.subscriptions[who] = self.queue.subscribe(connector(NAMES[who]));
    }

    async fn pass(&mut self) {
        self.now = self.now.after(Duration::from_secs(3_600));
        self.place.clock.move_to(self.now);
        let queue = &self.queue;
        becomes(|| queue.depths().delayed.values().all(|delayed| *delayed == 0)).await;
        for which in 0..self.model.len() {
            for message in std::mem::take(&mut self.model[which].delayed) {
                let order = self.draw();
                self.model[which].ready.push_back((order, message));
            }
        }
    }

    /// All comes back in the order of publishing, the retries that were due among it.
    async fn reopen(&mut self, cleanly: bool) {
        for which in 0..self.model.len() {
            let queue = &mut self.model[which];
            let hand = std::mem::take(&mut queue.hand).into_iter().map(|(_, message, _)| message);
            let mut all: Vec<_> = queue.ready.drain(..).map(|(_, message)| message).chain(hand).collect();
            all.sort_by_key(|message| message.number);
            for message in all {
                let order = self.draw();
                self.model[which].ready.push_back((order, message));
            }
        }
        for subscription in &mut self.subscriptions {
            subscription.leave().await;
        }
        self.subscriptions.clear();
        if cleanly {
            close(self.queue.clone()).await.unwrap();
        }
        // Two handles of one file can't be: the old one goes first.
        drop(std::mem::replace(&mut self.queue, Place::new().open(&[])));
        (self.queue, self.subscriptions) = open(&self.place);
    }

    /// At the end, each queue gives exactly what the model has.
    async fn check(mut self) {
        self.pass().await;
        self.reopen(true).await;
        for which in 0..NAMES.len() {
            let want: Vec<_> = self.model[which].ready.iter().map(|(_, message)| message.number).collect();
            let mut found = Vec::new();
            for _ in &want {
                let (message, settler) = next(&mut self.subscriptions[which]).await;
                settler.ack().await.unwrap();
                found.push(text(&message).parse::<u64>().unwrap());
            }
            assert_eq!(found, want);
            check_silent(&self.queue, &mut self.subscriptions[which]).await;
        }
        let depths = self.queue.depths();
        assert!(
            depths.connectors.values().chain(depths.delayed.values()).all(|depth| *depth == 0),
            "{depths:?}"
        );
        assert_eq!(depths.dead, Some(0));
    }
}

impl Queue {
    fn put_back(&mut self, order: u64, message: Message) {
        let at = self.ready.partition_point(|(other, _)| *other < order);
        self.ready.insert(at, (order, message));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_queue_does_what_the_model_does(steps in vec(any_step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new();
            for step in steps {
                world.step(step).await;
            }
            world.check().await;
        });
    }
}
