//! Processes that are killed, and a disk that takes no more.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use nightbell_core::ports::{Incoming, MessageQueue as _, Outlet, PublishError, Settler, Subscription};
use nightbell_embedded::{EmbeddedQueue, EmbeddedSettings, EmbeddedSubscription, OpenError, Waits};

use crate::common::{Hand, Place, acked, becomes, close, connector, events, message, publish_all, text};

/// Where the child finds its queue.
const FILE: &str = "NIGHTBELL_TEST_QUEUE";
/// The first number that the child publishes.
const FIRST: &str = "NIGHTBELL_TEST_FIRST";

const WORKS: &str = "crash::child_that_works";
const OPENS: &str = "crash::child_that_opens";

const ROUNDS: u64 = 8;
const PER_ROUND: u64 = 1_000_000;
const PUBLISHERS: usize = 16;
const NAMES: [&str; 2] = ["payments", "sre"];

fn settings() -> EmbeddedSettings {
    let path = PathBuf::from(std::env::var(FILE).expect("the parent names a file"));
    let connectors = NAMES.iter().map(|name| connector(name)).collect();
    EmbeddedSettings { prefetch: 8, ..EmbeddedSettings::new(path, connectors) }
}

/// Publishes until it is killed or the queue fails, and says what was published and what it is about to acknowledge.
#[test]
#[ignore = "a child process of the other tests in this file"]
fn child_that_works() {
    let first: u64 = std::env::var(FIRST).expect("the parent names a number").parse().unwrap();
    let queue = EmbeddedQueue::open(&settings(), Hand::new()).unwrap();
    println!();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let failure = runtime.block_on(async {
        let consumer = tokio::spawn(consume(queue.subscribe(connector("sre"))));
        let publishers: Vec<_> =
            (0..PUBLISHERS as u64).map(|nth| tokio::spawn(produce(queue.clone(), first + nth))).collect();
        let mut failures = Vec::new();
        for publisher in publishers {
            failures.push(publisher.await.unwrap());
        }
        consumer.await.unwrap();
        assert!(
            failures.iter().all(|failure| matches!(failure, PublishError::Unavailable(_))),
            "{failures:?}"
        );
        let again = queue.outlet().publish(events(), message("again")).await;
        assert_eq!(again, Err(failures[0].clone()));
        failures.remove(0)
    });
    let state = queue.state();
    assert!(state.consuming.is_err() && state.publishing.is_err(), "{state:?}");
    assert!(queue.close().is_err());
    println!("failed: {failure}");
}

async fn produce(queue: EmbeddedQueue, first: u64) -> PublishError {
    let outlet = queue.outlet();
    for number in (first..).step_by(PUBLISHERS) {
        // Long enough to fill pages, and different from one to the next.
        let body = format!("{number} {}", "x".repeat(usize::try_from(number % 2_000).unwrap()));
        if let Err(failure) = outlet.publish(events(), message(&body)).await {
            return failure;
        }
        println!("durable {number}.");
    }
    unreachable!("the numbers never end");
}

/// Acknowledges, and hands one of three back before.
async fn consume(mut subscription: EmbeddedSubscription) {
    let mut back = 0_u64;
    while let Incoming::Delivery(message, settler) = subscription.next().await {
        let number = number(&text(&message));
        if number.is_multiple_of(3) && back < number {
            back = number;
            let _gone = settler.hand_back().await;
        } else {
            println!("acked {number}.");
            let _gone = settler.ack().await;
        }
    }
}

fn number(body: &str) -> u64 {
    body.split(' ').next().unwrap().parse().unwrap()
}

/// Opens a queue and says what came of it.
#[test]
#[ignore = "a child process of the other tests in this file"]
fn child_that_opens() {
    match EmbeddedQueue::open(&settings(), Hand::new()) {
        Ok(_) => println!("\nopened."),
        Err(error @ OpenError::InUse { .. }) => println!("\nin use: {error}"),
        Err(error) => println!("\nrefused: {error}"),
    }
}

/// A shell that becomes this test binary, in which no file may grow beyond so many blocks of 512 bytes. The signal that
/// would kill it is ignored, so that its writes fail.
fn limited(blocks: u32) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!(r#"trap "" XFSZ; ulimit -f {blocks}; exec "$0" "$@""#));
    command.arg(std::env::current_exe().unwrap());
    command
}

fn child(mut command: Command, test: &str, place: &Place, first: u64) -> Child {
    command.args([test, "--exact", "--ignored", "--nocapture"]);
    command.env(FILE, place.path()).env(FIRST, first.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap()
}

/// What a child said.
#[derive(Default)]
struct Heard {
    durable: Vec<u64>,
    acked: BTreeSet<u64>,
    /// Acknowledged before something was published that was durable in the end, so that they are gone for good.
    settled: BTreeSet<u64>,
    others: Vec<String>,
}

/// Reads what the child says; calls `at` after each publish that was durable.
fn listen(child: &mut Child, heard: &mut Heard, mut at: impl FnMut(&mut Child)) -> ExitStatus {
    let mut acked = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        // A killed child may have said half a line.
        let number = |word| line.strip_prefix(word)?.strip_suffix('.')?.parse::<u64>().ok();
        if let Some(number) = number("durable ") {
            heard.durable.push(number);
            at(child);
        } else if let Some(number) = number("acked ") {
            acked.push((number, heard.durable.len()));
        } else {
            heard.others.push(line);
        }
    }
    // After so many publishes, one of the publishers has begun anew since, and the queue keeps the order.
    let settled = acked.iter().filter(|(_, durable)| heard.durable.len() - durable > PUBLISHERS);
    heard.settled.extend(settled.map(|(number, _)| number));
    heard.acked.extend(acked.iter().map(|(number, _)| number));
    child.wait().unwrap()
}

/// Every publish that was durable waits once for each connector, save what was acknowledged.
async fn check(place: &Place, heard: &Heard) {
    let queue = place.open(&NAMES);
    let mut found: BTreeMap<String, BTreeMap<u64, u32>> = BTreeMap::new();
    let mut drain = queue.drain().await.unwrap();
    while let Some(waiting) = drain.next().await.unwrap() {
        let Waits::Ready { connector } = waiting.waits else { panic!("{:?}", waiting.waits) };
        *found
            .entry(connector.to_string())
            .or_default()
            .entry(number(&text(&waiting.message)))
            .or_default() += 1;
    }
    assert!(found.values().flat_map(BTreeMap::values).all(|times| *times == 1), "a message is there twice");
    let (payments, sre) = (&found["payments"], &found["sre"]);
    for number in &heard.durable {
        assert!(payments.contains_key(number), "{number} was durable and is gone");
        assert!(
            sre.contains_key(number) || heard.acked.contains(number),
            "{number} was not acked and is gone"
        );
    }
    for number in &heard.settled {
        assert!(!sre.contains_key(number), "{number} was acked and comes again");
    }
    close(queue).await.unwrap();
}

#[tokio::test]
async fn a_kill_loses_nothing_that_was_durable() {
    let place = Place::new();
    let mut heard = Heard::default();
    for round in 0..ROUNDS {
        let mut left = 1 + round * 61;
        let exe = std::env::current_exe().unwrap();
        let mut child = child(Command::new(exe), WORKS, &place, round * PER_ROUND + 1);
        let before = heard.durable.len();
        listen(&mut child, &mut heard, |child| {
            left -= u64::from(left > 0);
            if left == 0 {
                child.kill().unwrap();
            }
        });
        assert!(heard.durable.len() > before, "the child published nothing: {:?}", heard.others);
        check(&place, &heard).await;
    }
    assert!(!heard.settled.is_empty());
}

#[tokio::test]
async fn a_write_that_fails_is_sticky_and_what_was_durable_is_kept() {
    let place = Place::new();
    close(place.open(&NAMES)).await.unwrap();
    let mut heard = Heard::default();
    let status = listen(&mut child(limited(12_288), WORKS, &place, 1), &mut heard, |_| ());
    assert!(status.success(), "{:?}", heard.others);
    let failed = "failed: the queue can't be reached: ";
    assert!(heard.others.iter().any(|line| line.starts_with(failed)), "{:?}", heard.others);
    assert!(!heard.durable.is_empty());
    check(&place, &heard).await;
}

#[tokio::test]
async fn a_second_process_is_told_that_the_queue_is_in_use() {
    let place = Place::new();
    let queue = place.open(&NAMES);
    publish_all(&queue, &["1"]).await;
    let exe = || Command::new(std::env::current_exe().unwrap());
    let mut heard = Heard::default();
    listen(&mut child(exe(), OPENS, &place, 0), &mut heard, |_| ());
    let says = |heard: &Heard, word: &str| heard.others.iter().any(|line| line.starts_with(word));
    assert!(says(&heard, "in use: the queue `"), "{:?}", heard.others);
    becomes(|| queue.depths().connectors[&connector("sre")] == 1).await;
    close(queue).await.unwrap();
    listen(&mut child(exe(), OPENS, &place, 0), &mut heard, |_| ());
    assert!(says(&heard, "opened."), "{:?}", heard.others);
}

#[tokio::test]
async fn a_full_disk_at_the_start_is_an_error_that_changes_nothing() {
    let place = Place::new();
    let queue = place.open(&NAMES);
    publish_all(&queue, &["1", "2"]).await;
    close(queue).await.unwrap();
    let mut heard = Heard::default();
    listen(&mut child(limited(0), OPENS, &place, 0), &mut heard, |_| ());
    assert!(
        heard.others.iter().any(|line| line.starts_with("refused: failed to open `")),
        "{:?}",
        heard.others
    );
    let mut sre = place.open(&NAMES).subscribe(connector("sre"));
    assert_eq!(acked(&mut sre, 2).await, ["1", "2"]);
}
