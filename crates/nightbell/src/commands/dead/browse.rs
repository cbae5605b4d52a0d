//! Going through the dead letters.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use nightbell_amqp::{DeadQueue, Held};
use nightbell_core::ports::Clock as _;
use nightbell_core::time::UnixMillis;
use nightbell_worker::SystemClock;

use crate::cli::Selector;
use crate::config::Config;
use crate::exit::{Code, Failure, OrFail as _};
use crate::letter::{Chosen, Letter};
use crate::wiring;

/// A browse that is over: the queue, which still holds what was taken from it.
pub(super) struct Browsed {
    pub(super) queue: DeadQueue,
    /// When it began: nothing that died later was looked at.
    pub(super) began: UnixMillis,
}

/// Shows each dead letter that the selector means to `visit`, in the queue's order. All stay in the queue, unless they
/// are removed before it is closed.
pub(super) async fn browse(
    config: &Config,
    selector: &Selector,
    mut visit: impl FnMut(Letter, Held) -> Result<(), Failure>,
) -> Result<Browsed, Failure> {
    let began = SystemClock.now();
    let chosen = Chosen::new(selector, began).or_fail(Code::Usage)?;
    let settings = wiring::configured_broker(config)?;
    let mut queue = DeadQueue::open(&settings).await.or_fail(Code::Unavailable)?;
    let progress = progress(u64::from(queue.left()), "reading dead letters");
    let mut meant = 0;
    while meant < chosen.limit {
        let Some(found) = queue.next().await.or_fail(Code::Unavailable)? else { break };
        progress.inc(1);
        let letter = Letter::read(found.message, found.death);
        if chosen.means(&letter) {
            meant += 1;
            visit(letter, found.held)?;
        }
    }
    progress.finish_and_clear();
    Ok(Browsed { queue, began })
}

/// A bar on standard error, on a terminal only, that shows when the work takes long.
pub(super) fn progress(length: u64, message: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {bar:40} {pos}/{len}").expect("the template is sound");
    let bar = ProgressBar::new(length).with_style(style).with_message(message);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// All that the selector means, held.
pub(super) async fn collect(
    config: &Config,
    selector: &Selector,
) -> Result<(Browsed, Vec<(Letter, Held)>), Failure> {
    let mut letters = Vec::new();
    let browsed = browse(config, selector, |letter, held| {
        letters.push((letter, held));
        Ok(())
    })
    .await?;
    Ok((browsed, letters))
}
