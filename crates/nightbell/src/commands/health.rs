//! `nightbell health`.

use crate::cli::Health;
use crate::config::Config;
use crate::exit::{Code, Failure, OrFail as _};
use crate::listener::worker_at;
use crate::output::{one_line, print_line};

/// How much is told of what is missing, in characters.
const MISSING_CHARS_MAX: usize = 2_000;

/// Succeeds if the worker of this configuration lives or, where that is asked, is ready.
///
/// # Errors
/// It does not answer, or is not ready.
pub async fn health(config: &Config, flags: Health) -> Result<(), Failure> {
    let worker = worker_at(config, config.http.admin_token.as_ref(), None);
    match nightbell_http::health(&worker, flags.ready).await.or_fail(Code::Unavailable)? {
        None => print_line("ok"),
        Some(missing) => Err(Failure::new(
            Code::Unavailable,
            format!("not ready: {}", one_line(&missing, MISSING_CHARS_MAX)),
        )),
    }
}
