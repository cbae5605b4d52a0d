//! `nightbell dead …`: dead letters, over the broker, whether or not a worker runs.

mod act;
mod browse;
mod show;

use crate::cli::Dead;
use crate::config::Config;
use crate::exit::Failure;

/// Runs one of the verbs.
///
/// # Errors
/// The broker can't be reached, another `dead` command runs, or nothing could be done for some of the letters.
pub async fn dead(config: &Config, verb: Dead) -> Result<(), Failure> {
    match verb {
        Dead::List { selector, as_json } => show::list(config, &selector, as_json).await,
        Dead::Groups { selector, as_json } => show::groups(config, &selector, as_json).await,
        Dead::Show { ids, as_json } => show::show(config, ids, as_json).await,
        Dead::Export { selector } => show::export(config, &selector).await,
        Dead::Replay { selector, dry_run, as_json } => act::replay(config, &selector, dry_run, as_json).await,
        Dead::Discard { selector, yes, as_json } => act::discard(config, &selector, yes, as_json).await,
    }
}
