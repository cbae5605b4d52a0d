//! The one thread that answers looks.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use nightbell_core::ports::LedgerError;
use nightbell_core::record::{Looked, Record};
use nightbell_core::time::UnixMillis;

use crate::fault::caught;
use crate::lane::{Answer, Sent};
use crate::shared::Shared;

/// The most looks that wait for the reader; further ones wait without blocking.
pub(crate) const LOOKS_WAITING_MAX: usize = 1024;

/// A request to the reader.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) event: Vec<u8>,
    pub(crate) alert: Vec<u8>,
    pub(crate) now: UnixMillis,
    pub(crate) answer: Answer<Looked>,
}

/// The thread's state.
pub(crate) struct Reader {
    pub(crate) db: sled::Db,
    pub(crate) shared: Arc<Shared>,
}

impl Reader {
    /// Works until it is closed, all senders are gone, or the ledger fails.
    pub(crate) fn run(&self, requests: &Receiver<Sent<Look>>) {
        for sent in requests {
            let (look, _place) = match sent {
                Sent::Request(look, place) => (look, place),
                Sent::Close => return,
            };
            let answer = self.look(&look);
            let failed = answer.is_err();
            // Whoever no longer waits does not need to know.
            let _gone = look.answer.send(answer);
            if failed {
                return;
            }
        }
    }

    fn look(&self, look: &Look) -> Result<Looked, LedgerError> {
        self.shared.failure()?;
        let both = caught(|| {
            let by_event = self.read(&look.event, look.now)?;
            let by_alert = self.read(&look.alert, look.now)?;
            Ok(Looked { by_event, by_alert })
        });
        both.map_err(|fault| {
            self.shared.fail("failed to read the store", &fault);
            self.shared.why()
        })
    }

    /// What is remembered under `key`. A record that can't be read counts as forgotten: the worst that
    /// follows is a second alert, whereas an error would hold up every event of its key.
    fn read(&self, key: &[u8], now: UnixMillis) -> Result<Option<Record>, sled::Error> {
        let value = self.db.get(key)?;
        let stored = value.and_then(|value| self.shared.decode(key, &value));
        Ok(stored.filter(|stored| stored.lives(now)).map(|stored| stored.record))
    }
}
