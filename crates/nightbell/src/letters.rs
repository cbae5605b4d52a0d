//! The way to the dead letters of a configuration's queue.

use nightbell_http::{ClientError, is_there};
use nightbell_letters::{Access, LettersError};

use crate::config::Config;
use crate::exit::{Code, Failure};
use crate::holder::{Holder, holding_worker};
use crate::output::one_line;
use crate::queue::Queue;

/// How much is told of why a worker gives no more, in characters.
const BROKEN_CHARS_MAX: usize = 2_000;

/// Opens the configuration's queue; an embedded one that is in use is reached through the worker that has it.
///
/// # Errors
/// The queue can't be opened, and there is no such worker.
pub async fn open(config: &Config) -> Result<Access<Queue>, Failure> {
    if config.queue.is_some() {
        return Queue::open(config).await.map(Access::Queue);
    }
    if let Holder::This(queue) = Holder::find(config).await? {
        return Ok(Access::Queue(queue));
    }
    let worker = holding_worker(config, config.http.admin_token.as_ref());
    let Err(absent) = is_there(&worker).await else { return Ok(Access::Worker(worker)) };
    Queue::open_soon(config).await.map(Access::Queue).map_err(|Failure { code, error }| {
        let is_nobody = matches!(absent, ClientError::NoWorker(_));
        let why = if is_nobody { String::new() } else { format!(": {absent}") };
        let nobody = || format!("no worker of this queue listens at {} (http.listen){why}", worker.at);
        Failure { code, error: if code == Code::TempFail { error.context(nobody()) } else { error } }
    })
}

/// Lets go of the queue.
///
/// # Errors
/// An embedded queue had failed.
pub async fn close(access: Access<Queue>) -> Result<(), Failure> {
    match access {
        Access::Queue(queue) => queue.close().await,
        Access::Worker(_) => Ok(()),
    }
}

impl From<LettersError> for Failure {
    fn from(error: LettersError) -> Self {
        match error {
            LettersError::Pattern(error) => Self { code: Code::Usage, error: error.into() },
            LettersError::Broken(why) => Self::new(Code::Unavailable, one_line(&why, BROKEN_CHARS_MAX)),
            error @ (LettersError::Queue(_) | LettersError::Worker(_) | LettersError::Line(_)) => {
                Self { code: Code::Unavailable, error: error.into() }
            }
        }
    }
}
