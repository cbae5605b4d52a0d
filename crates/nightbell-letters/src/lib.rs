//! Dead letters: which of them are meant, how they are shown, and how they are replayed or discarded; over the queue itself, or
//! over the routes under `/v1/dead-letters` of the worker that has it open. Both sides of the routes are here.
//!
//! It goes through the port of any queue. It must never remove a letter that it has not published again, unless that is what
//! was asked for.

mod access;
mod browse;
mod letter;
mod query;
mod routes;
mod selector;

use nightbell_core::ports::QueueError;
use nightbell_core::routing::BadPattern;
use nightbell_http::ClientError;

pub use self::access::Access;
pub use self::browse::{Done, Verb};
pub use self::letter::{AttemptView, Letter, LetterView};
pub use self::routes::routes;
pub use self::selector::{Moment, Selector, start_of_id};

/// Something could not be done with the dead letters.
#[derive(Debug, thiserror::Error)]
pub enum LettersError {
    /// The selector's pattern is broken.
    #[error(transparent)]
    Pattern(#[from] BadPattern),
    /// The queue can't be reached.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The worker can't be reached.
    #[error(transparent)]
    Worker(#[from] ClientError),
    /// What the worker sent is no letter.
    #[error(transparent)]
    Line(#[from] serde_json::Error),
    /// The worker gives no more, for a reason of its own.
    #[error("{0}")]
    Broken(String),
}
