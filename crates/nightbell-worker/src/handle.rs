//! What whoever started an owner has of it.

use std::time::Duration;

use nightbell_core::connector::Connector;
use nightbell_core::fingerprint::Fingerprint;
use nightbell_core::owner::{Settings, View};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// What an owner can be told.
#[derive(Debug)]
pub enum Control<S> {
    /// Work by these settings and send by this sender from now on.
    Reload(Box<Settings>, S),
    /// Finish what is being attempted within `grace`, hand the rest back, and end.
    Stop {
        /// How long the attempts on their way may take.
        grace: Duration,
    },
}

/// An owner at work.
#[derive(Debug)]
pub struct OwnerHandle<S> {
    /// Its connector.
    pub connector: Connector,
    /// The way to tell it something.
    pub control: mpsc::Sender<Control<S>>,
    /// What it is doing, a second old at the most.
    pub view: watch::Receiver<View>,
    /// Its end, with what became of all that it held.
    pub ended: JoinHandle<Drained>,
}

/// What became of an owner's work when it ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drained {
    /// Deliveries settled since the stop.
    pub finished: usize,
    /// Deliveries handed back to the queue since the stop.
    pub returned: usize,
    /// Alerts whose attempt had no answer: they may have arrived, and are sent again with the same alert id.
    pub uncertain: Vec<Fingerprint>,
}
