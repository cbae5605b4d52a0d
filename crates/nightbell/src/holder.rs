//! Who has the embedded queue's file open: the one answer for every command that wants what is in it.

use nightbell_http::{KEY_FILE, WorkerAt, is_another};
use secrecy::SecretString;

use crate::config::Config;
use crate::exit::{Code, Failure};
use crate::listener::worker_at;
use crate::queue::{Queue, embedded_name, embedded_path};

/// Who has the file.
pub enum Holder {
    /// This process, from now on.
    This(Queue),
    /// Another one, mostly a worker, which may be asked; or another user, for who may not see the file can't open it either.
    /// The failure says so.
    Another(Failure),
}

impl Holder {
    /// Opens the configuration's embedded queue, unless another has it.
    ///
    /// # Errors
    /// No worker has run with this configuration's folder, and a Nightbell listens all the same; or the system fails.
    pub async fn find(config: &Config) -> Result<Self, Failure> {
        refuse_anothers(config).await?;
        match Queue::open(config).await {
            Err(failure) if matches!(failure.code, Code::TempFail | Code::CantCreate) => {
                Ok(Self::Another(failure))
            }
            opened => opened.map(Self::This),
        }
    }
}

/// The worker that has this configuration's embedded queue open, if one has; it has to prove that first.
#[must_use]
pub fn holding_worker(config: &Config, token: Option<&SecretString>) -> WorkerAt {
    worker_at(config, token, embedded_name(config).ok().flatten())
}

/// Refuses to go on if no worker has run with this configuration's folder, and a Nightbell listens all the same: it has another
/// folder, or sees other folders. What is put into a file here might never be delivered, and what is looked for here is there.
async fn refuse_anothers(config: &Config) -> Result<(), Failure> {
    let is_unused = matches!(embedded_name(config), Ok(None)) || !config.data_dir.join(KEY_FILE).exists();
    if !is_unused || !is_another(&worker_at(config, None, None)).await {
        return Ok(());
    }
    let text = format!(
        "the worker at {} (http.listen) has another queue than {}, with which no worker has run; give this configuration \
         the worker's data_dir, or another http.listen",
        config.http.listen,
        embedded_path(config).display()
    );
    Err(Failure::new(Code::Unavailable, text))
}
