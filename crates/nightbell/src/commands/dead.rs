//! `nightbell dead …`: dead letters, whether or not a worker runs.

mod act;
mod show;

use serde_json::Value;

use crate::cli::{Dead, Selector};
use crate::config::Config;
use crate::exit::Failure;
use crate::letters::access::Access;
use crate::output::progress;

/// Runs one of the verbs.
///
/// # Errors
/// The queue can't be reached, another `dead` command runs, or nothing could be done for some of the letters.
pub async fn dead(config: &Config, verb: Dead) -> Result<(), Failure> {
    let access = Access::open(config).await?;
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
    let closed = access.close().await;
    done.and(closed)
}

/// Shows each letter whole to `visit`, with a count on the way.
async fn browse(
    access: &Access,
    selector: &Selector,
    mut visit: impl FnMut(Value) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let progress = progress("reading dead letters");
    let listed = access.list(selector, |letter| {
        progress.inc(1);
        visit(letter)
    });
    let listed = listed.await;
    progress.finish_and_clear();
    listed
}
