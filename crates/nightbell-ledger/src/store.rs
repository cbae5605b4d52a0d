//! The store as its threads see it.

use std::sync::Arc;

use crate::entry::{Entry, Id};
use crate::fault::Fault;
use crate::index::Index;
use crate::shared::Shared;

/// What all threads hold.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    pub(crate) db: sled::Db,
    pub(crate) index: Arc<Index>,
    pub(crate) shared: Arc<Shared>,
}

impl Store {
    /// What is stored under a name.
    pub(crate) fn read(&self, id: &Id) -> Result<Option<Entry>, Fault> {
        self.index.find(id).read(&self.db, id)
    }

    /// Says how many records there are.
    pub(crate) fn count(&self) {
        self.shared.set_entries(self.index.records());
    }
}
