//! Runs facts: tests that are each named as the fact that they show, over RabbitMQ or on the embedded queue.

use std::num::NonZeroUsize;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use libtest_mimic::{Arguments, Trial};

use crate::node::RabbitNode;
use crate::program;
use crate::site::EMBEDDED;

/// A test: what it is given is the URL of the node that all tests share, or the word for the embedded queue.
pub type Test = fn(String) -> Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// Lists tests by their functions' names.
#[macro_export]
macro_rules! facts {
    ($($module:ident::$name:ident),* $(,)?) => {
        [$((stringify!($name), (|url| Box::pin($module::$name(url))) as $crate::suite::Test)),*]
    };
}

/// Runs what holds whichever queue there is, once over each, and what is about RabbitMQ itself or about one of the two
/// queues; so many at a time, unless the arguments say otherwise.
///
/// # Errors
/// The programs do not build, or there is no RabbitMQ.
pub fn run(
    threads: NonZeroUsize,
    over_both_queues: Vec<(&'static str, Test)>,
    over_rabbitmq: Vec<(&'static str, Test)>,
) -> Result<ExitCode> {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(threads.get());
    let runtime = Arc::new(tokio::runtime::Builder::new_multi_thread().enable_all().build()?);
    // Listing tests needs neither programs nor a node.
    let node = if arguments.list {
        None
    } else {
        program::build()?;
        Some(runtime.block_on(RabbitNode::start())?)
    };
    let url = node.as_ref().map(|node| node.url("/")).unwrap_or_default();
    let trial = |name: String, test: Test, url: &str| {
        let (runtime, url) = (Arc::clone(&runtime), url.to_owned());
        Trial::test(name, move || runtime.block_on(test(url)).map_err(|error| format!("{error:#}").into()))
    };
    let mut trials = Vec::new();
    for (name, test) in over_both_queues {
        let name = name.replace('_', " ");
        trials.push(trial(format!("{name}, embedded"), test, EMBEDDED));
        trials.push(trial(name, test, &url));
    }
    for (name, test) in over_rabbitmq {
        trials.push(trial(name.replace('_', " "), test, &url));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(node);
    Ok(conclusion.exit_code())
}
