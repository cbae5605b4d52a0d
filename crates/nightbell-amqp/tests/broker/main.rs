//! The crate against a real RabbitMQ. One private node serves all tests; each has a prefix of its own.

#![expect(clippy::unwrap_used, reason = "these are tests, though not of the default harness")]

mod consuming;
mod dead;
mod doctor;
mod publishing;
mod support;
mod topology;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::Arguments;
use tokio::runtime::Builder;
use tokio::sync::OnceCell;

use nightbell_tests::node::RabbitNode;

/// The node, started by the first test that needs it.
type Node = Arc<OnceCell<RabbitNode>>;

/// Turns async functions over the node into trials of the same name.
macro_rules! trials {
    ($runtime:expr, $node:expr, $($name:ident),* $(,)?) => {
        vec![$({
            let (runtime, node) = ($runtime.clone(), std::sync::Arc::clone($node));
            libtest_mimic::Trial::test(stringify!($name), move || {
                runtime.block_on(async {
                    $name(node.get_or_try_init(nightbell_tests::node::RabbitNode::start).await?).await;
                    Ok(())
                })
            })
        }),*]
    };
}
pub(crate) use trials;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let runtime = Builder::new_multi_thread().enable_all().build().expect("a runtime can be built");
    let node = Node::default();
    let trials = [
        topology::trials(runtime.handle(), &node),
        publishing::trials(runtime.handle(), &node),
        consuming::trials(runtime.handle(), &node),
        dead::trials(runtime.handle(), &node),
        doctor::trials(runtime.handle(), &node),
    ];
    let conclusion = libtest_mimic::run(&arguments, trials.into_iter().flatten().collect());
    // Also kills the node.
    drop(node);
    conclusion.exit_code()
}
