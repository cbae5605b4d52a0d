//! One module for each case.

pub(crate) mod bare;
pub(crate) mod deliver;
pub(crate) mod embedded;
pub(crate) mod isolation;
pub(crate) mod latency;
pub(crate) mod ledger;
pub(crate) mod memory;
pub(crate) mod peers;
pub(crate) mod recovery;
pub(crate) mod reports;
pub(crate) mod storm;
