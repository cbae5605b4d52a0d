//! `nightbell dead …`: dead letters, whether or not a worker runs.

mod act;
mod show;
mod table;

use nightbell_core::ports::Clock as _;
use nightbell_letters::{LetterView, Selector};
use nightbell_worker::SystemClock;

use crate::cli::Dead;
use crate::config::Config;
use crate::exit::Failure;
use crate::letters;
use crate::output::progress;
use crate::queue::Queue;

/// The way to the dead letters.
type Access = nightbell_letters::Access<Queue>;

/// Runs one of the verbs.
///
/// # Errors
/// The queue can't be reached, another `dead` command runs, or nothing could be done for some of the letters.
pub async fn dead(config: &Config, verb: Dead) -> Result<(), Failure> {
    let access = letters::open(config).await?;
    let done = match verb {
        Dead::List { selector, as_json } => show::list(&access, &selector, as_json).await,
        Dead::Groups { selector, as_json } => show::groups(&access, &selector, as_json).await,
        Dead::Show { ids, as_json } => show::show(&access, ids, as_json).await,
        Dead::Export { selector } => show::export(&access, &selector).await,
        Dead::Replay { selector, dry_run, as_json } => {
            act::replay(&access, &selector, dry_run, as_json).await
        }
        Dead::Discard { selector, yes, as_json } => act::discard(&access, &selector, yes, as_json).await,
    };
    let closed = letters::close(access).await;
    done.and(closed)
}

/// Shows each letter whole to `visit`, with a count on the way.
async fn browse(
    access: &Access,
    selector: &Selector,
    mut visit: impl FnMut(LetterView) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let progress = progress("reading dead letters");
    let listed = access.list(selector, SystemClock.now(), |letter| {
        progress.inc(1);
        visit(letter)
    });
    let listed = listed.await;
    progress.finish_and_clear();
    listed
}

/// All of them; `keep` says what of each.
async fn collect(
    access: &Access,
    selector: &Selector,
    keep: fn(LetterView) -> LetterView,
) -> Result<Vec<LetterView>, Failure> {
    let mut letters = Vec::new();
    browse(access, selector, |letter| {
        letters.push(keep(letter));
        Ok(())
    })
    .await?;
    Ok(letters)
}
